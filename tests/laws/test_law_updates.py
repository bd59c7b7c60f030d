"""Each family's M-step is the exact maximum, against scipy.optimize over the family's own parametrisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize

from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import SingularError, Structure

K, D = 3, 3


def moments(seed: int, k: int = K, d: int = D) -> tuple[np.ndarray, np.ndarray]:
    """Counts of very different sizes and scatters of very different shapes."""
    rng = np.random.default_rng(seed)
    n = rng.uniform(2, 60, k)
    factor = rng.standard_normal((k, d, d + 2)) * rng.lognormal(sigma=0.7, size=(k, d, 1))
    return n, n[:, None, None] * factor @ factor.transpose(0, 2, 1) / (d + 2)


def in_kind(scatter: np.ndarray, family: Family) -> np.ndarray:
    if family.kind == "tied":
        return scatter.sum(0)
    return np.diagonal(scatter, axis1=1, axis2=2) if family.kind == "diagonal" else scatter


def updated(family: Family, n: np.ndarray, scatter: np.ndarray, start: Structure | None = None) -> Structure:
    return family.update(n, in_kind(scatter, family), start)


def objective(covariances: np.ndarray, n: np.ndarray, scatter: np.ndarray) -> float:
    """−½ Σ_k [n_k log det Σ_k + tr(Σ_k⁻¹ W_k)]."""
    traces = np.trace(np.linalg.solve(covariances, scatter), axis1=1, axis2=2)
    return -0.5 * float(n @ np.linalg.slogdet(covariances)[1] + traces.sum())


def parametrisation(family: Family, k: int = K, d: int = D) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    """How many numbers, and the map of them to λ_k D_k A_k D_kᵀ, by the three letters."""
    if not set(family.mclust) <= set("EVI"):
        pytest.skip("the family is not one of the fourteen")
    copies = {"E": 1, "V": k, "I": 0}
    volume, shape, orientation = (copies[letter] for letter in family.mclust)
    sizes = [volume, shape * (d - 1), orientation * d * (d - 1) // 2]
    below = np.tril_indices(d, -1)

    def covariances(x: np.ndarray) -> np.ndarray:
        volumes, shapes, turns = np.split(x, np.cumsum(sizes)[:2])
        logs, skew = np.zeros((k, d)), np.zeros((k, d, d))
        if shape:
            logs[:, 1:] = shapes.reshape(shape, d - 1)
        if orientation:
            skew[:, *below] = turns.reshape(orientation, -1)
        skew = skew - skew.transpose(0, 2, 1)
        axes = np.linalg.solve(np.eye(d) - skew, np.eye(d) + skew)
        variances = np.exp(np.broadcast_to(volumes, k)[:, None] + logs - logs.mean(1, keepdims=True))
        return (axes * variances[:, None, :]) @ axes.transpose(0, 2, 1)

    return sum(sizes), covariances


def by_brute_force(family: Family, n: np.ndarray, scatter: np.ndarray, starts: int) -> float:
    """The best of the maxima from several places."""
    size, covariances = parametrisation(family, len(n), scatter.shape[-1])
    rng = np.random.default_rng(0)

    def loss(x: np.ndarray) -> float:
        try:
            return -objective(covariances(x), n, scatter) if np.abs(x).max() < 50 else 1e9
        except np.linalg.LinAlgError:  # so far out that the matrix is singular to rounding
            return 1e9

    best = np.inf
    for _ in range(starts):
        x = rng.standard_normal(size)
        for _ in range(3):  # it gives up early now and then
            found = minimize(loss, x, tol=1e-12)
            x = found.x
        best = min(best, found.fun)
    return -best


def test_the_number_of_free_parameters_is_that_of_the_parametrisation(family):
    for k in range(1, 5):
        for d in range(1, 6):
            assert family.free(k, d) == parametrisation(family, k, d)[0]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
@pytest.mark.parametrize("ridge", [False, True], ids=["no prior", "prior"])
def test_the_update_is_the_maximum(family, seed, ridge):
    n, scatter = moments(seed)
    if ridge:
        prior = Prior.absolute(0.3, n.sum(), K, D)
        found = family.update(*prior.add(n, in_kind(scatter, family), family.kind))
        n, scatter = prior.add(n, scatter, "full")
    else:
        found = updated(family, n, scatter)
    brute = by_brute_force(family, n, scatter, starts=6 if family.continues else 3)
    assert objective(found.dense(), n, scatter) == pytest.approx(brute, rel=1e-9)


def test_it_is_within_the_family(family):
    parametrisation(family)
    n, scatter = moments(0, 4, 3)
    values, vectors = np.linalg.eigh(updated(family, n, scatter).dense())
    volumes = np.log(values).mean(1)
    shapes = np.log(values) - volumes[:, None]
    same = {0: volumes, 1: shapes, 2: np.abs(vectors)}
    for which, letter in enumerate(family.mclust):
        spread = np.ptp(same[which], axis=0).max()
        if letter == "E" and (which, family.mclust[1]) != (2, "V"):
            assert spread < 1e-12
        elif letter == "V":
            assert spread > 1e-2
    if family.mclust[1] == "I":
        assert np.abs(shapes).max() < 1e-12
    if family.mclust[2] == "I":
        assert np.array_equal(vectors.round(12) != 0, np.abs(vectors) > 0.5)


def test_common_axes_are_common(family):
    if family.mclust[2] != "E":
        pytest.skip("the components have axes of their own, or the columns")
    covariances = updated(family, *moments(0, 4, 5)).dense()
    for one in covariances:
        for other in covariances:
            commutator = one @ other - other @ one
            assert np.abs(commutator).max() < 1e-12 * np.linalg.norm(one) * np.linalg.norm(other)


def maps_of(family: Family, d: int) -> list[np.ndarray]:
    """Maps of the rows under which the family is closed."""
    rng = np.random.default_rng(9)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    found = [3.0 * np.eye(d)]
    if family.maps in ("linear", "rotations"):
        found.append(0.2 * rotation)
    if family.maps in ("linear", "units"):
        found.append(np.diag(rng.lognormal(sigma=5.0, size=d))[rng.permutation(d)])
    if family.maps == "linear":
        found.append(rng.standard_normal((d, d)))
    return found


def test_it_moves_with_the_maps_under_which_the_family_is_closed(family):
    n, scatter = moments(1, 3, 4)
    start = updated(family, n, scatter)
    for matrix in maps_of(family, 4):
        turned = start.transform(matrix)
        moved = updated(family, n, matrix @ scatter @ matrix.T, turned if turned.kind == family.kind else None)
        expected = matrix @ start.dense() @ matrix.T
        scale = np.sqrt(np.einsum("kii->ki", expected))
        assert np.abs((moved.dense() - expected) / scale[:, :, None] / scale[:, None, :]).max() < 1e-7


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_it_moves_with_the_unit_over_the_whole_range(family, scale):
    n, scatter = moments(2)
    near, far = updated(family, n, scatter), updated(family, n, scatter * scale * scale)
    assert far.dense() / scale / scale == pytest.approx(near.dense(), rel=1e-7, abs=1e-9)


def test_from_any_start_of_the_family_it_does_not_fall(family):
    for seed in range(20):
        n, scatter = moments(seed)
        start = updated(family, n[::-1], moments(seed + 100)[1])
        found = updated(family, n, scatter, start)
        assert objective(found.dense(), n, scatter) >= objective(start.dense(), n, scatter)
        again = updated(family, n, scatter, found)
        assert objective(again.dense(), n, scatter) == pytest.approx(objective(found.dense(), n, scatter), rel=1e-13)


def test_a_component_of_next_to_no_rows(family):
    n, scatter = moments(3)
    for tiny in (1e-9, 1e-200):
        few = np.array([1.0, tiny, 1.0])
        found = updated(family, n * few, scatter * few[:, None, None])
        without = updated(family, n[::2], scatter[::2])
        assert found.take(np.array([0, 2])).dense() == pytest.approx(without.dense(), rel=1e-6, abs=1e-8)
        own = updated(family, n[[1]], scatter[[1]])
        if family.mclust in ("VVV", "VVI", "VII"):
            assert found.dense()[1] == pytest.approx(own.dense()[0], rel=1e-9)
        assert np.isfinite(found.dense()).all()


def test_scatters_without_any_extent_are_singular(family):
    n, scatter = moments(4)
    flat = np.array([[1.0, 2.0, 3.0]])
    for spoilt in (np.zeros((3, 3, 3)), np.repeat((flat.T @ flat * 0.7)[None], 3, axis=0) * n[:, None, None]):
        if family.mclust[2] == "I" and spoilt.any():
            continue  # no column is without extent
        with pytest.raises(SingularError):
            updated(family, n, spoilt)
    with pytest.raises(SingularError):
        updated(family, n, np.full((3, 3, 3), np.nan))
    scatter[1] = 0.0
    if family.pooled:
        assert np.isfinite(updated(family, n, scatter).dense()).all()
    else:
        with pytest.raises(SingularError, match="component 1"):
            updated(family, n, scatter)


@pytest.mark.parametrize("seed", range(5))
def test_a_structure_of_the_family_is_its_own_nearest(family, seed):
    n, scatter = moments(seed, 4, 4)
    found = updated(family, n, scatter)
    assert family.nearest(found, n / n.sum()).dense() == pytest.approx(found.dense(), rel=1e-9, abs=1e-9)
    assert updated(family, n, n[:, None, None] * found.dense(), found).dense() == pytest.approx(
        found.dense(), rel=1e-9, abs=1e-9
    )


def test_tangents_are_orthogonal_projections_onto_the_family(family):
    if family.tangent is None or family.kind != "diagonal":
        pytest.skip("the family has no coordinates, or all of the structure's")
    n, scatter = moments(5, 4, 3)
    one, other = updated(family, n, scatter), updated(family, n[::-1], scatter[::-1] ** 2)
    along = other.coordinates - one.coordinates
    assert family.tangent(along, n) == pytest.approx(along, abs=1e-12)
    change = np.random.default_rng(0).standard_normal((4, 3))
    rest = change - family.tangent(change, n)
    assert np.vdot(n[:, None] * rest, along) == pytest.approx(0.0, abs=1e-9)
    dimension = np.linalg.matrix_rank([family.tangent(e.reshape(4, 3), n).ravel() for e in np.eye(12)])
    assert dimension == family.free(4, 3)
