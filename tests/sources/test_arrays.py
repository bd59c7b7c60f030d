"""Arrays that are not in memory: files of NumPy and HDF5, memory maps, AnnData."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from mixtura.sources import as_source, opening
from mixtura.sources.coerce import TableError

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 2, (500, 3))


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    monkeypatch.setattr(opening, "SMALL", -1)


def rows_of(source) -> np.ndarray:
    return np.concatenate([np.array(block.rows) for block in source.map(lambda block: block)])


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", ">f4", "i1", "u8", ">i4", "?", np.longdouble])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_type(tmp_path, dtype, order):
    np.save(tmp_path / "t.npy", ROWS.astype(dtype, order=order))
    source, columns = as_source(tmp_path / "t.npy")
    assert columns == ("x1", "x2", "x3")
    assert np.array_equal(rows_of(source), ROWS)
    single = np.dtype(dtype).newbyteorder("=") == np.float32
    assert source.dtype == (np.float32 if single else np.float64)
    if dtype is not np.longdouble:
        chosen, _ = as_source(tmp_path / "t.npy", columns=["x3", 0], weights="x2", where="x1 == 1")
        assert np.array_equal(rows_of(chosen), ROWS[ROWS[:, 0] == 1][:, [2, 0]])


def test_npy_of_one_dimension_and_of_a_later_version(tmp_path):
    with (tmp_path / "t.npy").open("wb") as stream:
        np.lib.format.write_array(stream, ROWS[:, 0], version=(2, 0))
    source, columns = as_source(tmp_path / "t.npy")
    assert (source.n_rows, columns) == (500, ("x1",))
    assert np.array_equal(rows_of(source)[:, 0], ROWS[:, 0])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 2)), r"t.npy holds an array of type float64 and shape \(2, 2, 2\)"),
        (np.array(["a", "b"]), r"t.npy holds an array of type <U1 and shape \(2,\)"),
        (np.zeros((0, 3)), "t.npy has no rows"),
        (np.zeros((3, 0)), "t.npy has no columns of data"),
        (np.zeros((3, 2), complex), "t.npy holds an array of type complex128"),
        (np.array([{}, {}], dtype=object), "t.npy holds an array of type object"),
    ],
)
def test_npy_that_is_no_table(tmp_path, array, message):
    np.save(tmp_path / "t.npy", array)
    with pytest.raises(TableError, match=message):
        as_source(tmp_path / "t.npy")


def test_npy_that_is_cut_short(tmp_path):
    np.save(tmp_path / "t.npy", ROWS)
    content = (tmp_path / "t.npy").read_bytes()
    (tmp_path / "t.npy").write_bytes(content[:-8])
    with pytest.raises(TableError, match=r"t.npy is cut short: it has 12,120 of 12,128 bytes"):
        as_source(tmp_path / "t.npy")
    (tmp_path / "t.npy").write_bytes(content[:20])
    with pytest.raises(TableError, match=r"t.npy cannot be read as npy, it may be damaged"):
        as_source(tmp_path / "t.npy")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2"])
def test_memory_maps_are_read_block_by_block(tmp_path, dtype):
    mapped = np.memmap(tmp_path / "raw", dtype, "w+", shape=(500, 3))
    mapped[:] = ROWS
    source, columns = as_source(mapped, columns=[2, 0], weights=1)
    assert columns is None
    assert np.array_equal(rows_of(source), ROWS[:, [2, 0]])
    assert source.weight == ROWS[:, 1].sum()
    mapped[300, 1] = -1 if dtype != "f4" else np.nan
    with pytest.raises(TableError, match=r"weights column 1 (must not be negative|contains NaN).*row 300"):
        as_source(mapped, columns=[2, 0], weights=1).source.total(lambda block: len(block.rows))


# HDF5


@pytest.fixture
def h5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["deep/X"] = ROWS
        file["y"] = ROWS[:, 0].astype(np.float32)
        file["names"] = [b"a", b"b"]
        file.create_group("empty")
    return tmp_path / "t.h5"


def test_datasets_of_hdf5_by_path_and_as_they_are(h5):
    import h5py

    for table in (f"{h5}::/deep/X", f"{h5}::deep/X"):
        source, columns = as_source(table)
        assert columns == ("x1", "x2", "x3")
        assert np.array_equal(rows_of(source), ROWS)
    assert as_source(h5, part="y").source.dtype == np.float32
    shutil.copy(h5, h5.with_name("copy.h5"))  # one that nobody reads
    with h5py.File(h5.with_name("copy.h5"), "r+") as file:
        source, columns = as_source(file["deep/X"])
        assert columns is None
        assert np.array_equal(rows_of(source), ROWS)
        file["deep/X"][7, 1] = 5
        with pytest.raises(TableError, match="yields other rows"):
            source.total(lambda block: len(block.rows))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (None, "holds 2 tables of numbers: name one of them, as .*t.h5::/deep/X"),
        ("z", "has no dataset 'z': it has /deep/X, /y"),
        ("empty", "has no dataset 'empty'"),
        ("names", "holds an array of type object"),
    ],
)
def test_datasets_that_there_are_not(h5, part, message):
    with pytest.raises(TableError, match=message):
        as_source(h5, part=part)


def test_hdf5_that_is_damaged_or_has_no_reader(h5, monkeypatch):
    h5.write_bytes(h5.read_bytes()[:100])
    with pytest.raises(TableError, match="cannot be read as HDF5, it may be damaged"):
        as_source(h5, part="y")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"HDF5 files need h5py: pip install 'mixtura\[hdf5\]'"):
        as_source(h5, part="y")


def test_a_database_without_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", None)
    with pytest.raises(ImportError, match=r"need the driver adbc_driver_postgresql: pip install 'mixtura\[sql\]'"):
        as_source("postgresql://host/db::t")


# AnnData


@pytest.fixture
def cells():
    anndata = pytest.importorskip("anndata")
    index = [f"cell{i}" for i in range(500)]
    obs = pd.DataFrame({"batch": ["a", "b"] * 250, "n": np.arange(500.0)}, index=index)
    X = pd.DataFrame(ROWS.astype(np.float32), index=index, columns=["g1", "g2", "g3"])
    cells = anndata.AnnData(X, obs=obs)
    cells.layers["log"] = -cells.X
    cells.obsm["X_pca"] = ROWS[:, :2] * 2.0
    cells.obsm["frame"] = pd.DataFrame({"u": np.arange(500.0)}, index=index)
    return cells


@pytest.mark.parametrize(
    ("part", "names", "expected"),
    [
        (None, ("g1", "g2", "g3"), ROWS),
        ("X", ("g1", "g2", "g3"), ROWS),
        ("layers/log", ("g1", "g2", "g3"), -ROWS),
        ("obsm/X_pca", ("X_pca1", "X_pca2"), ROWS[:, :2] * 2),
        ("X_pca", ("X_pca1", "X_pca2"), ROWS[:, :2] * 2),
        ("frame", ("u",), np.arange(500.0)[:, None]),
    ],
)
def test_matrices_of_anndata(cells, part, names, expected):
    source, columns = as_source(cells, part=part)
    assert columns == names
    assert np.array_equal(rows_of(source), expected)


def test_anndata_knows_its_rows(cells):
    source, columns = as_source(cells, columns=["g3"], weights="n", where="batch == 'b' and g1 > 0")
    taken = (np.arange(500) % 2 == 1) & (ROWS[:, 0] > 0)
    assert columns == ("g3",)
    assert np.array_equal(rows_of(source)[:, 0], ROWS[taken, 2])
    assert source.weight == np.arange(500)[taken].sum()
    assert as_source(cells, weights="g2").columns == ("g1", "g3")
    with pytest.raises(TableError, match="has no matrix 'umap': it has X, layers/log, obsm/X_pca, obsm/frame"):
        as_source(cells, part="umap")
    with pytest.raises(TableError, match="has no column 'batch_'"):
        as_source(cells, where="batch_ == 'a'")


def test_anndata_in_its_file_and_sparse(cells, tmp_path):
    import anndata
    import scipy.sparse

    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert np.array_equal(rows_of(as_source(f"{tmp_path}/cells.h5ad::/obsm/X_pca").source), ROWS[:, :2] * 2)
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    source, columns = as_source(backed, weights="n")
    assert (columns, source.weight) == (("g1", "g2", "g3"), np.arange(500).sum())
    assert np.array_equal(rows_of(source), ROWS)
    with pytest.raises(TableError, match=r"where needs the AnnData object in memory: call its to_memory\(\) first"):
        as_source(backed, where="batch == 'a'")
    backed.file.close()
    cells.X = scipy.sparse.csr_matrix(cells.X)
    with pytest.raises(TypeError, match="sparse"):
        as_source(cells)
