"""Agglomeration by brute force, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura.hierarchy import DIRECTIONS, PRIOR_ROWS, PRIOR_SHARE, Criterion, agglomerate, coordinates


def some_rows(n_features: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(50, n_features)) + 3 * rng.integers(0, 3, (50, 1))
    return rows, rng.integers(1, 5, 50).astype(float)


def objective(rows: np.ndarray, weights: np.ndarray, groups: list[list[int]], criterion: Criterion) -> float:
    """The criterion of a partition, from its definition."""
    n, n_features = weights / weights.mean(), rows.shape[1]
    total = 0.0
    middle = n @ rows / n.sum()
    prior = PRIOR_SHARE * (n @ np.square(rows - middle)).sum() / n.sum() / n_features * np.eye(n_features)
    count = PRIOR_ROWS * (n_features + 1)
    for group in groups:
        size = n[group].sum()
        apart = rows[group] - n[group] @ rows[group] / size
        scatter = (apart * n[group, None]).T @ apart
        if criterion == "EII":
            total += np.trace(scatter)
        else:
            total += size * np.linalg.slogdet((scatter + count * prior) / (size + count))[1]
    return total


@pytest.mark.parametrize("criterion", ["VVV", "EII"])
@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_each_merge_is_the_cheapest(criterion, n_features):
    rows, weights = some_rows(n_features)
    rows, weights = rows[:20], weights[:20]
    groups = {i: [i] for i in range(20)}
    for first, second in agglomerate(rows, weights, criterion).merges:
        after = {
            (i, j): objective(
                rows, weights, [*(g for k, g in groups.items() if k not in (i, j)), groups[i] + groups[j]], criterion
            )
            for i in groups
            for j in groups
            if i < j
        }
        assert after[first, second] == pytest.approx(min(after.values()), abs=1e-5)
        groups[first] += groups.pop(second)
    assert list(groups) == [0]


@pytest.mark.parametrize("criterion", ["VVV", "EII"])
def test_neither_the_unit_of_the_weights_nor_of_the_rows_nor_a_shift_matters(criterion):
    rows, weights = some_rows(3)
    merges = agglomerate(rows, weights, criterion).merges
    for other in (agglomerate(rows, 1e-7 * weights, criterion), agglomerate(1e9 * rows - 4e9, weights, criterion)):
        assert np.array_equal(other.merges, merges)
    scaled = coordinates(rows * [1e-9, 1.0, 1e120] + [1e-7, -3.0, 0.0], weights)
    assert np.array_equal(
        agglomerate(scaled, weights, criterion).merges,
        agglomerate(coordinates(rows, weights), weights, criterion).merges,
    )


def test_ties_are_broken_by_the_order_of_the_rows():
    rows = np.array([[x, y] for x in range(5) for y in range(5)], dtype=float)
    merges = agglomerate(rows, np.ones(25)).merges
    for scale, shift in ((0.1, 0.0), (1 / 3, 7.0), (1e6, -1e6)):
        assert np.array_equal(agglomerate(scale * rows + shift, np.ones(25)).merges, merges)


def test_labels_are_nested_and_numbered_by_first_rows():
    rows, weights = some_rows(2)
    tree = agglomerate(rows, weights)
    for k in range(1, 51):
        labels = tree.labels(k)
        assert list(dict.fromkeys(labels.tolist())) == list(range(k))
        if k > 1:
            assert len(np.unique(np.c_[labels, tree.labels(k - 1)], axis=0)) == k
    assert tree.labels(80).tolist() == list(range(50))
    assert agglomerate(rows[:1], weights[:1]).labels(3).tolist() == [0]


@pytest.mark.parametrize("sphering", [0.0, 0.5, 1.0])
def test_coordinates(sphering):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 12)) @ rng.normal(size=(12, 12))
    rows = np.c_[rows, np.ones(400), rows[:, 0] + rows[:, 1]]
    ours = coordinates(rows, np.ones(400), sphering)
    assert ours.shape == (400, DIRECTIONS)
    covariance = np.cov(ours.T, ddof=0)
    variances = np.diagonal(covariance)
    assert np.abs(covariance - np.diag(variances)).max() < 1e-9 * variances.max()
    assert (np.diff(variances) >= -1e-9).all()
    if sphering == 1.0:
        assert variances == pytest.approx(np.ones(DIRECTIONS))


def test_a_row_far_off_does_not_blind_the_coordinates():
    rows, weights = some_rows(2)
    far = np.vstack([rows, [[1e12, 0.0]]])
    ours = coordinates(far, np.r_[weights, 1.0])
    assert np.ptp(ours[:50], axis=0).min() > 1.0


def test_coordinates_of_rows_that_agree_are_none():
    assert not coordinates(np.ones((2, 3)), np.ones(2)).any()
    assert agglomerate(np.zeros((2, 3)), np.ones(2)).labels(1).tolist() == [0, 0]
