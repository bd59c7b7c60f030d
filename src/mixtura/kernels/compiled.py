"""The kernels in machine code: see ``fused``, which is loaded when they are first called."""

from __future__ import annotations

import importlib
import math
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mixtura.core.statistics import Array
from mixtura.kernels import Rows, Sums, Whitened

#: Seconds after which a compilation is announced on a terminal; a cached one is loaded sooner.
PATIENCE = 0.7

_passes: dict[str, Callable[..., Any]] = {}
_lock = threading.Lock()


def _announce() -> None:
    sys.stderr.write("Mixtura compiles its kernels for this machine; this happens once.\n")


def _run(name: str, *arguments: Any) -> Any:
    """Call one of the passes, compiling it before the first call."""
    with _lock:
        if name not in _passes:
            # in a thread, where no Ctrl-C can leave the import half done
            with ThreadPoolExecutor(1) as worker:
                fused = worker.submit(importlib.import_module, "mixtura.kernels.fused").result()
            notice = threading.Timer(PATIENCE, _announce)
            if sys.stderr is not None and sys.stderr.isatty():
                notice.start()
            try:
                _passes[name] = fused.build(name, arguments)
            finally:
                notice.cancel()
    return _passes[name](*arguments)


def _model(model: Whitened) -> tuple[Array, Array, Array]:
    """The arrays of a model, writable and row after row whatever they were: one type for the compiler."""
    means, whitening, log_constants = (np.array(array, order="C") for array in model[1:4])
    return means, whitening, log_constants


def _place(rows: Rows) -> tuple[int, int, int, bool, int]:
    """Where the rows are, how far apart rows and columns are, whether in single precision, and how many."""
    return rows.ctypes.data, rows.strides[0], rows.strides[1], bool(rows.dtype == np.float32), len(rows)


def log_joint(rows: Rows, model: Whitened) -> Array:
    """(B, K) log π_k + log N(x_n|μ_k,Σ_k) (S2, S6)."""
    joint = np.empty((len(rows), len(model.means)))
    _run(f"joint_{model.kind}", _place(rows), *_model(model), joint)
    return joint


def accumulate(rows: Rows, weights: Array | None, model: Whitened) -> Sums:
    """The sums of S11, S14, S16 and S18 over these rows, centred at the model's means."""
    n_components, n_features = model.means.shape
    if model.noise > -math.inf:
        return _with_noise(rows, weights, model)
    if model.kind == "tied" and (n_features <= 4 or n_components > 8 * n_features):  # the pooled way is more work
        whitening = np.broadcast_to(model.whitening, (n_components, n_features, n_features))
        sums = accumulate(rows, weights, Whitened("full", model.means, whitening, model.log_constants))
        return sums._replace(s2=sums.s2.sum(0))
    n, s1, s2 = np.zeros(n_components), np.zeros(model.means.shape), np.zeros(model.whitening.shape)
    each = np.empty(0) if weights is None else np.array(weights, dtype=np.float64)
    loglik = _run(f"sums_{model.kind}", _place(rows), each, *_model(model), n, s1, s2)
    return Sums(loglik, n, s1, s2)


def _with_noise(rows: Rows, weights: Array | None, model: Whitened) -> Sums:
    """``accumulate`` with the noise as one more component, all of whose distances are zero."""
    tied = model.kind == "tied"
    whitening = model.whitening[None].repeat(len(model.means), axis=0) if tied else model.whitening
    flat = np.zeros((1, *whitening.shape[1:]))
    sums = accumulate(
        rows,
        weights,
        Whitened(
            "full" if tied else model.kind,
            np.concatenate([model.means, model.means[:1]]),
            np.concatenate([whitening, flat]),
            np.append(model.log_constants, model.noise),
        ),
    )
    s2 = sums.s2[:-1]
    return Sums(sums.loglik, sums.n[:-1], sums.s1[:-1], s2.sum(0) if tied else s2, float(sums.n[-1]))
