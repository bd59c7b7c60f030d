"""Rows in memory, read by threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.source import Block, Floats, Result, Source, Sum

#: A block has about this many numbers, but no fewer rows than the least and no more than the most.
BLOCK_NUMBERS = 131_072
LEAST_ROWS = 1024
BLOCK_ROWS = 16_384


class Memory(Source):
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
        self.rows = rows
        self.weights = weights
        self.n_rows, self.n_features = rows.shape
        self.n_threads = n_threads or _processors()
        wanted = min(BLOCK_ROWS, max(LEAST_ROWS, BLOCK_NUMBERS // max(self.n_features, 1)))
        blocks = max(1, -(-self.n_rows // wanted))
        self._edges = [self.n_rows * i // blocks for i in range(blocks + 1)]  # blocks alike in size

    def _block(self, i: int) -> Block:
        part = slice(self._edges[i], self._edges[i + 1])
        return Block(self.rows[part], None if self.weights is None else self.weights[part], part.start)

    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:
        blocks = range(len(self._edges) - 1)
        threads = min(self.n_threads, len(blocks))
        if threads <= 1:
            yield from (function(self._block(i)) for i in blocks)
            return
        pool = ThreadPoolExecutor(threads, thread_name_prefix="mixtura")
        try:
            yield from pool.map(lambda i: function(self._block(i)), blocks)
        finally:
            pool.shutdown(cancel_futures=True)

    def total(self, function: Callable[[Block], Sum]) -> Sum:
        return reduce(add, self.map(function))


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
