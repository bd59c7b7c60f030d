"""The formulas as they stand, in NumPy: what small problems run on and what the compiled kernels are tested against.

Temporary memory is one block of rows × (K + D) numbers.
"""

from __future__ import annotations

import numpy as np

from mixtura.core.statistics import Array, Kind
from mixtura.kernels import Rows, Sums, Whitened


def _whiten(centred: Array, model: Whitened, k: int) -> Array:
    """A_k (x − μ_k), one row each."""
    if model.kind == "full":
        return centred @ model.whitening[k].T
    if model.kind == "tied":
        return centred @ model.whitening.T
    return centred * model.whitening[k]


def log_joint(rows: Rows, model: Whitened) -> Array:
    """(B, K) log π_k + log N(x_n|μ_k,Σ_k) (S2, S6)."""
    out = np.empty((len(rows), len(model.means)))
    with np.errstate(over="ignore", invalid="ignore"):
        for k, mean in enumerate(model.means):
            white = _whiten(rows - mean, model, k)
            out[:, k] = model.log_constants[k] - 0.5 * np.einsum("ij,ij->i", white, white)
    np.nan_to_num(out, copy=False, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return out


def _nearest(rows: Rows, model: Whitened) -> Array:
    """(B, K) one-hot: the component nearest in Mahalanobis distance, for rows so far off that its square overflows."""
    log_distance = np.full((len(rows), len(model.means)), np.inf)
    for k, mean in enumerate(model.means):
        if model.log_constants[k] == -np.inf:
            continue
        centred = np.clip(rows.astype(np.float64) - mean, -np.finfo(np.float64).max, np.finfo(np.float64).max)
        size = np.abs(centred).max(1)
        white = _whiten(centred / np.where(size > 0, size, 1.0)[:, None], model, k)
        with np.errstate(divide="ignore"):
            log_distance[:, k] = np.log(size) + 0.5 * np.log(np.einsum("ij,ij->i", white, white))
    return np.eye(len(model.means))[log_distance.argmin(1)]


def softmax(joint: Array, rows: Rows, model: Whitened) -> tuple[Array, Array]:
    """Log densities log Σ_k exp(joint) (S3, S9) and responsibilities (S10).

    The responsibilities of a row sum to 1, or to what the noise leaves, wherever it lies.
    """
    noisy = model.noise > -np.inf
    top = np.maximum(joint.max(1), model.noise) if noisy else joint.max(1)
    with np.errstate(invalid="ignore"):
        share = np.exp(joint - top[:, None])
    total = share.sum(1)
    if noisy:
        total += np.exp(model.noise - top)
    far = top == -np.inf
    if far.any():
        share[far], total[far] = _nearest(rows[far], model), 1.0
    return top + np.log(total), share / total[:, None]


def accumulate(rows: Rows, weights: Array | None, model: Whitened) -> Sums:
    """The sums of S11, S14, S16 and S18 over these rows, centred at the model's means."""
    if weights is not None and not weights.all():
        rows, weights = rows[weights > 0], weights[weights > 0]
    density, share = softmax(log_joint(rows, model), rows, model)
    noise = np.exp(model.noise - density) if model.noise > -np.inf else np.zeros(len(rows))
    if weights is not None:
        density = density * weights
        noise = noise * weights
        share = share * weights[:, None]
    sums = moments(rows, share, model.means, model.kind)
    return sums._replace(loglik=float(density.sum()), noise=float(noise.sum()))


def moments(rows: Rows, share: Array, centre: Array, kind: Kind) -> Sums:
    """n, s1 and s2 (see Statistics) of rows whose responsibilities, times row weights, are given; loglik is 0."""
    n_components, n_features = centre.shape
    s1 = np.empty((n_components, n_features))
    shape = {"full": (n_components, n_features, n_features), "tied": (n_features, n_features)}
    s2 = np.zeros(shape.get(kind, (n_components, n_features)))
    with np.errstate(over="ignore", invalid="ignore"):  # of rows whose squares are beyond double precision
        for k, point in enumerate(centre):
            centred = rows - point
            weighted = centred * share[:, k : k + 1]
            s1[k] = weighted.sum(0)
            if kind == "full":
                s2[k] = weighted.T @ centred
            elif kind == "tied":
                s2 += weighted.T @ centred
            else:
                s2[k] = np.einsum("ij,ij->j", weighted, centred)
    return Sums(0.0, share.sum(0), s1, s2)
