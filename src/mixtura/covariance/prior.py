"""Regularisation as pseudo-statistics: what keeps a covariance matrix regular, and the objective that it belongs to.

The log-likelihood of a mixture has no maximum: a component may shrink onto a point. So a fit maximises

    log-likelihood − ½ Σ_k [ ν log det Σ_k + tr(Σ_k⁻¹ P) ]

an inverse-Wishart-type penalty (Chen & Tan, "Inference for multivariate normal mixtures", J. Multivariate
Analysis 100 (2009)). Its exact M-step adds ν to each count and P to each scatter matrix before the family's own
update, so the objective never falls. A conjugate prior (Fraley & Raftery, "Bayesian regularization for normal mixture
estimation and model-based clustering", J. Classification 24 (2007)) has the same form and one term more,

    − ½ Σ_k κ (μ_k − μ_P)ᵀ Σ_k⁻¹ (μ_k − μ_P),

the part of κ pseudo-rows at μ_P in every component.

Directions in which the rows do not vary at all (a constant column, an exact linear relation) are settled apart, see
``idle``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.core.statistics import Array, Kind, Statistics, outer
from mixtura.covariance import registry
from mixtura.covariance.idle import (
    NOWHERE,
    Directions,
    Idle,
    Span,
    directions,
    idle_columns,
    idle_plane,
    unit_of_constants,
)
from mixtura.covariance.registry import Family
from mixtura.covariance.resolution import Resolution
from mixtura.covariance.structure import SINGULAR_PIVOT, Structure, diagonal_of, matrix_of, of_no_columns
from mixtura.sources.sketch import column_spread

#: ν of the default prior: this many (distinct) rows' worth of the data's own spread, for each component …
PSEUDO_ROWS = 1e-8
#: … and this fraction of all rows, so that the floor under a variance does not vanish as the rows grow in number.
PSEUDO_FRACTION = 1e-12
#: … and in no direction less than this, in the same units, times D and the weight of all rows: less would be lost
#: beside a component's own scatter, where that has no width, and its matrix count as singular.
PSEUDO_WIDTH = 2 * SINGULAR_PIVOT
#: Rows further than this from the middle, in units of the columns' spread, are drawn in before correlations are taken.
FAR = 10.0


@dataclass(frozen=True, eq=False)
class Prior:
    """Pseudo-statistics that are added to those of every component.

    Attributes
    ----------
    count : float
        ν, pseudo-rows.
    scatter : ndarray of shape (D, D), or (D,) if only its diagonal matters
        P, pseudo-scatter.
    span : Span or None
        The directions in which the rows vary, where these are not all.
    idle : Idle
        The others. The objective does not depend on it.
    row : float
        The average weight of a distinct row, so that a factor common to all weights changes nothing.
    asked : str
        By which name the prior was asked for; empty for the default one.
    shrinkage : float
        κ, pseudo-rows at ``mean``.
    mean : ndarray of shape (D,), optional
        μ_P.
    resolution : Resolution or None
        How finely the rows were recorded, where that is known. The objective does not depend on it, but what a
        component is worth does.
    least : ndarray of shape (D, D), or None
        The part of ``scatter`` for each unit of the weight of all rows that is due to ``PSEUDO_WIDTH``, if any.
    """

    count: float
    scatter: Array
    span: Span | None = None
    idle: Idle = NOWHERE
    asked: str = ""
    row: float = 1.0
    shrinkage: float = 0.0
    mean: Array | None = None
    resolution: Resolution | None = None
    least: Array | None = None

    @classmethod
    def none(cls, n_features: int) -> Prior:
        """No regularisation: plain maximum likelihood."""
        return cls(0.0, np.zeros(n_features))

    @classmethod
    def absolute(cls, reg_covar: float, weight: float, n_components: int, n_features: int) -> Prior:
        """A ridge in the units of the data: a component with its even share of the rows gets Σ = W/n + reg_covar·I.

        One with fewer rows gets more, one with more rows less: that, and not a constant added afterwards, is what
        maximises an objective. The count is the tiny one of the default prior: without it the covariance of a
        component that loses its rows would grow beyond all bounds.
        """
        scatter = np.full(n_features, reg_covar * weight / n_components)
        return cls(PSEUDO_FRACTION * weight, scatter, asked="reg_covar")

    @classmethod
    def relative(
        cls, rows: Array, weights: Array, family: Family | str = "full", resolution: Resolution | None = None
    ) -> Prior:
        """The default: tiny, and relative to the spread of the rows themselves.

        P = ν·S, where S has the rows' correlations and, for each column, a spread that far-off rows do not move
        (the interquartile range). Shifting the rows or changing a column's unit moves the fit with them.

        Parameters
        ----------
        rows : ndarray of shape (N, D)
            The rows, or a sample of them (see ``for_weight``).
        weights : ndarray of shape (N,)
            How much each counts.
        family : Family or str
            Where its columns are uncorrelated, S is diagonal, and linear relations are of no concern.
        resolution : Resolution, optional
            Of the rows, where it is known already.
        """
        family = registry.get(family)
        middle, spread = column_spread(rows, weights)
        constant = spread == 0
        unit = np.where(constant, unit_of_constants(rows[0], spread, family), spread)
        row = float(weights.mean())
        weight, least = float(weights.sum()), None
        count = PSEUDO_ROWS * row + PSEUDO_FRACTION * weight
        if family.kind == "diagonal":
            scatter = count * np.square(spread)
            idle, span = idle_columns(constant, unit, family)
        else:
            standard = _correlations(np.where(constant, 0.0, (rows - middle) / unit), weights / weights.sum())
            scatter = count * spread[:, None] * (standard.T @ standard) * spread
            moves = np.asarray(standard.any(0))
            found = directions(standard[:, moves])
            idle, span = idle_plane(found, moves, unit, family)
            least = _least(found, moves, unit)
            scatter = scatter if least is None else scatter + weight * least
        return cls(
            count,
            scatter,
            span,
            idle,
            row=row,
            resolution=resolution or Resolution.of(rows, weights),
            least=least,
        )

    def for_weight(self, weight: float) -> Prior:
        """The default prior as it is where the rows weigh that much in all."""
        count = PSEUDO_ROWS * self.row + PSEUDO_FRACTION * weight
        if self.least is None:
            return replace(self, count=count, scatter=self.scatter * (count / self.count))
        before = (self.count - PSEUDO_ROWS * self.row) / PSEUDO_FRACTION
        own = (self.scatter - before * self.least) * (count / self.count)
        return replace(self, count=count, scatter=own + weight * self.least)

    def scaled(self, factor: float) -> Prior:
        """The prior whose pseudo-statistics count that many times as much."""
        scatter, shrinkage = factor * self.scatter, factor * self.shrinkage
        return replace(self, count=factor * self.count, scatter=scatter, shrinkage=shrinkage)

    def leaning(self, rows: float, statistics: Statistics) -> Prior:
        """The prior and that many rows' worth of the covariance pooled over the components."""
        if statistics.kind == "tied" or rows == 0:
            return self
        pooled = statistics.scatter().sum(0) / statistics.n.sum()
        own = diagonal_of(self.scatter) if statistics.kind == "diagonal" else matrix_of(self.scatter)
        return replace(self, count=self.count + rows, scatter=own + rows * pooled)

    def shrink(self, statistics: Statistics) -> Statistics:
        """The sums with κ pseudo-rows at μ_P in every component; their n counts for the means alone."""
        if self.mean is None:
            return statistics
        pseudo = np.full(len(statistics.n), self.shrinkage)
        offset = self.mean - statistics.centre
        return replace(
            statistics,
            n=statistics.n + pseudo,
            s1=statistics.s1 + self.shrinkage * offset,
            s2=statistics.s2 + outer(statistics.kind, pseudo, offset, offset),
        )

    def add(self, n: Array, scatter: Array, kind: Kind) -> tuple[Array, Array]:
        """(n, W) with the pseudo-statistics added, in the shape of that kind of scatter."""
        n = n + self.count
        if kind == "diagonal":
            return n, scatter + diagonal_of(self.scatter)
        return n, scatter + (1 if kind == "full" else len(n)) * matrix_of(self.scatter)

    def update(self, family: Family, n: Array, scatter: Array, start: Structure | None = None) -> Structure:
        """The family's M-step for the covariances, in the directions in which the rows vary."""
        span = self._span_for(family.kind)
        if span is None:
            return family.update(n, scatter, start)
        reduced = span.reduced(scatter)
        if not reduced.size:
            return span.filled(of_no_columns(family.kind, len(n)))
        return span.filled(family.update(n, reduced, None if start is None else span.within(start)))

    def settled(self, structure: Structure) -> Structure:
        """The structure with the nominal variance in the directions in which the rows do not vary."""
        span = self._span_for(structure.kind)
        return structure if span is None else span.filled(span.within(structure))

    def _span_for(self, kind: Kind) -> Span | None:
        if self.span is not None and self.span.diagonal is not (kind == "diagonal"):
            raise ValueError("the prior was made for another family: name that of the fit in Prior.relative")
        return self.span

    def log_density(self, structure: Structure, means: Array) -> float:
        """What the objective adds to the log-likelihood (see the head of this module), up to a constant."""
        total = 0.0
        if self.scatter.any():
            total += float((self.count * structure.log_det() + structure.traces(self.scatter)).sum())
        if self.mean is not None:
            total += self.shrinkage * float(np.square(structure.whiten(self.mean - means)).sum())
        return -0.5 * total

    def share(self, structure: Structure, rows: Array) -> Array:
        """(K,) the largest share of a variance, over all directions, that the prior and not the rows supplied.

        ``rows`` (K,) is how many each component's covariance rests upon.
        """
        return self.shares(structure, rows).max(1)

    def shares(self, structure: Structure, rows: Array) -> Array:
        """(K, D) likewise, for each of the directions in which these are extreme."""
        ratios, total = structure.ratios(self.scatter), (rows + self.count)[:, None]
        return np.divide(ratios, total, out=np.ones_like(ratios), where=total > 0)

    def unresolved(self, structure: Structure) -> NDArray[np.bool_]:
        """(K, D) where a component is narrower than the column was recorded."""
        return structure.variances() < (0.0 if self.resolution is None else self.resolution.floor)

    def thin(self, structure: Structure) -> NDArray[np.bool_]:
        """(K,) whether a component is narrower in some direction than the columns together were recorded."""
        if self.resolution is None or self.resolution.narrowest is None:
            return np.zeros(structure.n_components, dtype=np.bool_)
        return structure.ratios(self.resolution.narrowest).max(1) > 1


