"""Tables that are no single small file, on the command line: folders, databases, conditions, copies."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import mixtura
from mixtura.cli import main
from mixtura.cli.options import FORMATS
from mixtura.sources import opening, stored, stream
from mixtura.sources.files import read_table

QUICK = ("-k", "2", "--covariance", "full", "--starts", "1")


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    """A folder with a Parquet file, in which small tables are treated as large ones are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "SMALL", -1)
    monkeypatch.setattr(stream, "HELD", 1000)
    monkeypatch.setattr(stored, "BATCH_ROWS", 50)
    rng = np.random.default_rng(5)
    rows = np.concatenate([rng.normal([0, 10], [1, 2], (400, 2)), rng.normal([9, 20], [2, 1], (600, 2))])
    columns = {"length": rows[:, 0], "width": rows[:, 1], "kind": ["short"] * 400 + ["long"] * 600}
    table = pa.table({**columns, "w": np.arange(1000) % 3})
    pq.write_table(table, "table.parquet")
    return table


@pytest.fixture
def model():
    run("fit", "table.parquet", *QUICK, "--columns", "length,width", "--out", "fitted", "-q")
    return "fitted/model.mixtura"


def json_of(*args):
    return json.loads(run("fit", *args, *QUICK, "--json", "-q").stdout)


def test_a_folder_a_pattern_a_database_and_a_file_give_the_same_fit(table):
    Path("parts").mkdir()
    pq.write_table(table[:317], "parts/1.parquet")
    pq.write_table(table[317:], "parts/2.parquet")
    with sqlite3.connect("t.db") as connection:
        connection.execute("CREATE TABLE t (length, width, kind, w)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?)", map(tuple, zip(*table.to_pydict().values(), strict=True))
        )
    connection.close()
    expected = json_of("table.parquet", "--columns", "length,width")
    query = ["sqlite:///t.db", "--sql", "SELECT * FROM t"]
    for args in (["parts"], ["parts/*.parquet"], ["t.db::t"], ["sqlite:///t.db::t"], query, [*query, "--no-spool"]):
        found = json_of(*args, "--columns", "length,width")
        assert found["components"] == expected["components"]
        assert found["chosen"] == expected["chosen"]


def test_a_condition_and_weights_hold_for_fit_score_and_merge(table, model):
    condition = ["--where", "kind == 'long' and length < 12"]
    taken = table.filter((pa.compute.field("kind") == "long") & (pa.compute.field("length") < 12))
    numbers = json_of("table.parquet", "--weights", "w", *condition)
    assert numbers["rows"] == len(taken)
    assert numbers["weight"] == pa.compute.sum(taken["w"]).as_py()
    assert numbers["left_out"] == {"kind": "text ('short' in row 1, rows counted from 1)"}
    assert "--where 'kind == '\"'\"'long'\"'\"' and length < 12'" in numbers["command"]
    run("score", model, "table.parquet", *condition, "--out", "scored.csv")
    saved = mixtura.load(model).mixture
    rows = np.stack([taken["length"], taken["width"]], axis=1)
    scored = read_table("scored.csv").table
    assert scored["label"].to_pylist() == saved.predict(rows).tolist()
    assert np.asarray(scored["log_density"]) == pytest.approx(saved.logpdf(rows), rel=1e-12)
    total = json.loads(run("score", model, "table.parquet", *condition, "--total", "--json", "--weights", "w").stdout)
    assert total["loglik"] == pytest.approx(saved.loglik(rows, np.asarray(taken["w"])), rel=1e-12)
    assert json.loads(run("merge", model, "table.parquet", *condition, "--json").stdout)["suggested"] >= 1
    run("score", model, "table.parquet", "--where", "length > 1e9", code=1)


def test_scores_are_written_alike_in_every_format(model):
    found = {}
    for suffix in FORMATS:
        run("score", model, "table.parquet", "--out", f"scored.{suffix}", "-q")
        found[suffix] = read_table(f"scored.{suffix}").rows
        assert found[suffix].shape == (1000, 5)
    run("score", model, "table.parquet", "--out", "scored.csv.gz", "-q")
    found["gz"] = read_table("scored.csv.gz").rows
    for rows in found.values():
        assert rows == pytest.approx(found["arrow"], rel=1e-12)
    labels = read_table("fitted/labels.parquet").rows
    assert np.array_equal(labels, found["parquet"])


def test_copies_are_told_of_unless_that_is_forbidden(table):
    pa.csv.write_csv(table, "table.csv")
    said = run("fit", "table.csv", *QUICK).stderr
    assert "table.csv is copied to a temporary file in " in said
    assert "Copied 1,000 rows × 3 columns, 24 kB" in said
    assert "copied" not in run("fit", "table.csv", *QUICK, "--no-spool").stderr
    assert not run("fit", "table.csv", *QUICK, "-q").stderr


