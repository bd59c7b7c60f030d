"""Tables that are made when they are read: queries, lazy frames, Arrow streams and Python iterables."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mixtura.sources.coerce import Labels, TableError, floats, is_pandas, plain, said
from mixtura.sources.reader import HEAD_ROWS, UNREADABLE, Opened, Reader, Request
from mixtura.sources.stored import BATCH_ROWS
from mixtura.sources.stream import opened

if TYPE_CHECKING:
    import pyarrow as pa

Batches = Generator["pa.RecordBatch"]


class Run(NamedTuple):
    """A table on its way: its columns, and its batches."""

    schema: pa.Schema
    batches: Batches


class Streamed(Reader):
    """What is made anew in every pass, as the result of a query is; the first run also tells what there is.

    Parameters
    ----------
    start : callable
        Begins a run.
    name : str
        What messages call it.
    first_row : int
        The number of its first row in messages.
    named, repeats : bool
        As of a Reader.
    """

    def __init__(
        self,
        start: Callable[[], Run],
        name: str,
        *,
        first_row: int = 0,
        named: bool = True,
        repeats: bool = True,
    ) -> None:
        self.start, self.name, self.first_row, self.named, self.repeats = start, name, first_row, named, repeats
        self._begun: Run | None = start()
        self.schema = self._begun.schema

    def head(self, columns: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        run = self._begun or self.start()
        first = self._looked(run)
        self._begun = Run(run.schema, _again(first, run.batches))
        return pa.Table.from_batches(first, run.schema).select(list(columns))

    def _looked(self, run: Run) -> list[pa.RecordBatch]:
        """The batches up to the first one that has rows."""
        first: list[pa.RecordBatch] = []
        try:
            for batch in run.batches:
                first.append(batch)
                if batch.num_rows:
                    break
        except TableError:
            raise
        except UNREADABLE as error:
            raise self._broken(0, error) from error
        return first

    def batches(self, columns: Sequence[str], size: int | None = None) -> Batches:
        run, self._begun = self._begun, None
        if run is None:
            if not self.repeats:
                raise TableError(f"{self.name} can be read only once: let its rows be copied (spool)")
            run = self.start()
        n_rows = 0
        with closing(run.batches) as batches:
            try:
                for batch in batches:
                    if batch.schema.names != run.schema.names:
                        raise TableError(
                            f"{self.name} has the columns {batch.schema.names} from row {n_rows + self.first_row} on, "
                            f"but had {run.schema.names} before: make them the same throughout"
                        )
                    yield batch.select(list(columns))
                    n_rows += batch.num_rows
            except TableError:
                raise
            except UNREADABLE as error:
                raise self._broken(n_rows, error) from error

    def _broken(self, n_rows: int, error: Exception) -> TableError:
        return TableError(f"{self.name} could not be read beyond {n_rows:,} rows: {said(error)}")


def _again(first: Sequence[pa.RecordBatch], rest: Batches) -> Batches:
    """Batches that were taken, and those that were not."""
    with closing(rest):
        yield from chain(first, rest)


def run_of(reader: pa.RecordBatchReader, close: Callable[[], Any] | None = None) -> Run:
    """A run of Arrow's own reader, after which something may have to be closed."""

    def batches() -> Batches:
        try:
            with reader:
                yield from reader
        finally:
            if close is not None:
                close()

    return Run(reader.schema, batches())


# Arrow streams


def open_stream(table: Any, request: Request) -> Opened:
    """An object with ``__arrow_c_stream__`` that is no table in memory; copied, unless the request says otherwise."""
    import pyarrow as pa

    once = isinstance(table, pa.RecordBatchReader)
    name = f"the {type(table).__name__}"
    reader = Streamed(lambda: run_of(pa.RecordBatchReader.from_stream(table)), name, repeats=not once)
    return opened(reader, request, strict=True, spool=True)


class Held(Reader):
    """An Arrow table in memory, whose columns go to blocks as they are needed."""

    def __init__(self, table: pa.Table, name: str = "Input") -> None:
        self.table, self.name, self.schema, self.n_rows, self.first_row = table, name, table.schema, len(table), 0

    def version(self) -> int:
        return 0  # Arrow's tables do not change

    def batches(self, columns: Sequence[str], size: int | None = None) -> Batches:
        yield from self.table.select(list(columns)).to_batches(size or BATCH_ROWS)


# Lazy frames


@contextmanager
def computing(name: str, module: str, error: str) -> Generator[None]:
    """What an engine says of a query that fails, in one sentence; of which module its errors are, and their name."""
    errors: type[Exception] = getattr(importlib.import_module(module), error)
    try:
        yield
    except (errors, OSError) as failed:
        raise TableError(f"{name} cannot be computed: {said(failed)}") from failed


#: The errors of polars, and of DuckDB.
_OF_POLARS = ("polars.exceptions", "PolarsError")
OF_DUCKDB = ("duckdb", "Error")


