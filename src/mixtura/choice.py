"""Several starts for several numbers of components and families, in shared passes; and the choice among them.

``search`` is the one way in which Mixtura fits: the estimator asks it for one cell, ``mixtura.fit`` for a table of
them. Starts race on a bounded sample of the rows; the best of each cell goes on, on all rows, to the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from mixtura.core.em import Fit, Stop, Task, climb_together, in_family
from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array
from mixtura.core.status import Status
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import SingularError
from mixtura.diagnosis import Note, diagnose, unhealthy_components
from mixtura.sources.sketch import Sample, sample
from mixtura.sources.source import Block, Source
from mixtura.start import METHODS, Parts, Rule, around, column_unit, completed, mixture_of, moved, split_and_merged

#: Distinct rows on which starts race, at least …
SAMPLE_ROWS = 5_000
#: … and for each component.
SAMPLE_ROWS_EACH = 100
#: The race is run to this gap, in nats a row: enough to tell the hills apart.
RACE_TOL = 1e-4
#: Two climbs ended on the same hill when their objectives agree to this, in nats a row.
SAME_HILL = 3e-4
#: Rounds of repair at the most, and how many in a row may fail before a candidate is left as it is.
REPAIR_ROUNDS = 12
REPAIR_PATIENCE = 3
#: Steps after which a repaired mixture that is further behind than this (nats a row) is given up.
SCOUT = Stop(RACE_TOL, 8)
ABANDON = 0.02

CRITERIA = ("bic", "icl", "aic")


@dataclass(frozen=True)
class Settings:
    """How to fit: see ``mixtura.fit`` for what each means."""

    n_init: int = 4
    tol: float = 1e-6
    max_iter: int = 10_000
    reg_covar: float | None = None
    init_params: str = "k-means++"
    accelerate: bool = True


@dataclass(frozen=True, eq=False)
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
    n_parameters : int
    n_starts, n_failed, n_agreeing : int
        How many starts were made, how many failed, and how many ended on the best one's hill.
    bic, icl, aic : float
        Information criteria, smaller is better; NaN without a fit.
    """

    n_components: int
    covariance: str
    fit: Fit | None
    notes: tuple[Note, ...] = ()
    reason: str = ""
    n_parameters: int = 0
    n_starts: int = 1
    n_failed: int = 0
    n_agreeing: int = 1
    bic: float = float("nan")
    icl: float = float("nan")
    aic: float = float("nan")

    @property
    def loglik(self) -> float:
        """Log-likelihood of the rows, in nats; NaN without a fit."""
        return float("nan") if self.fit is None else self.fit.loglik

    @property
    def eligible(self) -> bool:
        """Whether the cell may be chosen: it has a fit in which no component is empty or has collapsed."""
        return self.fit is not None and all(note.healthy for note in self.notes)


class Candidate(NamedTuple):
    """A cell to fit; with a ``start`` that tells where the means are, from there alone."""

    n_components: int
    family: Family
    start: Mixture | Rule | Parts | None = None

    @property
    def by_chance(self) -> bool:
        """Whether the start involves chance, so that several are worth making: where the means are is not given."""
        return self.start is None or (isinstance(self.start, Parts) and self.start.means is None)


class Progress(NamedTuple):
    """How far a search has come.

    ``stage`` is "race" (all starts, on the sample), "repair" (the best of each candidate, moved about, on the
    sample) or "climb" (the best of each candidate, on all rows);
    ``climbing`` of ``climbs`` are still on their way after so many ``passes`` over the rows of that stage.
    """

    stage: str
    passes: int
    climbing: int
    climbs: int


#: Called after each pass; a true answer ends the fit, with the models as they are.
Observer = Callable[[Progress], bool | None]


