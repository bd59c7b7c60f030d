"""Tables in files: every format in and out, what is left out and why, and what every refusal says."""

import contextlib
import datetime as dt
import gzip
import io
import os
import re
import stat
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from mixtura.sources.coerce import TableError
from mixtura.sources.files import read_table, replacing, write_table

EXAMPLES = Path(__file__).parents[2] / "examples"
ROWS = np.array([[3.6, 79.0], [1.8, 54.0], [3.333, 74.0]])
CSV = 'eruptions,waiting,kind\n3.6,"79","long"\n1.8,"54",short\n3.333,"74",long\n'
TABLE = pa.table({"eruptions": ROWS[:, 0], "waiting": [79, 54, 74], "kind": ["long", "short", "long"]})
LEFT_OUT = {"kind": "text ('long' in row 1, rows counted from 1)"}


def stream_of(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


def bytes_of(kind):
    sink = io.BytesIO()
    if kind == "csv":
        return CSV.encode()
    if kind == "parquet":
        pa.parquet.write_table(TABLE, sink)
    elif kind == "arrow":
        pa.feather.write_feather(TABLE, sink, compression="lz4")
    elif kind == "arrow stream":
        return stream_of(TABLE)
    elif kind == "npy":
        np.save(sink, ROWS)
    return sink.getvalue()


SUFFIXES = {
    "csv": ".csv",
    "parquet": ".parquet",
    "arrow": ".feather",
    "arrow stream": ".arrows",
    "npy": ".npy",
}


class Bytes:
    """Stands where sys.stdin and sys.stdout stand: a stream of text over one of bytes."""

    def __init__(self, content=b""):
        self.buffer = io.BytesIO(content)


@pytest.fixture
def write(tmp_path):
    def write_(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_


def check(table, kind):
    np.testing.assert_array_equal(table.rows, ROWS)
    assert table.rows.dtype == np.float64
    assert table.weights is None
    assert table.format == kind.split()[0]
    if kind == "npy":
        assert table.columns == ("x1", "x2")
        assert table.left_out == {}
        assert table.table.to_pydict() == {"x1": list(ROWS[:, 0]), "x2": list(ROWS[:, 1])}
    else:
        assert table.columns == ("eruptions", "waiting")
        assert table.left_out == LEFT_OUT
        assert table.table.to_pydict() == TABLE.to_pydict()


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_every_format(write, kind, packed, named):
    content, name = bytes_of(kind), "table" + SUFFIXES[kind] * named
    if packed:
        content, name = gzip.compress(content, mtime=0), name + ".gz" * named
    path = write(content, name)
    check(read_table(path), kind)
    check(read_table(str(path), format=kind.split()[0]), kind)


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(monkeypatch, kind, packed):
    content = gzip.compress(bytes_of(kind)) if packed else bytes_of(kind)
    monkeypatch.setattr(sys, "stdin", Bytes(content))
    check(read_table("-"), kind)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(CSV.encode(),))
    writer.start()
    check(read_table(pipe), "csv")
    writer.join()


@pytest.mark.parametrize(
    ("name", "shape", "left_out"),
    [
        ("faithful", (272, 2), set()),
        ("iris", (150, 4), {"class"}),
        ("banknote", (200, 6), {"class"}),
        ("acidity", (155, 1), set()),
        ("galaxies", (82, 1), set()),
    ],
)
def test_the_examples(name, shape, left_out):
    path = EXAMPLES / f"{name}.csv"
    table = read_table(path)
    assert table.rows.shape == shape
    assert set(table.left_out) == left_out
    frame = pd.read_csv(path)
    assert list(frame.columns) == [*table.columns, *left_out]
    np.testing.assert_array_equal(table.rows, frame[list(table.columns)].to_numpy(float))


# CSV


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1.5,2\n3,4\n",
        "a;b\n1.5;2\n3;4\n",
        "a;b\n1,5;2\n3;4\n",
        "a\tb\n1.5\t2\n3\t4\n",
        "a\tb\n1,5\t2\n3\t4\n",
        '"a","b"\r\n"1.5","2"\r\n"3","4"\r\n',
        '"a";"b"\n"1,5";"2"\n"3,0";"4"\n',
        " a , b \n 1.5 , 2\n 3 , 4",
        "\n\na,b\n1.5,2\n\n3,4\n\n",
        "\ufeffa,b\n1.5,2\n3,4\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_dialects_of_csv(write, text, encoding):
    table = read_table(write(text.encode(encoding)))
    assert table.columns == ("a", "b")
    assert table.rows.tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert table.left_out == {}


def test_quoted_names_hide_delimiters(write):
    table = read_table(write('"a;x","b;x"\n1,2\n'))
    assert table.columns == ("a;x", "b;x")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_text_in_other_letters(write, encoding):
    table = read_table(write("größe,straße\n1,Köln\n2,Bär\n".encode(encoding)))
    assert table.columns == ("größe",)
    assert table.table["straße"].to_pylist() == ["Köln", "Bär"]
    late = read_table(write(("a,b\n" + "1,x\n" * 99 + "2,Köln\n").encode(encoding)))
    assert late.table["b"].to_pylist()[-1] == "Köln"


def test_numbers_are_read_exactly(write):
    numbers = np.random.default_rng(5).standard_normal(500) * 10.0 ** np.arange(-250, 250)
    table = read_table(write("x\n" + "\n".join(map(repr, numbers.tolist()))))
    np.testing.assert_array_equal(table.rows[:, 0], numbers)


def test_what_is_numeric_and_what_is_left_out(write):
    text = (
        ",flag,count,when,at,word,nearly,empty\n"
        "1,true,3,2020-01-01,12:30:00,u,1.5,\n"
        "2,false,4,2020-01-02,12:31:00,v,?,NA\n"
    )
    table = read_table(write(text))
    assert table.columns == ("flag", "count")
    assert table.rows.tolist() == [[1.0, 3.0], [0.0, 4.0]]
    assert table.left_out == {
        "": "without a name (row numbers, as a rule)",
        "when": "dates or times (date32[day])",
        "at": "dates or times (time32[s])",
        "word": "text ('u' in row 1, rows counted from 1)",
        "nearly": "text ('?' in row 2, rows counted from 1)",
        "empty": "empty",
    }
    assert table.table.num_columns == 8


def test_a_delimiter_at_the_end_of_each_line(write):
    table = read_table(write("a,b,\n1,2,\n3,4,\n"))
    assert table.columns == ("a", "b")


def test_integers_that_turn_into_something_else_far_down(write):
    head = "a,b,c\n" + "1,1,1\n" * 5000
    table = read_table(write(head + "2.5,2,x\n"))
    assert table.columns == ("a", "b")
    assert table.rows[-1].tolist() == [2.5, 2.0]
    assert table.left_out == {"c": "text ('x' in row 5001, rows counted from 1)"}


def test_newlines_inside_quotes(write):
    table = read_table(write('a,b\n1,"u\nv"\n2,w\n'))
    assert table.rows.tolist() == [[1.0], [2.0]]
    assert table.table["b"].to_pylist() == ["u\nv", "w"]


def test_a_line_longer_than_the_head(write):
    names = [f"a_rather_long_name_of_a_column_{j}" for j in range(9000)]
    table = read_table(write(",".join(names) + "\n" + ",".join(["1.5"] * 9000) + "\n"))
    assert table.columns == tuple(names)


# Other formats


def test_parquet_of_all_types(write):
    when = dt.date(2020, 1, 1)
    frame = pa.table(
        {
            "single": pa.array([1.5, 2.5], pa.float32()),
            "half": np.array([1.5, 2.5], dtype=np.float16),
            "small": pa.array([1, 2], pa.uint8()),
            "money": pa.array([1, 2], pa.decimal128(9, 2)),
            "flag": [True, False],
            "coded": pa.array([1.5, 2.5]).dictionary_encode(),
            "word": pa.array(["u", "v"]).dictionary_encode(),
            "written": ["1", "2"],
            "when": [when, when],
            "list": [[1], [2]],
            "raw": [b"u", b"v"],
        }
    )
    sink = io.BytesIO()
    pa.parquet.write_table(frame, sink)
    table = read_table(write(sink.getvalue(), "t.parquet"))
    assert table.columns == ("single", "half", "small", "money", "flag", "coded")
    assert table.rows.dtype == np.float64
    assert table.rows.tolist() == [[1.5, 1.5, 1, 1, 1, 1.5], [2.5, 2.5, 2, 2, 0, 2.5]]
    assert table.left_out == {
        "word": "text ('u' in row 1, rows counted from 1)",
        "written": "text (numbers written as text)",
        "when": "dates or times (date32[day])",
        "list": "values of type list<element: int64>",
        "raw": "values of type binary",
    }
    only = read_table(write(sink.getvalue(), "t.parquet"), columns=["single"])
    assert only.rows.dtype == np.float32


def test_the_index_of_a_data_frame_is_no_data(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})[::2]
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").columns == ("a",)
    frame.to_csv(tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").columns == ("a",)


def test_files_that_polars_writes(tmp_path):
    frame = pl.DataFrame({"a": [1, 2], "b": ["u", "v"]})
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ipc(tmp_path / "t.arrow")
    frame.write_ipc_stream(tmp_path / "t.arrows")
    frame.write_csv(tmp_path / "t.csv")
    for path in tmp_path.iterdir():
        table = read_table(path)
        assert table.rows.tolist() == [[1.0], [2.0]]
        assert table.left_out == {"b": "text ('u' in row 1, rows counted from 1)"}


def test_folder_names_add_no_columns(tmp_path):
    folder = tmp_path / "year=2020"
    folder.mkdir()
    write_table(TABLE, folder / "t.parquet")
    assert read_table(folder / "t.parquet").columns == ("eruptions", "waiting")


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_and_not_copied(tmp_path, order):
    path = tmp_path / "t.npy"
    np.save(path, np.asarray(ROWS, order=order))
    table = read_table(path)
    base = table.rows
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    np.testing.assert_array_equal(table.rows, ROWS)
    chosen = read_table(path, columns=["x2"], weights="x1")
    assert chosen.columns == ("x2",)
    np.testing.assert_array_equal(chosen.rows, ROWS[:, 1:])
    np.testing.assert_array_equal(chosen.weights, ROWS[:, 0])


def test_npy_of_other_types(tmp_path):
    path = tmp_path / "t.npy"
    np.save(path, np.array([1, 2, 3], dtype=">i2"))
    table = read_table(path)
    assert table.columns == ("x1",)
    assert table.rows.tolist() == [[1.0], [2.0], [3.0]]
    assert table.table.to_pydict() == {"x1": [1, 2, 3]}
    np.save(path, ROWS.astype(np.float32))
    assert read_table(path).rows.dtype == np.float32


# Choosing columns and weights


def test_columns_and_weights(write):
    path = write("a,b,w,s\n1,2,0.5,u\n3,4,2,v\n")
    table = read_table(path, weights="w")
    assert table.columns == ("a", "b")
    assert table.weights.tolist() == [0.5, 2.0]
    assert table.left_out == {"s": "text ('u' in row 1, rows counted from 1)"}
    table = read_table(path, columns=["b", "a"], weights="w")
    assert table.columns == ("b", "a")
    assert table.rows.tolist() == [[2.0, 1.0], [4.0, 3.0]]
    assert table.left_out == {}
    assert table.table.column_names == ["a", "b", "w", "s"]
    assert read_table(path, columns=["w"]).rows.tolist() == [[0.5], [2.0]]
    assert read_table(path, columns=1).columns == ("b",)


def test_columns_that_nobody_asks_for_do_no_harm(write):
    path = write("a,b,c\n1,,u\n3,inf,v\n")
    assert read_table(path, columns=["a"]).rows.tolist() == [[1.0], [3.0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["wating"]}, r"has no column 'wating': did you mean 'waiting'\?"),
        ({"columns": ["zzz"]}, "has no column 'zzz': it has 'eruptions', 'waiting', 'kind'"),
        ({"columns": []}, "columns is empty"),
        ({"columns": ["waiting", "waiting"]}, "asks for the column 'waiting' more than once"),
        ({"columns": [7]}, "has no column 7: its columns are numbered 0 to 2"),
        ({"columns": ["kind"]}, r"column 'kind' is not numeric but text \('long' in row 1, rows c"),
        ({"weights": "kind"}, "column 'kind' is not numeric but text"),
        ({"weights": "weight"}, "has no column 'weight'"),
        ({"columns": ["waiting"], "weights": "waiting"}, "cannot be both data and weights"),
        ({"format": "xlsx"}, "unknown format 'xlsx': choose one of csv, parquet, arrow, npy"),
        ({"format": "parquet"}, "does not begin like a parquet file"),
    ],
)
def test_choices_that_cannot_be_made(write, options, message):
    with pytest.raises(TableError, match=message):
        read_table(write(CSV), **options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("1\n-2\n", "weights column 'w' must not be negative, but it is -2 in row 2 .*from 1"),
        ("0\n0\n", "weights column 'w' is zero in every row"),
        ("1\ninf\n", "contains infinity in row 2, column 'w'"),
        ("1\nNA\n", r"contains NaN .* in row 2, column 'w' \(rows counted from 1\)"),
    ],
)
def test_weights_that_cannot_be_used(write, weights, message):
    first, second = weights.split()
    with pytest.raises(TableError, match=message):
        read_table(write(f"a,w\n1,{first}\n2,{second}\n"), weights="w")


