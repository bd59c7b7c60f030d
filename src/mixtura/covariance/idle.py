"""Directions in which the rows do not vary at all, and covariances that leave them alone.

A constant column, or an exact linear relation between columns, makes every covariance matrix singular. The rows cannot
tell a variance there, so it gets a nominal value, the same in every component, which moves no responsibility. The
M-step of a family is that of the directions in which the rows do vary; so its constraints, that volumes are equal for
instance, hold there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mixtura.core.statistics import Array
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Diagonal, Full, SingularError, Structure, Tied, triangle_of

#: A direction whose share of the (correlation-scaled) variance is below this does not vary at all.
NULL_SHARE = 1e-12
#: The variance given to such a direction, in the same units.
NULL_VARIANCE = 1e-10
#: A constant below this size counts as zero: of smaller ones the nominal variance would underflow.
LEAST_SIZE = 1e-140
#: A column takes part in linear relations when its (squared) share in those directions is more than this.
RELATED = 1e-6


@dataclass(frozen=True)
class Idle:
    """Which directions these are.

    Attributes
    ----------
    constant : tuple of int
        Columns with one value.
    related : tuple of int
        Other columns that take part in exact linear relations.
    relations : int
        How many of these there are; they are not looked for where columns count one by one.
    """

    constant: tuple[int, ...] = ()
    related: tuple[int, ...] = ()
    relations: int = 0

    @property
    def directions(self) -> int:
        """How many there are."""
        return len(self.constant) + self.relations


#: The rows vary in every direction.
NOWHERE = Idle()


class Span(Protocol):
    """The directions that do vary, in coordinates of their own, and the nominal variance of the others.

    For covariances that are all diagonal, or for those that are not.
    """

    diagonal: ClassVar[bool]

    def reduced(self, scatter: Array) -> Array:
        """Scatters in those coordinates."""
        ...

    def within(self, structure: Any) -> Structure:
        """The covariances in those coordinates."""
        ...

    def filled(self, structure: Any) -> Structure:
        """The covariances in the columns, from those in those coordinates."""
        ...


@dataclass(frozen=True, eq=False)
class Columns:
    """Some columns, where these are uncorrelated.

    Attributes
    ----------
    varied : ndarray of shape (D,), bool
    nominal : ndarray of shape (D,)
        Standard deviations of the others.
    """

    varied: NDArray[np.bool_]
    nominal: Array
    diagonal: ClassVar[bool] = True

    def reduced(self, scatter: Array) -> Array:
        """Scatters (K, D) in those columns."""
        return scatter[:, self.varied]

    def within(self, structure: Diagonal) -> Diagonal:
        """The covariances in those columns."""
        return Diagonal(structure.scale[:, self.varied])

    def filled(self, structure: Diagonal) -> Diagonal:
        """The covariances in all columns."""
        scale = np.repeat(self.nominal[None], len(structure.scale), axis=0)
        scale[:, self.varied] = structure.scale
        return Diagonal(scale)


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane of d dimensions, given by a basis.

    Attributes
    ----------
    there : ndarray of shape (d, D)
        Rows, less a point of the plane, to coordinates.
    back : ndarray of shape (D, d)
        The other way.
    nominal : ndarray of shape (D, D − d)
        A root of the covariance that stands in for the other directions.
    """

    there: Array
    back: Array
    nominal: Array
    diagonal: ClassVar[bool] = False

    def reduced(self, scatter: Array) -> Array:
        """Scatters (…, D, D) in the coordinates."""
        return self.there @ scatter @ self.there.T

    def within(self, structure: Full | Tied) -> Full | Tied:
        """The covariances in the coordinates."""
        return self._like(structure, triangle_of(self.there @ structure.cholesky))

    def filled(self, structure: Full | Tied) -> Full | Tied:
        """The covariances in the columns."""
        across = self.back @ structure.cholesky
        rest = np.broadcast_to(self.nominal, (*across.shape[:-1], self.nominal.shape[1]))
        factor = triangle_of(np.concatenate([across, rest], axis=-1))
        if not (np.diagonal(factor, axis1=-2, axis2=-1) > 0).all():
            raise SingularError("a covariance matrix is not positive definite: the columns are too unequal")
        return self._like(structure, factor)

    @staticmethod
    def _like(structure: Full | Tied, factor: Array) -> Full | Tied:
        return Tied(factor, structure.size) if isinstance(structure, Tied) else Full(factor)


