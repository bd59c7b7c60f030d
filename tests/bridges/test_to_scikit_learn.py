"""Mixtures go to scikit-learn and back with their numbers."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture
from sklearn.mixture import GaussianMixture as Theirs
from sklearn.utils.validation import check_is_fitted

import mixtura
from mixtura.bridges import from_sklearn, to_sklearn
from mixtura.covariance import registry
from mixtura.covariance.structure import Diagonal

FOUR = ("full", "tied", "diag", "spherical")
#: What is not full there.
SHAPES = {"tied": "tied", "spherical": "spherical", "eii": "spherical"} | dict.fromkeys(
    ["diag", "eei", "vei", "evi"], "diag"
)
#: Rounding of a matrix to its root and back.
ROUNDING = 1e-12


@pytest.fixture(name="X", scope="module")
def iris():
    return np.loadtxt("examples/iris.csv", delimiter=",", skiprows=1, usecols=range(4))


def assert_same_answers(theirs, model, X):
    np.testing.assert_allclose(theirs.score_samples(X), model.logpdf(X), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(theirs.predict_proba(X), model.responsibilities(X), atol=1e-11)
    np.testing.assert_array_equal(theirs.predict(X), model.predict(X))


@pytest.mark.parametrize("family", registry.names())
def test_every_family_goes_to_scikit_learn(X, family):
    result = mixtura.fit(X, 3, family, random_state=0, n_init=1)
    theirs = to_sklearn(result)
    check_is_fitted(theirs)
    assert theirs.covariance_type == SHAPES.get(family, "full")
    np.testing.assert_array_equal(theirs.weights_, result.model.weights)
    np.testing.assert_array_equal(theirs.means_, result.model.means)
    assert_same_answers(theirs, result.model, X)
    assert theirs.lower_bound_ == pytest.approx(theirs.score(X), rel=1e-12)
    assert theirs.converged_
    rows, labels = theirs.sample(20)
    assert rows.shape == (20, 4)
    assert labels.max() < 3


@pytest.mark.parametrize("family", FOUR)
def test_attributes_are_those_that_scikit_learn_makes(X, family):
    """Its own fit, begun and ended at these numbers, has the same attributes in the same shapes."""
    theirs = to_sklearn(mixtura.fit(X, 3, family, random_state=0))
    own = Theirs(3, covariance_type=family, random_state=0).fit(X)
    names = {name for name in vars(own) if name.endswith("_") and not name.startswith("_")}
    assert names == {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(theirs, name).shape == getattr(own, name).shape, name
    if family in ("diag", "spherical"):
        np.testing.assert_allclose(theirs.covariances_ * theirs.precisions_, 1, rtol=ROUNDING)
    else:
        product = theirs.covariances_ @ theirs.precisions_
        np.testing.assert_allclose(product, np.broadcast_to(np.eye(4), product.shape), atol=1e-9)


@pytest.mark.parametrize("family", FOUR)
@pytest.mark.parametrize("columns", [4, 1])
def test_scikit_learns_fit_comes_here(X, family, columns):
    X = X[:, :columns]
    theirs = Theirs(3, covariance_type=family, random_state=0).fit(X)
    ours = from_sklearn(theirs)
    assert (ours.n_components, ours.covariance_type) == (3, family)
    np.testing.assert_array_equal(ours.weights_, theirs.weights_)
    np.testing.assert_array_equal(ours.means_, theirs.means_)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-9, atol=1e-12)
    assert ours.covariances_.shape == theirs.covariances_.shape
    assert_same_answers(theirs, ours.mixture_, X)
    assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=1e-11)
    assert ours.aic(X) == pytest.approx(theirs.aic(X), rel=1e-11)


@pytest.mark.parametrize("family", FOUR)
def test_there_and_back(X, family):
    result = mixtura.fit(X, 3, family, random_state=0)
    back = from_sklearn(to_sklearn(result)).mixture_
    np.testing.assert_array_equal(back.weights, result.model.weights)
    np.testing.assert_array_equal(back.means, result.model.means)
    np.testing.assert_allclose(back.covariances, result.model.covariances, rtol=ROUNDING, atol=ROUNDING)
    assert back.structure.kind == result.model.structure.kind


def test_an_estimator_a_fit_and_a_mixture_go_alike(X):
    estimator = mixtura.GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
    result = mixtura.fit(X, 2, "diag", random_state=0)
    for found in (estimator, result.fit, result.model):
        theirs = to_sklearn(found)
        assert theirs.covariance_type == "diag"
        np.testing.assert_array_equal(theirs.predict(X), estimator.predict(X))
    assert to_sklearn(estimator).n_iter_ == estimator.n_iter_
    assert not hasattr(to_sklearn(result.model), "converged_")


def test_a_mixture_alone_goes_as_the_plainest_type():
    def kind(variances):
        return to_sklearn(
            mixtura.Mixture([1], [[0, 0]], Diagonal.from_variances(np.array([variances])))
        ).covariance_type

    assert kind([1.0, 1.0]) == "spherical"
    assert kind([1.0, 2.0]) == "diag"


def test_names_of_columns_go_both_ways():
    result = mixtura.fit("examples/faithful.csv", 2, "full", random_state=0)
    theirs = to_sklearn(result)
    assert theirs.feature_names_in_.tolist() == ["eruptions", "waiting"]
    assert from_sklearn(theirs).mixture_.columns == ("eruptions", "waiting")


def test_single_precision_weights_are_brought_to_one(X):
    theirs = Theirs(3, random_state=0).fit(X.astype(np.float32))
    model = from_sklearn(theirs).mixture_
    assert model.weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(model.weights, theirs.weights_, rtol=1e-6)


def test_a_fit_goes_on_from_scikit_learns(X):
    theirs = Theirs(3, random_state=0).fit(X)
    ours = from_sklearn(theirs).set_params(warm_start=True).fit(X)
    assert ours.converged_
    assert ours.score(X) >= theirs.score(X)


def test_what_cannot_go_is_said(X):
    noisy = mixtura.Mixture([0.9], [0], [1], noise=mixtura.Noise.of_density(0.1, weight=0.1))
    with pytest.raises(ValueError, match="no noise component"):
        to_sklearn(noisy)
    with pytest.raises(TypeError, match="expected a Result"):
        to_sklearn(3)
    with pytest.raises(NotFittedError):
        from_sklearn(Theirs(2))
    with pytest.raises(TypeError, match="BayesianGaussianMixture"):
        from_sklearn(BayesianGaussianMixture(2).fit(X))


def test_from_mixture_refuses_another_kind_of_family():
    model = mixtura.Mixture([1], [[0, 0]], [np.eye(2)])
    with pytest.raises(ValueError, match="'diag' has diagonal covariances"):
        mixtura.GaussianMixture.from_mixture(model, "diag")
    assert mixtura.GaussianMixture.from_mixture(model, "vev").covariance_type == "vev"
