"""Reads what README.md describes."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mixtura import Mixture
from mixtura.core.em import in_family
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Diagonal, Full, Structure, Tied
from mixtura.sources.memory import Memory
from mixtura.start import by_responsibilities, mixture_of

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
DATA_SETS = ("faithful", "iris", "diabetes", "banknote", "acidity", "galaxies")


@cache
def rows_of(name: str) -> np.ndarray:
    """The numeric columns of an example table."""
    with (EXAMPLES / f"{name}.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    used = [j for j, column in enumerate(header) if column != "class"]
    return np.array([[float(line[j]) for j in used] for line in lines])


@cache
def numbers_of(name: str) -> dict[str, Any]:
    return json.loads((HERE / "data" / f"{name}.json").read_text())


def known_models() -> list[str]:
    """mclust's names of the families that there are."""
    return [name for family in registry.FAMILIES for name in (family.mclust, *family.aliases) if name.isupper()]


class Start(NamedTuple):
    """Fixed responsibilities, and the model that is to be fitted from there."""

    data_set: str
    model: str
    n_components: int
    start: str

    def __str__(self) -> str:
        return f"{self.data_set}-{self.model}-{self.n_components}-{self.start}"

    @property
    def family(self) -> Family:
        return registry.get(self.model)

    def responsibilities(self) -> np.ndarray:
        k, n = self.n_components, len(rows_of(self.data_set))
        if self.start == "mod7":  # near the symmetric saddle
            share = 1.0 + np.outer(np.arange(1, n + 1), np.arange(1, k + 1)) % 7
            return share / share.sum(1, keepdims=True)
        kind = "slab" if self.start == "slab" else "hard"
        labels = numbers_of(f"mclust_{self.data_set}")["starts"][kind][str(k)]
        hard = np.eye(k)[[int(label) for label in labels]]
        return 0.8 * hard + 0.2 / k if self.start == "soft" else hard

    def begin(self, prior: Prior | None = None) -> Mixture:
        """The M-step at the start."""
        rows = rows_of(self.data_set)
        prior = prior or Prior.none(rows.shape[1])
        rule = by_responsibilities(self.responsibilities())
        return mixture_of(rule, Memory(rows), self.n_components, self.family, prior)


def mixture(model: str, numbers: dict[str, Any]) -> Mixture:
    means, sigma = np.array(numbers["mean"]), np.array(numbers["sigma"])
    k, d = means.shape
    family = registry.get(model)
    structure: Structure
    if family.kind == "full":
        structure = Full.from_covariances(sigma.reshape(k, d, d))
    elif family.kind == "tied":
        structure = Tied.from_covariance(sigma.reshape(d, d), k)
    else:
        structure = Diagonal.from_variances(np.broadcast_to(sigma if family.pooled else sigma.reshape(k, -1), (k, d)))
    return Mixture(np.array(numbers["pro"]) / np.sum(numbers["pro"]), means, structure)


def dense_mixture(model: str, numbers: dict[str, Any]) -> Mixture:
    """The same where ``sigma`` holds a matrix a component, whatever the model."""
    means = np.array(numbers["mean"])
    k, d = means.shape
    sigma = np.broadcast_to(np.array(numbers["sigma"]).reshape(-1, d, d), (k, d, d))
    weights = np.array(numbers["pro"]) / np.sum(numbers["pro"])
    return in_family(Mixture(weights, means, sigma), registry.get(model))


class Case(NamedTuple):
    """A fit by mclust."""

    begins: Start
    strict: bool
    iterations: int
    loglik: float
    first_logliks: tuple[float, ...]
    after_one_step: Mixture
    end: Mixture

    def __str__(self) -> str:
        return str(self.begins)

    @property
    def data_set(self) -> str:
        return self.begins.data_set

    @property
    def family(self) -> Family:
        return self.begins.family

    def begin(self, prior: Prior | None = None) -> Mixture:
        return self.begins.begin(prior)


class Exact(NamedTuple):
    """Where exact EM ends and mclust, whose M-step of that model is not the maximum, does not."""

    begins: Start
    converged: bool
    loglik: float
    loglik_of_mclust: float

    def __str__(self) -> str:
        return str(self.begins)


def exact_cases() -> tuple[Exact, ...]:
    return tuple(
        Exact(Start(name, c["model"], c["G"], c["start"]), c["converged"], c["loglik"], c["loglik_of_mclust"])
        for name in DATA_SETS
        for c in numbers_of(f"mclust_{name}").get("exact", [])
    )


@cache
def cases() -> tuple[Case, ...]:
    return tuple(
        Case(
            Start(name, c["model"], c["G"], c["start"]),
            c["strict"],
            c["iterations"],
            c["loglik"],
            tuple(c["first_logliks"]),
            mixture(c["model"], c["mstep"]),
            mixture(c["model"], c["parameters"]),
        )
        for name in DATA_SETS
        for c in numbers_of(f"mclust_{name}")["cases"]
    )


def distance(one: Mixture, other: Mixture, rows: np.ndarray) -> float:
    """The largest difference of a weight, a mean or a covariance, in units of the rows' spread."""
    spread = rows.std(0)
    return max(
        float(np.abs(one.weights - other.weights).max()),
        float((np.abs(one.means - other.means) / spread).max()),
        float((np.abs(one.covariances - other.covariances) / np.outer(spread, spread)).max()),
    )
