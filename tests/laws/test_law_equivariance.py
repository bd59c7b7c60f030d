"""Units, places and orders change nothing but units, places and orders."""

from __future__ import annotations

import numpy as np
import pytest
from test_law_sums import assert_same_fit
from variants import overlapping, row_weights, start_for

from mixtura import Mixture, e_step, em, race
from mixtura.choice import search
from mixtura.covariance.registry import Family
from mixtura.ground import Candidate, Settings
from mixtura.sources.memory import Memory

#: Families that know one unit for all columns.
ONE_UNIT = ("rotations", "one unit")


def fitted(
    rows: np.ndarray, family: Family, weights: np.ndarray | None = None, n_components: int = 3, **settings: object
) -> Mixture:
    cell = search(Memory(rows, weights), [Candidate(n_components, family)], Settings(**settings), seed=1)[0]
    assert cell.fit is not None
    assert cell.fit.converged
    return cell.fit.model


def standardised(model: Mixture, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and covariances in units of the rows' own middle and spread."""
    rows = rows.astype(float)
    scale = (rows - rows.mean(0)).std(0)
    return model.weights, (model.means - rows.mean(0)) / scale, model.covariances / np.outer(scale, scale)


def assert_same_shape(model: Mixture, rows: np.ndarray, other: Mixture, other_rows: np.ndarray, tol: float) -> None:
    for a, b in zip(standardised(model, rows), standardised(other, other_rows), strict=True):
        assert np.abs(a - b).max() < tol
    assert np.array_equal(model.predict(rows), other.predict(other_rows))


@pytest.mark.parametrize("scales", [(2.0**-20, 1.0, 2.0**20), (2.0**-450, 2.0**-300, 2.0**450)], ids=["near", "far"])
@pytest.mark.usefixtures("kernel")
def test_powers_of_two_and_exact_shifts_move_the_fit_with_them(family, scales):
    if family.maps in ONE_UNIT:
        scales = (scales[0],) * 3
    rows = np.round(overlapping() * 4096) / 4096
    moved = rows * scales
    if scales[0] > 1e-9:
        shift = np.array([2.0**20, -(2.0**18), 2.0**10]) * scales
        moved = moved + shift
        assert np.array_equal(moved - shift, rows * scales)
    assert_same_shape(fitted(rows, family), rows, fitted(moved, family), moved, tol=1e-7)


@pytest.mark.parametrize("scales", [(1e-6, 1.0, 1e6), (1e6, 1e-6, 3.0)])
@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_units_and_places_move_the_fit_with_them(family, scales, shift):
    if family.maps in ONE_UNIT:
        scales = (scales[0],) * 3
    rows = overlapping() / overlapping().std(0)
    moved = (rows + shift) * scales
    assert_same_shape(fitted(rows, family), rows, fitted(moved, family), moved, tol=1e-6)


def test_integers_far_from_zero(family):
    rows = np.round(overlapping() * 1000).astype(np.int64)
    moved = rows + 10**9
    same = fitted(rows.astype(float), family)
    assert_same_shape(same, rows, fitted(moved.astype(float), family), moved, tol=1e-6)


@pytest.mark.usefixtures("kernel")
def test_single_precision_far_from_zero(family):
    # The arithmetic is on trial, so both fits see the rows that single precision can hold.
    rows = (overlapping() / overlapping().std(0) + 1e3).astype(np.float32)
    double = rows.astype(np.float64)
    assert_same_shape(fitted(rows, family), double, fitted(double, family), double, tol=1e-3)
    start = start_for(family, double)
    one, other = (em(start, x, family, tol=1e-8).model for x in (rows, double))
    assert_same_shape(one, double, other, double, tol=1e-3)


@pytest.mark.parametrize("init_params", ["k-means++", "kmeans", "random", "random_from_data"])
def test_the_order_of_the_rows_changes_no_bit(family, init_params):
    rows, weights = overlapping(), row_weights(240)
    order = np.random.default_rng(2).permutation(240)
    one = fitted(rows, family, weights, init_params=init_params)
    assert one == fitted(rows[order], family, weights[order], init_params=init_params)


def test_the_order_of_many_rows_changes_no_more_than_rounding(family, monkeypatch):
    monkeypatch.setattr(race, "SAMPLE_ROWS", 60)
    monkeypatch.setattr(race, "SAMPLE_ROWS_EACH", 10)
    rows, weights = overlapping(), row_weights(240)
    order = np.random.default_rng(2).permutation(240)
    one, other = fitted(rows, family, weights), fitted(rows[order], family, weights[order])
    assert_same_shape(one, rows, other, rows, tol=1e-8)


@pytest.mark.usefixtures("kernel")
def test_the_order_of_components_is_all_that_reordering_them_changes(family):
    rows = overlapping()
    start, order = start_for(family, rows), np.array([2, 0, 1])
    fit, other = em(start, rows, family, tol=1e-9), em(start.reorder(order), rows, family, tol=1e-9)
    assert fit.loglik == pytest.approx(other.loglik, rel=1e-12)
    assert np.abs(fit.model.reorder(order).means - other.model.means).max() < 1e-8
    statistics, others = e_step(start, rows), e_step(start.reorder(order), rows)
    assert statistics.n[order] == pytest.approx(others.n, rel=1e-13)
    if family.kind != "tied":
        assert statistics.s2[order] == pytest.approx(others.s2, rel=1e-11)


@pytest.mark.usefixtures("kernel")
def test_the_order_of_columns_is_all_that_reordering_them_changes(family):
    rows, order = overlapping(), np.array([1, 2, 0])
    start = start_for(family, rows)
    # plain EM: quasi-Newton coordinates are Cholesky factors, which depend on the order of the columns
    fit = em(start, rows, family, accelerate=False)
    other = em(start.marginal(order), rows[:, order], family, accelerate=False)
    assert fit.loglik == pytest.approx(other.loglik, rel=1e-12)
    scale = np.sqrt(np.diagonal(fit.model.cov))[order]
    assert np.abs((fit.model.means[:, order] - other.model.means) / scale).max() < 1e-9


@pytest.mark.parametrize("complete", [True, False], ids=["few rows", "many rows"])
def test_a_weight_is_a_number_of_copies(family, complete, monkeypatch):
    if not complete:
        monkeypatch.setattr(race, "SAMPLE_ROWS", 60)
        monkeypatch.setattr(race, "SAMPLE_ROWS_EACH", 10)
    rows = overlapping()
    counts = np.random.default_rng(5).integers(0, 3, len(rows))
    repeated = np.repeat(rows, counts, axis=0)
    cells = [
        search(source, [Candidate(k, family) for k in (1, 3)], Settings(), seed=0, with_icl=True)
        for source in (Memory(rows, counts.astype(float)), Memory(repeated), Memory(repeated[::-1]))
    ]
    for several in zip(*cells, strict=True):
        for cell in several[1:]:
            assert cell.fit is not None
            assert cell.fit.statistics.weight == counts.sum()
            assert cell.bic == pytest.approx(several[0].bic, rel=1e-12)
            assert cell.icl == pytest.approx(several[0].icl, rel=1e-9)
            assert_same_fit(cell.fit, several[0].fit)
            if complete:
                assert cell.fit.model == several[0].fit.model


def test_any_number_of_threads_makes_the_same_choice(monkeypatch):
    from mixtura.covariance.registry import FAMILIES
    from mixtura.sources import memory

    monkeypatch.setattr(memory, "BLOCK_ROWS", 17)
    monkeypatch.setattr(race, "SAMPLE_ROWS", 60)
    monkeypatch.setattr(race, "SAMPLE_ROWS_EACH", 10)
    rows, weights = overlapping(), row_weights(240)
    candidates = [Candidate(k, family) for k in (1, 3) for family in FAMILIES]
    one, other = (search(Memory(rows, weights, n), candidates, Settings(), seed=4, with_icl=True) for n in (1, 5))
    for a, b in zip(one, other, strict=True):
        assert a.fit.model == b.fit.model
        assert (a.bic, a.icl, a.aic) == (b.bic, b.icl, b.aic)


def test_the_seed_is_all_that_chance_hangs_on(family):
    rows = overlapping()
    one, same, other = (
        search(Memory(rows), [Candidate(5, family)], Settings(init_params="random", n_init=1), seed)[0].fit
        for seed in (1, 1, 2)
    )
    assert one.trace == same.trace
    assert one.model == same.model
    assert one.trace != other.trace
