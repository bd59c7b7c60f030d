"""The table of covariance families: the only place where a family's name is looked at.

A new family is one function in families.py and one line in ``FAMILIES``; nothing else in the library changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixtura.core.statistics import Array, Kind
from mixtura.covariance import families
from mixtura.covariance.structure import SingularError, Structure

#: The maps of the rows under which a family is closed, so that they move a fit with them: all linear ones, changes of
#: the units of the columns, rotations and one change of unit for all columns, or only the latter.
Maps = Literal["linear", "units", "rotations", "one unit"]
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
    rule : callable
        (n, W) → structure: the exact M-step, see families.py. With ``continues``, (n, W, start) → structure.
    free : callable
        (K, D) → number of free parameters of the covariance matrices.
    tangent : callable or None
        (change, n) → its part along the family, for a change of the structure's coordinates: the nearest in the metric
        of the complete-data Fisher information of n rows a component. With it the quasi-Newton optimiser works on the
        family, which must then be a linear subspace of the coordinates; without it plain EM does.
    maps : {"linear", "units", "rotations", "one unit"}
        Under which maps of the rows the family is closed.
    pooled : bool
        Whether volume and shape are shared, so that the other components hold one without any scatter.
    continues : bool
        Whether the maximum is searched for from a start, by iteration; of several maxima it is the one near it.
    common_axes : bool
        Whether what is searched for are axes that all components share, which takes long in many columns.
    """

    name: str
    mclust: str
    aliases: tuple[str, ...]
    kind: Kind
    rule: Callable[..., Structure]
    free: Callable[[int, int], int]
    tangent: Callable[[Array, Array], Array] | None = None
    maps: Maps = "one unit"
    pooled: bool = False
    continues: bool = False
    common_axes: bool = False

    def __reduce__(self) -> tuple[Callable[[str], Family], tuple[str]]:
        return get, (self.name,)

    @property
    def isotropic(self) -> bool:
        """Whether all columns of a component share one variance: the columns are axes, and so is anything else."""
        return self.kind == "diagonal" and self.maps == "rotations"

    @property
    def one_unit(self) -> bool:
        """Whether it counts all columns in one unit, so that their scales have a say."""
        return self.maps not in ("linear", "units")

    def within(self, other: Family) -> bool:
        """Whether the other family holds every mixture of this one: no letter of its name leaves less free.

        Of a family whose name is not made of those letters only itself is known.
        """
        if not set(self.mclust + other.mclust) <= set(_FREEDOM):
            return self is other
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

    def update(self, n: Array, scatter: Array, start: Structure | None = None) -> Structure:
        """The exact M-step for the covariances (S16); where it has several local maxima, the one near ``start``.

        Raises
        ------
        SingularError
            If a matrix is not positive definite, or the numbers leave the range of double precision on the way.
        """
        try:
            with np.errstate(all="ignore"):  # what is not finite is found below
                structure = self.rule(n, scatter, start) if self.continues else self.rule(n, scatter)
                variances = structure.variances()
        except np.linalg.LinAlgError as error:
            raise SingularError(f"the covariances of the family {self.name} cannot be computed: {error}") from None
        if not ((variances > 0) & np.isfinite(variances)).all():
            raise SingularError(f"the covariances of the family {self.name} leave the range of double precision")
        return structure

    def nearest(self, structure: Structure, n: Array) -> Structure:
        """The structure itself, or its nearest in the family: the M-step of its own moments with n rows a component."""
        shape = structure.n_components, structure.n_features
        if structure.kind == self.kind and self.free(*shape) == structure.coordinates.size:
            return structure
        if self.kind == "diagonal":
            return self.update(n, n[:, None] * structure.variances())
        scatter = n[:, None, None] * structure.dense()
        return self.update(n, scatter.sum(0) if self.kind == "tied" else scatter)


# Tangents: the coordinates of a Diagonal are logarithms of its scales (K, D), with n_k rows' information each


def _all(change: Array, _n: Array) -> Array:
    """The structure's coordinates are the family's own."""
    return change


def _columns_alike(change: Array, _n: Array) -> Array:
    """VII: one number a component."""
    return np.repeat(change.mean(1, keepdims=True), change.shape[1], axis=1)


