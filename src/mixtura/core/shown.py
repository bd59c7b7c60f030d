"""How the values of this library show themselves: they ask mixtura.text and mixtura.notebook, which know how.

That is the one look upwards, and is taken when something is printed.
"""

from __future__ import annotations

from importlib import import_module


class Shown:
    """A value with a text for ``print`` and HTML for a notebook."""

    def __str__(self) -> str:
        return import_module("mixtura.text").shown(self)

    def _repr_html_(self) -> str:
        return import_module("mixtura.notebook").shown(self)
