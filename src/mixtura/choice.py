"""The candidates of a search with their fits and criteria, the choice among them, and tables that can grow."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mixtura import race
from mixtura.core.blas import one_thread
from mixtura.core.em import Fit, Pass
from mixtura.core.mixture import Mixture
from mixtura.core.shown import Shown
from mixtura.core.statistics import Array
from mixtura.covariance import registry
from mixtura.covariance.registry import Family
from mixtura.diagnosis import Note, diagnose
from mixtura.folds import FOLD_TOL, HeldOut, cross_validate
from mixtura.ground import Candidate, Observer, Progress, Run, Settings
from mixtura.lazy import cached_property
from mixtura.sources.source import Block, Source
from mixtura.start import Parts

#: What a model may be chosen by; smaller is better.
CRITERIA = ("bic", "icl", "aic", "cv")
#: All families are tried by default where rows × components × (columns² + 8), summed over all candidates, is no more.
AFFORDABLE = 1e9
#: So are families with common axes, in no more columns than this.
COMMON_AXES_COLUMNS = 12
#: Models whose criterion is this close to the best say much the same (Kass & Raftery, JASA 90 (1995)).
TIE = 2.0


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
        Findings about the fit, the gravest first, and about the rows.
    reason : str
        Why there is no fit; empty otherwise.
    n_starts, n_failed, n_agreeing : int
        How many starts were made, how many failed, and how many ended on the best one's hill.
    certainty : float
        Σ w log max_k γ_nk of the rows, at most 0; NaN when it was not asked for.
    held_out : HeldOut or None
        How well the rows are described by models of the others, in cross-validation; None when it was not asked for.
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
    held_out: HeldOut | None = None

    def __repr__(self) -> str:
        what = f"{self.n_components} {self.covariance}"
        return f"<Cell {what}: no fit ({self.reason})>" if self.fit is None else f"<Cell {what}: BIC {self.bic:,.2f}>"

    @property
    def mclust(self) -> str:
        """mclust's name of the family."""
        return registry.get(self.covariance).mclust

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
    def cv(self) -> float:
        """−2 log-likelihood of the rows under models of the other folds; smaller is better. NaN if not asked for."""
        return float("nan") if self.held_out is None else -2 * self.held_out.loglik

    @property
    def cv_error(self) -> float:
        """Standard error of ``cv``."""
        return float("nan") if self.held_out is None else 2 * self.held_out.error

    @property
    def eligible(self) -> bool:
        """Whether the cell may be chosen: it has a fit in which no component is empty or has collapsed."""
        return self.fit is not None and all(note.healthy for note in self.notes)


