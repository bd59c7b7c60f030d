"""mlpack: ``gmm_train``. It takes no start: a short k-means of its own stands in, so that only the time compares."""

from importlib.metadata import version

import mlpack
import numpy as np

from benchmarks.cases import Parameters

VERSION = version("mlpack")


def fit(data: np.ndarray, start: Parameters, iterations: int) -> Parameters:
    found = mlpack.gmm_train(
        input_=data,
        gaussians=len(start.weights),
        max_iterations=iterations + 1,  # it counts the evaluation of the start
        tolerance=0.0,
        seed=1,
        kmeans_max_iterations=1,
        diagonal_covariance=start.family == "diag",
    )
    model = found["output_model"].get_cpp_params()["GMM"]
    means = np.stack([np.ravel(each["mean"]) for each in model["dists"]])
    covariances = np.stack([each["covariance"] for each in model["dists"]])
    if start.family == "diag" and covariances.ndim == 3:
        covariances = np.diagonal(covariances, axis1=1, axis2=2)
    return Parameters(np.ravel(model["weights"]), means, covariances, start.family)
