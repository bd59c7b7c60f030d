"""The report as Markdown: all that the page says, without its pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mixtura.report.content import Cell, Content, Table
from mixtura.text import harmless

#: What Markdown, or the HTML that it may hold, would take for its own.
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~!&$@]|:(?=//)|(?<=www)\.)")


def render(content: Content) -> str:
    """The report."""
    candidates = [] if content.candidates is None else ["## The model and its rivals", *_table(content.candidates)]
    overlap = [] if content.overlap is None else _table(content.overlap)
    particular = ["### What is particular about each", _list(content.told_apart)] if content.told_apart else []
    about = ["### About the rows", _list(content.about_rows)] if content.about_rows else []
    parts = [
        f"# {plain(content.title)}",
        *([plain(content.choice)] if content.choice else []),
        "## What was found",
        plain(content.found),
        _list(f"{name}: {value}, {remark}" for name, value, remark in content.tiles),
        "## What to mind",
        *(_mind(content) or ["Nothing: the fit has arrived, and no component is empty, has collapsed or coincides."]),
        *about,
        "## What was asked",
        _facts(content.asked),
        *candidates,
        "## Components",
        *_table(content.components),
        *particular,
        "## Overlap",
        plain(content.overlap_said),
        *overlap,
        "## Convergence",
        _facts(content.end),
        "## Use the model",
        *(part for code in content.use for part in (f"{plain(code.sentence)}:", _code(code.text))),
        "## Make it again",
        _facts(content.reproduce),
    ]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text that stays text."""
    return _ACTIVE.sub(r"\\\1", harmless(text))


def _mind(content: Content) -> list[str]:
    out: list[str] = []
    for point in content.mind:
        out.append(f"**{plain(point.sentence)}**")
        if point.command:
            out.append(_code(point.command))
    return out


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    return _list(f"{name}: {value}" for name, value in pairs)


def _code(code: str) -> str:
    """A block of code; four blanks before each line, as nothing in it can end that."""
    return "\n".join(f"    {harmless(line)}".rstrip() for line in code.split("\n"))


def _table(table: Table) -> list[str]:
    rule = [":--" if j == 0 or j in table.left else "--:" for j in range(len(table.heads))]
    lines = [[plain(head) for head in table.heads], rule, *([_cell(c) for c in row.cells] for row in table.rows)]
    return [plain(table.caption), "\n".join(f"| {' | '.join(line)} |" for line in lines)]


def _cell(cell: Cell) -> str:
    return plain(f"{cell.text} ± {cell.detail}" if cell.detail else cell.text)
