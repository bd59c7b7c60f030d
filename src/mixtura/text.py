"""The numbers of mixtura.summary as plain text for people. Nothing is computed here."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any, NamedTuple

from mixtura.choice import TIE, Survey
from mixtura.core.em import Fit
from mixtura.core.mixture import Mixture
from mixtura.core.overlap import Separation
from mixtura.covariance import registry
from mixtura.summary import Summary, column_names, correlations, describe, describe_fit

if TYPE_CHECKING:
    from mixtura.agreement import CrossTable
    from mixtura.merging import Merging

#: Rivals shown beside the chosen model.
RIVALS_SHOWN = 5
#: Candidates shown of a table of them alone.
CANDIDATES_SHOWN = 20
#: Pairs of overlapping components named in remarks.
OVERLAPS_SHOWN = 3
#: Columns shown of each component, unless more are asked for.
COLUMNS_SHOWN = 6
#: Characters in a line of text, unless another width is asked for.
WIDTH = 80
#: The widest that a name of a column may be in a table, and the longest bar.
NAME_WIDTH = 20
BAR_WIDTH = 12

#: Bars by their eighths, the whole one first, and the head of a column of bars.
_EIGHTHS = "█▉▊▋▌▍▎▏ "
BAR = " "

#: Header and rows of a table.
Cells = tuple[list[str], list[list[str]]]

# Numbers and names as text


def number(value: float, digits: int = 4) -> str:
    """A number for people: at most so many significant digits, no needless zeros, thousands kept whole."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-4 <= abs(value) < 1e7:
        places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
        return f"{value:,.{min(places, 8)}f}"
    return f"{value:.{digits - 1}e}"


def percent(share: float) -> str:
    """A share for people: three digits, but no more than they can use."""
    return "<0.01 %" if 0 < share < 1e-4 else f"{100 * share:.3g} %"


def harmless(text: str) -> str:
    """Text from data or file names, with whatever could steer a terminal written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _title(name: str) -> str:
    """The name of a column at the head of a table."""
    name = harmless(name)
    if display_width(name) <= NAME_WIDTH:
        return name
    while display_width(name) >= NAME_WIDTH:
        name = name[:-1]
    return f"{name}…"


def display_width(text: str) -> int:
    """Cells that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _bar(share: float) -> str:
    """A bar for a share of the longest one."""
    whole, eighths = divmod(round(8 * BAR_WIDTH * share), 8)
    return _EIGHTHS[0] * whole + _EIGHTHS[8 - eighths].strip()


def bar_length(bar: str) -> float:
    """The share that a bar stands for."""
    return sum(8 - _EIGHTHS.find(mark) if mark in _EIGHTHS else 0 for mark in bar) / (8 * BAR_WIDTH)


def _power(value: float) -> int:
    """The power of ten in front of a number's first digit."""
    return math.floor(math.log10(min(max(value, 1e-300), 1e300)))


def with_deviations(means: Sequence[float], deviations: Sequence[float]) -> list[str]:
    """Mean ± standard deviation down a column, to the digits that the smallest deviation makes worth telling."""
    both = list(zip(means, deviations, strict=True))
    first, last = _power(max(map(abs, [*means, *deviations]))), _power(min(deviations))
    places = max(0, 2 - last)
    if places <= 6 and first + places < 12:
        pairs = [(f"{m:,.{places}f}", f"{s:,.{places}f}") for m, s in both]
    else:
        pairs = [(f"{m:.{min(first - last + 2, 16)}e}", f"{s:.2e}") for m, s in both]
    left, right = (max(map(len, part)) for part in zip(*pairs, strict=True))
    return [f"{mean:>{left}} ± {deviation:>{right}}" for mean, deviation in pairs]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """Lines of a table: what stands under a head that ends in a blank to the left, the rest to the right.

    Columns that would pass ``width`` go into a further block below, beside the first column again.
    """
    lines = [[head.rstrip() for head in header], *rows]
    widths = [max(display_width(line[j]) for line in lines) for j in range(len(header))]
    blocks: list[list[int]] = []
    for j in range(1, len(header)):
        if not blocks or sum(widths[i] + 2 for i in [0, *blocks[-1]]) + widths[j] > width:
            blocks.append([])
        blocks[-1].append(j)
    out: list[str] = []
    for block in blocks or [[]]:
        out += [""] if out else []
        out += ["  ".join(_padded(line[j], widths[j], header[j]) for j in [0, *block]).rstrip() for line in lines]
    return out


