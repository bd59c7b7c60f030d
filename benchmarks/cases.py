"""The problems that passes are timed on: overlapping Gaussians, and a start that every library is given.

The components' means lie about three standard deviations apart and their covariances differ, so that responsibilities
are spread over several components and no density underflows. The start has the true means, drawn towards the centre
and disturbed, and the covariance of all rows together for every component.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FamilyName = Literal["full", "diag", "tied"]

SEED = 20_261_123


class Parameters(NamedTuple):
    """A mixture in plain arrays: covariances (K, D, D) when full, (K, D) variances when diag, (D, D) when tied."""

    weights: Array
    means: Array
    covariances: Array
    family: FamilyName


class Case(NamedTuple):
    """A family and a size: N rows, D columns, K components."""

    family: FamilyName
    n_rows: int
    n_features: int
    n_components: int

    @property
    def name(self) -> str:
        """As it is named on the command line, for example full_1e6_4_10."""
        size = f"{self.n_rows:g}" if self.n_rows < 10_000 else f"{self.n_rows:.0e}".replace("e+0", "e")
        return f"{self.family}_{size}_{self.n_features}_{self.n_components}"

    @property
    def flops(self) -> float:
        """Floating-point operations that one pass of EM cannot do without; symmetric work counts once."""
        n, d, k = map(float, self[1:])
        if self.family == "full":  # whiten: D(D+1) a row and component; as much for the scatter
            return 2 * n * k * d * (d + 1)
        if self.family == "diag":  # two fused multiply-adds for the distance, two for the sums
            return 8 * n * k * d
        return 4 * n * k * d + n * d * (d + 1)  # whiten once; the rows' own scatter never changes


CASES = {
    case.name: case
    for case in (
        Case("full", 1_000_000, 2, 5),
        Case("full", 1_000_000, 4, 10),
        Case("full", 200_000, 8, 16),
        Case("full", 100_000, 16, 32),
        Case("full", 100_000, 32, 16),
        Case("full", 20_000, 64, 32),
        Case("full", 10_000, 128, 10),
        Case("diag", 1_000_000, 4, 10),
        Case("diag", 200_000, 40, 256),
        Case("diag", 200_000, 64, 64),
        Case("tied", 100_000, 32, 16),
        Case("tied", 1_000_000, 4, 10),
    )
}


def make(case: Case, seed: int = SEED) -> tuple[Array, Parameters]:
    """The rows (N, D) of a case and the start."""
    family, n_rows, d, k = case
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(k, 5.0))
    means = rng.normal(size=(k, d)) * 3 / np.sqrt(2 * d)
    labels = rng.choice(k, n_rows, p=weights)
    rows = rng.normal(size=(n_rows, d))
    for j in range(k if family != "tied" else 0):
        scale = np.exp(rng.normal(size=d) / np.sqrt(2 * d))
        turn = _rotation(rng, d) if family == "full" else np.eye(d)
        rows[labels == j] = rows[labels == j] @ (turn * scale).T
    rows += means[labels]
    mixing = np.eye(d) if family == "diag" else _rotation(rng, d) * rng.uniform(0.5, 2.0, d)
    rows = np.ascontiguousarray(rows @ mixing.T)
    pooled = np.cov(rows, rowvar=False, bias=True).reshape(d, d)
    covariances = {"full": np.tile(pooled, (k, 1, 1)), "diag": np.tile(np.diag(pooled), (k, 1)), "tied": pooled}
    start = (0.7 * means + 0.1 * rng.normal(size=(k, d))) @ mixing.T
    return rows, Parameters(np.full(k, 1 / k), np.ascontiguousarray(start), covariances[family], family)


def _rotation(rng: np.random.Generator, d: int) -> Array:
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def home() -> Path:
    """Where data and other libraries' environments are kept: $MIXTURA_BENCHMARKS, or the temporary folder."""
    return Path(os.environ.get("MIXTURA_BENCHMARKS", Path(tempfile.gettempdir()) / "mixtura-benchmarks"))


def folder(case: Case) -> Path:
    """The folder that holds a case as .npy files, which are made when they are missing."""
    path = home() / "data" / case.name
    if not (path / "rows.npy").exists():
        path.mkdir(parents=True, exist_ok=True)
        rows, start = make(case)
        for name in ("weights", "means", "covariances"):
            np.save(path / f"{name}.npy", getattr(start, name))
        np.save(path / "unfinished.npy", rows)
        (path / "unfinished.npy").rename(path / "rows.npy")
    return path


def load(case: Case, dtype: str = "float64") -> tuple[NDArray[np.floating], Parameters]:
    """The rows of a case in either precision, and the start in double precision."""
    path = folder(case)
    rows = np.ascontiguousarray(np.load(path / "rows.npy"), dtype)
    start = (np.load(path / f"{name}.npy") for name in ("weights", "means", "covariances"))
    return rows, Parameters(*start, case.family)
