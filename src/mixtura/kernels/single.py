"""The compiled kernels in single precision, wherever that is good enough; elsewhere those in double precision.

Tiles hold x − origin, so that it does not matter how far the data lie from zero, in units (powers of two) in which
the components are about 1 wide. What is then lost hangs on how far the components lie from the origin beside their
own width, all correlations considered, and models beyond ``WIDEST`` take the other path, as do those whose squares
would leave the range of float32. So does a block in which a row is far from every component, or the weight of a row
extreme: the pass then returns NaN.

What is rounded is the model, once: means, whitening and constants. The pass is exact for the rounded model as far as
the rows go, and that model is a proper mixture, for the constants follow the rounding of the whitening; the sums
are brought back to the means in force. So the log-likelihood is off by the square of the rounding near a maximum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mixtura.core.statistics import Array
from mixtura.covariance.structure import SingularError, inverse_lower
from mixtura.kernels import Rows, Sums, Whitened, compiled

#: The greatest distance of a component from the origin, in its own widths, at which single precision is used, and the
#: least width of a component in a column beside that of another.
WIDEST, NARROWEST = 512.0, 1e-9

log_joint = compiled.log_joint  # labels and scores are asked for once: no speed is worth a digit of theirs


def _widths(model: Whitened) -> tuple[Array, Array, Array]:
    """Standard deviations σ, sums of squares of the columns of A, and the diagonals of A; a row each, or for all."""
    whitening = model.whitening
    if model.kind == "diagonal":
        return 1 / whitening, whitening**2, whitening
    try:
        sigma = np.linalg.norm(inverse_lower(whitening), axis=-1)
    except SingularError:
        sigma = np.full(whitening.shape[:-1], np.nan)
    diagonal = np.diagonal(whitening, axis1=-2, axis2=-1)
    return np.atleast_2d(sigma), np.square(whitening).sum(-2), diagonal


def rounded(model: Whitened) -> compiled.Framed | None:
    """The arrays of a model in single precision, or None where that loses too much."""
    if model.noise > -math.inf:  # of no width at all
        return None
    means, whitening, log_constants = (np.ascontiguousarray(array) for array in model[1:4])
    with np.errstate(all="ignore"):  # what comes of that is refused
        used = log_constants > -np.inf
        # a multiple of the unit in the last place far out, or all rows there would be rounded the same way
        ulp = np.spacing(np.abs(means[used]).max(0).astype(np.float32)).astype(np.float64)
        origin = np.round(means[used].mean(0) / ulp) * ulp
        far = means - origin
        sigma, columns, diagonal = _widths(model)
        breadth = (columns * (far**2 + sigma**2)).sum(1)[used].max()
        widest, narrowest = sigma.max(0), sigma.min(0)
        if not (breadth <= WIDEST**2 and (narrowest >= NARROWEST * widest).all()):
            return None
        unit = np.exp2(-np.round(np.log2(widest)))
        exact = far * unit
        near = exact.astype(np.float32)
        narrow = (whitening / unit).astype(np.float32)
        kept = narrow if model.kind == "diagonal" else np.diagonal(narrow, axis1=-2, axis2=-1)
        constants = log_constants + np.log(kept * unit / diagonal).sum(-1)
        highest = float(constants[used].max())
        relative = (constants - highest).astype(np.float32)
        lost = np.where(used, constants - highest - relative, 0.0)
    return near, narrow, relative, (origin, unit, near - exact, lost, highest)


def accumulate(rows: Rows, weights: Array | None, model: Whitened) -> Sums:
    """The sums of S11, S14, S16 and S18 over these rows, centred at the model's means."""
    if model.rounded is not None:
        sums = compiled.sums(rows, weights, model.kind, model.rounded)
        if math.isfinite(sums.loglik):
            return sums
    return compiled.accumulate(rows, weights, model)


def accumulate_all(rows: Rows, weights: Array | None, models: Sequence[Whitened]) -> list[Sums]:
    """``accumulate`` under several models."""
    return [accumulate(rows, weights, model) for model in models]
