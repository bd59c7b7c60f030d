"""What a search found, as plain numbers, and those numbers as text or HTML. Nothing is computed while showing."""

from __future__ import annotations

import html
import json
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.choice import Cell, bic
from mixtura.core.mixture import Mixture
from mixtura.core.status import Status
from mixtura.covariance import registry
from mixtura.kernels import Rows

#: Rivals shown beside the chosen model.
RIVALS_SHOWN = 5
#: Columns shown of each component, unless more are asked for.
COLUMNS_SHOWN = 6
#: Models whose criterion is this close to the best say much the same (Kass & Raftery, JASA 90 (1995)).
TIE = 2.0
#: Characters in a line of text, unless another width is asked for.
WIDTH = 80
#: The widest that a name of a column may be in a table, and the longest bar.
NAME_WIDTH = 20
BAR_WIDTH = 12

Summary = dict[str, Any]
#: Header and rows of a table.
Cells = tuple[list[str], list[list[str]]]


def summarise(cells: Sequence[Cell], best: Cell, criterion: str, columns: Sequence[str], rows: int) -> Summary:
    """Plain, JSON-able numbers of a search and of the model chosen from it."""
    fit = best.fit
    if fit is None:
        raise ValueError("the chosen cell has no fit")
    fitted = sorted((c for c in cells if c.fit is not None and c is not best), key=lambda c: getattr(c, criterion))
    return {
        "rows": rows,
        "weight": fit.statistics.weight,
        "columns": list(columns),
        "criterion": criterion,
        "chosen": {
            **_row(best, criterion, best),
            "status": fit.status.name.lower(),
            "sentence": fit.status.value,
            "converged": fit.converged,
            "gradient_norm": fit.gradient_norm,
            "gap": fit.gap,
            "passes": fit.n_iter,
            "starts": best.n_starts,
            "starts_failed": best.n_failed,
            "starts_agreeing": best.n_agreeing,
        },
        "components": _components(fit.model, columns, fit.statistics.n),
        "rivals": [_row(cell, criterion, best) for cell in fitted],
        "failed": [
            {"n_components": c.n_components, "covariance": c.covariance, "reason": c.reason}
            for c in cells
            if c.fit is None
        ],
        "notes": [note.sentence for note in best.notes],
        "advice": _advice(cells, best, criterion, fitted),
    }


#: What a saved model may tell of its fit beside itself, and of which type each is.
_REMEMBERED = {
    **dict.fromkeys(("loglik", "bic", "icl", "aic", "gradient_norm", "gap"), float),
    **dict.fromkeys(("passes", "starts", "starts_failed", "starts_agreeing"), int),
    **dict.fromkeys(("status", "sentence"), str),
    "converged": bool,
}


def describe(model: Mixture, family: str, metadata: Mapping[str, Any]) -> Summary:
    """The summary of a model alone; of its fit, what ``remember`` put into the metadata."""
    columns = column_names(model)
    known = registry.get(family)

    def told(key: str, kind: type) -> Any:
        return metadata[key] if _is(kind, metadata.get(key)) else None

    chosen, weight = told("chosen", dict) or {}, told("weight", float)
    return {
        **({"command": metadata["command"]} if told("command", str) else {}),
        "rows": told("rows", int),
        "weight": weight,
        "columns": list(columns),
        "criterion": told("criterion", str),
        "chosen": {
            "n_components": model.n_components,
            "covariance": known.name,
            "mclust": known.mclust,
            "n_parameters": known.n_parameters(model.n_components, model.n_features),
            **{key: chosen[key] for key, kind in _REMEMBERED.items() if _is(kind, chosen.get(key))},
        },
        "components": _components(model, columns, None if weight is None else weight * model.weights),
        "rivals": [],
        "failed": [],
        "notes": [note for note in told("notes", list) or [] if isinstance(note, str)],
        "advice": [],
    }


def remember(summary: Summary) -> dict[str, Any]:
    """What of a summary belongs into the metadata of a model file; the rest is in the model itself."""
    chosen = {key: summary["chosen"][key] for key in _REMEMBERED}
    kept = {key: summary[key] for key in ("rows", "weight", "criterion", "notes")}
    return finite({**kept, "chosen": chosen})


