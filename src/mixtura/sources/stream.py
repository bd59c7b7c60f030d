"""Tables that are read in every pass, block by block, or copied once to where that is quick."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.checked import Checked, Findings, Place, Weights, check_total, findings_of, sound
from mixtura.sources.coerce import Rows, TableError, as_weights, said
from mixtura.sources.memory import Memory
from mixtura.sources.reader import Choice, NotNumeric, Opened, Reader, Request, choose
from mixtura.sources.source import Source
from mixtura.sources.threaded import ahead

if TYPE_CHECKING:
    import pyarrow as pa

#: Pieces that are read before they are asked for.
AHEAD = 4
#: Copies that are no larger than this many bytes are held in memory, not in a file.
HELD = 2**28

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
    def _has_version(self) -> bool:
        return self._version is not None

    def _pieces(self) -> Generator[tuple[int, pa.Table]]:
        return ahead(self._cut(), AHEAD)

    def _cut(self) -> Generator[tuple[int, pa.Table]]:
        """The batches of the reader, cut and joined to what blocks are made of."""
        import pyarrow as pa

        self._check_version()
        ends = self._edges[1:]
        number, row, held = 0, 0, list[Any]()
        with closing(self.choice.tables()) as tables:
            for table in tables:
                start = 0
                while start < len(table) and number < len(ends):
                    part = table.slice(start, ends[number] - row)
                    held.append(part)
                    start, row = start + len(part), row + len(part)
                    if row == ends[number]:
                        yield number, pa.concat_tables(held)
                        number, held = number + 1, []
                if start < len(table):
                    raise self._miscounted("more")
        self._check_version()
        if row < self.n_rows:
            raise self._miscounted(f"{row:,}")

    def _check_version(self) -> None:
        if self._has_version and self.choice.reader.version() != self._version:
            raise TableError(f"{self.labels.table} has been changed since it was opened: open it again")

    def _miscounted(self, found: str) -> TableError:
        first = f"{self.n_rows:,} were expected"
        return TableError(
            f"{self.labels.table} yields {found} rows where {first}: every pass must find the same ones; "
            "let them be copied once (spool) where that cannot be"
        )

    def _numbers(self, number: int, piece: pa.Table) -> tuple[Rows, Weights]:
        rows, weights = self.choice.numbers(piece)
        if self.weights is not None:
            weights = self.weights[self._edges[number] : self._edges[number + 1]]
        return rows, weights

    def _place(self, row: int) -> Place:
        return place(self.choice, row)


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
            with closing(choice.tables()) as tables:
                return choice, sum(map(len, tables))
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
        with closing(ahead(self.choice.tables(), AHEAD)) as tables:
            for table in tables:
                self._add(*self.choice.numbers(table))
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
