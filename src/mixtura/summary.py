"""What a search found, as plain numbers, and those numbers as text or HTML. Nothing is computed while showing."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mixtura.choice import Cell
from mixtura.covariance import registry

#: Rivals shown beside the chosen model.
RIVALS_SHOWN = 5
#: Models whose criterion is this close to the best say much the same (Kass & Raftery, JASA 90 (1995)).
TIE = 2.0

Summary = dict[str, Any]


def summarise(cells: Sequence[Cell], best: Cell, criterion: str, columns: Sequence[str], rows: int) -> Summary:
    """Plain, JSON-able numbers of a search and of the model chosen from it."""
    fit = best.fit
    if fit is None:
        raise ValueError("the chosen cell has no fit")
    model, n = fit.model, fit.statistics.n
    fitted = sorted((c for c in cells if c.fit is not None and c is not best), key=lambda c: getattr(c, criterion))
    deviations = np.sqrt(np.diagonal(model.covariances, axis1=1, axis2=2))
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
        "components": [
            {
                "component": k,
                "weight": float(model.weights[k]),
                "rows": float(n[k]),
                "mean": {name: float(x) for name, x in zip(columns, model.means[k], strict=True)},
                "sd": {name: float(x) for name, x in zip(columns, deviations[k], strict=True)},
            }
            for k in range(model.n_components)
        ],
        "rivals": [_row(cell, criterion, best) for cell in fitted],
        "failed": [
            {"n_components": c.n_components, "covariance": c.covariance, "reason": c.reason}
            for c in cells
            if c.fit is None
        ],
        "notes": [note.sentence for note in best.notes],
        "advice": _advice(cells, best, criterion, fitted),
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


def _advice(cells: Sequence[Cell], best: Cell, criterion: str, fitted: Sequence[Cell]) -> list[str]:
    """What to do next, most useful first."""
    advice: list[str] = []
    tied = [c for c in fitted if c.eligible and getattr(c, criterion) - getattr(best, criterion) < TIE]
    if tied:
        names = ", ".join(f"{c.n_components} {c.covariance}" for c in tied)
        advice.append(f"Within {TIE:g} {criterion.upper()} units of the chosen model, so as good: {names}.")
    tried = [c.n_components for c in cells]
    if len(set(tried)) > 1 and best.n_components == max(tried):
        advice.append(f"The largest number of components tried was chosen: try more than {max(tried)}.")
    spurned = [c for c in fitted if not c.eligible and getattr(c, criterion) < getattr(best, criterion)]
    if spurned:
        names = ", ".join(f"{c.n_components} {c.covariance}" for c in spurned[:3])
        advice.append(f"Passed over in spite of a better {criterion.upper()}, for a component collapsed or empty: {names}.")
    if best.n_starts > 1 and best.n_agreeing == 1:
        advice.append(f"Only one of {best.n_starts} starts led here: more starts (n_init) may find better.")
    return advice


# As text


def number(value: float, digits: int = 4) -> str:
    """A number for people: at most so many significant digits, no needless zeros, thousands kept whole."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-4 <= abs(value) < 1e7:
        places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
        return f"{value:,.{min(places, 8)}f}"
    return f"{value:.{digits - 1}e}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(len(line[j]) for line in [header, *rows]) for j in range(len(header))]
    return [
        "  ".join(c.ljust(w) if j == 0 else c.rjust(w) for j, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in [header, *rows]
    ]


def headline(summary: Summary) -> str:
    """One sentence: what was found."""
    chosen = summary["chosen"]
    k = chosen["n_components"]
    return (
        f"{k} component{'s' * (k != 1)}, {chosen['covariance']} covariance ({chosen['mclust']}), "
        f"in {summary['rows']:,} rows × {len(summary['columns'])} column{'s' * (len(summary['columns']) != 1)}"
    )


def facts(summary: Summary) -> list[tuple[str, str]]:
    """Name and value of what is worth knowing about the chosen model."""
    chosen = summary["chosen"]
    starts = f"{chosen['starts_agreeing']} of {chosen['starts']} starts ended on this hill"
    if chosen["starts_failed"]:
        starts += f", {chosen['starts_failed']} failed"
    weight = summary["weight"]
    return [
        ("log-likelihood", f"{chosen['loglik']:,.4f}"),
        ("BIC / ICL / AIC", " / ".join(f"{chosen[name]:,.2f}" for name in ("bic", "icl", "aic")) + "  (smaller is better)"),
        ("free parameters", f"{chosen['n_parameters']:,}"),
        *([("sum of weights", number(weight, 6))] if weight != summary["rows"] else []),
        ("passes", f"{chosen['passes']:,}; {starts}"),
        ("gradient, gap", f"{chosen['gradient_norm']:.1e}, {chosen['gap']:.1e} nats a row still to gain"),
        ("status", chosen["sentence"]),
    ]


def component_table(summary: Summary, most_columns: int = 6) -> tuple[list[str], list[list[str]]]:
    """Header and rows: weight, and mean ± sd of the first columns."""
    columns = summary["columns"][:most_columns]
    header = ["component", "weight", "rows", *columns]
    if len(columns) < len(summary["columns"]):
        header.append(f"… {len(summary['columns']) - len(columns)} more")
    rows = [
        [
            str(c["component"]),
            f"{100 * c['weight']:.1f} %",
            number(c["rows"], 5),
            *(f"{number(c['mean'][name])} ± {number(c['sd'][name], 3)}" for name in columns),
            *([""] * (len(header) - 3 - len(columns))),
        ]
        for c in summary["components"]
    ]
    return header, rows


def rival_table(summary: Summary, most: int = RIVALS_SHOWN) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the chosen model and the next best."""
    criterion = summary["criterion"]
    header = ["components", "covariance", criterion.upper(), "behind", "log-likelihood", "parameters"]
    rows = [
        [
            str(r["n_components"]),
            r["covariance"],
            f"{r[criterion]:,.2f}",
            f"{r['behind']:+,.2f}" if r is not summary["chosen"] else "chosen",
            f"{r['loglik']:,.2f}",
            str(r["n_parameters"]),
        ]
        for r in [summary["chosen"], *summary["rivals"][:most]]
    ]
    return header, rows


def as_text(summary: Summary) -> str:
    """The summary as plain text of at most about 100 columns."""
    lines = [headline(summary), ""]
    facts_ = facts(summary)
    width = max(len(name) for name, _ in facts_)
    lines += [f"{name:<{width}}  {value}" for name, value in facts_]
    lines += ["", *table(*component_table(summary))]
    if summary["rivals"]:
        lines += ["", *table(*rival_table(summary))]
    remarks = [*summary["notes"], *summary["advice"]]
    if summary["failed"]:
        names = ", ".join(f"{f['n_components']} {f['covariance']}" for f in summary["failed"])
        remarks.append(f"Could not be fitted: {names} ({summary['failed'][0]['reason']}).")
    if remarks:
        lines += ["", *(f"* {remark}" for remark in remarks)]
    return "\n".join(lines)


def as_html(summary: Summary) -> str:
    """The summary as an HTML fragment; whatever comes from the data is escaped."""

    def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        head = "".join(f"<th>{html.escape(c)}</th>" for c in header)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    remarks = "".join(f"<li>{html.escape(r)}</li>" for r in [*summary["notes"], *summary["advice"]])
    return (
        f"<div class='mixtura'><p><strong>{html.escape(headline(summary))}</strong></p>"
        + html_table(["", ""], facts(summary)).replace("<thead><tr><th></th><th></th></tr></thead>", "")
        + html_table(*component_table(summary))
        + (html_table(*rival_table(summary)) if summary["rivals"] else "")
        + (f"<ul>{remarks}</ul>" if remarks else "")
        + "</div>"
    )
