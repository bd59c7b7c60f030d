"""What a report says, in sentences and tables: the same for the page and for plain text. Nothing is computed here."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mixtura.choice import TIE
from mixtura.core.fixed import NOTHING
from mixtura.core.noise import Noise
from mixtura.ground import Settings
from mixtura.report.pictures import Pictures
from mixtura.report.svg import colour, cut
from mixtura.summary import Summary
from mixtura.text import counted, in_words, number, origin, percent, points, relation, with_deviations

if TYPE_CHECKING:
    from mixtura.result import Result

#: The most columns of components, and candidates, that the tables hold; the files beside the report hold all.
MOST_COLUMNS = 60
MOST_CANDIDATES = 300
#: Columns named as telling a component apart, and the least that each must tell (see ``figures.Profile``).
NAMED_COLUMNS = 3
LEAST_TOLD = 0.05
#: Columns that are named among what was asked, and the most characters of a name in a sentence.
COLUMNS_NAMED = 12
LONGEST_NAME = 40
#: A mean this far from that of all rows, in standard deviations, is high or low.
FAR_FROM_MEAN = 0.25

#: From arguments of ``mixtura.fit`` that should change to the command that does it.
Remedy = Callable[[Mapping[str, Any]], str]


class Cell(NamedTuple):
    """What stands in a table: a text, the number that it shows, a deviation beside it, and how it looks."""

    text: str
    value: float | None = None
    detail: str = ""
    detail_value: float | None = None
    kind: str = ""
    share: float | None = None


class Row(NamedTuple):
    """Cells, the first of which names the row, and what the row is."""

    cells: Sequence[Cell]
    kind: str = ""


class Table(NamedTuple):
    """Heads and rows; ``text`` columns stand to the left."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Row]
    left: frozenset[int] = frozenset()
    tall: bool = False


class Point(NamedTuple):
    """Something to mind, and the command that may mend it."""

    sentence: str
    command: str = ""


class Code(NamedTuple):
    """Something to do, and how."""

    sentence: str
    text: str


@dataclass(frozen=True)
class Content:
    """All that a report says, section by section."""

    title: str
    found: str
    tiles: Sequence[tuple[str, str, str]]
    choice: str
    asked: Sequence[tuple[str, str]]
    mind: Sequence[Point]
    about_rows: Sequence[str]
    candidates: Table | None
    components: Table
    told_apart: Sequence[str]
    overlap: Table | None
    overlap_said: str
    end: Sequence[tuple[str, str]]
    use: Sequence[Code]
    reproduce: Sequence[tuple[str, str]]


def compose(result: Result, pictures: Pictures, document: Summary, remedy: Remedy, model_file: str | None) -> Content:
    """The content of a report on a result.

    Parameters
    ----------
    result : Result
    pictures : Pictures
    document : dict
        The result's summary, and ``mixtura``, ``command``, ``seed``, ``table``, ``left_out`` and ``fingerprint``: what
        summary.json holds.
    remedy : callable
    model_file : str, optional
        Where the model was saved.
    """
    return Content(
        title=PurePath(document["table"]).name if document["table"] else "A Gaussian mixture",
        found=_found(document),
        tiles=_tiles(document),
        choice=origin(document),
        asked=_asked(document, result.survey.settings),
        mind=[Point(sentence, remedy(change) if change else "") for sentence, change in _to_mind(document)],
        about_rows=document["about_rows"],
        candidates=_candidates(document) if document["rivals"] or document["failed"] else None,
        components=_components(document, pictures),
        told_apart=_told_apart(pictures),
        overlap=_overlap(pictures),
        overlap_said=_overlap_said(document),
        end=_end(document),
        use=_use(document, model_file),
        reproduce=_reproduce(document),
    )


# What was found


