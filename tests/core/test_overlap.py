"""How well components are told apart: against closed forms, other software's distributions, chance and brute force."""

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from mixtura import Mixture
from mixtura.core.overlap import overlapping
from mixtura.covariance.structure import Diagonal
from mixtura.sources import memory
from mixtura.sources.memory import Memory


def random_mixture(rng, n_components=3, n_features=3, spread=1.5):
    factors = rng.normal(size=(n_components, n_features, n_features))
    covariances = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(n_features)
    return Mixture(rng.dirichlet(np.ones(n_components)), rng.normal(0, spread, (n_components, n_features)), covariances)


@pytest.mark.parametrize("distance", [0.01, 1, 5, 10, 25, 70])
def test_far_into_the_tails_where_the_variances_are_equal(distance):
    found = Mixture([0.2, 0.8], [0, distance], [1, 1]).overlap()
    shift = np.log(4) / distance
    assert found[0, 1] == pytest.approx(stats.norm.cdf(shift - distance / 2), rel=1e-9)
    assert found[1, 0] == pytest.approx(stats.norm.cdf(-shift - distance / 2), rel=1e-9)
    assert found[0, 0] == found[1, 1] == 0


@pytest.mark.parametrize("n_features", [1, 2, 7, 60])
@pytest.mark.parametrize("deviation", [0.3, 0.999, 1.001, 2.0, 1e3])
@pytest.mark.parametrize("distance", [0.0, 0.5, 4.0])
def test_spheres_by_the_noncentral_chi_squared_distribution(n_features, deviation, distance):
    mean = np.zeros(n_features)
    mean[-1] = distance
    model = Mixture(
        [0.5, 0.5],
        np.stack([np.zeros(n_features), mean]),
        np.eye(n_features) * np.array([1, deviation**2])[:, None, None],
    )
    # of x ~ N(0, I): (1 − d⁻²) |x + μ/(d² − 1)|² > 2 D log d + |μ|²/(d² − 1)
    excess = 1 - deviation**-2
    limit = (2 * n_features * np.log(deviation) + distance**2 / (deviation**2 - 1)) / excess
    chi = stats.ncx2(n_features, (distance / (deviation**2 - 1)) ** 2) if distance else stats.chi2(n_features)
    expected = chi.sf(limit) if excess > 0 else chi.cdf(limit)
    assert model.overlap()[0, 1] == pytest.approx(expected, abs=1e-10, rel=1e-8)


@given(*[st.floats(-6, 6)] * 3)
def test_whatever_the_scales(first, second, mean):
    assume(abs(first - second) > 1e-3)
    first, second, mean = 10**first, 10**second, 10**mean
    expected = beyond_the_roots(first, second, mean)
    assert Mixture([0.5, 0.5], [0, mean], [first**2, second**2]).overlap()[0, 1] == pytest.approx(expected, abs=1e-10)


def beyond_the_roots(first, second, mean):
    """Where N(mean, second²) exceeds N(0, first²), under the latter, in 60 digits."""
    with mpmath.workdps(60):
        u, v, m = map(mpmath.mpf, (first, second, mean))
        a, b, c = (1 / u**2 - 1 / v**2) / 2, m / v**2, mpmath.log(u / v) - (m / v) ** 2 / 2
        root = mpmath.sqrt(b * b - 4 * a * c)  # equal weights: the densities always cross
        low, high = sorted([(-b - root) / (2 * a), (-b + root) / (2 * a)])
        inside = mpmath.ncdf(high / u) - mpmath.ncdf(low / u)
        return float(1 - inside if first < second else inside)


@pytest.mark.parametrize("seed", range(6))
def test_as_often_as_it_happens(seed):
    rng = np.random.default_rng(seed)
    model = random_mixture(rng, n_features=1 + seed)
    found, n = model.overlap(), 100_000
    for i in range(3):
        joint = model.log_joint(model.component(i).sample(n, rng))
        often = (joint > joint[:, [i]]).mean(0)
        assert (np.abs(often - found[i]) < 4.5 * np.sqrt(found[i] * (1 - found[i]) / n) + 2 / n).all()


