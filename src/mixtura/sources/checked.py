"""Sources whose rows come from outside in every pass: checked in the first one, and known again in the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.lazy import cached_property
from mixtura.sources.coerce import NO_GAPS, Gaps, Labels, Rows, TableError, all_finite, gaps_of
from mixtura.sources.memory import edges
from mixtura.sources.source import Block, Result, Sum
from mixtura.sources.threaded import Recipe, Threaded

Weights = NDArray[np.float64] | None

_ODD = np.uint64(0x9E3779B97F4A7C15)


class Place(NamedTuple):
    """What messages call the columns and the weights where a row is, and the number of the row there."""

    rows: Labels
    weights: Labels
    row: int


class _Unsound(TableError):
    """Some entry is no finite number, or some weight is negative."""


@dataclass(frozen=True)
class Findings:
    """What is wrong with rows and weights; that of rows that follow can be added."""

    rows: Gaps = NO_GAPS
    weights: Gaps = NO_GAPS
    negative: tuple[int, float] | None = None

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.rows + other.rows, self.weights + other.weights, self.negative or other.negative)

    def error(self, place: Callable[[int], Place]) -> TableError | None:
        """The sentence that tells of it, if there is something; ``place`` says what messages call a row."""
        for of, gaps in (("rows", self.rows), ("weights", self.weights)):
            if gaps.first is not None:
                where = place(gaps.first.row)
                return replace(gaps, first=gaps.first._replace(row=where.row)).error(getattr(where, of))
        if self.negative is None:
            return None
        row, value = self.negative
        where = place(row)
        return TableError(
            f"{where.weights.table} must not be negative, but it is {value:g} in {where.weights.at(where.row, 0)}"
        )


def sound(rows: Rows, weights: Weights) -> bool:
    """Whether there is surely nothing wrong with rows and weights."""
    return all_finite(rows) and (weights is None or (all_finite(weights) and bool((weights >= 0).all())))


def findings_of(rows: Rows, weights: Weights, first_row: int) -> Findings:
    """What is wrong with rows and weights, the first of which has this number."""
    gaps = gaps_of(rows, first_row)
    if weights is None:
        return Findings(gaps)
    wrong = np.flatnonzero(weights < 0)
    negative = (first_row + int(wrong[0]), float(weights[wrong[0]])) if len(wrong) else None
    return Findings(gaps, gaps_of(weights[:, None], first_row), negative)


def check_total(weight: float, labels: Labels) -> None:
    """Raise TableError unless the weights add up to something."""
    if weight == 0:
        raise TableError(f"{labels.table} is zero in every row: at least one row needs a positive weight")
    if not np.isfinite(weight):
        raise TableError(f"{labels.table} adds up to infinity: divide the weights by a common number")


def fingerprint(rows: Rows, weights: Weights) -> int:
    """64 bits that change, but for chance, when a number changes or two of them change places."""
    total = _hashed(rows.T)
    return total if weights is None else total ^ _hashed(weights)


def _hashed(numbers: NDArray[Any]) -> int:
    flat = np.ascontiguousarray(numbers).reshape(-1)
    bits = flat.view(np.uint64) if flat.itemsize == 8 else flat.view(np.uint32).astype(np.uint64)
    with np.errstate(over="ignore"):
        return int(bits @ (np.arange(1, len(bits) + 1, dtype=np.uint64) * _ODD | np.uint64(1)))


class Checked(Threaded):
    """A source that says where the raw material of its blocks comes from, and how rows are made of it.

    Each block is checked when it is made for the first time: it holds finite numbers, and no negative weights. If
    there is no version to go by, its fingerprint is kept, and compared whenever the block is made again.

    Parameters
    ----------
    n_rows, n_features : int
    labels, weight_labels : Labels
        What messages call the columns, and the weights.
    n_threads : int, optional
    """

    def __init__(
        self, n_rows: int, n_features: int, labels: Labels, weight_labels: Labels, n_threads: int | None = None
    ) -> None:
        super().__init__(n_threads)
        self.n_rows, self.n_features = n_rows, n_features
        self.labels, self.weight_labels = labels, weight_labels
        self._edges = edges(n_rows, n_features)
        self._known: dict[int, tuple[int, float]] = {}  # fingerprint and weight of each block that was seen

    @abstractmethod
    def _pieces(self) -> Generator[tuple[int, Any]]:
        """The number of each block, and what it is made of."""

    @abstractmethod
    def _numbers(self, number: int, piece: Any) -> tuple[Rows, Weights]:
        """The rows and weights that a piece is."""

    @property
    @abstractmethod
    def _has_version(self) -> bool:
        """Whether a change of the rows is noticed otherwise."""

    @property
    def _threads(self) -> int:
        return min(self.n_threads, len(self._edges) - 1)

    def _recipes(self) -> Generator[Recipe]:
        with closing(self._pieces()) as pieces:
            for number, piece in pieces:
                yield partial(self._block, number, piece)

    def _block(self, number: int, piece: Any) -> Block:
        rows, weights = self._numbers(number, piece)
        known = self._known.get(number)
        if known is None and not sound(rows, weights):
            found = findings_of(rows, weights, self._edges[number])
            if found != Findings():  # or else it was the sum that overflowed
                raise _Unsound(self.labels.table)
        if known is None or not self._has_version:
            mark = 0 if self._has_version else fingerprint(rows, weights)
            if known is not None and known[0] != mark:
                raise self._changed(number)
            self._known[number] = mark, float(len(rows) if weights is None else weights.sum())
        return Block(rows, weights, self._edges[number])

    def _changed(self, number: int) -> TableError:
        first, last = self._edges[number], self._edges[number + 1]
        span = f"rows {first + self.labels.first_row:,} to {last - 1 + self.labels.first_row:,}"
        return TableError(
            f"{self.labels.table} yields other rows, or in another order, than the first time (among {span}): "
            "every pass must find the same ones; put them in a fixed order, or let them be copied once (spool)"
        )

    @cached_property
    def weight(self) -> float:
        if len(self._known) < len(self._edges) - 1:
            return super().weight
        return reduce(add, (self._known[number][1] for number in range(len(self._edges) - 1)))

    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:
        with self._complaining():
            yield from super().map(function)

    def total(self, function: Callable[[Block], Sum]) -> Sum:
        first = len(self._known) < len(self._edges) - 1
        with self._complaining():
            result = self._total(function)
        if first and len(self._known) == len(self._edges) - 1:
            check_total(self.weight, self.weight_labels)
        return result

    def _total(self, function: Callable[[Block], Sum]) -> Sum:
        return super().total(function)

    @contextmanager
    def _complaining(self) -> Generator[None]:
        """Say where the first unsound entry is, and how many there are: by a pass that looks for them."""
        try:
            yield
        except _Unsound:
            with closing(self._pieces()) as pieces:
                found = reduce(add, (self._findings(*each) for each in pieces))
            error = found.error(self._place)
            raise error or TableError(f"{self.labels.table} yields other rows each time it is read") from None

    def _findings(self, number: int, piece: Any) -> Findings:
        return findings_of(*self._numbers(number, piece), self._edges[number])

    def _place(self, row: int) -> Place:
        return Place(self.labels, self.weight_labels, row)
