"""A bounded sample of a source that depends on its rows and on nothing else.

Of all distinct rows those with the smallest hash are kept, each with the summed weight of its copies. So neither the
order of the rows, nor the cut into blocks, nor whether a row is written twice or given weight 2 changes the sample,
and sketches of parts of the data add up to that of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mixtura.lazy import cached_property
from mixtura.sources.memory import Memory
from mixtura.sources.record import recordable
from mixtura.sources.source import Block, Source

Floats64 = NDArray[np.float64]
Hashes = NDArray[np.uint64]

#: How many times as many rows as are wanted are looked at more closely; and are held before the rest is let go.
SPARE = 1.5

#: Numbers held in any case.
HELD = 262_144

#: Standardised numbers are drawn in to this size: their squares, times weights, then stay finite.
FURTHEST = 1e100
#: A column is constant when it spreads over no more than this part of its size: such differences come from rounding.
ROUNDING = 8 * float(np.finfo(np.float64).eps)
#: Interquartile range of the standard normal.
NORMAL_QUARTILES = 1.3489795003921634

_LARGEST = np.uint64(2**64 - 1)
_ODD = np.uint64(0x9E3779B97F4A7C15)
_SEEDS = (np.uint64(1), np.uint64(2))
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@recordable
@dataclass(frozen=True, eq=False)
class Box:
    """The least box around rows, (D,) each; boxes add."""

    low: Floats64
    high: Floats64

    @classmethod
    def around(cls, rows: NDArray[np.floating]) -> Box:
        """That of these rows; of none, one that adds nothing."""
        low, high = rows.min(0, initial=np.inf), rows.max(0, initial=-np.inf)
        return cls(low.astype(np.float64), high.astype(np.float64))

    def __add__(self, other: Box) -> Box:
        return Box(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


@dataclass(frozen=True, eq=False)
class Sketch:
    """Rows, some of them perhaps copies of others, among which are the distinct ones with the smallest hashes.

    Attributes
    ----------
    limit : int
        The most distinct rows that are wanted.
    hashes, rows, weights : ndarray
        (M,), (M, D) and (M,).
    complete : bool
        Whether every distinct row is there.
    box : Box
        Around all rows, whether they are there or not.
    """

    limit: int
    hashes: Hashes
    rows: Floats64
    weights: Floats64
    complete: bool
    box: Box

    def __add__(self, other: Sketch) -> Sketch:
        hashes = np.concatenate([self.hashes, other.hashes])
        rows = np.concatenate([self.rows, other.rows])
        weights = np.concatenate([self.weights, other.weights])
        both = Sketch(self.limit, hashes, rows, weights, self.complete and other.complete, self.box + other.box)
        return both if len(hashes) < SPARE * self.limit + HELD // rows.shape[1] else both.kept()

    def kept(self) -> Sketch:
        """Copies merged, and no more rows than are wanted, in the order of their hashes."""
        if not len(self.hashes):
            return self
        order = np.argsort(self.hashes)
        hashes, weights = self.hashes[order], self.weights[order]
        first = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        wanted = first[: self.limit]
        merged = np.add.reduceat(weights, first)[: self.limit]  # of all copies
        complete = self.complete and len(wanted) == len(first)
        return Sketch(self.limit, hashes[wanted], self.rows[order[wanted]], merged, complete, self.box)


class Sample(Memory):
    """Distinct rows of a source, each with the weight of its copies, in lexicographic order.

    That order is the one which shifting the rows and changing the unit of a column preserve.

    Attributes
    ----------
    complete : bool
        Whether every distinct row is there, so that the sample stands for the source.
    weight : float
        Of all its rows together.
    box : Box
        Around all rows of the source.
    one_unit : bool
        Whether one unit stands for all columns.
    """

    rows: Floats64
    weights: Floats64

    def __init__(
        self, rows: Floats64, weights: Floats64, complete: bool, box: Box | None = None, *, one_unit: bool = False
    ) -> None:
        order = np.argsort(rows[:, 0])
        leading = rows[order, 0]
        if (leading[1:] == leading[:-1]).any():
            order = np.lexsort(rows.T[::-1])
        super().__init__(rows[order], weights[order])
        self.complete = complete
        self.weight = float(weights.sum())
        self.box = box or Box.around(rows)
        self.one_unit = one_unit

    @cached_property
    def middle_and_spread(self) -> tuple[Floats64, Floats64]:
        """Those of each column, see ``column_spread``."""
        return column_spread(self.rows, self.weights)

    @cached_property
    def unit(self) -> Floats64:
        """The unit in which to measure each column: its spread, or 1 where it is constant; or the largest for all."""
        _, spread = self.middle_and_spread
        unit = np.where(spread > 0, spread, 1.0)
        return np.full_like(unit, unit[spread > 0].max(initial=0.0) or 1.0) if self.one_unit else unit

    @cached_property
    def in_one_unit(self) -> Sample:
        """The same rows, with one unit for all columns."""
        return Sample(self.rows, self.weights, self.complete, self.box, one_unit=True)

    @cached_property
    def standard(self) -> Floats64:
        """The rows, from the middle of each column and in its unit; see ``drawn_in``."""
        middle, _ = self.middle_and_spread
        return drawn_in((self.rows - middle) / self.unit)


def drawn_in(standard: Floats64) -> Floats64:
    """Standardised rows, those drawn in that lie so far off that their squares might overflow."""
    return np.clip(standard, -FURTHEST, FURTHEST)


def column_spread(rows: Floats64, weights: Floats64) -> tuple[Floats64, Floats64]:
    """Middle and spread of each column, such as far-off rows do not move.

    Returns
    -------
    middle : ndarray of shape (D,)
        The median.
    spread : ndarray of shape (D,)
        The interquartile range over that of the normal, or the standard deviation where that is smaller or half the
        rows agree; 0 for a constant column.
    """
    share = weights / weights.sum()
    centred = rows - share @ rows
    largest = np.abs(centred).max(0, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    spread = unit * np.sqrt(share @ np.square(centred / unit))  # no square overflows or underflows
    size = np.abs(rows).max(0, initial=0.0)
    spread[(rows.min(0) == rows.max(0)) | (spread <= ROUNDING * size)] = 0.0
    order = np.argsort(rows, axis=0, kind="stable")
    running = np.cumsum(share[order], axis=0)
    last = len(rows) - 1
    reached = np.stack([np.minimum((running < q).sum(0), last) for q in (0.25, 0.5, 0.75)])
    low, middle, high = np.take_along_axis(rows, np.take_along_axis(order, reached, axis=0), axis=0)
    quartiles = (high - low) / NORMAL_QUARTILES
    return middle, np.where(high > low, np.minimum(quartiles, spread), spread)


def sample(source: Source, limit: int, seed: int = 0) -> Sample:
    """At most ``limit`` distinct rows of a source, chosen by their hashes; rows of weight 0 never."""
    return samples(source, (limit,), seed)[0]


def samples(source: Source, limits: Sequence[int], seed: int = 0) -> tuple[Sample, ...]:
    """One sample for each limit, the smaller ones being parts of the larger."""
    limit = max(limits)
    share = SPARE * limit / source.n_rows
    ceiling = np.uint64(share * 2**64) if share < 1 else _LARGEST
    kept = source.total(partial(_of_block, limit, np.uint64(seed), ceiling)).kept()
    if share < 1 and len(kept.rows) < limit:  # most rows are copies of others
        kept = source.total(partial(_of_block, limit, np.uint64(seed), _LARGEST)).kept()
    return tuple(
        Sample(kept.rows[:n], kept.weights[:n], kept.complete and len(kept.rows) <= n, kept.box) for n in limits
    )


def _of_block(limit: int, seed: np.uint64, ceiling: np.uint64, block: Block) -> Sketch:
    rows, weights = block.rows, block.each
    if not weights.all():
        rows, weights = rows[weights > 0], weights[weights > 0]
    hashes = row_hashes(rows, seed)
    low = hashes <= ceiling
    complete, box = bool(low.all()), Box.around(rows)
    if not complete:
        hashes, rows, weights = hashes[low], rows[low], weights[low]
    return Sketch(limit, hashes, np.asarray(rows, dtype=np.float64) + 0.0, weights, complete, box)


def fingerprint(source: Source) -> str:
    """32 hexadecimal digits that stand for the numbers of all rows and their weights, in one pass.

    They are two sums of hashes of the rows: neither their order nor the cut into blocks plays a part, nor whether they
    are held in single or double precision, if the numbers are the same.
    """
    one, other = source.total(_hash_sums).tolist()
    return f"{one:016x}{other:016x}"


def _hash_sums(block: Block) -> Hashes:
    sums: list[np.uint64] = []
    for seed in _SEEDS:
        hashes = row_hashes(block.rows, seed)
        if block.weights is not None:
            hashes = row_hashes(block.weights[:, None], hashes)
        sums.append(hashes.sum(dtype=np.uint64))
    return np.array(sums, dtype=np.uint64)


def row_hashes(rows: NDArray[np.floating], seed: np.uint64 | Hashes) -> Hashes:
    """64 well-mixed bits of each row (the finaliser of splitmix64, column after column), from one seed or one each."""
    state = np.full(len(rows), seed, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in rows.T:
            bits = (column.astype(np.float64) + 0.0).view(np.uint64)  # + 0.0: −0 and 0 are the same number
            state = (state ^ bits) + _ODD
            state = (state ^ (state >> np.uint64(30))) * _MIX[0]
            state = (state ^ (state >> np.uint64(27))) * _MIX[1]
            state ^= state >> np.uint64(31)
    return state
