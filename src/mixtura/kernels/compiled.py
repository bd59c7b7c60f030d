"""The kernels in machine code: see ``fused``, which is loaded when they are first called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mixtura.core.statistics import Array, Kind
from mixtura.kernels import Rows, Sums, Whitened, machine

#: Standard deviations between the components of a shared covariance and their middle up to which rows are whitened once
#: for all, from there: of 16 digits three are lost then.
FURTHEST = 1e3

#: A model's arrays in the precision of the pass, and its frame: see ``fused``.
Framed = tuple[Any, Any, Any, tuple[Array, Array, Array, Array, float]]


def _run(name: str, framed: Framed, *arguments: Any) -> Any:
    """Call one of the passes."""
    return machine.run("fused", name, framed[0].dtype, (*framed, *arguments))


def _plain(model: Whitened) -> Framed:
    """A model as it is; its arrays writable and row after row whatever they were: one type for the compiler."""
    means, whitening, log_constants = (np.array(array, order="C") for array in model[1:4])
    frame = np.zeros(means.shape[1]), np.ones(means.shape[1]), np.zeros(means.shape), np.zeros(len(means)), 0.0
    return means, whitening, log_constants, frame


def _place(rows: Rows) -> tuple[int, int, int, int, int]:
    """Where the rows are, how far apart rows and columns are, the bytes of a number, and how many rows there are."""
    return rows.ctypes.data, rows.strides[0], rows.strides[1], rows.itemsize, len(rows)


def log_joint(rows: Rows, model: Whitened) -> Array:
    """(B, K) log π_k + log N(x_n|μ_k,Σ_k) (S2, S6)."""
    if _far_apart(model):
        model = _separate(model)
    joint = np.empty((len(rows), len(model.means)))
    _run(f"joint_{model.kind}", _plain(model), _place(rows), joint)
    return joint


def sums(rows: Rows, weights: Array | None, kind: Kind, framed: Framed) -> Sums:
    """``accumulate`` in the precision of the framed model; NaN in ``loglik`` where that is not enough."""
    means, whitening, log_constants, frame = framed
    n_components, n_features = means.shape
    if kind == "tied" and (n_features <= 4 or n_components > 8 * n_features):  # the pooled way is more work
        whitening = np.stack([whitening] * n_components)
        each = sums(rows, weights, "full", (means, whitening, log_constants, frame))
        return each._replace(s2=each.s2.sum(0))
    n, s1, s2 = np.zeros(n_components), np.zeros(means.shape), np.zeros(whitening.shape)
    counts = np.empty(0) if weights is None else np.array(weights, dtype=np.float64)
    loglik = _run(f"sums_{kind}", framed, _place(rows), counts, n, s1, s2)
    return Sums(loglik, n, s1, s2)


def accumulate(rows: Rows, weights: Array | None, model: Whitened) -> Sums:
    """The sums of S11, S14, S16 and S18 over these rows, centred at the model's means."""
    if model.noise > -math.inf:
        return _with_noise(rows, weights, model)
    if _far_apart(model):
        each = accumulate(rows, weights, _separate(model))
        return each._replace(s2=each.s2.sum(0))
    return sums(rows, weights, model.kind, _plain(model))


def accumulate_all(rows: Rows, weights: Array | None, models: Sequence[Whitened]) -> list[Sums]:
    """``accumulate`` under several models."""
    return [accumulate(rows, weights, model) for model in models]


def _far_apart(model: Whitened) -> bool:
    """Whether components that share a covariance lie so far from their middle that distances from there lose digits."""
    if model.kind != "tied":
        return False
    apart = (model.means - model.means.mean(0)) @ model.whitening.T
    return not np.abs(apart).max() <= FURTHEST


def _separate(model: Whitened) -> Whitened:
    """The same mixture, each component with the shared whitening as its own."""
    whitening = np.repeat(model.whitening[None], len(model.means), axis=0)
    return Whitened("full", model.means, whitening, model.log_constants, model.noise)


def _with_noise(rows: Rows, weights: Array | None, model: Whitened) -> Sums:
    """``accumulate`` with the noise as one more component, all of whose distances are zero."""
    tied = model.kind == "tied"
    whitening = model.whitening[None].repeat(len(model.means), axis=0) if tied else model.whitening
    flat = np.zeros((1, *whitening.shape[1:]))
    each = accumulate(
        rows,
        weights,
        Whitened(
            "full" if tied else model.kind,
            np.concatenate([model.means, model.means[:1]]),
            np.concatenate([whitening, flat]),
            np.append(model.log_constants, model.noise),
        ),
    )
    s2 = each.s2[:-1]
    return Sums(each.loglik, each.n[:-1], each.s1[:-1], s2.sum(0) if tied else s2, float(each.n[-1]))
