"""Rows of a Spark DataFrame, through ``mapInArrow``: no RDD, so that it works wherever sessions do.

A pass is one job: its closure carries the parameters, and each partition returns its number and one record. Partitions
that are small are read by one task, one after the other; each has its own record all the same.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.coerce import Columns, TableError
from mixtura.sources.partitions import Answer, Facts, Layout, Partitioned, Task
from mixtura.sources.reader import Opened, Request

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    ArrowFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

#: A task has so many numbers to read, if there are as many partitions; but there are so many tasks for each core.
TASK_NUMBERS = 2_000_000
TASKS_EACH = 2

#: What a task returns for each partition: its number, and a pickled Answer.
_RETURNED = "number int, answer binary"


class SparkSource(Partitioned):
    """The rows of a Spark DataFrame, read where they are.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    columns : sequence of str or int, optional
        The columns to take, in this order; by default all, less the weights.
    weights : str, optional
        A column of row weights.

    Raises
    ------
    TableError
        If a column or partition cannot be used: the message tells which, where and why.
    """

    _keep = "cache()"

    def __init__(self, frame: DataFrame, columns: Columns | None = None, weights: str | None = None) -> None:
        layout = Layout.of(frame.columns, len(frame.columns), columns, weights)
        self._names = [*(layout.columns or ()), *(() if weights is None else (weights,))]
        kinds = [_kind(frame, name) for name in self._names]
        # under plain names, for mapInArrow takes a dot in a name for a path
        self._frame = frame.select([_column(frame, name).alias(f"c{i}") for i, name in enumerate(self._names)])
        self._tasks = 0
        self._look(replace(layout, single=all(kind == "float" for kind in kinds[: layout.n_features])))
        self._tasks = self._glued(frame)

    def _glued(self, frame: DataFrame) -> int:
        """How many tasks a pass is to have; 0 is one for each partition."""
        try:
            cores = frame.sparkSession.sparkContext.defaultParallelism
        except (AttributeError, RuntimeError):  # a session that is elsewhere does not tell
            return 0
        wanted = max(TASKS_EACH * cores, -(-self.n_rows * self.n_features // TASK_NUMBERS))
        return wanted if wanted < len(self.facts) else 0

    def _answers(self, task: Task) -> Iterator[Answer]:
        frame = self._frame
        if self._tasks:
            from pyspark.sql.functions import spark_partition_id

            frame = frame.withColumn("number", spark_partition_id()).coalesce(self._tasks)
        work = _sent(task, self._names, self.starts, bool(self._tasks))
        found = {row.number: row.answer for row in frame.mapInArrow(work, _RETURNED).collect()}
        for number in range(max(len(self.facts), 1 + max(found, default=-1))):
            yield pickle.loads(found[number]) if number in found else Answer(Facts())  # noqa: S301 (from our task)


def open_spark(table: Any, request: Request) -> Opened | None:
    """The source of a Spark DataFrame."""
    if not hasattr(table, "mapInArrow"):
        return None
    request.refuse("where", "part", "spool", why="is not for Spark: choose and keep the rows with its own methods")
    request.refuse("n_threads", why="is for rows on this machine: Spark has as many executors as it has")
    if request.weights is not None and not isinstance(request.weights, str):
        raise TableError("the weights of a Spark DataFrame are one of its columns: name it")
    source = SparkSource(table, request.columns, request.weights)
    return Opened(source, source.columns)


def with_columns(
    frame: DataFrame,
    function: Callable[[pa.RecordBatch], Mapping[str, NDArray[Any]]],
    nothing: Mapping[str, NDArray[Any]],
) -> DataFrame:
    """The frame with the columns that a function of its rows gives, lazily; of no rows it gives ``nothing``."""
    from pyspark.sql.types import DoubleType, LongType, StructField, StructType

    names = list(frame.columns)
    kinds = [LongType() if values.dtype.kind == "i" else DoubleType() for values in nothing.values()]
    more = [StructField(name, kind) for name, kind in zip(nothing, kinds, strict=True)]
    plain = frame.select([_column(frame, name).alias(f"c{i}") for i, name in enumerate(names)])

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _with_columns(function, names, batches)

    return plain.mapInArrow(work, StructType([*frame.schema.fields, *more]))


def _kind(frame: DataFrame, name: str) -> str:
    """The type of a column."""
    kind = frame.schema[name].dataType
    if hasattr(kind, "deserialize"):
        raise TableError(
            f"column {name!r} holds objects ({kind.typeName()}): make columns of numbers of it, "
            "of an ML vector with pyspark.ml.functions.vector_to_array"
        )
    return kind.typeName()


def _column(frame: DataFrame, name: str) -> Column:
    return frame["`" + name.replace("`", "``") + "`"]


def _sent(task: Task, names: Sequence[str], starts: Sequence[int], several: bool) -> ArrowFunction:
    """The function that Spark runs in each of its tasks, on ``several`` partitions or on one."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _work(task, names, starts, several, batches)

    return work


# What workers do


def _work(
    task: Task, names: Sequence[str], starts: Sequence[int], several: bool, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for number, tables in _partitions(names, several, batches):
        answer = task(number, starts[number] if number < len(starts) else 0, tables)
        columns = [pa.array([number], pa.int32()), pa.array([pickle.dumps(answer)], pa.binary())]
        yield pa.RecordBatch.from_arrays(columns, names=["number", "answer"])


def _partitions(
    names: Sequence[str], several: bool, batches: Iterator[pa.RecordBatch]
) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
    """The number of each partition and its tables."""
    if several:
        for number, runs in groupby(_runs(names, batches), itemgetter(0)):
            yield number, (table for _, table in runs)
    else:
        from pyspark import TaskContext

        context: Any = TaskContext.get()
        yield context.partitionId(), (batch.rename_columns(list(names)) for batch in batches)


def _runs(names: Sequence[str], batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The parts of the batches that are of one partition, with its number."""
    for batch in batches:
        numbers = batch.column(len(names)).to_numpy()
        table = batch.select(range(len(names))).rename_columns(list(names))
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        for start, stop in pairwise(edges):
            if stop > start:
                yield int(numbers[start]), table.slice(start, stop - start)


def _with_columns(
    function: Callable[[pa.RecordBatch], Mapping[str, NDArray[Any]]],
    names: Sequence[str],
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        found = function(batch.rename_columns(list(names)))
        arrays = [*batch.columns, *map(pa.array, found.values())]
        yield pa.RecordBatch.from_arrays(arrays, names=[*names, *found])
