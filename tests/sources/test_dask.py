"""Rows of Dask, on threads of this process, on workers in it, and on processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest

import mixtura
from mixtura import GaussianMixture, Mixture, em, score_table
from mixtura.core.em import Pass, Task, climb_together
from mixtura.core.estep import of_block
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.kernels import reference
from mixtura.sources import as_source
from mixtura.sources.coerce import TableError
from mixtura.sources.memory import Memory
from mixtura.sources.partitions import EngineError, PartitionsChangedError

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

from mixtura.sources import dask as module  # noqa: E402 (where there is a Dask)
from mixtura.sources.dask import DaskSource, as_dask_source  # noqa: E402

TRUE = Mixture([0.3, 0.3, 0.4], [[0, 0, 0], [3, 1, 0], [-2, 2, 1]], np.stack([np.eye(3)] * 3), columns=["a", "b", "c"])
START = Mixture([1 / 3] * 3, [[1, 0, 0], [2, 1, 0], [-1, 1, 1]], np.stack([2 * np.eye(3)] * 3))
ROWS = TRUE.sample(20_000, 1)
FRAME = pd.DataFrame(ROWS, columns=["a", "b", "c"])


@pytest.fixture(scope="module")
def workers():
    """Two workers, as threads of this process."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def array(rows=ROWS, size=3000):
    return da.from_array(rows, chunks=(size, -1))


def parts(size=3000):
    return [dask.delayed(lambda start: ROWS[start : start + size])(start) for start in range(0, len(ROWS), size)]


COLLECTIONS = {
    "array": array,
    "array of cut columns": lambda: da.from_array(ROWS, chunks=(3000, 2)),
    "computed array": lambda: array(ROWS / 2) * 2,
    "shared work": lambda: array() + (array().min(0) - ROWS.min(0)),
    "cut chunks": lambda: array(size=10_000).rechunk((3000, -1)),
    "frame": lambda: dd.from_pandas(FRAME, npartitions=7),
    "columns of a frame": lambda: dd.from_pandas(FRAME.assign(name="x")[["c", "name", "a", "b"]], npartitions=7),
    "delayed arrays": parts,
    "delayed frames": lambda: [
        dask.delayed(FRAME.iloc.__getitem__)(slice(i, i + 3000)) for i in range(0, 20_000, 3000)
    ],
    "one delayed": lambda: dask.delayed(np.asarray)(ROWS),
}


def source_of(name: str):
    columns = ["a", "b", "c"] if "columns of" in name else None
    return as_dask_source(COLLECTIONS[name](), columns)


def the_same_trace(fit, expected):
    found, wanted = ([step.loglik for step in each.trace] for each in (fit, expected))
    return len(found) == len(wanted) and np.allclose(found, wanted, rtol=1e-10, atol=0)


def the_same_bits(*sources):
    """Whether a pass over them ends with the same record."""
    first, *others = (source.total(partial(of_block, START, reference)) for source in sources)
    return all(np.array_equal(first.s2, each.s2) and first.loglik == each.loglik for each in others)


@pytest.fixture(scope="module")
def in_memory():
    return em(START, Memory(ROWS))


@pytest.mark.parametrize("name", COLLECTIONS)
def test_the_same_trace_as_in_memory_on_threads(name, in_memory):
    source = source_of(name)
    assert source.client is None
    assert (source.n_rows, source.n_features) == ROWS.shape
    assert the_same_trace(em(START, source), in_memory)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_the_same_bits_on_workers_as_on_threads(name, workers):
    on_workers = source_of(name)
    with dask.config.set(scheduler="threads"):
        here = source_of(name)
    assert (on_workers.client, here.client) == (workers, None)
    assert the_same_bits(on_workers, here)


