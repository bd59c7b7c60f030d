"""torchgmm: PyTorch Lightning. Its ``fit`` always starts by itself, so its parts are put together here."""

import logging
import warnings
from importlib.metadata import version

import numpy as np
import torch
from torchgmm.base.data import DataLoader, collate_tensor, dataset_from_tensors
from torchgmm.bayes import GaussianMixture
from torchgmm.bayes.core import cholesky_precision
from torchgmm.bayes.gmm.lightning_module import GaussianMixtureLightningModule
from torchgmm.bayes.gmm.model import GaussianMixtureModel, GaussianMixtureModelConfig

from benchmarks.cases import Parameters

VERSION = version("torchgmm")

for name in ("pytorch_lightning", "lightning.pytorch", "pytorch_lightning.utilities.rank_zero"):
    logging.getLogger(name).setLevel(logging.ERROR)


def prepare(rows: np.ndarray, start: Parameters) -> torch.Tensor:  # noqa: ARG001
    return torch.from_numpy(rows)


def fit(data: torch.Tensor, start: Parameters, iterations: int) -> Parameters:
    weights, means, covariances = (torch.tensor(array, dtype=data.dtype) for array in start[:3])
    model = GaussianMixtureModel(
        GaussianMixtureModelConfig(
            num_components=len(weights), num_features=data.shape[1], covariance_type=start.family
        )
    ).to(data.dtype)
    model.component_probs.copy_(weights)
    model.means.copy_(means)
    model.precisions_cholesky.copy_(cholesky_precision(covariances, start.family))
    with warnings.catch_warnings(action="ignore"):
        estimator = GaussianMixture(
            len(weights),
            covariance_type=start.family,
            trainer_params={"precision": 64 if data.dtype == torch.float64 else 32, "accelerator": "cpu"},
        )
        loader = DataLoader(dataset_from_tensors(data), batch_size=len(data), collate_fn=collate_tensor)
        # What the library's own fit does with one batch: it takes two epochs for one iteration.
        module = GaussianMixtureLightningModule(
            model, convergence_tolerance=0, covariance_regularization=0, is_batch_training=True
        )
        estimator.trainer(max_epochs=2 * iterations, enable_progress_bar=False).fit(module, loader)
    factors = model.precisions_cholesky
    covariances = factors**-2 if start.family == "diag" else model.covariances
    found = (array.numpy(force=True) for array in (model.component_probs, model.means, covariances))
    return Parameters(*found, start.family)