def _found(document: Summary) -> str:
    chosen, n_columns = document["chosen"], len(document["columns"])
    ended = "" if chosen["converged"] else " The fit has not converged: there is more to gain."
    k, family = chosen["n_components"], f"{chosen['covariance']}, {chosen['mclust']}"
    rows = f"The {counted(document['rows'], 'row')} of {counted(n_columns, 'column')}"
    tried = [chosen, *document["rivals"], *document["failed"]]
    by = f"by {document['criterion'].upper()} from {len(tried)} candidates"
    verb = "are described best by" if len(tried) > 1 else "were described by"
    noise = "" if document["noise"] is None else f" and noise ({percent(document['noise']['weight'])} of the rows)"
    if k == 1:
        groups = len({cell["n_components"] for cell in tried}) > 1
        nothing = ": nothing speaks for groups among them" if groups else ""
        chosen_by = f", chosen {by}{nothing}" if len(tried) > 1 else ""
        return f"{rows} {verb} a single Gaussian ({family}){noise}{chosen_by}.{ended}"
    how = relation(chosen["mclust"], n_columns)
    what = f"{k} Gaussian components{', ' if how else ''}{how} ({family}){noise}"
    chosen_by = f", chosen {by}" if len(tried) > 1 else ""
    sure = f"If the model is right, {percent(chosen['error_rate'])} of the labels that it gives are wrong."
    return f"{rows} {verb} {what}{chosen_by}. {sure}{ended}"


def _tiles(document: Summary) -> list[tuple[str, str, str]]:
    """Name, value and remark of the few numbers at the head."""
    chosen, criterion = document["chosen"], document["criterion"]
    tiles = [
        ("Components", str(chosen["n_components"]), f"{chosen['covariance']} ({chosen['mclust']})"),
        (criterion.upper(), f"{chosen[criterion]:,.1f}", "smaller is better"),
    ]
    if chosen["n_components"] > 1:
        tiles.append(("Labels expected wrong", percent(chosen["error_rate"]), "the mean uncertainty"))
    ended = "converged" if chosen["converged"] else "not converged"
    tiles.append(("Still to gain", f"{chosen['gap']:.0e}", f"nats a row: {ended}"))
    if chosen["starts"] > 1:
        agreeing = f"{chosen['starts_agreeing']} of {chosen['starts']}"
        tiles.append(("Starts that agree", agreeing, "ended on this hill"))
    return tiles


# What was asked


def _asked(document: Summary, settings: Settings) -> list[tuple[str, str]]:
    usual = Settings()
    out = [("Table", document["table"] or "a table in memory")]
    size = f"{counted(document['rows'], 'row')} × {counted(len(document['columns']), 'column')}"
    out.append(("Size", size))
    if document["weight"] != document["rows"]:
        out.append(("Row weights", f"sum to {number(document['weight'], 6)}"))
    names, more = document["columns"][:COLUMNS_NAMED], len(document["columns"]) - COLUMNS_NAMED
    rest = [counted(more, "more column")] if more > 0 else []
    out.append(("Columns", in_words([*(cut(name, LONGEST_NAME) for name in names), *rest])))
    out += [("Left out", f"{name}: {reason}") for name, reason in document["left_out"].items()]
    tried = origin(document)
    out.append(("Candidates", tried or "this one alone"))
    starts = f"{settings.n_init} for each number of components"
    init = "" if settings.init_params == usual.init_params else f", by {settings.init_params}"
    out.append(("Starts", f"{starts}{init}"))
    out.append(("Tolerance", f"{settings.tol:g} nats a row, at most {counted(settings.max_iter, 'step')}"))
    if settings.reg_covar is not None:
        out.append(("reg_covar", f"{settings.reg_covar:g}"))
    if settings.prior is not None:
        out.append(("Prior", "conjugate, of means and covariances"))
    if settings.fixed is not NOTHING:
        out.append(("Fixed", "parameters that were held where they are"))
    if settings.noise is not False:
        known = isinstance(settings.noise, Noise)
        out.append(("Noise", "a component of given density" if known else "a component over the region of the rows"))
    return out


# What to mind


def _to_mind(document: Summary) -> list[tuple[str, dict[str, Any]]]:
    """Warnings first: a status that is none of convergence, then the points of the summary."""
    chosen = document["chosen"]
    said = points(document)
    advised = any("max_iter" in change for _, change in said)
    return said if chosen["converged"] or advised else [(chosen["sentence"], {}), *said]


# Tables


