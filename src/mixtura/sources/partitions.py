"""Rows that live in partitions elsewhere: what the engines of ``dask`` and ``spark`` share.

A partition is a recipe that can be read again: it is never pushed, and what a lost worker held is read anew. An engine
owes one verb, ``_answers(task)``: a picklable task is run on every partition, where its rows are, and what it returned
is handed back in the order of the partitions. So a pass sends out the task, with the parameters in it, and brings back
one record a partition; the driver adds the records in the order of the partitions. How a partition is cut into blocks
depends on its rows alone. Hence the sum has the same bits for any number of workers, in whatever order they finish, and
when some of them were lost.

Each reading of a partition is checked against the first one, by the number of its rows and the sum of their hashes,
which the order of the rows within the partition does not change.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate, zip_longest
from operator import add
from typing import Any, Literal, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mixtura.lazy import cached_property
from mixtura.sources.coerce import Columns, Labels, TableError, as_table, select, some_weights
from mixtura.sources.memory import block_rows
from mixtura.sources.source import Block, Floats, Result, Source, Sum

Weights = NDArray[np.float64] | None

_ODD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)


class PartitionsChangedError(TableError):
    """A partition did not yield the same rows again."""


class EngineError(OSError):
    """An engine could not do a pass."""


class Weighted(NamedTuple):
    """A table whose weights are not one of its columns."""

    table: Any
    weights: Any


class Tables(Protocol):
    """A partition that is read as tables one by one, so that no more than one of them is in memory."""

    def tables(self) -> Iterator[Any]:
        """The tables, in the order of the rows."""
        ...

    @property
    def called(self) -> str:
        """What messages call it beside its number."""
        ...


def tables_of(partition: Any) -> Iterator[Any]:
    """The tables that make up a partition: most often the one that it is."""
    return partition.tables() if hasattr(partition, "tables") else iter([partition])


@dataclass(frozen=True)
class Layout:
    """How the table of a partition becomes rows of numbers, alike for all partitions.

    Attributes
    ----------
    columns : tuple of str, or None
        The columns to take, in this order, if they have names.
    positions : tuple of int
        Their numbers.
    n_columns : int
        How many columns a table has if they have no names.
    weights : str or None
        A column of row weights.
    single : bool
        Whether the rows are taken as float32; else as float64.
    order : {"C", "F"}
        How blocks lie in memory, by rows or by columns, however the table came: by that, sums may round differently.
    """

    columns: tuple[str, ...] | None
    positions: tuple[int, ...]
    n_columns: int
    weights: str | None = None
    single: bool = False
    order: Literal["C", "F"] = "F"

    @classmethod
    def of(
        cls, names: Sequence[str] | None, n_columns: int, columns: Columns | None = None, weights: str | None = None
    ) -> Layout:
        """The layout of tables that have these columns, of which some may be asked for.

        Raises
        ------
        TableError
            If there is no such column, or one is to be both data and weights.
        """
        place = None if weights is None else select(names, n_columns, weights)[0]
        if columns is not None:
            kept = select(names, n_columns, columns)
        else:
            kept = [i for i in select(names, n_columns, None) if i != place]
        if place in kept:
            raise TableError(f"the column {weights!r} cannot be both data and weights: leave it out of columns")
        if not kept:
            raise TableError("Input has no column of data")
        if names is None:
            return cls(None, tuple(kept), n_columns, order="C")
        return cls(tuple(names[i] for i in kept), tuple(kept), n_columns, weights)

    @property
    def n_features(self) -> int:
        """D."""
        return len(self.positions)

    def read(self, table: Any, called: Labels) -> tuple[Floats, Weights]:
        """The rows of a table, and their weights.

        Raises
        ------
        TableError
            If they cannot be used; ``called`` is what the message calls the table and its first row.
        """
        try:
            return self._read(table, called)
        except TypeError as error:
            raise TableError(f"{called.table}: {error}") from None

    def _read(self, table: Any, called: Labels) -> tuple[Floats, Weights]:
        table, weights = table if isinstance(table, Weighted) else (table, None)
        kind: Any = np.float32 if self.single else np.float64
        n_rows, found = shape_of(table)
        if n_rows == 0:
            return np.empty((0, self.n_features), kind), None
        if self.columns is None and found != self.n_columns:
            raise TableError(f"{called.table} has {found} columns where {self.n_columns} are due")
        rows = as_table(table, columns=self.columns or self.positions, called=called).rows
        if self.weights is not None:
            weights = as_table(table, columns=self.weights, called=called).rows[:, 0]
        if weights is not None:
            name = f"{called.table}: sample_weight" if self.weights is None else f"{called.table}: {self.weights!r}"
            weights = some_weights(weights, len(rows), name=name, first_row=called.first_row)
        numbers: Floats = rows.astype(kind, copy=False)
        return numbers, weights


def shape_of(table: Any) -> tuple[int, int]:
    """Rows and columns of a table; a vector is one column."""
    shape: tuple[int, ...] = np.shape(table)
    return (shape[0] if shape else 0), (shape[1] if len(shape) > 1 else 1)


def layout_of(table: Any, columns: Columns | None, weights: str | None) -> Layout:
    """The layout of tables like this one; see Layout.of."""
    n_rows, n_columns = shape_of(table)
    layout = Layout.of(names_of(table), n_columns, columns, weights)
    if not n_rows:
        return layout
    return replace(layout, single=as_table(table, columns=layout.columns or layout.positions).rows.dtype == np.float32)


def names_of(table: Any) -> tuple[str, ...] | None:
    """The names of a table's columns, if they have names."""
    labels: tuple[Any, ...] = tuple(getattr(table, "column_names", getattr(table, "columns", ())))
    return labels if labels and all(isinstance(label, str) for label in labels) else None


