"""From candidates to fits, all of them in shared passes.

Starts race on a bounded sample of the rows. The best of each candidate is repaired there as long as that pays: it
starts again from what neighbouring candidates found, or with a component moved elsewhere. Then it climbs on all rows to
the tolerance. Where many candidates share a small table, scouts find out where to climb instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Self
from weakref import WeakKeyDictionary

import numpy as np

from mixtura import kernels, scouts
from mixtura.core.blas import one_thread
from mixtura.core.em import Fit, Pass, Stop, Task, climb_together, in_family, settled
from mixtura.core.estep import of_block
from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.mixture import Mixture
from mixtura.core.noise import INITIAL_WEIGHT, Noise
from mixtura.core.point import Point
from mixtura.core.statistics import Kind, Statistics
from mixtura.core.status import Status
from mixtura.covariance.prior import ConjugatePrior, Moments, Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.resolution import Resolution
from mixtura.covariance.structure import SingularError
from mixtura.denoise import noise_over, without_noise
from mixtura.diagnosis import (
    Grade,
    Note,
    diagnose_rows,
    idle_directions,
    misplaced_components,
    name_columns,
    of_prior,
    of_units,
)
from mixtura.kernels import Kernel
from mixtura.lazy import cached_property
from mixtura.scouts import Aim
from mixtura.sources import sketch
from mixtura.sources.sketch import Sample, samples
from mixtura.sources.source import Source, watched
from mixtura.start import (
    METHODS,
    Parts,
    Rule,
    around,
    completed,
    mergers,
    mixture_of,
    moved,
    overall_moments,
    split_and_merged,
    splits,
    swaps,
)
from mixtura.strays import with_strays

#: Distinct rows on which starts race, at least …
SAMPLE_ROWS = 5_000
#: … and for each component at least so many, and so many for each of its free parameters in the richest family, if that
#: is a small part of all rows (the inverse of GROWTH).
SAMPLE_ROWS_EACH = 100
SAMPLE_ROWS_PARAMETER = 20
#: The race is run to this gap, in nats a row: enough to tell the hills apart.
RACE_TOL = 1e-4
#: Two climbs ended on the same hill when their objectives agree to this, in nats a row.
SAME_HILL = 3e-4
#: Rounds of repair at the most, and how many moves of its own, the first of which swaps components, may fail in a row
#: before a candidate is left as it is: one that is alone, or has neighbours whose fits it can start from.
REPAIR_ROUNDS = 12
PATIENCE_ALONE = 3
PATIENCE = 2
#: Rounds in which families that ended below one that they hold climb again.
SETTLE_ROUNDS = 4
#: Pairs merged, and components split, of a neighbour's fit, and of a candidate's own.
OFFERS = 2
#: How offers are sifted: so many steps on, this many of a run's go on, if they are no further behind its best than this
#: (nats a row). Of the scouts that won in the end, one in thirty was further behind.
SIEVE = ((0, 2, 0.25), (2, 1, 0.05), (6, 1, 0.02))
#: The last is followed to the end if it is no further behind than this many times the gap that it sees.
HOPE = 2.0
#: Scouts go ahead where the candidates have this many components together, for their machine code takes seconds to
#: compile, once. They look at as many rows as make a step of all of them so much work (rows × components × (8 +
#: columns²)), or more if SAMPLE_ROWS_EACH asks for that, unless it is then more than …
SCOUTED_FROM = 80
SCOUTED_WORK, MOST_SCOUTED_WORK = 1.5e8, 4e8
SCOUTED_ROUNDS = 2
#: Larger samples, through which a climb comes to all rows, grow by this factor; the largest has no more than that part
#: of the rows, nor more numbers, in the table of its rows or of their responsibilities, than …
GROWTH = 8
SAMPLE_NUMBERS = 2_000_000
#: How many hills of a candidate are followed from one sample to the next, and the rounds of repair on the first two of
#: several samples.
CONTENDERS = 3
#: A component which on more rows keeps less than this part of its weight was but a speck of the sample.
WITHERED = 0.2
GROWN_ROUNDS = 4
#: The most that the squares of all values may add up to, weights included, and the least square of a spread, likewise;
#: so values of up to so many rows of weight 1 may reach 3·10¹⁵¹.
MOST_SQUARE, LEAST_SQUARE = 1e306, 1e-300
LARGE = 1e3


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


class _Obeyed:
    """An observer whose first true answer holds for all that follows."""

    def __init__(self, observer: Observer | None) -> None:
        self.observer = observer
        self.told_to_stop = False

    def sampling(self, n_rows: int) -> Callable[[int], object]:
        """What tells of the rows that have been looked at for the sample."""
        return lambda rows: self(Progress("sample", 0, 0, 0, rows, n_rows))

    def __call__(self, progress: Progress) -> bool:
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
    observer: _Obeyed
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
            fits = [_finished(fit, end) for fit, end in zip(fits, ends, strict=True)]
        return [(run, fit) for (run, _, _), fit in zip(starts, fits, strict=True)]


@one_thread()
@np.errstate(under="ignore")
def search(
    source: Source,
    candidates: Sequence[Candidate],
    settings: Settings,
    seed: int,
    *,
    observer: Observer | None = None,
    columns: Sequence[str] | None = None,
) -> tuple[list[Run], Source, tuple[Note, ...]]:
    """Fit every candidate to the rows of a source; one that fails is recorded and leaves the others alone.

    Also returned are the rows that the best fits belong to, the source or a sample that stands for it, and what is
    odd about them.
    """
    for candidate in candidates:
        settings.fixed.check(candidate.n_components, source.n_features, candidate.family)
    largest = max(candidate.n_components for candidate in candidates)
    free = max(candidate.family.n_parameters(1, source.n_features) for candidate in candidates)
    obeyed = _Obeyed(observer)
    with watched(source, obeyed.sampling(source.n_rows)):
        relations = any(candidate.family.kind != "diagonal" for candidate in candidates)
        chosen = samples(source, _sizes(source, largest, free), seed)
        small, *larger = with_strays(source, chosen, relations=relations)
    if small.complete:
        larger = []
    _check_range(small, source.n_rows, columns)
    n_rows = small.n_rows if small.complete else source.n_rows
    components = sum(candidate.n_components for candidate in candidates)  # of a pass, which all of them share
    # one edition for the samples and for all rows; only ends need double precision
    kernel, rough = (kernels.choose(n_rows, components, source.n_features, single=single) for single in (False, True))
    ground = Ground(source, small, tuple(larger), settings, seed, kernel, rough, obeyed)
    attempts = _attempts(candidates, settings.n_init)
    runs = [Run(candidate, its) for candidate, its in zip(candidates, attempts, strict=True)]
    open_to_others = [run for run in runs if run.candidate.by_chance or run.candidate.known]
    scouted = _scouted(ground, open_to_others)
    if scouted is not None:
        _scout(ground, open_to_others, scouted)
        if scouted is not small:
            _repair(ground, open_to_others, small, SCOUTED_ROUNDS)
    else:
        _race(ground, open_to_others)
        _repair(ground, open_to_others, small, GROWN_ROUNDS if larger else REPAIR_ROUNDS)
    _grow(ground, [run for run in open_to_others if not run.unmoved])
    _climb(ground, runs)
    _fall_back(ground, [run for run in runs if run.candidate.by_chance])
    _settle(ground, open_to_others)
    notes = diagnose_rows(small, source.n_rows, ground.resolution, columns)
    for run in runs:
        if run.best is None or run.best.status.failed:
            run.causes = _causes(ground, run.candidate, notes, columns)
    return runs, ground.rows, notes


def _causes(ground: Ground, candidate: Candidate, notes: Sequence[Note], columns: Sequence[str] | None) -> list[str]:
    """What of the rows may be the reason that no fit was found."""
    family, weight = candidate.family, ground.weight
    prior = ground.prior(weight, candidate.n_components, family)
    found = [*of_prior(prior, weight), *of_units(family, ground.resolution, columns), *notes]
    told = [note.sentence for note in found if note.grade > Grade.REMARK]
    return told if ground.settings.reg_covar is None else idle_directions(ground.relative(family).idle, columns) + told


def _sizes(source: Source, n_components: int, free: int) -> list[int]:
    """Rows of the samples, for that many components with so many free parameters each."""
    room = SAMPLE_NUMBERS // max(n_components, source.n_features)  # rows × components are held there
    wanted = min(SAMPLE_ROWS_PARAMETER * free * n_components, source.n_rows // GROWTH, room)
    sizes = [max(SAMPLE_ROWS, SAMPLE_ROWS_EACH * n_components, wanted)]
    largest = min(source.n_rows // GROWTH, room)
    while 2 * sizes[-1] <= largest:
        sizes.append(min(GROWTH * sizes[-1], largest))
    return sizes


def _check_range(small: Sample, n_rows: int, columns: Sequence[str] | None) -> None:
    """Whether squares of the values, times their weights, fit into double precision."""
    each = small.weight / small.n_rows  # in a sample, distinct rows have the weight of their copies
    size = np.maximum(np.abs(small.box.low), np.abs(small.box.high))
    _, spread = small.middle_and_spread
    least, most = LEAST_SQUARE / min(each, 1.0), MOST_SQUARE / max(each * n_rows, LARGE)
    least, most = math.sqrt(least), math.sqrt(most)
    for j in np.flatnonzero((size > most) | ((spread > 0) & (spread < least))).tolist():
        weigh = "" if 1 / LARGE < each < LARGE else f" (the weights, {each:.1e} on average, count too)"
        raise ValueError(
            f"the values of {name_columns([j], columns)} reach {size[j]:.1e} and spread over {spread[j]:.1e}: their "
            f"squares leave the range of double precision. Measure the column in a unit that keeps both between "
            f"{least:.0e} and {most:.0e}{weigh}"
        )


def _attempts(candidates: Sequence[Candidate], n_init: int) -> Iterator[Sequence[int]]:
    """Which starts each candidate makes: those with one number of components share ``n_init`` out among them."""
    peers = Counter(candidate.n_components for candidate in candidates if candidate.by_chance)
    made: Counter[int] = Counter()
    for candidate in candidates:
        k, each = candidate.n_components, 0
        if candidate.by_chance:
            each = -(-n_init // peers[k])
        yield [(made[k] + i) % n_init for i in range(each)]
        made[k] += each


def _race(ground: Ground, runs: Sequence[Run]) -> None:
    """Every start, on the sample, far enough to tell the hills apart."""
    stop = ground.settings.race_stop
    known: list[tuple[Run, Mixture | Fit, Stop]] = [
        (run, run.candidate.known, stop) for run in runs if run.candidate.known
    ]
    starts = [(run, model, stop) for run in runs for model in _starts(ground, run)]
    for run, fit in ground.climb("race", known + starts, ground.small):
        run.raced.append(fit)
        run.best = max(run.raced, key=_merit)


def _starts(ground: Ground, run: Run) -> Iterator[Mixture]:
    """The starts that a run makes by chance, less those that fail."""
    methods, n_components = METHODS[ground.settings.init_params], run.candidate.n_components
    for attempt in run.attempts:
        rng = np.random.default_rng([ground.seed, n_components, attempt])
        rows = ground.rows_for_start(attempt, n_components)
        rule = methods[min(attempt, len(methods) - 1)](rows, n_components, rng)
        try:
            yield ground.first(rule, run.candidate, rows)
        except SingularError as error:
            run.failures.append(str(error))


def _scouted(ground: Ground, runs: Sequence[Run]) -> Sample | None:
    """The rows that scouts look at, the sample or some of it; None where they cannot go ahead, or are not worth it."""
    settings, small = ground.settings, ground.small
    counts = [run.candidate.n_components for run in runs]
    plain = settings.accelerate and settings.max_iter >= scouts.MOST_STEPS and settings.fixed is NOTHING
    if not plain or ground.noise is not None or sum(counts) < SCOUTED_FROM:
        return None
    work = sum(counts) * (8 + small.n_features**2)
    wanted = max(int(SCOUTED_WORK / work), SAMPLE_ROWS_EACH * max(counts))
    if min(wanted, small.n_rows) * work > MOST_SCOUTED_WORK:
        return None
    sample = small if small.n_rows <= wanted else sketch.sample(small, wanted)
    return sample if all(ground.aim(run, sample).possible for run in runs) else None


def _scout(ground: Ground, runs: Sequence[Run], sample: Sample) -> None:
    """Send scouts from every start, and climb from the best place that they find for each run."""
    stop, place = ground.settings.race_stop, {run: i for i, run in enumerate(runs)}
    near = [[place[other] for other in others] for others in _neighbours(runs).values()]
    known: list[tuple[Run, Mixture | Fit, Stop]] = [
        (run, run.candidate.known, stop) for run in runs if run.candidate.known
    ]
    for run, fit in ground.climb("race", known, ground.small):
        run.raced.append(fit)
        run.best = fit
    starts = [[fit.model for fit in run.raced] or list(_starts(ground, run)) for run in runs]

    def told_to_stop(turn: int) -> bool:
        return ground.observer(Progress("race", turn, len(runs), len(runs), 0, sample.n_rows))

    aims, most = [ground.aim(run, sample) for run in runs], 1 if ground.small.complete else CONTENDERS
    begin: list[tuple[Run, Mixture | Fit, Stop]] = []
    found = scouts.explore(sample, aims, starts, near, seed=ground.seed, most=most, told_to_stop=told_to_stop)
    for run, its, (models, heights) in zip(runs, starts, found, strict=True):
        run.scouted = [height / sample.weight for height in heights]
        begin += [(run, start, stop) for start in models or its]
    for run, fit in ground.climb("race", begin, ground.small):
        run.raced.append(fit)
        if run.best is None or _merit(fit) > _merit(run.best, RACE_TOL * ground.small.weight):
            run.best = fit


def _repair(ground: Ground, runs: Sequence[Run], sample: Sample, rounds: int) -> None:
    """Start again, as long as that pays, from what neighbours found, or else with a component moved elsewhere."""
    near = _neighbours(runs)
    fresh = {run for run in runs if not run.candidate.known}  # whose best the neighbours have not started from yet
    most = {run: PATIENCE if near[run] else PATIENCE_ALONE for run in runs}
    patience = {run: most[run] if run in fresh else 0 for run in runs}
    for turn in range(rounds):
        if ground.told_to_stop:
            break
        offers: list[tuple[Run, Mixture]] = []
        moves: list[tuple[Run, Mixture]] = []
        for run in runs:
            if run.best is None or not _repairable(run.best):
                continue
            offered = [
                model
                for other in near[run]
                if other in fresh or (turn == 0 and run in fresh)
                if other.best is not None and not other.best.status.failed
                for model in _offers(ground, other.best, run.candidate, sample)
            ]
            offers += [(run, model) for model in offered]
            if not offered and patience[run] > 0:
                failed = most[run] - patience[run]
                patience[run] -= 1
                moves += [(run, model) for model in _moves(ground, run, sample, turn, failed)]
        arrived = _arrivals(ground, offers + moves, sample)
        moving = {run for run, _ in moves}
        fresh = set[Run]()
        for run, fit in arrived:
            if run not in moving:
                run.raced.append(fit)
            if run.best is None or _merit(fit) > _merit(run.best, RACE_TOL * sample.weight):
                run.best = fit
                fresh.add(run)
        patience.update({run: most[run] for run in fresh})
        if not (fresh or any(patience.values())):
            break


def _neighbours(runs: Sequence[Run]) -> dict[Run, list[Run]]:
    """For each run those of one component more or fewer, and those of the families next to its own."""
    families = {run.candidate.family for run in runs}

    def adjacent(one: Candidate, other: Candidate) -> bool:
        more = abs(one.n_components - other.n_components)
        if one.family is other.family:
            return more == 1
        return more == 0 and one.family.next_to(other.family, families)

    return {run: [other for other in runs if adjacent(run.candidate, other.candidate)] for run in runs}


def _offers(ground: Ground, fit: Fit, candidate: Candidate, sample: Sample) -> list[Mixture]:
    """A neighbour's mixture made one of the candidate's, with as many components and in its family."""
    n_components, family, _ = candidate
    noise = 0.0 if fit.model.noise is None else fit.model.noise.weight
    try:
        if n_components > fit.model.n_components:
            prior = ground.prior(sample.weight, n_components, family)
            models = splits(fit.model, sample, family, prior, OFFERS)
        elif n_components < fit.model.n_components:
            models = [ground.in_family(model, candidate) for model in mergers(fit.model, OFFERS)]
        else:
            models = [ground.in_family(fit.model, candidate)]
    except SingularError:
        return []
    return [ground.with_noise(model, least=noise) for model in models]


def _moves(ground: Ground, run: Run, sample: Sample, turn: int, failed: int) -> Iterator[Mixture]:
    """The best of a run with something of it elsewhere: first what its own parts offer, and then as chance has it."""
    if run.best is None:
        return
    n_components, family, _ = run.candidate
    with suppress(SingularError):  # that move led nowhere
        if failed == 0 and n_components > 2 and not misplaced_components(run.best):
            prior, noise = ground.prior(sample.weight, n_components, family), run.best.model.noise
            for model in swaps(run.best.model, sample, family, prior, OFFERS):
                yield ground.with_noise(model, least=0.0 if noise is None else noise.weight)
        else:
            rng = np.random.default_rng([ground.seed, n_components, turn, 1])  # whatever n_init
            yield ground.start(_move(run.best, sample, rng), run.candidate, 1.0, sample)


def _arrivals(ground: Ground, starts: Sequence[tuple[Run, Mixture]], sample: Sample) -> list[tuple[Run, Fit]]:
    """Where those starts arrive that come near the best of their run soon."""
    going: list[tuple[Run, Mixture | Fit]] = [*starts]
    for steps, most, behind in SIEVE:
        stop = Stop(RACE_TOL, steps, verify=False)
        going = [*_ahead(_further(ground, going, stop, sample, plainly=True), most, behind * sample.weight)]
    hopeful = [
        (run, fit) for run, fit in going if isinstance(fit, Fit) and _behind(run, fit) <= HOPE * fit.gap * sample.weight
    ]
    return _further(ground, hopeful, ground.settings.race_stop, sample)


def _further(
    ground: Ground, going: Sequence[tuple[Run, Mixture | Fit]], stop: Stop, sample: Sample, *, plainly: bool = False
) -> list[tuple[Run, Fit]]:
    """Where those climbs come to from where they are, in the steps that all of them together may take."""
    taken = [start.n_iter if isinstance(start, Fit) else 0 for _, start in going]
    stops = [replace(stop, max_iter=min(stop.max_iter, max(ground.settings.max_iter - n, 0))) for n in taken]
    starts = [(run, at, each) for (run, at), each in zip(going, stops, strict=True)]
    climbed = ground.climb("repair", starts, sample, plainly=plainly)
    return [
        (run, (_joined(start, fit) if each.max_iter else start) if isinstance(start, Fit) else fit)
        for (run, start), (_, fit), each in zip(going, climbed, stops, strict=True)
    ]


def _ahead(climbed: Sequence[tuple[Run, Fit]], most: int, behind: float) -> list[tuple[Run, Fit]]:
    """The most promising of each run, if they are no further behind its best."""
    by_run: dict[Run, list[Fit]] = {}
    for run, fit in climbed:
        if run.best is not None and fit.objective >= run.best.objective - behind:
            by_run.setdefault(run, []).append(fit)
    return [(run, fit) for run, fits in by_run.items() for fit in sorted(fits, key=_merit, reverse=True)[:most]]


def _behind(run: Run, fit: Fit) -> float:
    return -np.inf if run.best is None else run.best.objective - fit.objective


def _grow(ground: Ground, runs: Sequence[Run]) -> None:
    """Follow the best hills to larger and larger samples: what was but a speck of the small one shows there."""
    stop = ground.settings.race_stop
    for run in runs:
        run.hills = _apart([*run.raced, *([] if run.best is None else [run.best])])
    for number, sample in enumerate(ground.larger):
        climbed = ground.climb("grow", [(run, fit.model, stop) for run in runs for fit in run.hills], sample)
        for run in runs:
            run.hills = _apart([fit for whose, fit in climbed if whose is run])
            run.best = run.hills[0] if run.hills else run.best
        if number == 0:
            _repair(ground, runs, sample, GROWN_ROUNDS)
    if ground.larger:  # to the top there, at a fraction of what each step costs on all rows
        ends = [(run, run.best, ground.settings.stop) for run in runs if run.best is not None and run.hills]
        for run, fit in ground.climb("grow", ends, ground.larger[-1]):
            run.best = fit
            run.hills[0] = fit


def _apart(fits: Sequence[Fit]) -> list[Fit]:
    """The best of those fits that ended on different hills, the best first."""
    apart: list[Fit] = []
    for fit in sorted((fit for fit in fits if not fit.status.failed), key=_merit, reverse=True):
        if all(abs(fit.objective - other.objective) > SAME_HILL * fit.statistics.weight for other in apart):
            apart.append(fit)
    return apart[:CONTENDERS]


def _fall_back(ground: Ground, runs: Sequence[Run]) -> None:
    """Where the climb on all rows ended badly, climb the next hill too."""
    stop = ground.settings.stop
    doubtful = [run for run in runs if _doubtful(run)]
    for turn in range(1, CONTENDERS):
        if ground.told_to_stop:
            return
        others = [(run, run.hills[turn], stop) for run in doubtful if len(run.hills) > turn]
        for run, fit in ground.climb("climb", others):
            run.best = fit if run.best is None else max(run.best, fit, key=_merit)
        doubtful = [run for run in doubtful if not _sound(run.best)]


def _doubtful(run: Run) -> bool:
    """Whether the best fit failed, or has a component that is misplaced or came to little beside what it was."""
    if run.best is None or not _sound(run.best):
        return True
    before = run.hills[0].model.weights if run.hills else run.best.model.weights
    return bool((run.best.model.weights < WITHERED * before).any())


def _climb(ground: Ground, runs: Sequence[Run]) -> None:
    """The best of each candidate, or the start that it came with, on all rows, to the tolerance."""
    settings = ground.settings
    starts: list[tuple[Run, Mixture | Fit, Stop]] = []
    for run in runs:
        if run.unmoved:
            run.best = run.candidate.known
            continue
        best, passes = run.best, 0
        if run.candidate.by_chance or run.candidate.known:
            passes = best.n_iter if best is not None and ground.small.complete else 0
            if best is None or best.status.failed:
                continue
            if passes >= settings.max_iter:
                run.best = best = ground.measured(best)
                if best.status is Status.CONVERGED and best.gap >= settings.tol:  # to the tolerance of the race alone
                    run.best = replace(best, status=Status.MAX_ITER)
                continue
        try:
            start = _given(ground, run.candidate) if best is None else best
        except SingularError as error:
            run.failures.append(str(error))
        else:
            starts.append((run, start, Stop(settings.tol, settings.max_iter - passes)))
    for run, fit in ground.climb("climb", starts):
        known = run.candidate.known
        whole = _joined(run.best, fit) if run.best is not None and ground.small.complete else fit
        run.best = known if known and _merit(known) >= _merit(whole) else whole


def _settle(ground: Ground, runs: Sequence[Run]) -> None:
    """Climb again where a family ended below another that it holds, from what that one found."""
    margin = ground.settings.tol * ground.weight
    stop = ground.settings.stop
    for _ in range(SETTLE_ROUNDS):
        if ground.told_to_stop:
            return
        starts: list[tuple[Run, Mixture, Stop]] = []
        for run in runs:
            held = [other.best for other in runs if other.best and _within(other.candidate, run.candidate)]
            top = max(held, key=_merit, default=None)
            if run.best is not None and top is not None and _merit(top) > _merit(run.best, margin):
                with suppress(SingularError):
                    starts.append((run, ground.in_family(top.model, run.candidate), stop))
        better = [(r, fit) for r, fit in ground.climb("climb", starts) if r.best and _merit(fit) > _merit(r.best)]
        for run, fit in better:
            run.best = fit
        if not better:
            return


def _within(plain: Candidate, rich: Candidate) -> bool:
    """Whether every mixture of one candidate is one of the other, in a richer family."""
    same = plain.n_components == rich.n_components and plain.family is not rich.family
    return same and plain.family.within(rich.family)


def _given(ground: Ground, candidate: Candidate) -> Mixture:
    """The mixture that a candidate starts from."""
    n_components, family, start = candidate
    prior = ground.prior(ground.weight, n_components, family)
    if isinstance(start, Mixture):
        if start.noise is not None and ground.noise is None:
            raise ValueError("the start has a noise component: ask for noise, or start from its without_noise()")
        return ground.in_family(start, candidate)
    if isinstance(start, Parts) and start.means is not None:
        unit = ground.small.unit
        return completed(start, around(start.means, ground.source, family, prior, unit), ground.source, family, prior)
    if callable(start):
        return mixture_of(start, ground.source, n_components, family, prior)
    raise TypeError(f"a fit cannot start from {start!r}")


def _merit(fit: Fit, margin: float = 0.0) -> tuple[bool, int, float]:
    """What makes one fit of a candidate better than another: it holds, its components do, its objective is high."""
    if fit not in _MISPLACED:
        _MISPLACED[fit] = len(misplaced_components(fit))
    return not fit.status.failed, -_MISPLACED[fit], fit.objective + margin


#: How many components are misplaced, of the fits that are in use and have been compared.
_MISPLACED: WeakKeyDictionary[Fit, int] = WeakKeyDictionary()


def _sound(fit: Fit | None) -> bool:
    """Whether there is a fit that holds, and so do all its components."""
    return fit is not None and not fit.status.failed and not misplaced_components(fit)


def _repairable(fit: Fit) -> bool:
    """Whether a component could be moved elsewhere, and the climb has steps left."""
    return fit.model.n_components > 1 and fit.status not in (Status.SINGULAR, Status.MAX_ITER, Status.STOPPED)


def _move(fit: Fit, small: Sample, rng: np.random.Generator) -> Rule:
    """Responsibilities with the components that are empty or have collapsed elsewhere, or else one drawn by chance."""
    n_components = fit.model.n_components
    gone = misplaced_components(fit)
    if not gone and n_components > 2 and rng.random() < 0.5:
        return split_and_merged(fit.model, small, rng)
    return moved(fit.model, gone or (int(rng.integers(n_components)),), small, rng)


def _finished(rough: Fit, end: Fit) -> Fit:
    """One fit of a climb in single precision and of its end in double, measured where both agree."""
    first = end.trace[0]._replace(passes=rough.trace[-1].passes + 1)
    before = tuple(step for step in rough.trace if step.objective < first.objective)
    return _joined(replace(rough, trace=(*before, first)), end)


def _joined(before: Fit, after: Fit) -> Fit:
    """One fit of a climb and the one that went on from it over the same rows.

    The model of the last step has been measured again, in double precision if it was not before: of the steps before
    it, those stay that it does not contradict.
    """
    last, (seam, *later) = before.trace[-1], after.trace
    former = (step for step in before.trace[:-1] if step.objective <= seam.objective)
    steps = (step._replace(passes=last.passes + step.passes) for step in later)
    trace = (*former, seam._replace(passes=last.passes, kind=last.kind), *steps)
    return replace(after, trace=trace, n_iter=before.n_iter + after.n_iter)
