"""Queries of SQLite and PostgreSQL through ADBC: types, copies, snapshots, and connections that break."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mixtura
from mixtura import Query
from mixtura.sources import as_source, stream
from mixtura.sources.coerce import TableError
from mixtura.sources.sql import without_password


def rows_of(source) -> np.ndarray:
    return np.concatenate([np.array(block.rows) for block in source.map(lambda block: block)])


# SQLite


@pytest.fixture
def lite(tmp_path):
    """Statements → the address of a database in which they were carried out."""
    pytest.importorskip("adbc_driver_sqlite")

    def make(*statements: str) -> str:
        with sqlite3.connect(tmp_path / "t.db") as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return f"sqlite:///{tmp_path / 't.db'}"

    return make


SERIES = "WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 2999) "


def test_whole_numbers_may_be_followed_by_others(lite):
    values = "SELECT i, CASE WHEN i < 2000 THEN i ELSE i / 2.0 END FROM s"
    address = lite("CREATE TABLE t (a, b)", f"INSERT INTO t {SERIES} {values}")
    i = np.arange(3000.0)
    expected = np.stack([i, np.where(i < 2000, i, i / 2)], axis=1)
    for spool in (True, False):
        assert np.array_equal(rows_of(as_source(f"{address}::t", spool=spool).source), expected)


@pytest.mark.parametrize("spool", [True, False])
def test_text_that_comes_late_is_left_out_or_refused_with_its_place(lite, spool):
    late = "UPDATE t SET b = 'many' WHERE a = 2500"
    address = lite("CREATE TABLE t (a, b)", f"INSERT INTO t {SERIES} SELECT i, i FROM s", late)
    opened = as_source(f"{address}::t", spool=spool)
    assert opened.columns == ("a",)
    assert opened.left_out == {"b": "text ('many' in row 2501, rows counted from 1)"}
    with pytest.raises(TableError, match=r"column 'b' is not numeric but text \('many' in row 2501"):
        as_source(f"{address}::t", columns=["b", "a"], spool=spool)


def test_a_query_that_fails_is_one_sentence(lite):
    address = lite("CREATE TABLE t (a)")
    with pytest.raises(TableError, match=r"the query failed: .*no such column: missing"):
        as_source(Query("SELECT missing FROM t", address))
    with pytest.raises(TableError, match="the query has no rows"):
        as_source(Query("SELECT a FROM t WHERE a = 7", address))
    with pytest.raises(TableError, match=r"name a table, as .*::TABLE"):
        as_source(address)
    with pytest.raises(TableError, match=r"cannot connect to sqlite:////nowhere/t\.db"):
        as_source("sqlite:////nowhere/t.db::t")
    assert not Path("/nowhere").exists()


def test_a_database_that_changes_between_two_passes_is_noticed():
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    for make in (lambda: Query("SELECT a FROM t ORDER BY a", connection), lambda: connection.table("t")):
        connection.execute("CREATE OR REPLACE TABLE t AS SELECT range AS a FROM range(3000)")
        table = make()
        source = as_source(table, spool=False).source
        before = source.total(lambda block: block.rows.sum())
        assert source.total(lambda block: block.rows.sum()) == before
        connection.execute("UPDATE t SET a = a + 1 WHERE a = 1234")
        with pytest.raises(TableError, match=r"yields other rows, or in another order, than .* \(among rows 0|1 to"):
            source.total(lambda block: block.rows.sum())
        connection.execute("DELETE FROM t WHERE a = 77")
        with pytest.raises(TableError, match=r"yields 2,99\d rows where .* were expected"):
            source.total(lambda block: 0)


def test_passwords_do_not_show():
    assert without_password("postgresql://me:a:b@c@host/db") == "postgresql://me:***@host/db"
    assert without_password("sqlite:///x.db") == "sqlite:///x.db"


# PostgreSQL


def programs() -> Path | None:
    """Where PostgreSQL's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if sys.platform == "linux" else []
    path = shutil.which("initdb")
    return Path(path).parent if path else found[-1].parent if found else None


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a server of our own, on a socket in a folder of its own; skipped where there can be none."""
    pytest.importorskip("adbc_driver_postgresql", reason="the driver adbc_driver_postgresql is not installed")
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed")
    user = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        import pwd

        try:
            entry = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="mixtura-"))  # paths of sockets must be short
    if user:
        os.chown(folder, user["user"], user["group"])

    def call(program: str, *args: str) -> subprocess.CompletedProcess[bytes]:
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        command = [str(where / program), "-D", str(folder / "data"), *args]
        return subprocess.run(command, check=False, capture_output=True, cwd=folder, env=env, timeout=120, **user)

    try:
        made = call("initdb", "-A", "trust", "-U", "mixtura", "--no-sync")
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        started = call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        if made.returncode or started.returncode:
            pytest.skip(
                f"PostgreSQL does not start: {(made.stderr or started.stderr or started.stdout).decode()[-200:]}"
            )
        yield f"postgresql://mixtura@/postgres?host={folder}"
    finally:
        call("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def connect(postgres):
    """A connection for the test itself."""
    import adbc_driver_postgresql.dbapi

    with adbc_driver_postgresql.dbapi.connect(postgres, autocommit=True) as connection:
        yield connection


def carry_out(connection, *statements: str) -> None:
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(statement)


def test_every_numeric_type_of_postgresql(postgres, connect):
    carry_out(
        connect,
        "DROP TABLE IF EXISTS kinds",
        'CREATE TABLE kinds AS SELECT i AS "a b", (i / 3.0)::float8 AS x, (i / 3.0)::numeric AS n, i % 2 = 0 AS even, '
        "'v' || i AS label, now() AS at, i::float4 AS f, (i % 9)::int2 AS small FROM generate_series(1, 5000) i",
    )
    opened = as_source(f"{postgres}::kinds", weights="small", where="label != 'v7'")
    assert opened.columns == ("a b", "x", "n", "even", "f")
    assert opened.left_out["label"] == "text ('v1' in row 1, rows counted from 1)"
    assert opened.left_out["at"].startswith("dates or times")
    i = np.delete(np.arange(1.0, 5001), 6)
    expected = np.stack([i, i / 3, i / 3, i % 2 == 0, i], axis=1)
    assert rows_of(opened.source) == pytest.approx(expected, rel=1e-15)
    assert opened.source.weight == (i % 9).sum()
    assert as_source(f"{postgres}::public.kinds", columns=["f"]).source.dtype == np.float32
    carry_out(connect, 'UPDATE kinds SET n = NULL WHERE "a b" = 4321')
    query = Query('SELECT n FROM kinds ORDER BY "a b"', postgres)
    with pytest.raises(TableError, match=r"contains NaN \(a missing value\) in row 4321, column 'n'"):
        as_source(query)


def test_a_fit_to_postgresql_is_that_of_the_same_rows(postgres, connect, monkeypatch):
    monkeypatch.setattr(stream, "HELD", 1000)
    carry_out(
        connect,
        "DROP TABLE IF EXISTS flowers",
        "CREATE TABLE flowers AS SELECT i, sin(i) + (i % 2) * 6 AS a, cos(i * i) - (i % 2) * 3 AS b "
        "FROM generate_series(1, 3000) i",
    )
    i = np.arange(1.0, 3001)
    rows = np.stack([np.sin(i) + i % 2 * 6, np.cos(i * i) - i % 2 * 3], axis=1)
    expected = mixtura.fit(rows, 2, "full", random_state=0)
    for spool in (None, False):
        query = Query("SELECT a, b FROM flowers ORDER BY i", postgres)
        found = mixtura.fit(query, 2, "full", spool=spool, random_state=0)
        assert found.fit.loglik == pytest.approx(expected.fit.loglik, rel=1e-10)


def test_passes_that_are_not_copied_see_one_state_of_the_database(postgres, connect):
    carry_out(
        connect, "DROP TABLE IF EXISTS moving", "CREATE TABLE moving AS SELECT i AS a FROM generate_series(1, 1000) i"
    )
    source = as_source(Query("SELECT a FROM moving ORDER BY a", postgres), spool=False).source
    before = source.total(lambda block: block.rows.sum())
    carry_out(connect, "UPDATE moving SET a = a + 1000", "INSERT INTO moving VALUES (7)")
    assert source.total(lambda block: block.rows.sum()) == before
    assert as_source(f"{postgres}::moving").source.n_rows == 1001


def test_a_connection_that_breaks_is_one_sentence(postgres, connect, monkeypatch):
    carry_out(
        connect,
        "DROP TABLE IF EXISTS large",
        "CREATE TABLE large AS SELECT i AS a, repeat('x', 900) AS b FROM generate_series(1, 100000) i",
    )
    others = f"pid <> {pid_of(connect)} AND backend_type = 'client backend'"

    def drop(_text: str = "") -> None:
        carry_out(connect, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")

    monkeypatch.setattr(stream, "HELD", 1000)
    query = Query("SELECT a, b FROM large", postgres)
    # a copy is announced when its first rows are there, in the middle of the result
    with pytest.raises(
        TableError, match=r"the database gave up after [\d,]+ rows of the query: .*(closed|terminat)"
    ) as told:
        as_source(query, told=drop)
    assert "\n" not in str(told.value)
    source = as_source(query, spool=False).source
    drop()
    with pytest.raises(TableError, match=r"the query failed: .*terminating connection"):
        source.total(lambda block: len(block.rows))
    assert as_source(query).source.n_rows == 100_000


def pid_of(connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def test_what_cannot_be_reached_is_one_sentence(postgres):
    host = postgres.partition("host=")[2]
    with pytest.raises(TableError, match=r"cannot connect to postgresql://me:\*\*\*@/none.* does not exist"):
        as_source(f"postgresql://me:secret@/none?host={host}::t")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TableError, match=r"cannot connect to .*refused"):
            as_source(f"postgresql://127.0.0.1:{port}/none::t")
    with pytest.raises(TableError, match=r'the query failed: .*relation "missing" does not exist'):
        as_source(f"{postgres}::missing")
