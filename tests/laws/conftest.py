"""One list of families × kernels × sources (see variants.py) as fixtures."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest
from variants import KERNELS, OFTEN, PRIORS, READINGS, family_ids

from mixtura import kernels
from mixtura.covariance.registry import FAMILIES, Family
from mixtura.sources import memory
from mixtura.sources.memory import Memory


@pytest.fixture(params=family_ids().values(), ids=family_ids())
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture(
    params=[pytest.param(f, marks=() if f.name in OFTEN else pytest.mark.slow, id=f.name) for f in FAMILIES]
)
def often(request: pytest.FixtureRequest) -> Family:
    """A family: two of them every day, the others when there is time."""
    return request.param


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> kernels.Kernel:
    """The kernel that everything runs on during the test."""
    chosen = importlib.import_module(f"mixtura.kernels.{request.param}")
    monkeypatch.setattr(kernels, "choose", lambda *_, single=False: chosen)
    return chosen


@pytest.fixture(params=READINGS)
def source_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Memory]:
    """(rows, weights) → a source that is read in one of the ways listed."""
    reading = READINGS[request.param]
    monkeypatch.setattr(memory, "BLOCK_ROWS", reading.block_rows)

    def make(rows: np.ndarray, weights: np.ndarray | None = None) -> Memory:
        return Memory(rows, weights, reading.n_threads)

    return make


@pytest.fixture(params=PRIORS)
def prior_name(request: pytest.FixtureRequest) -> str:
    return request.param
