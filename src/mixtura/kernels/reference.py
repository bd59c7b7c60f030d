"""The formulas as they stand, in NumPy: what small problems run on and what the compiled kernels are tested against.

Temporary memory is K numbers for each row of a block, and some arrays of a fixed size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mixtura.core.statistics import Array, Kind
from mixtura.kernels import Rows, Sums, Whitened

#: Numbers in a temporary array, (K, rows of a tile, D).
TILE_NUMBERS = 65_536
#: The most numbers in one, of several models that are taken together.
TOGETHER = 16_384


#: What underflows is zero to all purposes, whatever the caller has NumPy do about it.
_tiny = np.errstate(under="ignore")


def _tiles(n_rows: int, centre: Array) -> Iterator[slice]:
    """Rows to work on together, so that temporary arrays stay in the cache."""
    step = max(TILE_NUMBERS // centre.size, 1)
    return (slice(start, start + step) for start in range(0, n_rows, step))


def _whiten(centred: Array, model: Whitened) -> Array:
    """A_k (x_n − μ_k), (K, B, D)."""
    if model.kind == "diagonal":
        return centred * model.whitening[:, None]
    return centred @ np.swapaxes(model.whitening, -1, -2)


@_tiny
def log_joint(rows: Rows, model: Whitened) -> Array:
    """(B, K) log π_k + log N(x_n|μ_k,Σ_k) (S2, S6)."""
    out = np.empty((len(rows), len(model.means)))
    with np.errstate(over="ignore", invalid="ignore"):
        for tile in _tiles(len(rows), model.means):
            white = _whiten(rows[tile] - model.means[:, None], model)
            out[tile] = model.log_constants - 0.5 * np.einsum("kni,kni->nk", white, white)
    out[~np.isfinite(out)] = -np.inf
    return out


def _nearest(rows: Rows, model: Whitened) -> Array:
    """(B, K) one-hot: the component nearest in Mahalanobis distance, for rows so far off that its square overflows."""
    log_distance = np.empty((len(rows), len(model.means)))
    largest = np.finfo(np.float64).max
    for tile in _tiles(len(rows), model.means):
        centred = np.clip(rows[tile].astype(np.float64) - model.means[:, None], -largest, largest)
        size = np.abs(centred).max(2)
        white = _whiten(centred / np.where(size > 0, size, 1.0)[:, :, None], model)
        with np.errstate(divide="ignore"):
            log_distance[tile] = (np.log(size) + 0.5 * np.log(np.einsum("kni,kni->kn", white, white))).T
    log_distance[:, model.log_constants == -np.inf] = np.inf
    return np.eye(len(model.means))[log_distance.argmin(1)]


@_tiny
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
    share /= total[:, None]
    return top + np.log(total), share


@_tiny
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


def accumulate_all(rows: Rows, weights: Array | None, models: Sequence[Whitened]) -> list[Sums]:
    """``accumulate`` under several models; NaN in ``loglik`` asks for ``accumulate``.

    Small ones of one kind are taken together: for them, calls cost more than numbers.
    """
    if weights is not None and not weights.all():
        rows, weights = rows[weights > 0], weights[weights > 0]
    found: dict[int, Sums] = {}
    for batch in _batches(models, len(rows)):
        if len(rows) * models[batch[0]].means.size > TOGETHER:
            found[batch[0]] = accumulate(rows, weights, models[batch[0]])
        else:
            found.update(zip(batch, _together(rows, weights, [models[i] for i in batch]), strict=True))
    return [found[i] for i in range(len(models))]


def _batches(models: Sequence[Whitened], n_rows: int) -> Iterator[list[int]]:
    """Numbers of models of one kind, as many as may be taken together."""
    waiting: dict[Kind, list[int]] = {}
    numbers: dict[Kind, int] = {}
    for i, model in enumerate(models):
        more = n_rows * model.means.size
        if numbers.get(model.kind, 0) + more > TOGETHER and model.kind in waiting:
            yield waiting.pop(model.kind)
        numbers[model.kind] = more + (numbers[model.kind] if model.kind in waiting else 0)
        waiting.setdefault(model.kind, []).append(i)
    yield from waiting.values()


def _together(rows: Rows, weights: Array | None, models: Sequence[Whitened]) -> Iterator[Sums]:
    """``accumulate`` under models of one kind, component by component; a model's sums do not depend on the others."""
    sizes = [len(model.means) for model in models]
    first = np.cumsum([0, *sizes[:-1]])
    means, noise = np.concatenate([model.means for model in models]), np.array([[model.noise] for model in models])
    constants = np.concatenate([model.log_constants for model in models])
    diagonal = models[0].kind == "diagonal"
    with np.errstate(all="ignore"):  # rows that no component reaches, or beyond double precision, end as NaN
        centred = rows - means[:, None]
        if diagonal:
            white = centred * np.concatenate([model.whitening for model in models])[:, None]
        else:
            each = [m.whitening for m in models]
            if models[0].kind == "tied":
                each = [np.broadcast_to(one, (k, *one.shape)) for one, k in zip(each, sizes, strict=True)]
            white = centred @ np.swapaxes(np.concatenate(each), 1, 2)
        joint = constants[:, None] - 0.5 * np.einsum("kni,kni->kn", white, white)
        top = np.maximum(np.maximum.reduceat(joint, first), noise)
        share = np.exp(joint - np.repeat(top, sizes, axis=0))
        total = np.add.reduceat(share, first) + np.exp(noise - top)
        share /= np.repeat(total, sizes, axis=0)
        density = top + np.log(total)
        rest = np.exp(noise - density)
        if weights is not None:
            share, density, rest = share * weights, density * weights, rest * weights
        s1 = (share[:, None] @ centred)[:, 0]
        weighted = np.square(centred) if diagonal else centred * share[:, :, None]
        s2 = (share[:, None] @ weighted)[:, 0] if diagonal else np.swapaxes(centred, 1, 2) @ weighted
    n, logliks, noises = share.sum(1), density.sum(1).tolist(), rest.sum(1).tolist()
    for i, (start, size) in enumerate(zip(first, sizes, strict=True)):
        mine = slice(start, start + size)
        yield Sums(logliks[i], n[mine], s1[mine], s2[mine].sum(0) if models[i].kind == "tied" else s2[mine], noises[i])


@_tiny
def moments(rows: Rows, share: Array, centre: Array, kind: Kind) -> Sums:
    """n, s1 and s2 (see Statistics) of rows whose responsibilities, times row weights, are given; loglik is 0."""
    n_components, n_features = centre.shape
    s1 = np.zeros((n_components, n_features))
    shape = {"full": (n_components, n_features, n_features), "tied": (n_features, n_features)}
    s2 = np.zeros(shape.get(kind, (n_components, n_features)))
    with np.errstate(over="ignore", invalid="ignore"):  # of rows whose squares are beyond double precision
        for tile in _tiles(len(rows), centre):
            centred = rows[tile] - centre[:, None]
            weighted = centred * share[tile].T[:, :, None]
            s1 += weighted.sum(1)
            if kind == "full":
                s2 += np.swapaxes(weighted, 1, 2) @ centred
            elif kind == "tied":
                s2 += weighted.reshape(-1, n_features).T @ centred.reshape(-1, n_features)
            else:
                s2 += np.einsum("kni,kni->ki", weighted, centred)
    return Sums(0.0, share.sum(0), s1, s2)
