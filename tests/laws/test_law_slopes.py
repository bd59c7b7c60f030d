"""The gradient is the derivative, and it is zero at a fit."""

from __future__ import annotations

import numpy as np
import pytest
from variants import overlapping, prior_named, row_weights, start_for

from mixtura import Mixture, e_step, em
from mixtura.core.point import Point, model_at
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Full
from mixtura.sources.memory import Memory
from mixtura.start import by_responsibilities, mixture_of


def point(model: Mixture, rows: np.ndarray, weights: np.ndarray, family: Family, prior) -> Point:
    return Point(model, e_step(model, rows, weights), family, prior)


def elsewhere(family: Family, rows: np.ndarray, seed: int) -> Mixture:
    """Another member of the family."""
    share = np.random.default_rng(seed).dirichlet(np.ones(3), len(rows))
    rule = by_responsibilities(share**3 / (share**3).sum(1, keepdims=True))
    return mixture_of(rule, Memory(rows), 3, family, prior_named("relative", rows, 3))


@pytest.mark.usefixtures("kernel")
def test_the_slope_is_the_derivative_along_the_family(family, prior_name):
    if family.tangent is None:
        pytest.skip("the family has no coordinates")
    rows, weights = overlapping(), row_weights(240)
    prior = prior_named(prior_name, rows, 3)
    here = point(start_for(family, rows), rows, weights, family, prior)
    for seed in range(8):
        direction = point(elsewhere(family, rows, seed), rows, weights, family, prior).position - here.position
        direction /= np.linalg.norm(direction)
        step = 1e-4
        far = [
            point(model_at(here.position + m * step * direction, here.model), rows, weights, family, prior).objective
            for m in (-2, -1, 1, 2)
        ]
        derivative = np.array([1.0, -8.0, 8.0, -1.0]) @ far / (12 * step) / weights.sum()
        assert here.slope @ direction == pytest.approx(derivative, rel=2e-7, abs=1e-8)


def test_a_position_is_where_the_model_is(family):
    if family.tangent is None:
        pytest.skip("the family has no coordinates")
    rows = overlapping()
    model = start_for(family, rows)
    again = model_at(point(model, rows, np.ones(240), family, prior_named("none", rows, 3)).position, model)
    assert again.weights == pytest.approx(model.weights, rel=1e-14)
    assert again.means == pytest.approx(model.means, rel=1e-14)
    assert again.covariances == pytest.approx(model.covariances, rel=1e-13)


def fisher_norm(model: Mixture, rows: np.ndarray, weights: np.ndarray) -> float:
    """Length of S13, S15 and S17 in the metric of the complete-data Fisher information of one row."""
    gradient = model.gradient(rows, weights)
    total = weights.sum()
    of_weights = gradient.weights / total - 1.0
    square = float((model.weights * of_weights**2).sum())
    for k in range(model.n_components):
        sigma = model.covariances[k]
        of_mean, of_sigma = gradient.means[k] / total, gradient.covariances[k] / total
        square += float(of_mean @ sigma @ of_mean) / model.weights[k]
        square += 2.0 * float(np.trace(of_sigma @ sigma @ of_sigma @ sigma)) / model.weights[k]
    return float(np.sqrt(square))


@pytest.mark.usefixtures("kernel")
def test_the_gradient_norm_is_that_of_the_gradient():
    rows, weights = overlapping(), row_weights(240)
    start = start_for(family_full(), rows)
    for steps, rel in ((10, 0.1), (40, 0.02), (120, 1e-3)):
        fit = em(start, rows, "full", sample_weight=weights, tol=0.0, max_iter=steps, accelerate=False)
        assert fit.gradient_norm == pytest.approx(fisher_norm(fit.model, rows, weights), rel=rel)


def family_full() -> Family:
    from mixtura.covariance import registry

    return registry.get("full")


@pytest.mark.usefixtures("kernel")
def test_the_gradient_vanishes_at_a_fit(family, source_of):
    rows, weights = overlapping(), row_weights(240)
    fit = em(start_for(family, rows), source_of(rows, weights), family, tol=1e-14)
    assert fit.converged
    assert fit.gradient_norm < 1e-6
    model, total = fit.model, weights.sum()
    gradient = model.gradient(rows, weights)
    assert np.abs(gradient.weights / total - 1).max() < 1e-6  # S17: N_k/π_k = N
    scale = np.sqrt(np.diagonal(model.cov))
    assert np.abs(gradient.means * scale / total).max() < 1e-5
    # S15 along the family, on the way to what it makes of other scatters
    n, scatter = fit.statistics.n, fit.statistics.scatter()
    other = e_step(start_for(family, rows), rows, weights).scatter() - scatter
    step = 1e-5
    there, back = (family.update(n, scatter + sign * step * other).dense() for sign in (1, -1))
    away = (there - back) / (2 * step)
    assert np.abs(away / np.outer(scale, scale)).max() > 1e-3
    assert abs((gradient.covariances * away).sum()) / total < 1e-5


@pytest.mark.usefixtures("kernel")
def test_the_gradient_by_finite_differences():
    # S13, S15, S17 of the unconstrained log-likelihood Σ w log Σ π_k N(x | μ_k, Σ_k).
    rows, weights = overlapping(60, 2), row_weights(60)
    rng = np.random.default_rng(0)
    model = start_for(family_full(), rows)
    gradient = model.gradient(rows, weights)
    scale = np.sqrt(np.einsum("kii->ki", model.covariances))

    def loglik(pi: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> float:
        unit = Mixture(np.full(3, 1 / 3), means, Full.from_covariances(covariances))
        return float(weights @ np.log(np.exp(unit.log_joint(rows)) @ (3 * pi)))

    at = (model.weights, model.means, model.covariances)
    step = 1e-5
    for part in (0, 1, 2):
        direction = rng.standard_normal(at[part].shape)
        if part == 1:
            direction *= scale
        if part == 2:
            direction = (direction + direction.transpose(0, 2, 1)) * scale[:, :, None] * scale[:, None, :]
        moved = [[x + s * step * direction if i == part else x for i, x in enumerate(at)] for s in (1, -1)]
        derivative = (loglik(*moved[0]) - loglik(*moved[1])) / (2 * step)
        assert float((gradient[part] * direction).sum()) == pytest.approx(derivative, rel=1e-6)


@pytest.mark.usefixtures("kernel")
def test_the_em_step_gains_at_least_half_the_squared_norm_and_at_most_twice_that(family):
    rows = overlapping()
    fit = em(start_for(family, rows), rows, family, tol=0.0, max_iter=200, accelerate=False)
    gains = np.diff([step.loglik for step in fit.trace]) / 240
    ratio = gains / np.array([0.5 * step.gradient_norm**2 for step in fit.trace[:-1]])
    near = (gains > 1e-11) & (gains < 1e-6)  # where the first order says it all, and rounding little
    assert near.sum() > 3
    # the orientation of an ellipsoid that is not the scatter's own shape is worth less than the metric says
    assert ratio[near].min() > (0.7 if family.name in ("eev", "vev") else 0.98)
    assert ratio[near].max() < 2.02


@pytest.mark.usefixtures("kernel")
def test_the_gap_is_what_is_left_to_gain(family):
    rows = overlapping()
    start = start_for(family, rows)
    top = em(start, rows, family, tol=1e-15).loglik
    for accelerate in (True, False):
        fit = em(start, rows, family, tol=1e-6, accelerate=accelerate)
        assert (top - fit.loglik) / 240 < 1.1e-6  # that of plain EM is read off its last steps
