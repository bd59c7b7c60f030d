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

#: Rows a block, so that a block and what a kernel needs for it stay small beside the whole.
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

    def __init__(
        self, rows: Floats, weights: NDArray[np.float64] | None = None, n_threads: int | None = None
    ) -> None:
        self.rows = rows
        self.weights = weights
        self.n_rows, self.n_features = rows.shape
        self.n_threads = n_threads or _processors()

    def _block(self, start: int) -> Block:
        part = slice(start, start + BLOCK_ROWS)
        return Block(self.rows[part], None if self.weights is None else self.weights[part], start)

    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:
        starts = range(0, self.n_rows, BLOCK_ROWS)
        threads = min(self.n_threads, len(starts))
        if threads <= 1:
            yield from (function(self._block(start)) for start in starts)
            return
        pool = ThreadPoolExecutor(threads, thread_name_prefix="mixtura")
        try:
            yield from pool.map(lambda start: function(self._block(start)), starts)
        finally:
            pool.shutdown(cancel_futures=True)

    def total(self, function: Callable[[Block], Sum]) -> Sum:
        return reduce(add, self.map(function))


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