def _padded(text: str, width: int, head: str) -> str:
    """To the left if the head of the column ends in a blank, else to the right."""
    gap = " " * (width - display_width(text))
    return text + gap if head.endswith(" ") else gap + text


def wrapped(text: str, width: int, indent: str = "", hanging: str | None = None) -> list[str]:
    """A sentence in lines, the first after ``indent``, the others after ``hanging``."""
    later = indent if hanging is None else hanging
    return textwrap.wrap(
        harmless(text), width, initial_indent=indent, subsequent_indent=later, break_on_hyphens=False
    ) or [indent]


# Parts of a summary


def headline(summary: Summary) -> str:
    """One sentence: what was found."""
    chosen = summary["chosen"]
    rows = "" if summary["rows"] is None else f"{counted(summary['rows'], 'row')} × "
    what = counted(chosen["n_components"], "component") + (" and noise" if summary["noise"] else "")
    return (
        f"{what}, {chosen['covariance']} covariance ({chosen['mclust']}), "
        f"in {rows}{counted(len(summary['columns']), 'column')}"
    )


def counted(n: int, thing: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n:,} {thing}{'s' * (n != 1)}"


#: What the letters of a family's name speak of (Celeux & Govaert 1995); of one column, only the width is left.
_ASPECTS = ("size", "shape", "direction")
_PLAIN_ASPECTS = ("", "round", "along the columns")


def relation(mclust: str, n_features: int) -> str:
    """What the components have in common by the name of their family; empty where the name does not tell.

    Examples
    --------
    >>> relation("VEV", 3)
    'of one shape, each with its own size and direction'
    >>> relation("VVI", 3)
    'along the columns, each with its own size and shape'
    >>> relation("EEE", 1)
    'of one width'
    """
    if not set(mclust) <= set("EVI"):
        return ""
    aspects = dict(zip(_ASPECTS, mclust, strict=True)) if n_features > 1 else {"width": mclust[0]}
    common = [name for name, letter in aspects.items() if letter == "E"]
    own = [name for name, letter in aspects.items() if letter == "V"]
    plain = [what for what, letter in zip(_PLAIN_ASPECTS, aspects.values(), strict=False) if letter == "I"]
    parts = [
        *plain[:1],
        *([f"of one {in_words(common)}"] if common else []),
        *([f"each with its own {in_words(own)}"] if own else []),
    ]
    return ", ".join(parts)


