"""Whether a mixture fits its rows: distances against the law that they should follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from scipy.stats import beta, chi2

from mixtura import kernels
from mixtura.core.arguments import as_source
from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array
from mixtura.kernels.reference import softmax
from mixtura.sources.source import Block, Source

#: Squared distances are collected between these quantiles of their law (as logits of the probability) …
LOGITS = np.linspace(-16, 16, 1025)
#: … and beyond the last by as many steps of this factor.
BEYOND, STEPS_BEYOND = 1.02, 1000
#: The law of the squared distances is right if the points stay in the band this often, each by itself.
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class QQ:
    """Squared Mahalanobis distances against the quantiles that they should have.

    Attributes
    ----------
    observed : ndarray of shape (Q,)
        Ascending: squared distances of the rows to their components.
    expected : ndarray of shape (Q,)
        The quantiles of χ² with D degrees of freedom at the same places in order.
    low, high : ndarray of shape (Q,)
        Between these an observed one lies with probability CONFIDENCE, if the model is right and each row counts as
        one observation.
    components : tuple of pairs of ndarray
        (observed, expected) of each component's part alone.
    degrees : int
        D.
    """

    observed: Array
    expected: Array
    low: Array
    high: Array
    components: tuple[tuple[Array, Array], ...]
    degrees: int


class _Distances(NamedTuple):
    """Responsibilities by component and step of distance, (K, T); the same times the distance; Σw and Σw²."""

    held: Array
    sums: Array
    weights: Array

    def __add__(self, other: _Distances) -> _Distances:  # type: ignore[override]
        return _Distances(self.held + other.held, self.sums + other.sums, self.weights + other.weights)


def qq(model: Mixture, X: ArrayLike | Source, sample_weight: ArrayLike | None = None) -> QQ:
    """The squared Mahalanobis distances of rows to the components, each counted by its responsibility.

    Under the mixture the squared distance of a row to the component that it comes from follows χ² with D degrees of
    freedom, whichever component that is; and Σ_n γ_nk [d²_nk ≤ t] is, in expectation, the number of rows that come from
    component k and are as near: E γ_k(x) [d²_k(x) ≤ t] = π_k P(χ²_D ≤ t). So the distances of all components, counted
    by their responsibilities, are to lie on the diagonal (for one component the plot of Healy, Applied Statistics 17
    (1968), 157), and so are those of each by itself. Points above it at the upper end are rows further out than a
    Gaussian allows: heavy tails or outliers. All rows are taken, in one pass.

    Parameters
    ----------
    model : Mixture
        Of a noise component's rows only the part that is not noise counts.
    X : array-like of shape (N, D), or Source
    sample_weight : array-like of shape (N,), optional

    Notes
    -----
    Distances are collected in some 2000 narrow steps, of which each that holds a row's worth gives a point: their mean
    against the quantile at the middle of their ranks. The band does not know that the parameters were fitted to the
    same rows, nor that responsibilities average, and is so a little too wide.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import Mixture
    >>> from mixtura.figures import qq
    >>> model = Mixture([0.5, 0.5], [-1, 1], [1, 1])
    >>> plot = qq(model, model.sample(10_000, 0))
    >>> bool((np.abs(plot.observed / plot.expected - 1)[plot.expected > 0.1] < 0.2).all())
    True
    """
    source = as_source(X, model.n_features, model.columns, sample_weight)
    inner = chi2.isf(expit(-LOGITS), model.n_features)
    edges = np.concatenate([inner, inner[-1] * BEYOND ** np.arange(1, STEPS_BEYOND)])
    found = source.total(partial(_distances, model, edges))
    unit = found.weights[1] / found.weights[0]
    effective = found.weights[0] / unit  # as many rows of equal weight are as sure (Kish, Survey Sampling (1965))
    observed, expected, middle = _points(found.held.sum(0), found.sums.sum(0), model.n_features, unit)
    one, other = effective * middle + 0.5, effective * (1 - middle) + 0.5
    outside = (1 - CONFIDENCE) / 2
    low, high = (_quantile(beta.ppf(p, one, other), model.n_features) for p in (outside, 1 - outside))
    parts = (_points(*part, model.n_features, unit)[:2] for part in zip(found.held, found.sums, strict=True))
    return QQ(observed, expected, low, high, tuple(parts), model.n_features)


def _distances(model: Mixture, edges: Array, block: Block) -> _Distances:
    each = block.each
    joint = kernels.choose(len(each), *model.means.shape).log_joint(block.rows, model.whitened)
    share = softmax(joint, block.rows, model.whitened)[1] * each[:, None]
    constants = model.whitened.log_constants
    with np.errstate(invalid="ignore"):
        squared = np.clip(2 * (constants - joint), 0.0, np.finfo(np.float64).max)
    squared[share == 0] = 0.0  # a component of weight 0 among them
    step = np.searchsorted(edges, squared.T)
    shape = len(constants), len(edges) + 1
    index = (step + shape[1] * np.arange(shape[0])[:, None]).ravel()
    held, sums = (_by_step(index, of.T, shape) for of in (share, share * squared))
    return _Distances(held, sums, np.array([each.sum(), each @ each]))


def _by_step(index: NDArray[np.intp], of: Array, shape: tuple[int, int]) -> Array:
    return np.bincount(index, of.ravel(), shape[0] * shape[1]).astype(np.float64).reshape(shape)


def _points(held: Array, sums: Array, degrees: int, unit: float) -> tuple[Array, Array, Array]:
    """Observed and expected squared distances, and the ranks that they stand for, as shares."""
    there = held > 0
    held, sums = held[there], sums[there]
    # steps that share a row's worth make one point; so do those beyond which less than half a row is left
    row = (held.cumsum() - held / 2) // unit
    late = held[::-1].cumsum()[::-1] < unit / 2
    row[late] = row[~late].max(initial=0)
    row = np.unique(row, return_inverse=True)[1]
    held, sums = (np.bincount(row, of).astype(np.float64) for of in (held, sums))
    middle = (held.cumsum() - held / 2) / max(held.sum(), np.finfo(np.float64).tiny)
    return sums / held, _quantile(middle, degrees), middle


def _quantile(probability: Array, degrees: int) -> Array:
    return np.where(probability > 0.5, chi2.isf(1 - probability, degrees), chi2.ppf(probability, degrees))
