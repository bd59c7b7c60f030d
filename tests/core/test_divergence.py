"""Divergences and distances, against quadrature, brute force and the closed forms for single Gaussians."""

import copy
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import rel_entr

from mixtura import (
    Gaussian,
    Mixture,
    cauchy_schwarz_divergence,
    js_divergence,
    kl_divergence,
    l2_distance,
)
from mixtura.core.divergence import Estimate

P = Mixture([0.3, 0.7], [-1.0, 2.0], [0.5, 2.0])
Q = Mixture([0.5, 0.2, 0.3], [-2.0, 0.0, 3.0], [1.0, 0.3, 1.5])
ALL = (kl_divergence, js_divergence, l2_distance, cauchy_schwarz_divergence)


def density(model, x):
    pairs = zip(model.weights, model.means[:, 0], model.covariances[:, 0, 0], strict=True)
    return sum(w * stats.norm(m, np.sqrt(v)).pdf(x) for w, m, v in pairs)


def integral(function):
    """By the trapezoidal rule, which converges faster than any power of the step here."""
    x, step = np.linspace(-20, 25, 20_001, retstep=True)
    return step * function(density(P, x), density(Q, x)).sum()


def test_kl_by_quadrature():
    expected = integral(rel_entr)
    estimate = kl_divergence(P, Q, rng=0)
    assert abs(estimate - expected) < 5 * estimate.standard_error
    assert 0 < estimate.standard_error < 0.01


def test_js_by_quadrature():
    expected = integral(lambda p, q: 0.5 * (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)))
    estimate = js_divergence(P, Q, rng=0)
    assert abs(estimate - expected) < 5 * estimate.standard_error
    assert 0 < estimate.standard_error < 0.001


@pytest.mark.parametrize("function", [kl_divergence, js_divergence])
def test_standard_errors_are_honest(function):
    estimates = [function(P, Q, n=500, rng=i) for i in range(60)]
    claimed = np.mean([e.standard_error for e in estimates])
    assert 0.7 < np.std(estimates) / claimed < 1.4


def test_kl_of_two_gaussians_is_exact():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(2, 3, 5))
    S, T = factors @ np.swapaxes(factors, 1, 2)
    m, n = rng.normal(size=(2, 3))
    expected = 0.5 * (
        np.trace(np.linalg.solve(T, S))
        + (n - m) @ np.linalg.solve(T, n - m)
        - 3
        + np.linalg.slogdet(T)[1]
        - np.linalg.slogdet(S)[1]
    )
    estimate = kl_divergence(Gaussian(m, S), Gaussian(n, T))
    assert_allclose(estimate, expected, rtol=1e-12)
    assert estimate.standard_error == 0
    # and Monte Carlo agrees: the same Gaussian, split in two
    split = Mixture([0.5, 0.5], [m, m], [S, S])
    sampled = kl_divergence(split, Gaussian(n, T), rng=1)
    assert abs(sampled - expected) < 5 * sampled.standard_error


def test_equal_distributions_are_no_distance_apart(make, kind):
    model = make(kind)
    for function in ALL:
        assert function(model, model) == 0
    assert_allclose(js_divergence(model, model.reorder([2, 0, 1]), rng=0), 0, atol=1e-12)


def test_js_is_symmetric_and_at_most_log_two(make):
    p, q = make(), make(seed=1)
    one, other = js_divergence(p, q, rng=0), js_divergence(q, p, rng=1)
    assert abs(one - other) < 5 * np.hypot(one.standard_error, other.standard_error)
    assert 0 <= one <= np.log(2)
    for apart in (1e3, 1e8, 1e200):
        assert js_divergence(p, q.transform(1.0, apart), rng=0) == np.log(2)


def test_kl_beyond_every_density_is_infinite():
    estimate = kl_divergence(Mixture([0.5, 0.5], [0.0, 1.0], [1.0, 1.0]), Gaussian(1e250, 1), rng=0)
    assert estimate == np.inf
    assert estimate.standard_error == np.inf


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("one", [Gaussian(0, 1), Mixture([0.5, 0.5], [0.0, 1.0], [1.0, 1.0])])
def test_gaussians_and_mixtures_alike(function, one):
    assert function(one, Gaussian(3, 2)) > 0


