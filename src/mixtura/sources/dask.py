"""Rows of Dask: arrays, data frames and lists of delayed tables, on a cluster or on threads of this process.

Partitions that can be made independently of each other (of files, or by functions of them) are recipes: what Dask would
do to make one is sent out once, and done in every pass within the task that needs the rows. What Dask keeps already
(``persist``) is read where it lies. What several partitions share, as in a shuffle, is made once and kept by Dask.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mixtura.sources.coerce import Columns, TableError
from mixtura.sources.partitions import (
    Answer,
    EngineError,
    Layout,
    Partitioned,
    Task,
    Weighted,
    layout_of,
    names_of,
    tables_of,
)
from mixtura.sources.reader import Choice, Opened, Request, choose
from mixtura.sources.stored import Portion, Stored
from mixtura.sources.threaded import processors

if TYPE_CHECKING:
    from dask.delayed import Delayed

#: A distributed.Client, all of whose methods might be coroutines.
Client = Any
#: What Dask calls the values in its graphs.
Key = str | bytes | int | float | tuple[Any, ...]

#: Tasks in a pass for each thread of the workers: enough to share the work out, few enough to cost little.
TASKS_EACH = 2
#: A partition of files has so many numbers, if their row groups allow; more, if there would be more partitions than …
PART_NUMBERS = 2_000_000
PARTITIONS = 4096
#: How often a task is tried again that failed for other reasons than its rows (a file system that did not answer).
RETRIES = 2
#: Parameters of so many bytes go to one worker, and from there to the others, instead of with each task.
SHARED_BYTES = 50_000


class DaskSource(Partitioned):
    """The rows of delayed tables, one table a partition.

    Parameters
    ----------
    tables : sequence of Delayed
        Each an array, a data frame or an Arrow table.
    layout : Layout, optional
        By default that of the first table, of these columns and weights.
    columns, weights : optional
        As in Layout.of.
    client : distributed.Client, optional
        By default that of the rows which Dask keeps already, or else the client in use; without one, Dask's own
        scheduler in this process.

    Raises
    ------
    TableError
        If a partition cannot be used: the message tells which, where and why.
    """

    _keep = "persist()"

    def __init__(
        self,
        tables: Sequence[Delayed],
        layout: Layout | None = None,
        *,
        columns: Columns | None = None,
        weights: str | None = None,
        client: Client | None = None,
    ) -> None:
        if not tables:
            raise TableError("there is no partition: give at least one")
        self.client = client or _client_in_use()
        self._parts = _parts(tables, self.client)
        if layout is None:
            (found,) = self._run(_Description(columns, weights), [[0]])
            if isinstance(found, TableError):
                raise found
            self._look(found)
        else:
            self._look(layout)

    def _answers(self, task: Task) -> Iterator[Answer]:
        numbers = range(len(self._parts))
        if task.summed:
            groups = self._groups()
            found = dict(zip(chain(*groups), self._run(task, groups), strict=True))
            yield from (found[number] for number in numbers)
        else:  # answers may be large: no more of them at a time than there is work for
            some = TASKS_EACH * self._threads
            for first in numbers[::some]:
                yield from self._run(task, [[number] for number in numbers[first : first + some]])

    def _run(self, job: Any, groups: Sequence[Sequence[int]]) -> Iterator[Any]:
        """What the job returns for the partitions of each group, one group a task of Dask's."""
        import cloudpickle
        from dask.base import compute
        from dask.delayed import delayed

        starts = self.starts if self.facts else [0] * len(self._parts)
        sent: Any = cloudpickle.dumps(job)
        if self.client is not None and len(sent) > SHARED_BYTES:
            sent = delayed(_same, pure=False)(sent)
        work = delayed(_work, pure=False)
        tasks = [
            work(
                sent,
                [(number, starts[number]) for number in group],
                [self._parts[number].recipe for number in group],
                [self._parts[number].kept for number in group],
            )
            for group in groups
        ]
        if self.client is None:
            return chain(*compute(*tasks))
        from distributed import KilledWorker

        try:
            futures = self.client.compute(tasks, retries=RETRIES)
            if self._tell is not None and self.facts:
                self._tell_of(dict(zip(futures, groups, strict=True)), self._tell)
            return chain(*self.client.gather(futures))
        except KilledWorker as error:
            raise EngineError(
                f"Dask could not do a pass: {error.allowed_failures + 1} workers died, one after the other, over the "
                "same partitions, as they do when these do not fit into their memory; make the partitions smaller"
            ) from error

    def _tell_of(self, groups: dict[Any, Sequence[int]], tell: Callable[[int], object]) -> None:
        """Wait for tasks, and tell of the rows that are done."""
        from distributed import as_completed

        rows = 0
        for future in as_completed(list(groups)):
            rows += sum(self.facts[number].rows for number in groups[future])
            tell(rows)

    def _groups(self) -> list[list[int]]:
        """The partitions that one task takes: some that lie together, with about as many rows as every other task."""
        homes = self._homes()
        numbers = sorted(range(len(self._parts)), key=lambda number: (homes.get(number, ""), number))
        sizes = [facts.rows for facts in self.facts] or [1] * len(numbers)
        enough = sum(sizes) / (TASKS_EACH * self._threads)
        groups: list[list[int]] = []
        held, home = enough, None
        for number in numbers:
            if held >= enough or homes.get(number) != home:
                groups.append([])
                held, home = 0, homes.get(number)
            groups[-1].append(number)
            held += sizes[number]
        return groups

    @property
    def _threads(self) -> int:
        """How many tasks can be worked on at once, as far as is known."""
        if self.client is None:
            return processors()
        return max(sum(self.client.nthreads().values()), 1)

    def _homes(self) -> dict[int, str]:
        """The worker on which the rows of a partition lie, where Dask keeps them."""
        kept = {number: part.kept[0] for number, part in enumerate(self._parts) if part.kept}
        if self.client is None or not kept:
            return {}
        where = self.client.who_has(list(kept.values()))
        return {number: min(where.get(future.key, ()), default="") for number, future in kept.items()}


