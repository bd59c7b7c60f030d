"""The record that crosses from the E-step to the M-step: a commutative monoid, and recentring loses nothing."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from mixtura import Statistics, e_step

KINDS = ("full", "tied", "diagonal")
FIELDS = ("n", "s1", "s2", "loglik", "weight", "rows", "noise")


def by_hand(kind, centre, rows, share):
    """The sums as they are defined, one row and component at a time."""
    n_components, n_features = centre.shape
    n, s1 = np.zeros(n_components), np.zeros(centre.shape)
    full = np.zeros((n_components, n_features, n_features))
    for x, g in zip(rows, share, strict=True):
        for k in range(n_components):
            n[k] += g[k]
            s1[k] += g[k] * (x - centre[k])
            full[k] += g[k] * np.outer(x - centre[k], x - centre[k])
    s2 = {"full": full, "tied": full.sum(0), "diagonal": np.diagonal(full, axis1=1, axis2=2)}[kind]
    return Statistics(kind, centre, n, s1, s2, -1.0, float(share.sum()), len(rows))


def assert_same(one, other, rtol=1e-12, atol=1e-12):
    for name in FIELDS:
        assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, atol=atol, err_msg=name)


@pytest.fixture
def record(model, rows):
    return e_step(model, rows)


def test_e_step_sums_what_is_defined(model, kind, rows, record):
    expected = by_hand(kind, model.means, rows, model.responsibilities(rows))
    assert record.kind == kind
    assert_array_equal(record.centre, model.means)
    for name in ("n", "s1", "s2", "weight", "rows"):
        assert_allclose(getattr(record, name), getattr(expected, name), rtol=1e-11, atol=1e-11, err_msg=name)
    assert_allclose(record.loglik, model.loglik(rows), rtol=1e-13)


@pytest.mark.parametrize("cut", [0, 1, 23, 60])
def test_two_parts_add_to_the_whole(model, rows, record, cut):
    assert_same(e_step(model, rows[:cut]) + e_step(model, rows[cut:]), record)


def test_zero_is_neutral_and_the_order_does_not_matter(model, kind, rows, record):
    zero = Statistics.zero(kind, model.means)
    assert_same(zero + record, record, rtol=0, atol=0)
    assert_same(record + zero, record, rtol=0, atol=0)
    other = e_step(model, rows[:10])
    assert_same(other + record, record + other, rtol=0, atol=0)
    assert_same(e_step(model, rows[:0]), zero, rtol=0, atol=0)


def test_scale_is_repetition(rows, record):
    tripled = record.scale(3.0)
    repeated = record + record + record
    for name in ("n", "s1", "s2", "loglik", "weight"):
        assert_allclose(getattr(tripled, name), getattr(repeated, name), rtol=1e-13, err_msg=name)
    assert tripled.rows == len(rows)


def test_a_sum_changes_neither_part(model, rows, record):
    before = record.n.copy(), record.s2.copy()
    record + e_step(model, rows)
    assert_array_equal(record.n, before[0])
    assert_array_equal(record.s2, before[1])
    with pytest.raises(AttributeError):
        record.weight = 0.0


def test_what_does_not_belong_together_does_not_add(model, record):
    with pytest.raises(ValueError, match="recentre"):
        record + record.recentre(record.centre + 1)
    kind = "full" if record.kind != "full" else "tied"
    with pytest.raises(ValueError, match="kind"):
        record + Statistics.zero(kind, model.means)


def test_recentre_is_as_if_summed_there(model, kind, rows, record):
    centre = model.means + np.array([[3.0, -1.0], [0.0, 2.0], [-4.0, 0.5]])
    expected = by_hand(kind, centre, rows, model.responsibilities(rows))
    moved = record.recentre(centre)
    assert_array_equal(moved.centre, centre)
    for name in ("n", "s1", "s2"):
        assert_allclose(getattr(moved, name), getattr(expected, name), rtol=1e-10, atol=1e-10, err_msg=name)
    assert (moved.loglik, moved.weight, moved.rows) == (record.loglik, record.weight, record.rows)


def test_recentred_parts_add(model, rows):
    """How records of two passes with different means are merged."""
    here, there = e_step(model, rows[:30]), e_step(model, rows[30:]).recentre(model.means + 1)
    merged = here + there.recentre(here.centre)
    assert_same(merged, e_step(model, rows), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_beyond_goes_on_from_one_record_over_another(model, kind, rows, record, share):
    centre = model.means + np.array([[0.5, -0.2], [0.0, 0.3], [-0.4, 0.1]])
    before = by_hand(kind, centre, rows, model.responsibilities(rows + 0.3))
    expected = record + (record + before.recentre(record.centre).scale(-1)).scale(share)
    found = record.beyond(before, share)
    assert_array_equal(found.centre, record.centre)
    for name in ("n", "s1", "s2", "loglik", "noise"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-9, err_msg=name)
    assert (found.weight, found.rows) == (record.weight, record.rows)


def test_scatter_is_about_each_mean_and_does_not_depend_on_the_centre(model, kind, rows, record):
    share = model.responsibilities(rows)
    means = share.T @ rows / share.sum(0)[:, None]
    expected = by_hand(kind, means, rows, share).s2
    assert_allclose(record.scatter(), expected, rtol=1e-10, atol=1e-10)
    assert_allclose(record.recentre(record.centre + 10).scatter(), expected, rtol=1e-9, atol=1e-9)
    assert_allclose(record.centre + record.shift(), means, rtol=1e-11)


def test_shift_of_an_empty_component_is_zero(kind):
    zero = Statistics.zero(kind, np.ones((2, 3)))
    assert_array_equal(zero.shift(), np.zeros((2, 3)))
    assert not zero.scatter().any()


# Exactness: with numbers whose sums are exact in binary, recentring is exact to the bit.

whole = st.integers(-(2**12), 2**12)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.lists(st.tuples(whole, whole), min_size=1, max_size=8),
    centres=st.lists(st.tuples(whole, whole, whole, whole), min_size=2, max_size=2),
)
def test_recentre_is_exact(kind, rows, centres):
    data = np.array(rows, dtype=float)
    share = np.tile([0.25, 0.75], (len(data), 1))
    old, new = (np.array(c, dtype=float).reshape(2, 2) / 4 for c in centres)
    moved = by_hand(kind, old, data, share).recentre(new)
    expected = by_hand(kind, new, data, share)
    for name in ("n", "s1", "s2"):
        assert_array_equal(getattr(moved, name), getattr(expected, name), err_msg=name)


reasonable = st.floats(-1e3, 1e3, width=32)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.lists(st.tuples(reasonable, reasonable), min_size=2, max_size=10),
    cut=st.integers(0, 10),
    offset=st.sampled_from([0.0, 1e4, 1e8]),
)
def test_parts_add_wherever_the_rows_lie(kind, rows, cut, offset):
    data = np.array(rows) + offset
    share = np.column_stack([np.linspace(0, 1, len(data)), np.linspace(1, 0, len(data))])
    centre = np.array([data[0], data[-1]])
    parts = by_hand(kind, centre, data[:cut], share[:cut]) + by_hand(kind, centre, data[cut:], share[cut:])
    whole_ = by_hand(kind, centre, data, share)
    for name in ("n", "s1", "s2"):
        assert_allclose(getattr(parts, name), getattr(whole_, name), rtol=1e-12, atol=1e-9, err_msg=name)


def test_centring_at_the_means_is_what_keeps_the_digits(make, kind):
    """Rows at 1e8: the scatter agrees with rational arithmetic, where raw moments would have lost it all."""
    model = make(kind, n_components=1).transform(1.0, 1e8)
    rows = model.sample(50, 0)
    column = [Fraction(x) for x in rows[:, 0].tolist()]
    mean = sum(column) / len(column)
    exact = float(sum((x - mean) ** 2 for x in column))
    scatter = e_step(model, rows).scatter().reshape(-1)[0]
    assert_allclose(scatter, exact, rtol=1e-10)
