"""The compiled kernels in single precision, wherever that is good enough; elsewhere those in double precision.

Tiles hold x − origin, so that it does not matter how far the data lie from zero, in units (powers of two) in which
the components are about 1 wide. What is then lost hangs on how far the components lie from the origin beside their
own width, all correlations considered, and models beyond ``WIDEST`` take the other path. So does a block in which a
row is far from every component, or the weight of a row extreme: the pass then returns NaN.

What is rounded is the model, once: means, whitening and constants. The pass is exact for the rounded model as far as
the rows go, and that model is a proper mixture, for the constants follow the rounding of the whitening; the sums
are brought back to the means in force. So the log-likelihood is off by the square of the rounding near a maximum.
"""

from __future__ import annotations

import numpy as np

from mixtura.core.statistics import Array
from mixtura.kernels import Rows, Sums, Whitened, compiled

#: The greatest distance of a component from the origin, in its own widths, at which single precision is used.
WIDEST = 512.0

log_joint = compiled.log_joint  # labels and scores are asked for once: no speed is worth a digit of theirs


def rounded(model: Whitened) -> compiled.Framed | None:
    """The arrays of a model in single precision, or None where that loses too much."""
    means, whitening, log_constants = (np.ascontiguousarray(array) for array in model[1:])
    with np.errstate(all="ignore"):  # what comes of that is refused
        used = log_constants > -np.inf
        # a multiple of the unit in the last place far out, or all rows there would be rounded the same way
        ulp = np.spacing(np.abs(means[used]).max(0).astype(np.float32)).astype(np.float64)
        origin = np.round(means[used].mean(0) / ulp) * ulp
        far = means - origin
        if model.kind == "diagonal":
            sigma, diagonal, columns = 1 / whitening, whitening, whitening**2
        else:
            sigma = np.linalg.norm(np.linalg.inv(whitening), axis=-1)
            diagonal, columns = np.diagonal(whitening, axis1=-2, axis2=-1), np.square(whitening).sum(-2)
        if not (columns * (far**2 + sigma**2)).sum(1)[used].max() <= WIDEST**2:
            return None
        unit = np.exp2(-np.round(np.log2(np.atleast_2d(sigma).max(0))))
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
        if np.isfinite(sums.loglik):
            return sums
    return compiled.accumulate(rows, weights, model)
