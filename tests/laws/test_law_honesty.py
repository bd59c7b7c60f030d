"""What a fit says about itself is so: its log-likelihood to twelve digits, its gradient, and how far the top is."""

from __future__ import annotations

import numpy as np
import pytest
from test_law_ascent import log_density
from variants import overlapping, row_weights, start_for, with_clutter, with_noise

from mixtura import Mixture, em
from mixtura.choice import search
from mixtura.core.em import Fit, Stop, Task, climb_together, in_family
from mixtura.core.estep import e_step
from mixtura.core.point import Point
from mixtura.core.status import Status
from mixtura.covariance.prior import Prior
from mixtura.ground import Candidate, Settings
from mixtura.sources.memory import Memory

#: What is left to gain is an estimate.
SLACK = 1.5
#: Offset, whether rows carry weights, and whether there is noise.
INPUTS = {
    "plain": (0.0, False, False),
    "far from zero": (1e8, False, False),
    "with weights": (0.0, True, False),
    "with noise": (0.0, False, True),
    "with all": (-1e6, True, True),
}
OFTEN = ("far from zero", "with all")


@pytest.mark.parametrize("given", [pytest.param(x, marks=() if x in OFTEN else pytest.mark.slow) for x in INPUTS])
@pytest.mark.usefixtures("kernel")
def test_the_loglik_of_a_fit_to_fifty_digits(family, given):
    offset, weighted, noisy = INPUTS[given]
    rows = (with_clutter(overlapping(30)) if noisy else overlapping(30)) + offset
    weights = row_weights(30) if weighted else np.ones(30)
    start = start_for(family, rows)
    start = with_noise(start, rows) if noisy else start
    prior = Prior.relative(rows, weights, family)
    fit = em(start, rows, family, sample_weight=weights if weighted else None, prior=prior, max_iter=40)
    exact = np.array([log_density(fit.model, row) for row in rows])
    assert fit.model.logpdf(rows) == pytest.approx(exact, rel=1e-12)
    size = float(weights @ np.abs(exact))  # the terms have both signs
    assert abs(fit.loglik - float(weights @ exact)) < 1e-12 * size


def assert_honest(
    fit: Fit, rows: np.ndarray, tol: float, weights: np.ndarray | None = None, *, apart: bool = True
) -> None:
    """Gradient, objective and gap, measured anew at the parameters that were returned.

    Unless the components are ``apart``, further steps may part those that coincide: no gradient leads there.
    """
    here = Point(fit.model, e_step(fit.model, rows, weights), fit.family, fit.prior, fit.fixed)
    assert here.objective == pytest.approx(fit.objective, rel=1e-12)
    assert here.gradient_norm == pytest.approx(fit.gradient_norm, rel=1e-3, abs=1e-7)
    if not fit.converged:
        return
    assert 0.5 * here.gradient_norm**2 < max(tol, 1e-8)
    assert fit.gap < max(tol, 1e-8)
    if not apart:
        return
    further = em(
        fit.model, rows, fit.family, sample_weight=weights, prior=fit.prior, fixed=fit.fixed, tol=0.0, max_iter=400
    )
    assert (further.objective - fit.objective) / fit.statistics.weight < SLACK * max(tol, 1e-8)


@pytest.mark.parametrize("accelerate", [True, False], ids=["accelerated", "plain"])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_converged_means_that_the_top_is_as_near_as_it_says(family, accelerate, seed):
    rows = overlapping(120, seed=seed)
    prior = Prior.relative(rows, np.ones(120), family)
    fit = em(start_for(family, rows), rows, family, prior=prior, accelerate=accelerate)
    assert fit.converged
    assert_honest(fit, rows, 1e-6)


@pytest.mark.parametrize("spoil", ["ties", "a constant column", "a relation", "few rows", "copies"])
def test_what_is_said_of_a_hard_fit_is_so(often, spoil):
    rows = {
        "ties": np.round(overlapping(90)),
        "a constant column": np.column_stack([overlapping(90)[:, :2], np.full(90, -4.0)]),
        "a relation": overlapping(90) @ [[1.0, 0.0, 2.0], [0.0, 1.0, -1.0], [0.0, 0.0, 0.0]],
        "few rows": overlapping(9),
        "copies": np.repeat(overlapping(12), 5, axis=0),
    }[spoil]
    (cell,) = search(Memory(rows), [Candidate(3, often)], Settings(), seed=0)
    assert cell.fit is not None
    said = {note.name for note in cell.notes}
    assert_honest(cell.fit, *sample_of(rows), apart="coinciding components" not in said)


def sample_of(rows: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Distinct rows, the tolerance, and how often each row occurs."""
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    return distinct, 1e-6, counts.astype(float)


def test_a_limit_of_passes_is_no_convergence(family):
    rows = overlapping()
    fit = em(start_for(family, rows), rows, family, max_iter=2)
    assert not fit.converged
    assert fit.gap > 1e-6
    assert_honest(fit, rows, 1e-6)


def test_one_climb_that_fails_leaves_the_others_alone(family):
    rows = np.vstack([overlapping(60), np.repeat([[50.0, 50.0, 50.0]], 5, axis=0)])
    good, prior, stop = start_for(family, rows), Prior.none(3), Stop(1e-6, 50)
    spike = Mixture(good.weights, [*good.means[:2], [50.0, 50.0, 50.0]], np.repeat([1e-3 * np.eye(3)], 3, axis=0))
    tasks = [Task(start, family, prior, stop) for start in (good, in_family(spike, family))]
    one, other = climb_together(tasks, Memory(rows))
    (alone,) = climb_together(tasks[:1], Memory(rows))
    assert one.trace == alone.trace
    assert one.model == alone.model
    if family.name in ("full", "diag", "spherical"):
        assert other.status is Status.SINGULAR
