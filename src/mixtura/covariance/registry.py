"""The table of covariance families: the only place where a family's name is looked at.

A new family is one function in families.py and one line in ``FAMILIES``; nothing else in the library changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mixtura.core.statistics import Array, Kind
from mixtura.covariance import families
from mixtura.covariance.structure import Structure

#: What a letter of a family's name leaves free, from nothing (Identity) over one for all (Equal) to each (Variable).
_FREEDOM = "IEV"


@dataclass(frozen=True)
class Family:
    """One way for the covariance matrices of the components to be related.

    Attributes
    ----------
    name : str
        The name that results and files carry.
    mclust : str
        The three-letter name (Celeux & Govaert 1995).
    aliases : tuple of str
        Other names by which the family may be asked for.
    kind : {"full", "tied", "diagonal"}
        How its matrices are stored, and the shape of the scatter that ``update`` takes.
    update : callable
        (n, W) → structure: the exact M-step, see families.py.
    free : callable
        (K, D) → number of free parameters of the covariance matrices.
    tangent : callable or None
        Gradient in the structure's coordinates → its part along the family; with it the quasi-Newton optimiser works
        on the family, without it plain EM does.
    isotropic : bool
        Whether all columns of a component share one variance.
    """

    name: str
    mclust: str
    aliases: tuple[str, ...]
    kind: Kind
    update: Callable[[Array, Array], Structure]
    free: Callable[[int, int], int]
    tangent: Callable[[Array], Array] | None = None
    isotropic: bool = False

    def __reduce__(self) -> tuple[Callable[[str], Family], tuple[str]]:
        return get, (self.name,)

    def within(self, other: Family) -> bool:
        """Whether the other family holds every mixture of this one: no letter of its name leaves less free."""
        return all(
            _FREEDOM.index(mine) <= _FREEDOM.index(theirs)
            for mine, theirs in zip(self.mclust, other.mclust, strict=True)
        )

    def next_to(self, other: Family, families: Iterable[Family]) -> bool:
        """Whether one of the two is within the other with none of the families between them."""
        plain, rich = (self, other) if self.within(other) else (other, self)
        between = (f for f in families if f not in (plain, rich) and plain.within(f) and f.within(rich))
        return plain is not rich and plain.within(rich) and not any(between)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Free parameters of a mixture of this family: weights, means and covariances."""
        k, d = n_components, n_features
        return k - 1 + k * d + self.free(k, d)


def _all(slope: Array) -> Array:
    """The structure's coordinates are the family's own."""
    return slope


def _columns_alike(slope: Array) -> Array:
    """One logarithm of a scale for all columns of a component."""
    return np.repeat(slope.mean(1, keepdims=True), slope.shape[1], axis=1)


FAMILIES = (
    Family("full", "VVV", ("V",), "full", families.vvv, lambda k, d: k * d * (d + 1) // 2, _all),
    Family("tied", "EEE", ("E",), "tied", families.eee, lambda k, d: d * (d + 1) // 2, _all),
    Family("diag", "VVI", ("diagonal",), "diagonal", families.vvi, lambda k, d: k * d, _all),
    Family("spherical", "VII", (), "diagonal", families.vii, lambda k, d: k, _columns_alike, True),
)

_BY_NAME = {key.lower(): family for family in FAMILIES for key in (family.name, family.mclust, *family.aliases)}


def names() -> tuple[str, ...]:
    """The families' names, from the richest to the plainest."""
    return tuple(family.name for family in FAMILIES)


def get(name: str | Family) -> Family:
    """The family of that name (either kind of name, in any case).

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(name, Family):
        return name
    family = _BY_NAME.get(name.lower()) if isinstance(name, str) else None
    if family is None:
        known = ", ".join(f"{f.name} ({f.mclust})" for f in FAMILIES)
        raise ValueError(f"unknown covariance family {name!r}: choose one of {known}")
    return family


def several(asked: str | Family | Iterable[str | Family] | None, n_features: int) -> tuple[Family, ...]:
    """The families asked for: by one name or several, or all of them for "all" or None.

    Of the families that "all" or None stand for and that one column cannot tell apart, only the first.

    Raises
    ------
    ValueError
        If a name is unknown, or none is given.
    """
    if asked is None or (isinstance(asked, str) and asked.lower() == "all"):
        distinct = {(f.free(2, n_features), f.free(3, n_features)): f for f in reversed(FAMILIES)}
        return tuple(f for f in FAMILIES if n_features > 1 or f in distinct.values())
    named = [asked] if isinstance(asked, str | Family) else list(asked)
    if not named:
        raise ValueError("covariance is empty: name at least one family")
    return tuple(dict.fromkeys(get(name) for name in named))
