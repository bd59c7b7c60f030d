"""Rows of a Spark DataFrame, through ``mapInArrow``: no RDD, so that it works wherever sessions do.

A pass is one job: a setting or its closure carries the parameters, and each partition returns its number and one
record. Partitions that are small are read by one task, one after the other; each has its own record all the same. To
hand rows of a DataFrame to Python is slow, number by number; so Spark keeps them in blocks of bytes, which it makes
again if it loses them.
"""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import groupby, pairwise
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.coerce import Columns, TableError, said
from mixtura.sources.partitions import Answer, EngineError, Facts, Layout, Partitioned, Reader, Task, Weighted
from mixtura.sources.reader import Opened, Request

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, Row

    ArrowFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
    _Tables = Callable[[pa.RecordBatch], Iterator[Any]]

#: A task has so many numbers to read, if there are as many partitions; but there is one for each core.
TASK_NUMBERS = 16_000_000

#: Parameters of so many bytes, or fewer, are sent as a setting, which leaves the plan of the pass as it was.
SETTING_BYTES = 100_000

#: What a task returns for each partition: its number, and a pickled Answer.
_RETURNED = "number int, answer binary"
#: A partition whose numbers have been packed: its blocks, one a row, or what is wrong with it.
_PACKED = "number int, rows binary, weights binary, error binary"


class SparkSource(Partitioned):
    """The rows of a Spark DataFrame, read where they are.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    columns : sequence of str or int, optional
        The columns to take, in this order; by default all, less the weights.
    weights : str, optional
        A column of row weights.
    keep : bool
        Whether Spark keeps the numbers as they are read first, packed in blocks, in memory and what has no room there
        on disk, as long as this source is there. Else every pass reads the DataFrame itself.

    Raises
    ------
    TableError
        If a column or partition cannot be used: the message tells which, where and why.
    """

    ordered = False
    _keep = "checkpoint()"
    _cores: int | None
    _plan: DataFrame | None

    def __init__(
        self, frame: DataFrame, columns: Columns | None = None, weights: str | None = None, *, keep: bool = True
    ) -> None:
        from pyspark.sql.functions import spark_partition_id

        layout = Layout.of(frame.columns, len(frame.columns), columns, weights)
        names = [*(layout.columns or ()), *(() if weights is None else (weights,))]
        kinds = [_kind(frame, name) for name in names]
        layout = replace(layout, single=all(kind == "float" for kind in kinds[: layout.n_features]))
        # under plain names, for mapInArrow takes a dot in a name for a path
        plain = [_column(frame, name).alias(f"c{i}") for i, name in enumerate(names)]
        self._frame = frame.select(spark_partition_id().alias("number"), *plain)
        self._tables, self._names, self._tasks = partial(_named, names), layout.columns, 0
        self._setting, self._plan, self._cores = f"spark.mixtura.{uuid4().hex}", None, _cores(frame)
        if keep:
            self._frame, self._tables = _packed(self._frame, layout, names)
            finalize(self, _let_go, self._frame).atexit = False
            positions = tuple(range(layout.n_features))
            layout = Layout(None, positions, layout.n_features, single=layout.single, order="F")
        self._look(layout)
        self._tasks = self._glued()

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns."""
        return self._names

    def _glued(self) -> int:
        """How many tasks a pass is to have; 0 is one for each partition."""
        if self._cores is None:
            return 0
        wanted = max(self._cores, -(-self.n_rows * self.n_features // TASK_NUMBERS))
        return wanted if wanted < len(self.facts) else 0

    def _answers(self, task: Task) -> Iterator[Answer]:
        from pyspark import cloudpickle

        sent = cloudpickle.dumps(task)
        with _said():
            if not task.summed:  # answers may be large: they are taken from one partition after the other
                rows = self._mapped(sent, 0).toLocalIterator(prefetchPartitions=True)
            elif not self.facts or self._cores is None or len(sent) > SETTING_BYTES:
                rows = self._mapped(sent, self._tasks).collect()
            else:
                rows = self._again_mapped(sent)
            yield from _in_order(rows, len(self.facts))

    def _mapped(self, sent: bytes | None, tasks: int) -> DataFrame:
        """The answers to a task; if none is sent, to that which the setting holds when they are collected."""
        frame = self._frame.coalesce(tasks) if tasks else self._frame
        return frame.mapInArrow(_sent(sent or self._setting, self._tables, self.starts), _RETURNED)

    def _again_mapped(self, sent: bytes) -> list[Row]:
        """The answers of a plan that Spark made once: to make one takes longer than many a pass."""
        if self._plan is None:
            self._plan = self._mapped(None, self._tasks)
        conf = self._frame.sparkSession.conf
        conf.set(self._setting, base64.b64encode(sent).decode())
        try:
            return self._plan.collect()
        finally:
            conf.unset(self._setting)


def _in_order(rows: Iterable[Row], size: int) -> Iterator[Answer]:
    """The answers of at least so many partitions; one that has no rows has not answered."""
    number = 0
    for row in sorted(rows, key=attrgetter("number")) if isinstance(rows, list) else rows:
        for _ in range(number, row.number):
            yield Answer(Facts())
        yield pickle.loads(row.answer)  # noqa: S301 (from our own task, and Spark runs pickles anyway)
        number = row.number + 1
    for _ in range(number, size):
        yield Answer(Facts())


def _packed(frame: DataFrame, layout: Layout, names: Sequence[str]) -> tuple[DataFrame, _Tables]:
    """The numbers of a frame in blocks, which Spark keeps, and how to read them."""
    from pyspark import StorageLevel

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _pack(layout, names, batches)

    # or else Spark takes the frames of two sources of the same rows for one, and lets go of both when one ends
    work.__doc__ = f"Work of {uuid4().hex}."
    packed = frame.mapInArrow(work, _PACKED).persist(StorageLevel.MEMORY_AND_DISK)
    return packed, partial(_unpacked, layout.n_features, layout.single)


def _cores(frame: DataFrame) -> int | None:
    """How many tasks can run at once; None where the session is elsewhere (Spark Connect), which does not tell."""
    try:
        return int(frame.sparkSession.sparkContext.defaultParallelism)
    except (AttributeError, RuntimeError):
        return None


def _let_go(packed: DataFrame) -> None:
    """Let Spark forget what it keeps."""
    with suppress(Exception):  # the session may have ended before
        packed.unpersist()


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


def open_spark(table: Any, request: Request) -> Opened | None:
    """The source of a Spark DataFrame."""
    if not hasattr(table, "mapInArrow"):
        return None
    request.refuse("where", "part", why="is not for Spark: choose the rows with its own methods")
    request.refuse("n_threads", why="is for rows on this machine: Spark has as many executors as it has")
    if request.weights is not None and not isinstance(request.weights, str):
        raise TableError("the weights of a Spark DataFrame are one of its columns: name it")
    source = SparkSource(table, request.columns, request.weights, keep=request.spool is not False)
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
        source = SparkSource(frame, columns, request.weights, keep=request.spool is not False)
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


def _sent(task: bytes | str, tables: _Tables, starts: Sequence[int]) -> ArrowFunction:
    """The function that Spark runs in each of its tasks; the task itself, or the setting of Spark that holds it."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _work(_received(task) if isinstance(task, str) else task, tables, starts, batches)

    return work