class Moments(NamedTuple):
    """Mean (D,), scatter about it, (D, D) or its diagonal, and weight of rows."""

    mean: Array
    scatter: Array
    weight: float

    @property
    def covariance(self) -> Array:
        """S, or its diagonal, where rows of weight 1 count as one each (and less than two of them for two)."""
        return self.scatter / max(self.weight - 1, self.weight / 2)


@dataclass(frozen=True, eq=False)
class ConjugatePrior:
    """The normal inverse-Wishart prior of every component, and what becomes of it in a covariance family.

    μ_k given Σ_k is normal about μ_P with covariance Σ_k/κ, and Σ_k inverse-Wishart with ν degrees of freedom and scale
    Λ; in diagonal families, the variance of each column is inverse-gamma with shape ν/2 and scale Λ_dd/2, in spherical
    ones the one variance is. Where all components share the covariance, it has that prior once. Weights and
    degrees are in the unit of the row weights: a row of weight 1.

    Parameters
    ----------
    shrinkage : float
        κ: how many rows at μ_P the prior of a mean is worth; 0 leaves the means free.
    mean : array-like of shape (D,), optional
        μ_P; the mean of the rows by default.
    dof : float, optional
        ν; D + 2 by default.
    scale : array-like of shape (D, D), (D,) or a number, optional
        Λ; a vector is its diagonal, a number multiplies the identity. By default S/K^(2/D), where S is the covariance
        of the rows, its diagonal in a diagonal family, the mean of that in a spherical one.

    Raises
    ------
    ValueError
        If the shrinkage or the degrees are negative or not finite.

    References
    ----------
    C. Fraley and A. E. Raftery, "Bayesian regularization for normal mixture estimation and model-based clustering",
    J. Classification 24 (2007) 155–181.

    Examples
    --------
    >>> import numpy as np
    >>> import mixtura
    >>> X = np.array([[0.0, 0.0], [0.1, 0.2], [5.0, 5.0], [5.2, 5.1]])
    >>> prior = mixtura.ConjugatePrior(dof=6)
    >>> mixtura.fit(X, 2, "full", prior=prior, random_state=0).model.means.round(2)
    array([[0.06, 0.11],
           [5.09, 5.04]])
    """

    shrinkage: float = 0.01
    mean: ArrayLike | None = None
    dof: float | None = None
    scale: ArrayLike | None = None

    def __post_init__(self) -> None:
        for name, value in (("shrinkage", self.shrinkage), ("dof", self.dof)):
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")

    def for_rows(
        self, rows: Array, family: Family | str, n_components: int, sample_weight: Array | None = None
    ) -> Prior:
        """The prior of a fit to these rows, (N, D), as ``em`` takes it."""
        each = np.ones(len(rows)) if sample_weight is None else sample_weight
        mean = each @ rows / each.sum()
        centred = rows - mean
        moments = Moments(mean, (each[:, None] * centred).T @ centred, float(each.sum()))
        return self.of(moments, registry.get(family), n_components, Prior.none(len(mean)))

    def of(self, moments: Moments, family: Family, n_components: int, default: Prior) -> Prior:
        """The prior for rows with those moments; with no scale given, as the default is where they do not vary."""
        k, d = n_components, len(moments.mean)
        location = moments.mean if self.mean is None else np.asarray(self.mean, dtype=np.float64)
        if location.shape != (d,) or not np.isfinite(location).all():
            raise ValueError(f"the mean of the prior must be {d} finite numbers, one a column, got {location}")
        dof = d + 2.0 if self.dof is None else self.dof
        scale = moments.covariance / k ** (2 / d) if self.scale is None else _scale(self.scale, d)
        if family.isotropic:
            count, scale = (dof + 2) / d, np.full(d, diagonal_of(scale).sum() / d**2)
        elif family.kind == "diagonal":
            count, scale = dof + 2, diagonal_of(scale)
        else:
            count = dof + d + 1
        if family.free(1, d) == family.free(2, d):  # one covariance for all components: a share for each
            count, scale = count / k, scale / k
        shrunk = self.shrinkage > 0
        return replace(
            default if self.scale is None else replace(Prior.none(d), resolution=default.resolution),
            count=count + shrunk,
            scatter=scale,
            asked="the prior",
            shrinkage=self.shrinkage,
            mean=location if shrunk else None,
        )