def search(
    source: Source,
    candidates: Sequence[Candidate],
    settings: Settings,
    seed: int,
    observer: Observer | None = None,
    columns: tuple[str, ...] | None = None,
) -> list[Cell]:
    """Fit every candidate to the rows of a source; one that fails is recorded and leaves the others alone.

    ``columns`` are the names that the mixtures shall carry.
    """
    largest = max(candidate.n_components for candidate in candidates)
    small = sample(source, max(SAMPLE_ROWS, SAMPLE_ROWS_EACH * largest), seed)
    data: Source = small if small.complete else source  # the same rows, each with the weight of its copies
    small_weight = float(small.weights.sum())
    weight = small_weight if small.complete else source.total(_weight)
    priors = _priors(settings, small)

    # The race: every start, on the sample, far enough to tell the hills apart.
    stop = Stop(max(settings.tol, RACE_TOL), settings.max_iter)
    lean = small.n_features + 1.0
    tasks: list[tuple[int, Task]] = []
    failures: dict[int, list[str]] = {i: [] for i in range(len(candidates))}
    for i, (n_components, family, start) in enumerate(candidates):
        prior = priors(small_weight, n_components)
        for attempt in range(settings.n_init if candidates[i].by_chance else 0):
            rng = np.random.default_rng([seed, n_components, attempt])
            try:
                rule = METHODS[settings.init_params](small, n_components, rng)
                model = mixture_of(rule, small, n_components, family, prior, lean=lean)
                if isinstance(start, Parts):
                    model = completed(start, model, small, family, prior)
            except SingularError as error:
                failures[i].append(str(error))
            else:
                tasks.append((i, Task(model, family, prior, stop, settings.accelerate)))
    raced = _together("race", tasks, small, observer)
    best = {i: max(fits, key=_merit) for i, fits in raced.items()}

    # Repair: the best of each candidate with one component moved elsewhere, as long as that pays.
    patience = {i: REPAIR_PATIENCE for i, fit in best.items() if _repairable(fit)}
    for turn in range(REPAIR_ROUNDS):
        tasks = []
        for i in [i for i, left in patience.items() if left > 0]:
            fit = best[i]
            rng = np.random.default_rng([seed, fit.model.n_components, settings.n_init + turn])
            try:
                model = mixture_of(
                    _move(fit, small, rng), small, fit.model.n_components, fit.family, fit.prior, lean=1.0
                )
            except SingularError:
                patience[i] -= 1
            else:
                tasks.append((i, Task(model, fit.family, fit.prior, SCOUT, settings.accelerate)))
        scouts = {i: fit for i, (fit,) in _together("repair", tasks, small, observer).items()}
        tasks = [
            (i, Task(fit.model, fit.family, fit.prior, stop, settings.accelerate))
            for i, fit in scouts.items()
            if not fit.status.failed and fit.objective > best[i].objective - ABANDON * small_weight
        ]
        climbed = _together("repair", tasks, small, observer)
        for i, scout in scouts.items():
            found_there = [_joined(scout, fit) for fit in climbed.get(i, [])]
            better = [fit for fit in found_there if _merit(fit) > _merit(best[i], RACE_TOL * small_weight)]
            best[i] = better[0] if better else best[i]
            patience[i] = REPAIR_PATIENCE if better else patience[i] - 1

    # The climb: the best of each candidate, or the start that it came with, on all rows, to the tolerance.
    tasks, found = [], {}
    for i, (n_components, family, start) in enumerate(candidates):
        prior, by_chance = priors(weight, n_components), candidates[i].by_chance
        passes = best[i].n_iter if i in best and small.complete else 0
        if by_chance and (i not in best or best[i].status.failed or passes >= settings.max_iter):
            found[i] = best.get(i)
            continue
        try:
            model = best[i].model if by_chance else _given(candidates[i], source, small, prior)
        except SingularError as error:
            failures[i].append(str(error))
        else:
            stop = Stop(settings.tol, settings.max_iter - passes)
            tasks.append((i, Task(model, family, prior, stop, settings.accelerate)))
    for i, (fit,) in _together("climb", tasks, data, observer).items():
        found[i] = _joined(best[i], fit) if i in best and small.complete else fit

    cells = [
        _cell(candidate, settings, found.get(i), raced.get(i, []), failures[i], columns)
        for i, candidate in enumerate(candidates)
    ]
    return _with_criteria(cells, data)


def _priors(settings: Settings, small: Sample) -> Callable[[float, int], Prior]:
    """(weight of the rows, K) → the prior of their fits."""
    if settings.reg_covar is None:
        relative = cache(partial(Prior.relative, small.rows, small.weights))
        return lambda weight, _: relative(weight)
    if settings.reg_covar == 0:
        return lambda *_: Prior.none(small.n_features)
    ridge = settings.reg_covar
    return lambda weight, n_components: Prior.absolute(ridge, weight, n_components, small.n_features)


def _given(candidate: Candidate, source: Source, small: Sample, prior: Prior) -> Mixture:
    """The mixture that a candidate starts from."""
    n_components, family, start = candidate
    if isinstance(start, Mixture):
        return in_family(start, family)
    if isinstance(start, Parts):
        return completed(start, around(start.means, source, family, prior, column_unit(small)), source, family, prior)
    return mixture_of(start, source, n_components, family, prior)


