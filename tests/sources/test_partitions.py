"""Partitions: read in pieces of any size, cut into blocks by their rows alone, checked, and known again."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mixtura.sources import memory
from mixtura.sources.coerce import Labels, TableError
from mixtura.sources.partitions import (
    Answer,
    Layout,
    Partitioned,
    PartitionsChangedError,
    Task,
    Weighted,
    layout_of,
)


class Here(Partitioned):
    """The smallest engine: tables of this process, one a partition, in pieces."""

    _keep = "a copy"

    def __init__(self, partitions, layout):
        self.partitions = partitions
        self._look(layout)

    def _answers(self, task: Task) -> Iterator[Answer]:
        for number, pieces in enumerate(self.partitions):
            start = self.starts[number] if number < len(self.facts) else 0
            yield pickle.loads(pickle.dumps(task(number, start, iter(pieces))))


def rows_of(n_rows: int, n_features: int = 3) -> np.ndarray:
    return np.arange(n_rows * n_features, dtype=float).reshape(n_rows, n_features)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_ROWS", 10)


PLAIN = Layout.of(None, 3)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("sizes", [[[25]], [[1] * 25], [[7, 0, 3], [], [11, 4]], [[10], [10, 5]], [[0], [24, 1], [0]]])
def test_blocks_cover_the_rows_in_order_whatever_the_pieces(sizes):
    rows = rows_of(25)
    pieces = iter(np.split(rows, np.cumsum([n for part in sizes for n in part])))
    source = Here([[next(pieces) for _ in part] for part in sizes], PLAIN)
    blocks = list(source.map(lambda block: block))
    assert (source.n_rows, source.n_features, source.remote) == (25, 3, True)
    assert np.array_equal(np.concatenate([block.rows for block in blocks]), rows)
    assert [block.start for block in blocks] == np.cumsum([0, *(len(block.rows) for block in blocks)])[:-1].tolist()
    ends = np.cumsum([sum(part) for part in sizes]).tolist()
    full = [len(block.rows) == 10 or block.start + len(block.rows) in ends for block in blocks]
    assert all(full)


@pytest.mark.usefixtures("small_blocks")
def test_the_sum_does_not_depend_on_the_pieces():
    rows = np.random.default_rng(0).normal(size=(101, 3)) * 10.0 ** np.arange(3)

    def total(*cuts):
        source = Here([np.split(rows[:40], cuts), np.split(rows[40:], cuts)], PLAIN)
        return source.total(lambda block: block.rows.T @ block.rows)

    assert np.array_equal(total(), total(3, 17, 29))
    assert np.array_equal(total(), total(*range(1, 40)))


TABLES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "table": pa.table,
    "batch": pa.RecordBatch.from_pydict,
}


@pytest.mark.parametrize("kind", TABLES)
def test_columns_are_taken_by_name_and_weights_apart(kind):
    table = TABLES[kind]({"w": [1.0, 0.0, 2.0], "a": [1, 2, 3], "b": [4.0, 5.0, 6.0]})
    layout = layout_of(table, None, "w")
    rows, weights = layout.read(table, Labels((), "partition 0"))
    assert layout.columns == ("a", "b")
    assert rows.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert weights.tolist() == [1, 0, 2]
    other = TABLES[kind]({"b": [4.0], "w": [1.0], "a": [1]})  # in another order
    assert layout.read(other, Labels((), "partition 1"))[0].tolist() == [[1, 4]]
    assert layout_of(table, ["b"], None).read(table, Labels(()))[0].tolist() == [[4], [5], [6]]


def test_single_precision_is_kept():
    rows = rows_of(9).astype(np.float32)
    source = Here([[rows[:4]], [rows[4:]]], layout_of(rows, None, None))
    assert {block.rows.dtype for block in source.map(lambda block: block)} == {np.dtype(np.float32)}
    assert source.total(lambda block: block.rows.sum(dtype=float)) == rows.sum()


def test_weights_beside_the_rows():
    pieces = [[Weighted(rows_of(3), [1, 0, 2])], [Weighted(rows_of(2), np.array([0.0, 0.5]))]]
    source = Here(pieces, PLAIN)
    assert source.total(lambda block: block.weight) == 3.5


FRAME = Layout.of(("a", "b", "w"), 3, None, "w")
GOOD = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "w": [1.0, 1.0]})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (GOOD.assign(b=[3.0, np.nan]), r"partition 1 contains NaN \(a missing value\) in row 3, column 'b'"),
        (GOOD.assign(a=[np.inf, 1.0]), r"partition 1 contains infinity in row 2, column 'a'"),
        (GOOD.assign(a=["x", "y"]), r"partition 1 .* 'x' .*column 'a'"),
        (GOOD[["a", "w"]], r"partition 1 has no column 'b'"),
        (GOOD[["a", "b"]], r"partition 1 has no column 'w'"),
        (GOOD.assign(w=[1.0, -1.0]), r"partition 1: 'w' must not be negative, but it is -1 in row 3"),
        (GOOD.assign(w=[1.0, np.nan]), r"partition 1.* NaN .*row 3, column 'w'"),
        (pl.DataFrame({"a": [1.0, None], "b": [1.0, 1.0], "w": [1.0, 1.0]}), r"partition 1 contains NaN .*row 3"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(bad, message):
    with pytest.raises(TableError, match=message):
        Here([[GOOD], [GOOD, bad], [bad]], FRAME)


def test_arrays_of_another_width():
    with pytest.raises(TableError, match="partition 1 has 4 columns where 3 are due"):
        Here([[rows_of(5)], [rows_of(5, 4)]], PLAIN)


@pytest.mark.parametrize("partitions", [[], [[]], [[rows_of(0)], []]])
def test_no_rows(partitions):
    with pytest.raises(TableError, match="hold no row"):
        Here(partitions, PLAIN)


@pytest.mark.parametrize("weights", [[0, 0, 0], [1e308, 1e308, 1e308]])
def test_weights_must_add_up_to_something(weights):
    with pytest.raises(TableError, match="row weights add up to"):
        Here([[Weighted(rows_of(3), weights)]], PLAIN)


def test_layouts_refuse_what_makes_no_sense():
    with pytest.raises(TableError, match="cannot be both data and weights"):
        Layout.of(("a", "b"), 2, ["a", "b"], "b")
    with pytest.raises(TableError, match="no column of data"):
        Layout.of(("a",), 1, None, "a")
    with pytest.raises(TableError, match="has no column 'c'"):
        Layout.of(("a", "b"), 2, ["c"])


CHANGES = {
    "a value": lambda rows: rows + np.eye(len(rows), 3) * 1e-6,
    "a row less": lambda rows: rows[1:],
    "a row more": lambda rows: np.vstack([rows, rows[:1]]),
    "another row": lambda rows: np.vstack([rows[:-1], rows[:1]]),
    "columns that changed places": lambda rows: rows[:, ::-1],
    "pairs that were torn": lambda rows: np.column_stack([rows[::-1, 0], rows[:, 1:]]),
    "values that changed places": lambda rows: 3 - rows,
}


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("change", CHANGES)
def test_other_rows_in_a_later_pass_are_noticed(change, kind):
    rows = np.random.default_rng(0).choice([1.0, 2.0], size=(50, 3)).astype(kind)
    source = Here([[rows[:20]], [rows[20:]]], layout_of(rows, None, None))
    assert source.total(lambda block: len(block.rows)) == 50
    source.partitions[1] = [CHANGES[change](rows[20:]).astype(kind)]
    with pytest.raises(PartitionsChangedError, match=r"partition 1 does not yield the same rows again.*a copy"):
        source.total(lambda block: len(block.rows))


def test_other_weights_are_noticed():
    source = Here([[Weighted(rows_of(3), [1, 1, 2])]], PLAIN)
    source.partitions[0] = [Weighted(rows_of(3), [1, 1, 1])]
    with pytest.raises(PartitionsChangedError):
        source.total(lambda block: block.weight)


def test_another_order_within_a_partition_is_no_change():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    source = Here([[rows]], PLAIN)
    source.partitions[0] = [rows[::-1]]
    assert source.total(lambda block: len(block.rows)) == 50


def test_further_partitions_are_noticed():
    source = Here([[rows_of(5)]], PLAIN)
    source.partitions.append([rows_of(2)])
    with pytest.raises(PartitionsChangedError, match="partition 1"):
        source.total(lambda block: len(block.rows))


def test_what_a_pass_sends_is_about_as_large_as_its_parameters():
    from mixtura import Mixture
    from mixtura.core.em import _e_steps
    from mixtura.kernels import reference

    cloudpickle = pytest.importorskip("cloudpickle")
    k, d = 10, 30
    model = Mixture(np.full(k, 1 / k), rows_of(k, d), np.stack([np.eye(d)] * k))
    model.loglik(rows_of(5, d))  # which derives and keeps whitened factors
    numbers = 8 * (k + k * d + k * d * d)
    sent = cloudpickle.dumps(Task(Layout.of(None, d), partial(_e_steps, (model,), reference)))
    assert numbers < len(sent) < numbers + 2000