def _candidates(document: Summary) -> Table:
    chosen, criterion = document["chosen"], document["criterion"]
    names = ["bic", "icl", "aic", *(["cv"] if "cv" in chosen else [])]
    names = [criterion, *(name for name in names if name != criterion)]
    cells = [chosen, *document["rivals"]]
    rows: list[Row] = []
    for cell in cells[:MOST_CANDIDATES]:
        mine = cell is chosen
        tie = cell["eligible"] and cell["behind"] < TIE
        verdict = "chosen" if mine else "as good" if tie else "" if cell["eligible"] else "unsound"
        values = [cell[name] for name in names]
        rows.append(
            Row(
                [
                    Cell(f"{cell['n_components']} {cell['covariance']}", cell["n_components"]),
                    Cell(cell["mclust"]),
                    Cell(verdict),
                    *(Cell("" if v is None else f"{v:,.2f}", v) for v in values),
                    Cell("0" if mine else f"{cell['behind']:+,.2f}", cell["behind"]),
                    Cell(f"{cell['loglik']:,.2f}", cell["loglik"]),
                    Cell(f"{cell['n_parameters']:,}", cell["n_parameters"]),
                ],
                "chosen" if mine else "tie" if tie else "" if cell["eligible"] else "unsound",
            )
        )
    for cell in document["failed"]:
        name = Cell(f"{cell['n_components']} {cell['covariance']}", cell["n_components"])
        blanks = [Cell("")] * (len(names) + 3)
        rows.append(Row([name, Cell(""), Cell(f"no fit: {cell['reason']}", kind="wide"), *blanks], "unsound"))
    heads = ["K, family", "mclust", "verdict", *map(str.upper, names), "behind", "log-likelihood", "parameters"]
    left = f" The best {MOST_CANDIDATES} of {len(cells)}." if len(cells) > MOST_CANDIDATES else ""
    caption = f"All candidates, the best by {criterion.upper()} first; smaller is better.{left}"
    return Table(caption, heads, rows, frozenset({1, 2}), tall=len(rows) > 12)


def _components(document: Summary, pictures: Pictures) -> Table:
    """A row for each component, or, where there are many columns, one for each column."""
    components, columns = document["components"], document["columns"]
    shown = [columns[j] for j in sorted(pictures.order[:MOST_COLUMNS])]
    if len(shown) > max(6, len(components)):
        return _transposed(document, pictures, [columns[j] for j in pictures.order[:MOST_COLUMNS]])
    parts: list[Summary] = [*components, *([{"component": "noise", **document["noise"]}] if document["noise"] else [])]
    heaviest = max(part["weight"] for part in parts)
    pairs = {name: _pairs(components, name) for name in shown}
    rows: list[Row] = []
    for k, part in enumerate(parts):
        noise = part["component"] == "noise"
        cells = [
            Cell(str(part["component"]), None if noise else k, kind="" if noise else f"mark {colour(k)}"),
            Cell(
                f"{100 * part['weight']:.1f} %",
                part["weight"],
                kind=f"beam {'noise' if noise else colour(k)}",
                share=part["weight"] / heaviest,
            ),
            Cell(f"{part['rows']:,.1f}", part["rows"]),
            *(Cell("") if noise else pairs[name][k] for name in shown),
        ]
        rows.append(Row(cells))
    return Table(_caption(columns, shown), ["component", "weight", "rows", *shown], rows, tall=len(rows) > 12)


def _transposed(document: Summary, pictures: Pictures, shown: Sequence[str]) -> Table:
    components = document["components"]
    told = dict(zip(document["columns"], pictures.profile.information.tolist(), strict=True))
    weights = [Cell(f"{100 * part['weight']:.1f} %", part["weight"]) for part in components]
    held = [Cell(f"{part['rows']:,.1f}", part["rows"]) for part in components]
    several = len(components) > 1
    rows = [Row([Cell("weight"), *weights], "fixed"), Row([Cell("rows"), *held], "fixed")]
    for row in rows if several else ():
        row.cells.insert(1, Cell(""))  # type: ignore[attr-defined]
    for name in shown:
        tells = [Cell(f"{told[name]:.2f}", told[name])] if several else []
        rows.append(Row([Cell(name), *tells, *_pairs(components, name)]))
    heads = ["column", *(["tells"] if several else []), *(f"component {part['component']}" for part in components)]
    caption = _caption(document["columns"], shown)
    if several:
        caption += " “Tells” is the share of what is unknown of a row's component that the column alone tells."
    return Table(caption, heads, rows, tall=len(rows) > 12)


def _caption(columns: Sequence[str], shown: Sequence[str]) -> str:
    some = "" if len(shown) == len(columns) else f" The {len(shown)} most telling of {len(columns)} columns."
    return f"Mean ± standard deviation of each column within each component.{some}"


def _pairs(components: Sequence[Summary], name: str) -> list[Cell]:
    means, deviations = [c["mean"][name] for c in components], [c["sd"][name] for c in components]
    texts = (pair.split(" ± ") for pair in with_deviations(means, deviations))
    return [
        Cell(mean.strip(), m, deviation.strip(), s)
        for (mean, deviation), m, s in zip(texts, means, deviations, strict=True)
    ]