class _Recipe:
    """What Dask would do to make a partition: a graph in which the values of ``inputs`` are missing."""

    def __init__(self, graph: dict[Key, Any], key: Key, inputs: Sequence[Key]) -> None:
        self.graph, self.key, self.inputs = graph, key, inputs

    def made(self, values: Sequence[Any]) -> Any:
        """The partition."""
        from dask.core import quote
        from dask.local import get_sync

        known = dict(zip(self.inputs, values, strict=True))
        if self.key in known:
            return known[self.key]
        return get_sync({**self.graph, **{key: quote(value) for key, value in known.items()}}, self.key)


class _Part(NamedTuple):
    """A partition: its recipe, or the future of one, and what of that Dask keeps."""

    recipe: Any
    kept: list[Any]


def _parts(tables: Sequence[Delayed], client: Client | None) -> list[_Part]:
    """The partitions; what several of them share is made here, and kept by Dask."""
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph
    from dask.optimization import cull

    keys = [table.key for table in tables]
    graph, needs = cull(dict(HighLevelGraph.merge(*(table.__dask_graph__() for table in tables))), keys)
    kept = {key: node for key, node in graph.items() if _is_future(node)}
    users = Counter(chain.from_iterable(_cone(key, needs, kept) for key in keys))
    shared = {key for key, n in users.items() if n > 1} - kept.keys()
    if shared:
        edge = shared & {*keys, *chain.from_iterable(needs[key] for key in users.keys() - shared - kept.keys())}
        kept |= _kept([Delayed(key, graph) for key in edge], client)
    recipes: list[Any] = [_recipe(graph, key, _cone(key, needs, kept), kept) for key in keys]
    inputs = [[kept[each] for each in recipe.inputs] for recipe in recipes]
    if client is not None:
        sent = [number for number, recipe in enumerate(recipes) if recipe.graph]
        for number, future in zip(sent, client.map(_same, [recipes[i] for i in sent], pure=False), strict=True):
            recipes[number] = future
    return [_Part(*each) for each in zip(recipes, inputs, strict=True)]


