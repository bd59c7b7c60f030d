"""The parts of a climb one by one: when a component counts as lost, momentum, limits of a step."""

from dataclasses import replace

import numpy as np
import pytest

from mixtura import Mixture, Noise, e_step
from mixtura.core.acceleration import LEAST_ROW, Curvature, Point, QuasiNewton, _at, _later
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.structure import SingularError


@pytest.fixture
def point(make, rows):
    """A point of the plain likelihood, each row of weight 3."""
    start = make("full")
    return Point(start, e_step(start, rows, np.full(len(rows), 3.0)), registry.get("full"), Prior.none(2))


@pytest.mark.parametrize(("share", "dying"), [(0.9, True), (1.1, False)])
def test_a_component_without_a_hundredth_of_a_row_is_dying(point, share, dying):
    few = replace(point.statistics, n=np.array([80.0, share * LEAST_ROW * 3.0, 90.0]))
    assert replace(point, statistics=few).dying == dying
    weights = np.array([0.5, share * LEAST_ROW / point.statistics.rows, 0.5])
    model = Mixture(weights / weights.sum(), point.model.means, point.model.structure)
    assert replace(point, model=model).dying == dying


@pytest.mark.parametrize(("share", "dying"), [(0.9, True), (1.1, False)])
def test_noise_is_dying_when_its_weight_is_rounding(point, share, dying):
    noise = Noise.of_density(1e-3, share * np.finfo(np.float64).eps)
    model = Mixture((1 - noise.weight) * point.model.weights, point.model.means, point.model.structure, noise=noise)
    assert replace(point, model=model).dying == dying


def test_the_sequence_of_nesterov():
    inertia = 1.0
    for _ in range(20):
        later = _later(inertia)
        assert later * (later - 1) == pytest.approx(inertia**2)
        inertia = later


def test_curvature_is_forgotten_when_a_component_loses_or_regains_its_rows(point):
    lost = replace(point, statistics=replace(point.statistics, n=np.array([80.0, 0.0, 90.0])))
    one = np.eye(len(point.position))[0]
    for here, there in ((lost, point), (point, lost)):
        steps = QuasiNewton(curvature=Curvature.of(one, one, None))
        steps.learn(here, there)
        assert steps.curvature is None


def test_a_guide_that_says_nothing_is_asked_less_and_less_often(point, rows):
    passes, asked = [], []

    def guide(model):
        passes.append(model)
        return e_step(model, rows, np.full(len(rows), 3.0))

    steps = QuasiNewton(guide=guide)
    for _ in range(12):
        before = len(passes)
        assert steps._ask(point) is None
        asked.append(len(passes) > before)
    assert np.flatnonzero(asked).tolist() == [0, 2, 5, 10]


def test_rounding_is_some_last_digits_of_the_objective(point):
    size = abs(point.objective) + point.statistics.weight
    assert 1e-16 * size < point.rounding < 1e-14 * size


@pytest.mark.parametrize("logarithms", [(400.0, -400.0), (-800.0, 0.0), (np.nan, 0.0)], ids=str)
def test_a_step_out_of_the_range_of_double_precision(make, logarithms):
    like = make("diagonal", n_components=1)
    vector = np.concatenate([[0.0], like.means[0], logarithms])
    with pytest.raises(SingularError, match="range of double precision"), np.errstate(all="ignore"):
        _at(vector, like)
