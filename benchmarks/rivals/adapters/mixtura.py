"""Mixtura: ``mixtura.em`` on a source in memory, the EM step alone."""

import numpy as np

import mixtura
from benchmarks.cases import Parameters
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
    found = mixtura.em(model, source, start.family, tol=0.0, max_iter=iterations, accelerate=False)
    if found.n_iter != iterations:
        raise RuntimeError(f"{found.n_iter} iterations instead of {iterations}: {found.status}")
    structure = found.model.structure
    covariances = np.square(structure.scale) if isinstance(structure, Diagonal) else structure.dense()
    if start.family == "tied":
        covariances = covariances[0]
    return Parameters(found.model.weights, found.model.means, covariances, start.family)
