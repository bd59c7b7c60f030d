"""Rows without which a sample would say what does not hold."""

from __future__ import annotations

import numpy as np
import pytest

import mixtura
from mixtura.sources.memory import Memory
from mixtura.sources.sketch import samples
from mixtura.strays import with_strays

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(2000, 2)) + 6.0 * RNG.integers(0, 2, (2000, 1)) * [1.0, 0.0]
SUM = ROWS.sum(1)


def table(*columns):
    """Those two columns, and others."""
    return np.column_stack([ROWS, *columns])


def but(values, where, by):
    """The values, but for some rows."""
    other = values.copy()
    other[where] += by
    return other


def grown(rows, *, relations=True, limit=50):
    """A sample of so many rows before and after."""
    source = Memory(rows)
    before = samples(source, (limit,))[0]
    return before, with_strays(source, [before], relations=relations)[0]


def test_of_rows_that_break_a_relation_one_is_added():
    rows = table(but(SUM, [100, 1500], [2.0, 3.0]))
    before, after = grown(rows)
    assert after.n_rows == before.n_rows + 1
    assert sum((after.rows == rows[i]).all(1).any() for i in (100, 1500)) == 1
    assert not after.complete


def test_as_many_are_added_as_there_are_relations():
    before, after = grown(table(but(SUM, 100, 2.0), but(-SUM, 1500, 1.0), but(np.full(2000, 1e6), 7, 1.0)))
    assert after.n_rows == before.n_rows + 3


@pytest.mark.parametrize(("relations", "added"), [(True, 2), (False, 1)])
def test_constant_columns_count_by_themselves(relations, added):
    before, after = grown(table(but(SUM, 100, 2.0), but(np.zeros(2000), 1500, 1e-9)), relations=relations)
    assert after.n_rows == before.n_rows + added


def test_where_it_holds_the_sample_stays():
    for rows in (ROWS, table(SUM), table(np.full(2000, 1e9)), table(but(SUM, 100, 1e-9))):
        before, after = grown(rows)
        assert after is before


def test_the_order_of_the_rows_does_not_matter():
    rows = table(but(np.zeros(2000), [3, 1999], 1.0))
    _, one = grown(rows)
    _, other = grown(rows[RNG.permutation(2000)])
    assert one.rows.tobytes() == other.rows.tobytes()
    assert one.weights.tobytes() == other.weights.tobytes()


def test_three_rows_of_many_break_a_relation():
    n = 40_000
    rows = np.tile(ROWS, (20, 1)) + np.random.default_rng(1).normal(size=(n, 2))
    rows = np.column_stack([rows, but(rows.sum(1), [100, n // 2, n - 1], 2.0)])
    result = mixtura.fit(rows, 2, "tied", random_state=0)
    assert result.best.eligible
    assert "linear relation" not in {note.name for note in result.best.notes}
    assert result.model.weights == pytest.approx([0.5, 0.5], abs=0.03)


@pytest.mark.parametrize("family", ["full", "eve"])
def test_the_prior_holds_a_component_without_width_among_rows_that_all_but_agree(family):
    result = mixtura.fit(table(but(SUM, [100, 1000, 1998], 2.0)), 2, family, random_state=0)
    assert "collapsed component" in {note.name for note in result.best.notes}
