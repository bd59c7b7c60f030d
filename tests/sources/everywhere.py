"""One table in every kind of source. A new kind is a function here and a line in KINDS."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import mixtura

Columns = dict[str, Any]


class Kind(NamedTuple):
    """A kind of source.

    Attributes
    ----------
    make : callable
        (empty folder, columns of one length: numbers and texts) → what is passed to as_source.
    numeric : bool
        It holds columns of numbers alone, numbered from 0 …
    files : bool
        … or called x1 … xD, as those of files are; rows of files are counted from 1.
    options : dict
        Further arguments of as_source.
    text : bool
        Columns of text are left out, not refused.
    copied : bool
        Its rows are copied, unless that is forbidden.
    """

    make: Callable[[Path, Columns], Any]
    numeric: bool = False
    files: bool = False
    options: Mapping[str, Any] = MappingProxyType({})
    text: bool = True
    copied: bool = False


def table_of(columns: Columns) -> pa.Table:
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def array_of(columns: Columns) -> np.ndarray:
    return np.stack([np.asarray(values, dtype=float) for values in columns.values()], axis=1)


def parquet(folder: Path, columns: Columns) -> Path:
    pq.write_table(table_of(columns), folder / "t.parquet", row_group_size=211)
    return folder / "t.parquet"


def parquet_parts(folder: Path, columns: Columns) -> Path:
    """Three files of unlike sizes, one in a folder of its own, beside what is to be ignored."""
    table = table_of(columns)
    (folder / "parts" / "later").mkdir(parents=True)
    (folder / "parts" / "_SUCCESS").touch()
    (folder / "parts" / ".crc").write_text("x")
    for name, part in (("a", table[:301]), ("b", table[301:302]), ("later/c", table[302:])):
        pq.write_table(part, folder / "parts" / f"{name}.parquet", row_group_size=97)
    return folder / "parts"


def pattern(folder: Path, columns: Columns) -> str:
    parquet_parts(folder, columns)
    return str(folder / "parts" / "**" / "*.parquet")


def paths(folder: Path, columns: Columns) -> list[Path]:
    parquet_parts(folder, columns)
    return [folder / "parts" / f"{name}.parquet" for name in ("a", "b", "later/c")]


def address(folder: Path, columns: Columns) -> str:
    return parquet_parts(folder, columns).as_uri()


def arrow(folder: Path, columns: Columns) -> Path:
    table = table_of(columns)
    with pa.OSFile(str(folder / "t.arrow"), "wb") as stream, pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=133)
    return folder / "t.arrow"


def arrow_stream_file(folder: Path, columns: Columns) -> Path:
    table = table_of(columns)
    with pa.OSFile(str(folder / "t.arrows"), "wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=133)
    return folder / "t.arrows"


def feather(folder: Path, columns: Columns) -> Path:
    import pyarrow.feather

    pyarrow.feather.write_feather(table_of(columns), str(folder / "t.feather"), compression="lz4", chunksize=90)
    return folder / "t.feather"


def csv(folder: Path, columns: Columns) -> Path:
    pyarrow.csv.write_csv(table_of(columns), folder / "t.csv")
    return folder / "t.csv"


def csv_gz(folder: Path, columns: Columns) -> Path:
    with pa.CompressedOutputStream(str(folder / "t.csv.gz"), "gzip") as stream:
        pyarrow.csv.write_csv(table_of(columns), stream)
    return folder / "t.csv.gz"


def csv_parts(folder: Path, columns: Columns) -> Path:
    table = table_of(columns)
    (folder / "csv").mkdir()
    pyarrow.csv.write_csv(table[:500], folder / "csv" / "1.csv")
    pyarrow.csv.write_csv(table[500:], folder / "csv" / "2.csv")
    return folder / "csv"


def npy(folder: Path, columns: Columns) -> Path:
    np.save(folder / "t.npy", array_of(columns))
    return folder / "t.npy"


def npy_by_columns(folder: Path, columns: Columns) -> Path:
    np.save(folder / "t.npy", np.asfortranarray(array_of(columns)))
    return folder / "t.npy"


def memmap(folder: Path, columns: Columns) -> np.memmap:
    array = array_of(columns)
    mapped = np.memmap(folder / "raw", array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    mapped.flush()
    return np.memmap(folder / "raw", array.dtype, "r", shape=array.shape)


def hdf5_path(folder: Path, columns: Columns) -> str:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "t.h5", "w") as file:
        file.create_dataset("deep/X", data=array_of(columns), chunks=(64, 1), compression="gzip")
        file.create_dataset("other", data=np.zeros((3, 2)))
    return f"{folder / 't.h5'}::/deep/X"


def hdf5_dataset(folder: Path, columns: Columns) -> Any:
    h5py = pytest.importorskip("h5py")
    hdf5_path(folder, columns)
    return h5py.File(folder / "t.h5", "r")["deep/X"]


def record_batch_reader(_: Path, columns: Columns) -> pa.RecordBatchReader:
    return table_of(columns).to_reader(max_chunksize=120)


class Restartable:
    """An Arrow stream that can be had again and again."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.to_reader(max_chunksize=120).__arrow_c_stream__(requested_schema)


