"""``--engine``: the workers of a cluster read the files."""

from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import mixtura
from mixtura.cli import main

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two clusters in three files, with a column of texts."""
    model = mixtura.Mixture([0.4, 0.6], [[0, 0], [5, 4]], [np.eye(2)] * 2)
    frame = pd.DataFrame(model.sample(3000, 1), columns=["a", "b"]).assign(name="x")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # workers find this edition, wherever they start
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").mkdir()
    for number in range(3):
        frame[1000 * number : 1000 * (number + 1)].to_parquet(f"rows/{number}.parquet", index=False)


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result


def fit(*args, code=0):
    return run("fit", "rows", "-k", "1:3", "--covariance", "full", *args, code=code)


def labels_of(name: str) -> np.ndarray:
    return pd.read_parquet(name)["label"].to_numpy()


@pytest.mark.slow
def test_dask_at_an_address_and_here():
    distributed = pytest.importorskip("distributed")
    here = fit("--out", "here")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        there = fit("--engine", "dask", "--scheduler", cluster.scheduler_address, "--out", "there")
        run(
            "score",
            "there/model.mixtura",
            "rows",
            "--engine",
            "dask",
            "--scheduler",
            cluster.scheduler_address,
            "--out",
            "scores.parquet",
        )
    own = fit("--engine", "dask", "--out", "own")
    assert "'name'" in there.stderr
    for name in ("there/labels.parquet", "scores.parquet", "own/labels.parquet"):
        assert np.array_equal(labels_of(name), labels_of("here/labels.parquet"))
    for result in (there, own):
        assert [line for line in result.stdout.splitlines() if "%" in line] == [
            line for line in here.stdout.splitlines() if "%" in line
        ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_spark():
    pytest.importorskip("pyspark")
    here = fit("--out", "here")
    there = fit("--engine", "spark", "--scheduler", "local[2]", "--out", "there")
    assert "No labels were written" in there.stderr
    assert [line for line in there.stdout.splitlines() if "%" in line] == [
        line for line in here.stdout.splitlines() if "%" in line
    ]
    ours, theirs = (mixtura.load(f"{name}/model.mixtura").mixture for name in ("here", "there"))
    assert np.allclose(ours.means, theirs.means, rtol=1e-6)
    failed = run("score", "there/model.mixtura", "rows", "--engine", "spark", "--out", "scores.csv", code=1)
    assert "an order of its own" in failed.stderr


def test_what_makes_no_sense():
    assert "--scheduler goes with --engine" in fit("--scheduler", "tcp://127.0.0.1:1", code=2).stderr
    assert "'ray' is not one of" in fit("--engine", "ray", code=2).stderr


def test_no_scheduler_there():
    distributed = pytest.importorskip("distributed")
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        error = fit("--engine", "dask", "--scheduler", "tcp://127.0.0.1:1", code=1).stderr
    assert "Error: there is no scheduler of Dask at tcp://127.0.0.1:1" in error
    assert distributed.client._get_global_client() is None


@pytest.mark.parametrize(("engine", "package"), [("dask", "distributed"), ("spark", "pyspark.sql")])
def test_an_engine_that_is_not_installed(engine, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    assert f"pip install 'mixtura[{engine}]'" in fit("--engine", engine, code=1).stderr
