"""A checkpoint: the journal of the passes over a source.

All that a fit does beside its passes follows from the seed and from what the passes found, to the bit. So what each
pass found is appended to a file, under a digest of what was asked; whoever asks the same again, in another process,
gets it from there. A fit that was killed is resumed by running it again.

The file begins with a head that says what it is of. After it come frames: the length of the content, the question's
digest, a checksum, the content. A frame whose checksum is wrong, such as one that was being written when the process
was killed, ends the journal; what follows is written over.
"""

from __future__ import annotations

import json
import os
import struct
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from io import FileIO
from typing import Generic, NamedTuple, Self

import numpy as np

from mixtura.lazy import cached_property
from mixtura.sources.checked import Checked, fingerprint
from mixtura.sources.files import FilePath, replacing
from mixtura.sources.record import DIGEST, NotRecordableError, digest, packed, unpacked
from mixtura.sources.sketch import row_hashes
from mixtura.sources.source import Block, Result, Source, Sum

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: What the file begins with, its version included.
MAGIC = b"Mixtura checkpoint 1\n"
#: Seconds between two waits for the disk: what a failure of power may cost. A process that is killed loses nothing.
SYNC = 10.0
#: Bytes of a head, at most.
_HEAD = 1 << 20

_FRAME = struct.Struct(f"<Q{DIGEST}s{DIGEST}s")
#: The questions of the head, and of the frame that tells the rows.
_OF_HEAD, _OF_ROWS = (digest(name) for name in ("head", "rows"))
#: What else is in a head: part of it, name, value.
Head = Mapping[str, Mapping[str, str]]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: the message says why."""


class CheckpointWarning(UserWarning):
    """A checkpoint that could not be written further."""


class _Frame(NamedTuple):
    question: bytes
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


def head_of(path: FilePath) -> dict[str, dict[str, str]] | None:
    """What a checkpoint says it is of; None if there is no such file.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint.
    """
    if not os.path.lexists(path):
        return None
    with _explaining(path), FileIO(path, "r") as file:
        return _head(file, os.fspath(path))[0]


@contextmanager
def _explaining(path: FilePath) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"cannot use the checkpoint {os.fspath(path)}: {error.strerror or error}") from error


def _head(file: FileIO, path: str) -> tuple[dict[str, dict[str, str]], int]:
    """The head and where it ends."""
    if _exactly(file, len(MAGIC)) != MAGIC:
        raise CheckpointError(f"{path} is no checkpoint of this version of Mixtura: name another file")
    frame = next(_frames(file, len(MAGIC), os.fstat(file.fileno()).st_size), None)
    if frame is None or frame.question != _OF_HEAD or frame.length > _HEAD:
        raise CheckpointError(f"the checkpoint {path} is damaged: name another file, or delete it")
    file.seek(frame.start)
    return json.loads(_exactly(file, frame.length)), frame.end


def _frames(file: FileIO, start: int, size: int) -> Generator[_Frame]:
    """The frames from there on, up to the first that is not whole."""
    while start + _FRAME.size <= size:
        file.seek(start)
        length, question, checksum = _FRAME.unpack(_exactly(file, _FRAME.size))
        frame = _Frame(question, start + _FRAME.size, length)
        if frame.end > size or _checksum(question, _exactly(file, length)) != checksum:
            return
        yield frame
        start = frame.end


def _exactly(file: FileIO, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = file.read(length)
        if not part:
            break
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _checksum(question: bytes, content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST, key=question).digest()


def _framed(question: bytes, content: bytes) -> bytes:
    return _FRAME.pack(len(content), question, _checksum(question, content)) + content


class Journal:
    """The file, made if there is none, and held by one process at a time.

    Parameters
    ----------
    path : str or path-like
    head : mapping of str to mapping of str to str
        What the checkpoint is of: parts of that, each with names and values.

    Raises
    ------
    CheckpointError
        If it cannot be made or read, is in use, or is of something else.
    """

    def __init__(self, path: FilePath, head: Head) -> None:
        self.path = os.fspath(path)
        self._places: dict[bytes, _Frame] = {}
        self._synced = time.monotonic()
        self._full = False
        with _explaining(path):
            if not os.path.lexists(path):
                self._make(head)
            found = self._open()
            if found != head and not self._places.keys() - {_OF_ROWS}:  # nothing is lost
                self._file.close()
                self._places.clear()
                self._make(head)
                found = self._open()
        try:
            self._check(found, head)
        except CheckpointError:
            self._file.close()
            raise

    def _make(self, head: Head) -> None:
        with replacing(self.path) as stream:
            stream.write(MAGIC + _framed(_OF_HEAD, json.dumps(head).encode()))

    def _open(self) -> dict[str, dict[str, str]]:
        """What the file says it is of."""
        self._file = FileIO(self.path, "r+")
        try:
            self._hold()
            found, self._end = _head(self._file, self.path)
            for frame in _frames(self._file, self._end, os.fstat(self._file.fileno()).st_size):
                self._places[frame.question] = frame
                self._end = frame.end
        except BaseException:
            self._file.close()
            raise
        return found

    def _hold(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(f"the checkpoint {self.path} is in use by another process") from None
        except OSError:  # a file system that knows no locks
            return

    def _check(self, found: Head, wanted: Head) -> None:
        for part, values in wanted.items():
            before = found.get(part, {})
            for name in {**values, **before}:
                if values.get(name) != before.get(name):
                    raise CheckpointError(
                        f"the checkpoint {self.path} is of another fit: {part} {name} is "
                        f"{values.get(name, 'not given')} now and was {before.get(name, 'not given')} then. "
                        "Say the same again, or name another file"
                    )

    def __len__(self) -> int:
        return len(self._places)

    def get(self, question: bytes) -> bytes | None:
        """What was found when this was asked."""
        frame = self._places.get(question)
        if frame is None:
            return None
        with _explaining(self.path):
            self._file.seek(frame.start)
            content = _exactly(self._file, frame.length)
        if len(content) != frame.length:
            raise CheckpointError(f"the checkpoint {self.path} was cut short while it was in use")
        return content

    def put(self, question: bytes, content: bytes) -> None:
        """Append what was found; if that cannot be written, warn, and append nothing from then on."""
        if self._full:
            return
        data = memoryview(_framed(question, content))
        start = self._end + _FRAME.size
        try:
            if os.fstat(self._file.fileno()).st_size > self._end:
                self._file.truncate(self._end)
            self._file.seek(self._end)
            while data:
                data = data[self._file.write(data) or 0 :]
            if time.monotonic() - self._synced > SYNC:
                self.sync()
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._end)
            self._stopped(error)
        else:
            self._places[question] = _Frame(question, start, len(content))
            self._end = start + len(content)

    def _stopped(self, error: OSError) -> None:
        self._full = True
        warnings.warn(
            f"the checkpoint {self.path} cannot be written further ({error.strerror or error}): the fit goes on, but "
            f"could be resumed only from here, where {len(self)} passes are in it",
            CheckpointWarning,
            stacklevel=2,
        )

    def sync(self) -> None:
        """Wait until the disk has it all."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Let go of the file."""
        if not self._file.closed:
            with suppress(OSError):
                self.sync()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Journalled(Source):
    """A source whose passes are in a journal, or else are made and written there.

    The first pass is always made: on the way it takes a fingerprint of the rows, which must be the one that the
    journal has. Passes whose function has no name of its own (a lambda), or whose sum cannot be recorded, are made each
    time.

    Parameters
    ----------
    source : Source
    journal : Journal
    """

    def __init__(self, source: Source, journal: Journal) -> None:
        self.source, self.journal = source, journal
        self.n_rows, self.n_features = source.n_rows, source.n_features
        self.dtype, self.remote, self.ordered = source.dtype, source.remote, source.ordered
        self._known = False

    def watch(self, tell: Callable[[int], object] | None) -> None:
        """Pass on to the source who is to be told of rows."""
        self.source.watch(tell)

    @cached_property
    def weight(self) -> float:
        """How much the rows count together."""
        return self.source.weight if isinstance(self.source, Checked) else super().weight  # those know it

    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:
        """The function of each block, in block order; not in the journal."""
        return self.source.map(function)

    def total(self, function: Callable[[Block], Sum]) -> Sum:
        """The sum of the function over all blocks, from the journal if it is there.

        Raises
        ------
        CheckpointError
            If the journal is of other rows.
        """
        if not self._known:
            return self._first(function)
        try:
            question = digest(function)
        except NotRecordableError:
            return self.source.total(function)
        content = self.journal.get(question)
        if content is None:
            value = self.source.total(function)
            try:
                content = packed(value)
            except NotRecordableError:
                return value
            self.journal.put(question, content)
        try:
            return unpacked(content)
        except ValueError as error:
            raise CheckpointError(f"the checkpoint {self.journal.path} holds what is no sum: {error}") from error

    def _first(self, function: Callable[[Block], Sum]) -> Sum:
        marked = self.source.total(partial(_marked, function, self.ordered))
        mark = marked.mark.to_bytes(8, "little")
        before = self.journal.get(_OF_ROWS)
        if before is not None and before != mark:
            raise CheckpointError(
                f"the checkpoint {self.journal.path} is of a table with other values, or in another order. "
                "Give the table that it is of, or name another file to begin anew"
            )
        if before is None:
            self.journal.put(_OF_ROWS, mark)
        self._known = True
        return marked.sum


@dataclass(frozen=True, eq=False)
class _Marked(Generic[Sum]):
    """A sum with a fingerprint of the rows, and where they have an order of that and of the cut into blocks."""

    mark: int
    sum: Sum

    def __add__(self, other: _Marked[Sum]) -> _Marked[Sum]:
        return _Marked((self.mark + other.mark) % 2**64, self.sum + other.sum)


def _marked(function: Callable[[Block], Sum], ordered: bool, block: Block) -> _Marked[Sum]:
    if ordered:
        mark = fingerprint(block.rows, block.weights) * (2 * block.start + 1)
    else:  # rows may come in another order, and in other blocks
        mark = int(row_hashes(np.column_stack([block.rows, block.each]), np.uint64(0)).sum(dtype=np.uint64))
    return _Marked(mark % 2**64, function(block))
