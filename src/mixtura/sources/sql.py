"""Queries of databases, through ADBC: SQLite, PostgreSQL, and others that have a driver."""

from __future__ import annotations

import importlib
import re
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mixtura.sources.coerce import TableError, said
from mixtura.sources.lazy import OF_DUCKDB, Batches, Run, Streamed, computing, open_relation, run_of
from mixtura.sources.reader import NotNumeric, Opened, Request
from mixtura.sources.stream import opened

if TYPE_CHECKING:
    import pyarrow as pa

#: Drivers by the scheme of an address.
_DRIVERS = {
    "sqlite": "adbc_driver_sqlite",
    "postgresql": "adbc_driver_postgresql",
    "postgres": "adbc_driver_postgresql",
}


@dataclass(frozen=True)
class Query:
    """A query of a database, the result of which is a table.

    Parameters
    ----------
    text : str
        In the SQL of the database.
    database : str or connection
        Its address, such as ``sqlite:///file.db`` or ``postgresql://user@host/name``; or an open connection of an
        ADBC driver or of DuckDB, which stays open.

    Notes
    -----
    The result is copied once (see ``spool`` in ``mixtura.fit``), for a query that runs again may find other rows. Where
    it is not to be copied, give the rows an order: they must come in the same one each time.

    Examples
    --------
    >>> import tempfile, sqlite3
    >>> path = tempfile.mkdtemp() + "/flowers.db"
    >>> with sqlite3.connect(path) as connection:
    ...     _ = connection.execute("CREATE TABLE iris (length REAL, width REAL)")
    ...     _ = connection.executemany("INSERT INTO iris VALUES (?, ?)", [(i, i * i % 7) for i in range(50)])
    >>> import mixtura
    >>> query = mixtura.Query("SELECT length, width FROM iris WHERE length < 40", f"sqlite:///{path}")
    >>> mixtura.fit(query, 1, "full").n_rows
    40
    """

    text: str
    database: Any


def open_query(query: Query, request: Request) -> Opened:
    """A query as a source; its result is copied, unless the request says otherwise."""
    if hasattr(query.database, "sql"):  # DuckDB has queries of its own
        with computing("the query", *OF_DUCKDB):
            relation = query.database.sql(query.text)
        return open_relation(relation, request, "the query")
    return opened(_Result(query, lasting=request.spool is False), request, spool=True)


def table_query(address: str, table: str | None) -> Query:
    """The query for all of a table, whose name may be preceded by that of its schema and a dot."""
    if not table:
        shown = without_password(address)
        raise TableError(f"{shown} is a database: name a table, as {shown}::TABLE, or give a query (--sql)")
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
    return Query(f"SELECT * FROM {quoted}", address)  # noqa: S608 (quoted)


class _Result(Streamed):
    """What a query returns."""

    def __init__(self, query: Query, *, lasting: bool) -> None:
        self.query = query
        self._connection: Any = None
        self._cursor: Any = None
        self._not_numeric: set[str] = set()  # columns of SQLite in which text was found, which ends a result
        self._lite = isinstance(query.database, str) and _scheme(query.database) == "sqlite"
        self._lasting = lasting
        super().__init__(self._run, "the query", first_row=1)

    def _connected(self) -> Any:
        if not isinstance(self.query.database, str):
            return self.query.database
        if self._connection is None:
            self._connection = connect(self.query.database)
            if self._lasting and not self._lite:  # all passes see the database as it is now
                with suppress(Exception), self._connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return self._connection

    def _run(self) -> Run:
        text = self.query.text.strip().rstrip(";")
        self._end()
        cursor = self._cursor = self._connected().cursor()
        try:
            if self._lite:
                names = _names(self._connected(), text)
                text = _in_floats(text, [name for name in names if name not in self._not_numeric])
            cursor.execute(text)
            run = run_of(cursor.fetch_record_batch(), cursor.close)
        except Exception as error:
            cursor.close()
            raise TableError(f"the query failed: {_reason(error)}") from error
        schema = _plain_schema(run.schema)
        return Run(schema, _plain(run.batches, schema))

    def _end(self) -> None:
        """End a run that nobody has read to its end."""
        if self._cursor is not None:
            with suppress(Exception):
                self._cursor.close()
            self._cursor = None

    def __del__(self) -> None:
        self._end()
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()

    def batches(self, columns: Sequence[str], size: int | None = None) -> Batches:
        try:
            yield from super().batches(columns, size)
        except TableError as error:
            raise (self._text_in(columns) if self._lite else None) or error from None

    def _text_in(self, columns: Sequence[str]) -> TableError | None:
        """The first text in a column that began with numbers, for SQLite may hold anything anywhere."""
        text = self.query.text.strip().rstrip(";")
        first: tuple[int, str, Any] | None = None
        for column in columns:
            name = '"' + column.replace('"', '""') + '"'
            look = (
                f"SELECT n, v FROM (SELECT ROW_NUMBER() OVER () AS n, {name} AS v FROM ({text})) "  # noqa: S608
                "WHERE typeof(v) IN ('text', 'blob') LIMIT 1"
            )
            with self._connected().cursor() as cursor:
                cursor.execute(look)
                found = cursor.fetchone()
            if found is not None and (first is None or found[0] < first[0]):
                first = found[0], column, found[1]
        if first is None:
            return None
        row, column, value = first
        self._not_numeric.add(column)
        return NotNumeric(self.name, column, f"text ({value!r} in row {row}, rows counted from 1)")

    def _broken(self, n_rows: int, error: Exception) -> TableError:
        return TableError(
            f"the database gave up after {n_rows:,} rows of the query: {_reason(error)}; nothing is kept of it, so run "
            "it again"
        )


