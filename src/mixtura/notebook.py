"""The tables of mixtura.text as HTML for notebooks; whatever comes from the data is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from mixtura import text
from mixtura.summary import Summary
from mixtura.text import Said, Table

#: How it looks in a light or a dark notebook: in the notebook's own colours.
STYLE = (
    "<style>.mixtura{font-variant-numeric:tabular-nums;overflow-x:auto;max-width:100%}"
    ".mixtura table{border-collapse:collapse;margin:0 0 1em}"
    ".mixtura caption{text-align:left;font-weight:600;padding:.4em 0 .2em;caption-side:top}"
    ".mixtura th,.mixtura td{text-align:right;padding:.2em .7em;border:0;"
    "border-bottom:1px solid rgba(128,128,128,.3);white-space:nowrap}"
    ".mixtura tr,.mixtura thead{background:none;border:0}.mixtura thead th{border-bottom-width:2px;font-weight:600}"
    ".mixtura .l{text-align:left}.mixtura .facts td{text-align:left;white-space:normal}"
    ".mixtura .facts td:first-child{opacity:.75;white-space:nowrap}"
    ".mixtura .bar{display:block;height:.6em;border-radius:2px;background:#2d98f0}</style>"
)
#: The longest bar.
_BAR = "7em"


def as_html(summary: Summary) -> str:
    """A summary as an HTML fragment."""
    components = Table("Components, mean ± standard deviation", *text.component_table(summary))
    tables = [components]
    if summary["rivals"]:
        tables.append(Table("Best candidates", *text.rival_table(summary)))
    tables.append(Table("Fit", [], text.facts(summary)))
    lists = [
        _list(title, said)
        for title, said in (("Remarks", text.remarks(summary)), ("About the rows", summary["about_rows"]))
    ]
    return _framed([f"<p><strong>{_safe(text.headline(summary))}</strong></p>", _paragraphs([text.origin(summary)]),
                    *map(_table, tables), *lists])  # fmt: skip


def shown(value: Any) -> str:
    """A value of this library as an HTML fragment."""
    return fragment(text.told(value))


def fragment(said: Said) -> str:
    """What there is to say of a value, as an HTML fragment."""
    head = "".join(f"<p><strong>{_safe(sentence)}</strong></p>" for sentence in said.sentences)
    return _framed([head, *map(_table, said.tables), _paragraphs(said.last)])


def _framed(parts: Iterable[str]) -> str:
    return f"<div class='mixtura'>{STYLE}{''.join(parts)}</div>"


def _safe(value: str) -> str:
    return html.escape(text.harmless(value))


def _paragraphs(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{_safe(sentence)}</p>" for sentence in sentences if sentence)


def _list(title: str, said: Sequence[str]) -> str:
    items = "".join(f"<li>{_safe(sentence)}</li>" for sentence in said)
    return f"<p><strong>{title}</strong></p><ul>{items}</ul>" if said else ""


def _table(part: Table) -> str:
    title = f"<caption>{_safe(part.title)}</caption>" if part.title else ""
    if not part.header:
        rows = "".join(f"<tr><td>{_safe(name)}</td><td>{_safe(value)}</td></tr>" for name, value in part.rows)
        return f"<table class='facts'>{title}<tbody>{rows}</tbody></table>"
    head = "".join(f"<th{_side(name)}>{_safe(name.rstrip())}</th>" for name in part.header)
    rows = "".join(f"<tr>{_cells(part.header, row)}</tr>" for row in part.rows)
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _side(name: str) -> str:
    """What stands under a head that ends in a blank stands to the left, as in text."""
    return " class='l'" if name.endswith(" ") else ""


def _cells(header: Sequence[str], row: Sequence[str]) -> str:
    out: list[str] = []
    for name, value in zip(header, row, strict=True):
        if name == text.BAR:
            share = text.bar_length(value)
            out.append(
                f"<td class='l' style='min-width:{_BAR}'><span class='bar' style='width:{share:.1%}'></span></td>"
            )
        else:
            out.append(f"<td{_side(name)}>{_safe(value)}</td>")
    return "".join(out)