@one_thread()
def search(
    source: Source,
    candidates: Sequence[Candidate],
    settings: Settings,
    seed: int,
    observer: Observer | None = None,
    *,
    columns: tuple[str, ...] | None = None,
    with_icl: bool = False,
    with_cv: bool = False,
    known: Sequence[Cell] = (),
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
    with_cv : bool
        Whether to cross-validate.
    known : sequence of Cell
        Cells of a former search, which the others may start from. They stay as they are, unless one of the others
        leads higher.

    Returns
    -------
    list of Cell
        Of the candidates, and then those that were known.
    """
    fitted = [cell for cell in known if cell.fit is not None]
    asked = [*candidates, *(Candidate(c.n_components, registry.get(c.covariance), c.fit) for c in fitted)]
    runs, rows, about_rows = race.search(source, asked, settings, seed, observer=observer, columns=columns)
    cells = [_cell(run, settings, columns, about_rows) for run in runs[: len(candidates)]]
    former = dict(zip(map(id, fitted), runs[len(candidates) :], strict=True))
    for cell in known:
        run = former.get(id(cell))
        cells.append(cell if run is None or run.best is cell.fit else _cell(run, settings, columns, about_rows))
    if with_icl:
        cells = _with_certainty(cells, rows)
    return _cross_validated(cells, rows, settings, seed, observer) if with_cv else cells


def _cell(run: Run, settings: Settings, columns: tuple[str, ...] | None, about_rows: tuple[Note, ...]) -> Cell:
    fit, by_chance = run.best, run.candidate.by_chance or run.candidate.known is not None
    reasons = [*run.failures, *(fit.status.value for fit in run.raced if fit.status.failed)]
    if fit is not None and fit.status.failed:
        reasons, fit = [*reasons, fit.status.value], None
    if fit is None:
        reasons += run.causes
    if fit is not None:
        told = isinstance(run.candidate.start, Parts) or settings.fixed.numbered
        fit = _presented(fit, by_chance and not told, columns)
    n_starts = len(run.raced) + len(run.scouted) + len(run.failures) if by_chance else 1
    failed = sum(fit.status.failed for fit in run.raced) + len(run.failures) if by_chance else int(fit is None)
    return Cell(
        run.candidate.n_components,
        run.candidate.family.name,
        fit,
        () if fit is None else diagnose(fit) + about_rows,
        "" if fit is not None else "; ".join(dict.fromkeys(reasons)),
        n_starts=n_starts,
        n_failed=failed,
        n_agreeing=max(run.agreeing, 1),
    )


def _presented(fit: Fit, in_order: bool, columns: tuple[str, ...] | None) -> Fit:
    """The fit with its columns named and its components in the order of their means, where chance ordered them."""
    order = fit.model.canonical_order() if in_order else np.arange(fit.model.n_components)
    ordered = fit.model.reorder(order)
    model = Mixture(ordered.weights, ordered.means, ordered.structure, columns=columns, noise=ordered.noise)
    return replace(fit, model=model, statistics=fit.statistics.take(order))


def _with_certainty(cells: Sequence[Cell], rows: Source) -> list[Cell]:
    models = [cell.fit.model for cell in cells if cell.fit is not None and math.isnan(cell.certainty)]
    sure = iter(rows.total(partial(certainty, models)) if models else ())
    return [
        cell if cell.fit is None or not math.isnan(cell.certainty) else replace(cell, certainty=float(next(sure)))
        for cell in cells
    ]


def _cross_validated(
    cells: Sequence[Cell], rows: Source, settings: Settings, seed: int, observer: Observer | None
) -> list[Cell]:
    """The cells with their held-out log-likelihoods: of those that may be chosen, or of all if none may."""
    sound = any(cell.eligible for cell in cells)
    wanted = [c for c in cells if c.fit is not None and c.held_out is None and (c.eligible or not sound)]

    def watch(seen: Pass) -> bool | None:
        return None if observer is None else observer(Progress.of("folds", seen, len(wanted), rows.n_rows, FOLD_TOL))

    found = cross_validate(
        [cell.fit for cell in wanted if cell.fit is not None],
        rows,
        seed,
        max_iter=settings.max_iter,
        accelerate=settings.accelerate,
        callback=watch,
    )
    held_out = dict(zip(map(id, wanted), found, strict=True))
    return [replace(cell, held_out=held_out.get(id(cell), cell.held_out)) for cell in cells]


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
    if all(cell.fit is None for cell in cells):
        reasons = "; ".join(dict.fromkeys(f"{c.n_components} {c.covariance}: {c.reason}" for c in cells))
        raise ValueError(f"no candidate could be fitted ({reasons})")
    return ranked(cells, criterion)[0]


def ranked(cells: Iterable[Cell], criterion: str) -> list[Cell]:
    """The cells with a fit, the best first; those that may not be chosen come after all that may."""

    def place(cell: Cell) -> tuple[bool, float]:
        value = getattr(cell, criterion)  # NaN where the fit is not sound, so that there was no cross-validation
        # rounded, so that of families which coincide here the first one is chosen
        return not cell.eligible, math.inf if math.isnan(value) else round(value, 6)

    return sorted((cell for cell in cells if cell.fit is not None), key=place)


def ties(cells: Iterable[Cell], best: Cell, criterion: str) -> list[Cell]:
    """The other cells that may be chosen and are within TIE units of the best, the nearest first."""
    worst = getattr(best, criterion) + TIE
    return [c for c in ranked(cells, criterion) if c is not best and c.eligible and getattr(c, criterion) < worst]


def counts_of(n_components: int | Iterable[int], n_rows: int) -> list[int]:
    """Numbers of components as they were passed, checked."""
    counts = list(n_components) if isinstance(n_components, Iterable) else [n_components]
    for k in counts:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"n_components must be whole numbers from 1, got {k!r}")
    if not counts:
        raise ValueError("n_components is empty: name at least one number of components")
    if min(counts) > n_rows:
        raise ValueError(f"{n_rows} rows cannot hold {min(counts)} components: give more rows or fewer components")
    return [int(k) for k in dict.fromkeys(counts)]


class LeftOut(NamedTuple):
    """Families that were not tried, by name, and why."""

    covariances: tuple[str, ...]
    reason: str


def affordable(counts: Sequence[int], n_rows: int, n_features: int) -> tuple[tuple[Family, ...], tuple[LeftOut, ...]]:
    """The families that are tried where none is named, and those that are left out.

    The four that scikit-learn has too are always tried. The others are as well, unless a table has fewer numbers than
    even the smallest of their models would have free parameters, or it is so large that they would take minutes: where
    rows × components × (columns² + 8), summed over all candidates, is more than ``AFFORDABLE``; and those with common
    axes in no more than ``COMMON_AXES_COLUMNS``.

    Examples
    --------
    >>> families, left_out = affordable(range(1, 10), 272, 2)
    >>> len(families), left_out
    (14, ())
    >>> families, left_out = affordable(range(1, 10), 1_000_000, 2)
    >>> [family.name for family in families]
    ['full', 'tied', 'diag', 'spherical']
    >>> left_out[0].reason
    'on 1,000,000 rows they would take 3.5 times as long'
    """
    families = registry.several("all", n_features)
    usual = [family for family in families if family in registry.USUAL]
    work = n_rows * sum(counts) * (n_features**2 + 8.0) * len(families)
    large = work > AFFORDABLE
    why: dict[str, list[str]] = {}
    for family in families:
        reason = ""
        if family in usual:
            continue
        if large:
            reason = f"on {n_rows:,} rows they would take {len(families) / len(usual):.1f} times as long"
        elif family.n_parameters(min(counts), n_features) > n_rows * n_features:
            reason = f"they have more free parameters than {n_rows:,} rows have numbers"
        elif family.common_axes and n_features > COMMON_AXES_COLUMNS:
            reason = f"axes that all components share take long to find in {n_features:,} columns"
        if reason:
            why.setdefault(reason, []).append(family.name)
    dropped = {name for names in why.values() for name in names}
    kept = tuple(family for family in families if family.name not in dropped)
    return kept, tuple(LeftOut(tuple(names), reason) for reason, names in why.items())


@dataclass(frozen=True, eq=False, repr=False)
class Survey(Shown):
    """A table of cells over the same rows, the choice made from it, and what it takes to make it larger.

    Attributes
    ----------
    source : Source
    settings : Settings
    seed : int
    criterion : str
        One of CRITERIA.
    columns : tuple of str, or None
    cells : tuple of Cell
        By number of components, then in the order in which families were asked for.
    left_out : tuple of LeftOut
        Families that would have been tried by default, but were not.
    """

    source: Source
    settings: Settings
    seed: int
    criterion: str
    columns: tuple[str, ...] | None = None
    cells: tuple[Cell, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def __repr__(self) -> str:
        return f"<Survey of {len(self.cells)} candidates by {self.criterion.upper()}, the best of them {self.best!r}>"

    @cached_property
    def best(self) -> Cell:
        """The chosen cell; see ``chosen``."""
        return chosen(self.cells, self.criterion)

    def extended(self, counts: Iterable[int], families: Iterable[Family], observer: Observer | None = None) -> Survey:
        """With the cells of these numbers of components in these families, where they are not there already."""
        there = {(cell.n_components, cell.covariance) for cell in self.cells}
        missing = [(k, f) for k in sorted(set(counts)) for f in families if (k, f.name) not in there]
        if not missing:
            return self
        n_rows = self.source.n_rows
        cells = search(
            self.source,
            [Candidate(k, family) for k, family in missing if k <= n_rows],
            self.settings,
            self.seed,
            observer,
            columns=self.columns,
            with_icl=True,
            with_cv=self.criterion == "cv",
            known=self.cells,
        )
        impossible = f"{n_rows} rows cannot hold that many components"
        cells += [Cell(k, family.name, None, reason=impossible) for k, family in missing if k > n_rows]
        place = {name: i for i, name in enumerate(dict.fromkeys([c.covariance for c in (*self.cells, *cells)]))}
        cells.sort(key=lambda cell: (cell.n_components, place[cell.covariance]))
        return replace(self, cells=tuple(cells), left_out=_still_out(self.left_out, place))

    def table(self) -> dict[str, list[Any]]:
        """The cells as columns of equal length, in their order.

        ``n_components``, ``covariance``, ``mclust`` (the family's name there), ``n_parameters``, ``loglik``; the
        criteria, each smaller for a better model, and ``cv_error``; ``behind``, what the cell's criterion is above
        that of the chosen one; ``chosen``, and ``tie`` where it is as good; ``eligible``, ``converged``; and
        ``reason``, why there is no fit.
        """
        as_good = ties(self.cells, self.best, self.criterion)
        level = getattr(self.best, self.criterion)
        validated = ("cv", "cv_error") if self.criterion == "cv" else ()
        names = ("n_components", "covariance", "mclust", "n_parameters", "loglik", "bic", "icl", "aic", *validated)
        columns: dict[str, list[Any]] = {name: [getattr(cell, name) for cell in self.cells] for name in names}
        return {
            **columns,
            "behind": [getattr(cell, self.criterion) - level for cell in self.cells],
            "chosen": [cell is self.best for cell in self.cells],
            "tie": [cell in as_good for cell in self.cells],
            "eligible": [cell.eligible for cell in self.cells],
            "converged": [cell.fit is not None and cell.fit.converged for cell in self.cells],
            "reason": [cell.reason for cell in self.cells],
        }


def _still_out(left_out: Iterable[LeftOut], tried: Container[str]) -> tuple[LeftOut, ...]:
    """What is left out still, after these families were tried."""
    rest = (each._replace(covariances=tuple(c for c in each.covariances if c not in tried)) for each in left_out)
    return tuple(each for each in rest if each.covariances)