# What is refused, and how


def saved(array):
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=True)
    return sink.getvalue()


REFUSED = [
    ("t.csv", "", "is empty$"),
    ("t.csv", " \n\n", "is empty$"),
    ("t.csv", "a,b\n", "has a header but no rows$"),
    ("t.csv", "1.5,2\n3,4\n", r"seems to lack a header, .* numbers \(1\.5, 2\): begin .* x1, x2$"),
    ("t.csv", '"1"\n"2"\n', "seems to lack a header"),
    ("t.csv", "a,b,a\n1,2,3\n", "has more than one column 'a': give each its own name"),
    ("t.csv", "a, a\n1,2\n", "has more than one column 'a'"),
    ("t.csv", "a,b\n1,2\n\n3,4,5\n", "has 3 fields in row 2 .* but 2 in its header"),
    ("t.csv", "a,b\n1,2\n3,4,Köln\n".encode("latin-1"), "has 3 fields in row 2"),
    ("t.csv", "a,b\n1,2\n3\n", r"has 1 fields in row 2 \(rows counted from 1\) but 2"),
    ("t.csv", "a,b\nu,v\n", "has no column of numbers: 'a' is text .'u' in row 1.*; 'b' is text"),
    ("t.csv", ",\n1,2\n", "has no column of numbers: '' is without a name"),
    ("t.csv", "a,b\n1,2\n3,\n,4\n", "contains NaN .* in row 2, column 'b' .*from 1. and 1 more"),
    ("t.csv", "a\n1\n-inf\n", r"contains infinity in row 2, column 'a' \(rows counted from 1\)"),
    ("t.csv", "a,b\n1,2\n" + "3,4\n" * 70000 + "5,nan\n", "NaN .* in row 70002, column 'b'"),
    ("t.csv", b"PK\3\4\0\0\0\0", "is not a table: save it as CSV"),
    ("t.csv", b"a,b\n1,\0\n", "is not a table"),
    ("t.csv.gz", gzip.compress(b"a\n1\n", mtime=0)[:-6], "is damaged, its gzip data end badly"),
    ("t.csv.gz", b"\x1f\x8b\x08" + b"\0" * 20, "is damaged, its gzip data"),
    ("t.parquet", "a,b\n1,2\n", "does not begin like a parquet file"),
    ("t.feather", "a,b\n1,2\n", "does not begin like a arrow file"),
    ("t.parquet", b"PAR1" + b"x" * 50, "cannot be read as parquet, it may be damaged"),
    ("t.parquet", bytes_of("parquet")[:-20], "cannot be read as parquet, it may be damaged"),
    ("t.arrow", bytes_of("arrow")[:-20], "cannot be read as arrow, it may be damaged"),
    ("t.arrow", bytes_of("arrow stream")[:150], "cannot be read as arrow, it may be damaged"),
    ("t.arrow", stream_of(pa.table({})), "has no columns"),
    ("t.arrow", stream_of(TABLE.slice(0, 0)), "has no rows"),
    ("t.arrow", stream_of(pa.table([[1], [2]], names=["a", "a"])), "more than one column 'a'"),
    ("t.arrow", stream_of(pa.table({"a": [1, None]})), "NaN .* in row 2, column 'a'"),
    ("t.npy", saved(ROWS)[:-8], "cannot be read as npy, it may be damaged"),
    ("t.npy", saved(ROWS)[:20], "cannot be read as npy, it may be damaged"),
    ("t.npy", saved(np.array([{}])), "cannot be read as npy, it may be damaged: .*(objects|pickle)"),
    ("t.npy", saved(np.zeros((2, 2, 2))), r"holds an array of .* shape \(2, 2, 2\): a table"),
    ("t.npy", saved(np.float64(1)), r"holds an array of .* shape \(\)"),
    ("t.npy", saved(ROWS + 1j), "holds an array of type complex128"),
    ("t.npy", saved(np.array(["u"])), "holds an array of type <U1"),
    ("t.npy", saved(np.array([(1, 2)], dtype="i4,i4")), "holds an array of type"),
    ("t.npy", saved(np.empty((0, 2))), "has no rows"),
    ("t.npy", saved(np.empty((2, 0))), "has no columns"),
    ("t.npy", saved(np.array([[1, 2], [3, np.nan]])), "NaN .* in row 2, column 'x2' .*from 1"),
]