def test_passwords_are_not_kept():
    result = run("fit", "postgresql://me:secret@127.0.0.1:1/none", "--sql", "SELECT 1", code=1)
    assert "cannot connect to postgresql://me:***@127.0.0.1:1/none" in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nowhere/*.parquet"], "there is no file like nowhere/*.parquet"),
        (["table.parquet", "--where", "lenght > 1"], "table.parquet has no column 'lenght': did you mean 'length'?"),
        (["table.parquet", "--where", "length >"], "where='length >' cannot be understood: invalid syntax"),
        (["sqlite:///none.db", "--sql", "SELECT 1"], "cannot connect to sqlite:///none.db: "),
        (["sqlite:///none.db"], "sqlite:///none.db is a database: name a table, as sqlite:///none.db::TABLE, or give"),
        (["table.parquet::x"], "part is for tables that hold several: this is one already"),
        (
            ["mysql://host/db", "--sql", "SELECT 1"],
            "databases of the kind mysql need the driver adbc_driver_mysql",
        ),
    ],
)
def test_errors_are_one_sentence(args, sentence):
    result = run("fit", *args, code=1)
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1


def limited(size):
    """A limit on the size of files, as a full disk would be."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_disk_that_is_full_leaves_what_was_there(model):
    Path("scored.parquet").write_bytes(b"from before")
    env = {**os.environ, "PYTHONPATH": str(Path(mixtura.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "mixtura", "score", model, "table.parquet", "--out", "scored.parquet", "--force"],
        capture_output=True, check=False, preexec_fn=limited(4096), env=env, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode() == "Error: cannot write scored.parquet: File too large\n"
    assert Path("scored.parquet").read_bytes() == b"from before"
    assert not list(Path().glob(".mixtura-*"))


def test_a_disk_that_is_full_while_rows_are_copied_says_so(table):
    pa.csv.write_csv(table, "table.csv")
    script = (
        "from mixtura.sources import opening, stream; opening.SMALL = -1; stream.HELD = 1000\n"
        "import mixtura; mixtura.fit('table.csv', 2)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(mixtura.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, preexec_fn=limited(8192), env=env, timeout=60
    )
    assert "table.csv cannot be copied to " in done.stderr.decode()
    assert "File too large; let TMPDIR name a folder with more room, or do without a copy" in done.stderr.decode()


def started(*args):
    """The command in a process of its own, on its way."""
    command = [sys.executable, "-m", "mixtura", *args]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


@pytest.fixture
def long(tmp_path, monkeypatch):
    """A file on which a fit takes some passes over all rows, and the options of one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(60_000, 2)) + rng.choice([0.0, 2.0, 4.0], 60_000)[:, None]
    np.save("rows.npy", rows)
    return ("fit", "rows.npy", "-k", "3", "--covariance", "full", "--tol", "1e-9", "--starts", "1", "--no-report")


def wait_for(path, size):
    """Wait until a file is that large."""
    until = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < until
        time.sleep(0.002)


def test_killed_and_resumed_on_the_command_line(long):
    run(*long, "--out", "whole", "--quiet")
    with started(*long, "--out", "out", "--checkpoint", "ck") as process:
        wait_for(Path("ck"), 1_500)
        process.kill()
        process.communicate()
    assert not Path("out/model.mixtura").exists()
    error = run(*long, "--out", "out", "--checkpoint", "ck", code=1).stderr
    assert "Error: ck exists already: go on from there with --resume, or begin anew with --force\n" in error
    told = run(*long, "--out", "out", "--checkpoint", "ck", "--resume").stderr
    assert told.startswith("Going on from ck.\n")
    one, other = (mixtura.load(f"{folder}/model.mixtura") for folder in ("whole", "out"))
    assert one.mixture == other.mixture
    assert one.metadata == other.metadata
    summaries = [Path(folder, "summary.json").read_text() for folder in ("whole", "out")]
    assert summaries[0] == summaries[1]
    error = run(*long, "--seed", "5", "--checkpoint", "ck", "--resume", code=1).stderr
    assert "the option random_state is 5 now and was 0 then" in error


@pytest.mark.usefixtures("table")
def test_which_checkpoint():
    few = ("fit", "table.parquet", "-k", "1", "--covariance", "full", "--columns", "length", "--checkpoint")
    assert "There is no ck to go on from: beginning anew.\n" in run(*few, "ck", "--resume").stderr
    assert run(*few, "ck", "--resume", "--quiet", "--starts", "2", code=0).stderr == ""  # it holds no passes
    assert run(*few, "ck", "--force", "--quiet").stderr == ""
    assert "--resume needs --checkpoint" in run(*few[:-1], "--resume", code=2).stderr
    Path("table.csv").write_text("a\n1\n2\n")
    assert "is no checkpoint" in run(*few, "table.csv", "--force", code=1).stderr
    assert Path("table.csv").read_text() == "a\n1\n2\n"


def test_a_checkpoint_on_a_full_disk_is_told_of(long):
    usual, bounds = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, bounds[1]))
    try:
        done = run(*long, "--checkpoint", "ck")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
        signal.signal(signal.SIGXFSZ, usual)
    assert "Warning: the checkpoint ck cannot be written further (File too large)" in done.stderr
    assert done.stdout.startswith("3 components")
    assert 1_000 < Path("ck").stat().st_size <= 3_000


def test_an_interrupted_fit_can_be_resumed(long):
    with started(*long, "--out", "out", "--checkpoint", "ck") as process:
        wait_for(Path("ck"), 1_500)
        process.send_signal(signal.SIGINT)
        text, told = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the fit was done before it was interrupted")
    assert process.returncode == 130
    assert "Ending with the best model so far" in told
    assert told.endswith(
        "Interrupted: this is the best model up to then; the same command with --resume goes on from the checkpoint.\n"
    )
    assert "Stopped on request before converging" in text
    assert json.loads(Path("out/summary.json").read_text())["chosen"]["converged"] is False
    whole = run(*long, "--quiet").stdout
    resumed = run(*long, "--checkpoint", "ck", "--resume", "--quiet").stdout
    assert resumed.partition("\nNext")[0] == whole.partition("\nNext")[0]
