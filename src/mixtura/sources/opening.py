"""The one entrance: anything that holds rows becomes a source.

Small files and what is in memory become arrays (``Memory``); everything else is read in every pass (``Stream``,
``Sliced``), or copied once where reading is slow or cannot be repeated. A new kind of table takes a function (table,
request) → Opened and a line in ``OPENERS``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mixtura.sources.coerce import (
    Columns,
    Labels,
    Rows,
    TableError,
    as_weights,
    check_finite,
    is_pandas,
    is_sparse,
    said,
    select,
    unchecked,
)
from mixtura.sources.files import read_table
from mixtura.sources.memory import Memory
from mixtura.sources.reader import AMONG, Opened, Request
from mixtura.sources.source import Source
from mixtura.sources.where import filter_of

if TYPE_CHECKING:
    import pyarrow as pa

#: Files up to this many bytes, or gzipped ones up to an eighth of it, are read at once.
SMALL = 2**26
PACKED = 8
#: Arrow tables beyond this many bytes are not copied to an array.
LARGE = 2**28
#: How kinds of table are opened, by the package that their type is from: the module here, and its function (table,
#: request) → Opened, or None where it is an ordinary table in memory. A package is never imported to find out.
OPENERS = {
    "anndata": "annotated:open_anndata",
    "dask": "dask:open_dask",
    "duckdb": "lazy:open_duckdb",
    "_duckdb": "lazy:open_duckdb",
    "h5py": "arrays:open_hdf5",
    "polars": "lazy:open_polars",
    "pyspark": "spark:open_spark",
}
#: How files of other kinds begin.
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SQLITE = b"SQLite format 3\0"


def as_source(
    table: Any,
    *,
    columns: Columns | None = None,
    weights: Any = None,
    where: Any = None,
    part: str | None = None,
    format: str | None = None,  # noqa: A002 (as NumPy and pyarrow call it)
    n_threads: int | None = None,
    spool: bool | None = None,
    told: Callable[[str], None] | None = None,
    engine: Any = None,
) -> Opened:
    """Open anything that holds rows.

    Parameters
    ----------
    table : Source, Opened, array, data frame, path or other table
        A source itself, or what this function returned. In memory: arrays and lists; pandas, polars and pyarrow tables,
        anything with ``__arrow_c_stream__``. Files: the path of CSV, Parquet, Arrow IPC or ``.npy``, a folder, a
        pattern such as ``"2024-*.parquet"`` or a list of paths; ``file.h5::/dataset``; ``file.db::table`` or the
        address of a database with ``::table``. On a cluster: arrays and data frames of Dask, lists of delayed tables,
        data frames of Spark. Not in memory: ``numpy.memmap``, datasets of h5py, ``Query``, lazy
        frames of polars, relations of DuckDB, AnnData, iterables of tables and functions that return one.
    columns : sequence of str or int, optional
        The columns to take, by name or number, in this order. By default all; of files and databases, all that hold
        numbers.
    weights : str, int or array-like of shape (N,), optional
        A column of row weights, or the weights.
    where : str or pyarrow.compute.Expression, optional
        Which rows to take, as in ``"dose > 3 and site in ('A', 'B')"``; see mixtura.sources.where.
    part : str, optional
        Which of several tables in a file, database or AnnData object; the same as what follows ``::`` in a path.
    format : {"csv", "parquet", "arrow", "npy"}, optional
        What a file must be; by default its first bytes tell.
    n_threads : int, optional
    spool : bool, optional
        Whether to copy the rows once to a temporary file (to memory, if it is small), which later passes read. By
        default that is done for CSV and for what a database or another engine computes.
    told : callable, optional
        Is told, in sentences, of copies in files; by default standard error is, if that is a terminal.
    engine : distributed.Client or pyspark.sql.SparkSession, optional
        Files are read in every pass by its workers, which must find them under the same path.

    Returns
    -------
    Opened
        With ``source`` and ``columns``.

    Raises
    ------
    TableError, TypeError, ImportError
        If it cannot be used, with the place and a remedy; if a package is missing.

    Examples
    --------
    >>> source, columns = as_source("examples/faithful.csv", where="waiting > 60")
    >>> source.n_rows, columns
    (189, ('eruptions', 'waiting'))
    """
    request = Request(columns, weights, where, part, format, n_threads, spool, told, engine)
    with np.errstate():  # what an interrupt leaves changed within is as it was
        if isinstance(table, Source | Opened):
            asked = ("columns", "weights", "where", "part", "format", "spool", "engine")
            request.refuse(*asked, why="goes with tables: a Source is as it is")
            return table if isinstance(table, Opened) else Opened(table, getattr(table, "columns", None))
        if engine is not None and (_is_path(table) or _are_paths(table)):
            return _on_engine(table, request)
        if _is_path(table):
            return _open_path(os.fspath(table), request)
        if _are_paths(table):
            return _open_files([os.fspath(each) for each in table], request, f"the {len(table)} files")
        request.refuse("format", "engine", why="is for files")
        for opener in _openers(table):
            found = opener(table, request)
            if found is not None:
                return found
        return _open_other(table, request)


def is_elsewhere(table: object) -> bool:
    """Whether it stands for rows that are not in memory: a path, a query, what was opened."""
    from mixtura.sources.sql import Query

    return _is_path(table) or _are_paths(table) or isinstance(table, Query | Opened)


def _is_path(table: object) -> bool:
    return isinstance(table, str) or hasattr(table, "__fspath__")


def _are_paths(table: object) -> bool:
    return isinstance(table, list | tuple) and bool(table) and all(map(_is_path, table))


def _openers(table: Any) -> Iterable[Callable[[Any, Request], Opened | None]]:
    """The functions for tables of that type, by the packages that it and its bases come from; of a list, its first."""
    lazy = isinstance(table, list | tuple) and table and hasattr(table[0], "__dask_graph__")
    kinds = type(table[0] if lazy else table).__mro__
    origins = dict.fromkeys(kind.__module__.partition(".")[0] for kind in kinds)
    for origin in origins:
        if origin in OPENERS:
            module, name = OPENERS[origin].split(":")
            yield getattr(importlib.import_module(f"mixtura.sources.{module}"), name)


# Paths and addresses


def _on_engine(table: Any, request: Request) -> Opened:
    """Files that the workers of an engine read."""
    request.refuse("spool", why="is for rows that this machine reads")
    request.refuse("n_threads", why="is for rows on this machine: an engine has as many workers as it has")
    if hasattr(request.engine, "createDataFrame"):
        from mixtura.sources.spark import open_paths

        return open_paths([os.fspath(each) for each in ([table] if _is_path(table) else table)], request)
    if not hasattr(request.engine, "submit"):
        raise TypeError(f"engine must be a distributed.Client or a SparkSession, not {type(request.engine).__name__}")
    files = _are_paths(table)
    found = (
        _open_files(list(map(os.fspath, table)), request, f"the {len(table)} files")
        if files
        else _open_path(os.fspath(table), request)
    )
    if not found.source.remote:
        raise TableError(f"an engine reads Parquet, Arrow IPC and CSV files and folders of them: {table} is none")
    return found


def _open_path(path: str, request: Request) -> Opened:
    from mixtura.sources import sql

    inner = path.rpartition("::")
    if inner[1] and not Path(path).exists():
        request.refuse("part", why=f"is given twice, {path!r} names one too")
        path, request = inner[0], replace(request, part=inner[2])
    if sql.is_address(path):
        request.refuse("format", why="is for files")
        query = sql.table_query(path, request.part)
        return sql.open_query(query, replace(request, part=None))
    if path == "-":
        return _read_whole(path, request)
    if "://" in path:
        return _open_remote(path, request)
    if has_magic(path) and not Path(path).exists():
        found = sorted(each for each in glob(path, recursive=True) if Path(each).is_file())  # noqa: PTH207 (as it is written)
        if not found:
            raise TableError(f"there is no file like {path}")
        return _open_files(found, request, path)
    if Path(path).is_dir():
        return _open_folder(path, request)
    return _open_file(path, request)


def _open_file(path: str, request: Request) -> Opened:
    """One file: by its first bytes, and by its size."""
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(16)
            size = os.fstat(stream.fileno()).st_size
    except (OSError, ValueError):
        head, size = b"", 0  # reading says what is wrong
    if head.startswith(_HDF5):
        from mixtura.sources.arrays import open_hdf5_path

        return open_hdf5_path(path, request)
    if head.startswith(_SQLITE):
        from mixtura.sources import sql

        query = sql.table_query(f"sqlite:///{path}", request.part)
        return sql.open_query(query, replace(request, part=None))
    small = size * (PACKED if head.startswith(b"\x1f\x8b") else 1) <= SMALL
    if request.spool is None and small and request.engine is None:
        return _read_whole(path, request)
    if head.startswith(b"\x93NUMPY") and request.format in {None, "npy"}:
        from mixtura.sources.arrays import open_npy

        return open_npy(path, request)
    return _open_files([path], request, path)


def _read_whole(path: str, request: Request) -> Opened:
    """A small file, or standard input, in memory."""
    request.refuse_part()
    file = read_table(
        path, columns=request.columns, weights=request.named_weights, where=request.where, format=request.format
    )
    given = file.weights
    if request.named_weights is None and request.weights is not None:
        if request.where is not None:
            raise TableError("weights must be a column of the table where rows are chosen by where")
        given = as_weights(request.weights, len(file.rows))
    return Opened(Memory(file.rows, given, request.n_threads), file.columns, file.left_out, file.format)


def _open_files(paths: Sequence[str], request: Request, name: str) -> Opened:
    from pyarrow import fs

    missing = next((path for path in paths if not Path(path).is_file()), None)
    if missing is not None:
        raise TableError(f"there is no file {missing}")
    return _open_stored(fs.LocalFileSystem(), paths, paths, request, name=name)


def _open_folder(path: str, request: Request) -> Opened:
    """All files in a folder and those below, in the order of their paths, but for hidden ones."""
    from pyarrow import fs

    root = Path(path)
    relative = sorted(
        each.relative_to(root).as_posix()
        for each in root.rglob("*")
        if each.is_file() and not any(part.startswith((".", "_")) for part in each.relative_to(root).parts)
    )
    if not relative:
        raise TableError(f"the folder {path} holds no files")
    paths = [os.fspath(root / each) for each in relative]
    return _open_stored(
        fs.LocalFileSystem(), paths, paths, request, name=f"the folder {path}", constants=_constants(relative)
    )


def _open_remote(address: str, request: Request) -> Opened:
    """A file or folder in any file system that pyarrow knows, such as ``s3://…`` or ``file://…``."""
    import pyarrow as pa
    from pyarrow import fs

    try:
        system, path = fs.FileSystem.from_uri(address)
        info = system.get_file_info(path)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"cannot open {address}: {said(error)}") from error
    if info.type is fs.FileType.NotFound:
        raise TableError(f"there is no file {address}")
    if info.type is not fs.FileType.Directory:
        return _open_stored(system, [path], [address], request, name=address)
    found = system.get_file_info(fs.FileSelector(path, recursive=True))
    relative = sorted(str(PurePosixPath(each.path).relative_to(path)) for each in found if each.is_file)
    relative = [each for each in relative if not any(part.startswith((".", "_")) for part in each.split("/"))]
    if not relative:
        raise TableError(f"the folder {address} holds no files")
    names = [f"{address.rstrip('/')}/{each}" for each in relative]
    paths = [f"{path.rstrip('/')}/{each}" for each in relative]
    return _open_stored(system, paths, names, request, name=f"the folder {address}", constants=_constants(relative))


