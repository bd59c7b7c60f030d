"""What can go wrong while rows are read: one sentence that says where, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import everywhere
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import mixtura
from mixtura import Mixture
from mixtura.sources import as_source
from mixtura.sources.coerce import TableError

N = 20_000
ROWS = np.random.default_rng(0).standard_normal((N, 2))
TABLE = {"a": ROWS[:, 0], "b": ROWS[:, 1]}


def n_rows_of(block) -> int:
    return len(block.rows)


FILES = {
    "parquet": everywhere.parquet,
    "arrow": everywhere.arrow,
    "arrow stream file": everywhere.arrow_stream_file,
    "feather": everywhere.feather,
    "csv": everywhere.csv,
    "csv.gz": everywhere.csv_gz,
    "npy": everywhere.npy,
    "npy by columns": everywhere.npy_by_columns,
}


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_short_while_it_is_read(tmp_path, name, n_threads):
    path = FILES[name](tmp_path, TABLE)
    source = as_source(path, spool=False, n_threads=n_threads).source
    assert source.total(n_rows_of) == N

    def cut(block) -> int:
        if block.start == 0:
            os.truncate(path, path.stat().st_size // 3)
        return len(block.rows)

    with pytest.raises(TableError, match=rf"^{path} ") as told:
        source.total(cut)
    assert any(words in str(told.value) for words in ("cut short", "has been changed since it was opened"))
    with pytest.raises(TableError, match="has been changed since it was opened"):
        source.total(n_rows_of)
    with pytest.raises(TableError, match=str(path)):
        as_source(path, spool=False).source.total(n_rows_of)
    assert not [t for t in threading.enumerate() if t.name == "mixtura-reader"]


@pytest.mark.usefixtures("streaming")
def test_a_file_that_is_cut_short_while_it_is_copied(tmp_path):
    path = everywhere.csv_gz(tmp_path, TABLE)

    def cut(_: str) -> None:
        os.truncate(path, path.stat().st_size // 3)

    with pytest.raises(TableError, match=r"could not be read beyond row [0-9]+, it may be damaged or cut short"):
        as_source(path, told=cut)


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("name", ["parquet", "csv", "npy"])
def test_a_file_that_is_replaced_between_two_passes(tmp_path, name):
    path = FILES[name](tmp_path, TABLE)
    source = as_source(path, spool=False).source
    source.total(n_rows_of)
    FILES[name](tmp_path, {"a": -ROWS[:, 0], "b": ROWS[:, 1]})
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(TableError, match="has been changed since it was opened: open it again"):
        source.total(n_rows_of)


OTHER_SCHEMAS = {
    "a column less": ({"a": [1.0]}, "2.parquet has no column 'b', unlike {}1.parquet: all parts of the folder"),
    "text": ({"a": [1.0], "b": ["x"]}, "2.parquet: column 'b' is not numeric but string, unlike in {}1.parquet"),
    "dates": (
        {"a": [1.0], "b": pa.array([0], pa.date32())},
        "2.parquet: column 'b' is not numeric but date32[day], unlike in {}1.parquet",
    ),
}


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("name", OTHER_SCHEMAS)
def test_a_part_with_another_schema(tmp_path, name):
    columns, message = OTHER_SCHEMAS[name]
    pq.write_table(pa.table({"a": [0.5], "b": [1.5]}), tmp_path / "1.parquet")
    pq.write_table(pa.table(columns), tmp_path / "2.parquet")
    with pytest.raises(TableError) as told:
        as_source(tmp_path)
    assert message.format(f"{tmp_path}/") in str(told.value)
    assert as_source(tmp_path, columns=["a"]).source.n_rows == 2


@pytest.mark.usefixtures("streaming")
def test_parts_may_differ_in_what_does_not_matter(tmp_path):
    pq.write_table(pa.table({"a": pa.array([1], pa.float32()), "b": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"c": ["x"], "b": pa.array([2], pa.int8()), "a": [2.0]}), tmp_path / "2.parquet")
    source, columns = as_source(tmp_path)
    assert columns == ("a", "b")
    assert source.dtype == np.float64
    assert source.total(lambda block: block.rows.sum(0)).tolist() == [3.0, 3.0]


@pytest.mark.usefixtures("streaming")
def test_csv_parts_with_another_header_or_text(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(TableError, match=r"2.csv has no column 'b'"):
        as_source(tmp_path)
    (tmp_path / "2.csv").write_text("a,b\n1,2\n3,4,5\n")
    with pytest.raises(TableError, match=r"2.csv has 3 fields in row 2 \(rows counted from 1\) but 2 in its header"):
        as_source(tmp_path)
    (tmp_path / "2.csv").write_text("a,b\n" + "1,2\n" * 5000 + "3,many\n")
    assert as_source(tmp_path).left_out["b"] == "text ('many' in row 5001, rows counted from 1)"
    with pytest.raises(TableError, match=r"2.csv: column 'b' is not numeric but text \('many' in row 5001"):
        as_source(tmp_path, columns=["a", "b"])
    (tmp_path / "2.csv").write_text("a,b\n" + "1,2\n" * 5000 + "3,\n")
    with pytest.raises(TableError, match=r"2.csv contains NaN \(a missing value\) in row 5001, column 'b'"):
        as_source(tmp_path)


def test_folders_of_unlike_files(tmp_path):
    with pytest.raises(TableError, match="holds no files"):
        as_source(tmp_path)
    pq.write_table(pa.table({"a": [0.5]}), tmp_path / "1.parquet")
    (tmp_path / "2.csv").write_text("a\n1\n")
    with pytest.raises(
        TableError, match=r"holds files of different kinds, .*1.parquet \(parquet\) and .*2.csv \(csv\)"
    ):
        as_source(tmp_path)
    assert as_source(str(tmp_path / "*.csv")).source.n_rows == 1
    with pytest.raises(TableError, match="there is no file like"):
        as_source(str(tmp_path / "*.arrow"))
    with pytest.raises(TableError, match=r"there is no file .*3.csv"):
        as_source([tmp_path / "2.csv", tmp_path / "3.csv"])


def test_folders_that_name_columns(tmp_path):
    for year, site in ((2023, "A"), (2024, "A"), (2024, "B")):
        folder = tmp_path / f"year={year}" / f"site={site}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"a": [year / 1000, len(site)]}), folder / "part.parquet")
    opened = as_source(tmp_path)
    assert opened.columns == ("a",)
    assert opened.left_out == {"year": "part of the names of folders", "site": "part of the names of folders"}
    source, columns = as_source(tmp_path, columns=["year", "a"], where="site == 'A' and year > 2023")
    assert columns == ("year", "a")
    assert [block.rows.tolist() for block in source.map(lambda block: block)] == [[[2024.0, 2.024], [2024.0, 1.0]]]
    (tmp_path / "year=2025").mkdir()
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "year=2025" / "part.parquet")
    with pytest.raises(TableError, match="lies in other folders than"):
        as_source(tmp_path)


# Second passes


class Fickle:
    """An iterable whose passes are those given."""

    def __init__(self, *passes) -> None:
        self.passes = iter(passes)

    def __iter__(self):
        return iter([next(self.passes)])


CHANGED = ROWS.copy()
CHANGED[777, 1] = np.nextafter(CHANGED[777, 1], 9)
SWAPPED = ROWS.copy()
SWAPPED[[5, 6]] = SWAPPED[[6, 5]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (CHANGED, r"yields other rows, or in another order, than the first time \(among rows 0 to"),
        (SWAPPED, r"yields other rows, or in another order, than the first time \(among rows 0 to"),
        (ROWS[:-1], "yields 19,999 rows where 20,000 were expected"),
        (ROWS[:0], "yields 0 rows where 20,000 were expected"),
        (np.vstack([ROWS, ROWS[:1]]), "yields more rows where 20,000 were expected"),
        (ROWS[:, :1], "could not be read beyond 0 rows"),
    ],
)
def test_a_second_pass_that_yields_other_rows(other, message):
    source = as_source(Fickle(ROWS, ROWS, other)).source  # the first pass counts
    source.total(n_rows_of)
    with pytest.raises(TableError, match=message):
        source.total(n_rows_of)


def test_a_fit_to_a_source_that_changes_ends_with_that_sentence():
    changing = (ROWS + i // 4 for i in range(1000))
    with pytest.raises(TableError, match="the Fickle yields other rows"):
        mixtura.fit(Fickle(*[next(changing) for _ in range(50)]), 2, "full", random_state=0)


def test_what_can_be_read_only_once_is_copied_or_refused():
    generator = (ROWS[i : i + 500] for i in range(0, N, 500))
    with pytest.raises(TableError, match=r"can be read only once: let its rows be copied \(spool\)"):
        as_source(generator, spool=False)
    table = pa.table(TABLE)
    with pytest.raises(TableError, match="can be read only once"):
        as_source(table.to_reader(), spool=False)
    assert as_source(table.to_reader()).source.n_rows == N


def test_errors_of_an_iterable_itself_are_not_hidden():
    def chunks():
        yield ROWS
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        as_source(chunks)
    with pytest.raises(TableError, match=r"must yield tables of rows and columns, but yields an item of shape \(2,\)"):
        as_source(iter(ROWS))
    with pytest.raises(TableError, match="yields tables with names of columns and without"):
        as_source([pa.table(TABLE), ROWS].__iter__())
    with pytest.raises(TableError, match=r"has the columns .* from row 20000 on, but had"):
        as_source(iter([pa.table(TABLE), pa.table({"a": [1.0], "z": [2.0]})]))
    with pytest.raises(TableError, match="yields no rows"):
        as_source(iter([]))


# Writing


def test_scores_of_rows_that_cannot_be_read_leave_no_file(tmp_path):
    path = tmp_path / "scores.parquet"
    path.write_bytes(b"from before")
    model = Mixture([0.5, 0.5], [[0, 0], [1, 1]], [np.eye(2)] * 2)
    source = as_source(Fickle(ROWS, ROWS, CHANGED)).source
    source.total(n_rows_of)
    with pytest.raises(TableError, match="yields other rows"):
        mixtura.write_scores(model, source, path)
    assert path.read_bytes() == b"from before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores.parquet"]


# Memory

FIT = """
import re, sys
from pathlib import Path
import numpy as np
import mixtura
from mixtura import race
race.SAMPLE_NUMBERS = 100_000  # samples are bounded anyway; here they shall not hide what else there is