def _told_apart(pictures: Pictures) -> list[str]:
    """What is particular about each component, in a sentence."""
    found, model = pictures.profile, pictures.model
    if model.n_components < 2:
        return []
    out: list[str] = []
    for k in range(model.n_components):
        best = [int(j) for j in np.argsort(-found.each[k], kind="stable") if found.each[k, j] >= LEAST_TOLD]
        traits = [_trait(float(found.means[k, j]), found.columns[j]) for j in best[:NAMED_COLUMNS]]
        said = in_words(traits) if traits else "no single column; see it together with others"
        out.append(f"Component {k}: {said}.")
    return out


def _trait(z: float, name: str) -> str:
    name = cut(name, LONGEST_NAME)
    if abs(z) <= FAR_FROM_MEAN:
        return f"{name} about the mean"
    return f"{name} {'high' if z > 0 else 'low'} ({z:+.1f} sd)".replace("-", "−")


def _overlap(pictures: Pictures) -> Table | None:
    if pictures.overlap is None:
        return None
    rows = [
        Row([Cell(f"component {i}", i), *(_mistaken(i, j, float(w)) for j, w in enumerate(line))])
        for i, line in enumerate(pictures.overlap)
    ]
    heads = ["of the rows from", *(f"like {j}" for j in range(len(rows)))]
    caption = "The share of the rows from one component (down) that look more like another (across)."
    return Table(caption, heads, rows)


def _mistaken(i: int, j: int, value: float) -> Cell:
    return Cell("–") if i == j else Cell(percent(value), value, share=value, kind="heat")


def _overlap_said(document: Summary) -> str:
    if document["chosen"]["n_components"] == 1:
        return "There is one component: nothing overlaps."
    if not document["overlaps"]:
        return "No two components overlap by a tenth or more: each stands by itself."
    pairs = [
        f"{i} and {j} ({percent(ij)} and {percent(ji)})"
        for (i, j), (ij, ji) in ((pair["components"], pair["mistaken"]) for pair in document["overlaps"])
    ]
    return f"These overlap, and may be parts of one cluster: {in_words(pairs)}."


def _end(document: Summary) -> list[tuple[str, str]]:
    chosen = document["chosen"]
    starts = f"{chosen['starts_agreeing']} of {chosen['starts']} ended on this hill"
    failed = f", {chosen['starts_failed']} failed" if chosen["starts_failed"] else ""
    return [
        ("Status", chosen["sentence"]),
        ("Still to gain", f"{chosen['gap']:.1e} nats a row (gradient {chosen['gradient_norm']:.1e})"),
        ("Passes", f"{chosen['passes']:,}"),
        ("Starts", starts + failed),
        ("Log-likelihood", f"{chosen['loglik']:,.4f}"),
        ("Free parameters", f"{chosen['n_parameters']:,}"),
    ]


# How to go on


def _use(document: Summary, model_file: str | None) -> list[Code]:
    table = document["table"] or "table.csv"
    file = model_file or "model.mixtura"
    out: list[Code] = []
    if model_file is None:
        save = f'mixtura.save(result.model, "{file}", family="{document["chosen"]["covariance"]}")'
        out.append(Code("Keep the model, in Python", save))
    model, rows = shlex.quote(file), shlex.quote(table)
    out += [
        Code("Look closer", f"mixtura show {model} --verbose"),
        Code("Label the rows of a table", f"mixtura score {model} {rows}"),
        Code("Draw new rows", f"mixtura sample {model} -n 1000"),
    ]
    if document["chosen"]["n_components"] > 1:
        out.append(Code("Unite components into clusters", f"mixtura merge {model} {rows}"))
    python = f"import mixtura\n\nmodel = mixtura.load({file!r}).mixture\nlabels = model.predict(table)"
    return [*out, Code("In Python", f"{python}\nlog_density = model.logpdf(table)")]


def _reproduce(document: Summary) -> list[tuple[str, str]]:
    seed = document["seed"]
    return [
        ("Command", document["command"]),
        ("Seed", "none was given: another run may differ" if seed is None else str(seed)),
        ("Table", document["table"] or "in memory"),
        ("Fingerprint of the rows", document["fingerprint"]),
        ("Mixtura", document["mixtura"]),
        ("Python, NumPy", f"{platform.python_version()}, {np.__version__}"),
    ]
