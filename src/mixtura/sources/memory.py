"""Rows in memory, read by threads."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.source import Block, Floats
from mixtura.sources.threaded import Recipe, Threaded

#: A block has about this many numbers, but no fewer rows than the least and no more than the most; there are so many
#: blocks that several threads find work, if that leaves blocks of so many rows.
BLOCK_NUMBERS = 131_072
LEAST_ROWS = 2560
BLOCK_ROWS = 65_536
BLOCKS = 4
SHARED_ROWS = 16_384


def block_rows(n_features: int) -> int:
    """The most rows of a block."""
    return min(BLOCK_ROWS, max(LEAST_ROWS, BLOCK_NUMBERS // max(n_features, 1)))


def edges(n_rows: int, n_features: int) -> list[int]:
    """Where the blocks of a table of that size begin, and where the last one ends; they are alike in size.

    Every source that can cuts here, so that the same rows give the same bits wherever they are.
    """
    blocks = max(1, -(-n_rows // block_rows(n_features)), min(BLOCKS, n_rows // SHARED_ROWS))
    return [n_rows * i // blocks for i in range(blocks + 1)]


class Memory(Threaded):
    """An array, a memory-mapped file included; blocks are views of it.

    Parameters
    ----------
    rows : ndarray of shape (N, D), float64 or float32
    weights : ndarray of shape (N,), optional
    n_threads : int, optional
        How many blocks to work on at once; by default as many as this process may use processors. Results are the
        same bits for any number.
    """

    def __init__(self, rows: Floats, weights: NDArray[np.float64] | None = None, n_threads: int | None = None) -> None:
        super().__init__(n_threads)
        self.rows = rows
        self.weights = weights
        self.n_rows, self.n_features = rows.shape
        self.dtype = rows.dtype
        self._edges = edges(self.n_rows, self.n_features)

    def _block(self, i: int) -> Block:
        part = slice(self._edges[i], self._edges[i + 1])
        return Block(self.rows[part], None if self.weights is None else self.weights[part], part.start)

    @property
    def _threads(self) -> int:
        return min(self.n_threads, len(self._edges) - 1)

    def _recipes(self) -> Generator[Recipe]:
        yield from (partial(self._block, i) for i in range(len(self._edges) - 1))
