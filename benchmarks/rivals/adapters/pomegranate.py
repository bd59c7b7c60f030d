"""pomegranate: ``GeneralMixtureModel`` of ``Normal`` distributions, in PyTorch."""

from importlib.metadata import version

import numpy as np
import torch
from pomegranate.distributions import Normal
from pomegranate.gmm import GeneralMixtureModel

from benchmarks.cases import Parameters

VERSION = version("pomegranate")


def prepare(rows: np.ndarray, start: Parameters) -> torch.Tensor:  # noqa: ARG001
    return torch.from_numpy(rows)


def fit(data: torch.Tensor, start: Parameters, iterations: int) -> Parameters:
    weights, means, covariances = (torch.tensor(array, dtype=data.dtype) for array in start[:3])
    components = [
        Normal(mean, covariance, covariance_type=start.family, check_data=False)
        for mean, covariance in zip(means, covariances, strict=True)
    ]
    model = GeneralMixtureModel(components, priors=weights, max_iter=iterations, tol=-np.inf, check_data=False)
    model.fit(data)
    means, covariances = (
        np.stack([getattr(c, name).numpy(force=True) for c in components]) for name in ("means", "covs")
    )
    return Parameters(model.priors.numpy(force=True), means, covariances, start.family)