def _together(
    stage: str, tasks: Sequence[tuple[int, Task]], source: Source, observer: Observer | None
) -> dict[int, list[Fit]]:
    """The fits of all the tasks, collected under their numbers."""

    def watch(passes: int, climbing: int) -> bool | None:
        return None if observer is None else observer(Progress(stage, passes, climbing, len(tasks)))

    fits: dict[int, list[Fit]] = {}
    for (i, _), fit in zip(tasks, climb_together([task for _, task in tasks], source, watch), strict=True):
        fits.setdefault(i, []).append(fit)
    return fits


def _merit(fit: Fit, margin: float = 0.0) -> tuple[bool, int, float]:
    """What makes one fit of a candidate better than another: it holds, its components do, its objective is high."""
    return not fit.status.failed, -len(unhealthy_components(fit)), fit.objective + margin


def _repairable(fit: Fit) -> bool:
    """Whether a component could be moved elsewhere, and the climb has steps left."""
    return fit.model.n_components > 1 and fit.status not in (Status.SINGULAR, Status.MAX_ITER, Status.STOPPED)


def _move(fit: Fit, small: Sample, rng: np.random.Generator) -> Rule:
    """Responsibilities with the components that are empty or have collapsed elsewhere, or else one drawn by chance."""
    n_components = fit.model.n_components
    gone = unhealthy_components(fit)
    if not gone and n_components > 2 and rng.random() < 0.5:
        return split_and_merged(fit.model, small, rng)
    return moved(fit.model, gone or (int(rng.integers(n_components)),), small, rng)


def _joined(raced: Fit, climbed: Fit) -> Fit:
    """One fit of a race and the climb that went on from it over the same rows."""
    passes = raced.trace[-1].passes if raced.trace else 0
    later = tuple(step._replace(passes=passes + step.passes) for step in climbed.trace[1:])
    return replace(climbed, trace=raced.trace + later, n_iter=raced.n_iter + climbed.n_iter)


def _presented(fit: Fit, in_order: bool, columns: tuple[str, ...] | None) -> Fit:
    """The fit with its columns named and its components in the order of their means, where chance ordered them."""
    order = np.lexsort(fit.model.means.T[::-1]) if in_order else np.arange(fit.model.n_components)
    ordered = fit.model.reorder(order)
    model = Mixture(ordered.weights, ordered.means, ordered.structure, columns=columns)
    return replace(fit, model=model, statistics=fit.statistics.take(order))


def _cell(
    candidate: Candidate,
    settings: Settings,
    fit: Fit | None,
    raced: list[Fit],
    failures: list[str],
    columns: tuple[str, ...] | None,
) -> Cell:
    singular = [f for f in raced if f.status.failed]
    reasons = [*failures, *(f.status.value for f in singular)]
    if fit is not None and fit.status.failed:
        reasons, fit = [*reasons, fit.status.value], None
    if fit is not None:
        fit = _presented(fit, candidate.start is None, columns)
    agreeing = [f for f in raced if fit and f.objective > best_of(raced) - SAME_HILL * f.statistics.weight]
    return Cell(
        candidate.n_components,
        candidate.family.name,
        fit,
        () if fit is None else diagnose(fit),
        "" if fit is not None else "; ".join(dict.fromkeys(reasons)),
        n_starts=settings.n_init if candidate.by_chance else 1,
        n_failed=len(failures) + len(singular),
        n_agreeing=max(len(agreeing), 1),
    )


def best_of(fits: Iterable[Fit]) -> float:
    """The highest objective among them."""
    return max(fit.objective for fit in fits if not fit.status.failed)


def _with_criteria(cells: Sequence[Cell], data: Source) -> list[Cell]:
    """The cells with their information criteria; the penalties count weight, not rows."""
    fitted = [cell.fit for cell in cells if cell.fit is not None]
    sure = iter(data.total(partial(certainty, [fit.model for fit in fitted])) if fitted else ())
    out: list[Cell] = []
    for cell in cells:
        fit = cell.fit
        if fit is None:
            out.append(cell)
            continue
        k = fit.family.n_parameters(cell.n_components, data.n_features)
        bic = -2 * fit.loglik + k * float(np.log(fit.statistics.weight))
        icl = bic - 2 * float(next(sure))
        out.append(replace(cell, n_parameters=k, bic=bic, icl=icl, aic=-2 * fit.loglik + 2 * k))
    return out


def certainty(models: Sequence[Mixture], block: Block) -> Array:
    """Σ w log max_k γ of a block under each model: what ICL takes off."""
    weights = np.ones(len(block.rows)) if block.weights is None else block.weights
    return np.array([weights @ np.log(model.responsibilities(block.rows).max(1)) for model in models])


def _weight(block: Block) -> float:
    return float(len(block.rows) if block.weights is None else block.weights.sum())


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
    return min(sound or fitted, key=lambda cell: getattr(cell, criterion))
