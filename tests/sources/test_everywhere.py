"""One table in every kind of source: the same rows, the same choices, the same errors, the same fit."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from everywhere import KINDS, array_of

import mixtura
from mixtura.sources import as_source
from mixtura.sources.coerce import TableError
from mixtura.sources.memory import Memory
from mixtura.sources.source import Source

N = 1003


def columns_of(n: int = N) -> dict[str, np.ndarray]:
    """Three clusters in three columns, one of whole numbers, and integer weights."""
    rng = np.random.default_rng(0)
    z = rng.integers(0, 3, n)
    a, b = rng.standard_normal((2, n)) + np.array([[0.0, 6.0, 3.0], [0.0, 1.0, 8.0]])[:, z]
    return {"a": a, "b": 3 * b, "c": rng.integers(0, 90, n), "w": rng.integers(0, 4, n)}


def sites(n: int = N) -> list[str]:
    return ["north", "south", "east"] * (n // 3) + ["north"] * (n % 3)


def rows_of(source: Source) -> np.ndarray:
    return np.concatenate([np.array(block.rows) for block in source.map(lambda block: block)])


def weights_of(source: Source) -> np.ndarray:
    return np.concatenate([np.array(block.weights) for block in source.map(lambda block: block)])


@pytest.fixture
def opened(kind, tmp_path, streaming):  # noqa: ARG001 (changes sizes)
    """(columns, options) → the table in this kind of source, opened."""

    folders = (tmp_path / str(i) for i in count())

    def make(table=None, **options):
        (folder := next(folders)).mkdir()
        columns = columns_of() if table is None else table
        if not kind.numeric and kind.text:
            columns = {"site": sites(len(columns["a"])), **columns}
        if kind.numeric:
            columns = {name: values for name, values in columns.items() if name != "site"}
        return as_source(kind.make(folder, columns), **kind.options, **options)

    return make


def named(kind, *names: str) -> list[str | int]:
    """Columns as they are called there: some kinds have numbered ones."""
    return [list("abcw").index(name) for name in names] if kind.numeric else list(names)


def test_every_kind_gives_the_same_rows_in_every_pass(opened, kind):
    source, columns = opened()
    assert source.n_rows == N
    assert source.weight == N
    for _ in range(2):
        assert np.array_equal(rows_of(source), array_of(columns_of())[:, : source.n_features])
    if kind.numeric:
        assert columns == (("x1", "x2", "x3", "x4") if kind.files else None)
    elif columns != ("a", "b", "c"):  # AnnData knows w as something about rows
        assert columns == ("a", "b", "c", "w")
    assert isinstance(source, Memory) or not kind.copied


def test_blocks_are_those_of_an_array_in_memory(opened):
    ours, theirs = ([b.start for b in s.map(lambda b: b)] for s in (opened().source, Memory(array_of(columns_of()))))
    assert ours == theirs
    assert len(ours) > 5


def test_columns_weights_and_rows_are_chosen_alike(opened, kind):
    condition = "x1 > 1 and x3 <= 60" if kind.numeric else "a > 1 and c <= 60"
    source, columns = opened(columns=named(kind, "b", "a"), weights=named(kind, "w")[0], where=condition)
    table = columns_of()
    taken = (table["a"] > 1) & (table["c"] <= 60)
    for _ in range(2):
        assert np.array_equal(rows_of(source), np.stack([table["b"], table["a"]], axis=1)[taken])
        assert np.array_equal(weights_of(source), table["w"][taken])
    assert source.weight == table["w"][taken].sum()
    assert columns == (("b", "a") if not kind.numeric else ("x2", "x1") if kind.files else None)


def test_the_column_of_the_weights_is_no_data(opened, kind):
    source, _ = opened(weights=named(kind, "w")[0])
    assert source.n_features == 3
    assert np.array_equal(rows_of(source), array_of(columns_of())[:, :3])
    assert np.array_equal(weights_of(source), columns_of()["w"])


def test_weights_may_be_passed_beside_the_table(opened, kind):
    source, _ = opened(columns=named(kind, "a"), weights=columns_of()["w"])
    assert np.array_equal(weights_of(source), columns_of()["w"])
    with pytest.raises(TableError, match=f"has 3 entries for {N} rows"):
        opened(weights=[1, 2, 3])


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_any_number_of_threads_gives_the_same_bits(opened, n_threads):
    alone, many = opened(n_threads=1).source, opened(n_threads=n_threads).source
    assert many.n_threads == n_threads
    products = [source.total(lambda block: block.rows.T @ block.rows) for source in (alone, many)]
    assert np.array_equal(*products)


def test_text_is_left_out_of_files_and_refused_elsewhere(opened, kind, tmp_path):
    if kind.numeric or KINDS["anndata"] is kind:
        pytest.skip("holds numbers alone")
    if kind.text:
        assert opened().left_out == {"site": "text ('north' in row 1, rows counted from 1)"}
        with pytest.raises(TableError, match=r"column 'site' is not numeric but text \('north' in row 1, rows counted"):
            opened(columns=["a", "site"])
        source, columns = opened(where="site == 'east'")
        assert (source.n_rows, columns) == (N // 3, ("a", "b", "c", "w"))
    else:
        table = kind.make(tmp_path, {"a": columns_of()["a"], "site": sites()})
        with pytest.raises(TableError, match=r"'site'.*text|text 'north' in row 0, column 'site'"):
            as_source(table, **kind.options)


def at(kind, row: int, column: str) -> str:
    """How messages call an entry whose row is counted from 0."""
    first = int(kind.files)
    label = "abcw".index(column) if kind.numeric and not kind.files else f"'{column}'"
    if kind.numeric and kind.files:
        label = f"'x{'abcw'.index(column) + 1}'"
    return rf"row {row + first}, column {label} \(rows counted from {first}"


@pytest.mark.parametrize(("value", "what"), [(np.nan, r"NaN \(a missing value\)"), (np.inf, "infinity")])
def test_what_is_no_number_is_refused_with_its_place(opened, kind, value, what):
    columns = columns_of()
    columns["b"][[177, 888]] = value
    many = "NaN 2, infinite 0" if np.isnan(value) else "NaN 0, infinite 2"
    message = rf"contains {what} in {at(kind, 177, 'b')}.*and 1 more \({many} in all\)"
    with pytest.raises(TableError, match=message):
        opened(columns).source.total(lambda block: len(block.rows))
    free = opened(columns_of() | {"b": columns["b"]}, where="x2 < 1e9" if kind.numeric else "b < 1e9")
    assert free.source.n_rows == N - 2


def test_a_place_is_counted_among_the_rows_that_are_taken(opened, kind):
    columns = columns_of()
    columns["b"][[177, 888]] = np.nan
    taken = int((columns["a"][:177] > 1).sum()) if columns["a"][177] > 1 else int((columns["a"][:888] > 1).sum())
    with pytest.raises(TableError, match=at(kind, taken, "b") + " among those that where takes"):
        opened(columns, where="x1 > 1" if kind.numeric else "a > 1").source.total(lambda block: len(block.rows))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [(500, -2.0, "must not be negative, but it is -2 in row"), (3, np.nan, r"contains NaN \(a missing value\) in row")],
)
def test_weights_that_make_no_sense_are_refused(opened, kind, place, value, message):
    columns = columns_of()
    columns["w"] = columns["w"].astype(float)
    columns["w"][place] = value
    row = {500: "(501|199|1)", 3: "4"}[place] if kind.files else place  # 199 and 1 in the later of several files
    with pytest.raises(TableError, match=rf"{message} {row} \(rows counted"):
        opened(columns, weights=named(kind, "w")[0]).source.total(lambda block: len(block.rows))
    columns["w"][:] = 0
    with pytest.raises(TableError, match="zero in every row"):
        opened(columns, weights=named(kind, "w")[0]).source.total(lambda block: len(block.rows))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": "a >"}, "cannot be understood"),
        ({"where": "nowhere > 1"}, "has no column 'nowhere'"),
        ({"where": "x1 > 1e9 or x1 is None"}, "passes where="),
        ({"columns": ["nowhere"]}, "has no column 'nowhere'|has no column names"),
        ({"weights": "nowhere"}, "has no column 'nowhere'|has no column names"),
        ({"columns": [0], "weights": 0}, "both data and weights"),
        ({"part": "other"}, "part|no dataset 'other'|no matrix 'other'|no such table: other"),
    ],
)
def test_choices_that_make_no_sense_are_refused(opened, kind, options, message):
    if not kind.numeric and "where" in options:
        options = {"where": options["where"].replace("x1", "a")}
    if KINDS["anndata"] is kind and "weights" in options and "columns" in options:
        pytest.skip("the weights are elsewhere")
    with pytest.raises(TableError, match=message):
        opened(**options)


def test_every_kind_gives_the_same_fit(opened, kind):
    names = named(kind, "a", "b")
    found = mixtura.fit(opened(columns=names, weights=named(kind, "w")[0]), [2, 3], "full", n_init=1, random_state=0)
    table = columns_of()
    rows = np.stack([table["a"], table["b"]], axis=1)
    expected = mixtura.fit(rows, [2, 3], "full", sample_weight=table["w"], n_init=1, random_state=0)
    assert found.best.n_components == expected.best.n_components == 3
    trace, due = ([step.loglik for step in result.fit.trace] for result in (found, expected))
    assert trace == pytest.approx(due, rel=1e-10)
    labels = np.concatenate(list(found.survey.source.map(lambda block: found.model.predict(block.rows))))
    assert np.array_equal(labels, expected.model.predict(rows))
    assert found.separation.entropy == pytest.approx(expected.separation.entropy, rel=1e-9)
