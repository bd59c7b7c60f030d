"""What a search stands on: settings and candidates, the rows and the sample of them, priors, starts and climbs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Self

import numpy as np

from mixtura.core.em import Fit, Pass, Stop, Task, climb_together, in_family, settled
from mixtura.core.estep import of_block
from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.mixture import Mixture
from mixtura.core.noise import INITIAL_WEIGHT, Noise
from mixtura.core.point import Point
from mixtura.core.statistics import Kind, Statistics
from mixtura.covariance.prior import ConjugatePrior, Moments, Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.resolution import Resolution
from mixtura.covariance.structure import SingularError
from mixtura.denoise import noise_over, without_noise
from mixtura.kernels import Kernel
from mixtura.lazy import cached_property
from mixtura.scouts import SAME_HILL, Aim
from mixtura.sources.sketch import Sample
from mixtura.sources.source import Source
from mixtura.start import Parts, Rule, completed, mixture_of, overall_moments

#: The race is run to this gap, in nats a row: enough to tell the hills apart.
RACE_TOL = 1e-4


@dataclass(frozen=True)
class Settings:
    """How to fit: see ``mixtura.fit`` for what each means."""

    n_init: int = 4
    tol: float = 1e-6
    max_iter: int = 10_000
    reg_covar: float | None = None
    init_params: str = "auto"
    accelerate: bool = True
    noise: Noise | bool = False
    prior: ConjugatePrior | None = None
    fixed: Fixed = NOTHING

    @property
    def stop(self) -> Stop:
        """Where a climb on all rows ends."""
        return Stop(self.tol, self.max_iter)

    @property
    def race_stop(self) -> Stop:
        """Where one on a sample ends."""
        return Stop(max(self.tol, RACE_TOL), self.max_iter, verify=False)


def as_noise(asked: bool | float | Noise, n_features: int) -> Noise | bool:
    """What to look for: nothing, noise over the region of the rows, or a given noise."""
    if isinstance(asked, Noise):
        if asked.origin is not None and len(asked.origin) != n_features:
            raise ValueError(f"the noise has {len(asked.origin)} columns, but the table {n_features}")
        return asked
    if isinstance(asked, bool | np.bool_):
        return bool(asked)
    if isinstance(asked, int | float | np.integer | np.floating):
        return Noise.of_density(float(asked))
    raise ValueError(f"noise must be True, False, a density or a Noise, got {asked!r}")


class Candidate(NamedTuple):
    """A number of components in a covariance family; with a ``start`` that tells the means, from there alone.

    A start that is a fit stays as it is, unless a neighbour leads higher.
    """

    n_components: int
    family: Family
    start: Mixture | Rule | Parts | Fit | None = None

    @property
    def known(self) -> Fit | None:
        """The fit to all rows that there is already, if that is where it starts."""
        return self.start if isinstance(self.start, Fit) else None

    @property
    def by_chance(self) -> bool:
        """Whether the start involves chance, so that several are worth making: where the means are is not given."""
        return self.start is None or (isinstance(self.start, Parts) and self.start.means is None)


class Progress(NamedTuple):
    """How far a search has come.

    Attributes
    ----------
    stage : str
        "sample" (all rows are looked at for a sample of them, nothing climbs yet), "race" (all starts, on the sample),
        "repair" (the best of each candidate, moved about and offered its neighbours' fits, on the sample), "grow" (the
        best again, on larger samples), "climb" (on all rows) or "folds" (of a fold, if they are cross-validated).
    passes : int
        Over the rows of that stage, that are done.
    climbing, climbs : int
        How many climbs are still on their way, of how many.
    rows, n_rows : int
        Rows that are done of the next pass, 0 where none has begun; and rows of a whole one, as far as is known.
    loglik : float
        The highest log-likelihood of this stage so far, in nats a row; NaN before there is one.
    gap : float
        The largest estimated distance to the top among the climbs on their way, in nats a row; NaN before there is one.
    tol : float
        They end when it is below this.
    """

    stage: str
    passes: int
    climbing: int
    climbs: int
    rows: int = 0
    n_rows: int = 0
    loglik: float = math.nan
    gap: float = math.nan
    tol: float = math.nan

    @classmethod
    def of(cls, stage: str, seen: Pass, climbs: int, n_rows: int, tol: float) -> Self:
        """How far the climbs of a stage have come."""
        return cls(stage, seen.passes, seen.climbing, climbs, seen.rows, n_rows, seen.loglik, seen.gap, tol)

    @property
    def within(self) -> bool:
        """Whether a pass is under way."""
        return self.rows > 0


#: Called after each pass, and several times a second within a long one; a true answer ends the fit, with the models as
#: they are.
Observer = Callable[[Progress], bool | None]


@dataclass(eq=False)
class Run:
    """A candidate and what became of it.

    Attributes
    ----------
    candidate : Candidate
    attempts : sequence of int
        Numbers of the starts to make by chance.
    raced : list of Fit
        Where they ended, and starts that neighbours offered.
    hills : list of Fit
        The best of the different ends on the last sample.
    failures : list of str
        Why others did not get that far.
    best : Fit or None
        The best so far.
    scouted : sequence of float
        How high scouts came, in nats a row.
    arrived : bool
        Whether the best has climbed on all rows already.
    causes : list of str
        What of the rows may be the reason that there is none.
    """

    candidate: Candidate
    attempts: Sequence[int]
    raced: list[Fit] = field(default_factory=list[Fit])
    hills: list[Fit] = field(default_factory=list[Fit])
    failures: list[str] = field(default_factory=list[str])
    best: Fit | None = None
    scouted: Sequence[float] = ()
    arrived: bool = False
    causes: list[str] = field(default_factory=list[str])

    @property
    def unmoved(self) -> bool:
        """Whether it began with a fit to all rows, and no neighbour led higher."""
        return self.candidate.known is not None and self.best is self.raced[0]

    @property
    def agreeing(self) -> int:
        """How many starts ended on the best one's hill."""
        tops = [fit.objective / fit.statistics.weight for fit in self.raced if not fit.status.failed]
        tops += self.scouted
        return sum(top > max(tops) - SAME_HILL for top in tops)


