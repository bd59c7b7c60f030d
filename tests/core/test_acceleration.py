"""The parts of a climb one by one: when a component counts as lost, momentum, limits of a step."""

from dataclasses import replace

import numpy as np
import pytest

from mixtura import Mixture, Noise, e_step
from mixtura.core.acceleration import Curvature, QuasiNewton, _later
from mixtura.core.em import Stop, Task, climb_together
from mixtura.core.newton import UNMET, _least_curvature, _most_left, newton, newton_of_statistics
from mixtura.core.point import LEAST_ROW, Point, model_at
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.structure import SingularError
from mixtura.sources.memory import Memory


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
        model_at(vector, like)


# The end, looked at


def looked_at(probes, rows, weights=None):
    """What probes find on the rows."""
    model = next(probes)
    while True:
        try:
            model = probes.send(e_step(model, rows, weights))
        except StopIteration as ended:
            return ended.value


def near_the_top(start, rows, family, weights, passes):
    """Points some EM steps up, under the default prior, where the last of them leads, and the top."""
    family = registry.get(family)
    prior = Prior.relative(rows, weights, family)
    source = Memory(rows, weights)
    tasks = [
        Task(start, family, prior, Stop(0.0, limit), accelerate) for limit, accelerate in ((passes, False), (900, True))
    ]
    cut, top = climb_together(tasks, source)
    here = Point(cut.model, cut.statistics, family, prior)
    return here, replace(here, model=here.image, statistics=e_step(here.image, rows, weights)), top


@pytest.mark.parametrize("noise", [None, Noise.of_density(1e-3, 0.1)], ids=["", "noise"])
@pytest.mark.parametrize(("family", "passes"), [("full", 60), ("tied", 4), ("diag", 60)])
def test_among_statistics_the_newton_step_is_the_one_in_coordinates(make, family, passes, noise):
    """Two ways to the same numbers, which have the E-step and the M-step in common and nothing else."""
    kind = registry.get(family).kind
    true = make(kind, spread=1.5)
    rng = np.random.default_rng(3)
    rows = true.sample(400, rng)
    if noise is not None:
        rows = np.concatenate([rows, rng.uniform(-9, 9, (80, 2))])
    weights = rng.uniform(0.5, 2.0, len(rows))
    shares = true.weights * (1 if noise is None else 1 - noise.weight)
    start = Mixture(shares, true.means + 0.1, true.structure, noise=noise)
    here, there, top = near_the_top(start, rows, family, weights, passes)
    found = looked_at(newton_of_statistics(here), rows, weights)
    same = looked_at(newton(there, there.slope), rows, weights)
    gained = (there.objective - here.objective) / weights.sum()
    assert found.gap == pytest.approx(same.gap + gained, rel=0.01)
    assert found.gap == pytest.approx((top.objective - here.objective) / weights.sum(), rel=0.1)
    after = Point(found.ahead[0], e_step(found.ahead[0], rows, weights), here.family, here.prior)
    assert top.objective - after.objective < 0.1 * (top.objective - there.objective)


def quadratic(seed, size=12, steps=6):
    """Conjugate gradients by the book: lengths of the steps, ratios of residuals squared, error squared, residual."""
    rng = np.random.default_rng(seed)
    values = np.geomspace(0.01, 1.0, size)
    axes = np.linalg.qr(rng.normal(size=(size, size)))[0]
    matrix, right = axes @ np.diag(values) @ axes.T, rng.normal(size=size)
    x, residual = np.zeros(size), right
    ahead, shares, ratios = residual, [], []
    for _ in range(steps):
        left = residual @ residual
        shares.append(left / (ahead @ matrix @ ahead))
        x, residual = x + shares[-1] * ahead, residual - shares[-1] * matrix @ ahead
        ratios.append(residual @ residual / left)
        ahead = residual + ratios[-1] * ahead
    error = np.linalg.solve(matrix, right) - x
    return shares, ratios, error @ matrix @ error, residual @ residual, values[0]


@pytest.mark.parametrize("seed", range(10))
def test_what_the_residual_may_add_is_bounded_where_the_least_curvature_is_known(seed):
    shares, ratios, error, left, least = quadratic(seed)
    assert error <= (1 + 1e-9) * left * _most_left(shares, ratios, least)
    assert _most_left(shares, ratios, least) <= 1 / least
    assert _most_left(shares, ratios, UNMET * least) > _most_left(shares, ratios, least)


@pytest.mark.parametrize("steps", [1, 4, 12])
def test_the_least_curvature_is_met_from_above(steps):
    shares, ratios, _, _, least = quadratic(0, steps=steps)
    assert _least_curvature(shares, ratios) >= (1 - 1e-6) * least
    if steps == 12:
        assert _least_curvature(shares, ratios) == pytest.approx(least, rel=1e-4)
