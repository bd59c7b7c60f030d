"""Blocks cover the rows in order, whatever the number of threads."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import sys
import threading
from operator import attrgetter

import numpy as np
import pytest

from mixtura.sources import memory
from mixtura.sources.memory import Memory
from mixtura.sources.source import Block, Source

SIZES = [0, 1, 2, 9, 10, 11, 97, 1000]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_ROWS", 10)


def table(n_rows: int, n_features: int = 3) -> np.ndarray:
    return np.arange(n_rows * n_features, dtype=float).reshape(n_rows, n_features)


class Order(tuple):
    """Remembers in which order blocks were added."""

    __slots__ = ()

    def __add__(self, other):
        return Order((*self, *other))


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("n_rows", SIZES)
@pytest.mark.usefixtures("small_blocks")
def test_blocks_cover_the_rows_in_order(n_rows, n_threads):
    rows, weights = table(n_rows), np.arange(n_rows) + 1.0
    blocks = list(Memory(rows, weights, n_threads).map(lambda block: block))
    assert all(len(block.rows) <= 10 for block in blocks)
    assert [block.start for block in blocks] == np.cumsum([0, *(len(block.rows) for block in blocks)])[:-1].tolist()
    assert np.array_equal(np.concatenate([block.rows for block in blocks]), rows)
    assert np.array_equal(np.concatenate([block.weights for block in blocks]), weights)
    assert all(np.shares_memory(block.rows, rows) for block in blocks if len(block.rows))


@pytest.mark.parametrize("n_features", [1, 3, 40, 1000])
def test_blocks_are_neither_tiny_nor_huge(n_features):
    n_rows = 60_000
    rows = np.broadcast_to(np.zeros(n_features), (n_rows, n_features))
    sizes = list(Memory(rows, n_threads=1).map(lambda block: len(block.rows)))
    assert sum(sizes) == n_rows
    assert max(sizes) - min(sizes) <= 1
    assert memory.LEAST_ROWS // 2 < max(sizes) <= memory.BLOCK_ROWS
    if max(sizes) > memory.LEAST_ROWS:
        assert max(sizes) * n_features <= memory.BLOCK_NUMBERS


@pytest.mark.usefixtures("small_blocks")
def test_boundaries_do_not_depend_on_the_threads():
    one, many = (list(Memory(table(97), n_threads=n).map(attrgetter("start"))) for n in (1, 8))
    assert one == many


@pytest.mark.parametrize("n_threads", [1, 2, 8])
@pytest.mark.usefixtures("small_blocks")
def test_results_are_added_in_block_order(n_threads):
    source = Memory(table(97), n_threads=n_threads)

    def slowly(block: Block) -> Order:
        threading.Event().wait(0.01 if block.start == 0 else 0.0)  # the first comes last
        return Order((block.start,))

    total = source.total(slowly)
    assert list(total) == sorted(total)
    assert len(total) == 10


@pytest.mark.usefixtures("small_blocks")
def test_without_weights_there_are_none():
    assert all(block.weights is None for block in Memory(table(30)).map(lambda block: block))


@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.usefixtures("small_blocks")
def test_an_error_in_a_block_reaches_the_caller(n_threads):
    def fail(block: Block) -> int:
        if block.start >= 50:
            raise ArithmeticError("block")
        return 1

    source = Memory(table(97), n_threads=n_threads)
    for _ in range(3):
        with pytest.raises(ArithmeticError, match="block"):
            source.total(fail)
    assert source.total(lambda block: len(block.rows)) == 97


@pytest.mark.usefixtures("small_blocks")
def test_a_reader_may_stop_early_and_threads_end_with_their_source():
    before = set(threading.enumerate())
    source = Memory(table(200), n_threads=4)
    results = source.map(lambda block: block.start)
    assert next(results) == 0
    results.close()
    assert source.total(lambda block: len(block.rows)) == 200
    made = set(threading.enumerate()) - before
    assert made
    del source, results
    gc.collect()
    for thread in made:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.usefixtures("small_blocks")
def test_a_source_can_be_pickled_and_read_by_a_forked_process():
    source = Memory(table(200), n_threads=4)
    assert source.total(lambda block: len(block.rows)) == 200
    assert pickle.loads(pickle.dumps(source)).total(lambda block: len(block.rows)) == 200
    child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(source.total(_rows_of) - 200))
    child.start()
    child.join(30)
    assert child.exitcode == 0


def _rows_of(block: Block) -> int:
    return len(block.rows)


@pytest.mark.usefixtures("small_blocks")
def test_the_rows_can_be_read_again():
    source = Memory(table(97))
    assert source.total(lambda block: block.rows.sum()) == source.total(lambda block: block.rows.sum())


def test_a_source_knows_its_size():
    source = Memory(table(7, 2))
    assert isinstance(source, Source)
    assert (source.n_rows, source.n_features) == (7, 2)


def test_by_default_as_many_threads_as_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert Memory(table(5)).n_threads == 3
    assert Memory(table(5), n_threads=7).n_threads == 7
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert Memory(table(5)).n_threads == 6
    assert Memory(table(5), n_threads=2).n_threads == 2


@pytest.mark.usefixtures("small_blocks")
def test_rows_of_a_memory_mapped_file(tmp_path):
    np.save(tmp_path / "rows.npy", table(97))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert Memory(mapped).total(lambda block: block.rows.sum()) == table(97).sum()