def test_what_dask_keeps_is_read_where_it_lies(workers):
    kept = array().persist()
    source = as_dask_source(kept)
    assert [len(part.kept) for part in source._parts] == [1] * 7
    assert the_same_bits(source, as_dask_source(array()))
    derived = as_dask_source(kept * 2 / 2)  # with what is computed of it, in the task that needs it
    assert [len(part.kept) for part in derived._parts] == [1] * 7
    homes = derived._homes()
    assert set(homes.values()) == set(workers.scheduler_info()["workers"])
    assert all(len({homes[number] for number in group}) == 1 for group in derived._groups())
    frame = dd.from_pandas(FRAME, npartitions=7).persist()
    assert the_same_bits(as_dask_source(frame[["a", "b", "c"]]), source_of("frame"))


@pytest.mark.usefixtures("workers")
def test_what_partitions_share_is_kept_by_dask():
    kept = array().persist()
    source = as_dask_source(kept - kept.mean(0))
    assert [len(part.kept) for part in source._parts] == [2] * 7  # the chunk, and the mean of all of them
    total = source.total(lambda block: block.rows.sum(0))
    assert np.abs(total).max() < 1e-9


@pytest.mark.usefixtures("workers")
def test_small_partitions_are_read_by_few_tasks():
    source = as_dask_source(array(size=100))
    groups = source._groups()
    assert len(source.facts) == 200
    assert len(groups) == 4
    assert sorted(number for group in groups for number in group) == list(range(200))
    assert the_same_bits(source, as_dask_source(array(size=100).persist()))


@pytest.mark.usefixtures("workers")
def test_large_parameters_reach_all_workers(monkeypatch):
    source = as_dask_source(array())
    before = source.total(partial(of_block, START, reference))
    monkeypatch.setattr(module, "SHARED_BYTES", 100)
    assert np.array_equal(source.total(partial(of_block, START, reference)).s2, before.s2)


def test_weights():
    weights = np.arange(len(ROWS)) % 3.0
    expected = Memory(ROWS, weights).total(partial(of_block, START, reference))
    frame = dd.from_pandas(FRAME.assign(w=weights), npartitions=5)
    lazy = da.from_array(weights, chunks=4500)
    for source in (
        as_dask_source(frame, weights="w"),
        as_dask_source(frame, ["a", "b", "c"], frame["w"]),
        as_dask_source(array(), weights=lazy),
        as_dask_source(parts(), weights=[dask.delayed(weights[i : i + 3000]) for i in range(0, 20_000, 3000)]),
    ):
        assert source.n_features == 3
        found = source.total(partial(of_block, START, reference))
        assert np.allclose(found.s2, expected.s2, rtol=1e-12)
        assert found.weight == expected.weight


