"""A table that is read as Arrow record batches, and which of its columns and rows are wanted."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.coerce import (
    Columns,
    Labels,
    Rows,
    TableError,
    from_batches,
    no_numbers,
    not_numeric,
    said,
    select,
)
from mixtura.sources.source import Source
from mixtura.sources.where import Filter, filter_of

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows that are looked at to tell what a column holds.
HEAD_ROWS = 1024
#: Which rows messages count where only some are taken.
AMONG = " among those that where takes"
#: What parsers raise when they meet nonsense, or a file that is cut short.
UNREADABLE = (EOFError, LookupError, MemoryError, OSError, OverflowError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of a table, whatever it is.

    Attributes
    ----------
    columns : sequence of str or int, optional
        The columns to take, in this order.
    weights : str, int or array-like, optional
        A column of row weights, or the weights themselves.
    where : str or pyarrow.compute.Expression, optional
        Which rows to take; see mixtura.sources.where.
    part : str, optional
        Which of several tables in one container.
    format : str, optional
        What a file must be.
    n_threads : int, optional
    spool : bool, optional
        Whether to copy the rows once and read the copy in each pass: by default where reading is slow, or cannot be
        repeated.
    told : callable, optional
        Is told of copies in files; by default standard error is, if that is a terminal.
    engine : distributed.Client or pyspark.sql.SparkSession, optional
        Whose workers read the files.
    """

    columns: Columns | None = None
    weights: Any = None
    where: Any = None
    part: str | None = None
    format: str | None = None
    n_threads: int | None = None
    spool: bool | None = None
    told: Callable[[str], None] | None = None
    engine: Any = None

    @property
    def named_weights(self) -> str | int | None:
        """The column of the weights, if they are one."""
        weights = self.weights
        if isinstance(weights, str):
            return weights
        return int(weights) if isinstance(weights, int | np.integer) and not isinstance(weights, bool) else None

    def refuse(self, *names: str, why: str) -> None:
        """Raise TableError if one of these was asked for."""
        for name in names:
            if getattr(self, name) is not None:
                raise TableError(f"{name} {why}")

    def refuse_part(self) -> None:
        """Raise TableError if one of several tables was asked for."""
        self.refuse("part", why="is for tables that hold several: this is one already")


@dataclass(frozen=True, eq=False)
class Opened:
    """A table as a source.

    Attributes
    ----------
    source : Source
    columns : tuple of str or None
        Names of the columns, where they have names.
    left_out : dict of str to str
        Columns that nobody asked for and that hold no numbers, each with the reason.
    format : str or None
        What the file or files are.
    """

    source: Source
    columns: tuple[str, ...] | None
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    format: str | None = None

    def __iter__(self) -> Iterator[Any]:
        """The source and the names of the columns."""
        return iter((self.source, self.columns))


class Segment(NamedTuple):
    """Rows of a table that lie together and can be read by themselves: from ``start`` up to ``stop``.

    ``batches`` are those of a Reader, of these rows.
    """

    start: int
    stop: int
    batches: Callable[[Sequence[str]], Generator[pa.RecordBatch]]


class Reader(ABC):
    """A table that can be read again and again as Arrow record batches.

    Attributes
    ----------
    name : str
        What messages call it.
    schema : pyarrow.Schema
        Of all its columns.
    n_rows : int or None
        Where it is known without reading.
    first_row : int
        The number of its first row in messages.
    named : bool
        Whether its columns have names of their own; or else they are numbered in messages.
    repeats : bool
        Whether it can be read more than once.
    """

    name: str
    schema: pa.Schema
    n_rows: int | None = None
    first_row: int = 1
    named: bool = True
    repeats: bool = True
    format: str | None = None

    @abstractmethod
    def batches(self, columns: Sequence[str], size: int | None = None) -> Generator[pa.RecordBatch]:
        """The rows in their order, with these columns in this order; ``size`` proposes how many at a time."""

    def segments(self) -> Sequence[Segment]:
        """The whole table in parts that can be read at the same time, if it can be read like that."""
        return ()

    def head(self, columns: Sequence[str]) -> pa.Table:
        """Some of the first rows."""
        import pyarrow as pa

        batches = self.batches(columns, HEAD_ROWS)
        try:
            first = next((batch for batch in batches if batch.num_rows), None)
        except TableError:
            raise
        except UNREADABLE as error:
            raise TableError(f"{self.name} cannot be read, it may be damaged: {said(error)}") from error
        finally:
            batches.close()
        if first is None:
            return pa.table({name: _nothing(self.schema.field(name).type) for name in columns})
        return pa.Table.from_batches([first])

    def version(self) -> Hashable | None:
        """Something that changes when the rows do, such as the time of a file; None if there is nothing to go by."""
        return None

    def parts(self) -> Sequence[tuple[str, pa.Schema]]:
        """Its parts, if it has some: what they are called, and their columns."""
        return ((self.name, self.schema),)

    def reason(self, column: str) -> str | None:
        """Why a column is left out if nobody asked for it, beside what it holds; None if there is no reason."""
        if not column:
            return "without a name (row numbers, as a rule)"
        if re.fullmatch(r"__index_level_\d+__", column):
            return "the index of a pandas data frame"
        return None

    def place(self, row: int) -> tuple[str, int]:
        """What the part is called that a row is in, and its number there."""
        return self.name, row


