"""From the same start and without regularisation: the log-likelihood of scikit-learn's GaussianMixture."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from reference_cases import Case, cases, distance, rows_of
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from mixtura import Mixture, em
from mixtura.covariance.registry import USUAL

SOFT = [
    case
    for case in cases()
    if case.strict and case.begins.start == "soft" and case.iterations < 50 and case.family in USUAL
]


def fitted(case: Case) -> GaussianMixture:
    start, name = case.begin(), case.family.name
    precisions = np.linalg.inv(start.covariances)
    shape = {"tied": precisions[0], "diag": np.einsum("kii->ki", precisions), "spherical": precisions[:, 0, 0]}
    model = GaussianMixture(
        case.begins.n_components,
        covariance_type=name,
        tol=1e-14,
        reg_covar=0.0,
        max_iter=2000,
        weights_init=start.weights / start.weights.sum(),
        means_init=start.means,
        precisions_init=shape.get(name, precisions),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows_of(case.data_set))


@pytest.mark.parametrize("case", SOFT, ids=str)
def test_the_same_top(case):
    rows = rows_of(case.data_set)
    theirs = fitted(case)
    fit = em(case.begin(), rows, case.family, tol=1e-15, accelerate=False)
    assert fit.loglik == pytest.approx(len(rows) * theirs.score(rows), rel=1e-10)  # theirs expands squares
    dense = np.stack([np.linalg.inv(precision) for precision in dense_precisions(theirs)])
    assert distance(fit.model, Mixture(theirs.weights_, theirs.means_, dense), rows) < 1e-4
    assert fit.model.responsibilities(rows) == pytest.approx(theirs.predict_proba(rows), abs=1e-4)


def dense_precisions(model: GaussianMixture) -> np.ndarray:
    k, d = model.means_.shape
    if model.covariance_type == "full":
        return model.precisions_
    if model.covariance_type == "tied":
        return np.repeat(model.precisions_[None], k, axis=0)
    return np.reshape(model.precisions_, (k, -1))[:, :, None] * np.eye(d)
