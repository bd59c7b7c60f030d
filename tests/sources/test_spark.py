"""Rows of Spark, in one process and on executors of their own."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

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
from mixtura.sources import spark as module
from mixtura.sources.coerce import TableError
from mixtura.sources.memory import Memory
from mixtura.sources.partitions import EngineError, PartitionsChangedError
from mixtura.sources.spark import SparkSource

sql = pytest.importorskip("pyspark.sql")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

NAMES = ["a.b", "b`c", "c"]
TRUE = Mixture([0.3, 0.3, 0.4], [[0, 0, 0], [3, 1, 0], [-2, 2, 1]], np.stack([np.eye(3)] * 3), columns=NAMES)
START = Mixture([1 / 3] * 3, [[1, 0, 0], [2, 1, 0], [-1, 1, 1]], np.stack([2 * np.eye(3)] * 3))
ROWS = TRUE.sample(20_000, 1)
FRAME = pd.DataFrame(ROWS, columns=NAMES)


def session_of(master: str):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        sql.SparkSession.builder.master(master)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.executorEnv.PYTHONPATH", os.pathsep.join(sys.path))
        # workers that are kept are killed in the end, and what they ran is not counted
        .config("spark.python.worker.reuse", "COVERAGE_PROCESS_START" not in os.environ)
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    return session


@pytest.fixture(scope="module")
def session():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        session = session_of("local[2]")
        yield session
        session.stop()


def parquet(session, folder, n_files=8, table=FRAME):
    """The rows in files, each of them a partition."""
    folder.mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(table)), n_files)):
        table.iloc[part].to_parquet(folder / f"{number}.parquet", index=False)
    session.conf.set("spark.sql.files.openCostInBytes", str(2**30))  # or else files are read together
    return session.read.parquet(str(folder))


@pytest.fixture(scope="module")
def frame(session, tmp_path_factory):
    return parquet(session, tmp_path_factory.mktemp("rows") / "parquet")


def record(source):
    return source.total(partial(of_block, START, reference))


def the_same_trace(fit, expected):
    found, wanted = ([step.loglik for step in each.trace] for each in (fit, expected))
    return len(found) == len(wanted) and np.allclose(found, wanted, rtol=1e-10, atol=0)


def the_same_bits(*sources):
    first, *others = map(record, sources)
    return all(np.array_equal(first.s2, each.s2) and first.loglik == each.loglik for each in others)


def test_a_pass_and_scores(frame):
    source, columns = as_source(frame)
    assert isinstance(source, SparkSource)
    assert columns == ("a.b", "b`c", "c")
    assert (source.n_rows, source.n_features, len(source.facts), source._tasks) == (*ROWS.shape, 8, 2)
    assert np.allclose(record(source).s2, record(Memory(ROWS)).s2, rtol=1e-12)
    scored = score_table(TRUE, frame, prefix="mix_")
    assert scored.columns == [*NAMES, "mix_label", "mix_probability", "mix_log_density", "mix_p0", "mix_p1", "mix_p2"]
    expected = score_table(TRUE, FRAME, prefix="mix_")
    order = {"by": NAMES, "ignore_index": True}
    pd.testing.assert_frame_equal(scored.toPandas().sort_values(**order), expected.sort_values(**order))


@pytest.mark.slow
def test_the_same_trace_as_in_memory(frame):
    assert the_same_trace(em(START, SparkSource(frame)), em(START, Memory(ROWS)))


@pytest.mark.slow
def test_the_same_bits_however_many_partitions_a_task_reads(frame, monkeypatch):
    sources = [SparkSource(frame), SparkSource(frame, keep=False)]
    for numbers in (20_000, 100):
        monkeypatch.setattr(module, "TASK_NUMBERS", numbers)
        sources += [SparkSource(frame), SparkSource(frame, keep=False)]
    assert [source._tasks for source in sources] == [2, 2, 3, 3, 0, 0]
    assert the_same_bits(*sources)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [True, False])
def test_blocks_come_in_the_order_of_the_rows(frame, keep):
    source = SparkSource(frame, keep=keep)
    blocks = list(source.map(lambda block: block))
    assert [block.start for block in blocks] == source.starts[:-1]
    assert np.array_equal(np.concatenate([block.rows for block in blocks]), frame.toPandas().to_numpy())


@pytest.mark.slow
def test_large_parameters_are_sent_in_the_closure(frame, monkeypatch):
    source = SparkSource(frame)
    before = record(source)
    assert source._plan is not None
    monkeypatch.setattr(module, "SETTING_BYTES", 100)
    closure = SparkSource(frame)
    assert np.array_equal(record(closure).s2, before.s2)
    assert closure._plan is None


@pytest.mark.slow
def test_what_spark_keeps_goes_with_the_source(frame):
    source, other = SparkSource(frame), SparkSource(frame)
    packed = source._frame
    assert packed.storageLevel.useMemory
    assert packed.storageLevel.useDisk
    del source
    gc.collect()
    assert not packed.storageLevel.useMemory
    assert other._frame.storageLevel.useMemory
    before = record(other)
    other._frame.unpersist(blocking=True)  # as if Spark had lost it all
    assert np.array_equal(record(other).s2, before.s2)


@pytest.mark.slow
def test_columns_weights_and_precision(session, tmp_path):
    weights = np.arange(len(ROWS)) % 3.0
    table = FRAME.assign(w=weights, name="x")
    frame = parquet(session, tmp_path / "wide", 3, table)
    source = SparkSource(frame, NAMES, "w")
    expected = record(Memory(ROWS, weights))
    found = record(source)
    assert np.allclose(found.s2, expected.s2, rtol=1e-12)
    assert (found.weight, source.weight) == (weights.sum(), weights.sum())
    single = SparkSource(parquet(session, tmp_path / "single", 3, FRAME.astype(np.float32)))
    assert single.dtype == np.float32
    assert {block.rows.dtype for block in single.map(lambda block: block)} == {np.dtype(np.float32)}
    mixed = SparkSource(parquet(session, tmp_path / "mixed", 3, FRAME.assign(c=1)))
    assert next(mixed.map(lambda block: block)).rows.dtype == np.float64


@pytest.mark.slow
def test_empty_partitions(session, tmp_path):
    kept = np.repeat([0, 1, 0, 1, 0, 0], [3334, 3334, 3333, 3333, 3333, 3333])
    frame = parquet(session, tmp_path / "rows", 6, FRAME.assign(kept=kept))
    source = SparkSource(frame.where("kept = 1"), NAMES)
    assert [facts.rows for facts in source.facts if facts.rows] == [3334, 3333]
    assert source.total(lambda block: len(block.rows)) == 6667
    assert sum(source.map(lambda block: len(block.rows))) == 6667


@pytest.mark.slow
def test_what_cannot_be_used_is_named_with_its_place(session, tmp_path):
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql.functions import array

    gap = FRAME.assign(c=np.where(np.arange(len(ROWS)) == 12_345, np.nan, ROWS[:, 2]))
    frame = parquet(session, tmp_path / "gap", 4, gap)
    with pytest.raises(TableError, match=r"partition \d contains NaN .* row 2345, column 'c'"):
        SparkSource(frame)
    text = parquet(session, tmp_path / "text", 4, FRAME.assign(c="x"))
    with pytest.raises(TableError, match=r"partition 0.*column 'c'.*text"):
        SparkSource(text)
    with pytest.raises(TableError, match="no column 'd'"):
        SparkSource(frame, ["c", "d"])
    with pytest.raises(TableError, match="hold no row"):
        SparkSource(frame.where("c > 100"))
    with pytest.raises(TableError, match="vector_to_array"):
        SparkSource(frame.select(array_to_vector(array("c")).alias("v")))
    with pytest.raises(TableError, match="name it"):
        mixtura.fit(frame, 1, sample_weight=np.ones(len(ROWS)))
    with pytest.raises(TableError, match="not for Spark"):
        mixtura.fit(frame, 1, where="c > 0")
    with pytest.raises(ValueError, match="columns must be the 3"):
        score_table(Mixture([1], [[0, 0, 0]], [np.eye(3)]), frame)
    with pytest.raises(ValueError, match="has a column 'label' already"):
        score_table(TRUE, frame.withColumnRenamed("c", "label"), columns=["a.b", "b`c", "label"])


@pytest.mark.slow
def test_a_file_of_another_schema(session, tmp_path):
    frame = parquet(session, tmp_path / "rows", 4)
    FRAME[:5000].drop(columns="c").to_parquet(tmp_path / "rows" / "0.parquet", index=False)  # Spark reads null for it
    with pytest.raises(TableError, match=r"partition \d contains NaN .* row 0, column 'c'"):
        SparkSource(session.read.schema(frame.schema).parquet(str(tmp_path / "rows")))


@pytest.mark.slow
def test_other_rows_in_a_later_pass_are_noticed(session, tmp_path):
    frame = parquet(session, tmp_path / "rows", 4)
    source, kept = SparkSource(frame, keep=False), SparkSource(frame)
    before = record(kept)
    FRAME.iloc[::-1][:5000].to_parquet(tmp_path / "rows" / "2.parquet", index=False)
    with pytest.raises(
        PartitionsChangedError, match=r"partition \d does not yield the same rows again.*checkpoint\(\)"
    ):
        record(source)
    assert np.array_equal(record(kept).s2, before.s2)
    kept._frame.unpersist(blocking=True)  # as if Spark had lost it all
    with pytest.raises(PartitionsChangedError):
        record(kept)
    random = session.range(1000).selectExpr("rand() as a")  # whose seed is drawn once
    assert SparkSource(random, keep=False).total(lambda block: len(block.rows)) == 1000


@pytest.mark.slow
def test_a_shuffle_may_change_the_order_of_rows(frame):
    source = SparkSource(frame.repartition(3, frame["c"]))
    assert np.isclose(record(source).loglik, record(Memory(ROWS)).loglik, rtol=1e-12)


@pytest.mark.slow
def test_errors_of_a_function_come_back_in_one_sentence(frame):
    with pytest.raises(EngineError, match=r"^Spark could not do a pass: ZeroDivisionError: [^\n]*$"):
        SparkSource(frame).total(lambda block: 1 // (block.start * 0))


@pytest.mark.slow
def test_files_are_read_by_the_executors(session, tmp_path):
    parquet(session, tmp_path / "rows", 3, FRAME.assign(w=2.0, name="x"))
    opened = as_source(tmp_path / "rows", weights="w", engine=session)
    assert (opened.columns, set(opened.left_out), opened.format) == (tuple(NAMES), {"name"}, "parquet")
    assert opened.source.weight == 2 * len(ROWS)
    FRAME[["c"]].to_csv(tmp_path / "rows.csv", index=False)
    assert as_source(tmp_path / "rows.csv", engine=session).source.n_rows == len(ROWS)
    with pytest.raises(TableError, match=r"Spark cannot read .*nowhere: \[PATH_NOT_FOUND\]"):
        as_source(tmp_path / "nowhere", engine=session)
    with pytest.raises(TableError, match="where is not for Spark"):
        as_source(tmp_path / "rows", where="c > 0", engine=session)


@pytest.mark.slow
def test_a_whole_choice_is_that_of_rows_in_memory(frame):
    names = {"n_components": [2, 3, 4], "covariance": "full", "random_state": 0}
    found, expected = mixtura.fit(frame, **names), mixtura.fit(FRAME, **names)
    assert found.best.n_components == expected.best.n_components == 3
    assert np.allclose([cell.bic for cell in found.cells], [cell.bic for cell in expected.cells], rtol=1e-7)
    assert np.isclose(found.fit.loglik, expected.fit.loglik, rtol=1e-10)
    assert np.array_equal(found.model.predict(ROWS), expected.model.predict(ROWS))
    model = GaussianMixture(3, random_state=0).fit(frame)
    assert list(model.feature_names_in_) == NAMES
    assert np.isclose(model.score(frame), model.score(FRAME), rtol=1e-12)


# Executors of their own. A process has one session at a time, so these run in another one.


def executors(root: int) -> list[int]:
    """The processes below a process that are executors of Spark."""
    import psutil

    def runs_executor(process) -> bool:
        try:
            return any("CoarseGrainedExecutorBackend" in word for word in process.cmdline())
        except psutil.Error:
            return False

    return [process.pid for process in psutil.Process(root).children(recursive=True) if runs_executor(process)]


def killed_in_mid_fit(folder: str, keep: bool) -> None:
    """Fit twice on two executors, one of which is killed in the second fit; the bits must be the same."""
    session = session_of("local-cluster[2,1,1024]")
    session.conf.set("spark.sql.files.openCostInBytes", str(2**30))
    source = SparkSource(session.read.parquet(folder), keep=keep)
    task = Task(START, registry.get("full"), Prior.none(3))
    (undisturbed,) = climb_together([task], source)
    before = executors(os.getpid())
    passes = []

    def killing(seen: Pass) -> None:
        if seen.passes == 4 and 4 not in passes:
            os.kill(before[0], signal.SIGKILL)
        passes.append(seen.passes)

    (fit,) = climb_together([task], source, killing)
    assert len(before) == 2
    assert passes[-1] > 6
    assert fit.model == undisturbed.model
    assert np.isclose(fit.loglik, em(START, Memory(ROWS)).loglik, rtol=1e-10)
    assert set(executors(os.getpid())) != set(before)
    session.stop()


@pytest.mark.slow
@pytest.mark.parametrize("keep", [True, False])
def test_an_executor_that_is_killed(session, tmp_path, keep):
    pytest.importorskip("psutil")
    parquet(session, tmp_path / "rows")
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    code = f"from test_spark import killed_in_mid_fit as test; test({str(tmp_path / 'rows')!r}, {keep})"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": path}, timeout=1200)