class NotNumeric(TableError):
    """Some way into a table, a column turned out to hold no numbers."""

    def __init__(self, table: str, column: str, reason: str) -> None:
        super().__init__(str(no_numbers(table, column, reason)))
        self.column, self.reason = column, reason


@dataclass(frozen=True, eq=False)
class Choice:
    """The columns and rows of a reader that are wanted.

    Attributes
    ----------
    reader : Reader
    columns : tuple of str
    weight : str or None
        The column of the row weights.
    where : Filter or None
    single : bool
        Whether all columns are float32.
    asked : bool
        Whether the columns were asked for by name.
    left_out : dict of str to str
    """

    reader: Reader
    columns: tuple[str, ...]
    weight: str | None
    where: Filter | None
    single: bool
    asked: bool
    left_out: dict[str, str]

    @property
    def labels(self) -> Labels:
        """What messages call the columns."""
        names = self.reader.schema.names
        columns = self.columns if self.reader.named else [names.index(column) for column in self.columns]
        return Labels(columns, self.reader.name, self.reader.first_row, self.among)

    @property
    def weight_labels(self) -> Labels:
        """What messages call the weights."""
        name = f"{self.reader.name}: weights column {self.weight!r}"
        return Labels([None], name, self.reader.first_row, self.among)

    @property
    def among(self) -> str:
        """Which rows messages count."""
        return "" if self.where is None else AMONG

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the columns, where they have names of their own."""
        return self.columns if self.reader.named else None

    def without(self, found: NotNumeric) -> Choice:
        """The choice without a column that turned out to hold no numbers, if nobody asked for it.

        Raises
        ------
        NotNumeric
            If someone did, or no column is left.
        """
        rest = tuple(column for column in self.columns if column != found.column)
        if self.asked or not rest or len(rest) == len(self.columns):
            raise found
        return replace(self, columns=rest, left_out=self.left_out | {found.column: found.reason})

    @property
    def wanted(self) -> Sequence[str]:
        """The columns and, after them, the weight."""
        return self.columns if self.weight is None else (*self.columns, self.weight)

    def batches(self) -> Generator[pa.RecordBatch]:
        """The rows that are wanted, as the reader's batches of the columns and, after them, of the weight."""
        import pyarrow as pa

        looked_at = [] if self.where is None else [name for name in self.where.columns if name not in self.wanted]
        batches = self.reader.batches([*self.wanted, *looked_at])
        try:
            for batch in batches:
                if self.where is None:
                    yield batch
                else:
                    yield from self.where.of(pa.Table.from_batches([batch]), self.reader.name).to_batches()
        except TableError:
            raise
        except UNREADABLE as error:
            raise TableError(f"{self.reader.name} could not be read to its end: {said(error)}") from error
        finally:
            batches.close()

    def numbers(self, batches: Sequence[pa.RecordBatch]) -> tuple[Rows, NDArray[np.float64] | None]:
        """Rows and weights of such batches, finite or not."""
        n_features = len(self.columns)
        rows = from_batches(batches, range(n_features), single=self.single)
        if self.weight is None:
            return rows, None
        weights: Any = from_batches(batches, [n_features], single=False)
        return rows, weights[:, 0]


