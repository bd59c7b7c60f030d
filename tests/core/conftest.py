"""Mixtures of every structure, for the tests of the core."""

import numpy as np
import pytest

from mixtura import Mixture
from mixtura.covariance.structure import Diagonal, Full, Tied

KINDS = ("full", "tied", "diagonal")


def covariances(rng, count, n_features):
    """Well-conditioned symmetric positive definite matrices."""
    factors = rng.normal(size=(count, n_features, n_features + 3))
    return factors @ np.swapaxes(factors, 1, 2) / (n_features + 3)


def random_mixture(kind="full", n_components=3, n_features=2, seed=0, spread=2.0):
    rng = np.random.default_rng(seed)
    matrices = covariances(rng, n_components, n_features)
    structure = {
        "full": lambda: Full.from_covariances(matrices),
        "tied": lambda: Tied.from_covariance(matrices[0], n_components),
        "diagonal": lambda: Diagonal.from_variances(np.diagonal(matrices, axis1=1, axis2=2)),
    }[kind]()
    weights = rng.dirichlet(np.full(n_components, 3.0))
    return Mixture(weights, spread * rng.normal(size=(n_components, n_features)), structure)


@pytest.fixture
def make():
    return random_mixture


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def model(kind):
    return random_mixture(kind)


@pytest.fixture
def rows():
    return np.random.default_rng(7).normal(scale=2.5, size=(60, 2))
