"""Scouts look for hills: what they try, what they take, and that threads change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mixtura
from mixtura import Mixture, em, race, scouts
from mixtura.choice import search
from mixtura.core.em import Stop, Task, climb_together
from mixtura.core.noise import Noise
from mixtura.covariance import registry
from mixtura.covariance.prior import ConjugatePrior, Prior
from mixtura.covariance.registry import FAMILIES
from mixtura.diagnosis import misplaced_components
from mixtura.ground import Candidate, Settings
from mixtura.scouts import Aim, Land, Scout, Stack, cuts, explore, joins, moves, swaps
from mixtura.sources import sketch
from mixtura.sources.memory import Memory
from mixtura.sources.opening import as_source

FAITHFUL = Path(__file__).parents[1] / "examples" / "faithful.csv"
TRUTH = Mixture([0.5, 0.3, 0.2], [[0, 0], [6, 1], [-3, 5]], np.array([np.eye(2), [[2, 1], [1, 1.5]], 0.3 * np.eye(2)]))
ROWS = TRUTH.sample(400, rng=0)
LAND = Land.of(sketch.sample(Memory(ROWS), 5_000))
FULL = registry.get("full")


def aim(n_components: int, name: str = "full") -> Aim:
    family = registry.get(name)
    return Aim(n_components, family, Prior.relative(ROWS, np.ones(len(ROWS)), family))


def moments(stack: Stack, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of one of the mixtures."""
    model = Mixture(stack.weights[m], stack.means[m], stack.covariances[m])
    return model.mean, model.cov


# What is tried


def test_a_stack_holds_what_it_was_given():
    stack = LAND.stack(TRUTH)
    assert_array_equal(stack.weights[0], TRUTH.weights)
    assert_allclose(LAND.mixture(stack, FULL).means, TRUTH.means)
    assert_allclose(LAND.mixture(stack, FULL).covariances, TRUTH.covariances)
    both = Stack.joined([stack, stack])
    assert len(both) == 2
    assert_array_equal(both.take(np.array([1])).covariances, stack.covariances)


def test_cuts_keep_the_moments():
    stack = LAND.stack(TRUTH)
    new = cuts(stack, np.ones(2))
    assert (len(new), new.n_components) == (3, 4)
    for m in range(3):
        for mine, theirs in zip(moments(new, m), moments(stack, 0), strict=True):
            assert_allclose(mine, theirs, atol=1e-12)
        assert np.linalg.eigvalsh(new.covariances[m]).min() > 0
    assert len(cuts(stack, np.ones(2), 2)) == 2


def test_joins_keep_the_moments_and_begin_with_the_nearest_pair():
    stack = cuts(LAND.stack(TRUTH), np.ones(2)).take(np.array([1]))  # the second component in two halves
    new = joins(stack, 2)
    assert (len(new), new.n_components) == (2, 3)
    for m in range(2):
        for mine, theirs in zip(moments(new, m), moments(stack, 0), strict=True):
            assert_allclose(mine, theirs, atol=1e-12)
    order = [0, 2, 1]  # what was joined comes last
    assert_allclose(new.means[0][order], LAND.stack(TRUTH).means[0], atol=1e-12)
    assert_allclose(new.covariances[0][order], LAND.stack(TRUTH).covariances[0], atol=1e-12)


def test_swaps_and_moves_keep_the_size():
    stack = LAND.stack(TRUTH)
    for new in (swaps(stack, np.ones(2)), moves(stack, LAND, np.random.default_rng(0))):
        assert new.n_components == 3
        assert_allclose(new.weights.sum(1), 1)
        assert np.linalg.eigvalsh(new.covariances).min() > 0
        assert (np.abs(new.numbers - stack.numbers).max(1) > 0.1).all()


# What is taken


