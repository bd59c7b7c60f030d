"""tgmm: PyTorch, in batches of rows that keep its (batch, K, D) arrays at 4 million elements."""

import warnings
from importlib.metadata import version

import numpy as np
import torch
from tgmm import GaussianMixture

from benchmarks.cases import Parameters

VERSION = version("tgmm")
ELEMENTS = 1 << 22


def prepare(rows: np.ndarray, start: Parameters) -> torch.Tensor:  # noqa: ARG001
    torch.set_grad_enabled(False)
    return torch.from_numpy(rows)


def fit(data: torch.Tensor, start: Parameters, iterations: int) -> Parameters:
    weights, means, covariances = (torch.tensor(array, dtype=data.dtype) for array in start[:3])
    model = GaussianMixture(
        n_components=len(weights),
        covariance_type="tied_full" if start.family == "tied" else start.family,
        max_iter=iterations,
        tol=1e-300,
        reg_covar=0.0,
        init_weights=weights,
        init_means=means,
        init_covariances=covariances,
        batch_size=max(256, ELEMENTS // means.numel()),
    )
    with warnings.catch_warnings(action="ignore"):
        model.fit(data)
    found = (array.numpy() for array in (model.weights_, model.means_, model.covariances_))
    return Parameters(*found, start.family)