def _correlations(standard: Array, share: Array) -> Array:
    """Rows (N, D) in units of the columns' spread, times the root of their shares, whose squares are correlations.

    Rows far off are drawn in towards a row in the middle: that keeps every linear relation between columns.
    """
    _, inside = about_the_heart(standard, share)
    return inside * np.sqrt(share)[:, None]


def _least(found: Directions, moves: NDArray[np.bool_], unit: Array) -> Array | None:
    """``PSEUDO_WIDTH`` in the directions in which rows vary so little that ``PSEUDO_FRACTION`` of it might be less."""
    width = PSEUDO_WIDTH * len(unit)
    thin = found.within[:, found.values * PSEUDO_FRACTION < width]
    if not thin.shape[1]:
        return None
    few = np.zeros((len(unit), thin.shape[1]))
    few[moves] = thin * unit[moves, None]
    return width * (few @ few.T)


def about_the_heart(standard: Array, share: Array) -> tuple[Array, Array]:
    """The row in the middle, and all rows drawn in towards it, (N, D), less their mean."""
    heart = standard[_lengths(standard).argmin()]
    inside = drawn_towards(heart, standard)
    return heart, inside - share @ inside


def drawn_towards(heart: Array, standard: Array) -> Array:
    """Rows less that one; those that lie far off are drawn in towards it."""
    away = standard - heart
    return away / np.maximum(1.0, _lengths(away) / FAR)[:, None]


