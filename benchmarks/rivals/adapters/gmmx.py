"""gmmx: JAX. It checks that arrays are float32; in double precision that check is taken out."""

from importlib.metadata import version

import gmmx.gmm
import jax
import numpy as np
from gmmx import EMFitter, GaussianMixtureModelJax

from benchmarks.cases import Parameters

VERSION = version("gmmx")


def prepare(rows: np.ndarray, start: Parameters) -> jax.Array:  # noqa: ARG001
    if rows.dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
        gmmx.gmm.check_shape = lambda array, expected: None
    return jax.device_put(rows)


def fit(data: jax.Array, start: Parameters, iterations: int) -> Parameters:
    weights, means, covariances = (jax.numpy.asarray(array, data.dtype) for array in start[:3])
    model = GaussianMixtureModelJax.from_squeezed(
        means=means, covariances=covariances, weights=weights, covariance_type=start.family
    )
    found = jax.block_until_ready(EMFitter(max_iter=iterations, tol=-1.0, reg_covar=0.0).fit(x=data, gmm=model))
    if int(found.n_iter) != iterations:
        raise RuntimeError(f"{int(found.n_iter)} iterations instead of {iterations}")
    model = found.gmm
    return Parameters(model.weights_numpy, model.means_numpy, model.covariances.values_numpy, start.family)
