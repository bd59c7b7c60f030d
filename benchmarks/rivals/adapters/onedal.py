"""oneDAL: its batch EM for Gaussian mixtures, through daal4py."""

from importlib.metadata import version

import daal4py
import numpy as np

from benchmarks.cases import Parameters

VERSION = version("daal")


def fit(data: np.ndarray, start: Parameters, iterations: int) -> Parameters:
    algorithm = daal4py.em_gmm(
        nComponents=len(start.weights),
        fptype="double" if data.dtype == np.float64 else "float",
        maxIterations=iterations,
        accuracyThreshold=1e-300,
        covarianceStorage="diagonal" if start.family == "diag" else "full",
    )
    weights, means, covariances = (np.ascontiguousarray(array, data.dtype) for array in start[:3])
    found = algorithm.compute(data, weights[None], means, [np.atleast_2d(each) for each in covariances])
    if found.nIterations.item() != iterations:
        raise RuntimeError(f"{found.nIterations.item()} iterations instead of {iterations}")
    covariances = np.stack(found.covariances).reshape(covariances.shape)
    return Parameters(found.weights.ravel(), found.means, covariances, start.family)
