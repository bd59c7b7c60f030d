"""What a source of rows owes, and what it gets.

It owes two verbs, ``total(f)`` and ``map(f)``, over blocks of rows that it cuts as it likes, but always in the same
way: neither the number of threads nor of workers may move a boundary. Any function of a block whose results have a
``+`` can then be summed over all rows; in what order they arrive makes no difference, for they are added in block
order. A source knows nothing of what is summed.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.lazy import cached_property

Floats = NDArray[np.float64] | NDArray[np.float32]


class Addable(Protocol):
    """Anything with a ``+``."""

    def __add__(self, other: Any, /) -> Self: ...


Sum = TypeVar("Sum", bound=Addable)
Result = TypeVar("Result")


class Block(NamedTuple):
    """Some rows that lie together.

    Attributes
    ----------
    rows : ndarray of shape (B, D), float64 or float32
    weights : ndarray of shape (B,) or None
        None where each row counts once.
    start : int
        Number of the first of them in the whole.
    """

    rows: Floats
    weights: NDArray[np.float64] | None
    start: int

    @property
    def each(self) -> NDArray[np.float64]:
        """(B,) how much each row counts: its weight, or 1."""
        return np.ones(len(self.rows)) if self.weights is None else self.weights

    @property
    def weight(self) -> float:
        """How much the rows count together."""
        return float(len(self.rows) if self.weights is None else self.weights.sum())


#: Seconds between two reports within a pass.
PERIOD = 0.2


class Source(ABC):
    """Rows that can be read again and again, block by block.

    Attributes
    ----------
    n_rows, n_features : int
        N and D.
    dtype : dtype
        float64, or float32 where all columns are.
    remote : bool
        Whether functions are sent to where the rows are; they should then be small.
    ordered : bool
        Whether the rows come in an order that means something to the user.
    """

    n_rows: int
    n_features: int
    dtype: np.dtype[Any] = np.dtype(np.float64)
    remote: bool = False
    ordered: bool = True
    _tell: Callable[[int], object] | None = None

    def watch(self, tell: Callable[[int], object] | None) -> None:
        """Let ``total`` say from time to time, in the thread that called it, how many rows are done; None ends that.

        An exception that is raised by ``tell`` ends the pass. Not every source says something.
        """
        self._tell = tell

    @cached_property
    def weight(self) -> float:
        """How much the rows count together."""
        return self.total(attrgetter("weight"))

    @abstractmethod
    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:
        """The function of each block, in block order."""

    @abstractmethod
    def total(self, function: Callable[[Block], Sum]) -> Sum:
        """The sum of the function over all blocks, added in block order."""


@contextmanager
def watched(source: Source, tell: Callable[[int], object] | None) -> Generator[None]:
    """Let ``tell`` hear how many rows of the passes are done: some times a second, but not of their ends."""
    last = time.monotonic()

    def now_and_then(rows: int) -> None:
        nonlocal last
        now = time.monotonic()
        if tell is not None and rows < source.n_rows and now - last >= PERIOD:
            last = now
            tell(rows)

    source.watch(None if tell is None else now_and_then)
    try:
        yield
    finally:
        source.watch(None)
