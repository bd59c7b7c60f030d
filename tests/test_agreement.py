"""Labels beside labels, and components beside components."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

import mixtura
from mixtura import Mixture, adjusted_rand_index, cross_table, match
from mixtura.sources.memory import Memory

partitions = st.integers(0, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(2)])
)


@settings(deadline=None)
@given(partitions)
def test_the_table_and_the_index_of_scikit_learn(pair):
    a, b = pair
    table = cross_table(a, b)
    if a:
        assert np.array_equal(table.counts, contingency_matrix(a, b))
        assert table.rows == tuple(sorted(set(a)))
        assert table.columns == tuple(sorted(set(b)))
    assert adjusted_rand_index(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


def test_the_index_of_many_rows_does_not_overflow():
    a, b = np.repeat([0, 1], 200_000), np.tile([0, 1], 200_000)
    assert adjusted_rand_index(a, b) == pytest.approx(adjusted_rand_score(a, b))
    assert adjusted_rand_index(a, a) == 1


@settings(deadline=None)
@given(partitions)
def test_no_other_pairing_agrees_better(pair):
    table = cross_table(*pair)
    if not pair[0]:
        assert math.isnan(table.agreement)
        return
    square = np.zeros((6, 6))
    square[: len(table.rows), : len(table.columns)] = table.counts
    best = max(square[range(6), order].sum() for order in itertools.permutations(range(6)))
    assert table.agreement == pytest.approx(best / len(pair[0]))
    places = [(table.rows.index(a), table.columns.index(b)) for a, b in table.pairs]
    assert sum(table.counts[i, j] for i, j in places) == best


def test_labels_of_any_kind_and_missing_ones():
    pandas, polars, pyarrow = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    expected = [[2, 0], [0, 1]]
    other = [1, 1, 2, 1, 2]
    for labels in (
        ["a", "a", "b", None, None],
        np.array(["a", "a", "b", None, None], dtype=object),
        pandas.Series(["a", "a", "b", None, pandas.NA], dtype="string"),
        pandas.Series(["a", "a", "b", None, None], dtype="category"),
        polars.Series(["a", "a", "b", None, None]),
        pyarrow.chunked_array([["a", "a", "b"], [None, None]]).dictionary_encode(),
        iter(["a", "a", "b", math.nan, np.datetime64("NaT")]),
    ):
        table = cross_table(labels, other)
        assert table.rows == ("a", "b")
        assert table.counts.tolist() == expected
        assert table.missing == 2
    mixed = cross_table(["z", 1, ("x", 2)], [0, 0, 0])
    assert mixed.rows == ("z", 1, ("x", 2))


def test_labels_that_cannot_be_compared():
    with pytest.raises(ValueError, match="of 2 and of 3 rows"):
        cross_table([1, 2], [1, 2, 3])
    with pytest.raises(TypeError, match="unhashable"):
        cross_table([[1], [2]], [1, 2])


def test_the_table_can_be_read():
    table = cross_table(["\x1b[31mred", None, "blue"], [0, 0, 1])
    assert str(table).splitlines() == [
        "labels       0  1",
        r"\x1b[31mred  1  0",
        "blue         0  1",
        "",
        "rows                 2, 1 more without a label",
        "adjusted Rand index  1.0000",
        r"agreement            100 % with \x1b[31mred = 0, blue = 1",
    ]
    assert mixtura.cross_table([], []).summary()["counts"] == []


def mixtures():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(4, 2, 2))
    return Mixture([0.1, 0.2, 0.3, 0.4], rng.normal(0, 3, (4, 2)), factors @ factors.transpose(0, 2, 1) + np.eye(2))


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("order", [*itertools.permutations(range(4))][::5])
def test_a_permutation_is_found(order, by_rows):
    reference = mixtures()
    rows = reference.sample(500, rng=0) if by_rows else None
    found = match(reference, reference.reorder(order), rows)
    assert reference.reorder(order).reorder(found.order) == reference
    assert found.distances == pytest.approx([0] * 4, abs=1e-12)
    assert found.missing == found.extra == ()


def test_components_without_a_partner():
    reference = mixtures()
    fewer = Mixture([0.5, 0.5], reference.means[[3, 1]], reference.covariances[[3, 1]])
    found = match(reference, fewer)
    assert found.pairs == ((1, 1), (3, 0))
    assert (found.missing, found.extra) == ((0, 2), ())
    back = match(fewer, reference)
    assert back.pairs == ((0, 3), (1, 1))
    assert (back.missing, back.extra) == ((), (0, 2))
    assert back.order.tolist() == [3, 1, 0, 2]


def test_the_distances_are_those_of_bhattacharyya():
    reference, other = mixtures(), Mixture([1.0], [[1, 0]], [[[2, 1], [1, 3]]])
    found = match(reference, other)
    ((i, _),) = found.pairs
    grid = np.stack(np.meshgrid(np.linspace(-25, 25, 801), np.linspace(-25, 25, 801)), axis=-1)
    density = multivariate_normal(reference.means[i], reference.covariances[i]).pdf(grid)
    both = np.sqrt(density * other.pdf(grid.reshape(-1, 2)).reshape(801, 801)).sum() * (50 / 800) ** 2
    assert found.distances[0] == pytest.approx(-np.log(both), rel=1e-6)


def test_by_rows_the_pairs_share_most_responsibility():
    reference = Mixture([0.5, 0.5], [0, 10], [1, 1])
    other = Mixture([0.5, 0.5], [4, 5.5], [1, 1])
    rows, weights = np.array([[0.0], [6.0]]), [1.0, 5.0]
    shared = reference.responsibilities(rows).T @ (other.responsibilities(rows) * np.array(weights)[:, None])
    for found in (match(reference, other, rows, weights), match(reference, other, Memory(rows, np.array(weights)))):
        assert sum(shared[i, j] for i, j in found.pairs) == max(np.trace(shared), np.trace(shared[::-1]))


def test_mixtures_over_other_columns_have_no_match():
    with pytest.raises(ValueError, match="2 and 1 columns"):
        match(mixtures(), Mixture([1.0], [0], [1]))


def test_a_result_compares_and_merges():
    path = "examples/iris.csv"
    species = np.repeat(["setosa", "versicolor", "virginica"], 50)
    result = mixtura.fit(path, 3, "full", random_state=0)
    table = result.compare(path, species)
    labels = result.model.predict(np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(4)))
    assert np.array_equal(table.counts, contingency_matrix(species, labels))
    assert result.merge(path).groups(2) == ((0,), (1, 2))
    assert result.separation.entropy == pytest.approx(result.merge(path).stages[0].entropy)
    assert result.separation.weight == pytest.approx(150)