def test_single_precision_is_kept():
    rows = ROWS.astype(np.float32)
    frame = dd.from_pandas(FRAME.astype(np.float32), npartitions=3)
    for source in (
        as_dask_source(array(rows)),
        as_dask_source(frame),
        as_dask_source([dask.delayed(rows)]),
    ):
        assert {block.rows.dtype for block in source.map(lambda block: block)} == {np.dtype(np.float32)}
    mixed = dd.from_pandas(FRAME.astype({"a": np.float32}), npartitions=3)
    assert next(as_dask_source(mixed).map(lambda block: block)).rows.dtype == np.float64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: array(np.where(np.arange(60_000) == 30_004, np.nan, ROWS.ravel()).reshape(-1, 3)),
            "partition 3 .* row 1001",
        ),
        (lambda: dd.from_pandas(FRAME.assign(b="x"), npartitions=3), "partition 0.*'b'"),
        (lambda: [*parts(), dask.delayed(np.ones((2, 4)))], "partition 7 has 4 columns where 3 are due"),
        (lambda: [dask.delayed(FRAME), dask.delayed(FRAME[["a", "c"]])], "partition 1 has no column 'b'"),
        (lambda: array()[:, :, None], "3 dimensions"),
        (lambda: array()[:0], "hold no row"),
        (list, "no partition"),
        (lambda: pytest.importorskip("dask.bag").from_sequence([1, 2]), "arrays, data frames"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(make, message):
    with pytest.raises(TableError, match=message):
        as_dask_source(make())


@pytest.mark.parametrize(
    ("make", "weights", "message"),
    [
        (array, "w", "no column names"),
        (array, da.ones(7, chunks=7), "1 partitions, but the table 7"),
        (parts, [dask.delayed(np.ones(3000))], "1 partitions, but the table 7"),
        (lambda: dd.from_pandas(FRAME, npartitions=2), "w", "no column 'w'"),
        (lambda: dd.from_pandas(FRAME.assign(w=-1.0), npartitions=2), "w", "partition 0: 'w' must not be negative"),
        (lambda: array()[:6], da.ones(5, chunks=5), "partition 0: .*5 entries for 6 rows"),
    ],
)
def test_weights_that_cannot_be_used(make, weights, message):
    with pytest.raises(TableError, match=message):
        as_dask_source(make(), weights=weights)


@pytest.mark.usefixtures("workers")
def test_other_rows_in_a_later_pass_are_noticed():
    noise = [dask.delayed(lambda n: np.random.default_rng().normal(size=(n, 3)))(1000) for _ in range(3)]
    source = as_dask_source(noise)
    with pytest.raises(PartitionsChangedError, match=r"partition 0 does not yield the same rows again.*persist\(\)"):
        source.total(lambda block: len(block.rows))
    kept = as_dask_source(list(dask.persist(*noise)))
    assert kept.total(lambda block: len(block.rows)) == 3000


@pytest.mark.usefixtures("workers")
def test_errors_of_a_function_come_back():
    with pytest.raises(ZeroDivisionError):
        as_dask_source(array()).total(lambda block: 1 // (block.start * 0))


def test_importing_the_library_does_not_import_the_engines():
    import subprocess

    names = "{'dask', 'distributed', 'pyspark'}"
    code = f"import mixtura, sys; mixtura.fit, mixtura.score_table; print({names} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# What is lazy


@pytest.mark.parametrize(
    "name",
    ["predict", "responsibilities", "logpdf", "log_joint", "pdf", "uncertainty", "noise_probability", "label_entropy"],
)
def test_what_is_asked_of_each_row_is_lazy(name):
    expected = getattr(TRUE, name)(ROWS)
    for rows in (array(), da.from_array(ROWS, chunks=(3000, 2)), dd.from_pandas(FRAME[["c", "a", "b"]], npartitions=3)):
        lazy = getattr(TRUE, name)(rows)
        assert isinstance(lazy, da.Array)
        assert (lazy.dtype, lazy.ndim) == (expected.dtype, expected.ndim)
        assert np.array_equal(lazy.compute(), expected)


def test_rows_of_one_column_are_lazy_too():
    model = Mixture([0.5, 0.5], [0, 3], [1, 1])
    assert np.array_equal(model.predict(da.from_array(ROWS[:, 0], chunks=900)).compute(), model.predict(ROWS[:, 0]))
    with pytest.raises(ValueError, match=r"shape \(N, 1\)"):
        model.predict(array())


def test_a_table_with_scores():
    frame = FRAME.assign(id=np.arange(len(FRAME)))[["c", "id", "a", "b"]]
    scored = score_table(TRUE, dd.from_pandas(frame, npartitions=3), prefix="mix_")
    expected = score_table(TRUE, frame, prefix="mix_")
    assert list(scored.columns) == [
        *frame.columns,
        "mix_label",
        "mix_probability",
        "mix_log_density",
        *(f"mix_p{k}" for k in range(3)),
    ]
    pd.testing.assert_frame_equal(scored.compute(), expected)
    assert scored.dtypes.to_dict() == expected.dtypes.to_dict()
    assert np.array_equal(expected["mix_label"], TRUE.predict(ROWS))


@pytest.fixture
def folder(tmp_path):
    """The rows in files of several row groups, with weights, texts and a column that their folders name."""
    table = FRAME.assign(w=np.arange(len(ROWS)) % 3.0, name="x")
    for number, part in enumerate(np.array_split(np.arange(len(table)), 3)):
        (tmp_path / "rows" / f"part={number}").mkdir(parents=True)
        table.iloc[part].to_parquet(
            tmp_path / "rows" / f"part={number}" / "a.parquet", row_group_size=1000, index=False
        )
    return tmp_path / "rows"


def test_files_are_read_by_the_workers(folder, workers, monkeypatch):
    monkeypatch.setattr(module, "PART_NUMBERS", 3 * 2500)
    opened = as_source(folder, engine=workers)
    assert isinstance(opened.source, DaskSource)
    assert opened.columns == ("a", "b", "c", "w")
    assert set(opened.left_out) == {"name", "part"}
    assert opened.format == "parquet"
    source, _ = as_source(folder, columns=["a", "b", "c"], weights="w", engine=workers)
    local, _ = as_source(folder, columns=["a", "b", "c"], weights="w")
    assert len(source.facts) == 3 * 4  # of seven row groups each, two by two
    found, expected = (each.total(partial(of_block, START, reference)) for each in (source, local))
    assert np.allclose(found.s2, expected.s2, rtol=1e-12)
    assert source.weight == local.weight
    some, _ = as_source(folder, columns=["a"], where="b > 0 and part >= 1", engine=workers)
    assert some.n_rows == (ROWS[6667:, 1] > 0).sum()
    csv = folder.parent / "rows.csv"
    FRAME.to_csv(csv, index=False)
    assert as_source(csv, engine=workers).source.n_rows == len(ROWS)
    np.save(folder.parent / "rows.npy", ROWS)
    with pytest.raises(TableError, match="an engine reads Parquet"):
        as_source(folder.parent / "rows.npy", engine=workers)
    with pytest.raises(TableError, match="for files"):
        as_source(ROWS, engine=workers)
    with pytest.raises(TypeError, match="must be a"):
        as_source(folder, engine="dask")
    with pytest.raises(TableError, match="name it"):
        as_source(folder, weights=np.ones(len(ROWS)), engine=workers)


def test_a_gap_in_a_file_is_named_with_the_file(folder, workers, monkeypatch):
    monkeypatch.setattr(module, "PART_NUMBERS", 3 * 2500)
    path = folder / "part=1" / "a.parquet"
    table = pd.read_parquet(path)
    table.iloc[5345, 1] = np.nan
    table.to_parquet(path, row_group_size=1000)
    with pytest.raises(TableError, match=r"partition 3 \(.*, from row 4001\) contains NaN .*row 1345, column 'b'"):
        as_source(folder, columns=["a", "b"], engine=workers)


def test_a_file_that_is_replaced_between_passes_is_noticed(folder, workers):
    source, _ = as_source(folder, columns=["a", "b", "c"], engine=workers)
    path = folder / "part=1" / "a.parquet"
    pd.read_parquet(path)[::-1].assign(a=0.0).to_parquet(path, row_group_size=1000)
    with pytest.raises(PartitionsChangedError, match="partition 1 "):
        source.total(lambda block: len(block.rows))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(TableError, match=r"a\.parquet"):
        source.total(lambda block: len(block.rows))


def test_the_estimator():
    model = GaussianMixture(3, random_state=0)
    expected = model.fit(ROWS).predict(ROWS)
    labels = model.fit_predict(array())
    assert isinstance(labels, da.Array)
    assert np.array_equal(labels.compute(), expected)
    assert model.predict_proba(array()).compute().shape == (len(ROWS), 3)
    assert np.isclose(model.score(array()), model.score(ROWS), rtol=1e-12)
    assert np.isclose(model.icl(array()), model.icl(ROWS), rtol=1e-12)
    single = array(ROWS.astype(np.float32))
    assert model.fit(single).means_.dtype == np.float32
    assert model.score_samples(single).dtype == model.score_samples(single).compute().dtype == np.float32
    frame = dd.from_pandas(FRAME, npartitions=3)
    assert list(model.fit(frame).feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "x"}))
    assert GaussianMixture(3, random_state=0).fit(parts()).n_features_in_ == 3


