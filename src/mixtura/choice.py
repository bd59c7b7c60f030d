"""The candidates of a search with their fits and criteria, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mixtura import race
from mixtura.core.em import Fit
from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array
from mixtura.diagnosis import Note, diagnose
from mixtura.race import Candidate, Observer, Run, Settings
from mixtura.sources.source import Block, Source

#: What a model may be chosen by; smaller is better.
CRITERIA = ("bic", "icl", "aic")


def bic(loglik: float, n_parameters: int, weight: float) -> float:
    """−2 log-likelihood + parameters · log Σw (Schwarz, Annals of Statistics 6 (1978))."""
    return -2 * loglik + n_parameters * math.log(weight)


def aic(loglik: float, n_parameters: int) -> float:
    """−2 log-likelihood + 2 · parameters (Akaike, IEEE Trans. Automatic Control 19 (1974))."""
    return -2 * loglik + 2 * n_parameters


@dataclass(frozen=True, eq=False, repr=False)
class Cell:
    """One candidate: a number of components in a covariance family, and the best fit found for it.

    Attributes
    ----------
    n_components : int
    covariance : str
        Name of the family.
    fit : Fit or None
        None when every start failed.
    notes : tuple of Note
        Findings about the fit.
    reason : str
        Why there is no fit; empty otherwise.
    n_starts, n_failed, n_agreeing : int
        How many starts were made, how many failed, and how many ended on the best one's hill.
    certainty : float
        Σ w log max_k γ_nk of the rows, at most 0; NaN when it was not asked for.
    """

    n_components: int
    covariance: str
    fit: Fit | None
    notes: tuple[Note, ...] = ()
    reason: str = ""
    n_starts: int = 1
    n_failed: int = 0
    n_agreeing: int = 1
    certainty: float = float("nan")

    def __repr__(self) -> str:
        what = f"{self.n_components} {self.covariance}"
        return f"<Cell {what}: no fit ({self.reason})>" if self.fit is None else f"<Cell {what}: BIC {self.bic:,.2f}>"

    @property
    def loglik(self) -> float:
        """Log-likelihood of the rows, in nats; NaN without a fit."""
        return float("nan") if self.fit is None else self.fit.loglik

    @property
    def n_parameters(self) -> int:
        """Free parameters; 0 without a fit."""
        return 0 if self.fit is None else self.fit.n_parameters

    @property
    def bic(self) -> float:
        """−2 log-likelihood + parameters · log Σw; smaller is better."""
        return float("nan") if self.fit is None else bic(self.loglik, self.n_parameters, self.fit.statistics.weight)

    @property
    def aic(self) -> float:
        """−2 log-likelihood + 2 · parameters; smaller is better."""
        return aic(self.loglik, self.n_parameters)

    @property
    def icl(self) -> float:
        """BIC − 2 Σ w log max_k γ_nk (Biernacki, Celeux & Govaert, IEEE PAMI 22 (2000)); smaller is better."""
        return self.bic - 2 * self.certainty

    @property
    def eligible(self) -> bool:
        """Whether the cell may be chosen: it has a fit in which no component is empty or has collapsed."""
        return self.fit is not None and all(note.healthy for note in self.notes)


def search(
    source: Source,
    candidates: Sequence[Candidate],
    settings: Settings,
    seed: int,
    observer: Observer | None = None,
    *,
    columns: tuple[str, ...] | None = None,
    with_icl: bool = False,
) -> list[Cell]:
    """Fit every candidate to the rows of a source.

    Parameters
    ----------
    source : Source
    candidates : sequence of Candidate
    settings : Settings
    seed : int
        The same seed gives the same bits.
    observer : callable, optional
        Is told of each pass.
    columns : tuple of str, optional
        Names that the mixtures shall carry.
    with_icl : bool
        Whether to make the one more pass that ICL needs.
    """
    runs, rows = race.search(source, candidates, settings, seed, observer=observer, columns=columns)
    cells = [_cell(run, settings, columns) for run in runs]
    return _with_certainty(cells, rows) if with_icl else cells


def _cell(run: Run, settings: Settings, columns: tuple[str, ...] | None) -> Cell:
    fit, by_chance = run.best, run.candidate.by_chance
    reasons = [*run.failures, *(fit.status.value for fit in run.raced if fit.status.failed)]
    if fit is not None and fit.status.failed:
        reasons, fit = [*reasons, fit.status.value], None
    if fit is not None:
        fit = _presented(fit, run.candidate.start is None and not settings.fixed.numbered, columns)
    n_starts = settings.n_init if by_chance else 1
    survived = sum(not fit.status.failed for fit in run.raced) if by_chance else int(fit is not None)
    return Cell(
        run.candidate.n_components,
        run.candidate.family.name,
        fit,
        () if fit is None else diagnose(fit),
        "" if fit is not None else "; ".join(dict.fromkeys(reasons)),
        n_starts=n_starts,
        n_failed=n_starts - survived,
        n_agreeing=max(run.agreeing, 1),
    )


def _presented(fit: Fit, in_order: bool, columns: tuple[str, ...] | None) -> Fit:
    """The fit with its columns named and its components in the order of their means, where chance ordered them."""
    order = fit.model.canonical_order() if in_order else np.arange(fit.model.n_components)
    ordered = fit.model.reorder(order)
    model = Mixture(ordered.weights, ordered.means, ordered.structure, columns=columns, noise=ordered.noise)
    return replace(fit, model=model, statistics=fit.statistics.take(order))


def _with_certainty(cells: Sequence[Cell], rows: Source) -> list[Cell]:
    models = [cell.fit.model for cell in cells if cell.fit is not None]
    sure = iter(rows.total(partial(certainty, models)) if models else ())
    return [cell if cell.fit is None else replace(cell, certainty=float(next(sure))) for cell in cells]


def certainty(models: Sequence[Mixture], block: Block) -> Array:
    """Σ w log max_k γ of a block under each model, noise being one of the components: what ICL takes off."""
    return np.array([block.each @ np.log(model.shares(block.rows).max(1)) for model in models])


def chosen(cells: Sequence[Cell], criterion: str) -> Cell:
    """The cell with the smallest criterion, among those with a sound fit if there is one.

    Raises
    ------
    ValueError
        If no cell has a fit.
    """
    fitted = [cell for cell in cells if cell.fit is not None]
    if not fitted:
        reasons = "; ".join(dict.fromkeys(f"{c.n_components} {c.covariance}: {c.reason}" for c in cells))
        raise ValueError(f"no candidate could be fitted ({reasons})")
    sound = [cell for cell in fitted if cell.eligible]
    # rounded, so that of families which coincide here the first one is chosen
    return min(sound or fitted, key=lambda cell: round(getattr(cell, criterion), 6))
