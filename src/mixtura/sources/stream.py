"""Tables that are read in every pass, block by block, or copied once to where that is quick."""

from __future__ import annotations

import sys
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.checked import Checked, Findings, Place, Weights, check_total, findings_of, sound
from mixtura.sources.coerce import Rows, TableError, as_weights, said
from mixtura.sources.memory import Memory
from mixtura.sources.reader import Choice, NotNumeric, Opened, Reader, Request, Segment, choose
from mixtura.sources.source import Block, Source, Sum
from mixtura.sources.threaded import Adding, ahead

if TYPE_CHECKING:
    import pyarrow as pa

#: Pieces that are read before they are asked for.
AHEAD = 4
#: Segments of a table that may be begun while an earlier one is being worked on, for each thread.
AHEAD_SEGMENTS = 2
#: Copies that are no larger than this many bytes are held in memory, not in a file.
HELD = 2**26

#: Is told of copies that are made: by default standard error is, if that is a terminal.
Told = Callable[[str], None]


class Stream(Checked):
    """The rows that are chosen of a reader, read in every pass; blocks lie by columns.

    A thread reads, and up to ``n_threads`` others work on blocks: at most ``AHEAD`` blocks that are read wait for
    them, beside what the reader holds itself.

    Parameters
    ----------
    choice : Choice
    n_rows : int
        How many rows are chosen.
    weights : ndarray of shape (N,), optional
        Row weights that the table does not hold.
    n_threads : int, optional
    """

    def __init__(
        self, choice: Choice, n_rows: int, weights: NDArray[np.float64] | None = None, n_threads: int | None = None
    ) -> None:
        super().__init__(n_rows, len(choice.columns), choice.labels, choice.weight_labels, n_threads)
        self.choice = choice
        self.weights = weights
        self.dtype = np.dtype(np.float32 if choice.single else np.float64)
        self._version = choice.reader.version()

    @property
    def edges(self) -> Sequence[int]:
        """Where blocks begin, and where the last one ends."""
        return self._edges

    @property
    def _has_version(self) -> bool:
        return self._version is not None

    def _pieces(self) -> Generator[tuple[int, Sequence[pa.RecordBatch]]]:
        return ahead(self._cut(), AHEAD)

    def _cut(self) -> Generator[tuple[int, Sequence[pa.RecordBatch]]]:
        """The batches of the reader, cut and gathered to what blocks are made of."""
        ends = self._edges[1:]
        number, row, held = 0, 0, list[Any]()
        with self._one_version(), closing(self.choice.batches()) as batches:
            for batch in batches:
                start, size = 0, batch.num_rows
                while start < size and number < len(ends):
                    part = batch.slice(start, ends[number] - row)
                    held.append(part)
                    start, row = start + part.num_rows, row + part.num_rows
                    if row == ends[number]:
                        yield number, held
                        number, held = number + 1, []
                if start < size:
                    raise self._miscounted("more")
            if row < self.n_rows:
                raise self._miscounted(f"{row:,}")

    def _total(self, function: Callable[[Block], Sum]) -> Sum:
        segments = () if self.choice.where is not None else self.choice.reader.segments()
        if self._threads < 2 or len(segments) < 2:
            return super()._total(function)
        with self._one_version():
            return self._together(_Segments(self, self._counted(function), segments))

    def of_segment(self, segment: Segment) -> Generator[tuple[int, int, pa.RecordBatch]]:
        """The batches of a segment, cut where blocks end: with the number of the block, and the row that is first."""
        number, row = bisect_right(self._edges, segment.start) - 1, segment.start
        with closing(segment.batches(self.choice.wanted)) as batches:
            for batch in batches:
                start = 0
                while start < batch.num_rows:
                    if row >= segment.stop:
                        raise self._miscounted("more")
                    part = batch.slice(start, self._edges[number + 1] - row)
                    yield number, row, part
                    start, row = start + part.num_rows, row + part.num_rows
                    number += row == self._edges[number + 1]
        if row < segment.stop:
            raise self._miscounted("fewer")

    def block_of(self, number: int, parts: Mapping[int, pa.RecordBatch]) -> Block | None:
        """The block that parts make, by the rows that are first in them, if they are all there."""
        size = self._edges[number + 1] - self._edges[number]
        if sum(part.num_rows for part in parts.values()) < size:
            return None
        return self._block(number, [parts[row] for row in sorted(parts)])

    @contextmanager
    def _one_version(self) -> Generator[None]:
        """Raise TableError if the rows are changed before or while they are read: that explains other errors."""
        self._check_version()
        try:
            yield
        except TableError:
            self._check_version()
            raise
        self._check_version()

    def _check_version(self) -> None:
        if self._has_version and self.choice.reader.version() != self._version:
            raise TableError(f"{self.labels.table} has been changed since it was opened: open it again")

    def _miscounted(self, found: str) -> TableError:
        first = f"{self.n_rows:,} were expected"
        return TableError(
            f"{self.labels.table} yields {found} rows where {first}: every pass must find the same ones; "
            "let them be copied once (spool) where that cannot be"
        )

    def _numbers(self, number: int, piece: Sequence[pa.RecordBatch]) -> tuple[Rows, Weights]:
        rows, weights = self.choice.numbers(piece)
        if self.weights is not None:
            weights = self.weights[self._edges[number] : self._edges[number + 1]]
        return rows, weights

    def _place(self, row: int) -> Place:
        return place(self.choice, row)


