"""Formulas as MathML, which browsers draw themselves: no script, no request, and they print."""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert


def _written(latex: str, display: str) -> str:
    """MathML of a formula; an error if a command is not known."""
    out = convert(latex, display=display)
    unknown = re.findall(r"\\[A-Za-z|]+", out)
    if unknown:
        raise ValueError(f"{', '.join(unknown)} in the formula {latex!r} has no MathML")
    return out


def inline(translator, node) -> None:
    """A formula in a line."""
    translator.body.append(_written(node.astext(), "inline"))
    raise nodes.SkipNode


def block(translator, node) -> None:
    """A formula by itself."""
    translator.body.append(f'<div class="math">{_written(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app) -> None:
    """Draw formulas so."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