def _is(kind: type, value: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def column_names(model: Mixture) -> tuple[str, ...]:
    """The columns' names, or x1 … xD where they have none."""
    return model.columns or tuple(f"x{j}" for j in range(1, model.n_features + 1))


def _components(model: Mixture, columns: Sequence[str], n: NDArray[np.float64] | None) -> list[Summary]:
    return [
        {
            "component": k,
            "weight": float(model.weights[k]),
            **({} if n is None else {"rows": float(n[k])}),
            "mean": {name: float(x) for name, x in zip(columns, model.means[k], strict=True)},
            "sd": {name: float(x) for name, x in zip(columns, _factor(model, k)[0], strict=True)},
        }
        for k in range(model.n_components)
    ]


def _factor(model: Mixture, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard deviations s (D,) of a component and U (D, D): its covariance is diag(s) U Uᵀ diag(s)."""
    factor = model.structure.factor(k)
    deviations = np.linalg.norm(factor, axis=1)
    return deviations, factor / deviations[:, None]


def correlations(model: Mixture) -> list[list[list[float]]]:
    """The correlation matrix of each component, (K, D, D)."""
    units = (_factor(model, k)[1] for k in range(model.n_components))
    return [(unit @ unit.T).tolist() for unit in units]


def per_row(model: Mixture, rows: Rows) -> dict[str, NDArray[Any]]:
    """Columns for each row: ``label``, its ``probability``, ``log_density``, and p0 … p(K−1) of all (S10)."""
    density, share = model.posterior(rows)
    labels = share.argmax(1)
    return {
        "label": labels,
        "probability": share[np.arange(len(share)), labels],
        "log_density": density,
        **{f"p{k}": share[:, k] for k in range(model.n_components)},
    }


def totals(model: Mixture, family: str, rows: Rows, sample_weight: ArrayLike | None = None) -> dict[str, float]:
    """How well a model describes rows: the log-likelihood (S11), its mean, and BIC as if it were fitted to them."""
    weight = float(len(rows) if sample_weight is None else np.sum(sample_weight))
    loglik = model.loglik(rows, sample_weight)
    free = registry.get(family).n_parameters(model.n_components, model.n_features)
    return {
        "rows": len(rows),
        "weight": weight,
        "loglik": loglik,
        "mean_loglik": loglik / weight,
        "n_parameters": free,
        "bic": bic(loglik, free, weight),
    }


def _row(cell: Cell, criterion: str, best: Cell) -> Summary:
    return {
        "n_components": cell.n_components,
        "covariance": cell.covariance,
        "mclust": registry.get(cell.covariance).mclust,
        "n_parameters": cell.n_parameters,
        "loglik": cell.loglik,
        "bic": cell.bic,
        "icl": cell.icl,
        "aic": cell.aic,
        "behind": getattr(cell, criterion) - getattr(best, criterion),
        "eligible": cell.eligible,
    }


def _advice(cells: Sequence[Cell], best: Cell, criterion: str, fitted: Sequence[Cell]) -> list[Summary]:
    """What to do next, most useful first: sentences, each with the arguments of ``fit`` to change, if any."""
    advice: list[Summary] = []

    def say(sentence: str, **change: Any) -> None:
        advice.append({"sentence": sentence, "change": change})

    if best.fit is not None and best.fit.status is Status.MAX_ITER:
        say("The chosen model has not converged; it needs more passes.", max_iter=10 * best.fit.n_iter)
    elif best.n_starts > 1 and best.n_agreeing == 1:
        say(f"Only one of {best.n_starts} starts led here; another may lead higher.", n_init=4 * best.n_starts)
    tried = [c.n_components for c in cells]
    most = max(tried)
    if len(set(tried)) > 1 and best.n_components == most:
        further = [*range(most, 2 * most + 1)]
        say("The largest number of components tried was chosen; more may be better.", n_components=further)
    close = [c for c in fitted if c.eligible and getattr(c, criterion) - getattr(best, criterion) < TIE]
    same = [c for c in close if _same(c, best)]
    if same:
        say(f"The same model under other names: {_named(same)}.")
    if len(close) > len(same):
        others = [c for c in close if c not in same]
        say(f"Within {TIE:g} {criterion.upper()} units of the chosen model, so as good: {_named(others)}.")
    spurned = [c for c in fitted if not c.eligible and getattr(c, criterion) < getattr(best, criterion)]
    if spurned:
        say(
            f"Passed over in spite of a better {criterion.upper()}, "
            f"for a component collapsed or empty: {_named(spurned[:RIVALS_SHOWN])}."
        )
    return advice


def _same(one: Cell, other: Cell) -> bool:
    """Whether two families coincide here, as they may for one column or one component."""
    size = (one.n_components, one.n_parameters) == (other.n_components, other.n_parameters)
    return size and math.isclose(one.loglik, other.loglik, rel_tol=1e-6)


def _named(cells: Iterable[Cell]) -> str:
    return ", ".join(f"{c.n_components} {c.covariance}" for c in cells)


def finite(value: Any) -> Any:
    """The same value with None for each number that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: finite(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_json(summary: Mapping[str, Any]) -> str:
    """As JSON, in ASCII."""
    return json.dumps(finite(summary), indent=1, allow_nan=False)


# Numbers and names as text


def number(value: float, digits: int = 4) -> str:
    """A number for people: at most so many significant digits, no needless zeros, thousands kept whole."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-4 <= abs(value) < 1e7:
        places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
        return f"{value:,.{min(places, 8)}f}"
    return f"{value:.{digits - 1}e}"


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
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()


def _power(value: float) -> int:
    """The power of ten in front of a number's first digit."""
    return math.floor(math.log10(max(value, 1e-300)))


def _with_deviations(means: Sequence[float], deviations: Sequence[float]) -> list[str]:
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
    rows = "" if summary["rows"] is None else f"{_counted(summary['rows'], 'row')} × "
    return (
        f"{_counted(chosen['n_components'], 'component')}, {chosen['covariance']} covariance ({chosen['mclust']}), "
        f"in {rows}{_counted(len(summary['columns']), 'column')}"
    )


def _counted(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'s' * (n != 1)}"


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
    criteria = [name for name in ("bic", "icl", "aic") if name in chosen]
    if criteria:
        values = " / ".join(f"{chosen[name]:,.2f}" for name in criteria)
        out.append((" / ".join(name.upper() for name in criteria), f"{values}  (smaller is better)"))
    out.append(("free parameters", f"{chosen['n_parameters']:,}"))
    if weight is not None and weight != summary["rows"]:
        out.append(("sum of weights", number(weight, 6)))
    return out


def component_table(summary: Summary, most_columns: int | None = COLUMNS_SHOWN) -> Cells:
    """Header and rows: weight, and mean ± sd of the first columns."""
    components = summary["components"]
    columns = summary["columns"][:most_columns]
    heaviest = max(c["weight"] for c in components)
    cells: dict[str, list[str]] = {
        "# ": [str(c["component"]) for c in components],
        "weight": [f"{100 * c['weight']:.1f} %" for c in components],
        " ": [_bar(c["weight"] / heaviest) for c in components],
    }
    if all("rows" in c for c in components):
        few = sum(c["rows"] for c in components) < 10 * len(components)
        cells["rows"] = [number(c["rows"], 3) if few else f"{c['rows']:,.1f}" for c in components]
    out = [[head, *column] for head, column in cells.items()]
    for name in columns:
        pairs = _with_deviations([c["mean"][name] for c in components], [c["sd"][name] for c in components])
        out.append([_title(name), *pairs])
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


def remarks(summary: Summary, *, changes: bool = True) -> list[str]:
    """Notes and advice; without ``changes``, only the advice that asks for no other arguments of ``fit``."""
    out = list(summary["notes"])
    for advice in summary["advice"]:
        if not advice["change"]:
            out.append(advice["sentence"])
        elif changes:
            arguments = ", ".join(f"{key}={_as_code(value)}" for key, value in advice["change"].items())
            out.append(f"{advice['sentence']} Try fit(…, {arguments}).")
    if summary["failed"]:
        names = ", ".join(f"{f['n_components']} {f['covariance']}" for f in summary["failed"])
        out.append(f"Could not be fitted: {names} ({summary['failed'][0]['reason']}).")
    return out


def _as_code(value: Any) -> str:
    return f"range({value[0]}, {value[-1] + 1})" if isinstance(value, list) else str(value)


# All of it


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
        components += ["", f"and {_counted(hidden, 'more column')}"]
    section("Components, mean ± standard deviation", components)
    if summary["rivals"]:
        rivals = table(*rival_table(summary), inner)
        section("Best candidates", rivals)
    told = facts(summary)
    margin = max(len(name) for name, _ in told) + 2
    fit_lines: list[str] = []
    for name, value in told:
        fit_lines += wrapped(value, inner, name.ljust(margin), " " * margin)
    section("Fit", fit_lines)
    said = remarks(summary, changes=changes)
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
    margin = max(map(len, shown)) + 2
    return "\n".join(f"{name:<{margin}}{value}" for name, value in shown.items())


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


def as_html(summary: Summary) -> str:
    """The summary as an HTML fragment; whatever comes from the data is escaped."""

    def line(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    def html_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        head = f"<thead>{line('th', header)}</thead>" if header else ""
        return f"<table>{head}<tbody>{''.join(line('td', row) for row in rows)}</tbody></table>"

    said = "".join(f"<li>{html.escape(harmless(remark))}</li>" for remark in remarks(summary))
    return (
        f"<div class='mixtura'><p><strong>{html.escape(headline(summary))}</strong></p>"
        + (f"<p>{html.escape(origin(summary))}</p>" if origin(summary) else "")
        + html_table(*component_table(summary))
        + (html_table(*rival_table(summary)) if summary["rivals"] else "")
        + html_table([], facts(summary))
        + (f"<ul>{said}</ul>" if said else "")
        + "</div>"
    )
