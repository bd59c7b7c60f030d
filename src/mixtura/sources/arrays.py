"""Arrays that are not in memory: of each block no more is read than its rows."""

from __future__ import annotations

import os
from collections.abc import Generator, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.checked import Checked, Weights
from mixtura.sources.coerce import Labels, Rows, TableError, as_weights, floats, said, select
from mixtura.sources.files import array_table
from mixtura.sources.reader import Opened, Reader, Request
from mixtura.sources.stored import BATCH_ROWS
from mixtura.sources.stream import opened

if TYPE_CHECKING:
    import pyarrow as pa


#: Bytes of the chunks of an HDF5 file that are kept, for the next block may lie in the same ones.
CHUNKS = 2**25


class Array(Protocol):
    """What is asked of an array: a mapped file, a dataset of HDF5, anything that is sliced by rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D), or (N,)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers."""
        ...

    def __getitem__(self, rows: slice, /) -> Any:
        """Those rows as a NumPy array."""
        ...


class ArrayFile:
    """The array in a ``.npy`` file; it is read, not mapped, for a mapped file that is cut short ends the process.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    TableError
        If it holds no numbers in one or two dimensions.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.path.open("rb") as stream:
            major, _ = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            self.shape, self.by_columns, self.dtype = read(stream)
            self.offset = stream.tell()
        array_table(self, f"{path} ")
        size = self.offset + self.dtype.itemsize * int(np.prod(self.shape))
        if self.path.stat().st_size < size:
            raise TableError(f"{path} is cut short: it has {self.path.stat().st_size:,} of {size:,} bytes")

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(self.shape[0])
        width = 1 if len(self.shape) == 1 else self.shape[1]
        runs, each = (width, stop - start) if self.by_columns else (1, (stop - start) * width)
        out = np.empty(runs * each, self.dtype)
        first = start if self.by_columns else start * width
        with self.path.open("rb", buffering=0) as stream:
            for run in range(runs):
                stream.seek(self.offset + self.dtype.itemsize * (first + run * self.shape[0]))
                view = out[run * each : (run + 1) * each].data.cast("B")
                while view:
                    read = stream.readinto(view)
                    if not read:
                        raise TableError(f"{self.path} has been cut short since it was opened")
                    view = view[read:]
        rows_first = out.reshape(width, -1).T if self.by_columns else out.reshape(-1, width)
        return rows_first[:, 0] if len(self.shape) == 1 else rows_first

    def version(self) -> Hashable:
        """Its size and the time when it was written."""
        info = self.path.stat()
        return info.st_size, info.st_mtime_ns


class Sliced(Checked):
    """The rows of an array that is not in memory.

    Parameters
    ----------
    array : array of shape (N, D) or (N,)
        Of any type that holds real numbers.
    columns : sequence of int
        Which of its columns.
    weights : int or ndarray of shape (N,), optional
        Which of its columns are the row weights, or those weights themselves.
    labels, weight_labels : Labels
        What messages call those columns, and the weights.
    n_threads : int, optional
    """

    def __init__(
        self,
        array: Array,
        columns: Sequence[int],
        weights: int | NDArray[np.float64] | None,
        *,
        labels: Labels,
        weight_labels: Labels,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(array.shape[0], len(columns), labels, weight_labels, n_threads)
        self.array, self.columns, self.weights = array, list(columns), weights
        single = array.dtype.newbyteorder("=") == np.float32
        self.dtype = np.dtype(np.float32 if single else np.float64)
        self._whole = self.columns == list(range(_width(array)))
        self._version = _version(array)

    @property
    def _has_version(self) -> bool:
        return self._version is not None

    def _pieces(self) -> Generator[tuple[int, slice]]:
        self._check_version()
        for number in range(len(self._edges) - 1):
            yield number, slice(self._edges[number], self._edges[number + 1])
        self._check_version()

    def _check_version(self) -> None:
        if self._has_version and _version(self.array) != self._version:
            raise TableError(f"{self.labels.table} has been changed since it was opened: open it again")

    def _numbers(self, number: int, piece: slice) -> tuple[Rows, Weights]:
        block = _read(self.array, piece, self.labels.table)
        rows = floats(block if self._whole else block[:, self.columns], self.labels)
        if self.weights is None:
            return rows, None
        if not isinstance(self.weights, int):
            return rows, self.weights[piece]
        weights = floats(block[:, [self.weights]], self.weight_labels)[:, 0]
        return rows, np.ascontiguousarray(weights, dtype=np.float64)


class _Columns(Reader):
    """An array as a table, for what is only done with tables."""

    def __init__(self, array: Array, name: str, *, named: bool) -> None:
        import pyarrow as pa

        self.array, self.name, self.named, self.first_row = array, name, named, int(named)
        kind = pa.from_numpy_dtype(array.dtype.newbyteorder("="))
        self.schema = pa.schema([(column, kind) for column in _names(array)])
        self.n_rows = array.shape[0]

    def version(self) -> Hashable | None:
        return _version(self.array)

    def batches(self, columns: Sequence[str], size: int | None = None) -> Generator[pa.RecordBatch]:
        import pyarrow as pa

        size = size or max(1, min(BATCH_ROWS, 16 * BATCH_ROWS // _width(self.array)))
        places = [self.schema.get_field_index(column) for column in columns]
        for start in range(0, self.array.shape[0], size):
            block = _read(self.array, slice(start, start + size), self.name)
            native = block.astype(block.dtype.newbyteorder("="), copy=False)
            yield pa.record_batch([pa.array(np.ascontiguousarray(native[:, j])) for j in places], names=list(columns))


def open_array(array: Array, request: Request, name: str = "Input", *, named: bool = False) -> Opened:
    """An array that is not in memory, as a source.

    Parameters
    ----------
    array : array of shape (N, D) or (N,)
    request : Request
    name : str
        What messages call it.
    named : bool
        Whether its columns have names, x1 … xD, and its rows are counted from 1, as those of files are.

    Raises
    ------
    TableError
        If it holds no real numbers, or has no such columns.
    """
    request.refuse_part()
    array_table(array, f"{name} ")
    if request.where is not None or request.spool:
        return opened(_Columns(array, name, named=named), request, strict=True)
    n_rows, names, weights = array.shape[0], _names(array), None
    if request.named_weights is not None:
        weights = select(names, len(names), request.named_weights, name)[0]
    columns = select(names, len(names), request.columns, name)
    if weights in columns:
        if request.columns is not None:
            raise TableError(f"{name}: a column cannot be both data and weights: leave out one")
        columns.remove(weights)
    for n, what in ((len(columns), "columns of data"), (n_rows, "rows")):
        if not n:
            raise TableError(f"{name} has no {what}")
    first_row = int(named)
    labels = Labels([names[j] for j in columns] if named else columns, name, first_row)
    called = None if weights is None else names[weights] if named else weights
    weight_labels = Labels([None], f"{name}: weights column {called!r}", first_row)
    given = as_weights(request.weights, n_rows) if weights is None else weights
    source = Sliced(array, columns, given, labels=labels, weight_labels=weight_labels, n_threads=request.n_threads)
    return Opened(source, labels.names)


def open_npy(path: str | os.PathLike[str], request: Request) -> Opened:
    """A ``.npy`` file as a source."""
    name = os.fspath(path)
    try:
        array = ArrayFile(path)
    except TableError:
        raise
    except (OSError, ValueError) as error:
        raise TableError(f"{name} cannot be read as npy, it may be damaged: {said(error)}") from error
    return replace(open_array(array, request, name, named=True), format="npy")


def open_hdf5(table: Any, request: Request) -> Opened:
    """A dataset of h5py as a source; a file of h5py is opened by its path."""
    if hasattr(table, "filename"):
        return open_hdf5_path(table.filename, request)
    if not hasattr(table, "shape"):
        raise TableError(f"{table!r} is no dataset of HDF5: choose one that it holds")
    return open_array(table, request, f"{table.file.filename}::{table.name}")


def open_hdf5_path(path: str, request: Request) -> Opened:
    """The dataset ``request.part`` of an HDF5 file, or the only one that there is, as a source."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 files need h5py: pip install 'mixtura[hdf5]'") from error

    try:
        file = h5py.File(path, "r", rdcc_nbytes=CHUNKS)
    except OSError as error:
        raise TableError(f"{path} cannot be read as HDF5, it may be damaged: {said(error)}") from error
    held: list[str] = []
    file.visititems(lambda name, item: held.append(name) if _is_table(item) else None)
    part = request.part
    if part is None and len(held) == 1:
        part = held[0]
    if part is None:
        shown = f", as {path}::/{held[0]}" if held else ""
        raise TableError(f"{path} holds {len(held)} tables of numbers: name one of them{shown}")
    found = file.get(part)
    if not isinstance(found, h5py.Dataset):
        known = f"it has {', '.join(f'/{name}' for name in held[:9])}" if held else "it has none of numbers"
        raise TableError(f"{path} has no dataset {part!r}: {known}")
    return open_array(found, replace(request, part=None), f"{path}::/{part.strip('/')}", named=True)


def _is_table(item: Any) -> bool:
    shape, kind = getattr(item, "shape", None), getattr(getattr(item, "dtype", None), "kind", "")
    return shape is not None and len(shape) in {1, 2} and kind in "biuf"


def _read(array: Array, rows: slice, name: str) -> NDArray[Any]:
    """Rows of an array, (B, D)."""
    try:
        block = np.asarray(array[rows])
    except (OSError, KeyError, RuntimeError) as error:
        raise TableError(
            f"{name} could not be read beyond row {rows.start}, it may be damaged or cut short: {said(error)}"
        ) from error
    return block[:, None] if block.ndim == 1 else block


def _width(array: Array) -> int:
    return 1 if len(array.shape) == 1 else array.shape[1]


def _names(array: Array) -> tuple[str, ...]:
    return tuple(f"x{j + 1}" for j in range(_width(array)))


def _version(array: Any) -> Hashable | None:
    """What changes when the array does, if it is a file that says so."""
    if isinstance(array, ArrayFile):
        return array.version()
    file: Any = getattr(array, "file", None)
    if getattr(file, "mode", None) != "r":
        return None
    info = Path(file.filename).stat()
    return info.st_size, info.st_mtime_ns
