"""S10, S14, S16, S18 and S19 against loops that follow the formulas one row at a time."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from mixtura import Mixture, e_step, em, m_step
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.structure import Diagonal, SingularError

FAMILIES = ("full", "tied", "diag", "spherical")
KIND = {"full": "full", "tied": "tied", "diag": "diagonal", "spherical": "diagonal"}


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def start(family, make):
    model = make(KIND[family])
    if family == "spherical":
        return Mixture(model.weights, model.means, Diagonal(model.structure.scale[:, [0, 0]]))
    return model


def brute_force(model, rows, weights, family):
    """One step of EM in plain loops; returns weights, means, covariances and the log-likelihood before the step."""
    n_components, n_features = model.means.shape
    normals = [stats.multivariate_normal(m, c) for m, c in zip(model.means, model.covariances, strict=True)]
    share, loglik = np.zeros((len(rows), n_components)), 0.0
    for n, x in enumerate(rows):  # S10
        joint = [model.weights[k] * normals[k].pdf(x) for k in range(n_components)]
        loglik += weights[n] * np.log(sum(joint))
        for k in range(n_components):
            share[n, k] = weights[n] * joint[k] / sum(joint)
    count = share.sum(0)
    means = np.zeros((n_components, n_features))
    for k in range(n_components):  # S14
        for n, x in enumerate(rows):
            means[k] += share[n, k] * x / count[k]
    scatter = np.zeros((n_components, n_features, n_features))
    for k in range(n_components):  # S16, with the new means
        for n, x in enumerate(rows):
            scatter[k] += share[n, k] * np.outer(x - means[k], x - means[k])
    if family == "full":
        matrices = scatter / count[:, None, None]
    elif family == "tied":
        matrices = np.repeat(scatter.sum(0, keepdims=True) / count.sum(), n_components, axis=0)
    elif family == "diag":
        matrices = np.array([np.diag(np.diag(s)) / c for s, c in zip(scatter, count, strict=True)])
    else:
        sizes = np.trace(scatter, axis1=1, axis2=2) / count / n_features
        matrices = sizes[:, None, None] * np.eye(n_features)
    return count / sum(weights), means, matrices, loglik  # S18


def assert_same_mixture(one, other, rtol=1e-9, atol=1e-10):
    assert_allclose(one.weights, other.weights, rtol=rtol, atol=atol)
    assert_allclose(one.means, other.means, rtol=rtol, atol=atol)
    assert_allclose(one.covariances, other.covariances, rtol=rtol, atol=atol)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_s10_s14_s16_s18_one_step_by_brute_force(start, family, rows, weighted):
    weights = np.random.default_rng(0).exponential(size=len(rows)) if weighted else np.ones(len(rows))
    statistics = e_step(start, rows, weights if weighted else None)
    better = m_step(start, statistics, family)
    expected = brute_force(start, rows, weights, family)
    assert_allclose(better.weights, expected[0], rtol=1e-11)
    assert_allclose(better.means, expected[1], rtol=1e-10, atol=1e-12)
    assert_allclose(better.covariances, expected[2], rtol=1e-10, atol=1e-12)
    assert_allclose(statistics.loglik, expected[3], rtol=1e-12)
    assert better.structure.kind == start.structure.kind


def test_s10_counts_are_the_sums_of_responsibilities(start, rows):
    statistics = e_step(start, rows)
    assert_allclose(statistics.n, start.responsibilities(rows).sum(0), rtol=1e-12)
    assert_allclose(statistics.n.sum(), len(rows), rtol=1e-13)


def test_s19_the_likelihood_never_falls(start, family, rows):
    model, trace = start, []
    for _ in range(60):
        statistics = e_step(model, rows)
        trace.append(statistics.loglik)
        model = m_step(model, statistics, family)
    assert (np.diff(trace) > -1e-10).all()
    assert trace[-1] > trace[0] + 1


def test_s19_the_loop_reaches_where_brute_force_leads(start, family, rows):
    model = start
    for _ in range(3):
        weights, means, matrices, _ = brute_force(model, rows, np.ones(len(rows)), family)
        model = Mixture(weights, means, matrices)
    fit = em(start, rows, family, max_iter=4, accelerate=False)
    kept = {step.passes: step.loglik for step in fit.trace}
    assert_allclose(kept[4], model.loglik(rows), rtol=1e-10)


def test_s19_the_reported_likelihood_belongs_to_the_returned_parameters(start, family, rows):
    fit = em(start, rows, family)  # without a prior some of these fits end at a singular matrix
    assert_allclose(fit.loglik, fit.model.loglik(rows), rtol=1e-12)
    assert_allclose(fit.loglik, fit.statistics.loglik, rtol=1e-12)
    assert (np.diff([step.objective for step in fit.trace]) >= -1e-9).all()
    assert fit.loglik >= start.loglik(rows)


def test_one_component_is_the_sample_mean_and_covariance(make, family, rows):
    start = make(KIND[family], n_components=1)
    better = m_step(start, e_step(start, rows), family)
    matrix = np.cov(rows.T, bias=True)
    expected = {
        "full": matrix,
        "tied": matrix,
        "diag": np.diag(np.diag(matrix)),
        "spherical": np.eye(2) * np.trace(matrix) / 2,
    }[family]
    assert_allclose(better.means[0], rows.mean(0), rtol=1e-11)
    assert_allclose(better.covariances[0], expected, rtol=1e-11, atol=1e-13)
    assert better.weights == 1


def test_integer_weights_are_repeated_rows(start, family, rows):
    times = np.random.default_rng(0).integers(0, 4, size=len(rows))
    weighted = e_step(start, rows, times)
    repeated = e_step(start, np.repeat(rows, times, axis=0))
    assert_allclose(weighted.loglik, repeated.loglik, rtol=1e-12)
    assert weighted.weight == repeated.weight == times.sum()
    assert_same_mixture(m_step(start, weighted, family), m_step(start, repeated, family))


def test_zero_weight_is_an_absent_row(start, family, rows):
    weights = np.ones(len(rows))
    weights[::3] = 0
    spoilt = np.where(weights[:, None] > 0, rows, 1e250)
    absent = e_step(start, rows[weights > 0])
    zero = e_step(start, spoilt, weights)
    assert_allclose(zero.loglik, absent.loglik, rtol=1e-12)
    assert_same_mixture(m_step(start, zero, family), m_step(start, absent, family))


def test_the_order_of_rows_does_not_matter(start, family, rows):
    shuffled = np.random.default_rng(0).permutation(rows)
    assert_same_mixture(m_step(start, e_step(start, rows), family), m_step(start, e_step(start, shuffled), family))


@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e8), (-3.0, 7.0)])
def test_units_and_origin_move_the_step_with_them(start, family, rows, factor, offset):
    better = m_step(start, e_step(start, rows), family).transform(factor, offset)
    moved = start.transform(factor, offset)
    there = m_step(moved, e_step(moved, factor * rows + offset), family)
    digits = 1e-6 if offset > 1e6 else 1e-9
    assert_allclose(there.weights, better.weights, rtol=digits)
    assert_allclose(there.means - offset, better.means - offset, rtol=digits, atol=digits * abs(factor))
    assert_allclose(there.covariances, better.covariances, rtol=digits, atol=digits * factor**2)


def test_float32_rows(start, family, rows):
    single = rows.astype(np.float32)
    assert_same_mixture(
        m_step(start, e_step(start, single), family),
        m_step(start, e_step(start, single.astype(float)), family),
        rtol=1e-5,
    )


def test_integers_and_booleans_give_the_numbers_of_their_float_copies(start):
    for rows in (np.arange(20, dtype=np.uint8).reshape(10, 2), np.eye(2, dtype=bool)):
        whole, floats = e_step(start, rows), e_step(start, rows.astype(float))
        assert_allclose(whole.s2, floats.s2, rtol=0)
        assert whole.loglik == floats.loglik


def test_a_component_without_rows_keeps_its_mean(start, family, rows):
    far = Mixture([0.5, 0.5, 0.0], start.means, start.structure)
    prior = Prior.relative(rows, np.ones(len(rows)))
    better = m_step(far, e_step(far, rows), family, prior)
    assert better.weights[2] == 0
    assert_allclose(better.means[2], start.means[2])
    assert np.isfinite(better.covariances).all()


def test_a_prior_maximises_its_own_objective(start, family, rows):
    """The penalised complete-data objective is stationary at the M-step: no nearby structure does better."""
    prior = Prior.relative(rows, np.ones(len(rows)))
    prior = replace(prior, count=5.0, scatter=prior.scatter / prior.count * 5.0)
    statistics = e_step(start, rows)
    better = m_step(start, statistics, family, prior)
    n, scatter = prior.add(statistics.n, statistics.scatter(), statistics.kind)
    slope = better.structure.slope(n, scatter)
    assert_allclose(registry.get(family).tangent(slope, statistics.n), 0, atol=1e-9)


def test_identical_rows_are_singular_without_a_prior(start, family):
    same = np.ones((10, 2))
    here = Mixture(start.weights, np.ones((3, 2)), start.structure)
    with pytest.raises(SingularError):
        m_step(here, e_step(here, same), family)


def test_statistics_of_the_wrong_kind(make, rows):
    start = make("tied")
    with pytest.raises(ValueError, match="needs statistics of kind 'full', got 'tied'"):
        m_step(start, e_step(start, rows), "full")


@pytest.mark.parametrize("name", ["banana", "", None, 3])
def test_unknown_family(make, rows, name):
    start = make()
    with pytest.raises(ValueError, match="unknown covariance family"):
        m_step(start, e_step(start, rows), name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_must_be_finite(start, value):
    with pytest.raises(ValueError, match="row 1 is not finite"):
        e_step(start, [[0.0, 0.0], [0.0, value]])


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, np.nan]])
def test_wrong_weights(start, weights):
    with pytest.raises(ValueError, match="sample_weight"):
        e_step(start, [[0.0, 0.0], [1.0, 1.0]], weights)


def test_rows_so_far_off_that_densities_underflow(start, family):
    far = np.array([[1e3, 1e3], [-1e3, 1e3], [0.0, 0.0], [1e4, -1e4], [1e4, -2e4], [5.0, 5.0], [2.0, 1.0]])
    statistics = e_step(start, far)
    assert_allclose(statistics.n.sum(), len(far))
    prior = Prior.relative(far, np.ones(len(far)))
    better = m_step(start, statistics, family, prior)
    assert np.isfinite(better.means).all()
    assert better.means.min() >= far.min()
    assert better.means.max() <= far.max()


def test_names_survive(make, rows):
    start = make()
    start = Mixture(start.weights, start.means, start.structure, columns=["a", "b"])
    assert m_step(start, e_step(start, rows)).columns == ("a", "b")
