"""The fourteen parsimonious covariance families: functions (n, W) → structure.

Each takes the effective counts n (K,) and the scatter matrices W of the components about their means (a prior's
pseudo-statistics already added), in the shape that its structure's kind asks for, and returns the structure that
maximises

    −½ Σ_k [ n_k log det Σ_k + tr(Σ_k⁻¹ W_k) ]

over the family: the exact M-step (S16) under its constraint. Names are those of Celeux & Govaert, "Gaussian
parsimonious clustering models", Pattern Recognition 28 (1995): three letters for volume, shape and orientation in
Σ_k = λ_k D_k A_k D_kᵀ, each Equal, Variable or Identity. A is diagonal with determinant 1, D orthogonal, N = Σ_k n_k.

Six families have the columns for axes. The others do the same along other axes: along each component's own
(eigenvectors of W_k, where the eigenvalues, in one order, take the place of the variances), or along common ones.
"""

from __future__ import annotations

import numpy as np

from mixtura.core.statistics import Array
from mixtura.covariance.inner import common_axes, eigen, volumes
from mixtura.covariance.structure import Diagonal, Full, SingularError, Structure, Tied, cholesky, lower_of

# Along the columns: W as variances times counts, (K, D)


def eii(n: Array, scatter: Array) -> Diagonal:
    """λ I: spheres of one size. λ = Σ_k tr(W_k) / (N D). Free parameters: 1."""
    return Diagonal.from_variances(np.full(scatter.shape, scatter.mean(1).sum() / n.sum()))


def vii(n: Array, scatter: Array) -> Diagonal:
    """λ_k I: spheres of their own sizes. λ_k = tr(W_k) / (n_k D). Free parameters: K."""
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = scatter.mean(1) / n
    return Diagonal.from_variances(np.repeat(variance[:, None], scatter.shape[1], axis=1))


def eei(n: Array, scatter: Array) -> Diagonal:
    """λ A: axis-aligned, all shared. Σ = Σ_k diag(W_k) / N. Free parameters: D."""
    return Diagonal.from_variances(np.repeat(scatter.sum(0, keepdims=True) / n.sum(), len(n), axis=0))


def vei(n: Array, scatter: Array, start: Structure | None = None) -> Diagonal:
    """λ_k A: axis-aligned, the shape shared. Free parameters: K + D − 1.

    λA = Σ_k diag(W_k)/λ_k / N, and the λ_k by Newton's method (``volumes``).
    """
    size = volumes(n, scatter, start)[:, None]
    return Diagonal.from_variances(size * ((scatter / size).sum(0) / n.sum()))


def evi(n: Array, scatter: Array) -> Diagonal:
    """λ A_k: axis-aligned, the volume shared. Free parameters: 1 + K (D − 1).

    λ A_k is diag(W_k) scaled so that λ = Σ_k det(diag W_k)^(1/D) / N.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return Diagonal.from_variances(scatter * _to_one_volume(n, np.log(scatter).mean(1))[:, None])


def vvi(n: Array, scatter: Array) -> Diagonal:
    """λ_k A_k: axis-aligned, nothing shared. Σ_k = diag(W_k) / n_k. Free parameters: K D."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return Diagonal.from_variances(scatter / n[:, None])


# Along any axes: W (K, D, D), or pooled over the components for EEE


def eee(n: Array, scatter: Array) -> Tied:
    """λ D A Dᵀ: all shared. Σ = Σ_k W_k / N. Free parameters: D (D + 1) / 2."""
    return Tied.from_covariance(scatter / n.sum(), len(n))


def vee(n: Array, scatter: Array, start: Structure | None = None) -> Full:
    """λ_k D A Dᵀ: shape and orientation shared. Free parameters: K − 1 + D (D + 1) / 2.

    λ D A Dᵀ = Σ_k W_k/λ_k / N, and the λ_k by Newton's method (``volumes``).
    """
    size = volumes(n, scatter, start)[:, None, None]
    return Full(np.sqrt(size) * cholesky((scatter / size).sum(0) / n.sum()))


def eve(n: Array, scatter: Array, start: Structure | None = None) -> Full:
    """λ D A_k Dᵀ: volume and orientation shared. Free parameters: 1 + K (D − 1) + D (D − 1) / 2.

    EVI along the common axes D that suit it best (``common_axes``), the nearest local optimum to those of ``start``
    (Browne & McNicholas, "Estimating common principal components in high dimensions", Advances in Data Analysis and
    Classification 8 (2014)).
    """
    axes, along = common_axes(n, scatter, start, one_volume=True)
    return _turned(axes, evi(n, along))


def vve(n: Array, scatter: Array, start: Structure | None = None) -> Full:
    """λ_k D A_k Dᵀ: the orientation shared. Free parameters: K D + D (D − 1) / 2.

    VVI along the common axes D that suit it best (``common_axes``), the nearest local optimum to those of ``start``
    (Browne & McNicholas, as for EVE; Flury, "Common principal components in k groups", J. American Statistical
    Association 79 (1984)).
    """
    axes, along = common_axes(n, scatter, start, one_volume=False)
    return _turned(axes, vvi(n, along))


def eev(n: Array, scatter: Array) -> Full:
    """λ D_k A D_kᵀ: volume and shape shared. EEI along the axes of W_k. Free parameters: D + K D (D − 1) / 2."""
    along, axes = eigen(scatter)
    return _turned(axes, eei(n, along))


def vev(n: Array, scatter: Array, start: Structure | None = None) -> Full:
    """λ_k D_k A D_kᵀ: the shape shared. VEI along the axes of W_k. Free parameters: K + D − 1 + K D (D − 1) / 2."""
    along, axes = eigen(scatter)
    return _turned(axes, vei(n, along, start))


def evv(n: Array, scatter: Array) -> Full:
    """λ D_k A_k D_kᵀ: the volume shared. Free parameters: 1 + K (D − 1) (D + 2) / 2.

    Σ_k is W_k scaled so that λ = Σ_k det(W_k)^(1/D) / N.
    """
    factor = Full.from_covariances(scatter)
    scale = _to_one_volume(n, factor.log_det() / scatter.shape[1])
    return Full(factor.cholesky * np.sqrt(scale)[:, None, None])


def vvv(n: Array, scatter: Array) -> Full:
    """λ_k D_k A_k D_kᵀ: nothing shared. Σ_k = W_k / n_k (S16). Free parameters: K D (D + 1) / 2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return Full.from_covariances(scatter / n[:, None, None])


def _to_one_volume(n: Array, log_volumes: Array) -> Array:
    """The factors (K,) that bring scatters of these volumes, det(W_k)^(1/D), to the λ of equal volumes."""
    return np.exp(np.logaddexp.reduce(log_volumes) - np.log(n.sum()) - log_volumes)


def _turned(axes: Array, along: Diagonal) -> Full:
    """The covariances with these axes, the columns of (D, D) or (K, D, D), and the variances along them."""
    try:
        return Full(lower_of(axes * along.scale[:, None, :]))
    except SingularError:
        raise SingularError("a covariance matrix is not positive definite") from None
