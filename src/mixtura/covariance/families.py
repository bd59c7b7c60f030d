"""The parsimonious covariance families: functions (n, W) → structure.

Each takes the effective counts n (K,) and the scatter matrices W of the components about their means (a prior's
pseudo-statistics already added), in the shape that its structure's kind asks for, and returns the structure that
maximises

    −½ Σ_k [ n_k log det Σ_k + tr(Σ_k⁻¹ W_k) ]

over the family: the exact M-step (S16) under its constraint. Names are those of Celeux & Govaert, "Gaussian
parsimonious clustering models", Pattern Recognition 28 (1995): three letters for volume, shape and orientation in
Σ_k = λ_k D_k A_k D_kᵀ, each Equal, Variable or Identity.
"""

from __future__ import annotations

import numpy as np

from mixtura.core.statistics import Array
from mixtura.covariance.structure import Diagonal, Full, Tied


def vvv(n: Array, scatter: Array) -> Full:
    """λ_k D_k A_k D_kᵀ: nothing shared. Σ_k = W_k / n_k (S16). Free parameters: K D (D + 1) / 2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return Full.from_covariances(scatter / n[:, None, None])


def eee(n: Array, scatter: Array) -> Tied:
    """λ D A Dᵀ: all shared. Σ = Σ_k W_k / Σ_k n_k. Free parameters: D (D + 1) / 2."""
    return Tied.from_covariance(scatter / n.sum(), len(n))


def vvi(n: Array, scatter: Array) -> Diagonal:
    """λ_k A_k: axis-aligned, nothing shared. Σ_k = diag(W_k) / n_k. Free parameters: K D."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return Diagonal.from_variances(scatter / n[:, None])


def vii(n: Array, scatter: Array) -> Diagonal:
    """λ_k I: spheres of their own sizes. λ_k = tr(W_k) / (n_k D). Free parameters: K."""
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = scatter.mean(1) / n
    return Diagonal.from_variances(np.repeat(variance[:, None], scatter.shape[1], axis=1))