def choose(reader: Reader, request: Request, *, strict: bool = False) -> Choice:
    """Choose the columns of a reader that are wanted.

    Columns that nobody asked for and that hold no numbers are left out, or refused if the choice is ``strict``.

    Raises
    ------
    TableError
        If there is no such column, or it holds no numbers, or they are named differently in some part.
    """
    names = reader.schema.names
    _check_names(names, reader.name)
    where = None if request.where is None else filter_of(request.where, reader.schema, reader.name)
    named = request.named_weights
    weight = None if named is None else names[select(names, len(names), named, reader.name)[0]]
    left_out: dict[str, str] = {}
    if request.columns is not None:
        columns = [names[i] for i in select(names, len(names), request.columns, reader.name)]
        if weight in columns:
            raise TableError(f"{reader.name}: a column cannot be both data and weights: leave out one")
        reasons = _reasons(reader, [name for name in columns if name != weight])
    else:
        columns = [name for name in names if name != weight]
        reasons = {} if strict else {name: told for name in columns if (told := reader.reason(name)) is not None}
        reasons |= _reasons(reader, [name for name in columns if name not in reasons])
        if not strict:
            left_out, reasons = reasons, {}
            columns = [name for name in columns if name not in left_out]
        if not columns:
            why = "; ".join(f"{name!r} is {reason}" for name, reason in left_out.items())
            raise TableError(f"{reader.name} has no column of numbers{': ' if why else ''}{why}")
    needed = columns if weight is None else [*columns, weight]
    for name, reason in (reasons | _reasons(reader, [] if weight is None else [weight], empty=False)).items():
        if reason != EMPTY:  # then its first row is reported as missing
            raise no_numbers(reader.name, name if reader.named else names.index(name), reason)
    singles = [_check_part(reader, part, schema, needed, where) for part, schema in reader.parts()]
    single = all(singles) and _single(reader.schema, columns)
    return Choice(reader, tuple(columns), weight, where, single, request.columns is not None, left_out)


#: The reason that there is nothing in a column.
EMPTY = "empty"


def _check_names(names: Sequence[str], name: str) -> None:
    if not names:
        raise TableError(f"{name} has no columns")
    seen: set[str] = set()
    for column in names:
        if column in seen:
            what = f"more than one column {column!r}" if column else "more than one column without a name"
            raise TableError(f"{name} has {what}: give each its own name")
        seen.add(column)


def _single(schema: pa.Schema, columns: Sequence[str]) -> bool:
    import pyarrow as pa

    return all(schema.field(column).type == pa.float32() for column in columns)


def _check_part(reader: Reader, part: str, schema: pa.Schema, columns: Sequence[str], where: Filter | None) -> bool:
    """Whether the columns of a part are float32; TableError if it lacks one, or one holds no numbers."""
    if schema is reader.schema:
        return True
    for column in (*columns, *(() if where is None else where.columns)):
        if schema.names.count(column) != 1:
            raise TableError(
                f"{part} has {'more than one' if column in schema.names else 'no'} column {column!r}, unlike "
                f"{reader.parts()[0][0]}: all parts of {reader.name} need the same columns"
            )
    for column in columns:
        reason = not_numeric(_nothing(schema.field(column).type))
        if reason is not None:
            raise TableError(
                f"{part}: column {column!r} is not numeric but {schema.field(column).type}, unlike in "
                f"{reader.parts()[0][0]}: all parts of {reader.name} need the same columns"
            )
    return _single(schema, columns)


def _nothing(kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array([], type=kind)


def _reasons(reader: Reader, columns: Sequence[str], *, empty: bool = True) -> dict[str, str]:
    """Which of the columns hold no numbers, each with the reason."""
    import pyarrow as pa

    if not columns:
        return {}
    head = reader.head(columns)
    reasons: dict[str, str] = {}
    for name in columns:
        reason = not_numeric(head.column(name), reader.first_row)
        if reason is not None:
            reasons[name] = reason
    if not empty:
        return reasons
    blank = [name for name in columns if name not in reasons and head.column(name).null_count == len(head)]
    if blank and reader.repeats and len(head):
        known = [name for name in blank if pa.types.is_null(reader.schema.field(name).type)]
        blank = [*known, *_blank(reader, [name for name in blank if name not in known])]
    return reasons | dict.fromkeys(blank if len(head) else [], EMPTY)


def _blank(reader: Reader, columns: Sequence[str]) -> Sequence[str]:
    """Those of the columns in which every row is null."""
    if not columns:
        return columns
    batches = reader.batches(columns)
    try:
        for batch in batches:
            columns = [name for name in columns if batch.column(name).null_count == batch.num_rows]
            if not columns:
                break
    finally:
        batches.close()
    return columns


#: Opens a kind of table: (table, request) → what it is as a source.
Opener = Callable[[Any, Request], Opened]