@pytest.mark.parametrize(("name", "content", "message"), REFUSED)
def test_refusals(write, monkeypatch, name, content, message):
    path = write(content, name)
    with pytest.raises(TableError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    if "does not begin" not in message:  # there the name is what is contradicted
        monkeypatch.setattr(sys, "stdin", Bytes(path.read_bytes()))
        with pytest.raises(TableError, match=f"^standard input.*{message}"):
            read_table("-")


@pytest.mark.parametrize("kind", SUFFIXES)
def test_damage_raises_nothing_else(write, kind):
    rng = np.random.default_rng(3)
    content = bytes_of(kind)
    for _ in range(100):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), size=3):
            damaged[at] = rng.integers(0, 256)
        with contextlib.suppress(TableError):
            assert np.isfinite(read_table(write(bytes(damaged))).rows).all()


def test_paths_that_cannot_be_read(tmp_path):
    missing = re.escape(str(tmp_path / "no.csv"))
    with pytest.raises(TableError, match=f"^there is no file {missing}$"):
        read_table(tmp_path / "no.csv")
    with pytest.raises(TableError, match="is a directory: name one file in it"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="cannot open"):
        read_table(tmp_path / "nul\0.csv")
    (tmp_path / "t").write_bytes(bytes_of("parquet"))
    with pytest.raises(TableError, match="is a parquet file, not csv: leave the format out"):
        read_table(tmp_path / "t", format="csv")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read(write):
    path = write(CSV)
    path.chmod(0)
    with pytest.raises(TableError, match=r"cannot open .*Permission denied"):
        read_table(path)