def test_neither_units_nor_names_matter():
    rng = np.random.default_rng(3)
    model = random_mixture(rng)
    moved = model.transform(np.diag([1e-9, 3, 1e12]) @ rng.normal(size=(3, 3)), [1, 2e3, 3])
    np.testing.assert_allclose(moved.overlap(), model.overlap(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.reorder([2, 0, 1]).overlap(), model.overlap()[np.ix_([2, 0, 1], [2, 0, 1])])


def test_components_that_coincide_or_are_never_drawn():
    assert Mixture([0.5, 0.5], [0, 0], [1, 1]).overlap().tolist() == [[0, 0.5], [0.5, 0]]
    assert Mixture([0.4, 0.6], [0, 0], [1, 1]).overlap().tolist() == [[0, 1], [0, 0]]
    assert Mixture([0.0, 1.0], [0, 3], [1, 1]).overlap().tolist() == [[0, 1], [0, 0]]
    assert Mixture([0.0, 0.0, 1.0], [0, 3, 1], [1, 1, 2]).overlap()[:2, :2].tolist() == [[0, 0], [0, 0]]
    assert Mixture([1.0], [0], [1]).overlap().tolist() == [[0]]


@pytest.mark.parametrize("seed", range(5))
def test_the_pairs_that_overlap_most(seed):
    model = random_mixture(np.random.default_rng(seed), n_components=5, spread=2)
    every = model.overlap()
    both = np.triu(every + every.T)
    expected = sorted(((i, j) for i, j in np.argwhere(both >= 0.1).tolist()), key=lambda pair: -both[pair])
    assert 0 < len(expected) < 10
    assert overlapping(model, 0.1, 10) == [(i, j, every[i, j], every[j, i]) for i, j in expected]
    assert len(overlapping(model, 0.1, 1)) <= 1
    dead = Mixture([0, *model.weights], [[0, 0, 0], *model.means], [np.eye(3), *model.covariances])
    assert [pair[:2] for pair in overlapping(dead, 0.1, 10)] == [(i + 1, j + 1) for i, j in expected]


def brute_force(model, rows, weights):
    share = model.responsibilities(rows)
    entropy = -sum(w * g * np.log(g) for w, row in zip(weights, share, strict=True) for g in row if g > 0)
    confusion = np.zeros((model.n_components, model.n_components))
    for w, row in zip(weights, share, strict=True):
        confusion[:, row.argmax()] += w * row
    return entropy, confusion


def test_the_separation_by_brute_force(monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_ROWS", 29)
    rng = np.random.default_rng(0)
    model, weights = random_mixture(rng, spread=0.5), rng.integers(0, 4, 200).astype(float)
    rows = model.sample(200, rng)
    entropy, confusion = brute_force(model, rows, weights)
    for found in (
        model.separation(rows, weights),
        model.separation(np.repeat(rows, weights.astype(int), axis=0)),
        model.separation(Memory(rows, weights)),
        model.separation(rows[:70], weights[:70]) + model.separation(rows[70:], weights[70:]),
    ):
        assert found.entropy == pytest.approx(entropy, rel=1e-12)
        np.testing.assert_allclose(found.confusion, confusion, rtol=1e-12)
        assert found.weight == pytest.approx(weights.sum())
        assert found.error_rate == pytest.approx(weights @ model.uncertainty(rows) / weights.sum(), rel=1e-12)
        assert found.normalised_entropy == pytest.approx(entropy / (weights.sum() * np.log(3)))
        assert found.misclassification.sum(1) == pytest.approx(1)


def test_of_two_components_the_overlap_is_what_is_mistaken():
    model = random_mixture(np.random.default_rng(5), n_components=2, spread=0.7)
    found, n = model.separation(model.sample(100_000, rng=0)).misclassification, 100_000
    np.testing.assert_allclose(found - np.diag(np.diag(found)), model.overlap(), atol=5 / np.sqrt(n))


def test_each_row_has_its_uncertainty():
    rng = np.random.default_rng(1)
    model = random_mixture(rng)
    rows = model.sample(50, rng)
    share = model.responsibilities(rows)
    np.testing.assert_allclose(model.uncertainty(rows), 1 - share.max(1))
    np.testing.assert_allclose(model.label_entropy(rows), stats.entropy(share, axis=1))
    assert model.uncertainty(rows[0]) == pytest.approx(1 - share[0].max())
    assert model.label_entropy(rows[0]) == pytest.approx(stats.entropy(share[0]))
    assert np.isnan(model.uncertainty([[np.nan, 0, 0]])).all()
    assert np.isnan(model.label_entropy([[np.nan, 0, 0]])).all()


def test_a_single_component_leaves_no_doubt():
    found = Mixture([1.0], [0], [1]).separation([0.0, 1.0])
    assert (found.entropy, found.normalised_entropy, found.error_rate) == (0, 0, 0)


def test_what_cannot_be_read_is_refused():
    model = Mixture([1.0], [[0, 0]], [np.eye(2)])
    with pytest.raises(ValueError, match="row 1 is not finite"):
        model.separation([[0, 0], [np.nan, 0]])
    with pytest.raises(ValueError, match="the source has 3 columns"):
        model.separation(Memory(np.zeros((4, 3))))
    with pytest.raises(ValueError, match="a source brings its own"):
        model.separation(Memory(np.zeros((4, 2))), np.ones(4))


def test_the_canonical_order_goes_by_means_then_weight():
    model = Mixture([0.1, 0.2, 0.3, 0.4], [[2, 0], [1, 5], [1, 3], [1, 3]], [np.eye(2)] * 4)
    assert model.canonical_order().tolist() == [3, 2, 1, 0]
    assert model.reorder() == model.reorder([3, 2, 1, 0])


def test_a_component_that_another_covers_but_for_a_point():
    from mixtura.core.overlap import _exceeds

    assert _exceeds(np.array([-0.0036]), np.array([0.0]), np.array([-16.6]), -4e-125) == 0.0


def test_widths_that_differ_by_rounding_alone():
    a = np.array([-5.27585480e-01, -2.30325270e-01, 2.22044605e-16, 2.22044605e-16, 9.98609263e-01])
    scale, apart = np.sqrt(1 - a), np.array([7e-05, 1.6, -7.7e-07, 1.2e-07, -1.3])
    one = Mixture([0.5, 0.5], [apart, np.zeros(5)], Diagonal(np.stack([scale, np.ones(5)])))
    exact = np.where(np.abs(a) < 1e-12, 1.0, scale)
    other = Mixture([0.5, 0.5], [apart, np.zeros(5)], Diagonal(np.stack([exact, np.ones(5)])))
    assert one.overlap() == pytest.approx(other.overlap(), abs=1e-9)
    drawn = one.component(0).sample(200_000, 1)
    assert np.mean(one.predict(drawn) == 1) == pytest.approx(one.overlap()[0, 1], abs=0.005)


def test_far_apart_where_both_branches_of_the_contour_rise_again():
    far = Mixture(
        [0.56, 0.44],
        [[3.72585477, 22.02503778], [29.00707049, 12.07625486]],
        [[[1.6220015, -0.20540058], [-0.20540058, 1.01084977]], [[0.46179309, 0.0437379], [0.0437379, 0.96675644]]],
    )
    assert far.overlap().max() < 1e-30  # it was 1: terms of 1e35 that should have cancelled


def test_the_pair_that_is_looked_at_overlaps_most_whatever_the_weights():
    model = Mixture([0.45, 0.45, 0.099, 0.001], [0.0, 2.53, 100.0, 105.3], [1.0, 1.0, 1.0, 1.0])
    every = model.overlap()
    assert overlapping(model, 1e-9, 1) == [(0, 1, every[0, 1], every[1, 0])]
