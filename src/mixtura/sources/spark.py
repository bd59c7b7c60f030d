"""Rows of a Spark DataFrame, through ``mapInArrow``: no RDD, so that it works wherever sessions do.

A pass is one job: its closure carries the parameters, and each partition returns its number and one record. Partitions
that are small are read by one task, one after the other; each has its own record all the same.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.coerce import Columns, TableError, said
from mixtura.sources.partitions import Answer, EngineError, Facts, Layout, Partitioned, Task
from mixtura.sources.reader import Opened, Request

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, Row

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

    ordered = False
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
        several = task.summed and self._tasks > 0
        frame = self._frame
        if several:
            from pyspark.sql.functions import spark_partition_id

            frame = frame.withColumn("number", spark_partition_id()).coalesce(self._tasks)
        answers = frame.mapInArrow(_sent(task, self._names, self.starts, several), _RETURNED)
        if not task.summed:  # answers may be large: those of one partition at a time
            with _said():
                yield from (_answer(row) for row in answers.toLocalIterator(prefetchPartitions=True))
            return
        with _said():
            found = {row.number: _answer(row) for row in answers.collect()}
        for number in range(max(len(self.facts), 1 + max(found, default=-1))):
            yield found.get(number, Answer(Facts()))  # one without rows is not there where tasks read several


@contextmanager
def _said() -> Generator[None]:
    """What goes wrong in Spark, in one sentence: the last one of a worker, or the first one of Spark."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        what = lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
        raise EngineError(f"Spark could not do a pass: {what.strip()}") from error


def _answer(row: Row) -> Answer:
    return pickle.loads(row.answer)  # noqa: S301 (from our own task, and Spark runs pickles anyway)


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


def open_paths(paths: Sequence[str], request: Request) -> Opened:
    """The source of files, or folders of them, which ``request.engine``, a SparkSession, reads in every pass."""
    from pyspark.errors import PySparkException

    request.refuse("where", "part", why="is not for Spark: choose the rows of a DataFrame with its own methods")
    if request.weights is not None and request.named_weights is None:
        raise TableError("the weights must be a column of the files: name it")
    kind = request.format or next((kind for kind in _READ if paths[0].endswith(f".{kind}")), "parquet")
    if kind not in _READ:
        raise TableError(f"Spark reads {' and '.join(_READ)} files, not {kind}")
    try:
        frame: DataFrame = request.engine.read.load(list(paths), kind, **_READ[kind])
        columns, left_out = request.columns, dict[str, str]()
        if columns is None:
            kinds = {field.name: field.dataType.typeName() for field in frame.schema.fields}
            left_out = {name: f"of type {kind}" for name, kind in kinds.items() if kind not in _NUMBERS}
            columns = [name for name in kinds if name not in left_out and name != request.weights]
        source = SparkSource(frame, columns, request.weights)
    except PySparkException as error:
        raise TableError(f"Spark cannot read {', '.join(paths)}: {said(error)}") from error
    return Opened(source, source.columns, left_out, kind)


#: The kinds of files that Spark reads, with the options for it.
_READ: dict[str, dict[str, Any]] = {"parquet": {}, "csv": {"header": True, "inferSchema": True}}
#: Its types that hold numbers.
_NUMBERS = ("byte", "short", "integer", "long", "float", "double", "decimal", "boolean")


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
