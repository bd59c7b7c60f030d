"""Tables that are no single small file, on the command line: folders, databases, conditions, copies."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
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
