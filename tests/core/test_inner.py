"""The iterations within some M-steps: Newton's steps for common axes, with and without the matrix of the Hessian."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm

from mixtura.covariance import inner
from mixtura.covariance.structure import Full


def nearly_common(n_features, n_components=3, seed=0, noise=0.03):
    """Counts, scatters whose axes nearly agree, and axes near to theirs."""
    rng = np.random.default_rng(seed)
    n = rng.uniform(5, 50, n_components)
    axes = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    sizes = rng.lognormal(size=(n_components, n_features)) * np.geomspace(1, 50, n_features)
    factors = np.sqrt(n[:, None, None] * sizes[:, None, :]) * axes
    factors = factors @ (np.eye(n_features) + noise * rng.standard_normal((n_components, n_features, n_features)))
    return n, factors @ factors.transpose(0, 2, 1), axes


def skew_of(pairs, n_features):
    turn = np.zeros((n_features, n_features))
    turn[np.triu_indices(n_features, 1)] = pairs
    return turn - turn.T


def test_what_the_volumes_are_weighed_by():
    _, scatter, _ = nearly_common(4)
    logs = np.array([0.3, -0.2, 0.9])
    scaled = scatter / np.exp(logs)[:, None, None]
    values, vectors = np.linalg.eigh(scaled.sum(0))
    root = (vectors / np.sqrt(values)) @ vectors.T
    for diagonal in (False, True):
        if diagonal:
            scaled = np.stack([np.diag(np.diag(one)) for one in scaled])
            root = np.diag(np.diag(scaled.sum(0)) ** -0.5)
        white = root @ scaled @ root
        found = inner._sized(np.diagonal(scatter, axis1=1, axis2=2) if diagonal else scatter, logs)
        assert found.log_det == pytest.approx(np.linalg.slogdet(scaled.sum(0))[1])
        assert_allclose(found.traces, np.trace(white, axis1=1, axis2=2))
        assert_allclose(found.products, np.einsum("kab,jba->kj", white, white))


@pytest.mark.parametrize("one_volume", [False, True], ids=["vve", "eve"])
def test_slope_and_hessian_by_differences(one_volume):
    n, scatter, axes = nearly_common(4)
    here = inner._Turned.of(n, scatter, axes, one_volume)
    rates = here.weights[:, None] / here.along
    slope = inner._newton(here, one_volume)[0][np.triu_indices(4, 1)]
    pull = (here.scatter * rates[:, None, :]).sum(0)
    hessian = inner._hessian(here, rates, pull, inner._planes(4), one_volume)
    assert_allclose(hessian, hessian.T, atol=1e-9 * np.abs(hessian).max())
    step = 1e-3
    for pairs in np.random.default_rng(1).standard_normal((8, 6)):
        below, above = (
            inner._Turned.of(n, scatter, axes @ expm(t * skew_of(pairs, 4)), one_volume).value for t in (-step, step)
        )
        assert (above - below) / (2 * step) == pytest.approx(slope @ pairs, rel=1e-3, abs=1e-3 * np.abs(slope).max())
        assert (above - 2 * here.value + below) / step**2 == pytest.approx(pairs @ hessian @ pairs, rel=1e-2)


@pytest.mark.parametrize("one_volume", [False, True], ids=["vve", "eve"])
def test_conjugate_gradients_find_the_step_of_the_matrix(monkeypatch, one_volume):
    n, scatter, axes = nearly_common(inner.MOST_COLUMNS + 1)
    here = inner._Turned.of(n, scatter, axes, one_volume)
    slope, found = inner._newton(here, one_volume)
    monkeypatch.setattr(inner, "MOST_COLUMNS", len(axes))
    same, expected = inner._newton(here, one_volume)
    assert_allclose(slope, same)
    assert np.linalg.norm(found - expected) < 1e-3 * np.linalg.norm(expected)
    assert inner._Turned.of(n, scatter, axes @ expm(found), one_volume).value < here.value


def test_conjugate_gradients_stop_at_once_where_nothing_curves_up():
    slope, diagonal = inner._skew(np.triu(np.arange(9.0).reshape(3, 3))), np.full((3, 3), 2.0)
    assert_allclose(inner._solved(slope, lambda turn: -turn, diagonal), -slope / 2)
    assert_allclose(inner._solved(slope, lambda turn: 5 * turn, diagonal), -slope / 5)


@pytest.mark.parametrize("seed", [10, 12, 16, 20, 21, 22])  # where climbs from different axes end differently
def test_of_several_optima_the_best_that_is_met_is_taken(seed):
    rng = np.random.default_rng(seed)
    n, factors = rng.uniform(5, 50, 4), rng.standard_normal((4, 4, 6)) * rng.lognormal(sigma=0.7, size=(4, 4, 1))
    scatter = n[:, None, None] * factors @ factors.transpose(0, 2, 1)
    axes, along = inner.common_axes(n, scatter, None, one_volume=False)
    found = inner._Turned.of(n, scatter, axes, one_volume=False)
    assert_allclose(along, found.along, rtol=1e-9)
    turns = [np.eye(4), *(np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(5))]
    others = [inner._climbed(inner._Turned.of(n, scatter, turn, False), n, scatter, False).value for turn in turns]
    assert found.value <= min(others) + 1e-9 * abs(found.value)


@pytest.mark.parametrize("one_volume", [False, True], ids=["vve", "eve"])
def test_one_column_has_one_axis(one_volume):
    n, scatter = np.array([3.0, 5.0]), np.array([[[2.0]], [[7.0]]])
    for start in (None, Full.from_covariances(scatter)):
        axes, along = inner.common_axes(n, scatter, start, one_volume=one_volume)
        assert_allclose(np.abs(axes), [[1.0]])
        assert_allclose(along, [[2.0], [7.0]])
