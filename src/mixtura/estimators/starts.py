"""Where a fit shall start, from what users pass: checked, and in the form that a search takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Diagonal, Full, SingularError, Structure, Tied, lower_of
from mixtura.sources.reader import Opened
from mixtura.start import Parts, Rule, by_labels, by_responsibilities

#: How far the sum of initial weights, or of a row's responsibilities, may be from 1.
SUM_TOLERANCE = 1e-6
#: How far an entry of an initial precision matrix may be from its mirror image, relative to the diagonal.
SYMMETRY_TOLERANCE = 1e-5


def from_parts(
    weights: ArrayLike | None,
    means: ArrayLike | None,
    precisions: ArrayLike | None,
    shape: tuple[int, int],
    family: Family,
) -> Mixture | Parts | None:
    """The mixture with these parameters; Parts, if some are missing; None, if all are.

    ``shape`` is (K, D). Errors are ValueErrors in scikit-learn's words.
    """
    n_components, n_features = shape
    parts = Parts(
        None if weights is None else _weights(weights, n_components),
        None if means is None else _array(means, (n_components, n_features), "means"),
        None if precisions is None else _structure(precisions, n_components, n_features, family),
    )
    if parts.weights is not None and parts.means is not None and parts.structure is not None:
        return Mixture(parts.weights, parts.means, parts.structure)
    return None if all(part is None for part in parts) else parts


def from_rows(given: NDArray[Any], n_components: int, n_rows: int, weights: Array | None) -> Rule:
    """The rule that labels (N,) or responsibilities (N, K) of the rows make."""
    k = n_components
    counts = np.ones(n_rows) if weights is None else weights
    if given.shape == (n_rows,) and given.dtype.kind in "iu":
        outside = np.flatnonzero((given < 0) | (given >= k))
        if len(outside):
            raise ValueError(
                f"the label in init_params of row {outside[0]} is {given[outside[0]]}: "
                f"components are numbered 0 to {k - 1}"
            )
        held, rule = np.bincount(given, counts, minlength=k), by_labels(given, k)
    elif given.shape == (n_rows, k) and given.dtype.kind in "biuf":
        share = given.astype(np.float64)
        sums = share.sum(1)
        wrong = np.flatnonzero(~((share >= 0).all(1) & (np.abs(sums - 1) <= SUM_TOLERANCE)))
        if len(wrong):
            raise ValueError(
                f"the responsibilities in init_params of row {wrong[0]} are {share[wrong[0]]}: "
                "they must not be negative, and sum to 1"
            )
        share /= sums[:, None]
        held, rule = counts @ share, by_responsibilities(share)
    else:
        raise ValueError(
            f"init_params is an array of {given.dtype} of shape {given.shape}: give integer labels of shape "
            f"({n_rows},) or responsibilities of shape ({n_rows}, {k})"
        )
    if not held.all():
        raise ValueError(f"init_params gives no rows to component {int(held.argmin())}: use fewer components")
    return rule


def from_mixture(start: Mixture, what: str, n_components: int, table: Opened) -> Mixture:
    """The mixture itself, if it has as many components as wanted and the columns of the table."""
    n_features = table.source.n_features
    if start.n_components != n_components:
        raise ValueError(f"{what} has {start.n_components} components, but n_components={n_components}")
    if start.n_features != n_features:
        raise ValueError(f"{what} has {start.n_features} columns, but X has {n_features}")
    if start.columns and table.columns and start.columns != table.columns:
        raise ValueError(f"{what} has the columns {start.columns}, but X has {table.columns}")
    return start


def _weights(given: ArrayLike, n_components: int) -> Array:
    weights = _array(given, (n_components,), "weights")
    low, high, total = weights.min(), weights.max(), weights.sum()
    if low < 0 or high > 1:
        raise ValueError(
            f"The parameter 'weights' should be in the range [0, 1], but got min value {low:.5f}, max value {high:.5f}"
        )
    if abs(total - 1) > SUM_TOLERANCE:
        raise ValueError(f"The parameter 'weights' should be normalized, but got sum(weights) = {total:.5f}")
    if low == 0:
        raise ValueError(
            f"The parameter 'weights' is 0 for component {int(weights.argmin())}, which could never gain a row: "
            "use fewer components or a small weight"
        )
    return weights / total


def _array(given: ArrayLike, shape: tuple[int, ...], name: str) -> Array:
    """A parameter to start from, of that shape and finite."""
    array = np.asarray(given, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"The parameter '{name}' contains NaN or infinity")
    return array


def _structure(precisions: ArrayLike, n_components: int, n_features: int, family: Family) -> Structure:
    """The structure with these precisions, whose shape is that of ``precisions_``; the nearest in the family."""
    return family.nearest(_given(precisions, n_components, n_features, family), np.full(n_components, 1 / n_components))


def _given(precisions: ArrayLike, n_components: int, n_features: int, family: Family) -> Structure:
    k, d, name = n_components, n_features, f"{family.name} precision"
    if family.kind == "diagonal":
        array = _array(precisions, (k,) if family.isotropic else (k, d), name)
        if (array <= 0).any():
            raise ValueError(f"'{name}' should be positive")
        return Diagonal(np.broadcast_to(1 / np.sqrt(array.reshape(k, -1)), (k, d)).copy())
    array = _array(precisions, (d, d) if family.kind == "tied" else (k, d, d), name)
    array = array.reshape(-1, d, d)
    turned = np.swapaxes(array, 1, 2)
    size = np.sqrt(np.abs(np.diagonal(array, axis1=1, axis2=2)))
    try:
        if (np.abs(array - turned) > SYMMETRY_TOLERANCE * size[:, :, None] * size[:, None, :]).any():
            raise SingularError("not symmetric")
        root = Full.from_covariances((array + turned) / 2)
    except SingularError:
        raise ValueError(f"'{name}' should be symmetric, positive-definite") from None
    factor = lower_of(np.swapaxes(root.whitening, 1, 2))
    return Tied(factor[0], k) if family.kind == "tied" else Full(factor)
