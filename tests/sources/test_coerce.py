"""Tables in memory: what is accepted, what is kept without a copy, and what every refusal says."""

import datetime as dt
import decimal
import fractions
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mixtura.sources import coerce
from mixtura.sources.coerce import TableError, as_table, as_weights

ROWS = np.array([[1.0, 2.0], [3.0, 4.5], [5.0, -6.0]])


class Stream:
    """Anything that gives its rows as an Arrow stream only, as a database's result does."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Interchange:
    """A data frame that speaks the interchange protocol only."""

    def __init__(self, table):
        self.table = table

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self.table.__dataframe__(nan_as_null, allow_copy)


class ArrayLike:
    def __array__(self, dtype=None, copy=None):
        return np.array(ROWS, dtype=dtype)


NAMED = {
    "pandas": pd.DataFrame(ROWS, columns=["a", "b"]),
    "pandas, mixed types": pd.DataFrame({"a": [1, 3, 5], "b": ROWS[:, 1]}),
    "pandas, another index": pd.DataFrame(ROWS, columns=["a", "b"], index=[7, 3, 7]),
    "pandas, named index": pd.DataFrame(ROWS, columns=["a", "b"], index=pd.Index([0.5, 1.5, 2.5], name="time")),
    "pandas, nullable": pd.DataFrame(ROWS, columns=["a", "b"]).convert_dtypes(),
    "pandas, Arrow types": pd.DataFrame(ROWS, columns=["a", "b"]).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, category": pd.DataFrame(ROWS, columns=["a", "b"]).astype("category"),
    "pandas, sparse": pd.DataFrame(ROWS, columns=["a", "b"]).astype(pd.SparseDtype(float, 0.0)),
    "pandas, object": pd.DataFrame(ROWS, columns=["a", "b"]).astype(object),
    "polars": pl.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1]}),
    "polars, decimal": pl.DataFrame({"a": [1, 3, 5], "b": ROWS[:, 1]}).with_columns(
        pl.col("b").cast(pl.Decimal(10, 2))
    ),
    "pyarrow table": pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1]}),
    "pyarrow, several chunks": pa.concat_tables(
        [pa.table({"a": ROWS[i : i + 1, 0], "b": ROWS[i : i + 1, 1]}) for i in range(3)]
    ),
    "pyarrow, dictionary": pa.table({"a": ROWS[:, 0], "b": pa.array(ROWS[:, 1]).dictionary_encode()}),
    "pyarrow record batch": pa.record_batch({"a": ROWS[:, 0], "b": ROWS[:, 1]}),
    "Arrow stream": Stream(pa.table({"a": [1, 3, 5], "b": ROWS[:, 1]})),
    "interchange": Interchange(pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1]})),
    "structured": np.array([tuple(row) for row in ROWS], dtype=[("a", "i4"), ("b", "f8")]),
}

UNNAMED = {
    "list": ROWS.tolist(),
    "tuple of arrays": tuple(ROWS),
    "C order": ROWS,
    "Fortran order": np.asfortranarray(ROWS),
    "strided": np.repeat(np.repeat(ROWS, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": ROWS[::-1, ::-1].copy()[::-1, ::-1],
    "big endian": ROWS.astype(">f8"),
    "unaligned": np.frombuffer(b"\0" + ROWS.tobytes(), np.uint8)[1:].view("f8").reshape(3, 2),
    "float16": ROWS.astype(np.float16),
    "longdouble": ROWS.astype(np.longdouble),
    "object": ROWS.astype(object),
    "matrix subclass": ROWS.view(np.matrix),
    "nothing masked": np.ma.masked_array(ROWS, mask=False),
    "__array__": ArrayLike(),
    "fractions": [[fractions.Fraction(float(x)) for x in row] for row in ROWS],
    "decimals": [[decimal.Decimal(float(x)) for x in row] for row in ROWS],
    "pandas, numbered columns": pd.DataFrame(ROWS),
    "pandas, two header rows": pd.DataFrame(ROWS, columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])),
}


@pytest.mark.parametrize("data", NAMED.values(), ids=NAMED)
def test_named_tables(data):
    table = as_table(data)
    assert table.columns == ("a", "b")
    assert table.rows.dtype == np.float64
    np.testing.assert_array_equal(table.rows, ROWS)


@pytest.mark.parametrize("data", UNNAMED.values(), ids=UNNAMED)
def test_unnamed_tables(data):
    table = as_table(data)
    assert table.columns is None
    assert type(table.rows) is np.ndarray
    assert table.rows.dtype == np.float64
    assert table.rows.dtype.isnative
    assert table.rows.flags.aligned
    assert table.rows.flags.c_contiguous or table.rows.flags.f_contiguous
    np.testing.assert_array_equal(table.rows, ROWS)


@pytest.mark.parametrize("data", [*NAMED.values(), *UNNAMED.values()], ids=[*NAMED, *UNNAMED])
def test_columns_by_number(data):
    table = as_table(data, columns=[1, -2])
    assert table.columns in {None, ("b", "a")}
    np.testing.assert_array_equal(table.rows, ROWS[:, ::-1])


@pytest.mark.parametrize("data", NAMED.values(), ids=NAMED)
def test_columns_by_name(data):
    table = as_table(data, columns=["b", "a"])
    assert table.columns == ("b", "a")
    np.testing.assert_array_equal(table.rows, ROWS[:, ::-1])
    one = as_table(data, columns="b")
    assert one.columns == ("b",)
    np.testing.assert_array_equal(one.rows, ROWS[:, 1:])


def test_a_record_batch_reader_is_read_to_its_end():
    batches = pa.table({"a": np.arange(10), "b": np.arange(10.0)}).to_batches(max_chunksize=3)
    table = as_table(pa.RecordBatchReader.from_batches(batches[0].schema, batches))
    np.testing.assert_array_equal(table.rows, np.arange(10.0)[:, None] * [1, 1])


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        ([1, 3, 5], None),
        (np.array([1, 3, 5]), None),
        (np.array([1.0, 9, 3, 9, 5])[::2], None),
        (pd.Series([1, 3, 5]), None),
        (pd.Series([1, 3, 5], name="a", index=[4, 5, 6]), ("a",)),
        (pd.Series([1, 3, 5], name="a", dtype="Int64"), ("a",)),
        (pl.Series([1, 3, 5]), None),
        (pl.Series("a", [1, 3, 5]), ("a",)),
        (pa.array([1, 3, 5]), None),
        (pa.chunked_array([[1], [3, 5]]), None),
        (range(1, 6, 2), None),
    ],
)
def test_one_dimension_is_one_column(data, columns):
    table = as_table(data)
    assert table.columns == columns
    np.testing.assert_array_equal(table.rows, [[1.0], [3.0], [5.0]])


@pytest.mark.parametrize("dtype", ["bool", "i1", "u1", "i2", "u4", "i8", "u8", ">i4"])
def test_integers_and_booleans_become_float64(dtype):
    data = np.array([[0, 1], [1, 0]]).astype(dtype)
    for given_ in (data, np.asfortranarray(data), pd.DataFrame(data)):
        table = as_table(given_)
        assert table.rows.dtype == np.float64
        np.testing.assert_array_equal(table.rows, [[0.0, 1.0], [1.0, 0.0]])


def test_float32_is_kept_where_all_columns_are():
    single, double = ROWS[:, 0].astype(np.float32), ROWS[:, 1]
    for frame in (pd.DataFrame, pl.DataFrame, pa.table):
        assert as_table(frame({"a": single, "b": single})).rows.dtype == np.float32
        assert as_table(frame({"a": single, "b": double})).rows.dtype == np.float64
        assert as_table(frame({"a": single, "b": double}), columns=["a"]).rows.dtype == np.float32
    for dtype in ("Float32", "float[pyarrow]"):
        assert as_table(pd.DataFrame({"a": single}, dtype=dtype)).rows.dtype == np.float32
    assert as_table(ROWS.astype(">f4")).rows.dtype == np.float32
    assert as_table(ROWS.astype(">f4")).rows.dtype.isnative


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_usable_arrays_are_not_copied(dtype, order):
    data = np.array(ROWS, dtype=dtype, order=order)
    data.flags.writeable = False
    rows = as_table(data).rows
    assert np.shares_memory(rows, data)
    assert rows.strides == data.strides
    column = np.ascontiguousarray(data[:, 0])
    assert np.shares_memory(as_table(column).rows, column)


def test_a_memory_map_stays_one(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, ROWS)
    mapped = np.load(path, mmap_mode="r")
    assert np.shares_memory(as_table(mapped).rows, mapped)


def test_a_pandas_block_is_not_copied():
    frame = pd.DataFrame(np.asfortranarray(ROWS), columns=["a", "b"])
    assert np.shares_memory(as_table(frame).rows, frame.to_numpy())


def test_arrow_columns_land_one_after_the_other():
    assert as_table(NAMED["pyarrow, several chunks"]).rows.flags.f_contiguous


def test_missing_values_can_be_let_through():
    expected = [[1.0, np.nan], [np.nan, 4.0]]
    for data in (
        expected,
        [[1, None], [None, 4]],
        pd.DataFrame({"a": [1, None], "b": [None, 4]}, dtype="Int64"),
        pd.DataFrame({"a": [1, pd.NA], "b": [None, 4]}, dtype=object),
        pl.DataFrame({"a": [1, None], "b": [None, 4]}),
        pa.table({"a": [1, None], "b": [None, 4]}),
    ):
        np.testing.assert_array_equal(as_table(data, allow_missing=True).rows, expected)
    with pytest.raises(TableError, match="infinity in row 1, column 0"):
        as_table([[np.nan], [np.inf]], allow_missing=True)


@settings(deadline=None, max_examples=40)
@given(
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int32, np.bool_]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    st.data(),
)
def test_every_route_gives_the_same_numbers(array, data):
    names = [f"c{j}" for j in range(array.shape[1])]
    columns = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    by_name = {name: array[:, j] for j, name in enumerate(names)}
    expected = as_table(array, columns=[names.index(name) for name in columns]).rows
    for frame in (pd.DataFrame(by_name), pl.DataFrame(by_name), pa.table(by_name)):
        table = as_table(frame, columns=columns)
        assert table.columns == tuple(columns)
        assert table.rows.dtype == expected.dtype
        np.testing.assert_array_equal(table.rows, expected)


# What is refused, and how


NOT_FINITE = [
    ([[1, 2], [3, np.nan]], r"NaN \(a missing value\) in row 1, column 1 \(rows counted from 0\):"),
    ([[1, 2], [-np.inf, 3]], r"infinity in row 1, column 0 "),
    (
        [[1, np.inf], [np.nan, np.nan]],
        r"infinity in row 0, column 1 .* and 2 more \(NaN 2, infinite 1 in all\)",
    ),
    ([[1, None]], "NaN .* in row 0, column 1"),
    (np.array([[np.nan, 1]], dtype=np.float32), "NaN .* in row 0, column 0"),
    (np.array([[1, np.nan]], dtype=object), "NaN .* in row 0, column 1"),
    (pd.DataFrame({"a": [1, 2.5], "b": [1, np.nan]}), "NaN .* in row 1, column 'b'"),
    (pd.DataFrame({"a": [1, 2], "b": [None, 2]}, dtype="Int64"), "NaN .* in row 0, column 'b'"),
    (pd.DataFrame({"a": [1.5, 2], "b": [True, None]}), "NaN .* in row 1, column 'b'"),
    (pd.DataFrame({"b": [True, None]}, dtype="boolean"), "NaN .* in row 1, column 'b'"),
    (pl.DataFrame({"a": [1, 2], "b": [None, 2]}), "NaN .* in row 0, column 'b'"),
    (pl.DataFrame({"a": [1.0, float("inf")]}), "infinity in row 1, column 'a'"),
    (pa.table({"a": pa.nulls(2)}), "NaN .* in row 0, column 'a' .* and 1 more"),
    (pa.chunked_array([[1.5], [None]]), "NaN .* in row 1, column 0"),
]


@pytest.mark.parametrize(("data", "message"), NOT_FINITE)
def test_values_that_are_not_finite(data, message):
    with pytest.raises(TableError, match=f"^Input contains {message}"):
        as_table(data)


def test_the_columns_of_a_choice_keep_their_numbers_in_messages():
    data = np.ones((4, 5))
    data[2, 3] = np.nan
    for given_ in (data, pd.DataFrame(data), pd.DataFrame(data).astype({0: int})):
        as_table(given_, columns=[4, 0])
        with pytest.raises(TableError, match="row 2, column 3 "):
            as_table(given_, columns=[4, 3])


def test_the_first_of_many_blocks(monkeypatch):
    monkeypatch.setattr(coerce, "_BLOCK", 7)
    data = np.zeros((100, 3))
    data[60, 2] = data[61, 0] = data[99, 1] = np.nan
    data[60, 1] = np.inf
    with pytest.raises(TableError, match=r"infinity in row 60, column 1 .*NaN 3, infinite 1"):
        as_table(data)


def test_huge_finite_values_pass():
    data = np.full((10, 2), 1e308)
    assert np.shares_memory(as_table(data).rows, data)
    assert as_table(np.full((4, 1), 3e38, dtype=np.float32)).rows.dtype == np.float32


TEXT = "holds the text "
REFUSED = [
    # no table at all
    (5, TypeError, "not int$"),
    (None, TypeError, "not NoneType$"),
    ({"a": [1, 2]}, TypeError, "not dict$"),
    ((x for x in [1]), TypeError, "not generator$"),
    ("faithful.csv", TypeError, "not the text 'faithful.csv': read files with"),
    (pl.LazyFrame({"a": [1]}), TypeError, r"not LazyFrame: call its collect\(\) first"),
    (scipy.sparse.csr_array(ROWS), TypeError, r"Input is sparse.*data\.toarray\(\)"),
    (scipy.sparse.coo_matrix(ROWS), TypeError, r"Input is sparse.*data\.toarray\(\)"),
    # shapes
    ([], TableError, r"0 sample\(s\) \(shape=\(0, 1\)\) while a minimum of 1 is required"),
    (np.empty((0, 3)), TableError, r"0 sample\(s\) \(shape=\(0, 3\)\)"),
    (pd.DataFrame({"a": []}), TableError, r"0 sample\(s\) \(shape=\(0, 1\)\)"),
    (pl.DataFrame({"a": []}), TableError, r"0 sample\(s\)"),
    (np.empty((3, 0)), TableError, r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is"),
    (pd.DataFrame(index=[1, 2]), TableError, r"0 feature\(s\) \(shape=\(2, 0\)\)"),
    ([[]], TableError, r"0 feature\(s\) \(shape=\(1, 0\)\)"),
    (pa.table({}), TableError, r"0 feature\(s\)"),
    (np.zeros((2, 3, 4)), TableError, r"Input has 3 dimensions \(shape \(2, 3, 4\)\)"),
    ([[1, 2], [3]], TableError, "ragged: row 1 holds 1 entries where row 0 holds 2 entries"),
    ([[1, 2], [3, 4], 5], TableError, "row 2 holds a single value where row 0 holds 2"),
    ([[1, [2]], [3, 4]], TableError, "nested unevenly"),
    # types
    (ROWS + 1j, TableError, "Complex data not supported: Input is complex128"),
    ([[1, 2], [3, 4j]], TableError, "Complex data not supported"),
    (np.array([[1, 2j]], dtype=object), TableError, r"Complex data not supported: 2j in row 0, c"),
    (pd.DataFrame({"a": [1.0], "b": [2j]}), TableError, "Complex data not supported"),
    ([[1, "a"], [2, "b"]], TableError, TEXT + "'a' in row 0, column 1"),
    (np.array([[b"x"]]), TableError, TEXT + "b'x' in row 0, column 0"),
    (np.array([["1"], ["?"]], dtype=object), TableError, TEXT + r"'\?' in row 1, column 0"),
    ([["1", "2"]], TableError, "numbers written as text in all its entries: convert"),
    (pd.DataFrame({"a": [1, 2], "b": ["1", "x"]}), TableError, TEXT + "'x' in row 1, column 'b'"),
    (pd.DataFrame({"b": ["1", "2"]}), TableError, "numbers written as text in column 'b'"),
    (pd.DataFrame({"b": ["u", "v"]}, dtype="category"), TableError, TEXT + "'u' in row 0, co"),
    (pd.DataFrame({"b": ["u", None]}, dtype="string"), TableError, TEXT + "'u' in row 0, col"),
    (pl.DataFrame({"a": [1, 2], "b": ["1", "x"]}), TableError, r"column 'b' .*text \('x' in row 1"),
    (pl.DataFrame({"b": ["1", None]}), TableError, "column 'b' is not numeric but text .numbers"),
    (pa.table({"b": ["u" * 99]}), TableError, r"text \('u{36}… in row 0, rows counted from 0\)"),
    (pa.table({"b": [b"u"]}), TableError, "column 'b' is not numeric but values of type binary"),
    (pl.DataFrame({"b": [[1, 2]]}), TableError, "column 'b' is not numeric but values of type l"),
    (pl.DataFrame({"b": [dt.date(2020, 1, 1)]}), TableError, "'b' .* dates or times .date32"),
    (np.array(["2020-01-01"], dtype="M8[D]"), TableError, "dates or times in column 0"),
    (pd.DataFrame({"a": [1], "b": [pd.Timestamp(0)]}), TableError, "dates or times in column 'b'"),
    (pd.DataFrame({"b": [pd.Timestamp(0, tz="UTC")]}), TableError, "dates or times in column 'b'"),
    (pd.DataFrame({"b": [dt.timedelta(1)]}), TableError, "dates or times in column 'b'"),
    (pd.DataFrame({"b": [dt.date(2020, 1, 1)]}), TableError, "dates or times in column 'b'"),
    (np.array([[1, {}]], dtype=object), TypeError, "row 0, column 1 .*argument must be a string"),
    (np.zeros(2, dtype="V3"), TypeError, r"\|V3, which holds no numbers"),
    (
        np.array([[1], [np.finfo(np.longdouble).max]], dtype=np.longdouble),
        TableError,
        r"e\+\d+ in row 1, column 0 .*becomes infinity in float64",
    ),
    ([[1], [10**400]], TableError, "an integer of 1329 bits in row 1, column 0 .*infinity"),
    (np.ma.masked_equal([[1, 2], [3, 2]], 2), TableError, "2 masked entries.* row 0, column 1 "),
    (np.ma.masked_equal([1, 2], 2), TableError, "1 masked entries, the first in row 1, column 0"),
    # names
    (pd.DataFrame(ROWS, columns=["a", "a"]), TableError, "Input has the column 'a' more than once"),
    (pd.DataFrame(ROWS, columns=["a", 1]), TypeError, "only supported if all .* strings, but 1 is"),
]


@pytest.mark.parametrize(("data", "error", "message"), REFUSED)
def test_refusals(data, error, message):
    with pytest.raises(error, match=message) as caught:
        as_table(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "columns", "error", "message"),
    [
        (ROWS, ["a"], TableError, "no column names: ask for 'a' by its number, 0 to 1"),
        (ROWS, [2], TableError, "no column 2: its columns are numbered 0 to 1"),
        (ROWS, -3, TableError, "no column -3"),
        (ROWS, [], TableError, "columns is empty"),
        (ROWS, [0, 0], TableError, "asks for the column 0 more than once"),
        (ROWS, [True], TypeError, "by its name or number, not by True"),
        (ROWS, [1.0], TypeError, r"by its name or number, not by 1\.0"),
        (NAMED["polars"], ["c"], TableError, "no column 'c': it has 'a', 'b'$"),
        (NAMED["polars"], ["a", 0], TableError, "asks for the column 'a' more than once"),
        (pa.table({"waiting": [1]}), "wating", TableError, r"did you mean 'waiting'\?"),
        (pd.DataFrame(np.ones((1, 12))).add_prefix("c"), "z", TableError, "'c8', …$"),
        (pd.DataFrame(ROWS, columns=["a", "a"]), "a", TableError, "more than one column 'a'"),
    ],
)
def test_choices_that_cannot_be_made(data, columns, error, message):
    with pytest.raises(error, match=message):
        as_table(data, columns=columns)


def test_columns_that_are_not_asked_for_do_no_harm():
    data = {"a": [1.0, 2.0], "b": ["u", "v"], "c": [np.nan, 1.0]}
    for frame in (pd.DataFrame, pl.DataFrame, pa.table):
        assert as_table(frame(data), columns=["a"]).rows.tolist() == [[1.0], [2.0]]
    twice = pd.DataFrame(ROWS[:, [0, 1, 1]], columns=["a", "b", "b"])
    assert as_table(twice, columns=["a"]).columns == ("a",)


# Weights


@pytest.mark.parametrize(
    "weights",
    [
        [1, 0, 2],
        np.array([1, 9, 0, 9, 2], dtype=np.float32)[::2],
        np.array([1, 0, 2], dtype=">i2"),
        pd.Series([1, 0, 2], index=[3, 3, 3]),
        pd.Series([1, 0, 2], dtype="Int64"),
        pl.Series([1, 0, 2]),
        pa.array([1, 0, 2]),
        pa.chunked_array([[1], [0, 2]]),
    ],
)
def test_weights(weights):
    out = as_weights(weights, 3)
    assert out is not None
    assert out.dtype == np.float64
    assert out.flags.c_contiguous
    assert out.tolist() == [1.0, 0.0, 2.0]


def test_no_weights():
    assert as_weights(None, 3) is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], "sample_weight has 2 entries for 3 rows"),
        ([[1], [2], [3]], r"sample_weight must be 1-D, .* its shape is \(3, 1\)"),
        (pd.DataFrame({"w": [1, 2, 3]}), "sample_weight must be 1-D"),
        ([1, -1, -2], "must not be negative, but it is -1 in row 1 .rows counted from 0.$"),
        ([0, 0, 0], "sample_weight is zero in every row"),
        ([1, 2, np.nan], "sample_weight contains NaN .* in row 2 .rows counted from 0."),
        ([1, np.inf, 2], "sample_weight contains infinity in row 1"),
        (pd.Series([1, 2, None], dtype="Int64"), "sample_weight contains NaN .* in row 2"),
        (pa.array([None, 1, 2]), "sample_weight contains NaN .* in row 0"),
        (["a", 1, 2], "sample_weight holds the text 'a' in row 0"),
        ([1j, 1, 2], "Complex data not supported: sample_weight"),
        (np.ma.masked_equal([1, 2, 3], 2), "masked entries, the first in row 1"),
        ([1e308, 1e308, 1e308], "adds up to infinity"),
    ],
)
def test_weights_that_cannot_be_used(weights, message):
    with pytest.raises(TableError, match=message):
        as_weights(weights, 3)


def test_weights_can_have_another_name_and_first_row():
    with pytest.raises(TableError, match=r"^w must not be negative, but it is -1 in row 2 .*from 1"):
        as_weights([1, -1], 2, name="w", first_row=1)


def test_arrow_is_not_imported_for_arrays():
    code = (
        "import sys; from mixtura.sources.coerce import as_table; import mixtura.sources.files;"
        "as_table([[1, 2], [3, 4]]); print('pyarrow' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
