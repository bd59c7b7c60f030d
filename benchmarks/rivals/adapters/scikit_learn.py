"""scikit-learn: ``GaussianMixture`` with all initial parameters given."""

import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from benchmarks.cases import Parameters

VERSION = sklearn.__version__


def fit(data: np.ndarray, start: Parameters, iterations: int) -> Parameters:
    precisions = 1 / start.covariances if start.family == "diag" else np.linalg.inv(start.covariances)
    estimator = GaussianMixture(
        len(start.weights),
        covariance_type=start.family,
        tol=0,
        reg_covar=0,
        max_iter=iterations,
        init_params="random",
        weights_init=start.weights.astype(data.dtype),
        means_init=start.means.astype(data.dtype),
        precisions_init=precisions.astype(data.dtype),
    )
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        estimator.fit(data)
    if estimator.n_iter_ != iterations or estimator.means_.dtype != data.dtype:
        raise RuntimeError(f"{estimator.n_iter_} iterations in {estimator.means_.dtype}")
    return Parameters(estimator.weights_, estimator.means_, estimator.covariances_, start.family)
