"""Rows in memory, read by threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import reduce
from operator import add
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.source import Block, Floats, Result, Source, Sum

#: A block has about this many numbers, but no fewer rows than the least and no more than the most; there are so many
#: blocks that several threads find work, if that leaves blocks of so many rows.
BLOCK_NUMBERS = 131_072
LEAST_ROWS = 1024
BLOCK_ROWS = 65_536
BLOCKS = 4
SHARED_ROWS = 16_384


def block_rows(n_features: int) -> int:
    """The most rows of a block."""
    return min(BLOCK_ROWS, max(LEAST_ROWS, BLOCK_NUMBERS // max(n_features, 1)))


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
        self.n_threads = n_threads or processors()
        blocks = max(1, -(-self.n_rows // block_rows(self.n_features)), min(BLOCKS, self.n_rows // SHARED_ROWS))
        self._made: tuple[int, ThreadPoolExecutor] | None = None
        self._edges = [self.n_rows * i // blocks for i in range(blocks + 1)]  # blocks alike in size

    def _block(self, i: int) -> Block:
        part = slice(self._edges[i], self._edges[i + 1])
        return Block(self.rows[part], None if self.weights is None else self.weights[part], part.start)

    @property
    def _threads(self) -> int:
        """How many threads there is work for."""
        return min(self.n_threads, len(self._edges) - 1)

    def _pool(self) -> ThreadPoolExecutor:
        """Threads that stay, for starting them costs as much as a small pass; a forked process needs its own."""
        if self._made is None or self._made[0] != os.getpid():
            self._made = os.getpid(), ThreadPoolExecutor(self._threads, thread_name_prefix="mixtura")
        return self._made[1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": None}

    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:
        blocks = range(len(self._edges) - 1)
        if self._threads <= 1:
            yield from (function(self._block(i)) for i in blocks)
        else:
            yield from self._pool().map(lambda i: function(self._block(i)), blocks)

    def total(self, function: Callable[[Block], Sum]) -> Sum:
        blocks = iter(range(len(self._edges) - 1))
        found: dict[int, Sum] = {}
        lock = Lock()

        def work() -> None:
            """Take one block after the other, as long as there are any."""
            while True:
                with lock:
                    i = next(blocks, None)
                if i is None:
                    return
                try:
                    found[i] = function(self._block(i))
                except BaseException:
                    with lock:
                        deque(blocks, maxlen=0)  # none is left for the others
                    raise

        helpers = [self._pool().submit(work) for _ in range(self._threads - 1)]
        try:
            work()
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()
        return reduce(add, (found[i] for i in sorted(found)))


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
