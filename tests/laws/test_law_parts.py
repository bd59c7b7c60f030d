"""Noise, priors and what is fixed, with every family, together: the laws hold for whatever is combined."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
from test_law_ascent import assert_climbs
from test_law_sums import assert_same, assert_same_fit
from variants import (
    FIXED,
    PRIORS,
    READINGS,
    fixed_named,
    overlapping,
    prior_named,
    row_weights,
    start_for,
    with_clutter,
    with_noise,
)

from mixtura import Mixture, e_step, em, kernels, load, save
from mixtura.core.point import Point, model_at
from mixtura.covariance.registry import Family
from mixtura.sources import memory
from mixtura.sources.memory import Memory
from mixtura.start import by_responsibilities, mixture_of

ROWS, WEIGHTS = with_clutter(overlapping()), row_weights(240)

#: Every combination; those in which more than two things come together are left to the slow run.
COMBINED = [
    pytest.param(noise, prior, fixed, id=f"{'noise' if noise else 'no noise'}-{prior}-{fixed}", marks=marks)
    for noise, prior, fixed in itertools.product((False, True), PRIORS, FIXED)
    for marks in [[pytest.mark.slow] if noise and prior != "relative" and fixed not in {"nothing", "weights"} else []]
    if noise or fixed != "nothing"
]


def start_of(family: Family, noise: bool) -> Mixture:
    return with_noise(start_for(family, ROWS), ROWS) if noise else start_for(family, ROWS)


@pytest.mark.parametrize("accelerate", [True, False], ids=["accelerated", "plain"])
@pytest.mark.parametrize(("noise", "prior_name", "fixed_name"), COMBINED)
def test_the_objective_never_falls(family, noise, prior_name, fixed_name, accelerate):
    start, prior = start_of(family, noise), prior_named(prior_name, ROWS, 3)
    fixed = fixed_named(fixed_name, start, family)
    fit = em(start, ROWS, family, prior=prior, fixed=fixed, tol=1e-9, max_iter=80, accelerate=accelerate)
    assert_climbs(fit)
    prior_part = prior.log_density(fit.model.structure, fit.model.means)
    assert fit.objective == pytest.approx(fit.model.loglik(ROWS) + prior_part, rel=1e-12)
    assert fixed.keep(fixed.place(start, family), fit.model) == fit.model


@pytest.mark.parametrize(("noise", "prior_name", "fixed_name"), COMBINED)
def test_the_slope_is_the_derivative_along_what_is_free(family, noise, prior_name, fixed_name):
    if family.tangent is None:
        pytest.skip("the family has no coordinates")
    start, prior = start_of(family, noise), prior_named(prior_name, ROWS, 3)
    fixed = fixed_named(fixed_name, start, family)

    def point(model: Mixture) -> Point:
        return Point(model, e_step(model, ROWS, WEIGHTS), family, prior, fixed)

    here = point(fixed.place(start, family))
    for seed in range(3):
        share = np.random.default_rng(seed).dirichlet(np.ones(3), len(ROWS)) ** 3
        rule = by_responsibilities(share / share.sum(1, keepdims=True))
        elsewhere = mixture_of(rule, Memory(ROWS), 3, family, prior_named("relative", ROWS, 3))
        if noise:
            elsewhere = with_noise(elsewhere, ROWS, 0.3)
        direction = point(fixed.keep(here.model, elsewhere)).position - here.position
        direction /= np.linalg.norm(direction)
        step = 1e-4
        far = [point(model_at(here.position + m * step * direction, here.model)).objective for m in (-2, -1, 1, 2)]
        derivative = np.array([1.0, -8.0, 8.0, -1.0]) @ far / (12 * step) / WEIGHTS.sum()
        assert here.slope @ direction == pytest.approx(derivative, rel=2e-6, abs=1e-7)


@pytest.mark.parametrize("fixed_name", FIXED)
@pytest.mark.parametrize("noise", [False, True])
def test_both_ways_up_end_where_the_gradient_is_zero(family, noise, fixed_name):
    start = start_of(family, noise)
    fixed, prior = fixed_named(fixed_name, start, family), prior_named("conjugate", ROWS, 3)
    quick, plain = (
        em(start, ROWS, family, prior=prior, fixed=fixed, sample_weight=WEIGHTS, tol=1e-11, accelerate=accelerate)
        for accelerate in (True, False)
    )
    for fit in (quick, plain):
        assert fit.converged
        assert fit.gradient_norm < 1e-4
    assert quick.objective >= plain.objective - 1e-6 * abs(plain.objective)


def test_noise_is_summed_like_the_rest(family, kernel):
    model = start_of(family, noise=True)
    whole = e_step(model, ROWS, WEIGHTS)
    halves = e_step(model, ROWS[:77], WEIGHTS[:77]) + e_step(model, ROWS[77:], WEIGHTS[77:])
    assert_same(whole, halves)
    assert whole.noise == pytest.approx(halves.noise, rel=1e-12)
    assert whole.noise == pytest.approx(WEIGHTS @ model.noise_probability(ROWS), rel=1e-12)
    assert whole.noise + whole.n.sum() == pytest.approx(WEIGHTS.sum(), rel=1e-12)
    counts = np.random.default_rng(1).integers(0, 4, len(ROWS))
    fit = em(model, ROWS, family, sample_weight=counts.astype(float), tol=1e-9)
    again = em(model, np.repeat(ROWS, counts, axis=0), family, tol=1e-9)
    assert_same_fit(fit, again)
    assert fit.model.noise.weight == pytest.approx(again.model.noise.weight, rel=1e-6)
    assert kernel is kernels.choose(1, 1, 1)


def test_a_fit_with_noise_is_the_same_on_either_kernel_and_in_any_blocks(family, monkeypatch):
    start, fits = start_of(family, noise=True), []
    for name, reading in itertools.product(("reference", "compiled"), READINGS.values()):
        module = importlib.import_module(f"mixtura.kernels.{name}")
        monkeypatch.setattr(kernels, "choose", lambda *_, module=module: module)
        monkeypatch.setattr(memory, "BLOCK_ROWS", reading.block_rows)
        fits.append(em(start, Memory(ROWS, WEIGHTS, reading.n_threads), family, tol=1e-9))
    for fit in fits[1:]:
        assert_same_fit(fit, fits[0])
        assert fit.model.noise.weight == pytest.approx(fits[0].model.noise.weight, rel=1e-7)


def test_units_move_a_fit_with_noise(family):
    unit, offset = (
        np.array([1e-3, 1.0, 1e4] if family.maps in {"linear", "units"} else [1e-3] * 3),
        np.array([5.0, -1.0, 100.0]),
    )
    start = start_of(family, noise=True)
    one = em(start, ROWS, family, tol=1e-9).model
    other = em(start.transform(np.diag(unit), offset), ROWS * unit + offset, family, tol=1e-9).model
    assert other.noise.weight == pytest.approx(one.noise.weight, rel=1e-6)
    moved = one.transform(np.diag(unit), offset)
    assert other.logpdf(ROWS * unit + offset) == pytest.approx(moved.logpdf(ROWS * unit + offset), rel=1e-6)


def test_a_fit_with_noise_comes_back_from_a_file(family, tmp_path):
    model = em(start_of(family, noise=True), ROWS, family, max_iter=5).model
    save(model, tmp_path / "model", family=family.name)
    assert load(tmp_path / "model").mixture == model


@pytest.mark.parametrize("fixed_name", FIXED)
@pytest.mark.parametrize("noise", [False, True])
def test_momentum_keeps_to_what_is_fixed(family, noise, fixed_name):
    start, prior = start_of(family, noise), prior_named("relative", ROWS, 3)
    fixed = fixed_named(fixed_name, start, family)
    fit = em(start, ROWS, replace(family, tangent=None), prior=prior, fixed=fixed, tol=1e-9, max_iter=400)
    assert noise or "momentum" in {step.kind for step in fit.trace}
    assert_climbs(fit)
    assert fixed.keep(fixed.place(start, family), fit.model) == fit.model