def fit_and_score(rows, table, out):
    result = mixtura.fit(rows, [2, 3], ["full", "diag"], n_init=1, max_iter=2, random_state=0)
    return mixtura.write_scores(result.model, table, out)

def peak():  # in kB, of this process alone
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

path, out = sys.argv[1:]
rng = np.random.default_rng(0)
few = (rng.standard_normal((100_000, 4)) + 5 * rng.integers(0, 2, (100_000, 1))).astype(np.float32)
fit_and_score(few, few, out)  # everything is loaded
before = peak()
print(fit_and_score(path, path, out), before, peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of a process")
@pytest.mark.parametrize("kind", ["parquet", "one row group", "npy"])
def test_memory_does_not_grow_with_the_rows(tmp_path, kind):
    """Fitting and scoring a table takes less than half of the table in addition, though it is in single precision."""
    n_rows, rng = 10_000_000, np.random.default_rng(0)
    rows = (rng.standard_normal((n_rows, 4)) + 5 * rng.integers(0, 2, (n_rows, 1))).astype(np.float32)
    path = tmp_path / ("t.npy" if kind == "npy" else "t.parquet")
    if kind == "npy":
        np.save(path, rows)
    else:
        table = pa.table({f"x{j}": rows[:, j] for j in range(4)})
        pq.write_table(table, path, row_group_size=n_rows if kind == "one row group" else 1_000_000)
        del table
    size = rows.nbytes
    del rows
    env = {**os.environ, "PYTHONPATH": str(Path(mixtura.__file__).parents[1])}
    command = [sys.executable, "-c", FIT, str(path), str(tmp_path / "scores.parquet")]
    done = subprocess.run(command, check=True, capture_output=True, env=env, text=True)
    scored, before, peak = (int(word) for word in done.stdout.split())
    assert scored == n_rows
    assert pq.ParquetFile(tmp_path / "scores.parquet").metadata.num_rows == n_rows
    assert (peak - before) * 1024 < size / 2