def connect(address: str) -> Any:
    """A connection to a database.

    Raises
    ------
    ImportError
        If its driver is not installed.
    TableError
        If it cannot be reached.
    """
    scheme = _scheme(address)
    driver = _DRIVERS.get(scheme, f"adbc_driver_{scheme}")
    try:
        module = importlib.import_module(f"{driver}.dbapi")
    except ImportError as error:
        which = "'mixtura[sql]'" if scheme in _DRIVERS else driver.replace("_", "-")
        raise ImportError(f"databases of the kind {scheme} need the driver {driver}: pip install {which}") from error
    try:
        return module.connect(_lite_address(address) if scheme == "sqlite" else address)
    except Exception as error:
        reason = without_password(_reason(error))
        raise TableError(f"cannot connect to {without_password(address)}: {reason}") from error


def without_password(text: str) -> str:
    """A text with the passwords of addresses blotted out."""
    return re.sub(r"(://[^\s:/@]*):[^\s/]*@", r"\1:***@", text)


def is_address(text: str) -> bool:
    """Whether a text is the address of a database."""
    return _scheme(text) in _DRIVERS


def _scheme(address: str) -> str:
    return address.partition("://")[0].lower() if "://" in address else ""


def _lite_address(address: str) -> str:
    """The file of ``sqlite:///file``, only for reading: or else one that is missing would be made."""
    path = address.partition("://")[2].removeprefix("/")
    return f"file:{quote(path)}?mode=ro"


def _names(connection: Any, text: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({text}) LIMIT 0")  # noqa: S608 (the user's own query)
        return [column[0] for column in cursor.description]


def _in_floats(text: str, names: Sequence[str]) -> str:
    """A query with whole numbers made floating-point ones: the driver wants one type for all rows of a column."""
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    each = (f"CASE typeof({q}) WHEN 'integer' THEN CAST({q} AS REAL) ELSE {q} END AS {q}" for q in quoted)
    return f"SELECT {', '.join(each)} FROM ({text})"  # noqa: S608 (quoted)


def _is_numeric(kind: Any) -> bool:
    """Whether a type is that of numbers of any precision, which come as text."""
    return getattr(kind, "type_name", None) == "numeric"


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(field.name, pa.float64() if _is_numeric(field.type) else field.type) for field in schema])


def _plain(batches: Batches, schema: pa.Schema) -> Generator[pa.RecordBatch]:
    """The batches with numbers of any precision as floating-point ones."""
    import pyarrow as pa

    try:
        for batch in batches:
            columns = [c.storage.cast(pa.float64()) if _is_numeric(c.type) else c for c in batch.columns]
            yield pa.record_batch(columns, names=schema.names)
    finally:
        batches.close()


def _reason(error: BaseException) -> str:
    """What a driver says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:1]) or said(error)
