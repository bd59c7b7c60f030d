"""The default prior and the ridge: what is added to the statistics, and what that is worth."""

import numpy as np
import pytest

from mixtura import e_step
from mixtura.covariance.prior import PSEUDO_FRACTION, PSEUDO_ROWS, Prior
from mixtura.covariance.structure import Full

TABLE = np.random.default_rng(0).normal(size=(1000, 3)) @ [[2.0, 1.0, 0.0], [0.0, 1.0, 30.0], [0.0, 0.0, 9.0]] + 5.0
WEIGHTS = np.random.default_rng(1).exponential(size=1000)


def test_the_default_is_so_many_rows_of_the_covariance_of_all():
    prior = Prior.relative(TABLE, WEIGHTS)
    assert prior.count == pytest.approx(PSEUDO_ROWS * WEIGHTS.mean() + PSEUDO_FRACTION * WEIGHTS.sum())
    assert prior.scatter == pytest.approx(prior.count * np.cov(TABLE.T, aweights=WEIGHTS, bias=True), rel=1e-9)


def test_a_row_far_off_counts_little_in_it():
    without = Prior.relative(TABLE, np.ones(1000))
    prior = Prior.relative(np.vstack([TABLE, [1e6, -1e6, 1e6]]), np.ones(1001))
    ratio = np.diag(prior.scatter) / np.diag(without.scatter)
    assert (ratio > 0.99).all()
    assert (ratio < 1.5).all()


def test_for_another_weight_of_all_rows():
    prior = Prior.relative(TABLE, WEIGHTS).for_weight(1e6)
    assert prior.count == pytest.approx(PSEUDO_ROWS * WEIGHTS.mean() + PSEUDO_FRACTION * 1e6)
    assert prior.scatter == pytest.approx(prior.count * np.cov(TABLE.T, aweights=WEIGHTS, bias=True), rel=1e-9)


@pytest.mark.parametrize("ridge", [np.array([0.5, 2.0]), np.array([[0.5, 0.2], [0.2, 2.0]])], ids=["diagonal", "full"])
def test_what_it_adds_to_the_objective_and_to_the_statistics(model, kind, ridge):
    prior = Prior(3.0, ridge, shrinkage=1.5, mean=np.array([1.0, -1.0]))
    matrix = np.diag(ridge) if ridge.ndim == 1 else ridge
    expected = 0.0
    for mean, covariance in zip(model.means, model.covariances, strict=True):
        apart = prior.mean - mean
        expected += 3.0 * np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, matrix))
        expected += 1.5 * apart @ np.linalg.solve(covariance, apart)
    assert prior.log_density(model.structure, model.means) == pytest.approx(-0.5 * expected)
    assert prior.scaled(2.0).log_density(model.structure, model.means) == pytest.approx(-expected)
    n = np.array([1.0, 2.0, 3.0])
    nothing = np.zeros({"full": (3, 2, 2), "tied": (2, 2), "diagonal": (3, 2)}[kind])
    added = {"full": np.stack([matrix] * 3), "tied": 3 * matrix, "diagonal": np.stack([np.diag(matrix)] * 3)}[kind]
    count, scatter = prior.add(n, nothing, kind)
    assert count.tolist() == [4.0, 5.0, 6.0]
    assert scatter == pytest.approx(added)


def test_leaning_on_the_pooled_covariance(model, kind, rows):
    statistics = e_step(model, rows)
    prior = Prior.absolute(0.1, 60.0, 3, 2)
    assert prior.scatter == pytest.approx(np.full(2, 0.1 * 60 / 3))
    leaning = prior.leaning(4.0, statistics)
    if kind == "tied":
        assert leaning is prior
        return
    pooled = statistics.scatter().sum(0) / 60
    own = np.full(2, 2.0) if kind == "diagonal" else 2.0 * np.eye(2)
    assert leaning.count == pytest.approx(prior.count + 4)
    assert leaning.scatter == pytest.approx(own + 4 * pooled)
    assert prior.leaning(0.0, statistics) is prior


def test_rows_so_far_off_that_squares_of_their_distance_overflow():
    small = np.random.default_rng(0).normal(size=(40, 2)) * [1e-90, 1.0]
    without = Prior.relative(small, np.ones(40))
    prior = Prior.relative(np.vstack([small, [1e100, 0.0]]), np.ones(41))  # 10¹⁹⁰ times the spread
    ratio = np.diag(prior.scatter) / np.diag(without.scatter)
    assert (ratio > 0.5).all()
    assert (ratio < 10.0).all()


def test_the_nominal_variance_of_a_constant_column_stays_out_of_small_columns():
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.full(30, 1e15), rng.normal(size=30), 1e-118 * rng.normal(size=30), np.full(30, 1e16)])
    structure = Prior.relative(rows, np.ones(30), "vve").settled(Full(1e-118 * np.eye(4)[None]))
    assert structure.cholesky[0, 2, 2] == pytest.approx(1e-118, rel=1e-6)
    assert not structure.cholesky[0, [0, 3]][:, [1, 2]].any()
    assert not structure.cholesky[0, 1:3, 0].any()