def _open_stored(
    system: Any,
    paths: Sequence[str],
    names: Sequence[str],
    request: Request,
    *,
    name: str,
    constants: Sequence[dict[str, Any]] | None = None,
) -> Opened:
    from mixtura.sources.stored import Stored
    from mixtura.sources.stream import opened

    reader = Stored(system, paths, names, name, kind=request.format, constants=constants)
    if request.engine is not None:
        from mixtura.sources.dask import open_stored

        return open_stored(reader, request)
    few = reader.n_rows is not None and reader.n_rows * len(reader.schema) * 8 <= SMALL
    return opened(reader, request, spool=few or reader.format == "csv")


def _constants(relative: Sequence[str]) -> list[dict[str, Any]] | None:
    """What folders called ``name=value`` say of the files in them, if all files are in such folders alike."""
    from mixtura.sources.stored import typed

    each = [dict(part.split("=", 1) for part in path.split("/")[:-1] if "=" in part) for path in relative]
    if not each[0]:
        return None
    if any(list(found) != list(each[0]) for found in each):
        odd = relative[next(i for i, found in enumerate(each) if list(found) != list(each[0]))]
        raise TableError(f"{odd} lies in other folders than {relative[0]}: they must be named alike, as {relative[0]}")
    columns = {name: typed([found[name] for found in each]) for name in each[0]}
    return [{name: values[i] for name, values in columns.items()} for i in range(len(each))]