def _cone(key: Key, needs: Mapping[Key, Iterable[Key]], kept: Mapping[Key, Any]) -> set[Key]:
    """What it takes to make something, back to where Dask keeps it."""
    cone, rest = set[Key](), [key]
    while rest:
        each = rest.pop()
        if each not in cone:
            cone.add(each)
            rest += () if each in kept else needs[each]
    return cone


def _recipe(graph: Mapping[Key, Any], key: Key, cone: set[Key], kept: Mapping[Key, Any]) -> _Recipe:
    inputs = sorted(cone & kept.keys(), key=str)
    return _Recipe({each: graph[each] for each in cone - kept.keys()}, key, inputs)


def _kept(wanted: Sequence[Delayed], client: Client | None) -> dict[Key, Any]:
    """What is wanted, made and kept by Dask: as futures, or in this process as it is."""
    from dask.base import persist

    made = persist(*wanted) if client is None else client.persist(list(wanted))
    return {one.key: one.__dask_graph__()[one.key] for one in made}


def _is_future(node: Any) -> bool:
    return hasattr(node, "key") and hasattr(node, "client")


def _client_in_use() -> Client | None:
    """The client that Dask would compute with, if it would use one."""
    from dask.base import get_scheduler

    client = getattr(get_scheduler(), "__self__", None)
    return client if hasattr(client, "submit") else None


# What workers do


def _same(thing: Any) -> Any:
    return thing


