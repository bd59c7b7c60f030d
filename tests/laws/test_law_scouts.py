"""Scouts make the steps of EM: what they find in machine code is what the library finds elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from variants import PRIORS, overlapping, prior_named, row_weights, start_for

from mixtura import Mixture, Noise, e_step, m_step
from mixtura.core.em import Stop, Task, climb_together
from mixtura.core.point import Point
from mixtura.covariance import registry
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Full
from mixtura.diagnosis import misplaced_components
from mixtura.scouts import Aim, Land, Scout
from mixtura.sources import sketch
from mixtura.sources.memory import Memory

NOISE = Noise.of_density(1e-4, weight=0.1)


def scout_for(family: Family, n_components: int = 3, weights=None, prior_name: str = "relative", noise=None):
    """A scout, and the rows and weights that it sees."""
    rows = overlapping()
    sample = sketch.sample(Memory(rows, weights), 5_000)
    prior = prior_named(prior_name, rows, n_components, family)
    return Scout(Land.of(sample, noise), Aim(n_components, family, prior)), sample


def start_of(scout: Scout) -> Mixture:
    sample, noise = scout.land.sample, scout.land.noise
    start = start_for(scout.aim.family, sample.rows, scout.n_components, sample.weights)
    return start if noise is None else Mixture(0.9 * start.weights, start.means, start.structure, noise=noise)


def climbed(scout: Scout, start, steps: int):
    """The mixture and its height, so many steps on."""
    stack = scout.land.stack(start)
    (height,) = scout.climb(stack, steps)
    return scout.land.mixture(stack, scout.aim.family), float(height)


@pytest.mark.parametrize("noise", [None, NOISE], ids=["no noise", "noise"])
@pytest.mark.parametrize("prior_name", PRIORS)
def test_a_step_is_that_of_em(family, prior_name, noise):
    scout, sample = scout_for(family, weights=row_weights(240), prior_name=prior_name, noise=noise)
    start, prior = start_of(scout), scout.aim.prior
    mine, height = climbed(scout, start, 1)
    theirs = m_step(start, e_step(start, sample.rows, sample.weights), family, prior)
    unit = sample.rows.std(0)
    assert_allclose(mine.weights, theirs.weights, rtol=1e-10)
    if noise is not None:
        assert mine.noise.weight == pytest.approx(theirs.noise.weight, rel=1e-10)
        assert mine.noise.weight > 0.01
    assert_allclose(mine.means / unit, theirs.means / unit, atol=1e-9)
    if not family.continues:  # found without iteration
        units = unit * unit[:, None]
        assert_allclose(mine.covariances / units, theirs.covariances / units, atol=1e-9)
    here = Point(mine, e_step(mine, sample.rows, sample.weights), family, prior)
    assert height == pytest.approx(here.objective, rel=1e-11)


def crowded(family: Family, sample: sketch.Sample, which: str) -> Mixture:
    """Four components, the last of which is as it should be, without rows, flat, or all prior."""
    start = start_for(family, sample.rows, 4, sample.weights)
    weights, means, covariances = start.weights.copy(), start.means.copy(), start.covariances.copy()
    if which == "far":
        means[3] += 1e3 * sample.rows.std(0)
    elif which != "sound":
        shrink = {"narrow": 1e-14, "thin": 3e-5}[which]
        means[3] = sample.rows[7]
        covariances[3] *= shrink if family.kind == "diagonal" else 1.0
        if family.kind != "diagonal":  # across one direction alone
            axis = np.linalg.eigh(covariances[3])[1][:, -1]
            covariances[3] -= (1 - shrink) * (axis @ covariances[3] @ axis) * np.outer(axis, axis)
    return Mixture(weights, means, family.nearest(Full.from_covariances(covariances), weights))


@pytest.mark.parametrize("which", ["sound", "far", "narrow", "thin"])
@pytest.mark.parametrize("prior_name", ["relative", "conjugate"])
def test_misplaced_components_are_those_of_the_diagnosis(family, prior_name, which):
    scout, sample = scout_for(family, 4, prior_name=prior_name)
    stack = scout.land.stack(crowded(family, sample, which))
    (height,), (misplaced,) = scout.ascend(stack, np.array([[1, 1]]), -np.inf)
    assert height > -np.inf
    end = scout.land.mixture(stack, family)
    (fit,) = climb_together([Task(end, family, scout.aim.prior, Stop(max_iter=0))], sample)
    assert misplaced == len(misplaced_components(fit))


@pytest.mark.parametrize("noise", [None, NOISE], ids=["no noise", "noise"])
def test_every_step_climbs(family, noise):
    scout, _ = scout_for(family, noise=noise)
    start = start_of(scout)
    heights = [climbed(scout, start, steps)[1] for steps in range(1, 60)]
    assert np.diff(heights).min() >= 0
    assert heights[-1] > heights[0]


def test_the_end_is_the_top_of_a_hill(family):
    scout, sample = scout_for(family)
    stack = scout.land.stack(start_of(scout))
    (height,) = scout.climb(stack, 3_000, 1e-13)
    end = scout.land.mixture(stack, family)
    (fit,) = climb_together([Task(end, family, scout.aim.prior, Stop(1e-9))], sample)
    assert fit.converged
    assert fit.objective - height < 1e-6 * sample.weight
    assert fit.objective >= height - 1e-9 * abs(height)


@pytest.mark.parametrize("from_family", ["full", "eii", "vve"])
def test_a_start_of_another_family_is_brought_into_this_one(family, from_family):
    scout, sample = scout_for(family)
    other = start_for(registry.get(from_family), sample.rows, 3, sample.weights)
    found, height = climbed(scout, other, 5)
    assert found.structure.kind == family.kind
    assert_allclose(family.nearest(found.structure, found.weights).log_det(), found.structure.log_det(), rtol=1e-6)
    here = Point(found, e_step(found, sample.rows, sample.weights), family, scout.aim.prior)
    assert height == pytest.approx(here.objective, rel=1e-10)


def test_one_component_is_found_at_once(family):
    scout, sample = scout_for(family, 1)
    found, height = climbed(scout, start_of(scout), 3)
    (fit,) = climb_together([Task(found, family, scout.aim.prior, Stop(1e-12))], sample)
    assert height == pytest.approx(fit.objective, rel=1e-12)
