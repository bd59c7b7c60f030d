"""Mixtura: one climb over a source in memory, the EM step alone; float32 rows in single precision, as a fit begins."""

import numpy as np

import mixtura
from benchmarks.cases import Parameters
from mixtura import kernels
from mixtura.core.em import Stop, Task, climb_together
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.structure import Diagonal, Tied
from mixtura.sources.memory import Memory

VERSION = mixtura.__version__


def prepare(rows: np.ndarray, start: Parameters) -> tuple[Memory, mixtura.Mixture]:
    weights, means, covariances, family = start
    if family == "diag":
        covariances = Diagonal(np.sqrt(covariances))
    elif family == "tied":
        covariances = Tied(np.linalg.cholesky(covariances), len(weights))
    return Memory(rows), mixtura.Mixture(weights, means, covariances)


def fit(data: tuple[Memory, mixtura.Mixture], start: Parameters, iterations: int) -> Parameters:
    source, model = data
    kernel = kernels.choose(source.n_rows, *model.means.shape, single=source.rows.dtype == np.float32)
    family, prior = registry.get(start.family), Prior.none(source.n_features)
    task = Task(model, family, prior, Stop(tol=0.0, max_iter=iterations), accelerate=False)
    (found,) = climb_together([task], source, kernel=kernel)
    if found.n_iter != iterations:
        raise RuntimeError(f"{found.n_iter} iterations instead of {iterations}: {found.status}")
    structure = found.model.structure
    covariances = np.square(structure.scale) if isinstance(structure, Diagonal) else structure.dense()
    if start.family == "tied":
        covariances = covariances[0]
    return Parameters(found.model.weights, found.model.means, covariances, start.family)