def _work(sent: bytes, places: Sequence[tuple[int, int]], recipes: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
    """What a job returns for some partitions, given the number and the first row of each."""
    job = pickle.loads(sent)  # noqa: S301 (from the driver, whose pickles Dask runs anyway)
    return [
        _on_partition(job, *place, recipe.made(values))
        for place, recipe, values in zip(places, recipes, kept, strict=True)
    ]


def _on_partition(job: Any, number: int, first_row: int, partition: Any) -> Any:
    return job(number, first_row, tables_of(partition), getattr(partition, "called", ""))


class _Portion:
    """A part of a table in files, of which some columns are wanted; made of itself, so that it is a recipe."""

    def __init__(self, portion: Portion, choice: Choice) -> None:
        self.choice = replace(choice, reader=portion.reader)
        self.called = f"{portion.file}, from row {portion.first + 1}" if portion.first else portion.file

    def tables(self) -> Iterator[Any]:
        import pyarrow as pa

        return (pa.Table.from_batches([batch]) for batch in self.choice.batches())

    def __call__(self) -> _Portion:
        return self


@dataclass(frozen=True)
class _Description:
    """The job of looking at a partition for the layout of all of them."""

    columns: Columns | None
    weights: str | None

    def __call__(self, number: int, first_row: int, tables: Iterator[Any], called: str = "") -> Layout | TableError:
        table = next(tables)
        try:
            return layout_of(table.table if isinstance(table, Weighted) else table, self.columns, self.weights)
        except (TableError, TypeError) as error:
            return TableError(f"partition {number}: {error}")


# From what users have


def open_dask(table: Any, request: Request) -> Opened:
    """The source of a Dask array, data frame or series, or of delayed tables one below the other."""
    request.refuse("where", "part", "spool", why="is not for Dask: choose and keep the rows with its own methods")
    request.refuse("n_threads", why="is for rows on this machine: Dask's workers have as many threads as they have")
    source = as_dask_source(table, request.columns, request.weights)
    return Opened(source, source.columns)


def as_dask_source(
    data: Any, columns: Columns | None = None, weights: Any = None, *, client: Client | None = None
) -> DaskSource:
    """The source of a Dask collection.

    Parameters
    ----------
    data : dask array of shape (N, D), dask data frame, Delayed, or sequence of Delayed
        Delayed tables may be arrays, data frames or Arrow tables, one below the other.
    columns : optional
        Which columns to take; by default all, less the weights.
    weights : str, dask array or series of shape (N,), or sequence of Delayed, optional
        A column of the tables, or what is partitioned as the rows are.
    client : distributed.Client, optional
        See DaskSource.

    Returns
    -------
    DaskSource

    Raises
    ------
    TableError
        If the rows or weights cannot be used.
    """
    if hasattr(data, "key"):  # Delayed
        data = [data]
    if isinstance(data, Sequence):
        return DaskSource(_weighted(list(data), weights), columns=columns, weights=_name(weights), client=client)
    if hasattr(data, "chunks"):
        return _of_array(data, columns, weights, client)
    if not hasattr(data, "dtypes"):
        raise TableError(f"rows are read from Dask's arrays, data frames and delayed tables, not from {type(data)}")
    frame = data.to_frame() if data.ndim == 1 else data
    layout = Layout.of(names_of(frame), len(frame.columns), columns, _name(weights))
    kinds = [frame.dtypes.iloc[i] for i in layout.positions]
    layout = replace(layout, single=all(kind == np.float32 for kind in kinds))
    return DaskSource(_weighted(frame.to_delayed(), weights), layout, client=client)


def open_stored(reader: Stored, request: Request) -> Opened:
    """The source of tables in files, which the workers of ``request.engine``, a Client, read in every pass."""
    from dask.delayed import delayed

    if request.weights is not None and request.named_weights is None:
        raise TableError("the weights must be a column of the files: name it")
    choice = choose(reader, request)
    width = len(choice.columns) + (choice.weight is not None)
    layout = Layout(choice.columns, tuple(range(len(choice.columns))), width, choice.weight, choice.single)
    portions = reader.portions(max(PART_NUMBERS // width, (reader.n_rows or 0) // PARTITIONS))
    tables = [delayed(_Portion(portion, choice), pure=False)() for portion in portions]
    return Opened(DaskSource(tables, layout, client=request.engine), choice.names, choice.left_out, reader.format)


def _of_array(array: Any, columns: Columns | None, weights: Any, client: Client | None) -> DaskSource:
    if isinstance(weights, str):
        raise TableError("an array has no column names: pass the weights themselves, as a dask array")
    if array.ndim not in {1, 2}:
        raise TableError(f"Input has {array.ndim} dimensions (shape {array.shape}): give a table of rows and columns")
    table = array[:, None] if array.ndim == 1 else array
    if len(table.chunks[1]) > 1:
        table = table.rechunk({1: -1})
    if hasattr(weights, "chunks") and weights.shape == table.shape[:1]:
        weights = weights.rechunk((table.chunks[0],))
    layout = Layout.of(None, table.shape[1], columns)
    layout = replace(layout, single=table.dtype == np.float32)
    # what is optimised forgets the futures of chunks that Dask keeps
    return DaskSource(_weighted(list(table.to_delayed(optimize_graph=False)[:, 0]), weights), layout, client=client)


def _name(weights: Any) -> str | None:
    return weights if isinstance(weights, str) else None


def _weighted(tables: list[Delayed], weights: Any) -> list[Delayed]:
    """The tables with weights that are not a column of theirs."""
    if weights is None or isinstance(weights, str):
        return tables
    from dask.delayed import delayed

    if hasattr(weights, "chunks"):
        parts = list(weights.to_delayed(optimize_graph=False).ravel())
    else:
        parts = list(weights.to_delayed() if hasattr(weights, "to_delayed") else weights)
    if len(parts) != len(tables):
        raise TableError(f"sample_weight has {len(parts)} partitions, but the table {len(tables)}: cut both alike")
    pair = delayed(Weighted)
    return [pair(*each) for each in zip(tables, parts, strict=True)]
