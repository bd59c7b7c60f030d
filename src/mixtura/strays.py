"""Rows without which a sample says what does not hold: that a column is constant, or columns bound by a relation.

A sample need not hold the few rows that tell otherwise. There a nominal variance would stand in (see
``covariance.idle``), beside which these rows would be billions of standard deviations off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mixtura.core.statistics import Array
from mixtura.covariance.idle import NULL_SHARE, directions
from mixtura.covariance.prior import about_the_heart, drawn_towards
from mixtura.sources.record import recordable
from mixtura.sources.sketch import ROUNDING, Sample, row_hashes
from mixtura.sources.source import Block, Source


def with_strays(source: Source, samples: Sequence[Sample], *, relations: bool) -> list[Sample]:
    """The samples, and in each those rows of the source that vary where the first one does not.

    Without ``relations`` only columns count that are constant there. It takes a pass, and one more for each row found.
    """
    samples, open_directions = list(samples), np.inf
    while not samples[0].complete:
        plane = _Plane.of(samples[0], relations=relations)
        if not 0 < plane.n_directions < open_directions:
            break
        open_directions = plane.n_directions
        found = source.total(partial(_first, plane))
        if found.order == _NONE:
            break
        samples = [_joined(each, found) for each in samples]
    return samples


#: Of the hashes that decide which of several rows is added.
SEED = np.uint64(0)


@dataclass(frozen=True, eq=False)
class _Plane:
    """Where the rows of a sample lie.

    Attributes
    ----------
    middle, unit : ndarray of shape (D,)
        Of constant columns, the unit is such that ``least`` is what tells a spread from rounding.
    moves : ndarray of shape (D,), bool
        Which columns are not constant.
    heart : ndarray
        The row in the middle, in those columns and their units.
    beside : ndarray
        The directions among them in which the rows do not vary.
    least : float
        The weighted square of a distance from which on it counts.
    """

    middle: Array
    unit: Array
    moves: NDArray[np.bool_]
    heart: Array
    beside: Array
    least: float

    @classmethod
    def of(cls, sample: Sample, *, relations: bool) -> _Plane:
        middle, spread = sample.middle_and_spread
        moves = np.asarray(spread > 0)
        size = np.maximum(np.abs(sample.box.low), np.abs(sample.box.high))
        of_constants = ROUNDING / np.sqrt(NULL_SHARE) * np.where(size > 0, size, 1.0)
        unit = np.where(moves, spread, of_constants)
        standard = ((sample.rows - middle) / unit)[:, moves]
        heart, beside, top = np.zeros(moves.sum()), np.zeros((moves.sum(), 0)), 1.0
        if relations:
            share = sample.weights / sample.weight
            heart, inside = about_the_heart(standard, share)
            found = directions(inside * np.sqrt(share)[:, None])
            beside, top = found.beside, found.top
        return cls(middle, unit, moves, heart, beside, NULL_SHARE * top * sample.weight)

    @property
    def n_directions(self) -> int:
        """In which the rows of the sample do not vary."""
        return int((~self.moves).sum()) + self.beside.shape[1]

    def misses(self, rows: Array, weights: Array) -> NDArray[np.bool_]:
        """Which rows are so far from it that it counts."""
        standard = (rows - self.middle) / self.unit
        across = drawn_towards(self.heart, standard[:, self.moves]) @ self.beside
        constant = np.minimum(np.abs(standard[:, ~self.moves]), 1 / NULL_SHARE)  # squares of more might overflow
        return weights * (np.square(across).sum(1) + np.square(constant).sum(1)) > self.least


@recordable
@dataclass(frozen=True, eq=False)
class _Row:
    """The row with the smallest hash; of copies, the heaviest."""

    row: Array
    weight: float
    order: int

    def __add__(self, other: _Row) -> _Row:
        return min(self, other, key=lambda each: (each.order, -each.weight))


#: In the place of a hash, where there is no row.
_NONE = 2**64


def _first(plane: _Plane, block: Block) -> _Row:
    """Of the rows that the plane misses."""
    rows, each = np.asarray(block.rows, dtype=np.float64), block.each
    off = plane.misses(rows, each)
    if not off.any():
        return _Row(plane.middle, 0.0, _NONE)
    rows, each = rows[off], each[off]
    hashes = row_hashes(rows, SEED)
    first = np.lexsort((-each, hashes))[0]
    return _Row(rows[first], float(each[first]), int(hashes[first]))


def _joined(sample: Sample, found: _Row) -> Sample:
    """The sample and that row, if it is not there."""
    if (sample.rows == found.row).all(1).any():
        return sample
    return Sample(
        np.vstack([sample.rows, found.row]), np.append(sample.weights, found.weight), sample.complete, sample.box
    )
