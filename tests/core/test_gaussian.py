"""S1, S2 and what else one Gaussian can do, against scipy.stats and dense linear algebra."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from mixtura import Gaussian, Mixture

MEAN = np.array([1.0, -2.0, 0.5])
COV = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])
ROWS = np.random.default_rng(0).normal(size=(20, 3)) * 2


@pytest.fixture
def gaussian():
    return Gaussian(MEAN, COV)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (-3.0, 0.25), (1e8, 4.0), (2e-150, 1e-300)])
def test_s1_normal_density_in_one_dimension(mean, variance):
    one, reference = Gaussian(mean, variance), stats.norm(mean, np.sqrt(variance))
    x = mean + np.sqrt(variance) * np.array([-30.0, -1.5, 0.0, 0.25, 8.0])
    assert_allclose(one.logpdf(x), reference.logpdf(x), rtol=1e-12)
    assert_allclose(one.pdf(x), reference.pdf(x), rtol=1e-12)
    assert_allclose(one.pdf(x[:, None]), reference.pdf(x), rtol=1e-12)


def test_s2_normal_density_in_several_dimensions(gaussian):
    reference = stats.multivariate_normal(MEAN, COV)
    assert_allclose(gaussian.logpdf(ROWS), reference.logpdf(ROWS), rtol=1e-12)
    assert_allclose(gaussian.pdf(ROWS), reference.pdf(ROWS), rtol=1e-12)


def test_columns_of_any_scale():
    scale = np.array([1e-150, 1.0, 1e150])
    scaled = Gaussian(MEAN * scale, COV * scale * scale[:, None])
    assert_allclose(scaled.logpdf(ROWS * scale), Gaussian(MEAN, COV).logpdf(ROWS), rtol=1e-12)
    assert_allclose(scaled.mahalanobis(ROWS * scale), Gaussian(MEAN, COV).mahalanobis(ROWS), rtol=1e-12)


def test_parts(gaussian):
    assert gaussian.n_features == 3
    assert_allclose(gaussian.mean, MEAN)
    assert_allclose(gaussian.cov, COV, rtol=1e-14)
    assert_allclose(gaussian.cholesky, np.linalg.cholesky(COV), rtol=1e-14)
    assert gaussian.mixture == Mixture([1.0], [MEAN], [COV])


def test_mahalanobis(gaussian):
    centred = ROWS - MEAN
    squared = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(COV), centred)
    assert_allclose(gaussian.mahalanobis(ROWS) ** 2, squared, rtol=1e-12)
    assert gaussian.mahalanobis(MEAN) == 0


def test_entropy(gaussian):
    assert_allclose(gaussian.entropy(), stats.multivariate_normal(MEAN, COV).entropy(), rtol=1e-14)
    assert_allclose(Gaussian(5, 9).entropy(), stats.norm(5, 3).entropy(), rtol=1e-14)


def test_cdf_and_ppf_in_one_dimension():
    one, reference = Gaussian(2, 9), stats.norm(2, 3)
    q = np.array([1e-300, 1e-12, 0.2, 0.5, 0.999, 1 - 1e-15])
    assert_allclose(one.ppf(q), reference.ppf(q), rtol=1e-14)
    assert_allclose(one.cdf(one.ppf(q)), q, rtol=1e-12)


@pytest.mark.parametrize("probability", [0.01, 0.5, 0.95])
def test_density_level_is_that_of_the_chi_square_ellipsoid(gaussian, probability):
    edge = MEAN + np.linalg.cholesky(COV)[:, 0] * np.sqrt(stats.chi2(3).ppf(probability))
    level = gaussian.density_level(probability)
    assert_allclose(level, gaussian.pdf(edge), rtol=1e-12)
    assert_allclose(np.log(level), gaussian.log_density_level(probability), rtol=1e-12)
    assert level.standard_error == 0


def test_sample(gaussian):
    rows = gaussian.sample(40_000, np.random.default_rng(0))
    assert_allclose(rows.mean(0), MEAN, atol=0.03)
    assert_allclose(np.cov(rows.T), COV, atol=0.05)
    assert_allclose(gaussian.rvs(5, 3), gaussian.sample(5, 3))
    assert gaussian.rvs().shape == (1, 3)


def test_marginal_keeps_the_order_asked_for(gaussian):
    part = gaussian.marginal([2, 0])
    assert_allclose(part.mean, MEAN[[2, 0]])
    assert_allclose(part.cov, COV[np.ix_([2, 0], [2, 0])], rtol=1e-13)


def test_condition_by_the_textbook(gaussian):
    rest = gaussian.condition({1: 0.7})
    kept, given = [0, 2], [1]
    slope = COV[np.ix_(kept, given)] @ np.linalg.inv(COV[np.ix_(given, given)])
    assert_allclose(rest.mean, MEAN[kept] + slope @ (0.7 - MEAN[given]), rtol=1e-13)
    assert_allclose(rest.cov, COV[np.ix_(kept, kept)] - slope @ COV[np.ix_(given, kept)], rtol=1e-13)


def test_transform(gaussian):
    A, b = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]]), np.array([5.0, -5.0])
    moved = gaussian.transform(A, b)
    assert_allclose(moved.mean, A @ MEAN + b, rtol=1e-14)
    assert_allclose(moved.cov, A @ COV @ A.T, rtol=1e-13)
    assert_allclose(gaussian.transform(-2.0, 1.0).cov, 4 * COV, rtol=1e-13)


def test_value_semantics(gaussian):
    twin = Gaussian(MEAN.copy(), COV.copy())
    assert gaussian == twin
    assert hash(gaussian) == hash(twin)
    assert gaussian != Gaussian(MEAN + 1, COV)
    assert gaussian != "a Gaussian"
    assert pickle.loads(pickle.dumps(gaussian)) == copy.deepcopy(gaussian) == gaussian
    assert repr(gaussian) == "<Gaussian in 3 columns>"
    with pytest.raises(AttributeError):
        gaussian.mean = MEAN
    with pytest.raises(ValueError, match="read-only"):
        gaussian.mean[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        gaussian.cov[0] = 0


def test_names():
    named = Gaussian([1, 2], [[1, 0.5], [0.5, 1]], columns=["a", "b"])
    assert named.columns == ("a", "b")
    assert named.condition({"a": 1}).columns == ("b",)
    assert named.marginal("b").columns == ("b",)


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        ([[1, 2]], np.eye(2), "mean must have shape"),
        ([1, 2], np.eye(3), "shape"),
        ([1, 2], [[1, 2], [2, 1]], "not positive definite"),
        ([1, 2], [[1, 0.5], [0.2, 1]], "not symmetric"),
        ([1, np.nan], np.eye(2), "not finite"),
        ([1, 2], [[1, 0], [0, np.inf]], "not finite"),
        (0, -1, "not positive definite"),
        (0, 0, "not positive definite"),
    ],
)
def test_bad_parameters(mean, covariance, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(mean, covariance)
