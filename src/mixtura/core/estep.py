"""The E-step: a mixture and a block of rows → statistics; and the gradient that they hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mixtura import kernels
from mixtura.core.arguments import finite_rows, row_weights
from mixtura.core.mixture import Gradient, Mixture
from mixtura.core.statistics import Array, Statistics
from mixtura.kernels import Kernel, Rows, Sums, reference
from mixtura.sources.source import Block


def e_step(model: Mixture, rows: ArrayLike, weights: ArrayLike | None = None) -> Statistics:
    """Responsibilities (S10) of these rows, summed into statistics centred at the model's means.

    Parameters
    ----------
    model : Mixture
        The parameters in force.
    rows : array-like of shape (N, D)
    weights : array-like of shape (N,), optional
        Row weights: 2 counts a row twice, 0 leaves it out.

    Returns
    -------
    Statistics
        Of the kind that the model's covariance structure asks for.

    Raises
    ------
    ValueError
        If a row is not finite.

    Examples
    --------
    One step of EM (S19) by hand:

    >>> import numpy as np
    >>> from mixtura import Mixture, e_step, m_step
    >>> X = np.array([[-2.0], [-1.0], [1.0], [3.0]])
    >>> start = Mixture([0.5, 0.5], [-1.0, 1.0], [1.0, 1.0])
    >>> better = m_step(start, e_step(start, X), "full")
    >>> better.loglik(X) > start.loglik(X)
    True
    """
    block = finite_rows(rows, model.n_features)
    kernel = kernels.choose(len(block), model.n_components, model.n_features)
    return accumulate(model, kernel, block, row_weights(weights, len(block)))


def accumulate(model: Mixture, kernel: Kernel, rows: Rows, weights: Array | None) -> Statistics:
    """``e_step`` on a given kernel, for rows and weights that have been checked."""
    return _statistics(model, rows, weights, kernel.accumulate(rows, weights, model.whitened))


def of_block(model: Mixture, kernel: Kernel, block: Block) -> Statistics:
    """``accumulate`` of a block of a source."""
    return accumulate(model, kernel, block.rows, block.weights)


def of_block_all(models: Sequence[Mixture], kernel: Kernel, block: Block) -> Iterator[Statistics]:
    """``of_block`` under each of several models."""
    found = kernel.accumulate_all(block.rows, block.weights, [model.whitened for model in models])
    for model, sums in zip(models, found, strict=True):
        yield _statistics(model, block.rows, block.weights, sums)


def _statistics(model: Mixture, rows: Rows, weights: Array | None, sums: Sums) -> Statistics:
    if not math.isfinite(sums.loglik):  # a row so far off that its density underflows: the careful way
        sums = reference.accumulate(rows, weights, model.whitened)
    weight = float(len(rows)) if weights is None else float(weights.sum())
    kind = model.structure.kind
    return Statistics(kind, model.means, sums.n, sums.s1, sums.s2, sums.loglik, weight, len(rows), sums.noise)


def gradient(model: Mixture, statistics: Statistics) -> Gradient:
    """S13, S15 and S17 from the statistics of a full-covariance model at its own means."""
    white = model.structure.whitening
    precision = np.swapaxes(white, 1, 2) @ white
    n = statistics.n
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = n / model.weights
    means = model.structure.precision(statistics.s1)
    covariances = 0.5 * (precision @ statistics.s2 @ precision - n[:, None, None] * precision)
    return Gradient(weights, means, covariances)
