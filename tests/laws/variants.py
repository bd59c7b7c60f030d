"""The list that every law runs over: families × kernels × ways of cutting and reading the rows.

A family that is added to the registry, a kernel that is added to ``KERNELS`` and a source that is added to ``READINGS``
is under test at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.mixture import Mixture
from mixtura.core.noise import Noise
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import FAMILIES, Family
from mixtura.sources.memory import Memory
from mixtura.start import by_labels, mixture_of

#: The families of long tests every day.
OFTEN = ("full", "diag")
KERNELS = ("reference", "compiled")


class Reading(NamedTuple):
    """How a source cuts its rows into blocks, and how many threads read them."""

    block_rows: int
    n_threads: int


READINGS = {
    "one block": Reading(16_384, 1),
    "many blocks": Reading(29, 1),
    "many blocks, threads": Reading(29, 4),
}

PRIORS = ("none", "relative", "absolute", "conjugate")


def prior_named(name: str, rows: np.ndarray, n_components: int, family: Family | str = "full") -> Prior:
    if name == "relative":
        return Prior.relative(rows, np.ones(len(rows)), family)
    if name == "absolute":
        return Prior.absolute(0.05, len(rows), n_components, rows.shape[1])
    if name == "conjugate":  # strong, and about another mean than that of the rows
        return Prior(6.0, np.cov(rows.T), asked="the prior", shrinkage=3.0, mean=rows.mean(0) + rows.std(0))
    return Prior.none(rows.shape[1])


def overlapping(n_rows: int = 240, n_features: int = 3, seed: int = 0) -> np.ndarray:
    """Rows of three groups that overlap, in columns of different scales and places."""
    rng = np.random.default_rng(seed)
    centres = 3.0 * rng.standard_normal((3, n_features))
    shapes = rng.standard_normal((3, n_features, n_features)) + 1.5 * np.eye(n_features)
    group = rng.choice(3, size=n_rows, p=[0.5, 0.3, 0.2])
    rows = centres[group] + np.einsum("nij,nj->ni", shapes[group], rng.standard_normal((n_rows, n_features)))
    return rows * np.geomspace(0.1, 10.0, n_features) + np.arange(n_features)


def row_weights(n_rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=n_rows) + 0.05


def slices(rows: np.ndarray, n_components: int) -> np.ndarray:
    """Labels by rank in the first column."""
    return np.argsort(np.argsort(rows[:, 0], kind="stable"), kind="stable") * n_components // len(rows)


def start_for(family: Family, rows: np.ndarray, n_components: int = 3, weights: np.ndarray | None = None) -> Mixture:
    rule = by_labels(slices(rows, n_components), n_components)
    prior = prior_named("relative", rows, n_components, family)
    return mixture_of(rule, Memory(rows, weights), n_components, family, prior)


FIXED = ("nothing", "weights", "a mean", "covariances", "weights and a mean")


def fixed_named(name: str, model: Mixture, family: Family) -> Fixed:
    """Something of a mixture of three that shall stay: one covariance, or all where the family shares some."""
    covariances = model.covariances.copy()
    if family.free(2, 3) == 2 * family.free(1, 3):
        covariances[1:] = np.nan
    means = np.full((3, model.n_features), np.nan)
    means[1] = model.means[1] + 0.1 * np.sqrt(np.diagonal(model.covariances[1]))
    return {
        "nothing": NOTHING,
        "weights": Fixed("equal"),
        "a mean": Fixed(means=means),
        "covariances": Fixed(covariances=covariances),
        "weights and a mean": Fixed([0.3, 0.2, 0.5], means),
    }[name]


def with_clutter(rows: np.ndarray, seed: int = 1) -> np.ndarray:
    """Every sixth row scattered over twice the box of all."""
    cluttered, middle = rows.copy(), rows.mean(0)
    spread = 2 * np.ptp(rows, axis=0)
    every = cluttered[::6]
    every[:] = middle + spread * (np.random.default_rng(seed).uniform(size=every.shape) - 0.5)
    return cluttered


def with_noise(model: Mixture, rows: np.ndarray, weight: float = 0.1) -> Mixture:
    noise = Noise.box(rows.min(0), rows.max(0), weight)
    return Mixture((1 - weight) * model.weights, model.means, model.structure, noise=noise)


def family_ids() -> dict[str, Family]:
    return {family.name: family for family in FAMILIES}
