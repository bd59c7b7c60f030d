"""Rows of Spark, in one process and on executors of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest

import mixtura
from mixtura import GaussianMixture, Mixture, em, score_table
from mixtura.core.em import Task, climb_together
from mixtura.core.estep import of_block
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.kernels import reference
from mixtura.sources import spark as module
from mixtura.sources.coerce import TableError
from mixtura.sources.memory import Memory
from mixtura.sources.partitions import PartitionsChangedError
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
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    return session


@pytest.fixture(scope="module")
def session():
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


def test_the_same_trace_as_in_memory(frame):
    source, columns = mixtura.sources.as_source(frame)
    assert isinstance(source, SparkSource)
    assert columns == ("a.b", "b`c", "c")
    assert (source.n_rows, source.n_features, len(source.facts)) == (*ROWS.shape, 8)
    fit = em(START, source)
    assert the_same_trace(fit, em(START, Memory(ROWS)))
    scored = score_table(TRUE, frame, prefix="mix_")
    assert scored.columns == [*NAMES, "mix_label", "mix_probability", "mix_log_density", "mix_p0", "mix_p1", "mix_p2"]
    expected = score_table(TRUE, FRAME, prefix="mix_")
    order = {"by": NAMES, "ignore_index": True}
    pd.testing.assert_frame_equal(scored.toPandas().sort_values(**order), expected.sort_values(**order))
