"""Tables in files: one, several, or a folder of them; Parquet, Arrow IPC and CSV, read piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import copy
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from mixtura.sources.coerce import TableError, not_numeric, said
from mixtura.sources.dialect import HEAD, Dialect, dialect_of, odd_row_sentence
from mixtura.sources.files import GZIP, format_told
from mixtura.sources.reader import UNREADABLE, NotNumeric, Reader, Segment

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import fs

#: Rows of a batch that is read from Parquet: as many as two large blocks have.
BATCH_ROWS = 32_768
#: Rows that are read by themselves, at least.
SEGMENT_ROWS = 1 << 18
#: Bytes of each column of a Parquet file that are read together, and of CSV that are parsed together: no line of it
#: may be longer.
BUFFER = 1 << 20
CSV_BLOCK = 1 << 22
#: What stands for no value in the name of a folder.
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def typed(values: Sequence[str]) -> list[Any]:
    """What folders are called, as whole numbers, numbers or texts: the first of these that all of them are."""
    from urllib.parse import unquote

    plain = [None if value == _NO_VALUE else unquote(value) for value in values]
    for kind in (int, float):
        try:
            return [None if value is None else kind(value) for value in plain]
        except ValueError:
            continue
    return list(plain)


#: (columns, size) → record batches.
Batches = Callable[..., Generator["pa.RecordBatch"]]


class File(ABC):
    """A file that holds a table.

    Attributes
    ----------
    name : str
        What messages call it.
    schema : pyarrow.Schema
    n_rows : int or None
        Where that is known without reading all of it.
    """

    schema: pa.Schema
    n_rows: int | None = None

    def __init__(self, system: fs.FileSystem, path: str, name: str) -> None:
        self.system, self.path, self.name = system, path, name

    @abstractmethod
    def batches(self, columns: Sequence[str], size: int | None = None) -> Generator[pa.RecordBatch]:
        """Its rows, as those of a Reader."""

    def segments(self) -> Sequence[tuple[int, Batches]]:
        """Parts that can be read by themselves, in their order: how many rows they have, and how to read them."""
        return [] if self.n_rows is None else [(self.n_rows, self.batches)]

    def portions(self, most: int) -> Iterator[tuple[int, File]]:
        """Parts that can be read by themselves, of so many rows if possible, each with the number of its first one."""
        yield 0, self

    def version(self) -> Hashable:
        """Its size and the time when it was written."""
        info = self.system.get_file_info(self.path)
        return info.size, info.mtime_ns

    def stream(self) -> Any:
        """Its bytes; they are read, not mapped, for a mapped file that is cut short ends the process."""
        return self.system.open_input_file(self.path)


class Parquet(File):
    """Of a Parquet file no more is in memory than a buffer for each column and the pages that are being decoded."""

    row_groups: Sequence[int] | None = None  # all of them

    def __init__(self, system: fs.FileSystem, path: str, name: str) -> None:
        super().__init__(system, path, name)
        with self._file() as file:
            self.schema, self.n_rows = file.schema_arrow, file.metadata.num_rows
            self.groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]

    def portions(self, most: int) -> Iterator[tuple[int, Parquet]]:
        with self._file() as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        starts = [0, *accumulate(sizes)]
        first = 0
        for last in range(1, len(starts)):
            if starts[last] - starts[first] >= most or last == len(sizes):
                portion = copy(self)
                portion.row_groups = range(first, last)
                yield starts[first], portion
                first = last

    def _file(self) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetFile(self.stream(), pre_buffer=False, buffer_size=BUFFER)

    def batches(self, columns: Sequence[str], size: int | None = None) -> Generator[pa.RecordBatch]:
        return self._batches(self.row_groups, columns, size)

    def _batches(
        self, groups: Sequence[int] | None, columns: Sequence[str], size: int | None = None
    ) -> Generator[pa.RecordBatch]:
        with self._file() as file:
            # threads of their own are no gain to those that compute, and cost time
            for batch in file.iter_batches(size or BATCH_ROWS, groups, list(columns), use_threads=False):
                yield batch.select(list(columns))

    def segments(self) -> Sequence[tuple[int, Batches]]:
        """Row groups, small ones together."""
        found: list[tuple[int, Batches]] = []
        held: list[int] = []
        for group in range(len(self.groups)):
            held.append(group)
            n_rows = sum(self.groups[i] for i in held)
            if n_rows >= SEGMENT_ROWS or group == len(self.groups) - 1:
                found.append((n_rows, partial(self._batches, held)))
                held = []
        return found


class Arrow(File):
    """Arrow IPC, also called Feather, with or without a footer; one of its batches is in memory at a time."""

    def __init__(self, system: fs.FileSystem, path: str, name: str) -> None:
        import pyarrow.dataset as ds

        super().__init__(system, path, name)
        with self.stream() as stream:
            self.seekable = stream.read(6) == b"ARROW1"
        with self._reader(None) as reader:
            self.schema = reader.schema
        if self.seekable:
            self.n_rows = ds.dataset(path, filesystem=system, format="ipc").count_rows()

    def _reader(self, columns: Sequence[str] | None) -> Any:
        import pyarrow as pa

        fields = None if columns is None else [self.schema.get_field_index(column) for column in columns]
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        open_any = pa.ipc.open_file if self.seekable else pa.ipc.open_stream
        return open_any(self.stream(), options=options)

    def batches(self, columns: Sequence[str], size: int | None = None) -> Generator[pa.RecordBatch]:
        with self._reader(columns) as reader:
            by_number = (reader.get_batch(i) for i in range(reader.num_record_batches if self.seekable else 0))
            for batch in by_number if self.seekable else reader:
                batch.validate(full=True)  # its buffers are as long as they claim
                yield batch.select(list(columns))


class Csv(File):
    """CSV, also gzipped; its types are those of its head, but all numbers are floating-point ones."""

    def __init__(self, system: fs.FileSystem, path: str, name: str) -> None:
        import pyarrow as pa

        super().__init__(system, path, name)
        with self.stream() as stream:
            self.packed = stream.read(2) == GZIP
        with self.text() as stream:
            self.dialect = _named(lambda: dialect_of(stream.read(HEAD)), name)
        try:
            found = self._first(self.dialect)
        except pa.ArrowInvalid as error:
            raise self._odd_row() or error from None
        if any(pa.types.is_binary(kind) for kind in found.types):  # from before Unicode
            self.dialect = self.dialect._replace(encoding="latin-1")
            found = self._first(self.dialect)
        self.raw = {column.strip(): column for column in found.names}
        self.schema = pa.schema([(field.name.strip(), _read_as(field.type)) for field in found])

    def text(self) -> Any:
        """Its bytes, uncompressed."""
        return self.system.open_input_stream(self.path, compression="gzip" if self.packed else None)

    def _first(self, dialect: Dialect) -> pa.Schema:
        """Columns and types of the first block."""
        import pyarrow.csv

        with self.text() as stream, pyarrow.csv.open_csv(stream, **dialect.options(CSV_BLOCK)) as reader:
            return reader.schema

    def batches(self, columns: Sequence[str], size: int | None = None) -> Generator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.csv

        raw = [self.raw[column] for column in columns]
        kinds = {self.raw[column]: self.schema.field(column).type for column in columns}
        kinds = {name: kind for name, kind in kinds.items() if not pa.types.is_null(kind)}
        block_size = BUFFER if size else CSV_BLOCK
        options = self.dialect.options(block_size, include_columns=raw, column_types=kinds)
        try:
            with self.text() as stream, pyarrow.csv.open_csv(stream, **options) as reader:
                for batch in reader:
                    yield batch.rename_columns(list(columns))
        except pa.ArrowInvalid as error:
            raise self._odd_row() or self._text_in(columns) or error from None

    def _odd_row(self) -> TableError | None:
        """What there is to say of the first row with another number of fields than the header, if there is one."""
        import pyarrow as pa
        import pyarrow.csv

        found: list[Any] = []

        def note(row: Any) -> str:
            found.append(row)
            return "skip"

        options = self.dialect.as_bytes.options(CSV_BLOCK, note)
        try:
            with self.text() as stream, pyarrow.csv.open_csv(stream, **options) as reader:
                while not found and reader.read_next_batch() is not None:
                    pass
        except (StopIteration, pa.ArrowInvalid):
            pass
        return TableError(f"{self.name} {odd_row_sentence(found[0])}") if found else None

    def _text_in(self, columns: Sequence[str]) -> TableError | None:
        """What there is to say of the first value that is not what its column is, if there is one."""
        import pyarrow as pa
        import pyarrow.csv

        kinds = {column: self.schema.field(column).type for column in columns}
        kinds = {column: kind for column, kind in kinds.items() if not_numeric(pa.chunked_array([], kind)) is None}
        as_text = dict.fromkeys((self.raw[column] for column in kinds), pa.string())
        options = self.dialect.as_bytes.options(
            CSV_BLOCK, include_columns=list(as_text), column_types=as_text, strings_can_be_null=True
        )
        row = 1
        with self.text() as stream, pyarrow.csv.open_csv(stream, **options) as reader:
            for batch in reader:
                wrong = [
                    (place, column)
                    for column, values in zip(kinds, batch.columns, strict=True)
                    if (place := _first_other(values, kinds[column], self.dialect.decimal_mark)) is not None
                ]
                if wrong:
                    place, column = min(wrong, key=lambda each: each[0])
                    value = batch.column(self.raw[column])[place].as_py()
                    shown = value if len(value) <= 40 else f"{value[:37]}…"
                    reason = f"text ({shown!r} in row {row + place}, rows counted from 1)"
                    return NotNumeric(self.name, column, reason)
                row += len(batch)
        return None


def _read_as(kind: pa.DataType) -> pa.DataType:
    """The type in which a column of CSV is read that looks like this at its head."""
    import pyarrow as pa

    return pa.float64() if pa.types.is_integer(kind) or pa.types.is_floating(kind) else kind


def _first_other(values: pa.StringArray, kind: pa.DataType, decimal_mark: str) -> int | None:
    """The first text that cannot be read as that type."""
    import pyarrow as pa
    from pyarrow import compute

    kind = pa.float64() if pa.types.is_null(kind) else kind
    functions: Any = compute  # which are made when it is imported
    plain = functions.replace_substring(functions.utf8_trim_whitespace(values), decimal_mark, ".")
    try:
        plain.cast(kind)
    except pa.ArrowInvalid:
        for place, value in enumerate(plain):
            try:
                value.cast(kind)
            except pa.ArrowInvalid:
                return place
    return None


_KINDS: dict[str, Callable[[Any, str, str], File]] = {"parquet": Parquet, "arrow": Arrow, "csv": Csv}


class Stored(Reader):
    """A table in one file, or the tables in several, one after the other.

    Parameters
    ----------
    system : pyarrow.fs.FileSystem
    paths : sequence of str
        Where they are in that system.
    names : sequence of str
        What messages call them.
    name : str
        What messages call all of them.
    kind : {"csv", "parquet", "arrow"}, optional
        What they must be; by default their first bytes tell.
    constants : sequence of mapping, optional
        For each file columns that its folders name, with the value that they have in it.
    """

    def __init__(
        self,
        system: fs.FileSystem,
        paths: Sequence[str],
        names: Sequence[str],
        name: str,
        *,
        kind: str | None = None,
        constants: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        import pyarrow as pa

        self.name = name
        kinds = [_kind(system, *each, kind) for each in zip(paths, names, strict=True)]
        if len(set(kinds)) > 1:
            other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
            raise TableError(
                f"{name} holds files of different kinds, {names[0]} ({kinds[0]}) and {names[other]} ({kinds[other]}): "
                "choose some of them by a pattern, such as FOLDER/*.parquet"
            )
        self.format = kinds[0]
        self.files = [
            _readable(lambda path=path, name=name: _KINDS[self.format or ""](system, path, name), name, self.format)
            for path, name in zip(paths, names, strict=True)
        ]
        self.constants = constants or [{}] * len(self.files)
        added = {key: pa.array([each[key] for each in self.constants]).type for key in self.constants[0]}
        self._schemas = [
            pa.schema([*file.schema, *((k, t) for k, t in added.items() if k not in file.schema.names)])
            for file in self.files
        ]
        self.schema = self._schemas[0]
        counts = [file.n_rows for file in self.files]
        self._counts: dict[int, int] = {i: n for i, n in enumerate(counts) if n is not None}
        self.n_rows = sum(self._counts.values()) if len(self._counts) == len(counts) else None

    def portions(self, most: int) -> Iterator[Portion]:
        """The same rows in parts of one file, or of so many rows of it, if that is possible."""
        for number, file in enumerate(self.files):
            for first, part in file.portions(most):
                portion = copy(self)
                portion.files, portion.constants = [part], [self.constants[number]]
                portion._schemas, portion._counts, portion.n_rows = [self._schemas[number]], {}, None
                yield Portion(portion, file.name, first)

    def parts(self) -> Sequence[tuple[str, pa.Schema]]:
        return [(file.name, schema) for file, schema in zip(self.files, self._schemas, strict=True)]

    def reason(self, column: str) -> str | None:
        if column in self.constants[0] and column not in self.files[0].schema.names:
            return "part of the names of folders"
        return super().reason(column)

    def version(self) -> Hashable:
        return tuple(file.version() for file in self.files)

    def place(self, row: int) -> tuple[str, int]:
        known = [self._counts[i] for i in range(len(self.files)) if i in self._counts]
        starts = [0, *accumulate(known)]
        number = min(sum(start <= row for start in starts) - 1, len(self.files) - 1)
        return self.files[number].name, row - starts[number]

    def batches(self, columns: Sequence[str], size: int | None = None) -> Generator[pa.RecordBatch]:
        for number, file in enumerate(self.files):
            n_rows = 0
            for batch in self._of_file(number, file.batches, columns, size):
                n_rows += batch.num_rows
                yield batch
            self._counts[number] = n_rows

    def segments(self) -> Sequence[Segment]:
        found: list[Segment] = []
        row = 0
        for number, file in enumerate(self.files):
            if file.n_rows is None:
                return ()
            for n_rows, batches in file.segments():
                found.append(Segment(row, row + n_rows, partial(self._of_file, number, batches)))
                row += n_rows
        return found

    def _of_file(
        self, number: int, read: Batches, columns: Sequence[str], size: int | None = None
    ) -> Generator[pa.RecordBatch]:
        """A file, or what is read of it, with the columns that its folders name."""
        file, constants = self.files[number], self.constants[number]
        held = [column for column in columns if column in file.schema.names]
        n_rows = 0
        # a file of which nothing but constants is wanted is read for how many rows it has
        with closing(read(held or file.schema.names[:1], size)) as batches:
            try:
                for batch in batches:
                    n_rows += batch.num_rows
                    yield batch if len(held) == len(columns) else self._completed(batch, columns, constants)
            except TableError:
                raise
            except UNREADABLE as error:
                raise TableError(
                    f"{file.name} could not be read beyond row {n_rows}, it may be damaged or cut short: {said(error)}"
                ) from error

    def _completed(self, batch: pa.RecordBatch, columns: Sequence[str], constants: Mapping[str, Any]) -> Any:
        """The batch, with the columns that the folders name."""
        import pyarrow as pa

        arrays = [
            batch.column(column)
            if column in batch.schema.names
            else pa.repeat(pa.scalar(constants[column], self.schema.field(column).type), batch.num_rows)
            for column in columns
        ]
        return pa.record_batch(arrays, names=list(columns))


class Portion(NamedTuple):
    """A part of a table in files: of the file of that name, from that row on."""

    reader: Stored
    file: str
    first: int


def _kind(system: fs.FileSystem, path: str, name: str, asked: str | None) -> str:
    """What a file is, by its first bytes."""
    try:
        with system.open_input_file(path) as stream:
            head = stream.read(HEAD)
        if head[:2] == GZIP:
            with system.open_input_stream(path, compression="gzip") as stream:
                head = stream.read(HEAD)
    except (OSError, ValueError) as error:
        raise TableError(f"cannot open {name}: {said(error)}") from error
    return format_told(head, name, asked)


def _named(make: Callable[[], Any], name: str) -> Any:
    """What it makes, with the name before what goes wrong."""
    try:
        return make()
    except TableError as error:
        raise TableError(f"{name} {error}") from None


def _readable(make: Callable[[], File], name: str, kind: str) -> File:
    try:
        return make()
    except TableError:
        raise
    except UNREADABLE as error:
        raise TableError(f"{name} cannot be read as {kind}, it may be damaged: {said(error)}") from error
