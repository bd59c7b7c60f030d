"""What a conjugate prior may be, and its place in a fit."""

from __future__ import annotations

import numpy as np
import pytest

import mixtura
from mixtura import ConjugatePrior, GaussianMixture

ROWS = np.random.default_rng(0).standard_normal((60, 2)) @ np.array([[2.0, 0.5], [0.0, 1.0]]) + 7


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: ConjugatePrior(shrinkage=-1.0), "shrinkage must be"),
        (lambda: ConjugatePrior(dof=np.nan), "dof must be"),
        (lambda: ConjugatePrior(mean=[1.0]).for_rows(ROWS, "full", 2), "mean of the prior must be 2"),
        (lambda: ConjugatePrior(scale=[1.0, 2.0, 3.0]).for_rows(ROWS, "full", 2), "scale of the prior must be"),
        (lambda: ConjugatePrior(scale=-1.0).for_rows(ROWS, "full", 2), "negative eigenvalue"),
        (lambda: mixtura.fit(ROWS, 1, prior="flat"), "prior must be 'conjugate', a ConjugatePrior or None"),
        (lambda: mixtura.fit(ROWS, 1, prior="conjugate", reg_covar=1e-3), "two priors"),
        (lambda: GaussianMixture(prior="conjugate", reg_covar=1e-3).fit(ROWS), "two priors"),
    ],
)
def test_what_cannot_be(attempt, words):
    with pytest.raises(ValueError, match=words):
        attempt()


def test_the_scale_may_be_written_in_three_ways():
    number, vector, matrix = (
        ConjugatePrior(scale=scale).for_rows(ROWS, "full", 2) for scale in (2.0, [2.0, 2.0], [[2.0, 0.0], [0.0, 2.0]])
    )
    assert np.array_equal(number.scatter, matrix.scatter)
    assert np.array_equal(vector.scatter, matrix.scatter)


def test_a_heavy_prior_draws_means_and_covariances_to_its_own():
    prior = ConjugatePrior(shrinkage=1e9, mean=[1.0, -1.0], dof=1e9, scale=[2e9, 3e9])
    model = mixtura.fit(ROWS, 2, "full", prior=prior, random_state=0).model
    assert model.means == pytest.approx(np.array([[1.0, -1.0]] * 2), abs=1e-4)
    assert model.covariances == pytest.approx(np.array([np.diag([2.0, 3.0])] * 2), abs=1e-4)


def test_without_shrinkage_the_means_are_free():
    free = mixtura.fit(ROWS, 1, "full", prior=ConjugatePrior(shrinkage=0.0, mean=[99.0, 99.0]), random_state=0)
    assert free.model.means[0] == pytest.approx(ROWS.mean(0))
    drawn = mixtura.fit(ROWS, 1, "full", prior=ConjugatePrior(shrinkage=60.0, mean=[99.0, 99.0]), random_state=0)
    assert drawn.model.means[0] == pytest.approx((ROWS.mean(0) + 99.0) / 2)


def test_fewer_rows_than_columns_can_be_fitted():
    few = np.random.default_rng(1).standard_normal((4, 6))
    assert not mixtura.fit(few, 1, "full", prior="conjugate").best.eligible  # their covariance says nothing of Λ
    result = mixtura.fit(few, 1, "full", prior=ConjugatePrior(scale=1.0))
    assert result.best.eligible
    assert result.fit.converged
    assert "the prior, and not the rows" in str(result)


def test_constant_columns_keep_their_nominal_variance():
    rows = np.column_stack([ROWS, np.full(60, 3.0)])
    model = mixtura.fit(rows, 2, "full", prior="conjugate", random_state=0).model
    plain = mixtura.fit(
        ROWS, 2, "full", prior=ConjugatePrior(dof=5.0, scale=np.cov(ROWS.T) / 2 ** (2 / 3)), random_state=0
    )
    assert model.covariances[:, 2, 2] == pytest.approx(np.full(2, 9e-10))
    assert model.means[:, :2] == pytest.approx(plain.model.means, abs=0.3)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_units_move_the_fit_with_them(covariance):
    unit = np.array([1e-4, 1e-4]) if covariance == "spherical" else np.array([1e-4, 1e3])
    one = mixtura.fit(ROWS, 2, covariance, prior="conjugate", random_state=0).model
    other = mixtura.fit(ROWS * unit + 5, 2, covariance, prior="conjugate", random_state=0).model
    assert other.means == pytest.approx(one.means * unit + 5, rel=1e-5)
    assert other.covariances == pytest.approx(one.covariances * np.outer(unit, unit), rel=1e-3)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_weights_are_repeated_rows(covariance):
    counts = np.random.default_rng(2).integers(1, 4, 60)
    once = mixtura.fit(ROWS, 2, covariance, prior="conjugate", sample_weight=counts, random_state=0).fit
    often = mixtura.fit(np.repeat(ROWS, counts, axis=0), 2, covariance, prior="conjugate", random_state=0).fit
    assert once.objective == pytest.approx(often.objective, rel=1e-10)


def test_it_goes_together_with_noise():
    rows = np.vstack([ROWS, np.random.default_rng(3).uniform(-40, 40, (30, 2))])
    fit = mixtura.fit(rows, 1, "full", prior="conjugate", noise=True, random_state=0).fit
    assert fit.converged
    assert fit.model.noise.weight == pytest.approx(1 / 3, abs=0.05)
    assert fit.model.means[0] == pytest.approx(ROWS.mean(0), abs=0.5)