def _lengths(standard: Array) -> Array:
    """(N,) the root of the mean square of each row, of which no square overflows."""
    largest = np.abs(standard).max(1, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    return unit * np.sqrt(np.square(standard / unit[:, None]).sum(1) / max(standard.shape[1], 1))


def _scale(given: ArrayLike, n_features: int) -> Array:
    """Λ, (D, D), from what stands for it."""
    scale = np.asarray(given, dtype=np.float64)
    if scale.ndim < 2 and scale.size in (1, n_features):
        scale = np.diag(np.broadcast_to(scale, n_features))
    if scale.shape != (n_features, n_features) or not np.isfinite(scale).all() or (scale != scale.T).any():
        raise ValueError(
            f"the scale of the prior must be a number, {n_features} numbers or a symmetric matrix of shape "
            f"{(n_features, n_features)}, got an array of shape {np.shape(given)}"
        )
    if np.linalg.eigvalsh(scale)[0] < 0:
        raise ValueError("the scale of the prior must have no negative eigenvalue")
    return scale


def as_prior(asked: ConjugatePrior | str | None) -> ConjugatePrior | None:
    """The prior that was asked for, by name or by itself."""
    if asked is None or isinstance(asked, ConjugatePrior):
        return asked
    if asked == "conjugate":
        return ConjugatePrior()
    raise ValueError(f"prior must be 'conjugate', a ConjugatePrior or None, got {asked!r}")