# In memory, and otherwise


def _open_other(table: Any, request: Request) -> Opened:
    from mixtura.sources import arrays, lazy, sql

    if isinstance(table, sql.Query):
        return sql.open_query(table, request)
    if isinstance(table, np.memmap):
        return arrays.open_array(table, request)
    if hasattr(table, "__arrow_c_stream__") and not any(hasattr(table, name) for name in _SIZES):
        return lazy.open_stream(table, request)
    if callable(table) or (hasattr(table, "__iter__") and not any(hasattr(table, name) for name in _TABLES)):
        # the sentence about a sparse matrix is that of tables in memory
        return open_memory(table, request) if is_sparse(table) else lazy.open_iterable(table, request)
    return _open_large_arrow(table, request) or open_memory(table, request)


def _open_large_arrow(table: Any, request: Request) -> Opened | None:
    """A large Arrow table, which is not to be copied to an array."""
    if request.spool or getattr(table, "nbytes", 0) <= LARGE or not type(table).__module__.startswith("pyarrow"):
        return None
    import pyarrow as pa

    from mixtura.sources.lazy import Held
    from mixtura.sources.stream import opened

    return opened(Held(table if isinstance(table, pa.Table) else pa.table(table)), request, strict=True)


#: What tables in memory have, of which Arrow streams have nothing …
_SIZES = ("num_rows", "shape", "__len__")
#: … and of which iterables that yield tables have nothing.
_TABLES = (
    "__getitem__",
    "__array__",
    "__arrow_c_stream__",
    "__arrow_c_array__",
    "__dataframe__",
    "__array_interface__",
)