class Facts(NamedTuple):
    """What there is to know of a partition: how many rows it has, the sum of their hashes, and their weight."""

    rows: int = 0
    bits: int = 0
    weight: float = 0.0

    def same(self, other: Facts) -> bool:
        """Whether both are of the same rows, in whatever order."""
        return (self.rows, self.bits) == (other.rows, other.bits)


class Answer(NamedTuple):
    """What a task returns: the facts of the partition and the value; or why there is none."""

    facts: Facts
    value: Any = None
    error: TableError | None = None


@dataclass(frozen=True)
class Task:
    """What to do with a partition: add a function's results over its blocks, or list them; none is looking at it.

    Attributes
    ----------
    layout : Layout
    function : callable or None
    summed : bool
    """

    layout: Layout
    function: Callable[[Block], Any] | None = None
    summed: bool = True

    def __call__(self, number: int, first_row: int, tables: Iterable[Any], called: str = "") -> Answer:
        """The answer of a partition, which begins at that row of the whole, read as tables one by one."""
        reader = Reader(self.layout, f"partition {number}{called and f' ({called})'}")
        try:
            blocks = reader.blocks(tables, first_row)
            if self.function is None:
                for _ in blocks:
                    pass
                return Answer(reader.facts)
            values = map(self.function, blocks)
            value = _sum(values) if self.summed else list(values)
        except TableError as error:
            return Answer(reader.facts, None, error)
        return Answer(reader.facts, value)


def _sum(values: Iterator[Any]) -> Any:
    first = next(values, None)
    return None if first is None else reduce(add, values, first)


class Reader:
    """The blocks of a partition, whose facts are gathered on the way."""

    def __init__(self, layout: Layout, where: str) -> None:
        self.layout, self.where = layout, where
        self.facts = Facts()

    def blocks(self, tables: Iterable[Any], first_row: int) -> Iterator[Block]:
        """Blocks of so many rows, whatever the sizes of the tables; the last one may be smaller."""
        most = block_rows(self.layout.n_features)
        held: list[tuple[Floats, Weights]] = []
        free = most
        read = 0
        for table in tables:
            rows, weights = self.layout.read(table, Labels((), self.where, read))
            read, start = read + len(rows), 0
            while start < len(rows):
                part = slice(start, start + free)
                held.append((rows[part], None if weights is None else weights[part]))
                start, free = part.stop, free - len(held[-1][0])
                if free == 0:
                    yield self._block(held, first_row)
                    held, free = [], most
        if held:
            yield self._block(held, first_row)

    def _block(self, held: list[tuple[Floats, Weights]], first_row: int) -> Block:
        parts, weights = [rows for rows, _ in held], held[0][1]
        if len(parts) > 1:
            shape = sum(map(len, parts)), self.layout.n_features
            rows = cast("Floats", np.empty(shape, parts[0].dtype, order=self.layout.order))
            np.concatenate(parts, out=rows)
            weights = None if weights is None else np.concatenate([w for _, w in held if w is not None])
        else:
            rows = cast("Floats", np.asarray(parts[0], order=self.layout.order))
        block = Block(rows, weights, first_row + self.facts.rows)
        before = self.facts
        with np.errstate(over="ignore"):  # seen at the end
            weight = before.weight + block.weight
        bits = (before.bits + _bits(rows, weights)) % 2**64
        self.facts = Facts(before.rows + len(rows), bits, weight)
        return block