class _Segments(Adding[Sum]):
    """Segments of a table, each read and worked on by one thread, so that its rows stay near one processor.

    Blocks that reach beyond their segment are made by the thread that has read the last part of them.
    """

    def __init__(self, stream: Stream, function: Callable[[Block], Sum], segments: Sequence[Segment]) -> None:
        super().__init__()
        self._stream, self._function, self._segments = stream, function, segments
        self._lock = Lock()  # taken by itself: an interrupt may leave a condition locked that is entered
        self._change = Condition(self._lock)
        self._taken, self._first, self._done, self._over = 0, 0, set[int](), False
        self._shared: dict[int, dict[int, pa.RecordBatch]] = {}
        edges = stream.edges
        ends = {segment.stop for segment in segments} - set(edges)
        self._cut = {bisect_right(edges, end) - 1 for end in ends}  # blocks in more than one segment

    def work(self) -> None:
        try:
            while (which := self._next()) is not None:
                with closing(self._stream.of_segment(self._segments[which])) as parts:
                    self._segment(parts)
                self._finish(which)
        except BaseException:
            with self._lock:  # the others come back too
                self._over = True
                self._change.notify_all()
            raise

    def _next(self) -> int | None:
        """The next segment; not far beyond one that takes long, for results wait for those of earlier blocks."""
        with self._lock:
            most = AHEAD_SEGMENTS * self._stream.n_threads
            while not self._over and self._taken < len(self._segments) and self._taken - self._first >= most:
                self._change.wait()
            if self._over or self._taken == len(self._segments):
                return None
            self._taken += 1
            return self._taken - 1

    def _finish(self, which: int) -> None:
        with self._lock:
            self._done.add(which)
            while self._first in self._done:
                self._done.remove(self._first)
                self._first += 1
            self._change.notify_all()

    def _segment(self, parts: Generator[tuple[int, int, pa.RecordBatch]]) -> None:
        """Work on the blocks of a segment."""
        held: dict[int, pa.RecordBatch] = {}
        for number, row, part in parts:
            if number in self._cut:
                with self._lock:
                    shared = self._shared.setdefault(number, {})
                    shared[row] = part
                    block = self._stream.block_of(number, shared)
                    if block is not None:
                        del self._shared[number]
            else:
                held[row] = part
                block = self._stream.block_of(number, held)
            if block is not None:
                held = {}
                self._add(number, self._function(block))
            if self._over:
                return


def place(choice: Choice, row: int) -> Place:
    """What messages call a row of a reader: it may be in one of several parts."""
    name, row = choice.reader.place(row) if choice.where is None else (choice.reader.name, row)
    weights = replace(choice.weight_labels, table=choice.weight_labels.table.replace(choice.reader.name, name, 1))
    return Place(replace(choice.labels, table=name), weights, row)


def opened(reader: Reader, request: Request, *, strict: bool = False, spool: bool = False) -> Opened:
    """What a request makes of a reader: a stream, or a copy of its rows.

    Parameters
    ----------
    reader : Reader
    request : Request
    strict : bool
        Whether columns that hold no numbers are refused, not left out.
    spool : bool
        Whether to copy the rows if the request does not say.

    Raises
    ------
    TableError
        As ``choose``; or if there are no rows, or what the weights are makes no sense.
    """
    request.refuse_part()
    choice = choose(reader, request, strict=strict)
    copied = spool if request.spool is None else request.spool
    if not copied and not reader.repeats:
        raise TableError(f"{reader.name} can be read only once: let its rows be copied (spool)")
    source: Source
    if copied:
        choice, source = _spooled(choice, request, request.told or _tell)
    else:
        choice, n_rows = _counted(choice)
        _check_rows(choice, n_rows)
        source = Stream(choice, n_rows, _given(choice, request, n_rows), request.n_threads)
    return Opened(source, choice.names, choice.left_out, reader.format)


def _given(choice: Choice, request: Request, n_rows: int) -> NDArray[np.float64] | None:
    """The weights that were passed, if that was no column."""
    if request.weights is None or choice.weight is not None:
        return None
    if choice.where is not None:
        raise TableError("weights must be a column of the table where rows are chosen by where")
    return as_weights(request.weights, n_rows)


