"""GaussianMixtureSelector: the choice as a scikit-learn estimator."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mixtura
from mixtura import GaussianMixture, GaussianMixtureSelector, Mixture

TRUTH = Mixture([0.4, 0.6], [[0.0, 0.0], [5.0, 1.0]], [[[1.0, 0.3], [0.3, 0.5]], [[0.6, 0.0], [0.0, 1.0]]])
ROWS = TRUTH.sample(200, 3)


@pytest.fixture(scope="module")
def fitted() -> GaussianMixtureSelector:
    return GaussianMixtureSelector((1, 2, 3), covariances=("full", "tied"), random_state=0).fit(ROWS)


def test_it_chooses_as_select_does(fitted):
    result = mixtura.select(ROWS, (1, 2, 3), ("full", "tied"), random_state=0)
    assert fitted.mixture_ == result.model
    assert (fitted.n_components_, fitted.covariance_type_) == (result.best.n_components, result.best.covariance)
    assert fitted.results_ == result.table()


def test_it_is_the_chosen_mixture(fitted):
    best = fitted.best_estimator_
    assert type(best) is GaussianMixture
    assert best.get_params()["n_components"] == fitted.n_components_ == 2
    assert best.get_params()["covariance_type"] == fitted.covariance_type_
    assert not hasattr(best, "results_")
    for name in ("predict", "predict_proba", "score_samples", "bic", "aic", "icl", "score"):
        assert np.array_equal(getattr(best, name)(ROWS), getattr(fitted, name)(ROWS))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert np.array_equal(getattr(best, name), getattr(fitted, name))
    assert fitted.bic(ROWS) == pytest.approx(min(fitted.results_["bic"]), rel=1e-12)


def test_weights_count_rows_again():
    weights = np.arange(200) % 3
    kwargs = {"n_components": (1, 2), "covariances": "full", "random_state": 0}
    weighed = GaussianMixtureSelector(**kwargs).fit(ROWS, sample_weight=weights)
    copied = GaussianMixtureSelector(**kwargs).fit(np.repeat(ROWS, weights, axis=0))
    assert weighed.results_["bic"] == pytest.approx(copied.results_["bic"], rel=1e-9)


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic", "cv"])
def test_every_criterion(criterion):
    model = GaussianMixtureSelector([1, 2], criterion=criterion, covariances="diag", random_state=0).fit(ROWS)
    assert model.n_components_ == 2
    assert min(model.results_[criterion]) == model.results_[criterion][1]


def test_it_lives_with_scikit_learn(fitted):
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        _ = again.best_estimator_
    assert pickle.loads(pickle.dumps(fitted)).mixture_ == fitted.mixture_
    labels = make_pipeline(StandardScaler(), again).fit_predict(ROWS)
    assert sorted(set(labels)) == [0, 1]
    frame = pd.DataFrame(ROWS, columns=["a", "b"])
    assert list(clone(fitted).fit(frame).feature_names_in_) == ["a", "b"]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"n_components": True}, "not a bool"),
        ({"n_components": (1, 0)}, "whole numbers from 1"),
        ({"n_components": ()}, "n_components is empty"),
        ({"n_components": (300,)}, "200 rows cannot hold 300 components"),
        ({"covariances": "round"}, "unknown covariance family 'round'"),
        ({"covariances": ()}, "covariance is empty"),
        ({"criterion": "dic"}, "criterion"),
        ({"init_params": ROWS}, "init_params"),
        ({"tol": -1.0}, "tol"),
    ],
)
def test_arguments_that_make_no_sense(kwargs, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixtureSelector(**kwargs).fit(ROWS)
