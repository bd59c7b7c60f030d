"""A path becomes a table of numbers, and an Arrow table becomes a file.

CSV (comma, semicolon or tab; also gzipped), Parquet, Arrow IPC (Feather) and ``.npy``; ``-`` is
standard input or output. The first bytes of a file, not its name, say what it is. Every error is a
``TableError`` of one sentence.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import secrets
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mixtura.lazy import cached_property
from mixtura.sources.coerce import (
    Columns,
    Labels,
    Rows,
    TableError,
    as_weights,
    check_finite,
    floats,
    from_arrow,
    not_numeric,
    said,
    select,
)
from mixtura.sources.dialect import HEAD, UTF_16, Dialect, dialect_of, odd_row_sentence
from mixtura.sources.where import filter_of

if TYPE_CHECKING:
    import pyarrow as pa

FilePath = str | os.PathLike[str]

_SUFFIXES = {
    "csv": (".csv", ".tsv", ".txt"),
    "parquet": (".parquet", ".pq"),
    "arrow": (".arrow", ".arrows", ".feather", ".ipc"),
    "npy": (".npy",),
}
_FIRST_BYTES = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"\x93NUMPY": "npy",
}
GZIP = b"\x1f\x8b"
ROW_GROUP = 1 << 17  # rows of a Parquet file that are written together
_BLOCK = 1 << 24  # bytes of CSV parsed together: no line may be longer


@dataclass(frozen=True, eq=False)
class FileTable:
    """The numbers of a table in a file, and what was left out.

    Attributes
    ----------
    rows : ndarray of shape (N, D)
        float64, or float32 where all columns are.
    columns : tuple of str
        Names of the D columns.
    weights : ndarray of shape (N,) or None
        Row weights, if a column of them was asked for.
    left_out : dict of str to str
        Columns that nobody asked for and that hold no numbers, each with the reason.
    format : {"csv", "parquet", "arrow", "npy"}
        What the file is.
    """

    rows: Rows
    columns: tuple[str, ...]
    weights: NDArray[np.float64] | None
    left_out: dict[str, str]
    format: str
    _source: pa.Table | NDArray[Any]

    @cached_property
    def table(self) -> pa.Table:
        """All the columns of the file, as an Arrow table."""
        return _as_arrow(self._source) if isinstance(self._source, np.ndarray) else self._source


def read_table(
    path: FilePath,
    *,
    columns: Columns | None = None,
    weights: str | int | None = None,
    where: Any = None,
    format: str | None = None,  # noqa: A002 (as NumPy and pyarrow call it)
) -> FileTable:
    r"""Read the numeric columns of a CSV, Parquet, Arrow or ``.npy`` file.

    Parameters
    ----------
    path : str or path-like
        The file; ``-`` is standard input. CSV needs a header line; the columns of ``.npy`` are
        called x1 … xD.
    columns : sequence of str or int, optional
        The columns to take, in this order. By default all that hold numbers or booleans, but for
        the weights.
    weights : str or int, optional
        A column of row weights.
    where : str or pyarrow.compute.Expression, optional
        Which rows to take; see mixtura.sources.where.
    format : {"csv", "parquet", "arrow", "npy"}, optional
        What the file must be; by default its first bytes tell.

    Raises
    ------
    TableError
        If the file cannot be read, has no such column or no numbers, or holds NaN, nulls or
        infinite values (rows are counted from 1, the header not among them).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "table.csv"
    >>> _ = path.write_text("species;length;width\nsetosa;1,4;0,2\nsetosa;1,3;0,3\n")
    >>> table = read_table(path)
    >>> table.columns, table.rows.tolist()
    (('length', 'width'), [[1.4, 0.2], [1.3, 0.3]])
    >>> table.left_out
    {'species': "text ('setosa' in row 1, rows counted from 1)"}
    """
    name = "standard input" if _is_dash(path) else os.fspath(path)
    if format is not None and format not in _SUFFIXES:
        raise TableError(f"unknown format {format!r}: choose one of {', '.join(_SUFFIXES)}")
    with _opened(path, name) as stream:
        head = stream.read(HEAD)
        stream.seek(0)
        kind = format_told(head, name, format)
        try:
            source = _READERS[kind](stream)
        except TableError as error:
            raise TableError(f"{name} {error}") from None
        except NONSENSE as error:
            raise TableError(f"{name} cannot be read as {kind}, it may be damaged: {said(error)}") from error
    if where is not None:
        source = _kept(source, where, name)
    return _numbers(source, kind, name, columns, weights)


def write_table(
    table: pa.Table,
    path: FilePath,
    format: str | None = None,  # noqa: A002
) -> None:
    """Write an Arrow table to a file, replacing it at once or not at all.

    Parameters
    ----------
    table : pyarrow.Table
        ``.npy`` takes numeric columns only.
    path : str or path-like
        The file; ``-`` is standard output; a name in ``.gz`` is compressed.
    format : {"csv", "parquet", "arrow", "npy"}, optional
        By default as the path's suffix says.

    Raises
    ------
    TableError
        If the format is unknown, or the file cannot be written.
    """
    name = "standard output" if _is_dash(path) else os.fspath(path)
    kind = _kind_of_output(name, format)
    buffer = io.BytesIO()
    try:
        _WRITERS[kind](table, buffer)
    except NONSENSE as error:
        raise TableError(f"cannot write {name} as {kind}: {said(error)}") from error
    content = buffer.getvalue()
    if _is_dash(path):
        left = memoryview(content)
        while left:  # an unbuffered stream may take a part only
            left = left[sys.stdout.buffer.write(left) :]
        sys.stdout.buffer.flush()
        return
    try:
        with replacing(path) as stream:
            stream.write(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    except OSError as error:
        raise TableError(f"cannot write {name}: {said(error)}") from error


def write_batches(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    path: FilePath,
    format: str | None = None,  # noqa: A002
    *,
    n_rows: int,
) -> None:
    """Write record batches to a file as they come, replacing it at the end or not at all.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        No more than a few are in memory at a time.
    schema : pyarrow.Schema
        Of all of them.
    path : str or path-like
        The file; ``-`` is standard output, where what was written before an error stays; a name in ``.gz`` is
        compressed.
    format : {"csv", "parquet", "arrow", "npy"}, optional
        By default as the path's suffix says.
    n_rows : int
        How many rows there will be, which ``.npy`` says at its beginning.

    Raises
    ------
    TableError
        If the format is unknown, or the file cannot be written.
    OSError
        If standard output cannot be written to.
    """
    name = "standard output" if _is_dash(path) else os.fspath(path)
    kind = _kind_of_output(name, format)
    try:
        with _whole_stdout() if _is_dash(path) else replacing(path) as stream:
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) if name.endswith(".gz") else None
            sink = _Sink(packed or stream)
            with _BATCH_WRITERS[kind](sink, schema, n_rows) as write:
                for batch in batches:
                    write(batch)
            if packed is not None:
                packed.close()
    except OSError as error:
        if _is_dash(path):
            raise
        raise TableError(f"cannot write {name}: {said(error)}") from error


def _kind_of_output(name: str, asked: str | None) -> str:
    kind = asked or _by_suffix(name)
    if kind not in _WRITERS:
        raise TableError(f"cannot tell what to write to {name}: give a format, one of {', '.join(_SUFFIXES)}")
    return kind


@contextmanager
def _whole_stdout() -> Generator[BinaryIO]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


class _Sink(io.RawIOBase):
    """A stream for pyarrow, which closes what it writes to, and takes it for granted that all is written."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        self.size += len(left)
        while left:  # an unbuffered stream may take a part only
            left = left[self.stream.write(left) :]
        return memoryview(content).nbytes