def _bits(rows: Floats, weights: Weights) -> int:
    """64 bits that all numbers of all rows have a part in, but not the order of the rows: a sum of hashes of the rows.

    It almost surely changes with any number, and when numbers change places between rows or columns.
    """
    state = np.zeros(len(rows), dtype=np.uint64)
    upper = np.empty_like(state)
    for column in (*rows.T, *(() if weights is None else (weights,))):
        state ^= column.view(np.uint64 if column.itemsize == 8 else np.uint32)
        state *= _ODD
        np.right_shift(state, _HALF, out=upper)
        state ^= upper
    state *= _ODD
    return int(state.sum())


class Partitioned(Source):
    """Rows in partitions that an engine reads where they are.

    Attributes
    ----------
    layout : Layout
    columns : tuple of str, or None
        Names of the columns.
    facts : tuple of Facts
        Of each partition, as it was read first.
    """

    layout: Layout
    facts: tuple[Facts, ...] = ()
    remote = True

    def _look(self, layout: Layout) -> None:
        """Read all partitions for the first time: how many rows there are, and whether they can be used."""
        self.layout = layout
        self.facts = tuple(answer.facts for answer in self._sound(Task(layout)))
        self.n_rows, self.n_features = sum(f.rows for f in self.facts), layout.n_features
        self.dtype = np.dtype(np.float32 if layout.single else np.float64)
        if not self.n_rows:
            raise TableError(f"the {len(self.facts)} partitions hold no row")
        if not 0 < self.weight < np.inf:
            raise TableError(f"the row weights add up to {self.weight:g}: their sum must be positive and finite")

    @cached_property
    def weight(self) -> float:
        """How much the rows count together."""
        return sum(f.weight for f in self.facts)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns, where they have names."""
        return self.layout.columns

    @property
    def starts(self) -> list[int]:
        """The number of each partition's first row in the whole, and N."""
        return [*accumulate((f.rows for f in self.facts), initial=0)]

    @abstractmethod
    def _answers(self, task: Task) -> Iterator[Answer]:
        """What the task returns for each partition, in their order."""

    def _sound(self, task: Task) -> Iterator[Answer]:
        """The answers, if there is no error among them."""
        for answer in self._answers(task):
            if answer.error is not None:
                raise answer.error
            yield answer

    def _again(self, task: Task) -> Iterator[Any]:
        """The values of the partitions that have rows, if those are the same rows as at first."""
        pairs = zip_longest(self._sound(task), self.facts)
        for number, (answer, before) in enumerate((a or Answer(Facts()), b or Facts()) for a, b in pairs):
            if not answer.facts.same(before):
                raise PartitionsChangedError(
                    f"partition {number} does not yield the same rows again (it had {before.rows}, now "
                    f"{answer.facts.rows}): keep the rows with {self._keep}, or write them to Parquet files"
                )
            if before.rows:
                yield answer.value

    #: How the user of the engine keeps rows that a recomputation would change.
    _keep: str

    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:
        """The function of each block, in block order."""
        for values in self._again(Task(self.layout, function, summed=False)):
            yield from values

    def total(self, function: Callable[[Block], Sum]) -> Sum:
        """The sum of the function over the blocks of each partition, and of those over the partitions."""
        return reduce(add, self._again(Task(self.layout, function)))