# What workers do


def _received(setting: str) -> bytes:
    """What a setting holds, which goes with each task of Spark."""
    from pyspark import TaskContext

    context: Any = TaskContext.get()
    return base64.b64decode(context.getLocalProperty(setting))


def _work(
    sent: bytes, tables: _Tables, starts: Sequence[int], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The answer of each partition that a task reads, one after the other."""
    import pyarrow as pa

    task: Task = pickle.loads(sent)  # noqa: S301 (as above)
    for number, runs in groupby(_runs(batches), itemgetter(0)):
        first_row = starts[number] if number < len(starts) else 0
        answer = task(number, first_row, (table for _, batch in runs for table in tables(batch)))
        columns = [pa.array([number], pa.int32()), pa.array([pickle.dumps(answer)], pa.binary())]
        yield pa.RecordBatch.from_arrays(columns, names=["number", "answer"])


def _runs(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The parts of the batches that are of one partition, with its number."""
    for batch in batches:
        numbers = batch.column(0).to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        for start, stop in pairwise(edges):
            if stop > start:
                yield int(numbers[start]), batch.slice(start, stop - start)


def _named(names: Sequence[str], batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The table of a batch of plain columns, under their own names."""
    yield batch.select(range(1, 1 + len(names))).rename_columns(list(names))


def _pack(layout: Layout, names: Sequence[str], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The blocks of partitions as bytes."""
    import pyarrow as pa

    def row(number: int, *cells: bytes | None) -> pa.RecordBatch:
        arrays = [pa.array([number], pa.int32()), *(pa.array([cell], pa.binary()) for cell in cells)]
        return pa.RecordBatch.from_arrays(arrays, names=["number", "rows", "weights", "error"])

    for number, runs in groupby(_runs(batches), itemgetter(0)):
        tables = (table for _, batch in runs for table in _named(names, batch))
        try:
            for block in Reader(layout, f"partition {number}").blocks(tables, 0):
                weights = None if block.weights is None else block.weights.tobytes()
                yield row(number, block.rows.T.tobytes(), weights, None)
        except TableError as error:
            yield row(number, None, None, pickle.dumps(error))


def _unpacked(n_features: int, single: bool, batch: pa.RecordBatch) -> Iterator[Any]:
    """The blocks again, from the same memory."""
    for rows, weights, error in zip(*batch.columns[1:], strict=True):
        if error.is_valid:
            raise pickle.loads(error.as_buffer())  # noqa: S301 (as above)
        numbers = np.frombuffer(rows.as_buffer(), np.float32 if single else np.float64)
        table = numbers.reshape(n_features, -1).T
        yield Weighted(table, np.frombuffer(weights.as_buffer())) if weights.is_valid else table


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
