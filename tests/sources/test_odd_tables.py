"""Tables that are odd but real: columns without a name or a value, files that are damaged where their rows are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixtura
from mixtura.sources import as_source
from mixtura.sources.coerce import TableError
from mixtura.sources.files import write_table
from mixtura.sources.sql import Query

duckdb = pytest.importorskip("duckdb")

ROWS = np.random.default_rng(5).normal(size=(900, 2))


def parquet(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.usefixtures("streaming")
def test_columns_that_hold_nothing_are_left_out(tmp_path):
    """One whose first row groups are null and one that is of no type; one that is null at the beginning alone stays."""
    late = pa.array([None] * 800 + [1.0] * 100)
    columns = {
        "a": ROWS[:, 0],
        "never": pa.array([None] * 900, pa.float64()),
        "untyped": pa.nulls(900),
        "b": ROWS[:, 1],
    }
    path = parquet(tmp_path / "t.parquet", columns, row_group_size=100)
    opened = as_source(path)
    assert opened.columns == ("a", "b")
    assert opened.left_out == {"never": "empty", "untyped": "empty"}
    path = parquet(tmp_path / "late.parquet", columns | {"late": late}, row_group_size=100)
    with pytest.raises(TableError, match=r"missing value\) in row 1, column 'late'"):
        mixtura.fit(path, 1, "diag")
    with pytest.raises(TableError, match=r"missing value\) in row 1, column 'never'"):
        mixtura.fit(path, 1, "diag", columns=["a", "never"])


@pytest.mark.usefixtures("streaming")
def test_row_numbers_are_no_data(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["a", "b"], index=np.arange(900) % 7)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv")
    found = [as_source(tmp_path / name) for name in ("t.parquet", "t.csv")]
    assert [opened.columns for opened in found] == [("a", "b")] * 2
    assert found[0].left_out == {"__index_level_0__": "the index of a pandas data frame"}
    assert found[1].left_out == {"": "without a name (row numbers, as a rule)"}


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, r"t\.parquet has no columns"),
        ({"kind": ["a"] * 900}, r"has no column of numbers: 'kind' is text \('a' in row 1"),
        ({"w": ROWS[:, 0] ** 2}, r"t\.parquet has no column of numbers$"),
    ],
)
def test_tables_without_any_numbers(tmp_path, columns, message):
    path = parquet(tmp_path / "t.parquet", columns)
    with pytest.raises(TableError, match=message):
        as_source(path, weights="w" if "w" in columns else None)


@pytest.mark.usefixtures("streaming")
def test_two_columns_of_one_name(tmp_path):
    twice = pa.Table.from_arrays([pa.array(ROWS[:, 0]), pa.array(ROWS[:, 1])], names=["a", "a"])
    pq.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(TableError, match="has more than one column 'a': give each its own name"):
        as_source(tmp_path / "t.parquet")


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("share", [0.02, 0.6])
def test_a_file_that_is_damaged_where_its_rows_are(tmp_path, share):
    """The footer, and with it the schema, is sound."""
    path = parquet(tmp_path / "t.parquet", {"a": ROWS[:, 0], "b": ROWS[:, 1]}, row_group_size=50, use_dictionary=False)
    content = bytearray(path.read_bytes())
    start = int(share * len(content))
    content[start : start + 400] = b"\xff" * 400
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"could not be read beyond row \d+, it may be damaged or cut short"):
        mixtura.fit(path, 1, "diag")


def test_a_column_is_not_data_and_weights_at_once(tmp_path):
    path = parquet(tmp_path / "t.parquet", {"a": ROWS[:, 0], "w": ROWS[:, 1] ** 2})
    for small in (True, False):
        with pytest.raises(TableError, match="a column cannot be both data and weights: leave out one"):
            as_source(path, columns=["a", "w"], weights="w", spool=None if small else False)


def test_weights_that_add_up_to_infinity():
    with pytest.raises(TableError, match="adds up to infinity: divide the weights by a common number"):
        mixtura.fit(ROWS[:3], 1, sample_weight=[1e308] * 3)


def lazy_frames(place):
    """Lazy frames whose query fails: at once, and where a value makes it fail."""
    text = ["1.5"] * 3_000
    text[place] = "x"
    yield (
        pl.LazyFrame({"a": text, "b": range(3_000)}).with_columns(pl.col("a").cast(pl.Float64)),
        "conversion from `str`",
    )
    yield pl.LazyFrame({"a": [1.0]}).select("b"), 'unable to find column "b"'
    yield pl.scan_parquet("nowhere/*.parquet"), "nowhere"


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("spool", [None, False])
@pytest.mark.parametrize("place", [0, 2_900])
def test_a_lazy_frame_that_cannot_be_computed(spool, place):
    for frame, message in lazy_frames(place):
        with pytest.raises(TableError, match=f"^the LazyFrame cannot be computed: .*{message}") as caught:
            as_source(frame, spool=spool).source.total(lambda block: len(block.rows))
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("spool", [None, False])
@pytest.mark.parametrize("place", [0, 2_900])
def test_a_relation_that_cannot_be_computed(spool, place):
    """Values that are no numbers in DuckDB, of a relation and of a query; and a query that makes no sense."""
    text = f"SELECT CAST(CASE WHEN i = {place} THEN 'x' ELSE '1.5' END AS DOUBLE) AS a, i AS b FROM range(3000) t(i)"
    with duckdb.connect() as connection:
        for table in (connection.sql(text), Query(text, connection)):
            with pytest.raises(
                TableError, match=r"cannot be computed: .*Could not convert string 'x' to DOUBLE"
            ) as caught:
                as_source(table, spool=spool).source.total(lambda block: len(block.rows))
            assert "\n" not in str(caught.value)
        with pytest.raises(
            TableError, match=r"^the query cannot be computed: Catalog Error: Table with name missing does"
        ):
            as_source(Query("SELECT * FROM missing", connection))


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match=r"cannot write .*t\.csv: Not a directory"):
        write_table(pa.table({"a": [1.0]}), tmp_path / "file" / "t.csv")