def open_memory(table: Any, request: Request) -> Opened:
    """A table in memory as an array."""
    request.refuse_part()
    named, columns, weights = request.named_weights, request.columns, request.weights
    if named is not None and columns is None:  # all the others
        _, every = unchecked(table, None)
        weight = select(every.names, len(every.columns), named)[0]
        columns = [j for j in range(len(every.columns)) if j != weight]
    rows, labels = unchecked(table, columns)
    if named is not None:
        found, its = unchecked(table, [named])
        if its.columns[0] in labels.columns:
            raise TableError("a column cannot be both data and weights: leave out one")
        weights = np.asarray(found[:, 0], dtype=np.float64)
    kept = None if request.where is None else kept_rows(table, request.where)
    name = "sample_weight" if named is None else f"weights column {named!r}"
    return from_arrays(rows, labels, weights, request, kept=kept, weights_name=name)


def from_arrays(
    rows: Rows, labels: Labels, weights: Any, request: Request, *, kept: NDArray[np.intp] | None, weights_name: str
) -> Opened:
    """Rows in memory with their weights; only those of the numbers in ``kept``, if a filter was asked for."""
    weights = as_weights(weights, len(rows), name=weights_name) if kept is None else weights
    if kept is not None:
        if not len(kept):
            raise TableError(f"no row of the table passes where={request.where!r}")
        weights = None if weights is None else np.asarray(weights)[kept]
        rows, labels = rows[kept], replace(labels, among=AMONG)
        weights = as_weights(weights, len(rows), name=weights_name)
    check_finite(rows, labels)
    return Opened(Memory(rows, weights, request.n_threads), labels.names)


def kept_rows(table: Any, where: Any) -> NDArray[np.intp]:
    """The numbers of the rows of a table that a filter takes."""
    import pyarrow as pa

    columns = _as_arrow(table)
    name = "the table"
    found = filter_of(where, columns.schema, name)
    number = "".join(columns.column_names) + "#"  # a name that no column has
    numbered = columns.append_column(number, pa.array(np.arange(len(columns), dtype=np.int64)))
    return np.asarray(found.of(numbered, name).column(number), dtype=np.intp)


def _as_arrow(table: Any) -> pa.Table:
    """All the columns of a table in memory; those that have no names are called x1 … xD."""
    import pyarrow as pa

    if is_pandas(table):
        frame = table.to_frame() if table.ndim == 1 else table
        series = {str(name): frame.iloc[:, j] for j, name in enumerate(frame.columns)}
        return pa.table({name: _array_of(values) for name, values in series.items()})
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return pa.table(table)
    rows, labels = unchecked(table, None)
    names = labels.names or [f"x{j + 1}" for j in range(rows.shape[1])]
    return pa.table({name: np.ascontiguousarray(column) for name, column in zip(names, rows.T, strict=True)})


def _array_of(series: Any) -> Any:
    """A column of pandas; one that is not all of one type, as nulls."""
    import pyarrow as pa

    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.nulls(len(series))
