"""What is wrong with a fit, or odd about the rows, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mixtura.core.acceleration import LEAST_ROW
from mixtura.core.em import Fit
from mixtura.core.statistics import Array
from mixtura.covariance.prior import Prior

#: A component leans on the prior when that, and not the rows, supplies more than this share of a variance.
LEANING_SHARE = 0.5
#: Two components coincide when each mean lies within this many standard deviations of the other's.
COINCIDING = 1e-3


class Note(NamedTuple):
    """One finding.

    ``healthy`` is false where the fit should give way to another, and ``components`` are those that are to blame;
    ``of_rows`` is true where the rows are as they are, and nothing is wrong with the fit.
    """

    sentence: str
    components: tuple[int, ...] = ()
    healthy: bool = True
    of_rows: bool = False


def diagnose(fit: Fit) -> tuple[Note, ...]:
    """Findings about a fit, the gravest first."""
    empty, leaning, narrow = empty_components(fit), leaning_components(fit), narrow_components(fit)
    rows, n_features = fit.statistics.rows, fit.model.n_features
    notes: list[Note] = []
    if empty:
        notes.append(Note(f"{_has(empty)} no rows: there are fewer groups than components.", empty, healthy=False))
    if leaning and fit.prior.asked:
        notes.append(Note(f"{_has(leaning)} a variance that {fit.prior.asked}, and not the rows, supplied.", leaning))
    elif _too_few(fit) or (leaning and fit.family.pooled):
        few = "1 distinct row is" if rows == 1 else f"{rows:,} rows are"
        sentence = f"{few} too few, or vary too little, for the covariances of {n_features} columns"
        remedy = "they lean on the prior. A plainer family (diag, spherical) or fewer columns need less."
        notes.append(Note(f"{sentence}: {remedy}", healthy=False))
    elif leaning:
        where = _idle_columns(fit, leaning)
        what = f"in which {where} do{'es' * (',' not in where)} not vary" if where else "that are too few, or on a line"
        sentence = f"{_has(leaning)} collapsed onto rows {what}"
        notes.append(Note(f"{sentence}: the likelihood there says nothing.", leaning, healthy=False))
    if narrow:
        where = _named_columns(fit, np.flatnonzero(fit.prior.unresolved(fit.model.structure)[list(narrow)].any(0)))
        sentence = f"{_has(narrow)} no more width than the rounding of {where}"
        notes.append(Note(f"{sentence}: the likelihood there says nothing.", narrow, healthy=False))
    if fit.prior.null_directions:
        sentence = f"The rows do not vary in every direction ({idle_directions(fit.prior, fit.model.columns)})"
        more = "a nominal variance stands in there, so the log-likelihood counts only for comparison."
        notes.append(Note(f"{sentence}: {more}", of_rows=True))
    notes += [
        Note(f"Components {i} and {j} coincide: fewer components say the same.", (i, j))
        for i, j in _coinciding(fit, empty)
    ]
    return tuple(notes)


def misplaced_components(fit: Fit) -> tuple[int, ...]:
    """The components that should be elsewhere: those that are empty, or have collapsed or are narrow as a minority.

    Where collapsed components hold most of the weight, the rows themselves do not vary within their groups.
    """
    empty, spikes = empty_components(fit), (*leaning_components(fit), *narrow_components(fit))
    n = fit.statistics.n
    minority = n[list(spikes)].sum() < 0.5 * n.sum()
    spurious = minority and not fit.family.pooled and not _too_few(fit)
    return tuple(sorted({*empty, *(spikes if spurious else ())}))


def empty_components(fit: Fit) -> tuple[int, ...]:
    """The components without rows."""
    return tuple(int(k) for k in np.flatnonzero(fit.statistics.n <= LEAST_ROW * fit.statistics.row_weight))


def leaning_components(fit: Fit) -> tuple[int, ...]:
    """The components that have rows, but a variance which the prior supplies."""
    shares, empty = fit.prior.share(fit.model.structure, _rows_beneath(fit)), empty_components(fit)
    return tuple(int(k) for k in np.flatnonzero(shares > LEANING_SHARE) if k not in empty)


def _rows_beneath(fit: Fit) -> Array:
    """(K,) how many rows each component's covariance rests upon: where all is pooled, an even share of all rows."""
    n = fit.statistics.n
    return np.full_like(n, n.mean()) if fit.family.pooled else n


def narrow_components(fit: Fit) -> tuple[int, ...]:
    """The components whose variance in some column is less than it resolves, and not the default prior's."""
    narrow = fit.prior.unresolved(fit.model.structure).any(1)
    others = {*empty_components(fit), *(() if fit.prior.asked else leaning_components(fit))}
    return tuple(int(k) for k in np.flatnonzero(narrow) if k not in others)


def _idle_columns(fit: Fit, which: tuple[int, ...]) -> str:
    """The columns whose variance, within these components, is the prior's."""
    idle: set[int] = set()
    for k in which:
        variance = np.square(fit.model.structure.factor(k)).sum(1) * (fit.statistics.n[k] + fit.prior.count)
        idle.update(int(j) for j in np.flatnonzero(np.diagonal(fit.prior.scatter) > LEANING_SHARE * variance))
    return _named_columns(fit, sorted(idle))


def _named_columns(fit: Fit, which: Iterable[int]) -> str:
    names = fit.model.columns
    return ", ".join(repr(names[int(j)]) if names else f"column {j}" for j in which)


def _too_few(fit: Fit) -> bool:
    """Whether there are no more rows than columns, for covariances that are not diagonal."""
    return fit.statistics.rows <= fit.model.n_features and fit.family.kind != "diagonal"


def _has(which: tuple[int, ...]) -> str:
    names = ", ".join(map(str, which))
    return f"Component {names} has" if len(which) == 1 else f"Components {names} have"


def idle_directions(prior: Prior, columns: Sequence[str] | None) -> str:
    """In which directions the rows do not vary."""
    diagonal = np.diagonal(prior.null)
    constant = np.flatnonzero((diagonal > 0) & (diagonal == np.abs(prior.null).sum(0)))
    names = [columns[int(j)] if columns else str(j) for j in constant]
    linear = prior.null_directions - len(names)
    parts = [f"column{'s' * (len(names) > 1)} {', '.join(names)} constant"] if names else []
    if linear > 0:
        parts.append(f"{linear} exact linear relation{'s' * (linear > 1)} between columns")
    return "; ".join(parts)


def _coinciding(fit: Fit, empty: tuple[int, ...]) -> list[tuple[int, int]]:
    model = fit.model
    pairs: list[tuple[int, int]] = []
    for i in range(model.n_components):
        factor = model.structure.factor(i)
        for j in range(i + 1, model.n_components):
            if i in empty or j in empty:
                continue
            apart = np.linalg.norm(np.linalg.solve(factor, model.means[j] - model.means[i]))
            spread = np.linalg.solve(factor, model.structure.factor(j))
            if apart < COINCIDING and np.abs(spread @ spread.T - np.eye(len(spread))).max() < COINCIDING:
                pairs.append((i, j))
    return pairs
