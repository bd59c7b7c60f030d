"""Where a climb starts."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from sklearn.cluster import KMeans

from mixtura import Mixture, start
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import FAMILIES
from mixtura.hierarchy import Tree, agglomerate
from mixtura.sources import memory
from mixtura.sources.memory import Memory
from mixtura.sources.sketch import Sample, sample
from mixtura.sources.source import Block
from mixtura.start import (
    METHODS,
    Parts,
    around,
    by_labels,
    by_mixture,
    by_nearest,
    by_responsibilities,
    completed,
    hierarchical,
    kmeans,
    kmeans_plus_plus,
    mergers,
    mixture_of,
    moved,
    random_responsibilities,
    random_rows,
    split_and_merged,
    splits,
    swaps,
)

TRUTH = Mixture(
    [0.3, 0.3, 0.4], [[0, 0], [6, 1], [1, 9]], [[[1, 0.3], [0.3, 0.5]], [[0.6, 0], [0, 1]], [[1, -0.4], [-0.4, 0.8]]]
)
ROWS, LABELS = TRUTH.sample(300, 0, return_labels=True)
WEIGHTS = np.random.default_rng(1).exponential(size=300)
NONE = Prior.none(2)
SMALL = sample(Memory(ROWS), 5000)
EVERY = list(dict.fromkeys(method for methods in METHODS.values() for method in methods))


def block(rows: np.ndarray) -> Block:
    return Block(rows, None, 0)


def weighted(share: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n, means and covariances by NumPy."""
    n = weights @ share
    means = np.stack([np.average(ROWS, axis=0, weights=weights * share[:, k]) for k in range(share.shape[1])])
    dense = np.stack([np.cov(ROWS.T, aweights=weights * share[:, k], ddof=0) for k in range(share.shape[1])])
    return n, means, dense


def in_shape(dense: np.ndarray, n: np.ndarray, family: registry.Family) -> np.ndarray:
    """The covariances that a family makes of free ones (laws/test_law_updates.py)."""
    scatter = n[:, None, None] * dense
    by_kind = {"full": scatter, "tied": scatter.sum(0), "diagonal": np.einsum("kii->ki", scatter)}
    return family.update(n, by_kind[family.kind]).dense()


# Rules, and the mixture that one makes


def test_rules_say_what_they_are_told():
    centres, unit = np.array([[0.0, 0.0], [6.0, 1.0]]), np.array([1.0, 10.0])
    nearest = np.linalg.norm((ROWS[:, None] - centres) / unit, axis=2).argmin(1)
    share = np.random.default_rng(0).dirichlet(np.ones(3), 300)
    for first in (0, 120):
        part = Block(ROWS[first : first + 50], None, first)
        inside = slice(first, first + 50)
        assert np.array_equal(by_labels(LABELS, 3)(part), np.eye(3)[LABELS[inside]])
        assert np.array_equal(by_responsibilities(share)(part), share[inside])
        assert np.array_equal(by_nearest(centres, unit)(part), np.eye(2)[nearest[inside]])
        assert by_mixture(TRUTH)(part) == pytest.approx(TRUTH.responsibilities(ROWS[inside]))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("block_rows", [7, 16_384])
