"""The one-line function."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mixtura
from mixtura import Mixture, Result, Status, choice
from mixtura.covariance import registry
from mixtura.ground import Progress

TRUTH = Mixture([0.4, 0.6], [[0.0, 0.0], [5.0, 1.0]], [[[1.0, 0.3], [0.3, 0.5]], [[0.6, 0.0], [0.0, 1.0]]])
ROWS = TRUTH.sample(200, 3)

USUAL = ("full", "tied", "diag", "spherical")


@pytest.fixture(scope="module")
def result() -> Result:
    return mixtura.fit(ROWS, [1, 2, 3], USUAL, random_state=0)


def test_all_families_and_numbers_are_tried(result):
    assert [(c.n_components, c.covariance) for c in result.cells] == [(k, name) for k in (1, 2, 3) for name in USUAL]
    assert result.best in result.cells
    assert result.best.n_components == 2
    assert result.best.bic == min(cell.bic for cell in result.cells if cell.eligible)


def test_a_result_is_a_view_of_its_best_cell(result):
    assert result.fit is result.best.fit
    assert result.model is result.fit.model
    assert result.weight == 200.0
    assert result.n_rows == 200
    assert result.criterion == "bic"
    assert result.columns == ("x1", "x2")
    assert result.model.columns is None


def test_it_can_be_read(result):
    text, html = str(result), result._repr_html_()
    assert text == repr(result)
    assert "2 components" in text
    assert html.count("<table") >= 1
    numbers = result.summary()
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert numbers["chosen"]["n_components"] == 2
    assert numbers["chosen"]["bic"] == result.best.bic


def test_a_fit_that_was_cut_short_can_be_read_too():
    result = mixtura.fit(ROWS, 3, "full", max_iter=1, random_state=0)
    assert result.fit.status is Status.MAX_ITER
    json.dumps(result.summary(), allow_nan=False)
    assert str(result)


def test_by_default_one_to_nine_components_and_all_families():
    result = mixtura.fit(ROWS[:60], n_init=1, tol=1e-3, random_state=0)
    assert sorted({c.n_components for c in result.cells}) == list(range(1, 10))
    assert {c.covariance for c in result.cells} == set(registry.names())
    assert result.summary()["not_tried"] == []


def test_of_a_large_table_four_families_by_default_and_the_others_are_named(monkeypatch):
    monkeypatch.setattr(choice, "AFFORDABLE", 30_000)  # 200 rows × 1 component × (4 + 8) × 14 families are 33,600
    result = mixtura.fit(ROWS, 1, random_state=0)
    assert [c.covariance for c in result.cells] == list(USUAL)
    (left_out,) = result.summary()["not_tried"]
    assert {*USUAL, *left_out["covariances"]} == set(registry.names())
    assert left_out["reason"] == "on 200 rows they would take 3.5 times as long"
    assert "Not tried: eii, eei, vei" in str(result)
    assert "covariance='all'" in " ".join(str(result).split())
    asked = mixtura.fit(ROWS, 1, "all", random_state=0)
    assert asked.summary()["not_tried"] == []
    some = result.extend(covariances=["eii", "vev"])
    assert set(some.summary()["not_tried"][0]["covariances"]) == set(left_out["covariances"]) - {"eii", "vev"}
    assert result.extend(covariances="all").summary()["not_tried"] == []


def test_families_with_more_parameters_than_there_are_numbers_are_not_tried_by_default():
    result = mixtura.fit(np.random.default_rng(0).normal(size=(3, 12)), 1, random_state=0)
    (left_out,) = result.summary()["not_tried"]
    assert set(left_out["covariances"]) == {"vee", "eve", "vve", "eev", "vev", "evv"}  # 12 means, 78 covariances
    assert left_out["reason"] == "they have more free parameters than 3 rows have numbers"


def test_families_with_common_axes_are_not_tried_by_default_in_many_columns():
    kept, left_out = choice.affordable([2], n_rows=500, n_features=13)
    assert left_out == (
        choice.LeftOut(("eve", "vve"), "axes that all components share take long to find in 13 columns"),
    )
    assert len(kept) == 12
    assert choice.affordable([2], n_rows=500, n_features=12)[1] == ()


@pytest.mark.parametrize(
    ("covariance", "names"),
    [
        ("VVV", ["full"]),
        (["tied", "EEE", "diag"], ["tied", "diag"]),
        (registry.get("VII"), ["spherical"]),
        (("Full", registry.get("diag")), ["full", "diag"]),
        ("eee", ["tied"]),
        ("all", list(registry.names())),
        (None, list(registry.names())),
    ],
)
def test_families_by_any_of_their_names(covariance, names):
    assert [c.covariance for c in mixtura.fit(ROWS, 1, covariance).cells] == names


def test_of_the_families_that_one_column_cannot_tell_apart_only_the_first():
    for asked, names in (("all", ["full", "tied"]), (None, ["full", "tied"]), (["EII", "VEV"], ["eii", "vev"])):
        cells = mixtura.fit(ROWS[:, :1], 2, asked, random_state=0).cells
        assert [c.covariance for c in cells] == names


@pytest.mark.parametrize("n_components", [2, np.int64(2), [2], (2, 2), range(2, 3), np.array([2]), iter([2])])
def test_numbers_of_components_in_any_form(n_components):
    result = mixtura.fit(ROWS, n_components, "full", random_state=0)
    assert [c.n_components for c in result.cells] == [2]


def test_criteria():
    for criterion in ("bic", "icl", "aic"):
        result = mixtura.fit(ROWS, [1, 2, 3], criterion=criterion, random_state=0)
        eligible = [cell for cell in result.cells if cell.eligible]
        assert result.best is min(eligible, key=lambda cell: getattr(cell, criterion))


FRAME = pd.DataFrame(ROWS, columns=["a", "b"])


@pytest.mark.parametrize(
    "table",
    [
        FRAME,
        pl.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1]}),
        pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1]}),
    ],
    ids=["pandas", "polars", "arrow"],
)
def test_tables_of_any_make(table):
    plain = mixtura.fit(ROWS, 2, "full", random_state=0)
    named = mixtura.fit(table, 2, "full", random_state=0)
    assert named.columns == named.model.columns == ("a", "b")
    assert np.array_equal(named.model.means, plain.model.means)
    one = mixtura.fit(table, 2, "full", columns=["b"], random_state=0)
    assert one.columns == ("b",)
    assert one.model.n_features == 1


def test_lists_integers_and_vectors():
    integers = np.round(ROWS * 10).astype(int)
    expected = mixtura.fit(integers.astype(float), 2, "full", random_state=0).model
    assert mixtura.fit(integers, 2, "full", random_state=0).model == expected
    assert mixtura.fit(integers.tolist(), 2, "full", random_state=0).model == expected
    vector = mixtura.fit(ROWS[:, 0], 2, "full", random_state=0)
    assert vector.model == mixtura.fit(ROWS[:, :1], 2, "full", random_state=0).model


def test_files(tmp_path):
    weights = np.arange(200) % 3
    FRAME.assign(w=weights, group="x").to_csv(tmp_path / "rows.csv", index=False)
    named = mixtura.fit(tmp_path / "rows.csv", 2, "full", columns=["a", "b"], sample_weight="w", random_state=0)
    assert named.columns == ("a", "b")
    assert named.weight == weights.sum()
    plain = mixtura.fit(FRAME, 2, "full", sample_weight=weights, random_state=0)
    assert named.model == plain.model
    assert mixtura.fit(str(tmp_path / "rows.csv"), 1, "full").columns == ("a", "b", "w")


def test_the_seed_decides():
    one, same = (mixtura.fit(ROWS, 3, "full", random_state=5) for _ in range(2))
    assert one.model == same.model
    assert one.fit.trace == same.fit.trace
    generator = np.random.default_rng(5)
    first, second = (mixtura.fit(ROWS, 5, "full", n_init=1, random_state=generator).fit.trace for _ in range(2))
    assert first != second
    mixtura.fit(ROWS, 2, "full", random_state=np.random.RandomState(0))


def test_progress_is_told():
    seen: list[Progress] = []
    result = mixtura.fit(ROWS, 3, "full", random_state=0, progress=seen.append)
    assert result.fit.converged
    assert seen[-1].stage == "climb"
    assert {1, 0} <= {progress.climbing for progress in seen}
    assert seen[-1].climbing == 0
    stopped = mixtura.fit(ROWS, 3, "full", random_state=0, progress=lambda _: True)
    assert stopped.fit.status is Status.STOPPED


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_components": 0}, "n_components must be whole numbers from 1"),
        ({"n_components": True}, "n_components must be whole numbers from 1"),
        ({"n_components": 2.0}, "n_components must be whole numbers from 1"),
        ({"n_components": "3"}, "n_components must be whole numbers from 1"),
        ({"n_components": [1, -2]}, "n_components must be whole numbers from 1"),
        ({"n_components": []}, "n_components is empty"),
        ({"n_components": 201}, "200 rows cannot hold 201 components"),
        ({"covariance": "round"}, "unknown covariance family 'round'"),
        ({"covariance": []}, "covariance is empty"),
        ({"criterion": "dic"}, "criterion must be one of"),
        ({"init_params": "best"}, "init_params must be one of"),
        ({"n_init": 0}, "n_init must be a whole number of at least 1"),
        ({"n_init": 1.5}, "n_init must be a whole number"),
        ({"max_iter": 0}, "max_iter must be a whole number of at least 1"),
        ({"tol": -1e-3}, "tol must be a finite number of at least 0"),
        ({"tol": float("nan")}, "tol must be a finite number"),
        ({"reg_covar": -1.0}, "reg_covar must be a finite number of at least 0"),
        ({"reg_covar": float("inf")}, "reg_covar must be a finite number"),
        ({"n_threads": 0}, "n_threads must be a whole number of at least 1"),
        ({"random_state": "x"}, "cannot seed"),
        ({"sample_weight": "w"}, "has no column names: ask for 'w' by its number"),
        ({"sample_weight": np.ones(3)}, "3 entries for 200 rows"),
        ({"sample_weight": -np.ones(200)}, "must not be negative"),
        ({"sample_weight": np.zeros(200)}, "zero in every row"),
        ({"columns": [7]}, "no column 7"),
    ],
)
def test_arguments_that_make_no_sense(kwargs, message):
    with pytest.raises(ValueError, match=message):
        mixtura.fit(ROWS, **{"n_components": 1, "covariance": "full", **kwargs})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.empty((0, 2)), "0 sample"),
        ([[1.0, np.nan]], "NaN .* in row 0, column 1"),
        ([[1.0], [np.inf]], "infinity in row 1"),
        ([["a"], ["b"]], "row 0"),
        (np.zeros((2, 2, 2)), "dim|2-D|D"),
        (np.ones((3, 2), dtype=complex), "complex"),
    ],
)
def test_tables_that_cannot_be_fitted(table, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mixtura.fit(table, 1)


# The table


def test_select_is_fit_over_all_families():
    selected = mixtura.select(ROWS, [1, 2, 3], random_state=0)
    assert [c.covariance for c in selected.cells] == [c.covariance for c in mixtura.fit(ROWS, [1, 2, 3], "all").cells]
    assert selected.model == mixtura.fit(ROWS, [1, 2, 3], "all", random_state=0).model


def test_the_table_has_a_line_for_each_cell(result):
    table = result.table()
    assert {len(column) for column in table.values()} == {len(result.cells)}
    for i, cell in enumerate(result.cells):
        assert table["n_components"][i] == cell.n_components
        assert table["mclust"][i] == registry.get(cell.covariance).mclust
        assert table["bic"][i] == cell.bic
        assert table["behind"][i] == cell.bic - result.best.bic
    frame = result.to_frame()
    assert list(frame.columns) == list(table)
    assert frame.loc[frame["bic"].idxmin(), "covariance"] == result.best.covariance


def test_a_frame_takes_pandas(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame needs pandas"):
        result.to_frame()


def test_the_best_and_the_ties(result):
    assert result.top(1) == (result.best,)
    assert [c.bic for c in result.top(4)] == sorted(c.bic for c in result.cells)[:4]
    one = mixtura.fit(ROWS, 1, ["full", "tied", "diag"], random_state=0)
    assert one.ties == (one.cells[1],)  # of one component, full and tied are the same


def test_cells_that_cannot_be_are_recorded():
    result = mixtura.select(ROWS[:3], [1, 5], "spherical", random_state=0)
    assert result.cells[1].fit is None
    assert "3 rows cannot hold" in result.table()["reason"][1]


def test_a_result_can_be_extended(result):
    start = mixtura.select(ROWS, [1, 2], ["full", "diag"], random_state=0)
    seen: list[Progress] = []
    more = start.extend(3, progress=seen.append)
    assert seen
    assert [(c.n_components, c.covariance) for c in more.cells] == [
        (k, name) for k in (1, 2, 3) for name in ("full", "diag")
    ]
    assert more.cells[:4] == start.cells
    richer = more.extend(covariances="tied")
    assert [c.covariance for c in richer.cells] == ["full", "diag", "tied"] * 3
    kept = [c for c in richer.cells if c.covariance != "tied"]
    assert all(new is old or new.loglik > old.loglik for new, old in zip(kept, more.cells, strict=True))
    assert kept[:4] == list(more.cells[:4])
    for cell in richer.cells:
        (same,) = (c for c in result.cells if (c.n_components, c.covariance) == (cell.n_components, cell.covariance))
        assert cell.loglik > same.loglik - 0.5
    assert richer.extend([1, 2], "full").cells == richer.cells
    assert start.best in start.cells
    with pytest.raises(ValueError, match="n_components must be whole numbers from 1"):
        start.extend(0)


def test_an_extension_is_chosen_by_the_same_criterion():
    start = mixtura.select(ROWS, 1, "full", criterion="cv", random_state=0)
    more = start.extend([2, 3])
    assert more.best.cv == min(cell.cv for cell in more.cells) < start.best.cv
    assert more.cells[0].cv == start.cells[0].cv
    assert all(np.isfinite(cell.cv) for cell in more.cells)
    assert "CV" in str(more)
    assert more.summary()["chosen"]["cv_error"] == more.best.cv_error