def test_what_leads_nowhere_is_left_and_leaves_the_others_alone():
    scout = Scout(LAND, aim(3))
    stack = LAND.stack(TRUTH)
    flat = stack.take(np.array([0]))
    flat.covariances[0, 1] = 0.0
    (alone,) = scout.climb(stack.take(np.array([0])), 5)
    nowhere, somewhere = scout.climb(Stack.joined([flat, stack]), 5)
    assert nowhere == -np.inf
    assert somewhere == alone
    scout.explore(flat)
    assert scout.found(1).models == []


def test_the_sieve_leaves_behind_what_is_not_promising():
    scout = Scout(LAND, aim(3))
    rng = np.random.default_rng(0)
    stack = Stack.joined([LAND.stack(TRUTH), moves(LAND.stack(TRUTH), LAND, rng)])
    everything = np.arange(len(stack))
    further = stack.take(everything)
    heights = scout.climb(further, 3)
    kept, _ = scout.ascend(stack.take(everything), np.array([[3, 4]]), -np.inf)
    assert_array_equal(kept, np.where(heights > heights.min(), heights, -np.inf))
    later = scout.climb(further, 1)
    reach = later + scouts.HOPE * (later - heights)
    for bar in 0.5 * (np.sort(reach)[1:] + np.sort(reach)[:-1]):
        kept, _ = scout.ascend(stack.take(everything), np.array([[3, 5], [1, 5]]), bar)
        assert_array_equal(kept, np.where(reach > bar, later, -np.inf))
    ends, _ = scout.ascend(stack, scouts.SIEVE, -np.inf)
    assert (ends > -np.inf).sum() == 1
    assert ends.max() >= heights.max()


def test_a_better_mixture_is_taken_and_a_worse_one_is_not():
    scout = Scout(LAND, aim(3))
    poor = TRUTH.means.copy()
    poor[:] = ROWS[:3]
    scout.explore(LAND.stack(Mixture(TRUTH.weights, poor, TRUTH.covariances)))
    first = scout.height
    scout.explore(LAND.stack(TRUTH))
    best, version = scout.height, scout.version
    assert best >= first
    scout.explore(LAND.stack(Mixture(TRUTH.weights, poor, TRUTH.covariances)))
    assert (scout.height, scout.version) == (best, version)


def test_a_spike_is_not_taken_for_the_better_one():
    rows = np.vstack([ROWS, np.repeat([[1.0, 1.0]], 60, axis=0)])
    land = Land.of(sketch.sample(Memory(rows), 5_000))
    prior = Prior.relative(land.sample.rows, land.sample.weights, FULL)
    scout = Scout(land, Aim(3, FULL, prior))
    scout.explore(land.stack(TRUTH))
    sound = scout.height
    spike = np.array([*TRUTH.covariances[:2], 1e-9 * np.eye(2)])
    start = Mixture(TRUTH.weights, [[0, 0], [6, 1], [1, 1]], spike)
    (higher,) = scout.climb(land.stack(start), 200)
    assert higher > sound + 100
    scout.explore(land.stack(start))
    assert (scout.height, scout.misplaced) == (sound, 0)


# Many together

NAMES = ("full", "tied", "diag", "spherical", "vve", "vee")
AIMS = [aim(k, name) for k in range(1, 6) for name in NAMES]


def started(the_aim: Aim) -> list[Mixture]:
    rng = np.random.default_rng(the_aim.n_components)
    k = the_aim.n_components
    return [Mixture(np.full(k, 1 / k), ROWS[rng.choice(400, k, replace=False)], np.stack([np.cov(ROWS.T)] * k))]


def near() -> list[list[int]]:
    def adjacent(one: Aim, other: Aim) -> bool:
        more = abs(one.n_components - other.n_components)
        if one.family is other.family:
            return more == 1
        return more == 0 and one.family.next_to(other.family, [registry.get(name) for name in NAMES])

    return [[j for j, other in enumerate(AIMS) if adjacent(one, other)] for one in AIMS]


def explored(n_threads: int, seed: int = 0):
    sample, starts = sketch.sample(Memory(ROWS), 5_000), [started(a) for a in AIMS]
    named = {"seed": seed, "most": 3, "n_threads": n_threads}
    return explore(sample, AIMS, starts, near(), **named, told_to_stop=lambda _: False)