def _check_rows(choice: Choice, n_rows: int) -> None:
    if not n_rows:
        name = choice.reader.name
        raise TableError(
            f"{name} has no rows" if choice.where is None else f"no row of {name} passes where={choice.where.text!r}"
        )


def _counted(choice: Choice) -> tuple[Choice, int]:
    """The number of rows, by a pass if need be; and the choice, less columns that turned out to hold no numbers."""
    if choice.where is None and choice.reader.n_rows is not None:
        return choice, choice.reader.n_rows
    while True:
        try:
            with closing(choice.batches()) as batches:
                return choice, sum(batch.num_rows for batch in batches)
        except NotNumeric as found:
            choice = choice.without(found)


def _spooled(choice: Choice, request: Request, told: Told) -> tuple[Choice, Memory]:
    """The rows, copied to memory or, if there are many, to a file without a name that goes with the process."""
    while True:
        spool = _Spool(choice, told)
        try:
            rows, weights = spool.filled()
        except NotNumeric as found:
            choice = choice.without(found)
            continue
        finally:
            spool.close()
        _check_rows(choice, len(rows))
        if weights is None:
            weights = _given(choice, request, len(rows))
        else:
            check_total(float(weights.sum()), choice.weight_labels)
        return choice, Memory(rows, weights, request.n_threads)


class _Spool:
    """Where rows are copied to, and their weights: to begin with, memory."""

    def __init__(self, choice: Choice, told: Told) -> None:
        self.choice, self.told = choice, told
        self.n_rows = self.size = 0
        self.found = Findings()
        self.held: list[tuple[Rows, Weights]] = []
        self.files: list[BinaryIO] = []

    def filled(self) -> tuple[Rows, Weights]:
        """All the rows and their weights.

        Raises
        ------
        TableError
            If one is no finite number, or there is no room.
        """
        with closing(ahead(self.choice.batches(), AHEAD)) as batches:
            for batch in batches:
                self._add(*self.choice.numbers([batch]))
        error = self.found.error(lambda row: place(self.choice, row))
        if error is not None:
            raise error
        if not self.files:
            return self._in_memory()
        for file in self.files:
            file.flush()
        self.told(
            f"Copied {self.n_rows:,} rows × {len(self.choice.columns)} columns, {in_bytes(self.size)}: "
            "they are removed at the end."
        )
        shape = (self.n_rows, len(self.choice.columns))
        rows, *weights = self.files
        mapped: Any = np.memmap(rows, np.float32 if self.choice.single else np.float64, "r", shape=shape)
        return mapped, np.asarray(np.memmap(weights[0], np.float64, "r", shape=shape[:1])) if weights else None

    def close(self) -> None:
        """Let go of the files; what is mapped of them stays until it is no longer used."""
        for file in self.files:
            file.close()

    def _add(self, rows: Rows, weights: Weights) -> None:
        if not sound(rows, weights):
            self.found += findings_of(rows, weights, self.n_rows)
        self.n_rows += len(rows)
        self.size += rows.nbytes + (0 if weights is None else weights.nbytes)
        if self.found.error(lambda row: place(self.choice, row)) is not None:
            return  # only to count what else is wrong
        if not self.files and self.size <= HELD:
            self.held.append((rows, weights))
            return
        if not self.files:
            self._to_files()
        self._write(rows, weights)

    def _to_files(self) -> None:
        reader = self.choice.reader
        self.told(
            f"{reader.name} is copied to a temporary file in {tempfile.gettempdir()}, for it is read in every pass; "
            "without a copy (--no-spool, spool=False) it would be read itself."
        )
        self.files = [tempfile.TemporaryFile() for _ in range(1 if self.choice.weight is None else 2)]  # noqa: SIM115
        for rows, weights in self.held:
            self._write(rows, weights)
        self.held = []

    def _write(self, rows: Rows, weights: Weights) -> None:
        try:
            self.files[0].write(np.ascontiguousarray(rows).data)
            if weights is not None:
                self.files[1].write(np.ascontiguousarray(weights).data)
        except OSError as error:
            raise TableError(
                f"{self.choice.reader.name} cannot be copied to {tempfile.gettempdir()} beyond {in_bytes(self.size)}: "
                f"{said(error)}; let TMPDIR name a folder with more room, or do without a copy (--no-spool, "
                "spool=False)"
            ) from error

    def _in_memory(self) -> tuple[Rows, Weights]:
        if not self.held:
            return np.empty((0, len(self.choice.columns))), None
        rows, weights = zip(*self.held, strict=True)
        return np.concatenate(rows), None if self.choice.weight is None else np.concatenate(weights)


def in_bytes(size: int) -> str:
    """A number of bytes for reading."""
    number, units = float(size), ["bytes", "kB", "MB", "GB", "TB"]
    while number >= 1000 and len(units) > 1:
        number, units = number / 1000, units[1:]
    return f"{number:.3g} {units[0]}"


def _tell(text: str) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")
