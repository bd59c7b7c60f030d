"""The sample depends on the rows and their weights, and on nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtura.sources import memory
from mixtura.sources.memory import Memory
from mixtura.sources.sketch import Sample, Sketch, fingerprint, sample

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 30, (600, 2)).astype(float)
COUNTS = RNG.integers(0, 4, 600)


def identical(one: Sample, other: Sample) -> bool:
    return (
        one.complete == other.complete
        and one.rows.tobytes() == other.rows.tobytes()
        and one.weights.tobytes() == other.weights.tobytes()
    )


def weights_by_row(rows: np.ndarray, weights: np.ndarray) -> dict[tuple[float, ...], float]:
    totals: Counter[tuple[float, ...]] = Counter()
    for row, weight in zip(rows, weights, strict=True):
        if weight:
            totals[tuple(row)] += weight
    return totals


LIMITS = [5, 60, 5000]


@pytest.mark.parametrize("limit", LIMITS)
def test_distinct_rows_each_with_the_weight_of_its_copies(limit):
    truth = weights_by_row(ROWS, COUNTS)
    small = sample(Memory(ROWS, COUNTS.astype(float)), limit)
    assert len(small.rows) == min(limit, len(truth))
    assert small.complete == (limit >= len(truth))
    assert {tuple(row): weight for row, weight in zip(small.rows, small.weights, strict=True)}.items() <= truth.items()
    assert small.rows.tolist() == sorted(small.rows.tolist())


@pytest.mark.parametrize("limit", LIMITS)
def test_neither_order_nor_cut_nor_the_writing_of_weights_matters(limit, monkeypatch):
    plain = sample(Memory(ROWS, COUNTS.astype(float)), limit)
    repeated = np.repeat(ROWS, COUNTS, axis=0)
    shuffled = RNG.permutation(repeated)
    assert identical(plain, sample(Memory(repeated), limit))
    assert identical(plain, sample(Memory(shuffled), limit))
    assert identical(plain, sample(Memory(np.asfortranarray(shuffled)), limit))
    assert identical(plain, sample(Memory(ROWS[COUNTS > 0], COUNTS[COUNTS > 0].astype(float)), limit))
    for block_rows in (1, 7, 100):
        monkeypatch.setattr(memory, "BLOCK_ROWS", block_rows)
        for n_threads in (1, 3):
            assert identical(plain, sample(Memory(shuffled, n_threads=n_threads), limit))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(*[st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e300, -3.0])] * 2), min_size=1, max_size=40),
    limit=st.integers(1, 12),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_any_rows_in_any_order(rows, limit, seed, data):
    table = np.array(rows)
    order = data.draw(st.permutations(range(len(rows))))
    one, other = sample(Memory(table), limit, seed), sample(Memory(table[list(order)]), limit, seed)
    assert identical(one, other)
    assert len(np.unique(one.rows, axis=0)) == len(one.rows) == min(limit, len(np.unique(table + 0.0, axis=0)))
    if one.complete:
        assert one.weights.sum() == len(rows)


def test_parts_add_up_to_the_whole():
    from mixtura.sources.sketch import _LARGEST, _of_block
    from mixtura.sources.source import Block

    def part(start: int, stop: int) -> Sketch:
        return _of_block(50, np.uint64(3), _LARGEST, Block(ROWS[start:stop], None, start))

    whole = part(0, 600).kept()
    for several in ([part(0, 600)], [part(0, 10), part(10, 600)], [part(300, 600), part(0, 150), part(150, 300)]):
        total = several[0]
        for other in several[1:]:
            total = total + other
        total = total.kept()
        assert np.array_equal(total.hashes, whole.hashes)
        assert np.array_equal(total.rows, whole.rows)
        assert np.array_equal(total.weights, whole.weights)


def test_rows_of_weight_zero_are_never_there():
    rows = np.vstack([ROWS, [[1e9, 1e9]] * 50])
    weights = np.r_[np.ones(600), np.zeros(50)]
    for limit in LIMITS:
        assert identical(sample(Memory(rows, weights), limit), sample(Memory(ROWS), limit))


def test_many_copies_of_few_rows():
    rows = np.repeat(ROWS[:20], 500, axis=0)
    truth = weights_by_row(rows, np.ones(len(rows)))
    small = sample(Memory(rows), 100)
    assert small.complete
    assert weights_by_row(small.rows, small.weights) == truth
    assert not sample(Memory(rows), 5).complete


def test_zero_has_one_sign():
    small = sample(Memory(np.array([[0.0, 1.0], [-0.0, 1.0]])), 10)
    assert len(small.rows) == 1
    assert small.weights.tolist() == [2.0]


def test_single_precision_is_the_same_numbers():
    single = (ROWS / 7).astype(np.float32)
    one, other = sample(Memory(single), 60), sample(Memory(single.astype(np.float64)), 60)
    assert identical(one, other)
    assert one.rows.dtype == np.float64


def test_a_larger_sample_holds_the_smaller_one():
    small, large = (weights_by_row(s.rows, s.weights) for s in (sample(Memory(ROWS), limit) for limit in (40, 200)))
    assert small.items() <= large.items()


def test_another_seed_gives_another_sample():
    assert not identical(sample(Memory(ROWS), 40, 0), sample(Memory(ROWS), 40, 1))
    assert identical(sample(Memory(ROWS), 40, 1), sample(Memory(ROWS), 40, 1))
    assert identical(sample(Memory(ROWS), 5000, 0), sample(Memory(ROWS), 5000, 1))
    assert identical(sample(Memory(ROWS), 40, 2**63 - 1), sample(Memory(ROWS), 40, 2**63 - 1))


def test_every_row_is_as_likely_as_another():
    rows = np.arange(100.0)[:, None]
    times = Counter(row for seed in range(400) for row in sample(Memory(rows), 25, seed).rows[:, 0])
    counts = np.array([times[row] for row in rows[:, 0]])
    # binomial(400, 1/4): mean 100, standard deviation 8.7
    assert abs(counts - 100).max() < 5 * 8.7
    assert ((counts - 100) ** 2 / 75).sum() == pytest.approx(100, abs=60)


def test_a_sample_can_be_read_as_a_source():
    small = sample(Memory(ROWS), 40)
    assert (small.n_rows, small.n_features) == (40, 2)
    assert small.total(lambda block: block.weights.sum()) == small.weights.sum()


def test_fractional_weights_of_copies_add_to_rounding():
    rows, weights = np.repeat(ROWS[:50], 3, axis=0), RNG.random(150)
    order = RNG.permutation(150)
    one, other = sample(Memory(rows, weights), 500), sample(Memory(rows[order], weights[order]), 500)
    assert np.array_equal(one.rows, other.rows)
    assert one.weights == pytest.approx(other.weights, rel=1e-15)


def test_a_fingerprint_is_of_the_numbers_alone(monkeypatch):
    rows = np.random.default_rng(1).normal(size=(3000, 3)).astype(np.float32)
    weights = np.random.default_rng(2).random(3000)
    plain, weighted = fingerprint(Memory(rows)), fingerprint(Memory(rows, weights))
    order = np.random.default_rng(3).permutation(3000)
    monkeypatch.setattr(memory, "BLOCK_NUMBERS", 100)
    monkeypatch.setattr(memory, "LEAST_ROWS", 7)
    for of, at in ((rows, order), (rows.astype(np.float64), order[::-1]), (np.asfortranarray(rows), order)):
        assert fingerprint(Memory(of[at])) == plain
        assert fingerprint(Memory(of[at], weights[at], n_threads=3)) == weighted
    assert len({plain, weighted}) == 2
    assert all(len(found) == 32 and int(found, 16) >= 0 for found in (plain, weighted))


def test_a_fingerprint_sees_every_change():
    rows = np.random.default_rng(1).normal(size=(50, 3))
    found = [fingerprint(Memory(rows))]
    for i, j in ((0, 0), (49, 2), (20, 1)):
        other = rows.copy()
        other[i, j] = np.nextafter(other[i, j], np.inf)
        found.append(fingerprint(Memory(other)))
    found.append(fingerprint(Memory(rows[:-1])))
    found.append(fingerprint(Memory(np.vstack([rows, rows[:1]]))))
    found.append(fingerprint(Memory(rows[:, ::-1])))
    found.append(fingerprint(Memory(rows, np.full(50, 2.0))))
    assert len(set(found)) == len(found)
