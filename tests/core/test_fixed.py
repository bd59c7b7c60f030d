"""Parameters that are held where they are: to the bit, with an objective that does not fall, at a top of the rest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import mixtura
from mixtura import ConjugatePrior, Fixed, GaussianMixture, Mixture, Noise, em

RNG = np.random.default_rng(0)
ROWS = np.vstack([RNG.normal([0, 0], [1.0, 0.5], (150, 2)), RNG.normal([3, 2], [0.7, 1.0], (100, 2))])
NAN = [np.nan, np.nan]
START = Mixture([0.5, 0.5], [[-0.5, 0.0], [3.0, 1.0]], np.stack([np.eye(2), np.eye(2)]))


def test_what_is_fixed_stays_to_the_bit():
    shares = [0.123, 0.877]
    covariance = np.array([[1.1, 0.3], [0.3, 0.7]])
    fixed = Fixed(shares, [[0.1, 1 / 3], NAN], [np.full((2, 2), np.nan), covariance])
    for accelerate in (True, False):
        fit = em(START, ROWS, fixed=fixed, tol=1e-11, accelerate=accelerate)
        assert fit.converged
        assert fit.model.weights.tolist() == shares
        assert fit.model.means[0].tolist() == [0.1, 1 / 3]
        assert fit.model.covariances[1] == pytest.approx(covariance, rel=1e-14)
        assert fit.n_parameters == 11 - 1 - 2 - 3
        assert fit.model.means[1].tolist() != [3.0, 1.0]


@pytest.mark.parametrize("accelerate", [True, False])
def test_the_rest_is_at_its_top(accelerate):
    # by a general optimiser, over the second mean and the first covariance's factor
    covariance = np.array([[1.1, 0.3], [0.3, 0.7]])
    fixed = Fixed("equal", [[0.1, 0.2], NAN], [np.full((2, 2), np.nan), covariance])
    fit = em(START, ROWS, fixed=fixed, tol=1e-12, accelerate=accelerate)

    def loss(v: np.ndarray) -> float:
        lower = np.array([[np.exp(v[2]), 0.0], [v[3], np.exp(v[4])]])
        means = [[0.1, 0.2], v[:2]]
        return -Mixture([0.5, 0.5], means, np.stack([lower @ lower.T, covariance])).loglik(ROWS)

    best = minimize(loss, [3.0, 1.0, 0.0, 0.0, 0.0], method="BFGS", options={"gtol": 1e-6})
    assert fit.loglik == pytest.approx(-best.fun, rel=1e-9)


def test_everything_fixed_is_nothing_to_fit():
    fixed = Fixed([0.4, 0.6], [[0, 0], [3, 2]], np.stack([np.eye(2)] * 2))
    fit = em(START, ROWS, fixed=fixed)
    assert fit.converged
    assert fit.n_parameters == 0
    assert fit.model.loglik(ROWS) == pytest.approx(
        Mixture([0.4, 0.6], [[0, 0], [3, 2]], np.stack([np.eye(2)] * 2)).loglik(ROWS)
    )


def test_with_noise_the_fixed_weights_share_what_it_leaves():
    rows = np.vstack([ROWS, np.random.default_rng(1).uniform(-20, 20, (60, 2))])
    start = Mixture([0.4, 0.4], START.means, START.structure, noise=Noise.box([-20, -20], [20, 20], 0.2))
    plain, quick = (
        em(start, rows, fixed=Fixed([0.25, 0.75]), tol=1e-12, accelerate=accelerate) for accelerate in (False, True)
    )
    for fit in (plain, quick):
        assert fit.converged
        weights, noise = fit.model.weights, fit.model.noise.weight
        assert weights / weights.sum() == pytest.approx([0.25, 0.75], rel=1e-14)
        assert noise == pytest.approx(fit.statistics.noise / len(rows), rel=1e-4)
        assert noise == pytest.approx(0.19, abs=0.03)
    assert quick.loglik == pytest.approx(plain.loglik, rel=1e-9)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_the_search_puts_fixed_means_on_the_nearest_groups(covariance):
    fixed = Fixed(means=[[3.0, 2.0], NAN, [0.0, 0.0]])
    rows = np.vstack([ROWS, np.random.default_rng(2).normal([-8, 5], 0.5, (80, 2))])
    result = mixtura.fit(rows, 3, covariance, fixed=fixed, random_state=0)
    assert result.fit.converged
    assert result.model.means[[0, 2]].tolist() == [[3.0, 2.0], [0.0, 0.0]]
    assert result.model.means[1] == pytest.approx([-8, 5], abs=0.3)
    assert result.model.predict([[-8, 5], [3, 2], [0, 0]]).tolist() == [1, 0, 2]
    assert result.best.n_parameters == result.fit.family.n_parameters(3, 2) - 4


def test_equal_weights_of_a_search():
    result = mixtura.fit(ROWS, [1, 2, 3], ["full", "tied"], fixed=Fixed("equal"), random_state=0)
    for cell in result.cells:
        k = cell.n_components
        assert cell.fit.model.weights.tolist() == [1 / k] * k
        assert cell.n_parameters == cell.fit.family.n_parameters(k, 2) - (k - 1)
    model = GaussianMixture(2, fixed=Fixed("equal"), random_state=0).fit(ROWS)
    assert model.weights_.tolist() == [0.5, 0.5]
    assert model.bic(ROWS) == pytest.approx(-2 * model.mixture_.loglik(ROWS) + 10 * np.log(250))


def test_together_with_a_prior_and_row_weights():
    fixed, prior = Fixed(means=[[0.1, 0.2], NAN]), ConjugatePrior(shrinkage=5.0).for_rows(ROWS, "full", 2)
    counts = np.random.default_rng(3).integers(1, 4, len(ROWS))
    once = em(START, ROWS, prior=prior, fixed=fixed, sample_weight=counts, tol=1e-12)
    often = em(START, np.repeat(ROWS, counts, axis=0), prior=prior, fixed=fixed, tol=1e-12)
    assert once.converged
    assert once.objective == pytest.approx(often.objective, rel=1e-11)
    plain = em(START, ROWS, prior=prior, fixed=fixed, sample_weight=counts, tol=1e-12, accelerate=False)
    assert once.objective == pytest.approx(plain.objective, rel=1e-10)
    assert once.model.means[0].tolist() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: Fixed("same"), "'equal' or numbers"),
        (lambda: Fixed([0.5, 0.6]), "sum 1"),
        (lambda: Fixed([0.0, 1.0]), "positive"),
        (lambda: Fixed(means=[[0.0, np.nan], [1.0, 1.0]]), "NaN altogether"),
        (lambda: Fixed(means=[0.0, 1.0]), "2 axes"),
        (lambda: em(START, ROWS, fixed=Fixed(means=[[0.0, 0.0]])), "shape .1, 2., but 2 components in 2 columns"),
        (lambda: mixtura.fit(ROWS, [2, 3], "full", fixed=Fixed([0.5, 0.5])), "3 components in 2 columns need"),
        (
            lambda: em(START, ROWS, "tied", fixed=Fixed(covariances=[np.eye(2), np.full((2, 2), np.nan)])),
            "share parameters",
        ),
        (lambda: em(START, ROWS, "tied", fixed=Fixed(covariances=[np.eye(2), 2 * np.eye(2)])), "component 0 is not of"),
        (
            lambda: em(START, ROWS, "diag", fixed=Fixed(covariances=[np.eye(2), [[1, 0.5], [0.5, 1]]])),
            "component 1 is not",
        ),
        (lambda: em(START, ROWS, fixed=Fixed(covariances=[np.eye(2), [[1, 2], [2, 1]]])), "positive definite"),
        (lambda: em(START, ROWS, fixed=Fixed(covariances=[np.eye(2), [[1, 0.5], [0, 1]]])), "positive definite"),
    ],
)
def test_what_cannot_be(attempt, words):
    with pytest.raises(ValueError, match=words):
        attempt()


@pytest.mark.parametrize("means", [[[0.0, np.inf], [1.0, 2.0]], [[0.0, np.nan], [1.0, 2.0]], [NAN, [np.nan, 2.0]]])
def test_a_mean_is_fixed_altogether_or_free(means):
    with pytest.raises(ValueError, match="finite for a component or NaN altogether"):
        Fixed(means=means)
