"""How a model was found: candidates side by side, a climb pass by pass, components united step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.choice import TIE
from mixtura.core.em import Step
from mixtura.core.statistics import Array
from mixtura.merging import Merging


@dataclass(frozen=True, eq=False)
class Line:
    """The candidates of one covariance family.

    Attributes
    ----------
    covariance, mclust : str
        The family's names.
    n_components : ndarray of shape (C,)
        Ascending.
    values : ndarray of shape (C,)
        The criterion; NaN where there is no fit.
    errors : ndarray of shape (C,) or None
        Standard errors, of cross-validation alone.
    eligible, converged : ndarray of bool, (C,)
        Whether a candidate may be chosen, and whether its fit has converged.
    """

    covariance: str
    mclust: str
    n_components: NDArray[np.int64]
    values: Array
    errors: Array | None
    eligible: NDArray[np.bool_]
    converged: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Choice:
    """A criterion over the number of components, a line a family.

    Attributes
    ----------
    criterion : str
        Smaller is better.
    lines : tuple of Line
        In the order of the table.
    best : tuple of int and str
        The chosen number of components and family.
    value : float
        Its criterion.
    ties : tuple of such pairs
        The others that may be chosen and are no further than ``TIE`` above it, nearest first.
    tie : float
        How far two candidates may be apart and still be as good.
    """

    criterion: str
    lines: tuple[Line, ...]
    best: tuple[int, str]
    value: float
    ties: tuple[tuple[int, str], ...]
    tie: float = TIE


def choice(table: Mapping[str, Sequence[Any]], criterion: str, best: tuple[int, str]) -> Choice:
    """The chart of a search.

    Parameters
    ----------
    table : mapping
        Columns of equal length: ``Result.table()``, or ``results_`` of a GaussianMixtureSelector.
    criterion : {"bic", "icl", "aic", "cv"}
    best : tuple of int and str
        The number of components and family of the chosen model.

    Raises
    ------
    ValueError
        If the criterion is not in the table, or the chosen model is not.
    """
    if criterion not in table:
        raise ValueError(f"the table has no criterion {criterion!r}: it was not asked for in the search")
    names = np.array(table["covariance"], dtype=object)
    counts, values = np.array(table["n_components"], dtype=np.int64), np.array(table[criterion], dtype=np.float64)
    eligible, converged = (np.array(table[name], dtype=bool) for name in ("eligible", "converged"))
    chosen = np.flatnonzero((counts == best[0]) & (names == best[1]))
    if not len(chosen):
        raise ValueError(f"the table has no model of {best[0]} components and family {best[1]!r}")
    value = float(values[chosen[0]])
    lines: list[Line] = []
    for name in dict.fromkeys(table["covariance"]):
        mine = np.flatnonzero(names == name)
        mine = mine[np.argsort(counts[mine], kind="stable")]
        errors = np.array(table["cv_error"], dtype=np.float64)[mine] if criterion == "cv" else None
        label = str(table["mclust"][mine[0]])
        lines.append(Line(name, label, counts[mine], values[mine], errors, eligible[mine], converged[mine]))
    near = [i for i in np.argsort(values, kind="stable") if eligible[i] and values[i] < value + TIE and i != chosen[0]]
    ties = tuple((int(counts[i]), str(names[i])) for i in near)
    return Choice(criterion, tuple(lines), best, value, ties)


@dataclass(frozen=True, eq=False)
class Convergence:
    """What was measured on the way up, at the steps that were kept.

    Attributes
    ----------
    passes : ndarray of shape (S,)
        Passes over the rows up to there.
    loglik, objective : ndarray of shape (S,)
        Nats a row; the objective has the prior's part too, and never falls.
    gap : ndarray of shape (S,)
        Estimated distance to the top in nats a row; infinite or NaN where it was not known.
    gradient_norm : ndarray of shape (S,)
    kinds : tuple of str
        How each step was found.
    """

    passes: NDArray[np.int64]
    loglik: Array
    objective: Array
    gap: Array
    gradient_norm: Array
    kinds: tuple[str, ...]


def convergence(trace: Sequence[Step], weight: float) -> Convergence:
    """The curves of a fit's trace, per row.

    Parameters
    ----------
    trace : sequence of Step
        ``Fit.trace``, or ``trace_`` of a GaussianMixture.
    weight : float
        How much the rows count together: ``fit.statistics.weight``.
    """
    passes, kinds, loglik, objective, norm, gap = zip(*trace, strict=True)
    mean, penalised = (np.array(values, dtype=np.float64) / weight for values in (loglik, objective))
    return Convergence(np.array(passes), mean, penalised, np.array(gap), np.array(norm), kinds)


@dataclass(frozen=True, eq=False)
class EntropyCurve:
    """What is left open about the rows as components are united.

    Attributes
    ----------
    clusters : ndarray of shape (K,)
        1 … K.
    merged : ndarray of shape (K,)
        The cumulated weight of the rows that were united on the way: see ``Merging.curve``.
    entropy : ndarray of shape (K,)
        In nats.
    suggested : int
        The number of clusters at the bend.
    pieces : tuple of pairs of ndarray
        The ends, (2,) each for both axes, of the two straight lines (least squares) that meet there; none where there
        are fewer than three components.
    """

    clusters: NDArray[np.int64]
    merged: Array
    entropy: Array
    suggested: int
    pieces: tuple[tuple[Array, Array], ...]


def entropy_curve(merging: Merging) -> EntropyCurve:
    """The entropy over the number of clusters (Baudry et al., J. Comput. Graph. Stat. 19 (2010), 332, section 4)."""
    merged, entropy = merging.curve
    suggested = merging.suggested
    parts = (slice(None, suggested), slice(suggested - 1, None)) if len(merged) > 2 else ()
    pieces = tuple(_straight(merged[part], entropy[part]) for part in parts)
    return EntropyCurve(np.arange(1, len(merged) + 1), merged, entropy, suggested, pieces)


def _straight(x: Array, y: Array) -> tuple[Array, Array]:
    """The ends of the least-squares line."""
    ends = x[[0, -1]]
    return ends, y.mean() + (ends - x.mean()) * _slope(x, y)


def _slope(x: Array, y: Array) -> float:
    apart = x - x.mean()
    size = float(apart @ apart)
    return float(apart @ (y - y.mean())) / size if size > 0 else 0.0