class _Polars(Reader):
    """A LazyFrame of polars: a query that its streaming engine runs in every pass."""

    def __init__(self, frame: Any) -> None:
        self.frame, self.name, self.first_row = frame, "the LazyFrame", 0
        with computing(self.name, *_OF_POLARS):
            self.schema = frame.head(0).collect().to_arrow().schema

    def head(self, columns: Sequence[str]) -> pa.Table:
        with computing(self.name, *_OF_POLARS):
            return self.frame.select(list(columns)).head(HEAD_ROWS).collect().to_arrow()

    def batches(self, columns: Sequence[str], size: int | None = None) -> Batches:
        query = self.frame.select(list(columns))
        with computing(self.name, *_OF_POLARS):
            if not hasattr(query, "collect_batches"):  # polars before 1.34
                yield from query.collect(engine="streaming").to_arrow().to_batches(size or BATCH_ROWS)
                return
            for frame in query.collect_batches(chunk_size=size or BATCH_ROWS, maintain_order=True, lazy=True):
                yield from frame.to_arrow().to_batches()


def open_polars(table: Any, request: Request) -> Opened | None:
    """A LazyFrame as a source; its result is copied, unless the request says otherwise."""
    if not hasattr(table, "collect_schema") or hasattr(table, "__arrow_c_stream__"):
        return None
    return opened(_Polars(table), request, strict=True, spool=True)


class _DuckDB(Reader):
    """A relation of DuckDB: a query that runs in every pass."""

    def __init__(self, relation: Any, name: str) -> None:
        self.relation, self.name, self.first_row = relation, name, 0
        with computing(name, *OF_DUCKDB), _reader_of(relation.limit(0)) as reader:
            self.schema = reader.schema

    def batches(self, columns: Sequence[str], size: int | None = None) -> Batches:
        quoted = ('"' + column.replace('"', '""') + '"' for column in columns)
        query = self.relation.project(", ".join(quoted))
        with computing(self.name, *OF_DUCKDB), _reader_of(query if size is None else query.limit(size)) as reader:
            yield from reader


def _reader_of(relation: Any) -> Any:
    make = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
    return make(BATCH_ROWS)


def open_duckdb(table: Any, request: Request) -> Opened | None:
    """A relation of DuckDB as a source; its result is copied, unless the request says otherwise."""
    return open_relation(table, request) if hasattr(table, "project") else None


def open_relation(table: Any, request: Request, name: str = "the relation") -> Opened:
    """``open_duckdb`` of what is known to be a relation."""
    return opened(_DuckDB(table, name), request, strict=True, spool=True)


# Python iterables


def open_iterable(table: Any, request: Request) -> Opened:
    """An iterable of tables, or a function that returns one, as a source.

    An iterator, which can be read only once, is copied.
    """
    once = hasattr(table, "__next__")
    name = f"the {getattr(table, '__name__', type(table).__name__)}"
    named: list[bool] = []

    def start() -> Run:
        items: Any = table() if callable(table) else table
        chunks = _chunks(iter(items), name, named)
        first = next(chunks, None)
        if first is None:
            raise TableError(f"{name} yields no rows")
        return Run(first.schema, _again([first], chunks))

    begun = start()
    runs = chain([begun], iter(start, None))
    reader = Streamed(lambda: next(runs), name, named=named[0], repeats=not once)
    return opened(reader, request, strict=True, spool=once)


def _chunks(items: Iterator[Any], name: str, named: list[bool]) -> Batches:
    """What an iterable yields as record batches; ``named`` is told of each whether its columns have names."""
    row = 0
    for item in items:
        batches, has_names = _batches_of(item, name, row)
        if not named:
            named.append(has_names)
        if has_names != named[0]:
            raise TableError(f"{name} yields tables with names of columns and without: make them the same throughout")
        for batch in batches:
            yield batch
            row += batch.num_rows


def _batches_of(item: Any, name: str, first_row: int) -> tuple[Sequence[pa.RecordBatch], bool]:
    import pyarrow as pa

    if hasattr(item, "__arrow_c_stream__") or hasattr(item, "__arrow_c_array__") or isinstance(item, Mapping):
        if is_pandas(item):
            table = pa.Table.from_pandas(item, preserve_index=False)
            return table.to_batches(), True
        return pa.table(item).to_batches(), True
    array = plain(item)
    if array.ndim != 2:
        raise TableError(
            f"{name} must yield tables of rows and columns, but yields an item of shape {array.shape} "
            f"at row {first_row}"
        )
    columns = [f"x{j + 1}" for j in range(array.shape[1])]
    rows = floats(array, Labels(range(array.shape[1]), name, first_row))
    return [pa.record_batch([pa.array(np.ascontiguousarray(column)) for column in rows.T], names=columns)], False
