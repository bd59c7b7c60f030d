"""Tables that the tests of the estimator share."""

from pathlib import Path

import numpy as np
import pytest

from mixtura.covariance import registry

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(params=registry.names())
def family(request):
    return request.param


@pytest.fixture(scope="session")
def faithful():
    return np.loadtxt(EXAMPLES / "faithful.csv", delimiter=",", skiprows=1, quotechar='"')


@pytest.fixture(scope="session")
def iris():
    return np.loadtxt(EXAMPLES / "iris.csv", delimiter=",", skiprows=1, usecols=range(4))


@pytest.fixture(scope="session")
def blobs():
    """Three groups of 60, 100 and 140 rows in three columns, with some overlap."""
    rng = np.random.default_rng(5)
    centres = np.array([[0.0, 0.0, 0.0], [4.0, 1.0, -2.0], [1.0, 5.0, 3.0]])
    shapes = rng.normal(size=(3, 3, 3)) * 0.4 + np.eye(3)
    return np.vstack([rng.normal(size=(n, 3)) @ a + c for n, a, c in zip((60, 100, 140), shapes, centres, strict=True)])