# Writing


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".arrow", ".feather"])
def test_what_is_written_is_read_again(tmp_path, suffix):
    rng = np.random.default_rng(7)
    table = pa.table({"x": rng.standard_normal(50), "n": range(50), "s": ["a,b", '"c"'] * 25})
    path = tmp_path / f"t{suffix}"
    write_table(table, path)
    write_table(table, path)
    again = read_table(path)
    assert again.table.equals(table)
    np.testing.assert_array_equal(again.rows[:, 0], table["x"].to_numpy())
    assert list(tmp_path.iterdir()) == [path]
    if hasattr(os, "getuid"):
        plain = tmp_path / "plain"
        plain.touch()
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_npy_holds_numbers_only(tmp_path):
    path = tmp_path / "t.npy"
    write_table(pa.table({"x": [0.5, 1.5], "n": [1, 2]}), path)
    assert np.load(path).tolist() == [[0.5, 1.0], [1.5, 2.0]]
    with pytest.raises(TableError, match=r"t\.npy as npy: the table: column 's' is not numeric"):
        write_table(pa.table({"s": ["u"]}), path)
    assert np.load(path).shape == (2, 2)


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "npy"])
def test_standard_output(monkeypatch, kind):
    table = pa.table({"x1": [0.5, 1.5], "x2": [1.0, 2.0]})
    out = Bytes()
    monkeypatch.setattr(sys, "stdout", out)
    write_table(table, "-", kind)
    monkeypatch.setattr(sys, "stdin", Bytes(out.buffer.getvalue()))
    assert read_table("-").rows.tolist() == [[0.5, 1.0], [1.5, 2.0]]


def test_a_format_wins_over_the_suffix(tmp_path):
    write_table(TABLE, tmp_path / "t.dat", "parquet")
    assert read_table(tmp_path / "t.dat").format == "parquet"


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(TableError, match="cannot tell what to write to standard output: give a f"):
        write_table(TABLE, "-")
    with pytest.raises(TableError, match=r"cannot tell what to write to .*one of csv, parquet"):
        write_table(TABLE, tmp_path / "t.xlsx")
    with pytest.raises(TableError, match=r"cannot write .*no/t.csv: No such file or directory"):
        write_table(TABLE, tmp_path / "no" / "t.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TableError, match=r"cannot write .*folder.csv: Is a directory"):
        write_table(TABLE, tmp_path / "folder.csv")
    with pytest.raises(TableError, match=r"cannot write .* as csv: "):
        write_table(pa.table({"l": [[1]]}), tmp_path / "t.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.bin"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as stream:
            stream.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_is_followed_and_a_device_kept(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with replacing(link) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    with replacing(os.devnull) as stream:
        stream.write(b"gone")
    assert not Path(os.devnull).is_file()