def lazy_frame(folder: Path, columns: Columns) -> pl.LazyFrame:
    return pl.scan_parquet(parquet(folder, columns))


def relation(folder: Path, columns: Columns) -> Any:
    duckdb = pytest.importorskip("duckdb")
    return duckdb.connect().read_parquet(str(parquet(folder, columns)))


def sqlite_path(folder: Path, columns: Columns) -> Path:
    path = folder / "t.db"
    with sqlite3.connect(path) as connection:
        names = ", ".join(f'"{name}"' for name in columns)
        connection.execute(f"CREATE TABLE flowers ({names})")
        values = [column.to_pylist() for column in table_of(columns).columns]
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO flowers VALUES ({marks})", zip(*values, strict=True))
    connection.close()
    return path


def sqlite_table(folder: Path, columns: Columns) -> str:
    pytest.importorskip("adbc_driver_sqlite")
    return f"{sqlite_path(folder, columns)}::flowers"


def query(folder: Path, columns: Columns) -> mixtura.Query:
    pytest.importorskip("adbc_driver_sqlite")
    return mixtura.Query("SELECT * FROM flowers ORDER BY rowid;", f"sqlite:///{sqlite_path(folder, columns)}")


def annotated(_: Path, columns: Columns) -> Any:
    anndata = pytest.importorskip("anndata")
    frame = pd.DataFrame(columns)
    numbers = [name for name in frame.columns if name in {"a", "b", "c"}]
    frame.index = frame.index.astype(str)
    X = pd.DataFrame(frame[numbers].to_numpy(dtype=float), index=frame.index, columns=numbers)
    return anndata.AnnData(X, obs=frame.drop(columns=numbers))


class Tables:
    """An iterable of tables that can be iterated over again and again."""

    def __init__(self, tables: list[Any]) -> None:
        self.tables = tables

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tables)


def iterable(_: Path, columns: Columns) -> Tables:
    frame = pd.DataFrame(columns)
    return Tables([frame[:5], frame[5:5], frame[5:400], frame[400:]])


def function(_: Path, columns: Columns) -> Callable[[], Iterator[np.ndarray]]:
    array = array_of(columns)
    return lambda: (array[start : start + 190] for start in range(0, len(array), 190))


def generator(folder: Path, columns: Columns) -> Iterator[np.ndarray]:
    return function(folder, columns)()


KINDS: dict[str, Kind] = {
    "array": Kind(lambda _, columns: array_of(columns), numeric=True),
    "pandas": Kind(lambda _, columns: pd.DataFrame(columns), text=False),
    "polars": Kind(lambda _, columns: pl.DataFrame(table_of(columns)), text=False),
    "pyarrow": Kind(lambda _, columns: table_of(columns), text=False),
    "memmap": Kind(memmap, numeric=True),
    "npy": Kind(npy, numeric=True, files=True),
    "npy by columns": Kind(npy_by_columns, numeric=True, files=True),
    "parquet": Kind(parquet, files=True),
    "folder": Kind(parquet_parts, files=True),
    "pattern": Kind(pattern, files=True),
    "paths": Kind(paths, files=True),
    "address": Kind(address, files=True),
    "arrow": Kind(arrow, files=True),
    "arrow stream file": Kind(arrow_stream_file, files=True),
    "feather": Kind(feather, files=True),
    "csv": Kind(csv, files=True, copied=True),
    "csv, not copied": Kind(csv, files=True, options={"spool": False}),
    "csv.gz": Kind(csv_gz, files=True, copied=True),
    "csv folder": Kind(csv_parts, files=True, copied=True),
    "hdf5 path": Kind(hdf5_path, numeric=True, files=True),
    "hdf5 dataset": Kind(hdf5_dataset, numeric=True),
    "arrow reader": Kind(record_batch_reader, text=False, copied=True),
    "arrow stream": Kind(lambda _, columns: Restartable(table_of(columns)), text=False, copied=True),
    "arrow stream, not copied": Kind(
        lambda _, columns: Restartable(table_of(columns)), text=False, options={"spool": False}
    ),
    "lazy frame": Kind(lazy_frame, text=False, copied=True),
    "lazy frame, not copied": Kind(lazy_frame, text=False, options={"spool": False}),
    "relation": Kind(relation, text=False, copied=True),
    "relation, not copied": Kind(relation, text=False, options={"spool": False}),
    "sqlite table": Kind(sqlite_table, files=True, copied=True),
    "query": Kind(query, files=True, copied=True),
    "query, not copied": Kind(query, files=True, options={"spool": False}),
    "anndata": Kind(annotated),
    "iterable": Kind(iterable, text=False),
    "function": Kind(function, numeric=True),
    "generator": Kind(generator, numeric=True, copied=True),
}