def in_words(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def origin(summary: Summary) -> str:
    """From what the model was chosen; empty if there was no choice."""
    tried = [summary["chosen"], *summary["rivals"], *summary["failed"]]
    if len(tried) == 1:
        return ""
    counts = sorted({c["n_components"] for c in tried})
    whole = counts == [*range(counts[0], counts[-1] + 1)]
    k = f"{counts[0]} to {counts[-1]}" if whole and len(counts) > 1 else ", ".join(map(str, counts))
    names = [name for name in registry.names() if any(c["covariance"] == name for c in tried)]
    return f"Chosen by {summary['criterion'].upper()} from {len(tried)} candidates: K = {k}; {', '.join(names)}."


def facts(summary: Summary) -> list[tuple[str, str]]:
    """Name and value of what is known about the fit of the chosen model."""
    chosen, weight = summary["chosen"], summary["weight"]
    out: list[tuple[str, str]] = []
    if "command" in summary:
        out.append(("command", summary["command"]))
    if "sentence" in chosen:
        out.append(("status", chosen["sentence"]))
    if "gap" in chosen and "gradient_norm" in chosen:
        out.append(("still to gain", f"{chosen['gap']:.1e} nats a row (gradient {chosen['gradient_norm']:.1e})"))
    if "passes" in chosen:
        out.append(("passes", f"{chosen['passes']:,}"))
    if "starts" in chosen and "starts_agreeing" in chosen:
        starts = f"{chosen['starts_agreeing']} of {chosen['starts']} ended on this hill"
        failed = chosen.get("starts_failed")
        out.append(("starts", starts + (f", {failed} failed" if failed else "")))
    if "loglik" in chosen:
        out.append(("log-likelihood", f"{chosen['loglik']:,.4f}"))
    criteria = [name for name in ("bic", "icl", "aic", "cv") if name in chosen]
    if criteria:
        values = " / ".join(f"{chosen[name]:,.2f}" for name in criteria)
        out.append((" / ".join(name.upper() for name in criteria), f"{values}  (smaller is better)"))
    if chosen["n_components"] > 1 and "entropy" in chosen and "error_rate" in chosen:
        wrong = f"{percent(chosen['error_rate'])} of labels expected wrong"
        out.append(("uncertainty", f"{wrong}; entropy {number(chosen['entropy'])} nats"))
    out.append(("free parameters", f"{chosen['n_parameters']:,}"))
    if weight is not None and weight != summary["rows"]:
        out.append(("sum of weights", f"{weight:,.0f}" if weight == round(weight) else number(weight, 6)))
    return out


def component_table(summary: Summary, most_columns: int | None = COLUMNS_SHOWN) -> Cells:
    """Header and rows: weight, and mean ± sd of the first columns."""
    components = summary["components"]
    columns = summary["columns"][:most_columns]
    noise = summary["noise"]
    parts: list[Summary] = [*components, {"component": "noise", **noise}] if noise else components
    heaviest = max(c["weight"] for c in parts)
    cells: dict[str, list[str]] = {
        "# ": [str(c["component"]) for c in parts],
        "weight": [f"{100 * c['weight']:.1f} %" for c in parts],
        BAR: [_bar(c["weight"] / heaviest) for c in parts],
    }
    if all("rows" in c for c in parts):
        few = sum(c["rows"] for c in parts) < 10 * len(components)
        cells["rows"] = [number(c["rows"], 3) if few else f"{c['rows']:,.1f}" for c in parts]
    out = [[head, *column] for head, column in cells.items()]
    for name in columns:
        pairs = with_deviations([c["mean"][name] for c in components], [c["sd"][name] for c in components])
        out.append([_title(name), *pairs, *([""] if noise else [])])
    header, *rows = ([*line] for line in zip(*out, strict=True))
    return header, rows


def rival_table(summary: Summary, most: int = RIVALS_SHOWN) -> Cells:
    """Header and rows: the chosen model and the next best."""
    criterion = summary["criterion"]
    header = ["K ", "covariance ", criterion.upper(), "behind", "log-likelihood", "parameters"]
    shown = [summary["chosen"], *summary["rivals"][:most]]
    rows = [
        [
            str(r["n_components"]),
            r["covariance"],
            f"{r[criterion]:,.2f}",
            f"{r['behind']:+,.2f}" if r is not summary["chosen"] else "chosen",
            f"{r['loglik']:,.2f}",
            str(r["n_parameters"]),
        ]
        for r in shown
    ]
    if not all(r["eligible"] for r in shown):
        header.append(" ")
        for row, r in zip(rows, shown, strict=True):
            row.append("" if r["eligible"] else "unsound")
    return header, rows


def points(summary: Summary) -> list[tuple[str, dict[str, Any]]]:
    """What to mind of the fit: sentences, each with the arguments of ``fit`` to change, if that helps."""
    out: list[tuple[str, dict[str, Any]]] = [(note, {}) for note in summary["notes"]]
    out += [(advice["sentence"], advice["change"]) for advice in summary["advice"]]
    if summary["overlaps"]:
        shown = [
            (*pair["components"], *map(percent, pair["mistaken"])) for pair in summary["overlaps"][:OVERLAPS_SHOWN]
        ]
        pairs = "; ".join(f"of {i}, {ij} look more like {j}, and of {j}, {ji} like {i}" for i, j, ij, ji in shown)
        out.append((f"Components overlap: of the rows {pairs}. They may be parts of one cluster: see merge.", {}))
    if summary["failed"]:
        names = ", ".join(f"{f['n_components']} {f['covariance']}" for f in summary["failed"])
        out.append((f"Could not be fitted: {names} ({summary['failed'][0]['reason']}).", {}))
    return out


def remarks(summary: Summary, *, changes: bool = True) -> list[str]:
    """The points with what to change in words; without ``changes``, only those where nothing is to be changed."""
    return [
        f"{sentence} Try fit(…, {', '.join(as_arguments(change))})." if change else sentence
        for sentence, change in points(summary)
        if changes or not change
    ]


def as_arguments(arguments: Mapping[str, Any]) -> list[str]:
    """Arguments as they are written in a call; what has no short form is ``…``."""
    return [f"{key}={_as_code(value)}" for key, value in arguments.items()]


#: The longest argument that is written in full.
_LONGEST_CODE = 60


def _as_code(value: Any) -> str:
    if isinstance(value, list | tuple | range) and len(value) > 1:
        first, last = value[0], value[-1]
        if isinstance(first, int) and list(value) == list(range(first, last + 1)):
            return f"range({first}, {last + 1})"
    plain = isinstance(value, str | int | float | list | tuple | None)
    return repr(value) if plain and len(repr(value)) <= _LONGEST_CODE else "…"


# Other values than a summary: what is said of them, and their tables


class Table(NamedTuple):
    """A title, heads and rows; without heads, rows are names and values."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Said(NamedTuple):
    """What there is to say of a value: sentences, tables, and what comes last."""

    sentences: Sequence[str]
    tables: Sequence[Table]
    last: Sequence[str] = ()


@singledispatch
def told(value: Any) -> Said:
    """What there is to say of a value."""
    raise TypeError(f"there is no text for {type(value).__name__}")


@told.register
def _(model: Mixture) -> Said:
    family = next(family for family in registry.FAMILIES if family.kind == model.structure.kind)
    summary = describe(model, family.name, {})
    noise = " and noise" if model.noise is not None else ""
    what = f"{counted(model.n_components, 'Gaussian')}{noise} in {counted(model.n_features, 'column')}"
    return Said([f"Mixture of {what}, {model.structure.kind} covariance"], [_component_part(summary)], _more(summary))


@told.register
def _(fit: Fit) -> Said:
    summary = describe_fit(fit)
    return Said([headline(summary)], [_component_part(summary), Table("Fit", [], facts(summary))], _more(summary))


@told.register
def _(separation: Separation) -> Said:
    shares = separation.misclassification
    header = ["from \\ label ", *map(str, range(len(shares)))]
    rows = [[str(k), *(percent(x) if math.isfinite(x) else "" for x in row)] for k, row in enumerate(shares.tolist())]
    values = [
        ("expected wrong", f"{percent(separation.error_rate)} of labels"),
        ("entropy", f"{number(separation.entropy)} nats, {percent(separation.normalised_entropy)} of the most"),
    ]
    return Said([], [Table("Labels of rows from each component", header, rows), Table("", [], values)])


@told.register
def _(survey: Survey) -> Said:
    table = survey.table()
    order = sorted(range(len(survey.cells)), key=lambda i: (not table["eligible"][i], _last(table["behind"][i])))
    rows = [
        [
            str(table["n_components"][i]),
            table["covariance"][i],
            _known(table[survey.criterion][i]),
            _known(table["behind"][i]),
            _known(table["loglik"][i]),
            str(table["n_parameters"][i]),
            _verdict(survey, i, table),
        ]
        for i in order
    ]
    header = ["K ", "covariance ", survey.criterion.upper(), "behind", "log-likelihood", "parameters", "verdict "]
    said = f"{counted(len(rows), 'candidate')}, the best by {survey.criterion.upper()} first"
    more = [f"and {len(rows) - CANDIDATES_SHOWN} more"] if len(rows) > CANDIDATES_SHOWN else []
    return Said([said], [Table("", header, rows[:CANDIDATES_SHOWN])], more)


def _last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _known(value: float) -> str:
    return f"{value:,.2f}" if math.isfinite(value) else ""


def _verdict(survey: Survey, i: int, table: Mapping[str, Sequence[Any]]) -> str:
    if survey.cells[i] is survey.best:
        return "chosen"
    if table["reason"][i]:
        return "no fit"
    tie = "as good" if table["behind"][i] < TIE else ""
    return tie if table["eligible"][i] else "unsound"


def _component_part(summary: Summary) -> Table:
    return Table("Components, mean ± standard deviation", *component_table(summary))


def _more(summary: Summary) -> list[str]:
    hidden = len(summary["columns"]) - COLUMNS_SHOWN
    return [f"and {counted(hidden, 'more column')}"] if hidden > 0 else []


def shown(value: Any, width: int = WIDTH) -> str:
    """A value as plain text."""
    return laid_out(told(value), width)


def laid_out(said: Said, width: int = WIDTH) -> str:
    """What there is to say, in lines."""
    blocks = [[line for sentence in said.sentences for line in wrapped(sentence, width)]]
    for part in said.tables:
        inner = width - 2 if part.title else width
        named = [(name, text) for name, text, *_ in part.rows] if not part.header else []
        lines = table(part.header, part.rows, inner) if part.header else _listed(dict(named), inner)
        indent = "  " if part.title else ""
        blocks.append([*([part.title] if part.title else []), *(f"{indent}{line}".rstrip() for line in lines)])
    blocks.append([line for sentence in said.last for line in wrapped(sentence, width)])
    return "\n\n".join("\n".join(block) for block in blocks if block)


# All of a summary


def as_text(
    summary: Summary,
    width: int = WIDTH,
    *,
    most_columns: int | None = COLUMNS_SHOWN,
    changes: bool = True,
    bold: Callable[[str], str] = str,
) -> str:
    """The summary as plain text.

    Parameters
    ----------
    summary : dict
    width : int
        The most characters in a line.
    most_columns : int, optional
        How many columns of the components to show; None for all.
    changes : bool
        Whether to give advice in terms of the arguments of ``mixtura.fit``.
    bold : callable
        How to set off a title.
    """
    lines = [bold(line) for line in wrapped(headline(summary), width)]
    if origin(summary):
        lines += wrapped(origin(summary), width)
    inner = width - 2

    def section(title: str, body: Iterable[str]) -> None:
        lines.extend(["", bold(title), *(f"  {line}".rstrip() for line in body)])

    components = table(*component_table(summary, most_columns), inner)
    hidden = len(summary["columns"][most_columns:]) if most_columns is not None else 0
    if hidden:
        components += ["", f"and {counted(hidden, 'more column')}"]
    section("Components, mean ± standard deviation", components)
    if summary["rivals"]:
        rivals = table(*rival_table(summary), inner)
        section("Best candidates", rivals)
    section("Fit", _listed(dict(facts(summary)), inner))
    for title, said in (("Remarks", remarks(summary, changes=changes)), ("About the rows", summary["about_rows"])):
        if said:
            section(title, [line for remark in said for line in wrapped(remark, inner, "- ", "  ")])
    return "\n".join(lines)


#: What stands behind a criterion by the verdict on the candidate, and what that means.
MARKS = {"chosen": "*", "as good": "=", "unsound": "!"}
MEANINGS = {
    "chosen": "chosen",
    "as good": f"within {TIE:g} units of it, so as good",
    "unsound": "a component is empty or has collapsed",
}


def criterion_table(survey: Survey) -> Cells:
    """Header and rows: the criterion of every candidate, a row for each number of components."""
    numbers = survey.table()
    families = list(dict.fromkeys(numbers["covariance"]))
    values: dict[int, dict[str, str]] = {}
    for i, cell in enumerate(survey.cells):
        value = numbers[survey.criterion][i]
        shown = f"{value:,.1f}{MARKS.get(_verdict(survey, i, numbers), ' ')}" if math.isfinite(value) else "– "
        values.setdefault(cell.n_components, {})[cell.covariance] = shown
    rows = [[str(k), *(each.get(family, "") for family in families)] for k, each in sorted(values.items())]
    return ["K", *families], rows


def choice_as_text(survey: Survey, summary: Summary, width: int = WIDTH, *, bold: Callable[[str], str] = str) -> str:
    """The criterion of every candidate, the best ones, and what there is to say of them, as plain text."""
    rows, columns = counted(summary["rows"], "row"), counted(len(summary["columns"]), "column")
    lines = [bold(f"{counted(len(survey.cells), 'candidate')} for {rows} × {columns}")]
    inner = width - 2

    def section(title: str, body: Iterable[str]) -> None:
        lines.extend(["", bold(title), *(f"  {line}".rstrip() for line in body)])

    header, cells = criterion_table(survey)
    used = {cell[-1:] for row in cells for cell in row}
    legend = "; ".join(f"{MARKS[verdict]} {meaning}" for verdict, meaning in MEANINGS.items() if MARKS[verdict] in used)
    section(
        f"{survey.criterion.upper()}, smaller is better", [*table(header, cells, inner), "", *wrapped(legend, inner)]
    )
    if summary["rivals"]:
        section("Best candidates", table(*rival_table(summary), inner))
    said = remarks(summary, changes=False)
    if said:
        section("Remarks", [line for remark in said for line in wrapped(remark, inner, "- ", "  ")])
    return "\n".join(lines)


def totals_as_text(numbers: Mapping[str, float]) -> str:
    """``totals`` as plain text."""
    shown = {
        "rows": f"{numbers['rows']:,}",
        "sum of weights": number(numbers["weight"], 6),
        "log-likelihood": f"{numbers['loglik']:,.4f}",
        "mean a row": f"{numbers['mean_loglik']:,.6f}",
        "BIC": f"{numbers['bic']:,.4f}  (smaller is better, {numbers['n_parameters']} parameters)",
    }
    if numbers["weight"] == numbers["rows"]:
        del shown["sum of weights"]
    return "\n".join(_listed(shown))


def _listed(shown: Mapping[str, str], width: int = WIDTH) -> list[str]:
    """Lines of names and values."""
    margin = max(map(len, shown)) + 2
    return [line for name, value in shown.items() for line in wrapped(value, width, name.ljust(margin), " " * margin)]


def told_of_cross_table(table_: CrossTable) -> Said:
    """How labels meet, and how far they agree."""
    pairs = ", ".join(f"{a} = {b}" for a, b in table_.pairs)
    missing = f", {table_.missing:,} more without a label" if table_.missing else ""
    values = [
        ("rows", f"{table_.counts.sum():,}{missing}"),
        ("adjusted Rand index", f"{table_.adjusted_rand_index:.4f}"),
        ("agreement", f"{percent(table_.agreement)} with {pairs}"),
    ]
    rows = [[_title(str(a)), *(f"{n:,}" for n in line)] for a, line in zip(table_.rows, table_.counts, strict=True)]
    header = ["labels ", *(_title(str(b)) for b in table_.columns)]
    return Said([], [Table("", header, rows), Table("", [], values)])


def told_of_merging(merging: Merging) -> Said:
    """The stages of a merging, and the clusters suggested."""
    rows = [
        [
            str(len(stage.groups)),
            number(stage.entropy) if stage.entropy > 1e-9 else "0",
            "" if stage.united is None else " with ".join(map(_as_group, stage.united)),
            "" if stage.united is None else f"{stage.rows:,.0f}",
        ]
        for stage in merging.stages
    ]
    groups = " ".join(map(_as_group, merging.groups()))
    suggested = f"Suggested: {counted(merging.suggested, 'cluster')} of components {groups}"
    return Said([], [Table("", ["clusters", "entropy", "united ", "rows"], rows)], [suggested])


def cross_table_as_text(table_: CrossTable, width: int = WIDTH) -> str:
    """How labels meet, and how far they agree, as plain text."""
    return laid_out(told_of_cross_table(table_), width)


def merging_as_text(merging: Merging, width: int = WIDTH) -> str:
    """The stages of a merging, and the clusters suggested, as plain text."""
    return laid_out(told_of_merging(merging), width)


def _as_group(group: Iterable[int]) -> str:
    return f"{{{', '.join(map(str, group))}}}"


def correlations_as_text(model: Mixture, width: int = WIDTH, *, bold: Callable[[str], str] = str) -> str:
    """The correlations between the columns within each component, as plain text."""
    names = [_title(name) for name in column_names(model)]
    if model.n_features == 1:
        return ""
    lines = [bold("Correlations")]
    if model.structure.kind == "diagonal":
        return "\n".join([*lines, "  none: within a component, the columns of this family are independent"])
    shared = model.structure.kind == "tied"
    for k, matrix in enumerate(correlations(model)[:1] if shared else correlations(model)):
        rows = [
            [names[i], *(f"{matrix[i][j]:.3f}" if j < i else "" for j in range(len(names) - 1))]
            for i in range(1, len(names))
        ]
        head = "all components " if shared else f"component {k} "
        lines += [f"  {line}".rstrip() for line in [*([""] if k else []), *table([head, *names[:-1]], rows, width - 2)]]
    return "\n".join(lines)
