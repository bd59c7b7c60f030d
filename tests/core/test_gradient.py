"""S13, S15 and S17, and the identities behind them, against finite differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from mixtura import Mixture, em
from mixtura.covariance.structure import Diagonal, Full

STEP = 1e-5


def slope(function, x, step=STEP):
    """Derivatives in every entry of an array by central differences of fourth order."""
    out = np.empty(np.shape(x))
    for index in np.ndindex(out.shape):
        unit = np.zeros(out.shape)
        unit[index] = step
        f = [function(x + i * unit) for i in (-2, -1, 1, 2)]
        out[index] = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
    return out


def loglik(weights, means, covariances, rows, sample_weight):
    """S11 as it stands, for parameters that need not satisfy any constraint."""
    triples = zip(weights, means, covariances, strict=True)
    density = sum(w * stats.multivariate_normal(m, (c + c.T) / 2).pdf(rows) for w, m, c in triples)
    return sample_weight @ np.log(density)


@pytest.fixture(params=[False, True], ids=["plain", "weighted"])
def sample_weight(request, rows):
    return np.random.default_rng(1).exponential(size=len(rows)) if request.param else None


@pytest.fixture
def found(model, rows, sample_weight):
    return model.gradient(rows, sample_weight)


@pytest.fixture
def function(model, rows, sample_weight):
    ones = np.ones(len(rows)) if sample_weight is None else sample_weight

    def of(weights=model.weights, means=model.means, covariances=model.covariances):
        return loglik(weights, means, covariances, rows, ones)

    return of


def test_s13_gradient_in_the_means(model, found, function):
    assert_allclose(found.means, slope(lambda m: function(means=m), model.means), rtol=1e-6, atol=1e-6)


def test_s15_gradient_in_the_covariances(model, found, function):
    expected = slope(lambda c: function(covariances=c), model.covariances)
    assert_allclose(found.covariances, expected, rtol=1e-6, atol=1e-6)
    assert_allclose(found.covariances, np.swapaxes(found.covariances, 1, 2), atol=1e-10)


def test_s17_gradient_in_the_weights(model, rows, sample_weight, found, function):
    assert_allclose(found.weights, slope(lambda w: function(weights=w), model.weights), rtol=1e-6)
    # Σ_k π_k ∂L/∂π_k = N, the weight of all rows: λ = −N
    total = len(rows) if sample_weight is None else sample_weight.sum()
    assert_allclose(model.weights @ found.weights, total, rtol=1e-12)


def test_s17_where_a_weight_is_zero(rows):
    means, matrices = [[0.0, 0.0], [2.0, 1.0]], np.array([9 * np.eye(2), 2 * np.eye(2)])
    found = Mixture([1.0, 0.0], means, matrices).gradient(rows).weights
    expected = slope(lambda w: loglik(w, means, matrices, rows, np.ones(len(rows))), np.array([1.0, 0.0]))
    assert_allclose(found, expected, rtol=1e-6)


def test_gradients_vanish_at_a_fit(make):
    rows = make(spread=4).sample(300, 0)
    fit = em(make(spread=4), rows)
    found = fit.model.gradient(rows)
    assert_allclose(found.means, 0, atol=1)
    assert_allclose(found.covariances, 0, atol=1)
    projected = found.weights - found.weights.mean()
    assert_allclose(projected, 0, atol=1)
    start = make(spread=4, seed=5).gradient(rows)
    assert np.abs(found.means).max() < 1e-2 * np.abs(start.means).max()


def test_one_component_at_the_sample_moments_is_stationary(rows):
    model = Mixture([1.0], [rows.mean(0)], [np.cov(rows.T, bias=True)])
    found = model.gradient(rows)
    assert_allclose(found.means, 0, atol=1e-10)
    assert_allclose(found.covariances, 0, atol=1e-10)
    assert_allclose(found.weights, len(rows), rtol=1e-13)


def test_gradient_in_other_units(make, rows):
    model, scale = make(), np.array([1e-80, 1e80])
    moved = model.transform(np.diag(scale))
    assert_allclose(moved.gradient(rows * scale).means * scale, model.gradient(rows).means, rtol=1e-9)


# The identities of the notes

A = np.array([[2.0, 0.3, -0.5], [0.3, 1.5, 0.2], [-0.5, 0.2, 1.0]])
X = np.array([[1.5, 0.2, -0.4], [0.1, 2.0, 0.3], [-0.2, 0.5, 1.2]])
V, W = np.array([0.3, -1.2, 0.7]), np.array([1.1, 0.4, -0.6])


def test_identity_logarithmic_derivative():
    def f(x):
        return stats.norm(0.5, 1.5).pdf(x) + 0.2

    x = np.array(0.8)
    assert_allclose(slope(lambda t: np.log(f(t)), x), slope(f, x) / f(x), rtol=1e-9)


def test_identity_quadratic_form():
    assert_allclose(slope(lambda x: x @ A @ x, V), 2 * A @ V, rtol=1e-9)


def test_identity_determinant():
    assert_allclose(slope(np.linalg.det, X), np.linalg.det(X) * np.linalg.inv(X).T, rtol=1e-8)


def test_identity_inverse():
    inverse = np.linalg.inv(X)
    found = slope(lambda x: V @ np.linalg.inv(x) @ W, X)
    assert_allclose(found, -inverse.T @ np.outer(V, W) @ inverse.T, rtol=1e-7)


# How the structures use them: derivatives in their own coordinates


def objective(structure, n, scatter):
    """−½ Σ_k [n_k log det Σ_k + tr(Σ_k⁻¹ W_k)], densely; ``scatter`` (K, D, D)."""
    triples = zip(n, structure.dense(), scatter, strict=True)
    return -0.5 * sum(m * np.linalg.slogdet(c)[1] + np.trace(np.linalg.solve(c, w)) for m, c, w in triples)


def test_slope_in_the_coordinates_of_a_structure(model, kind):
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(3, 2, 6))
    n, scatter = rng.uniform(5, 20, size=3), factors @ np.swapaxes(factors, 1, 2)
    given = {
        "full": scatter,
        "tied": scatter.sum(0),
        "diagonal": np.diagonal(scatter, axis1=1, axis2=2),
    }[kind]
    structure = model.structure
    expected = slope(lambda v: objective(structure.at(v), n, scatter), structure.coordinates)
    assert_allclose(structure.slope(n, given), expected, rtol=1e-7, atol=1e-7)


def test_gradient_does_not_depend_on_how_the_covariances_are_stored(rows):
    scale = np.array([[1.0, 2.0], [0.5, 3.0]])
    diagonal = Mixture([0.4, 0.6], [[0, 0], [1, 2]], Diagonal(scale))
    full = Mixture([0.4, 0.6], [[0, 0], [1, 2]], Full(scale[:, :, None] * np.eye(2)))
    for one, other in zip(diagonal.gradient(rows), full.gradient(rows), strict=True):
        assert_allclose(one, other, rtol=1e-11, atol=1e-11)