@contextmanager
def replacing(path: FilePath) -> Generator[BinaryIO]:
    """A file that takes the place of ``path``, with its permissions, if the block ends well; else it leaves no trace.

    Whoever reads ``path`` finds the old content or the new, whatever happens in between: power may fail.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():  # a pipe or device is written to, not replaced
        with target.open("wb") as stream:
            yield stream
        return
    temporary = target.with_name(f".mixtura-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o7777)
            os.fsync(stream.fileno())
        temporary.replace(target)
        _settle(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _settle(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can be asked for that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


#: What the parsers of the standard library, NumPy and pyarrow raise when they meet nonsense.
NONSENSE = (
    csv.Error,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def _is_dash(path: FilePath) -> bool:
    return os.fspath(path) == "-"


@contextmanager
def _opened(path: FilePath, name: str) -> Generator[BinaryIO]:
    """The uncompressed bytes of a file, in a stream that can be rewound."""
    if _is_dash(path):
        if sys.stdin is None:
            raise TableError("there is no standard input to read: it is closed")
        yield _unpacked(io.BytesIO(sys.stdin.buffer.read()), name)
        return
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 (closed below, where errors are others)
    except FileNotFoundError:
        raise TableError(f"there is no file {name}") from None
    except IsADirectoryError:
        raise TableError(f"{name} is a directory: name one file in it") from None
    except (OSError, ValueError) as error:
        raise TableError(f"cannot open {name}: {said(error)}") from error
    with stream:
        yield _unpacked(stream if stream.seekable() else io.BytesIO(stream.read()), name)


def _unpacked(stream: BinaryIO, name: str) -> BinaryIO:
    packed = stream.read(2) == GZIP
    stream.seek(0)
    if not packed:
        return stream
    try:
        return io.BytesIO(gzip.decompress(stream.read()))
    except NONSENSE as error:
        raise TableError(f"{name} is damaged, its gzip data end badly: {said(error)}") from error


def _by_suffix(name: str) -> str | None:
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    return next((kind for kind, suffixes in _SUFFIXES.items() if suffix in suffixes), None)


def format_told(head: bytes, name: str, asked: str | None) -> str:
    """What the first bytes say; neither the name nor what was asked for may contradict them."""
    if not head.strip():
        raise TableError(f"{name} is empty")
    found = next((kind for magic, kind in _FIRST_BYTES.items() if head.startswith(magic)), "csv")
    due = asked or _by_suffix(name) or found
    if found == "csv" and due != "csv":
        raise TableError(f"{name} does not begin like a {due} file: it is damaged or another thing")
    if asked not in {None, found}:
        raise TableError(f"{name} is a {found} file, not {asked}: leave the format out")
    if found == "csv" and b"\0" in head and not head.startswith(UTF_16):
        raise TableError(f"{name} is not a table: save it as CSV, Parquet, Arrow or .npy first")
    return found


def _read_npy(stream: BinaryIO) -> NDArray[Any]:
    """An array of one or two dimensions; a file on disk is mapped, not read."""
    if isinstance(stream, io.BytesIO):
        array = np.lib.format.read_array(stream, allow_pickle=False)
    else:
        array = np.asarray(np.load(stream.name, mmap_mode="r", allow_pickle=False))
    array_table(array)
    return array[:, None] if array.ndim == 1 else array


def array_table(array: Any, name: str = "") -> None:
    """Raise TableError if an array, of which the messages speak by that name, cannot be a table."""
    if array.dtype.kind not in "biuf" or len(array.shape) not in {1, 2}:
        raise TableError(
            f"{name}holds an array of type {array.dtype} and shape {array.shape}: "
            "a table needs real numbers in one or two dimensions"
        )


def _read_parquet(stream: BinaryIO) -> pa.Table:
    import pyarrow.parquet as pq

    return _sound(pq.ParquetFile(stream).read())


def _read_arrow(stream: BinaryIO) -> pa.Table:
    import pyarrow as pa

    seekable = stream.read(6) == b"ARROW1"
    stream.seek(0)
    reader = pa.ipc.open_file(stream) if seekable else pa.ipc.open_stream(stream)
    return _sound(reader.read_all())


def _sound(table: pa.Table) -> pa.Table:
    """The table, if its buffers are as long as they claim, its texts are texts and its names too."""
    table.validate(full=True)
    ", ".join(table.column_names)  # raises where one is no text
    return table


def _read_csv(stream: BinaryIO) -> pa.Table:
    """CSV, its encoding, delimiter and decimal mark told from its head."""
    import pyarrow as pa

    dialect = dialect_of(stream.read(HEAD))
    try:
        table = _parse_csv(stream, dialect)
    except pa.ArrowInvalid:
        row = _odd_row(stream, dialect)
        if row is None:
            raise
        raise TableError(odd_row_sentence(row)) from None
    if any(pa.types.is_binary(kind) for kind in table.schema.types):  # from before Unicode
        table = _parse_csv(stream, dialect._replace(encoding="latin-1"))
    return table.rename_columns([column.strip() for column in table.column_names])


def _parse_csv(stream: BinaryIO, dialect: Dialect, odd: Callable[[Any], str] | None = None) -> pa.Table:
    """The whole file; a row of the wrong length is an error, or what ``odd`` makes of it."""
    import pyarrow.csv

    stream.seek(0)
    return pyarrow.csv.read_csv(stream, **dialect.options(_BLOCK, odd))


def _odd_row(stream: BinaryIO, dialect: Dialect) -> Any | None:
    """The first row with another number of fields than the header, as pyarrow describes it."""
    rows: list[Any] = []

    def note(row: Any) -> str:
        rows.append(row)
        return "skip"

    _parse_csv(stream, dialect.as_bytes, note)
    return rows[0] if rows else None


_READERS: dict[str, Callable[[BinaryIO], Any]] = {
    "csv": _read_csv,
    "parquet": _read_parquet,
    "arrow": _read_arrow,
    "npy": _read_npy,
}


def _numbers(
    source: pa.Table | NDArray[Any],
    kind: str,
    name: str,
    columns: Columns | None,
    weights: str | int | None,
) -> FileTable:
    """The numeric columns of what was read."""
    mapped = isinstance(source, np.ndarray)
    names = [f"x{j + 1}" for j in range(source.shape[1])] if mapped else source.column_names
    _check_names(names, name)
    if not len(source):
        raise TableError(f"{name} has {'a header but ' if kind == 'csv' else ''}no rows")
    weight = None if weights is None else select(names, len(names), weights, name)[0]
    left_out: dict[str, str] = {}
    if columns is None:
        chosen: list[int] = []
        for i in range(len(names)):
            reason = _reason(source, names, i)
            if i != weight and reason is None:
                chosen.append(i)
            elif reason is not None:
                left_out[names[i]] = reason
        if not chosen:
            why = ": " + "; ".join(f"{key!r} is {value}" for key, value in left_out.items())
            raise TableError(f"{name} has no column of numbers{why if left_out else ''}")
    else:
        chosen = select(names, len(names), columns, name)
        if weight in chosen:
            raise TableError(f"{name}: a column cannot be both data and weights: leave out one")
    rows = _block(source, chosen, names, name)
    row_weights = None
    if weight is not None:
        column = _block(source, [weight], names, name)[:, 0]
        called = f"{name}: weights column {names[weight]!r}"
        row_weights = as_weights(column, len(column), name=called, first_row=1)
    return FileTable(rows, tuple(names[i] for i in chosen), row_weights, left_out, kind, source)


def _kept(source: pa.Table | NDArray[Any], where: Any, name: str) -> pa.Table:
    """The rows that a filter takes."""
    table = _as_arrow(source) if isinstance(source, np.ndarray) else source
    kept = filter_of(where, table.schema, name).of(table, name)
    if len(table) and not len(kept):
        raise TableError(f"no row of {name} passes where={where!r}")
    return kept


def _as_arrow(array: NDArray[Any]) -> pa.Table:
    """An array as a table, its columns called x1 … xD."""
    import pyarrow as pa

    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return pa.table({f"x{j + 1}": column for j, column in enumerate(native.T)})


def _check_names(names: Sequence[str], name: str) -> None:
    if not names:
        raise TableError(f"{name} has no columns")
    seen: set[str] = set()
    for column in names:
        if column and column in seen:
            raise TableError(f"{name} has more than one column {column!r}: give each its own name")
        seen.add(column)


def _reason(source: pa.Table | NDArray[Any], names: Sequence[str], position: int) -> str | None:
    """Why a column is left out when nobody asked for it; None if it is data."""
    if isinstance(source, np.ndarray):
        return None
    column = source.column(position)
    if not names[position]:
        return "without a name (row numbers, as a rule)"
    if re.fullmatch(r"__index_level_\d+__", names[position]):
        return "the index of a pandas data frame"
    if column.null_count == len(column):
        return "empty"
    return not_numeric(column, first_row=1)


def _block(source: pa.Table | NDArray[Any], positions: list[int], names: Sequence[str], name: str) -> Rows:
    """Some of the columns, all finite."""
    labels = Labels([names[i] for i in positions], name, first_row=1)
    if not isinstance(source, np.ndarray):
        rows = from_arrow(source, positions, labels)
    else:
        whole = positions == list(range(len(names)))
        rows = floats(source if whole else source[:, positions], labels)
    check_finite(rows, labels)
    return rows


def _write_csv(table: pa.Table, stream: BinaryIO) -> None:
    import pyarrow.csv

    pyarrow.csv.write_csv(table, stream)


def _write_parquet(table: pa.Table, stream: BinaryIO) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, stream)


def _write_arrow(table: pa.Table, stream: BinaryIO) -> None:
    import pyarrow as pa

    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


def _write_npy(table: pa.Table, stream: BinaryIO) -> None:
    positions = range(table.num_columns)
    rows = from_arrow(table, positions, Labels(table.column_names, "the table", first_row=1))
    np.lib.format.write_array(stream, rows, allow_pickle=False)


_WRITERS: dict[str, Callable[[pa.Table, BinaryIO], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "arrow": _write_arrow,
    "npy": _write_npy,
}


#: Takes one batch after the other.
_Write = Callable[["pa.RecordBatch"], Any]


@contextmanager
def _csv_batches(stream: Any, schema: pa.Schema, _: int) -> Generator[_Write]:
    import pyarrow.csv

    with pyarrow.csv.CSVWriter(stream, schema) as writer:
        yield writer.write_batch


@contextmanager
def _parquet_batches(stream: Any, schema: pa.Schema, _: int) -> Generator[_Write]:
    """Batches are gathered to row groups, for small ones are slow to read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held: list[pa.RecordBatch] = []
    few_values: Any = [field.name for field in schema if not pa.types.is_floating(field.type)]
    with pq.ParquetWriter(stream, schema, use_dictionary=few_values) as writer:

        def write(batch: pa.RecordBatch) -> None:
            held.append(batch)
            if sum(map(len, held)) >= ROW_GROUP:
                flush()

        def flush() -> None:
            if held:
                writer.write_table(pa.Table.from_batches(held), row_group_size=ROW_GROUP)
                held.clear()

        yield write
        flush()


@contextmanager
def _arrow_batches(stream: Any, schema: pa.Schema, _: int) -> Generator[_Write]:
    import pyarrow as pa

    with pa.ipc.new_file(stream, schema) as writer:
        yield writer.write_batch


@contextmanager
def _npy_batches(stream: Any, schema: pa.Schema, n_rows: int) -> Generator[_Write]:
    kind = np.dtype(np.float64)
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (n_rows, len(schema))}
    np.lib.format.write_array_header_1_0(stream, header)

    def write(batch: pa.RecordBatch) -> None:
        rows = np.empty((batch.num_rows, batch.num_columns), kind)
        for j, column in enumerate(batch.columns):
            rows[:, j] = column.to_numpy(zero_copy_only=False)
        stream.write(rows)

    yield write


_BATCH_WRITERS: dict[str, Callable[[Any, pa.Schema, int], AbstractContextManager[_Write]]] = {
    "csv": _csv_batches,
    "parquet": _parquet_batches,
    "arrow": _arrow_batches,
    "npy": _npy_batches,
}