def test_threads_change_nothing():
    one, four = explored(1), explored(4)
    for a, b in zip(one, four, strict=True):
        assert a.models == b.models
        assert list(a.heights) == list(b.heights)


def test_several_hills_are_apart_and_the_best_comes_first():
    several = 0
    for the_aim, found in zip(AIMS, explored(2), strict=True):
        tasks = [Task(model, the_aim.family, the_aim.prior, Stop(max_iter=0)) for model in found.models]
        fits = climb_together(tasks, Memory(ROWS))
        heights = [fit.objective for fit in fits]
        assert 1 <= len(fits) <= 3
        assert min(np.abs(np.diff(sorted(heights))), default=1.0) > 0.05
        several += len(fits) > 1
        for fit in fits[1:]:
            assert fit.objective < heights[0] or len(misplaced_components(fit)) > len(misplaced_components(fits[0]))
    assert several > 10


def test_they_stop_when_told():
    asked: list[int] = []

    def told(turn: int) -> bool:
        asked.append(turn)
        return True

    found = explore(
        LAND.sample, AIMS, [started(a) for a in AIMS], near(), seed=0, most=1, n_threads=1, told_to_stop=told
    )
    assert asked == [0]
    assert all(len(each.models) == 1 for each in found)  # what the starts led to is there


def test_neighbours_are_on_different_sides():
    table = [Aim(k, family, Prior.none(3)) for k in (1, 2, 3) for family in FAMILIES]
    sides = scouts._sides(table)
    assert sorted([*sides[0], *sides[1]]) == list(range(len(table)))
    for side in sides:
        for i in side:
            for j in side:
                one, other = table[i], table[j]
                more = abs(one.n_components - other.n_components)
                assert not (one.family is other.family and more == 1)
                assert not (more == 0 and one.family.next_to(other.family, FAMILIES))


# In a search

TABLE = [Candidate(k, family) for k in range(1, 7) for family in FAMILIES]


def sent(monkeypatch) -> list[int]:
    """How many rows scouts were sent to look at, each time."""
    seen: list[int] = []
    original = scouts.explore

    def noting(sample, *rest, **named):
        seen.append(sample.n_rows)
        return original(sample, *rest, **named)

    monkeypatch.setattr(scouts, "explore", noting)
    return seen


def test_scouts_find_what_isolated_climbs_do_or_more(monkeypatch):
    rows = as_source(FAITHFUL).source
    seen = sent(monkeypatch)
    scouted = search(rows, TABLE, Settings(), seed=0)
    assert len(seen) == 1
    monkeypatch.setattr(race, "SCOUTED_FROM", 10_000)
    plain = search(rows, TABLE, Settings(), seed=0)
    assert len(seen) == 1
    gains = [a.loglik - b.loglik for a, b in zip(scouted, plain, strict=True) if a.eligible and b.eligible]
    assert len(gains) > 80
    assert sum(gains) > 0
    assert np.mean(np.array(gains) > -1e-3) > 0.8
    assert all(cell.fit.converged for cell in scouted)


def test_the_best_of_few_rows_is_followed_to_many(monkeypatch):
    rows = TRUTH.sample(30_000, rng=1)
    seen = sent(monkeypatch)
    monkeypatch.setattr(race, "SCOUTED_WORK", 1e5)
    cells = search(Memory(rows), [Candidate(k, f) for k in range(1, 5) for f in FAMILIES], Settings(), seed=0)
    assert seen == [400]  # a hundred for each component
    best = min((cell for cell in cells if cell.eligible), key=lambda cell: cell.bic)
    assert best.n_components == 3
    assert best.loglik == pytest.approx(em(TRUTH, rows, best.covariance).loglik, abs=30_000 * 2e-6)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(max_iter=50),
        Settings(accelerate=False),
        Settings(fixed=mixtura.Fixed(weights="equal")),
    ],
    ids=["few passes", "plain", "fixed weights"],
)
def test_they_stay_at_home_where_they_do_not_know_what_to_look_for(settings, monkeypatch):
    seen = sent(monkeypatch)
    cells = search(Memory(ROWS[:60]), [Candidate(k, f) for k in (1, 2, 3) for f in FAMILIES], settings, seed=0)
    assert not seen
    assert all(cell.fit is not None for cell in cells)


