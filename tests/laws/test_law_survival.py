"""Whatever the rows are: a finite model with an honest report, or one clear sentence."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from variants import family_ids, overlapping

import mixtura
from mixtura import Mixture
from mixtura.choice import Cell, search
from mixtura.covariance import registry
from mixtura.ground import Candidate, Settings
from mixtura.sources.memory import Memory


def one(rows: np.ndarray, n_components: int, family: Any, weights: np.ndarray | None = None, **kwargs: Any) -> Cell:
    start = kwargs.pop("start", None)
    candidate = Candidate(n_components, registry.get(family), start)
    return search(Memory(rows, weights), [candidate], Settings(**kwargs), seed=0)[0]


def assert_sound(cell: Cell, rows: np.ndarray, weights: np.ndarray | None = None) -> None:
    """Finite throughout, and no mean further out than what was left to gain can move it."""
    assert cell.fit is not None
    model, used = cell.fit.model, rows if weights is None else rows[weights > 0]
    assert np.isfinite(model.weights).all()
    assert np.isfinite(model.means).all()
    assert np.isfinite(model.covariances).all()
    assert math.isfinite(cell.loglik)
    assert math.isfinite(cell.bic)
    low, high = used.min(0), used.max(0)
    deviation = np.sqrt(np.einsum("kii->ki", model.covariances))
    gap = cell.fit.gap if cell.fit.converged else 1e-2
    slack = deviation * np.sqrt(2 * max(gap, 1e-6) / np.maximum(model.weights, 1e-300))[:, None]
    slack = slack + 1e-9 * np.maximum(np.abs(low), np.abs(high))
    assert (model.means >= low - slack).all()
    assert (model.means <= high + slack).all()
    objective = np.array([step.objective for step in cell.fit.trace])
    rounding = 1e-13 * (np.abs(objective).max() + cell.fit.statistics.weight)
    assert (np.diff(objective) >= -rounding).all()
    assert np.abs(model.responsibilities(rows).sum(1) - 1).max() < 1e-12


NUMBERS = {
    "ties": st.integers(0, 3).map(float),
    "small": st.floats(-5, 5, allow_subnormal=False).map(lambda x: round(x, 3)),
    "tiny": st.integers(-9, 9).map(lambda i: 1e-8 * i),
    "far": st.integers(-9, 9).map(lambda i: 1e8 + i),
    "huge": st.integers(-99, 99).map(lambda i: i * 1e60),
    "outliers": st.sampled_from([0.0, 1.0, 1.5, 2.0, -1e6, 1e10]),
}
COLUMN = st.one_of(*NUMBERS.values())


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray | None]:
    n_rows, n_features = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    columns = []
    for _ in range(n_features):
        kind = draw(st.sampled_from([*NUMBERS, "constant", "copied"]))
        if kind == "copied" and columns:
            columns.append([2.0 * x + 1.0 for x in columns[-1]])
        elif kind in NUMBERS:
            columns.append(draw(st.lists(NUMBERS[kind], min_size=n_rows, max_size=n_rows)))
        else:
            columns.append([draw(COLUMN)] * n_rows)
    rows = np.array(columns).T
    copies = draw(st.lists(st.integers(1, 4), min_size=n_rows, max_size=n_rows))
    rows = np.repeat(rows, copies, axis=0)
    if draw(st.booleans()):
        return rows, None
    weights = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=len(rows), max_size=len(rows)))
    return rows, np.array(weights)


QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def check_any_table(table: tuple[np.ndarray, np.ndarray | None], n_components: int, **kwargs: Any) -> None:
    rows, weights = table
    try:
        result = mixtura.fit(rows, n_components, sample_weight=weights, max_iter=60, random_state=0, **kwargs)
    except ValueError as error:
        text = str(error)
        known = ("no candidate could be fitted", "rows cannot hold", "sample_weight is zero in every row")
        assert any(sentence in text for sentence in known), text
        # with the prior there is no excuse but an input that holds nothing
        assert kwargs.get("reg_covar") == 0 or "no candidate" not in text, text
        return
    for cell in result.cells:
        if cell.fit is None:
            assert cell.reason
        else:
            assert_sound(cell, rows, weights)
    assert str(result)
    assert result._repr_html_()
    json.loads(json.dumps(result.summary()))


@settings(QUIET, max_examples=60)
@given(table=tables(), n_components=st.integers(1, 4))
def test_any_table_ends_in_a_model_or_a_sentence(table, n_components):
    check_any_table(table, n_components, n_init=2)


@settings(QUIET, max_examples=25)
@given(table=tables(), n_components=st.integers(1, 4), reg_covar=st.sampled_from([0.0, 1e-6, 1.0]))
def test_any_table_with_a_ridge_or_none(table, n_components, reg_covar):
    check_any_table(table, n_components, n_init=1, reg_covar=reg_covar)


@pytest.mark.slow
@settings(QUIET, max_examples=300)
@given(
    table=tables(),
    n_components=st.integers(1, 5),
    init_params=st.sampled_from(["k-means++", "kmeans", "random", "random_from_data"]),
    reg_covar=st.sampled_from([None, None, 0.0, 1e-6]),
)
def test_many_tables(table, n_components, init_params, reg_covar):
    check_any_table(table, n_components, n_init=2, init_params=init_params, reg_covar=reg_covar)


def test_failing_starts_are_survived(family):
    # Four rows that agree: without a prior a start that gives them a component of their own has nowhere to go.
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.standard_normal((80, 2)), np.full((4, 2), 1.5)])
    cell = one(rows, 3, family, reg_covar=0.0, n_init=24, init_params="random_from_data")
    assert cell.n_starts == 24
    assert cell.n_failed < 24
    if family.name in ("diag", "spherical"):
        assert cell.n_failed > 0
    if cell.fit is None:  # when the race ended, the best was on its way to where all volumes but one vanish
        assert family.name == "vev"
        assert "singular" in cell.reason
    else:
        assert_sound(cell, rows)


def test_when_every_start_fails_the_reason_is_told():
    cell = one(np.repeat([[1.0, 2.0], [3.0, 5.0]], 20, axis=0), 2, "full", reg_covar=0.0)
    assert cell.fit is None
    assert cell.n_failed == cell.n_starts == 4
    assert "not positive definite" in cell.reason
    assert math.isnan(cell.bic)
    assert not cell.eligible


def test_rows_that_are_all_the_same(family):
    rows = np.full((30, 2), 3.25)
    for k in (1, 3):
        cell = one(rows, k, family)
        assert_sound(cell, rows)
        assert cell.fit.model.means == pytest.approx(np.full((k, 2), 3.25))
        assert cell.notes


def test_more_components_than_distinct_rows(family):
    rows = np.repeat([[0.0, 1.0], [4.0, 2.0]], 50, axis=0)
    cell = one(rows, 3, family)
    assert_sound(cell, rows)
    assert not cell.eligible


def test_a_component_that_dies_is_moved_to_where_rows_are(family):
    # Two of five k-means centres share a tight pair of far-off rows in many a start.
    rng = np.random.default_rng(1)
    rows = np.vstack([rng.standard_normal((200, 2)), rng.standard_normal((200, 2)) + 8, [[1e4, 1e4], [1e4 + 1, 1e4]]])
    cell = one(rows, 4, family)
    assert_sound(cell, rows)
    assert cell.fit.statistics.n.min() > 0.5


def test_a_start_far_from_all_rows_is_reported(family):
    rows = overlapping(200, 2)
    start = Mixture([0.5, 0.5], [rows.mean(0), rows.mean(0) + 1e9], np.repeat([np.cov(rows.T)], 2, axis=0))
    cell = one(rows, 2, family, start=start)
    assert cell.fit is not None
    assert np.isfinite(cell.fit.model.covariances).all()
    assert cell.fit.statistics.n[0] == pytest.approx(200)
    assert not cell.eligible
    assert "no rows" in cell.notes[0].sentence


def test_a_symmetric_start_stays_where_it_is_and_says_so():
    rows = overlapping(200, 2)
    start = Mixture([0.5, 0.5], [rows.mean(0)] * 2, np.repeat([np.cov(rows.T)], 2, axis=0))
    cell = one(rows, 2, "full", start=start)
    assert any("coincide" in note.sentence for note in cell.notes)


@pytest.mark.parametrize("name", family_ids())
def test_spikes_do_not_win(name):
    # Rounded values: a component on each of them has a likelihood without bounds.
    rows = np.repeat(np.arange(10.0), 30)[:, None]
    result = mixtura.fit(rows, range(1, 11), name, random_state=0)
    assert result.best.eligible
    deviations = np.sqrt(np.einsum("kii->ki", result.model.covariances))
    assert deviations.min() > 1e-3


def test_outliers_by_many_orders_of_magnitude(family):
    rows = overlapping(300, 2)
    rows[7] = 1e12
    alone, three = one(rows, 1, family), one(rows, 3, family)
    assert_sound(three, rows)
    assert three.fit.statistics.n.min() > 0.5
    if alone.fit is not None:
        assert_sound(alone, rows)
    else:  # one ellipse around them all is a line, to sixteen digits
        assert family.kind != "diagonal"
        assert "is not positive" in alone.reason


@pytest.mark.parametrize("scale", [1e-140, 1e-100, 1e100, 1e140])
def test_columns_of_extreme_size(family, scale):
    rows = overlapping(200, 2)
    near, far = one(rows, 3, family), one(rows * scale, 3, family)
    assert far.fit is not None
    assert np.array_equal(near.fit.model.predict(rows), far.fit.model.predict(rows * scale))
    assert far.loglik + 400 * math.log(scale) == pytest.approx(near.loglik, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_columns_whose_squares_leave_the_range_are_refused(family, scale):
    with pytest.raises(ValueError, match="range of double precision"):
        one(overlapping(200, 2) * [1.0, scale], 2, family)
