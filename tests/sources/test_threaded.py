"""Work is handed out a little at a time, and a thread that reads ahead ends with whoever asked for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from functools import partial

import numpy as np
import pytest

from mixtura.sources.source import Block
from mixtura.sources.threaded import WAITING, Threaded, ahead


class Counted(Threaded):
    """A source that knows how many of its blocks were made, and how many of their results were taken."""

    n_features = 1

    def __init__(self, blocks: int, n_threads: int) -> None:
        super().__init__(n_threads)
        self.n_rows = self.blocks = blocks
        self.made = 0
        self.closed = False

    def _recipes(self) -> Generator[partial[Block]]:
        try:
            for i in range(self.blocks):
                self.made += 1
                yield partial(Block, np.full((1, 1), float(i)), None, i)
        finally:
            self.closed = True


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_results_that_nobody_takes_are_not_piled_up(n_threads):
    source = Counted(1000, n_threads)
    results = source.map(lambda block: block.start)
    assert [next(results) for _ in range(10)] == list(range(10))
    time.sleep(0.05)
    assert source.made <= 10 + WAITING * n_threads
    results.close()
    assert source.closed


def test_results_that_wait_for_an_earlier_one_are_not_piled_up():
    source, release = Counted(1000, 2), threading.Event()

    def slow_at_first(block: Block) -> int:
        if block.start == 0:
            release.wait(10)
        elif source.made >= WAITING * 2:
            release.set()
        return 1

    most = 0

    def watched(block: Block) -> int:
        nonlocal most
        if not release.is_set():
            most = max(most, source.made)
        return slow_at_first(block)

    assert source.total(watched) == 1000
    assert most <= WAITING * 2


def test_sums_are_added_in_order_as_results_arrive():
    source = Counted(50, 4)
    total = source.total(lambda block: Words((str(block.start),)))
    assert total == tuple(map(str, range(50)))
    assert source.closed


class Words(tuple):
    __slots__ = ()

    def __add__(self, other):
        return Words((*self, *other))


def test_reading_ahead_stays_within_its_bound_and_ends_early():
    made, closed = [], threading.Event()

    def items():
        try:
            for i in range(1000):
                made.append(i)
                yield i
        finally:
            closed.set()

    reading = ahead(items(), 3)
    assert [next(reading) for _ in range(5)] == [0, 1, 2, 3, 4]
    time.sleep(0.05)
    assert len(made) <= 5 + 3
    reading.close()
    assert closed.wait(5)
    assert list(ahead(iter_of(4), 3)) == [0, 1, 2, 3]


def iter_of(n):
    yield from range(n)


def test_an_error_while_reading_ahead_is_raised_where_the_items_are_asked_for():
    def items():
        yield 1
        raise OSError("disk")

    reading = ahead(items(), 3)
    assert next(reading) == 1
    with pytest.raises(OSError, match="disk"):
        next(reading)
    assert not [t for t in threading.enumerate() if t.name == "mixtura-reader"]
