"""What is wrong with a fit, or odd about the rows, in sentences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixtura.core.em import Fit

#: A component leans on the prior when that, and not the rows, supplies more than this share of a variance.
LEANING_SHARE = 0.5
#: Two components coincide when each mean lies within this many standard deviations of the other's.
COINCIDING = 1e-3


class Note(NamedTuple):
    """One finding.

    ``healthy`` is false where the fit should give way to another, and ``components`` are those that are to blame.
    """

    sentence: str
    components: tuple[int, ...] = ()
    healthy: bool = True


def diagnose(fit: Fit) -> tuple[Note, ...]:
    """Findings about a fit, the gravest first."""
    notes: list[Note] = []
    n, model = fit.statistics.n, fit.model
    empty = tuple(int(k) for k in np.flatnonzero(n <= np.finfo(np.float64).eps * n.sum()))
    if empty:
        notes.append(
            Note(f"{_components(empty)} no rows: there are fewer groups than components.", empty, healthy=False)
        )
    leaning = _leaning(fit, empty)
    few = fit.statistics.rows <= model.n_features and fit.family.kind != "diagonal"
    if few or (leaning and fit.family.kind == "tied"):
        notes.append(
            Note(
                f"{fit.statistics.rows} distinct rows are too few for the covariances of {model.n_features} columns: "
                "they lean on the prior. A plainer family (diag, spherical) or fewer columns need less.",
                healthy=False,
            )
        )
    elif leaning:
        sentence = f"{_components(leaning)} collapsed onto rows that do not vary (ties, or too few of them)"
        notes.append(Note(f"{sentence}: the likelihood there says nothing.", leaning, healthy=False))
    if fit.prior.null_directions:
        notes.append(_null_note(fit))
    notes += [
        Note(f"Components {i} and {j} coincide: fewer components say the same.", (i, j))
        for i, j in _coinciding(fit, empty)
    ]
    return tuple(notes)


def unhealthy_components(fit: Fit) -> tuple[int, ...]:
    """The components that are empty or have collapsed."""
    return tuple(sorted({k for note in diagnose(fit) if not note.healthy for k in note.components}))


def _components(which: tuple[int, ...]) -> str:
    names = ", ".join(map(str, which))
    return f"Component {names} has" if len(which) == 1 else f"Components {names} have"


def _leaning(fit: Fit, empty: tuple[int, ...]) -> tuple[int, ...]:
    shares = fit.prior.share(fit.model.structure, fit.statistics.n)
    return tuple(int(k) for k in np.flatnonzero(shares > LEANING_SHARE) if k not in empty)


def _null_note(fit: Fit) -> Note:
    constant = np.flatnonzero(np.diagonal(fit.prior.null) == np.abs(fit.prior.null).sum(0))
    constant = constant[np.diagonal(fit.prior.null)[constant] > 0]
    columns = fit.model.columns
    names = [columns[j] if columns else str(j) for j in constant]
    parts: list[str] = []
    if names:
        parts.append(f"column{'s' * (len(names) > 1)} {', '.join(names)} constant")
    linear = fit.prior.null_directions - len(names)
    if linear > 0:
        parts.append(f"{linear} exact linear relation{'s' * (linear > 1)} between columns")
    return Note(
        f"The rows do not vary in every direction ({'; '.join(parts)}): a nominal variance stands in there, "
        "so the log-likelihood counts only for comparison."
    )


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
