"""Rows and starts for the suites; made anew in each process, for asv runs every benchmark in one of its own."""

from __future__ import annotations

import numpy as np

from mixtura import Mixture

FAMILIES = ("full", "tied", "diag", "spherical")
#: (N, D, K): a table for a notebook, many rows with few columns, many columns.
SIZES = ((2_000, 4, 3), (200_000, 4, 10), (50_000, 16, 16), (5_000, 64, 10))


def truth(n_features: int, n_components: int) -> Mixture:
    """Overlapping components of different shapes."""
    rng = np.random.default_rng(7)
    factors = np.eye(n_features) + np.tril(rng.normal(scale=0.3, size=(n_components, n_features, n_features)))
    means = rng.normal(size=(n_components, n_features)) * 3 / np.sqrt(2 * n_features)
    return Mixture(rng.dirichlet(np.full(n_components, 5.0)), means, factors @ np.swapaxes(factors, 1, 2))


def problem(size: tuple[int, int, int], dtype: str = "float64") -> tuple[np.ndarray, Mixture]:
    """Rows of the truth, and a start: its means drawn together, with the covariance of all rows."""
    n_rows, n_features, n_components = size
    model = truth(n_features, n_components)
    rows = model.sample(n_rows, 11)
    means = 0.7 * model.means + 0.3 * model.mean
    covariances = np.tile(np.cov(rows.T), (n_components, 1, 1))
    return rows.astype(dtype), Mixture(np.full(n_components, 1 / n_components), means, covariances)