@pytest.mark.parametrize(
    "settings",
    [Settings(noise=True), Settings(noise=Noise.of_density(1e-3)), Settings(prior=ConjugatePrior())],
    ids=["noise", "given noise", "a prior"],
)
def test_they_look_for_noise_and_under_priors(settings, monkeypatch):
    rows = np.vstack([ROWS[:150], np.random.default_rng(5).uniform(-12, 14, (20, 2))])
    table = [Candidate(k, f) for k in (1, 2, 3) for f in FAMILIES]
    seen = sent(monkeypatch)
    scouted = search(Memory(rows), table, settings, seed=0)
    assert seen == [170]
    monkeypatch.setattr(race, "SCOUTED_FROM", 10_000)
    plain = search(Memory(rows), table, settings, seed=0)
    assert len(seen) == 1
    gains = [
        a.fit.objective - b.fit.objective for a, b in zip(scouted, plain, strict=True) if a.eligible and b.eligible
    ]
    assert len(gains) > 35
    assert np.mean(np.array(gains) > -1e-3) > 0.8
    assert all(cell.fit.converged for cell in scouted)


def test_they_stay_at_home_where_rows_leave_directions_open(monkeypatch):
    seen = sent(monkeypatch)
    rows = np.column_stack([ROWS, ROWS[:, 0] - ROWS[:, 1]])
    cells = search(Memory(rows[:60]), [Candidate(k, f) for k in (1, 2, 3) for f in FAMILIES], Settings(), seed=0)
    assert not seen
    assert any(cell.fit is not None for cell in cells)


def test_they_stay_at_home_where_a_row_is_so_far_off_that_digits_are_lost(monkeypatch):
    seen = sent(monkeypatch)
    rows = np.vstack([ROWS[:60], [[1e9, 0.0]]])
    cells = search(Memory(rows), [Candidate(k, f) for k in (1, 2, 3) for f in FAMILIES], Settings(), seed=0)
    assert not seen
    assert any(cell.fit is not None for cell in cells)


def test_fits_that_there_are_stay_unless_something_higher_is_found(monkeypatch):
    seen = sent(monkeypatch)
    before = mixtura.select(ROWS[:150], range(1, 4), "all", random_state=0)
    former = {(cell.n_components, cell.covariance): cell for cell in before.cells}
    after = before.extend(n_components=[4, 5])
    assert len(seen) == 2
    assert len(after.cells) == 5 * len(FAMILIES)
    stayed = 0
    for cell in after.cells:
        old = former.get((cell.n_components, cell.covariance))
        if old is not None:
            stayed += cell.fit is old.fit
            assert cell.fit is old.fit or cell.loglik > old.loglik
    assert stayed > len(FAMILIES)


@pytest.mark.parametrize("exponent", [-300, 300])
def test_the_unit_of_the_rows_changes_nothing(exponent):
    table = [Candidate(k, f) for k in (1, 2, 3) for f in FAMILIES]
    small = search(Memory(ROWS[:100]), table, Settings(), seed=0)
    large = search(Memory(np.ldexp(ROWS[:100], exponent)), table, Settings(), seed=0)
    for one, other in zip(small, large, strict=True):
        assert one.eligible == other.eligible
        shift = 100 * 2 * exponent * np.log(2)
        assert other.loglik + shift == pytest.approx(one.loglik, abs=1e-4)


def test_a_family_of_another_name_is_not_theirs():
    other = registry.Family("new", "NEW", (), "full", FULL.rule, FULL.free)
    assert not Aim(2, other, Prior.none(2)).possible
    assert all(Aim(2, family, Prior.none(2)).possible for family in FAMILIES)
