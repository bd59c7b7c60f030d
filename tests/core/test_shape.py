"""Probabilities, quantiles, regions, modes and entropy, against scipy, quadrature, grids and long samples."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, optimize, stats

from mixtura import Gaussian, Mixture
from mixtura.covariance.structure import Diagonal, Tied

from .conftest import random_mixture

THREE = Mixture([0.2, 0.5, 0.3], [-4.0, 0.0, 3.0], [0.25, 1.0, 4.0])


def sum_of_normals(model, what, x):
    pairs = zip(model.weights, model.means[:, 0], model.covariances[:, 0, 0], strict=True)
    return sum(w * getattr(stats.norm(m, np.sqrt(v)), what)(x) for w, m, v in pairs)


# cdf


def test_cdf_in_one_dimension():
    x = np.array([-np.inf, -50.0, -4.0, 0.0, 1.5, 30.0, np.inf])
    assert_allclose(THREE.cdf(x), sum_of_normals(THREE, "cdf", x), rtol=1e-13)
    assert THREE.cdf(-np.inf) == 0
    assert THREE.cdf(np.inf) == 1
    assert np.isnan(THREE.cdf(np.nan))


def test_cdf_is_a_product_when_columns_are_uncorrelated(make):
    model = make("diagonal", n_features=5)
    X = np.random.default_rng(0).normal(scale=3, size=(10, 5))
    X[0] = np.inf
    X[1, 2] = -np.inf
    scale = np.sqrt(np.diagonal(model.covariances, axis1=1, axis2=2))
    expected = stats.norm(model.means, scale).cdf(X[:, None, :]).prod(2) @ model.weights
    value, error = model.cdf(X, return_error=True)
    assert_allclose(value, expected, rtol=1e-12)
    assert_array_equal(error, 0)
    full = Mixture(model.weights, model.means, model.covariances)
    assert_allclose(full.cdf(X), expected, rtol=1e-12)


@pytest.mark.parametrize("correlation", [-0.999, -0.5, 0.3, 0.95, 1 - 1e-9])
def test_cdf_in_two_dimensions_by_quadrature(correlation):
    rest = np.sqrt((1 - correlation) * (1 + correlation))
    limits = np.array(
        [[0.0, 0.0], [0.0, 1.0], [-0.7, 0.0], [1.2, -0.4], [-2.0, -1.5], [0.0, -0.3], [np.inf, 0.4], [9.0, 9.0]]
    )

    def by_quadrature(a, b):
        def inner(x):
            return stats.norm.pdf(x) * stats.norm.cdf((b - correlation * x) / rest)

        where = [b / correlation, a] if np.isfinite(b) else [a]
        points = sorted({float(np.clip(p + d, -12, 12)) for p in where for d in (-5 * rest, 0, 5 * rest)})
        edges = [-12, *(p for p in points if -12 < p < min(a, 12)), min(a, 12)]
        return sum(integrate.quad(inner, lo, hi, epsabs=1e-14, epsrel=1e-13)[0] for lo, hi in pairwise(edges))

    model = Gaussian([0, 0], [[1, correlation], [correlation, 1]])
    expected = [by_quadrature(a, b) for a, b in limits]
    assert_allclose(model.cdf(limits), expected, rtol=1e-9, atol=1e-11)
    quarter = 0.25 + np.arcsin(correlation) / (2 * np.pi)
    assert_allclose(model.cdf([0, 0]), quarter, rtol=1e-9)


def test_cdf_of_equicorrelated_columns():
    """P(all ≤ 0) = 1/(D + 1) when every correlation is ½."""
    for n_features in (3, 6):
        model = Gaussian(np.zeros(n_features), 0.5 + 0.5 * np.eye(n_features))
        assert_allclose(model.cdf(np.zeros(n_features), rng=0), 1 / (n_features + 1), rtol=2e-4)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_cdf_in_several_dimensions_and_its_error(make, kind):
    model = make(kind, n_features=4)
    X = model.sample(6, 1) + 1
    value, error = model.cdf(X, rng=0, return_error=True)
    pairs = zip(model.weights, model.means, model.covariances, strict=True)
    expected = sum(
        w * stats.multivariate_normal.cdf(X, m, c, abseps=1e-6, releps=1e-6, maxpts=100_000) for w, m, c in pairs
    )
    assert (error > 0).all()
    assert (error < 1e-4).all()
    assert (np.abs(value - expected) < 6 * error + 1e-6).all()
    assert_array_equal(model.cdf(X, rng=0), value)


def test_cdf_errors_are_honest(make):
    """Over repetitions, the estimates scatter as their standard errors say."""
    model = make(n_features=3)
    point = model.mean
    repeats = np.array([model.cdf(point, rng=i, return_error=True) for i in range(40)])
    claimed = np.sqrt(np.square(repeats[:, 1]).mean())
    assert 0.5 < repeats[:, 0].std() / claimed < 2


def test_cdf_with_infinite_limits(make):
    model = make(n_features=3)
    point = np.array([0.5, np.inf, -0.2])
    assert_allclose(model.cdf(point, rng=0), model.marginal([0, 2]).cdf(point[[0, 2]]), rtol=1e-4)
    assert_allclose(model.cdf(np.full(3, np.inf), rng=0), 1, rtol=1e-12)
    assert model.cdf([0.0, 0.0, -np.inf], rng=0) == 0
    assert np.isnan(model.cdf([0.0, 0.0, np.nan], rng=0))


def test_cdf_in_any_units(make):
    for n_features in (2, 3):
        model = make(n_features=n_features)
        unit = np.logspace(-150, 150, n_features)
        point = model.mean
        assert_allclose(model.transform(np.diag(unit)).cdf(point * unit, rng=0), model.cdf(point, rng=0), rtol=1e-6)


def test_cdf_of_many_rows(make):
    model = make()
    X = np.random.default_rng(0).normal(size=(9000, 2))
    assert_allclose(model.cdf(X)[[0, 8191, 8192, -1]], model.cdf(X[[0, 8191, 8192, -1]]), rtol=1e-13)


def test_cdf_without_empty_components():
    spare = Mixture([0.0, 1.0], [-50.0, 0.0], [1e-9, 1.0])
    assert_allclose(spare.cdf([0.0, -1.0]), stats.norm.cdf([0.0, -1.0]), rtol=1e-14)


# ppf


@pytest.mark.parametrize("q", [1e-300, 1e-20, 1e-3, 0.2, 0.35, 0.5, 0.77, 0.999])
def test_ppf_inverts_the_cdf(q):
    assert_allclose(sum_of_normals(THREE, "cdf", THREE.ppf(q)), q, rtol=1e-11)


@pytest.mark.parametrize("tail", [1e-2, 1e-9, 2.0**-53])
def test_ppf_in_the_upper_tail(tail):
    assert_allclose(sum_of_normals(THREE, "sf", THREE.ppf(1 - tail)), 1 - (1 - tail), rtol=1e-11)


def test_ppf_limits_and_shapes():
    assert_array_equal(THREE.ppf([0, 1, np.nan]), [-np.inf, np.inf, np.nan])
    assert np.shape(THREE.ppf(0.3)) == ()
    assert THREE.ppf([[0.1, 0.2], [0.3, 0.4]]).shape == (2, 2)
    assert THREE.ppf([]).shape == (0,)


@pytest.mark.parametrize(("factor", "offset"), [(1e-150, 0.0), (1e150, 0.0), (1.0, 1e8), (-2.0, 0.0)])
def test_ppf_in_any_units(factor, offset):
    q = np.array([1e-12, 0.1, 0.4, 0.6, 0.99]) if factor > 0 else np.array([0.01, 0.25, 0.75, 0.99])
    there = THREE.transform(factor, offset).ppf(q)
    here = factor * THREE.ppf(q if factor > 0 else 1 - q) + offset
    assert_allclose(there, here, rtol=1e-13)


def test_ppf_between_components_of_very_different_scale():
    model = Mixture([0.5, 0.5], [0.0, 0.0], [1e-300, 1e300])
    q = np.array([0.01, 0.3, 0.6, 0.999])
    assert_allclose(sum_of_normals(model, "cdf", model.ppf(q)), q, rtol=1e-10)


def test_ppf_between_components_far_apart():
    model = Mixture([0.5, 0.5], [-8.0, 8.0], [1.0, 1.0])
    assert_allclose(model.ppf(0.5), 0, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(q=st.floats(1e-12, 1 - 1e-12), seed=st.integers(0, 50), n_components=st.integers(1, 6))
def test_ppf_everywhere(q, seed, n_components):
    model = random_mixture("full", n_components, 1, seed)
    x = model.ppf(q)
    assert_allclose(sum_of_normals(model, "cdf" if q < 0.5 else "sf", x), min(q, 1 - q), rtol=1e-9)


@pytest.mark.parametrize("q", [-0.1, 1.1, [0.5, 2.0], np.inf])
def test_ppf_outside_the_unit_interval(q):
    with pytest.raises(ValueError, match="between 0 and 1"):
        THREE.ppf(q)


def test_ppf_in_several_dimensions(make):
    with pytest.raises(ValueError, match="one dimension"):
        make().ppf(0.5)


# Regions of highest density


def region_by_grid(model, probability):
    """The level by sorting the cells of a fine grid."""
    x = np.linspace(-12, 20, 400_001)
    density = np.sort(sum_of_normals(model, "pdf", x))[::-1]
    inside = np.cumsum(density) * (x[1] - x[0])
    return density[np.searchsorted(inside, probability)]


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9, 0.999])
def test_density_level_in_one_dimension(probability):
    level = THREE.density_level(probability)
    assert_allclose(level, region_by_grid(THREE, probability), rtol=2e-4)
    assert level.standard_error == 0
    assert_allclose(np.exp(THREE.log_density_level(probability)), level, rtol=1e-12)


@pytest.mark.parametrize("probability", [0.2, 0.95])
def test_density_level_in_one_dimension_by_quadrature(probability):
    """The integral of p over the region {p ≥ c}, whose ends brentq finds."""
    level = float(THREE.density_level(probability))

    def above(x):
        return sum_of_normals(THREE, "pdf", x) - level

    grid = np.linspace(-15, 20, 2001)
    signs = np.sign(above(grid))
    crossed = np.flatnonzero(signs[1:] != signs[:-1])
    ends = [optimize.brentq(above, grid[i], grid[i + 1], xtol=1e-14) for i in crossed]
    mass = np.diff(sum_of_normals(THREE, "cdf", np.array(ends)))[::2].sum()
    assert_allclose(mass, probability, rtol=1e-10)


@pytest.mark.parametrize("probability", [1e-9, 1 - 1e-12])
def test_density_level_at_the_ends(probability):
    level = THREE.log_density_level(probability)
    if probability < 0.5:
        assert_allclose(level, THREE.modes().logpdf[0], atol=1e-9)
    else:
        assert -60 < level < -20
    assert THREE.log_density_level(0.01) > THREE.log_density_level(0.99)


@pytest.mark.parametrize(("factor", "offset"), [(1e-150, 0.0), (1e150, 0.0), (1.0, 1e8)])
def test_density_level_in_any_units(factor, offset):
    moved = THREE.transform(factor, offset).log_density_level(0.8)
    assert_allclose(moved + np.log(factor), THREE.log_density_level(0.8), atol=1e-6 if offset else 1e-10)


def test_density_level_in_several_dimensions(make):
    model = make(n_features=3)
    rows = model.sample(200_000, 5)
    for probability in (0.1, 0.8):
        level = model.log_density_level(probability, rng=0)
        share = (model.logpdf(rows) >= level).mean()
        assert_allclose(share, probability, atol=0.01)
        assert 0 < level.standard_error < 0.05
    estimates = [model.log_density_level(0.8, rng=i, n=2000) for i in range(40)]
    assert 0.5 < np.std(estimates) / np.mean([e.standard_error for e in estimates]) < 2


def test_density_level_agrees_with_the_exact_one():
    """Two equal components are one Gaussian, whose level is known."""
    one = Gaussian([1, 2], [[2, 0.5], [0.5, 1]])
    two = Mixture([0.4, 0.6], [[1, 2]] * 2, [[[2, 0.5], [0.5, 1]]] * 2)
    estimate = two.density_level(0.7, rng=0)
    assert abs(estimate - one.density_level(0.7)) < 5 * estimate.standard_error


def test_log_density_level_beyond_the_range_of_densities():
    model = Gaussian(np.zeros(100), np.eye(100) * 1e-8)
    assert np.isfinite(model.log_density_level(0.5))
    assert model.density_level(0.5) == np.inf


@pytest.mark.parametrize("probability", [0, 1, -0.5, 1.5, np.nan])
def test_density_level_of_no_probability(probability):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        THREE.density_level(probability)


def test_density_level_needs_two_draws(make):
    with pytest.raises(ValueError, match="at least 2"):
        make().density_level(0.5, n=1)


# Modes


def assert_maxima(model, found):
    """Zero gradient, negative definite Hessian (by finite differences), density in falling order."""
    n_features = model.n_features
    for x, height in zip(found.points, found.logpdf, strict=True):
        assert_allclose(model.logpdf(x[None])[0], height, rtol=1e-13)
        step = 1e-4 * np.eye(n_features)
        up, down = model.logpdf(x + step), model.logpdf(x - step)
        assert_allclose((up - down) / 2e-4, 0, atol=1e-6)
        hessian = np.empty((n_features, n_features))
        for i in range(n_features):
            for j in range(n_features):
                corners = [x + a * step[i] + b * step[j] for a in (1, -1) for b in (1, -1)]
                f = model.logpdf(np.array(corners))
                hessian[i, j] = (f[0] - f[1] - f[2] + f[3]) / 4e-8
        assert np.linalg.eigvalsh(hessian)[-1] < 0
    assert (np.diff(found.logpdf) <= 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_modes_in_one_dimension_are_those_of_a_grid(make, seed):
    model = make(n_components=6, n_features=1, seed=seed, spread=3.0)
    x = np.linspace(-15, 15, 60_001)
    density = sum_of_normals(model, "pdf", x)
    peaks = x[1:-1][(density[1:-1] > density[:-2]) & (density[1:-1] > density[2:])]
    found = model.modes()
    assert_allclose(np.sort(found.points[:, 0]), peaks, atol=1e-3)
    assert_maxima(model, found)


@pytest.mark.parametrize("n_features", [2, 5])
def test_modes_in_several_dimensions(make, kind, n_features):
    model = make(kind, 5, n_features, seed=1)
    found = model.modes()
    assert_maxima(model, found)
    # the global one: nothing in a large sample, nor any climb from it, is higher
    rows = model.sample(20_000, 0)
    best = rows[model.logpdf(rows).argmax()]
    climbed = optimize.minimize(lambda x: -model.logpdf(x[None])[0], best, method="Nelder-Mead")
    assert found.logpdf[0] >= -climbed.fun - 1e-9


def test_modes_of_one_component():
    found = Mixture([1.0], [[3.0, 4.0]], [np.eye(2)]).modes()
    assert_allclose(found.points, [[3, 4]], rtol=1e-14)


@pytest.mark.parametrize(
    ("distance", "count"),
    [(0.5, 1), (1.0, 1), (1.001, 2), (5.0, 2)],
    ids=["one", "just one", "just two", "two"],
)
def test_two_equal_components_part_at_two_standard_deviations(distance, count):
    found = Mixture([0.5, 0.5], [-distance, distance], [1.0, 1.0]).modes()
    assert len(found.points) == count
    assert_allclose(found.points.sum(), 0, atol=1e-6)


def test_a_mean_on_a_saddle_or_in_a_trough_is_left():
    model = Mixture([0.48, 0.04, 0.48], [[-2, 0], [0, 0], [2, 0]], [np.eye(2) * 0.25, np.eye(2) * 9, np.eye(2) * 0.25])
    found = model.modes()
    assert len(found.points) == 2
    assert_maxima(model, found)
    other = Mixture([0.4, 0.2, 0.4], [-1.5, 0.0, 1.5], [0.2, 5.0, 0.2])
    assert len(other.modes().points) == 2


def test_more_modes_than_components():
    """Three round components at the corners of a triangle have a fourth mode amid them (Carreira-Perpiñán 2003)."""
    angle = np.array([0, 2, 4]) * np.pi / 3
    corners = np.column_stack([np.cos(angle), np.sin(angle)])
    model = Mixture(np.full(3, 1 / 3), corners, Tied(np.sqrt(0.52) * np.eye(2), 3))
    found = model.modes()
    assert len(found.points) == 4
    assert np.linalg.norm(found.points, axis=1).min() < 1e-6


def test_the_highest_mode_may_be_that_of_a_light_component():
    model = Mixture([0.95, 0.05], [0.0, 5.0], [100.0, 1e-6])
    found = model.modes()
    assert_allclose(found.points[0], 5, atol=1e-3)
    assert_allclose(found.points[1], 0, atol=0.5)


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_modes_in_any_units(make, offset):
    model = make(seed=3, spread=1.5)
    unit = np.array([1e-3, 1e5])
    moved = model.transform(np.diag(unit), offset * unit).modes()
    here = model.modes()
    assert_allclose(moved.points / unit - offset, here.points, atol=1e-6 if offset else 1e-9)


def test_modes_in_units_beyond_squares(make):
    model = make(seed=3, spread=1.5)
    unit = np.array([1e-150, 1e150])
    assert_allclose(model.transform(np.diag(unit)).modes().points / unit, model.modes().points, atol=1e-9)


def test_modes_do_not_depend_on_the_order_of_components(make):
    model = make(n_components=4, seed=2)
    here, there = model.modes(), model.reorder([3, 1, 0, 2]).modes()
    assert_allclose(here.points, there.points, atol=1e-8)


# Entropy


def test_a_density_level_is_the_quantile_of_the_density_of_its_draws(make):
    model = make("full")
    level = model.log_density_level(0.8, rng=3, n=20_000)
    expected = np.quantile(model.logpdf(model.sample(20_000, 3)), 0.2)
    assert abs(level - expected) < 0.05 * level.standard_error


def entropy_in_one_dimension(model):
    """By the trapezoidal rule, which converges faster than any power of the step here."""
    deviation = np.sqrt(model.covariances[:, 0, 0])
    means = model.means[:, 0]
    step = deviation.min() / 20
    p = sum_of_normals(model, "pdf", np.arange((means - 12 * deviation).min(), (means + 12 * deviation).max(), step))
    return -step * (p[p > 0] * np.log(p[p > 0])).sum()


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0, 30.0])
def test_entropy_lies_between_its_bounds_in_one_dimension(make, spread):
    for seed in range(4):
        model = make("full", 4, 1, seed, spread)
        lower, upper = model.entropy_bounds()
        assert lower - 1e-9 <= entropy_in_one_dimension(model) <= upper + 1e-9


def test_entropy_lies_between_its_bounds_in_several_dimensions(make, kind):
    for spread in (0.5, 3.0):
        model = make(kind, 4, 3, spread=spread)
        lower, upper = model.entropy_bounds()
        draws = -model.logpdf(model.sample(40_000, 0))
        margin = 5 * draws.std() / np.sqrt(len(draws))
        assert lower - margin <= draws.mean() <= upper + margin
        assert upper - lower < 1.0


def test_entropy_bounds_meet_where_the_entropy_is_known(make, kind):
    one = make(kind, n_components=1)
    lower, upper = one.entropy_bounds()
    assert_allclose([lower, upper], one.component(0).entropy(), rtol=1e-12)
    # components far apart: H(X|Z) + H(Z)
    apart = make(kind, spread=1e4)
    within = sum(w * apart.component(k).entropy() for k, w in enumerate(apart.weights))
    known = within - apart.weights @ np.log(apart.weights)
    assert_allclose(apart.entropy_bounds(), known, rtol=1e-12)
    # all components the same: that of one
    same = Mixture([0.3, 0.7], [[1, 2]] * 2, [np.eye(2)] * 2)
    assert_allclose(same.entropy_bounds(), Gaussian([1, 2], np.eye(2)).entropy(), rtol=1e-12)


def test_entropy_of_close_components_is_at_most_that_of_a_gaussian_of_the_same_covariance(make):
    model = make("tied", spread=0.05)
    model = Mixture(model.weights, model.means + 100.0, model.structure)
    gaussian = Gaussian(model.mean, model.cov)
    assert_allclose(model.entropy_bounds().upper, gaussian.entropy(), rtol=1e-12)


def test_entropy_bounds_move_with_the_units(make):
    model = make(seed=4)
    unit = np.array([1e-150, 1e100])
    moved = model.transform(np.diag(unit)).entropy_bounds()
    assert_allclose(np.array(moved) - np.log(unit).sum(), model.entropy_bounds(), rtol=1e-9)


def test_empty_components_do_not_count():
    spare = Mixture([0.0, 0.4, 0.6], [[99, 99], [0, 0], [3, 1]], Diagonal(np.ones((3, 2))))
    plain = Mixture([0.4, 0.6], [[0, 0], [3, 1]], Diagonal(np.ones((2, 2))))
    assert_allclose(spare.entropy_bounds(), plain.entropy_bounds(), rtol=1e-14)
    assert_allclose(spare.modes().points, plain.modes().points, rtol=1e-12)
    assert_allclose(spare.cdf([1, 1]), plain.cdf([1, 1]), rtol=1e-14)
