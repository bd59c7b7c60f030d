"""The objective never falls; what is reported about it is true."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from variants import overlapping, prior_named, row_weights, slices, start_for

from mixtura import Mixture, Status, em
from mixtura.core.em import Fit, in_family
from mixtura.covariance.prior import Prior
from mixtura.sources.memory import Memory
from mixtura.start import by_labels, mixture_of


def assert_climbs(fit: Fit) -> None:
    objective = np.array([step.objective for step in fit.trace])
    rounding = 16 * np.finfo(float).eps * (np.abs(objective).max() + fit.statistics.weight)
    assert len(objective) > 1
    assert np.diff(objective).min() >= -rounding


@pytest.mark.parametrize("accelerate", [True, False], ids=["accelerated", "plain"])
@pytest.mark.usefixtures("kernel")
def test_the_objective_never_falls(family, prior_name, accelerate):
    rows = overlapping()
    prior = prior_named(prior_name, rows, 3)
    fit = em(start_for(family, rows), rows, family, prior=prior, tol=1e-10, max_iter=150, accelerate=accelerate)
    assert_climbs(fit)
    assert fit.objective == pytest.approx(
        fit.loglik + prior.log_density(fit.model.structure, fit.model.means), rel=1e-12
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_objective_never_falls_from_bad_starts(family, seed):
    # Ties, few rows, more components than groups, labels at random, a heavy prior: the hard way up.
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 6, size=(40, 2)) * np.array([1.0, 1e-5])
    prior = Prior.absolute(0.3, 40, 5, 2) if seed % 2 else Prior.relative(rows, np.ones(40), family)
    start = mixture_of(by_labels(rng.integers(0, 5, 40), 5), Memory(rows), 5, family, prior, lean=1.0)
    assert_climbs(em(start, rows, family, prior=prior, tol=1e-10, max_iter=100))


@pytest.mark.parametrize("spoil", ["a constant column", "an exact linear relation"])
def test_the_objective_never_falls_where_rows_do_not_vary(family, spoil):
    rows = overlapping()
    rows[:, 2] = 7.0 if spoil == "a constant column" else rows[:, 0] - 3 * rows[:, 1]
    prior = Prior.relative(rows, np.ones(len(rows)), family)
    fit = em(start_for(family, rows), rows, family, prior=prior, tol=1e-8, max_iter=1000)
    assert_climbs(fit)
    assert fit.status.converged
    further = em(fit.model, rows, family, prior=prior, tol=0.0, max_iter=50, accelerate=False)
    assert further.objective - fit.objective < 1e-6 * len(rows)


@pytest.mark.usefixtures("kernel")
def test_plain_em_takes_the_steps_of_the_formulas(family):
    rows, weights = overlapping(), row_weights(240)
    model = start_for(family, rows)
    fit = em(model, rows, family, sample_weight=weights, tol=0.0, max_iter=3, accelerate=False)
    for step in fit.trace:
        assert step.loglik == pytest.approx(model.loglik(rows, weights), rel=1e-12)
        share = weights[:, None] * model.responsibilities(rows)
        n = share.sum(0)
        means = share.T @ rows / n[:, None]
        scatter = np.stack([(share[:, [k]] * (rows - means[k])).T @ (rows - means[k]) for k in range(3)])
        by_kind = {"full": scatter, "tied": scatter.sum(0), "diagonal": np.diagonal(scatter, axis1=1, axis2=2)}
        model = Mixture(n / n.sum(), means, family.update(n, by_kind[family.kind]))
    assert len(fit.trace) == 4


@pytest.mark.usefixtures("kernel")
def test_the_loglik_belongs_to_the_returned_parameters(family, source_of):
    rows, weights = overlapping(), row_weights(240)
    for stop in ({"max_iter": 2}, {"tol": 1e-9}):
        fit = em(start_for(family, rows), source_of(rows, weights), family, **stop)
        assert fit.loglik == pytest.approx(fit.model.loglik(rows, weights), rel=1e-12)
        assert fit.loglik == fit.statistics.loglik == fit.trace[-1].loglik


@pytest.mark.usefixtures("kernel")
def test_densities_of_a_fit_to_fifty_digits(family):
    rows = overlapping()
    model = em(start_for(family, rows), rows, family).model
    few = rows[::40]
    exact = [log_density(model, row) for row in few]
    assert model.logpdf(few) == pytest.approx(exact, rel=1e-12)
    assert model.loglik(few) == pytest.approx(float(sum(exact)), rel=1e-12)


def log_density(model: Mixture, row: np.ndarray) -> float:
    with mpmath.workdps(50):
        total = mpmath.mpf(0)
        for k in range(model.n_components):
            lower = mpmath.matrix(model.structure.factor(k).tolist())
            centred = mpmath.matrix([mpmath.mpf(float(x)) - float(m) for x, m in zip(row, model.means[k], strict=True)])
            white = mpmath.lu_solve(lower, centred)
            volume = mpmath.fprod(lower[j, j] for j in range(len(row)))
            square = mpmath.fsum(white[j] ** 2 for j in range(len(row)))
            scale = (2 * mpmath.pi) ** (-mpmath.mpf(len(row)) / 2) / volume
            total += mpmath.mpf(float(model.weights[k])) * scale * mpmath.exp(-square / 2)
        if model.noise is not None:
            total += mpmath.mpf(model.noise.weight) * mpmath.exp(mpmath.mpf(model.noise.log_density))
        return float(mpmath.log(total))


@pytest.mark.usefixtures("kernel")
def test_the_densities_of_the_labels_sum_to_the_density(family):
    # S9, and S10: also where every density underflows.
    rows = overlapping()
    model = em(start_for(family, rows), rows, family).model
    far = np.vstack([rows, rows.mean(0) + 1e5, np.full(3, 1e200)])
    joint = model.log_joint(far)
    assert np.logaddexp.reduce(joint, axis=1) == pytest.approx(model.logpdf(far), rel=1e-12)
    share = model.responsibilities(far)
    assert np.isfinite(share).all()
    assert share.sum(1) == pytest.approx(np.ones(len(far)), abs=1e-14)


@pytest.mark.usefixtures("kernel")
def test_one_component_is_the_sample_mean_and_covariance(family, source_of):
    rows, weights = overlapping(50), row_weights(50)
    for w in (None, weights):
        prior = Prior.relative(rows, np.ones(50) if w is None else w, family)
        fit = em(start_for(family, rows, 1), source_of(rows, w), family, prior=prior, tol=1e-12)
        covariance = np.cov(rows.T, aweights=w, ddof=0)
        if family.kind == "diagonal":
            covariance = np.diag(np.diagonal(covariance))
        if family.isotropic:
            covariance = np.eye(3) * np.diagonal(covariance).mean()
        scale = np.sqrt(np.diagonal(covariance))
        assert np.abs((fit.model.means[0] - np.average(rows, axis=0, weights=w)) / scale).max() < 1e-9
        assert np.abs((fit.model.covariances[0] - covariance) / np.outer(scale, scale)).max() < 1e-9
        assert fit.status is Status.CONVERGED


def test_a_fit_recovers_the_mixture_that_the_rows_came_from(family):
    rng = np.random.default_rng(3)
    factor = np.tril(rng.standard_normal((3, 2, 2)) * 0.3) + np.eye(2)
    dense = factor @ factor.transpose(0, 2, 1) * np.array([0.3, 0.6, 1.0])[:, None, None]
    truth = in_family(Mixture([0.5, 0.2, 0.3], [[-4.0, 0.0], [0.0, 1.0], [4.0, -1.0]], dense), family)
    rows = truth.sample(20_000, rng)
    model = em(mixture_of(by_labels(slices(rows, 3), 3), Memory(rows), 3, family, Prior.none(2)), rows, family).model
    # Standard errors are about √(1/(0.2 · 20000)) = 0.016.
    assert model.weights == pytest.approx(truth.weights, abs=0.03)
    assert np.abs(model.means - truth.means).max() < 0.08
    assert np.abs(model.covariances - truth.covariances).max() < 0.12