def test_l2_by_quadrature():
    assert_allclose(l2_distance(P, Q), np.sqrt(integral(lambda p, q: (p - q) ** 2)), rtol=1e-10)


def test_cauchy_schwarz_by_quadrature():
    pq, pp, qq = (integral(f) for f in (lambda p, q: p * q, lambda p, _: p * p, lambda _, q: q * q))
    assert_allclose(cauchy_schwarz_divergence(P, Q), -np.log(pq / np.sqrt(pp * qq)), rtol=1e-10)


def product(p, q):
    """∫ p q by the double sum."""
    return sum(
        a * b * stats.multivariate_normal(n, S + T).pdf(m)
        for a, m, S in zip(p.weights, p.means, p.covariances, strict=True)
        for b, n, T in zip(q.weights, q.means, q.covariances, strict=True)
    )


def test_closed_forms_by_brute_force(make, kind):
    p, q = make(kind, 3, 4), make("full", 2, 4, seed=1)
    pp, qq, pq = product(p, p), product(q, q), product(p, q)
    assert_allclose(l2_distance(p, q), np.sqrt(pp + qq - 2 * pq), rtol=1e-10)
    assert_allclose(cauchy_schwarz_divergence(p, q), -np.log(pq / np.sqrt(pp * qq)), rtol=1e-10)


def test_l2_is_a_metric(make):
    p, q, r = (make(seed=i) for i in range(3))
    assert_allclose(l2_distance(p, q), l2_distance(q, p), rtol=1e-12)
    assert l2_distance(p, r) <= l2_distance(p, q) + l2_distance(q, r)


def test_nothing_underflows():
    near, far = Gaussian(np.zeros(2), np.eye(2)), Gaussian(np.array([1e5, 0.0]), np.eye(2))
    assert_allclose(cauchy_schwarz_divergence(near, far), 1e10 / 4, rtol=1e-12)
    assert_allclose(l2_distance(near, far) ** 2, 2 / (4 * np.pi), rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_units(unit):
    p, q = P.transform(unit), Q.transform(unit)
    assert_allclose(cauchy_schwarz_divergence(p, q), cauchy_schwarz_divergence(P, Q), rtol=1e-11)
    assert_allclose(l2_distance(p, q) * np.sqrt(unit), l2_distance(P, Q), rtol=1e-11)
    assert_allclose(kl_divergence(p, q, n=1000, rng=0), kl_divergence(P, Q, n=1000, rng=0), rtol=1e-9)


def test_empty_components_do_not_count():
    spare = Mixture([0.0, 0.3, 0.7], [77.0, -1.0, 2.0], [1.0, 0.5, 2.0])
    for function in (l2_distance, cauchy_schwarz_divergence):
        assert_allclose(function(spare, Q), function(P, Q), rtol=1e-13)


@pytest.mark.parametrize("function", ALL)
def test_what_cannot_be_compared(function, make):
    with pytest.raises(ValueError, match="1 and 2 columns"):
        function(P, make())
    with pytest.raises(TypeError, match="got int"):
        function(P, 3)
    named = [Mixture([1.0], [0.0], [1.0], columns=[name]) for name in "ab"]
    with pytest.raises(ValueError, match="different columns, a and b"):
        function(*named)


@pytest.mark.parametrize("function", [kl_divergence, js_divergence])
def test_a_standard_error_takes_two_draws(function):
    with pytest.raises(ValueError, match="at least 2"):
        function(P, Q, n=1)


def test_an_estimate_is_a_float_with_an_error():
    estimate = Estimate(1.5, 0.25)
    assert estimate == estimate.value == 1.5
    assert type(estimate.value) is float
    assert estimate + 1 == 2.5
    assert repr(estimate) == "Estimate(1.5, standard_error=0.25)"
    assert json.dumps(estimate) == "1.5"
    for twin in (pickle.loads(pickle.dumps(estimate)), copy.deepcopy(estimate)):
        assert (twin, twin.standard_error) == (1.5, 0.25)