def test_the_mixture_of_a_rule_is_that_of_numpy(family, weights, block_rows, monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_ROWS", block_rows)
    share = np.random.default_rng(0).dirichlet(np.ones(3), 300)
    w = np.ones(300) if weights is None else weights
    n, means, dense = weighted(share, w)
    model = mixture_of(by_responsibilities(share), Memory(ROWS, weights), 3, family, NONE)
    assert model.structure.kind == family.kind
    assert model.weights == pytest.approx(n / w.sum(), rel=1e-12)
    assert model.means == pytest.approx(means, rel=1e-12)
    assert model.covariances == pytest.approx(in_shape(dense, n, family), rel=1e-11)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_it_loses_nothing_far_from_zero(family):
    share = np.random.default_rng(0).dirichlet(np.ones(3), 300)
    rule = by_responsibilities(share)
    rows = np.round(ROWS * 1024) / 1024
    near = mixture_of(rule, Memory(rows), 3, family, NONE)
    far = mixture_of(rule, Memory(rows + 2.0**27), 3, family, NONE)
    assert far.covariances == pytest.approx(near.covariances, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_lean_is_so_many_rows_of_the_pooled_covariance(family):
    share = np.eye(3)[LABELS]
    n, _, dense = weighted(share, np.ones(300))
    model = mixture_of(by_labels(LABELS, 3), Memory(ROWS), 3, family, NONE, lean=5.0)
    pooled = np.average(dense, axis=0, weights=n)
    if family.kind == "diagonal":
        pooled = np.diag(np.diagonal(pooled))
    leaning = (n[:, None, None] * dense + 5.0 * pooled) / (n + 5.0)[:, None, None]
    expected = in_shape(dense, n, family) if family.kind == "tied" else in_shape(leaning, n + 5.0, family)
    assert model.covariances == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_component_without_rows_stays_in_the_middle(family):
    model = mixture_of(by_labels(LABELS, 5), Memory(ROWS), 5, family, NONE, lean=3.0)
    assert model.weights[3:].tolist() == [0.0, 0.0]
    assert model.means[3:] == pytest.approx(np.repeat([ROWS.mean(0)], 2, axis=0))
    assert np.isfinite(model.covariances).all()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_rows_that_agree_have_no_covariance_of_their_own(family):
    rows = np.vstack([ROWS, np.repeat([[1e6, 1e6]], 4, axis=0)])
    rule = by_labels(np.r_[LABELS, [3] * 4], 4)
    if family.pooled:
        assert np.isfinite(mixture_of(rule, Memory(rows), 4, family, NONE).covariances).all()
    else:
        with pytest.raises(ValueError, match="component 3 is not positive"):
            mixture_of(rule, Memory(rows), 4, family, NONE)


# Starts that involve chance


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("k", [1, 2, 7])
def test_every_method_shares_out_every_row(method, k):
    rule = method(SMALL, k, np.random.default_rng(0))
    share = rule(block(SMALL.rows))
    assert share.shape == (300, k)
    assert share.sum(1) == pytest.approx(np.ones(300))
    assert (share >= 0).all()
    again = method(SMALL, k, np.random.default_rng(0))(block(SMALL.rows))
    assert np.array_equal(share, again)
    if k > 1 and method in (kmeans_plus_plus, random_responsibilities, random_rows):
        other = method(SMALL, k, np.random.default_rng(1))(block(SMALL.rows))
        assert not np.array_equal(share, other)


@pytest.mark.parametrize("method", EVERY)
def test_the_units_of_the_columns_do_not_matter(method):
    scales = np.array([2.0**-30, 2.0**40])
    moved_rows = sample(Memory(ROWS * scales), 5000)
    assert np.array_equal(moved_rows.rows, SMALL.rows * scales)
    one = method(SMALL, 3, np.random.default_rng(0))(block(SMALL.rows))
    other = method(moved_rows, 3, np.random.default_rng(0))(block(moved_rows.rows))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("method", METHODS["hierarchical"])
@pytest.mark.parametrize("limit", [5000, 60])
def test_hierarchical_clustering_finds_groups_that_lie_apart(monkeypatch, method, limit):
    monkeypatch.setattr(start, "TREE_ROWS_MOST", limit)  # a tree of all rows, or of some
    small = sample(Memory(ROWS), 5000)
    share = method(small, 3, np.random.default_rng(0))(block(small.rows))
    labels = TRUTH.responsibilities(small.rows).argmax(1)
    table = share.T @ np.eye(3)[labels]
    assert (np.sort(table, axis=1)[:, -1] > 0.95 * np.bincount(labels)[table.argmax(1)]).all()
    assert sorted(table.argmax(1)) == [0, 1, 2]


def test_one_tree_serves_every_number_of_components(monkeypatch):
    grown: list[int] = []

    def counted(rows: np.ndarray, *rest: object) -> Tree:
        grown.append(len(rows))
        return agglomerate(rows, *rest)

    monkeypatch.setattr(start, "agglomerate", counted)
    small = sample(Memory(ROWS), 5000)
    finer = None
    for k in range(1, 9):
        labels = hierarchical(small, k, np.random.default_rng(k))(block(small.rows)).argmax(1)
        assert len(np.unique(labels)) == k
        if finer is not None:  # each group is in one of the coarser ones before
            assert len(np.unique(finer * 10 + labels)) == k
        finer = labels
    assert grown == [300]
    gone = weakref.ref(small)
    del small
    gc.collect()
    assert gone() is None  # a tree does not outlive the rows it is of


def test_k_means_plus_plus_finds_groups_that_lie_apart():
    for seed in range(20):
        share = kmeans_plus_plus(SMALL, 3, np.random.default_rng(seed))(block(ROWS))
        table = share.T @ np.eye(3)[LABELS]
        assert (np.sort(table, axis=1)[:, -1] > 0.95 * np.bincount(LABELS)[table.argmax(1)]).all()
        assert sorted(table.argmax(1)) == [0, 1, 2]


def test_k_means_ends_where_no_row_changes_sides():
    for seed in range(5):
        share = kmeans(SMALL, 4, np.random.default_rng(seed))(block(SMALL.rows))
        rows = SMALL.rows / SMALL.unit
        centres = share.T @ rows / share.sum(0)[:, None]
        theirs = KMeans(4, init=centres, n_init=1, tol=0.0).fit(rows)
        assert np.array_equal(theirs.labels_, share.argmax(1))


def test_weights_count_in_k_means():
    rows, counts = SMALL.rows[:40], np.random.default_rng(0).integers(1, 5, 40).astype(float)
    heavy = Sample(rows, counts, complete=True)
    share = kmeans(heavy, 3, np.random.default_rng(0))(block(heavy.rows))
    unit = heavy.unit
    centres = (share * heavy.weights[:, None]).T @ (heavy.rows / unit) / (share.T @ heavy.weights)[:, None]
    nearest = np.linalg.norm((heavy.rows / unit)[:, None] - centres, axis=2).argmin(1)
    assert np.array_equal(nearest, share.argmax(1))


def test_random_rows_are_different_ones():
    for seed in range(10):
        share = random_rows(SMALL, 6, np.random.default_rng(seed))(block(SMALL.rows))
        assert (share.sum(0) > 0).all()
    few = Sample(ROWS[:2], np.ones(2), complete=True)
    share = random_rows(few, 5, np.random.default_rng(0))(block(few.rows))
    assert share.sum() == 2


def test_a_row_of_little_weight_is_seldom_drawn():
    weights = np.full(300, 1e-12)
    weights[10] = 1.0
    heavy = Sample(SMALL.rows, weights, complete=True)
    centre = heavy.rows[np.argmax(heavy.weights)]
    for seed in range(10):
        model = mixture_of(random_rows(heavy, 1, np.random.default_rng(seed)), heavy, 1, registry.get("VII"), NONE)
        assert model.means[0] == pytest.approx(centre, abs=1e-6)


def test_random_responsibilities_start_near_the_middle():
    rule = random_responsibilities(SMALL, 3, np.random.default_rng(0))
    model = mixture_of(rule, SMALL, 3, registry.get("full"), NONE)
    assert np.abs(model.means - ROWS.mean(0)).max() < 3 * ROWS.std() / np.sqrt(100)


@pytest.mark.parametrize("method", EVERY)
def test_more_components_than_distinct_rows(method):
    few = Sample(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([5.0, 6.0]), complete=True)
    share = method(few, 4, np.random.default_rng(0))(block(few.rows))
    assert share.sum(1) == pytest.approx([1.0, 1.0])


def test_a_constant_column_has_the_unit_one():
    rows = np.column_stack([ROWS[:, 0], np.full(300, 7.0)])
    unit = sample(Memory(rows), 5000).unit
    assert unit[1] == 1.0
    quartiles = np.subtract(*np.percentile(ROWS[:, 0], [75, 25])) / 1.349
    assert unit[0] == pytest.approx(min(quartiles, ROWS[:, 0].std()), rel=0.02)


# Moves


def test_components_that_move_take_the_rows_around_one():
    rng = np.random.default_rng(0)
    share = moved(TRUTH, (1,), SMALL, rng)(block(SMALL.rows))
    assert share.sum(1) == pytest.approx(np.ones(300))
    taken = share[:, 1] == 1
    assert set(np.unique(share[:, 1])) == {0.0, 1.0}
    assert taken.sum() == pytest.approx(300 / 6, abs=2)
    rest = Mixture([0.3 / 0.7, 0.4 / 0.7], TRUTH.means[[0, 2]], TRUTH.covariances[[0, 2]])
    assert share[~taken][:, [0, 2]] == pytest.approx(rest.responsibilities(SMALL.rows[~taken]))
    unit = SMALL.unit
    centre = (SMALL.rows / unit)[taken].mean(0)
    spread = np.linalg.norm((SMALL.rows / unit)[taken] - centre, axis=1).max()
    assert spread < np.linalg.norm((SMALL.rows / unit) - centre, axis=1).max() / 2


@pytest.mark.parametrize("gone", [(0,), (0, 2), (0, 1, 2)])
def test_any_number_of_components_may_move(gone):
    for seed in range(5):
        share = moved(TRUTH, gone, SMALL, np.random.default_rng(seed))(block(SMALL.rows))
        assert share.sum(1) == pytest.approx(np.ones(300))
        assert (share >= 0).all()


def test_splitting_and_merging_keeps_the_rows_and_the_number():
    overlapping = Mixture([0.3, 0.3, 0.2, 0.2], [[0, 0], [0, 0.3], [6, 1], [1, 9]], np.repeat([np.eye(2)], 4, axis=0))
    before = overlapping.responsibilities(SMALL.rows)
    for seed in range(5):
        share = split_and_merged(overlapping, SMALL, np.random.default_rng(seed))(block(SMALL.rows))
        assert share.sum(1) == pytest.approx(np.ones(300))
        assert (share >= 0).all()
        assert share[:, 0] == pytest.approx(before[:, 0] + before[:, 1])  # merged
        cut = [k for k in (2, 3) if not np.allclose(share[:, k], before[:, k])]
        assert len(cut) == 1
        assert share[:, 1] + share[:, cut[0]] == pytest.approx(before[:, cut[0]])
        assert np.minimum(share[:, 1], share[:, cut[0]]).max() == 0.0


# Starts of which parts are given


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_parts_are_kept_as_they_are(family):
    structure = mixture_of(by_labels(LABELS, 3), Memory(ROWS), 3, family, NONE).structure
    means, weights = TRUTH.means + 0.5, np.array([0.2, 0.2, 0.6])
    rough = around(means, Memory(ROWS), family, NONE, SMALL.unit)
    for parts in (Parts(weights), Parts(None, means), Parts(None, None, structure), Parts(weights, means, structure)):
        model = completed(parts, rough, Memory(ROWS), family, NONE)
        assert parts.weights is None or np.array_equal(model.weights, weights)
        assert parts.means is None or np.array_equal(model.means, means)
        assert parts.structure is None or model.structure is structure
        assert model.structure.kind == family.kind


def test_around_is_equal_weights_and_the_covariances_of_the_nearest():
    family = registry.get("full")
    model = around(TRUTH.means, Memory(ROWS), family, NONE, np.ones(2))
    assert model.weights.tolist() == [1 / 3] * 3
    nearest = by_nearest(TRUTH.means, np.ones(2))
    assert model.covariances == pytest.approx(mixture_of(nearest, Memory(ROWS), 3, family, NONE, lean=3.0).covariances)


# From one number of components to the next


def test_a_merger_keeps_mean_and_covariance():
    model = Mixture([0.2, 0.3, 0.5], [[0, 0], [1, 0], [9, 9]], [np.eye(2), 2 * np.eye(2), [[2, 1], [1, 2]]])
    found = mergers(model, 3)
    assert [m.n_components for m in found] == [2, 2, 2]
    for merged in found:
        assert np.allclose(merged.mean, model.mean)
        assert np.allclose(merged.cov, model.cov)
    assert np.allclose(found[0].weights, [0.5, 0.5])  # the two that are near
    assert np.allclose(found[0].means, [[9, 9], [0.6, 0]])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_component_that_holds_two_groups_is_cut(family):
    rng = np.random.default_rng(0)
    groups = np.array([[0.0, 0.0], [20.0, 0.0], [20.0, 8.0]])
    small = sample(Memory(np.vstack([rng.normal(size=(60, 2)) + mean for mean in groups])), 1000)
    two = Mixture([1 / 3, 2 / 3], [[0, 0], [20, 4]], [np.eye(2), np.diag([1.0, 17.0])])
    best, other = splits(two, small, family, Prior.none(2), 2)
    assert best.n_components == other.n_components == 3
    assert best.structure.kind == family.kind
    order = np.lexsort(best.means.T[::-1])
    assert np.abs(best.means[order][:, 1][1:].mean() - 4) < 1
    assert np.abs(np.sort(best.means[:, 1]) - [0, 0, 8]).max() < 0.5
    assert best.loglik(small.rows) > other.loglik(small.rows)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_two_components_of_one_group_make_room_for_one_that_holds_two(family):
    rng = np.random.default_rng(0)
    groups = np.array([[0.0, 0.0], [20.0, 0.0], [20.0, 8.0]])
    small = sample(Memory(np.vstack([rng.normal(size=(60, 2)) + mean for mean in groups])), 1000)
    near = [[-0.3, 0], [20, 4], [0.3, 0]]
    wrong = Mixture([1 / 6, 2 / 3, 1 / 6], near, [np.eye(2), np.diag([1.0, 17.0]), np.eye(2)])
    found = swaps(wrong, small, family, Prior.none(2), 2)
    assert [(one.n_components, one.structure.kind) for one in found] == [(3, family.kind)] * 2
    best = found[0].means[np.lexsort(found[0].means.T)]
    assert np.abs(best[:, 1] - [0, 0, 8]).max() < 0.5
    assert np.abs(np.sort(best[:, 0]) - [0, 20, 20]).max() < 0.5
    assert found[0].loglik(small.rows) > wrong.loglik(small.rows)
