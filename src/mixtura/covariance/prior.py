"""Regularisation as pseudo-statistics: what keeps a covariance matrix regular, and the objective that it belongs to.

The log-likelihood of a mixture has no maximum: a component may shrink onto a point. So a fit maximises

    log-likelihood − ½ Σ_k [ ν log det Σ_k + tr(Σ_k⁻¹ P) ]

an inverse-Wishart-type penalty (Chen & Tan, "Inference for multivariate normal mixtures", J. Multivariate
Analysis 100 (2009); Fraley & Raftery, J. Classification 24 (2007)). Its exact M-step adds ν to each count and P to
each scatter matrix before the family's own update, so the objective never falls.

Directions in which the rows do not vary at all (a constant column, an exact linear relation) are settled apart:
their variance, which the rows cannot tell, is fixed at the value ``null``; being the same in every component, it
moves no responsibility.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mixtura.core.statistics import Array, Kind, Statistics
from mixtura.covariance.resolution import Resolution
from mixtura.covariance.structure import Structure

#: ν of the default prior: this many (distinct) rows' worth of the data's own spread, for each component …
PSEUDO_ROWS = 1e-8
#: … and this fraction of all rows, so that the floor under a variance does not vanish as the rows grow in number.
PSEUDO_FRACTION = 1e-12
#: A direction whose share of the (correlation-scaled) variance is below this does not vary at all.
NULL_SHARE = 1e-12
#: The variance given to such a direction, in the same units.
NULL_VARIANCE = 1e-10
#: Rows further than this from the middle, in units of the columns' spread, are drawn in before correlations are taken.
FAR = 10.0
#: Interquartile range of the standard normal.
NORMAL_QUARTILES = 1.3489795003921634


@dataclass(frozen=True, eq=False)
class Prior:
    """Pseudo-statistics that are added to those of every component.

    Attributes
    ----------
    count : float
        ν, pseudo-rows.
    scatter : ndarray of shape (D, D)
        P, pseudo-scatter.
    null : ndarray of shape (D, D)
        Variance of the directions in which the rows do not vary; zero elsewhere.
    null_directions : int
        How many there are.
    row : float
        The average weight of a distinct row, so that a factor common to all weights changes nothing.
    ridge : float
        The absolute ridge that was asked for, if one was.
    resolution : Resolution or None
        How finely the rows were recorded, where that is known. The objective does not depend on it, but what a
        component is worth does.
    """

    count: float
    scatter: Array
    null: Array
    null_directions: int = 0
    ridge: float = 0.0
    row: float = 1.0
    resolution: Resolution | None = None

    @classmethod
    def none(cls, n_features: int) -> Prior:
        """No regularisation: plain maximum likelihood."""
        zero = np.zeros((n_features, n_features))
        return cls(0.0, zero, zero)

    @classmethod
    def absolute(cls, reg_covar: float, weight: float, n_components: int, n_features: int) -> Prior:
        """A ridge in the units of the data: a component with its even share of the rows gets Σ = W/n + reg_covar·I.

        One with fewer rows gets more, one with more rows less: that, and not a constant added afterwards, is what
        maximises an objective. The count is the tiny one of the default prior: without it the covariance of a
        component that loses its rows would grow beyond all bounds.
        """
        scatter = np.eye(n_features) * (reg_covar * weight / n_components)
        return cls(PSEUDO_FRACTION * weight, scatter, np.zeros_like(scatter), ridge=reg_covar)

    @classmethod
    def relative(cls, rows: Array, weights: Array) -> Prior:
        """The default: tiny, and relative to the spread of the rows themselves.

        P = ν·S, where S has the rows' correlations and, for each column, a spread that far-off rows do not move
        (the interquartile range). Shifting the rows or changing a column's unit moves the fit with them.

        Parameters
        ----------
        rows : ndarray of shape (N, D)
            The rows, or a sample of them (see ``for_weight``).
        weights : ndarray of shape (N,)
            How much each counts.
        """
        share = weights / weights.sum()
        middle, spread = column_spread(rows, weights)
        constant = spread == 0
        size = np.abs(rows[0])  # the unit of a constant column: its own size, or 1 for a column of zeros
        unit = np.where(constant, np.where(size > 0, size, 1.0), spread)
        standard = np.where(constant, 0.0, (rows - middle) / unit)
        # Rows far off are drawn in towards a row in the middle: that keeps every linear relation between columns.
        heart = standard[np.square(standard).sum(1).argmin()]
        length = np.sqrt(np.square(standard - heart).sum(1) / rows.shape[1])
        standard = (standard - heart) / np.maximum(1.0, length / FAR)[:, None]
        standard -= share @ standard
        correlation = (standard * share[:, None]).T @ standard
        values, vectors = np.linalg.eigh(correlation)
        idle = values <= NULL_SHARE * max(1.0, float(values[-1]))
        null = NULL_VARIANCE * (vectors[:, idle] @ vectors[:, idle].T)
        row = float(weights.mean())
        count = PSEUDO_ROWS * row + PSEUDO_FRACTION * float(weights.sum())
        return cls(
            count,
            count * spread[:, None] * correlation * spread,
            unit[:, None] * null * unit,
            int(idle.sum()),
            row=row,
            resolution=Resolution.of(rows, weights),
        )

    def for_weight(self, weight: float) -> Prior:
        """The default prior as it is where the rows weigh that much in all."""
        count = PSEUDO_ROWS * self.row + PSEUDO_FRACTION * weight
        return replace(self, count=count, scatter=self.scatter * (count / self.count))

    def scaled(self, factor: float) -> Prior:
        """The prior whose pseudo-statistics count that many times as much."""
        return replace(self, count=factor * self.count, scatter=factor * self.scatter)

    def leaning(self, rows: float, statistics: Statistics) -> Prior:
        """The prior and that many rows' worth of the covariance pooled over the components."""
        if statistics.kind == "tied" or rows == 0:
            return self
        pooled = statistics.scatter().sum(0) / statistics.n.sum()
        if statistics.kind == "diagonal":
            pooled = np.diag(pooled)
        return replace(self, count=self.count + rows, scatter=self.scatter + rows * pooled)

    def add(self, n: Array, scatter: Array, kind: Kind) -> tuple[Array, Array]:
        """(n, W) with the pseudo-statistics added, in the shape of that kind of scatter."""
        n = n + self.count
        if kind == "full":
            return n, scatter + self.scatter + n[:, None, None] * self.null
        if kind == "tied":
            return n, scatter + len(n) * self.scatter + n.sum() * self.null
        return n, scatter + np.diagonal(self.scatter) + n[:, None] * np.diagonal(self.null)

    def log_density(self, structure: Structure) -> float:
        """−½ Σ_k [ν log det Σ_k + tr(Σ_k⁻¹ P)]: what the objective adds to the log-likelihood, up to a constant."""
        if not self.scatter.any():
            return 0.0
        return -0.5 * float((self.count * structure.log_det() + structure.traces(self.scatter)).sum())

    def share(self, structure: Structure, rows: Array) -> Array:
        """(K,) the largest share of a variance, over all directions, that the prior and not the rows supplied.

        ``rows`` (K,) is how many each component's covariance rests upon.
        """
        shares = np.empty(len(rows))
        for k in range(len(rows)):
            white = np.linalg.solve(structure.factor(k), np.eye(structure.n_features))
            if structure.kind == "diagonal":
                shares[k] = (np.diagonal(white) ** 2 * np.diagonal(self.scatter)).max()
            else:
                shares[k] = np.linalg.eigvalsh(white @ self.scatter @ white.T)[-1]
        total = rows + self.count
        return np.divide(shares, total, out=np.ones_like(shares), where=total > 0)

    def unresolved(self, structure: Structure) -> NDArray[np.bool_]:
        """(K, D) where a component is narrower than the column was recorded."""
        variances = np.stack([np.square(structure.factor(k)).sum(1) for k in range(structure.n_components)])
        return variances < (0.0 if self.resolution is None else self.resolution.floor)


def column_spread(rows: Array, weights: Array) -> tuple[Array, Array]:
    """Middle and spread of each column, such as far-off rows do not move.

    Returns
    -------
    middle : ndarray of shape (D,)
        The median.
    spread : ndarray of shape (D,)
        The interquartile range over that of the normal, or the standard deviation where that is smaller or half the
        rows agree; 0 for a constant column.
    """
    share = weights / weights.sum()
    centred = rows - share @ rows
    largest = np.abs(centred).max(0, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    spread = unit * np.sqrt(share @ np.square(centred / unit))  # no square overflows or underflows
    rounding = 8 * np.finfo(np.float64).eps * np.abs(rows).max(0, initial=0.0)
    spread[(rows.min(0) == rows.max(0)) | (spread <= rounding)] = 0.0
    middle = np.empty_like(spread)
    for j in range(rows.shape[1]):
        order = np.argsort(rows[:, j], kind="stable")
        reached = np.searchsorted(np.cumsum(share[order]), [0.25, 0.5, 0.75])
        low, middle[j], high = rows[order[reached.clip(max=len(order) - 1)], j]
        if high > low:
            spread[j] = min((high - low) / NORMAL_QUARTILES, spread[j])
    return middle, spread