def unit_of_constants(values: Array, spread: Array, family: Family) -> Array:
    """(D,) the unit that a column of one value would have: its own size, or 1 where that is zero or near it.

    Where columns count in one unit, it is that of the widest other.
    """
    size = np.abs(values)
    if family.one_unit:
        size = np.full_like(size, spread.max() if spread.any() else size.max())
    return np.where(size > LEAST_SIZE, size, 1.0)


def idle_columns(constant: NDArray[np.bool_], unit: Array, family: Family) -> tuple[Idle, Span | None]:
    """Of columns that are uncorrelated; an isotropic family has one variance, which any other column gives."""
    idle = Idle(tuple(np.flatnonzero(constant).tolist()))
    if not constant.any() or (family.isotropic and not constant.all()):
        return idle, None
    return idle, Columns(~constant, np.sqrt(NULL_VARIANCE) * unit)


def idle_plane(found: Directions, moves: NDArray[np.bool_], unit: Array, family: Family) -> tuple[Idle, Span | None]:
    """Of the directions among the columns that move, in these units; the other columns are constant."""
    within, beside = found.within, found.beside
    if within.shape[1] == len(moves):
        return NOWHERE, None
    constant, moving = np.flatnonzero(~moves), np.flatnonzero(moves)
    related = moving[np.square(beside).sum(1) > RELATED]
    idle = Idle(tuple(constant.tolist()), tuple(related.tolist()), beside.shape[1])
    size = np.sqrt(NULL_VARIANCE)
    if not family.one_unit:
        varied, others = _apart(within, beside, moves)
        return idle, Plane(varied.T / unit, unit[:, None] * varied, size * unit[:, None] * others)
    axes = np.linalg.qr(unit[moves, None] * within, mode="complete")[0]  # at right angles, for rotations to be such
    across, rest = _apart(axes[:, : within.shape[1]], axes[:, within.shape[1] :], moves)
    return idle, Plane(across.T, across, size * unit.max() * rest)


class Directions(NamedTuple):
    """Those in which rows vary, (D, d), the others, (D, D − d), how much they do, (d,), and at the most, or 1."""

    within: Array
    beside: Array
    values: Array
    top: float


def directions(standard: Array) -> Directions:
    """Those of rows (N, D), centred and in the units of their spread."""
    values, vectors = principal(standard)
    top = float(values.max(initial=1.0))
    varies = values > NULL_SHARE * top
    within = vectors[:, varies]
    return Directions(within, np.linalg.qr(within, mode="complete")[0][:, within.shape[1] :], values[varies], top)


def _apart(within: Array, beside: Array, moves: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Directions among the columns that move as ones among all; constant columns are others by themselves.

    Not but for rounding: in a column of small numbers it might be more than those.
    """
    across, rest = np.zeros((len(moves), within.shape[1])), np.eye(len(moves))[:, ~moves]
    across[moves] = within
    others = np.zeros((len(moves), beside.shape[1]))
    others[moves] = beside
    return across, np.concatenate([others, rest], axis=1)


def principal(rows: Array) -> tuple[Array, Array]:
    """Eigenvalues of XᵀX, in ascending order, and eigenvectors (D, M); M = D, or N where the rows are fewer."""
    n_rows, n_features = rows.shape
    if n_rows >= n_features:
        values, vectors = np.linalg.eigh(rows.T @ rows)
        return values, vectors
    _, sizes, vectors = np.linalg.svd(rows, full_matrices=False)
    return np.square(sizes[::-1]), vectors[::-1].T