@pytest.mark.parametrize("given", [np.zeros(len(ROWS), int), np.full((len(ROWS), 3), 1 / 3)])
def test_a_start_for_each_row_is_refused(given):
    with pytest.raises(ValueError, match="would have to be sent"):
        GaussianMixture(3, init_params=given).fit(array())


@pytest.mark.parametrize("option", [{"where": "a > 0"}, {"part": "x"}, {"spool": True}, {"n_threads": 2}])
def test_options_that_are_not_for_dask(option):
    with pytest.raises(ValueError, match="Dask"):
        mixtura.fit(array(), 1, **option)


# Processes of their own, and what happens to them


def processes(n_workers: int):
    return distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None)


@pytest.fixture(scope="module")
def undisturbed():
    return em(START, as_dask_source(array())).model


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2, 4])
def test_the_same_bits_for_any_number_of_workers(n_workers, undisturbed):
    with processes(n_workers) as cluster, distributed.Client(cluster):
        assert em(START, as_dask_source(array())).model == undisturbed
        assert em(START, as_dask_source(array().persist())).model == undisturbed
        assert np.array_equal(undisturbed.predict(array()).compute(), undisturbed.predict(ROWS))


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_a_worker_that_is_killed_between_passes(kept, undisturbed):
    with processes(2) as cluster, distributed.Client(cluster) as client:
        rows = array().persist() if kept else array()
        source = as_dask_source(rows)
        first, *_ = client.run(os.getpid).values()
        passes = []

        def killing(seen: Pass) -> None:
            if seen.passes == 5 and 5 not in passes:
                os.kill(first, signal.SIGKILL)
            passes.append(seen.passes)

        (fit,) = climb_together([Task(START, registry.get("full"), Prior.none(3))], source, killing)
        assert passes[-1] > 6
        assert fit.model == undisturbed
        assert first not in client.run(os.getpid).values()