def _components_alike(change: Array, n: Array) -> Array:
    """EEI: one number a column."""
    return np.repeat((n @ change / n.sum())[None], len(n), axis=0)


def _all_alike(change: Array, n: Array) -> Array:
    """EII: one number."""
    return _components_alike(_columns_alike(change, n), n)


def _additive(change: Array, n: Array) -> Array:
    """VEI: a number for the component plus one for the column."""
    return _columns_alike(change, n) + _components_alike(change, n) - _all_alike(change, n)


def _means_alike(change: Array, n: Array) -> Array:
    """EVI: anything with the same mean over the columns in each component."""
    return change - _columns_alike(change, n) + _all_alike(change, n)


FAMILIES = (
    Family("full", "VVV", ("V",), "full", families.vvv, lambda k, d: k * d * (d + 1) // 2, _all, "linear"),
    Family("tied", "EEE", ("E",), "tied", families.eee, lambda k, d: d * (d + 1) // 2, _all, "linear", pooled=True),
    Family("diag", "VVI", ("diagonal",), "diagonal", families.vvi, lambda k, d: k * d, _all, "units"),
    Family("spherical", "VII", (), "diagonal", families.vii, lambda k, d: k, _columns_alike, "rotations"),
    Family("eii", "EII", (), "diagonal", families.eii, lambda k, d: 1, _all_alike, "rotations", pooled=True),
    Family("eei", "EEI", (), "diagonal", families.eei, lambda k, d: d, _components_alike, "units", pooled=True),
    Family("vei", "VEI", (), "diagonal", families.vei, lambda k, d: k + d - 1, _additive, "units", continues=True),
    Family("evi", "EVI", (), "diagonal", families.evi, lambda k, d: 1 + k * (d - 1), _means_alike, "units"),
    Family(
        "vee", "VEE", (), "full", families.vee, lambda k, d: k - 1 + d * (d + 1) // 2, maps="linear", continues=True
    ),
    Family(
        "eve", "EVE", (), "full", families.eve, lambda k, d: 1 + k * (d - 1) + d * (d - 1) // 2,
        maps="rotations", continues=True, common_axes=True,
    ),
    Family(
        "vve", "VVE", (), "full", families.vve, lambda k, d: k * d + d * (d - 1) // 2,
        maps="rotations", continues=True, common_axes=True,
    ),
    Family(
        "eev", "EEV", (), "full", families.eev, lambda k, d: d + k * d * (d - 1) // 2, maps="rotations", pooled=True
    ),
    Family(
        "vev", "VEV", (), "full", families.vev, lambda k, d: k + d - 1 + k * d * (d - 1) // 2,
        maps="rotations", continues=True,
    ),
    Family("evv", "EVV", (), "full", families.evv, lambda k, d: 1 + k * (d - 1) * (d + 2) // 2, maps="linear"),
)  # fmt: skip

#: What is tried of the largest tables where no family is named: those that scikit-learn has too.
USUAL = FAMILIES[:4]

_BY_NAME = {key.lower(): family for family in FAMILIES for key in (family.name, family.mclust, *family.aliases)}


def names() -> tuple[str, ...]:
    """The families' names, the usual ones first."""
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
        known = ", ".join(f"{f.name} ({f.mclust})" if f.name != f.mclust.lower() else f.name for f in FAMILIES)
        raise ValueError(f"unknown covariance family {name!r}: choose one of {known}")
    return family


def several(asked: str | Family | Iterable[str | Family], n_features: int) -> tuple[Family, ...]:
    """The families asked for: by one name or several, or "all" of them.

    Of the families that "all" stands for and that one column cannot tell apart, only the first.

    Raises
    ------
    ValueError
        If a name is unknown, or none is given.
    """
    if isinstance(asked, str) and asked.lower() == "all":
        distinct = {(f.free(2, n_features), f.free(3, n_features)): f for f in reversed(FAMILIES)}
        return tuple(f for f in FAMILIES if n_features > 1 or f in distinct.values())
    named = [asked] if isinstance(asked, str | Family) else list(asked)
    if not named:
        raise ValueError("covariance is empty: name at least one family")
    return tuple(dict.fromkeys(get(name) for name in named))