class Obeyed:
    """An observer whose first true answer holds for all that follows."""

    def __init__(self, observer: Observer | None) -> None:
        self.observer = observer
        self.told_to_stop = False

    def sampling(self, n_rows: int) -> Callable[[int], object]:
        """What tells of the rows that have been looked at for the sample."""
        return lambda rows: self(Progress("sample", 0, 0, 0, rows, n_rows))

    def __call__(self, progress: Progress) -> bool:
        """Tell the observer, and whether it has given a true answer yet."""
        if self.observer is not None:
            self.told_to_stop = bool(self.observer(progress)) or self.told_to_stop
        return self.told_to_stop


@dataclass(frozen=True, eq=False)
class Ground:
    """What a search stands on: the rows, the sample of them, and how to fit."""

    source: Source
    small: Sample
    larger: tuple[Sample, ...]
    settings: Settings
    seed: int
    kernel: Kernel
    rough: Kernel
    observer: Obeyed
    _relative: dict[tuple[bool, ...], Prior] = field(default_factory=dict[tuple[bool, ...], Prior])
    _moments: dict[Kind, Moments] = field(default_factory=dict[Kind, Moments])

    @property
    def told_to_stop(self) -> bool:
        """Whether the observer has asked for the end."""
        return self.observer.told_to_stop

    @property
    def rows(self) -> Source:
        """All rows; the sample itself, each row with the weight of its copies, where it holds them all."""
        return self.small if self.small.complete else self.source

    @cached_property
    def weight(self) -> float:
        """Weight of all rows."""
        return self.small.weight if self.small.complete else self.source.weight

    @cached_property
    def resolution(self) -> Resolution:
        """How finely the rows were recorded."""
        return Resolution.of(self.small.rows, self.small.weights)

    def relative(self, family: Family) -> Prior:
        """The default prior of a family, for the sample."""
        key = family.kind == "diagonal", family.isotropic, family.one_unit
        if key not in self._relative:
            self._relative[key] = Prior.relative(self.small.rows, self.small.weights, family, self.resolution)
        return self._relative[key]

    @cached_property
    def noise(self) -> Noise | None:
        """The noise component that was asked for, if one was."""
        asked = self.settings.noise
        if isinstance(asked, Noise):
            return asked
        return noise_over(self.rows, self.small) if asked else None

    def with_noise(self, model: Mixture, least: float = 0.0) -> Mixture:
        """A start with the noise component that was asked for, of at least that weight."""
        if self.noise is None:
            return model
        share = max(INITIAL_WEIGHT if model.noise is None else model.noise.weight, least)
        among = model.weights if model.weights.any() else np.ones_like(model.weights)
        weights = among * ((1 - share) / among.sum())
        noise = self.noise.weighing(share)
        return Mixture(weights, model.means, model.structure, columns=model.columns, noise=noise)

    @cached_property
    def quiet(self) -> Sample:
        """The sample without the rows that look like noise."""
        return without_noise(self.small)

    def rows_for_start(self, attempt: int, n_components: int) -> Sample:
        """The sample; where there may be noise, every other time without what looks like it."""
        if self.noise is None or attempt % 2 or self.quiet.n_rows < n_components * (self.small.n_features + 1):
            return self.small
        return self.quiet

    def moments(self, family: Family) -> Moments:
        """Mean, scatter and weight of all rows, as a family's prior needs them."""
        kind = "diagonal" if family.kind == "diagonal" else "full"
        if kind not in self._moments:
            self._moments[kind] = overall_moments(self.rows, kind)
        return self._moments[kind]

    def prior(self, weight: float, n_components: int, family: Family) -> Prior:
        """The prior of a fit to rows of that weight."""
        if self.settings.prior is not None:
            return self.settings.prior.of(self.moments(family), family, n_components, self.relative(family))
        ridge, n_features = self.settings.reg_covar, self.small.n_features
        if ridge is None:
            return self.relative(family).for_weight(weight)
        prior = Prior.absolute(ridge, weight, n_components, n_features) if ridge else Prior.none(n_features)
        return replace(prior, resolution=self.resolution, idle=self.relative(family).idle)

    def aim(self, run: Run, sample: Sample) -> Aim:
        """What scouts look for in a sample, for a run."""
        n_components, family, _ = run.candidate
        return Aim(n_components, family, self.prior(sample.weight, n_components, family))

    def start(self, rule: Rule, candidate: Candidate, lean: float, sample: Sample) -> Mixture:
        """The mixture that a rule makes of a sample."""
        n_components, family, _ = candidate
        prior = self.prior(sample.weight, n_components, family)
        model = mixture_of(rule, sample, n_components, family, prior, lean=lean, noise=self.noise)
        model = self.settings.fixed.matched(model, self.small.unit)
        return self.with_noise(model, least=max(INITIAL_WEIGHT, 1 - sample.weight / self.small.weight))

    def first(self, rule: Rule, candidate: Candidate, rows: Sample) -> Mixture:
        """The start that a rule makes of these rows, with the parts in their place that the candidate gives."""
        n_components, family, parts = candidate
        model = self.start(rule, candidate, self.small.n_features + 1.0, rows)
        if not isinstance(parts, Parts):
            return model
        return completed(parts, model, self.small, family, self.prior(self.small.weight, n_components, family))

    def in_family(self, model: Mixture, candidate: Candidate) -> Mixture:
        """A mixture made one of a candidate's family."""
        prior = self.prior(self.small.weight, candidate.n_components, candidate.family)
        return settled(in_family(model, candidate.family), prior)

    def guide(self, model: Mixture) -> Statistics:
        """The statistics of the largest sample under a model, at the weight of all rows."""
        statistics = self.larger[-1].total(partial(of_block, model, self.kernel))
        return statistics.scale(self.weight / statistics.weight)

    def measured(self, fit: Fit) -> Fit:
        """A fit to the sample that holds all rows, its end measured in double precision."""
        if self.rough is self.kernel:
            return fit
        statistics = self.rows.total(partial(of_block, fit.model, self.kernel))
        end = Point(fit.model, statistics, fit.family, fit.prior, fit.fixed)
        numbers = {"loglik": statistics.loglik, "objective": end.objective, "gradient_norm": fit.gradient_norm}
        with suppress(SingularError), np.errstate(all="ignore"):  # where the next step leads nowhere, the old one stays
            numbers["gradient_norm"] = end.gradient_norm
        former = (step for step in fit.trace[:-1] if step.objective <= end.objective)
        trace = (*former, fit.trace[-1]._replace(**numbers))
        return replace(fit, statistics=statistics, trace=trace, **numbers)

    def climb(
        self,
        stage: str,
        starts: Iterable[tuple[Run, Mixture | Fit, Stop]],
        sample: Sample | None = None,
        *,
        plainly: bool = False,
    ) -> list[tuple[Run, Fit]]:
        """Climb from all the starts together, or on from where other climbs ended, on a sample or on all rows.

        By EM steps alone if ``plainly``.
        """
        starts = list(starts)
        source, weight = (self.rows, self.weight) if sample is None else (sample, sample.weight)
        accelerate = self.settings.accelerate and not plainly
        guide = self.guide if sample is None and self.larger else None
        tasks: list[Task] = []
        for run, begin, stop in starts:
            family, fixed = run.candidate.family, self.settings.fixed
            model, curvature = (begin.model, begin.curvature) if isinstance(begin, Fit) else (begin, None)
            prior = self.prior(weight, model.n_components, family)
            start = fixed.place(self.with_noise(model), family)
            tasks.append(Task(start, family, prior, stop, accelerate, fixed, guide, curvature))

        tol = max((stop.tol for _, _, stop in starts), default=self.settings.tol)

        def watch(seen: Pass) -> bool:
            return self.observer(Progress.of(stage, seen, len(tasks), source.n_rows, tol))

        kernel = self.kernel if sample is None and self.small.complete else self.rough
        fits: Sequence[Fit] = climb_together(tasks, source, watch, kernel)
        if sample is None and kernel is not self.kernel:
            rest = [
                task._replace(
                    start=fit.model,
                    stop=Stop(task.stop.tol, max(task.stop.max_iter - fit.n_iter, 1)),
                    curvature=fit.curvature,
                )
                for task, fit in zip(tasks, fits, strict=True)
            ]
            ends = climb_together(rest, source, watch, self.kernel)
            fits = [finished(fit, end) for fit, end in zip(fits, ends, strict=True)]
        return [(run, fit) for (run, _, _), fit in zip(starts, fits, strict=True)]


def finished(rough: Fit, end: Fit) -> Fit:
    """One fit of a climb in single precision and of its end in double, measured where both agree."""
    first = end.trace[0]._replace(passes=rough.trace[-1].passes + 1)
    before = tuple(step for step in rough.trace if step.objective < first.objective)
    return joined(replace(rough, trace=(*before, first)), end)


def joined(before: Fit, after: Fit) -> Fit:
    """One fit of a climb and the one that went on from it over the same rows.

    The model of the last step has been measured again, in double precision if it was not before: of the steps before
    it, those stay that it does not contradict.
    """
    last, (seam, *later) = before.trace[-1], after.trace
    former = (step for step in before.trace[:-1] if step.objective <= seam.objective)
    steps = (step._replace(passes=last.passes + step.passes) for step in later)
    trace = (*former, seam._replace(passes=last.passes, kind=last.kind), *steps)
    return replace(after, trace=trace, n_iter=before.n_iter + after.n_iter)