@pytest.mark.slow
def test_a_worker_that_is_killed_in_mid_pass(tmp_path, undisturbed):
    """Reading a partition for the fifth time ends the process that does it."""
    path, size = tmp_path / "rows.npy", 3000
    np.save(path, ROWS)

    def read(start):
        import os
        import signal
        import tempfile

        rows = np.load(path)[start : start + size]
        if start == 2 * size:
            tempfile.mkstemp(dir=path.parent, prefix="read-")
            if len(list(path.parent.glob("read-*"))) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
        return rows

    with processes(2) as cluster, distributed.Client(cluster) as client:
        before = set(client.run(os.getpid).values())
        source = as_dask_source([dask.delayed(read)(start) for start in range(0, len(ROWS), size)])
        assert em(START, source).model == undisturbed
        assert len(before - set(client.run(os.getpid).values())) == 1


@pytest.mark.slow
def test_workers_that_die_over_a_partition_again_and_again():
    with processes(1) as cluster, distributed.Client(cluster):
        source = as_dask_source(array())
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 1}),
            pytest.raises(EngineError, match="workers died, one after the other, over the same partitions"),
        ):
            source.total(lambda block: os.kill(os.getpid(), signal.SIGKILL))


@pytest.mark.slow
def test_a_whole_choice_is_that_of_rows_in_memory():
    names = {"n_components": [2, 3, 4], "covariance": ["full", "tied"], "random_state": 0}
    expected = mixtura.fit(FRAME, **names)
    with processes(2) as cluster, distributed.Client(cluster):
        found = mixtura.fit(dd.from_pandas(FRAME, npartitions=5).persist(), **names)
    assert found.columns == expected.columns == ("a", "b", "c")
    assert (found.best.n_components, found.best.covariance) == (3, "tied")
    for cell, other in zip(found.cells, expected.cells, strict=True):
        # with more components than groups there are many hills as good, and a last digit decides which one is climbed
        assert np.isclose(cell.bic, other.bic, rtol=1e-7 if cell.n_components <= 3 else 1e-4)
    assert np.isclose(found.fit.loglik, expected.fit.loglik, rtol=1e-10)
    assert np.array_equal(found.model.predict(ROWS), expected.model.predict(ROWS))
