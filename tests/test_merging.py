"""Merging by entropy: against brute force, and its laws."""

import itertools

import numpy as np
import pytest
from scipy.special import xlogy

import mixtura
from mixtura import Mixture, adjusted_rand_index, merge
from mixtura.merging import _bend
from mixtura.sources import memory
from mixtura.sources.memory import Memory


def random_mixture(seed, n_components=6):
    rng = np.random.default_rng(seed)
    return Mixture(
        rng.dirichlet(np.ones(n_components)), rng.normal(0, 2, (n_components, 2)), [np.eye(2)] * n_components
    )


def entropy(share):
    return -xlogy(share, share).sum()


@pytest.mark.parametrize("seed", range(4))
def test_every_step_is_the_best_of_all_pairs(seed, monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_ROWS", 37)
    model = random_mixture(seed)
    rows = model.sample(300, rng=seed)
    merging = merge(model, rows)
    share, groups = model.responsibilities(rows), [(k,) for k in range(6)]
    for stage, after in itertools.pairwise(merging.stages):
        assert stage.groups == tuple(groups)
        assert stage.entropy == pytest.approx(entropy(share), rel=1e-10)
        tried = {}
        for i, j in itertools.combinations(range(len(groups)), 2):
            rest = [k for k in range(len(groups)) if k not in (i, j)]
            together = np.column_stack([share[:, i] + share[:, j], share[:, rest]])
            tried[i, j] = entropy(together), together, rest
        i, j = min(tried, key=lambda pair: tried[pair][0])
        assert after.united == (groups[i], groups[j])
        assert after.rows == np.isin(share.argmax(1), [i, j]).sum()
        _, together, rest = tried[i, j]
        order = np.argsort([min(groups[i] + groups[j]), *(min(groups[k]) for k in rest)])
        groups = [[tuple(sorted(groups[i] + groups[j])), *(groups[k] for k in rest)][k] for k in order]
        share = together[:, order]
        np.testing.assert_allclose(merging.responsibilities(rows, len(groups)), share, rtol=1e-12)
        assert np.array_equal(merging.predict(rows, len(groups)), share.argmax(1))
    assert merging.stages[-1].groups == ((0, 1, 2, 3, 4, 5),)
    assert merging.stages[-1].entropy == 0


def test_weights_count_like_copies():
    model = random_mixture(1)
    rows, weights = model.sample(200, rng=0), np.random.default_rng(0).integers(0, 4, 200)
    copied = merge(model, np.repeat(rows, weights, axis=0))
    for weighted in (merge(model, rows, weights), merge(model, Memory(rows, weights.astype(float)))):
        assert [stage.groups for stage in weighted.stages] == [stage.groups for stage in copied.stages]
        np.testing.assert_allclose(weighted.curve, copied.curve, atol=1e-9)


def test_a_ring_is_one_cluster():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 600)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.normal(5, 0.4, (600, 1))
    middle = rng.normal(0, 0.6, (200, 2))
    rows, truth = np.concatenate([ring, middle]), np.repeat([0, 1], [600, 200])
    result = mixtura.fit(rows, range(6, 10), "full", random_state=0)
    merging = result.merge(rows)
    assert result.model.n_components > 5
    assert adjusted_rand_index(truth, merging.predict(rows, 2)) > 0.98
    assert adjusted_rand_index(truth, result.model.predict(rows)) < 0.6


def test_the_curve_is_counted_from_one_cluster():
    model = random_mixture(2)
    merging = merge(model, model.sample(500, rng=1))
    merged, left = merging.curve
    assert merged[:2].tolist() == [0, 500]
    assert (np.diff(left) >= -1e-9).all()
    assert left[-1] == merging.stages[0].entropy
    assert merging.suggested == _bend(merged, left)


def test_the_bend_of_a_broken_line():
    x = np.array([0.0, 3, 4, 6, 9, 11])
    for c in range(2, 6):
        y = np.where(x <= x[c - 1], 0.5 * x, 0.5 * x[c - 1] + 4 * (x - x[c - 1]))
        assert _bend(x, y) == c
    assert [_bend(x[:n], x[:n]) for n in (1, 2)] == [1, 2]


def test_few_components():
    alone = merge(Mixture([1.0], [0], [1]), [0.0, 1.0])
    assert alone.groups() == ((0,),)
    assert alone.predict([3.0]).tolist() == [0]
    assert "Suggested: 1 cluster of components {0}" in str(alone)
    assert merge(Mixture([0.5, 0.5], [0, 1], [1, 1]), [0.0, 1.0]).suggested == 2


def test_what_cannot_be_is_refused():
    merging = merge(random_mixture(0), np.zeros((3, 2)))
    for n in (0, 7):
        with pytest.raises(ValueError, match=f"there are 1 to 6 clusters, not {n}"):
            merging.groups(n)
    with pytest.raises(ValueError, match="row 0 is not finite"):
        merging.predict([[np.inf, 0]])
