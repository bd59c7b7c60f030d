"""The loop (S19): ask a source for the statistics of a model, make a better model of them, until the gradient is zero.

``climb`` is the way up from one start, written as a generator: it yields the model that it wants the statistics of,
is sent them, and returns a Fit. ``climb_together`` drives any number of climbs over the same passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from mixtura import kernels
from mixtura.core.acceleration import Curvature, Proposals, gained_more, steps_for
from mixtura.core.arguments import finite_rows, row_weights
from mixtura.core.blas import one_thread
from mixtura.core.estep import of_block_all
from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.mixture import Mixture
from mixtura.core.newton import Guide, Probes, View
from mixtura.core.point import Point
from mixtura.core.shown import Shown
from mixtura.core.statistics import Statistics
from mixtura.core.status import Status
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import SingularError
from mixtura.kernels import Kernel
from mixtura.sources.memory import Memory
from mixtura.sources.record import recordable
from mixtura.sources.source import Block, Source, watched

#: When no step raises the objective any more, a gap below this many nats a row counts as the top.
PRECISE_GAP = 1e-8


@dataclass(frozen=True)
class Stop:
    """When a climb ends.

    Attributes
    ----------
    tol : float
        Converged when the estimated gap to the top is below this many nats a row.
    max_iter : int
        The most passes over the rows; 0 measures the start alone.
    verify : bool
        Whether the end is looked at once more, see ``acceleration``.
    near : bool
        Whether the start is known to be near the top, so that it pays to look at once.
    """

    tol: float = 1e-6
    max_iter: int = 10_000
    verify: bool = True
    near: bool = False


class Step(NamedTuple):
    """A pass whose model was kept: how the model was found, and what was measured there (see Fit)."""

    passes: int
    kind: str
    loglik: float
    objective: float
    gradient_norm: float
    gap: float


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Shown):
    """What a fit found.

    Attributes
    ----------
    model : Mixture
        The best parameters.
    status : Status
        How it ended; its text is a sentence with a remedy.
    trace : tuple of Step
        The steps that led there; the objective never falls along it.
    loglik : float
        Σ w log p(x) of the rows under ``model`` itself (S11), in nats.
    objective : float
        What was maximised: ``loglik`` plus the prior's part.
    gradient_norm : float
        Norm of the gradient (S13, S15, S17) a row, in units of the complete-data Fisher information: it does not
        depend on the units of the columns, and half its square is what one more EM step may gain.
    gap : float
        Estimated distance to the top, in nats a row.
    n_iter : int
        Passes over the rows.
    statistics : Statistics
        Of the rows under ``model``.
    family : Family
    prior : Prior
    fixed : Fixed
        What was held where it is.
    curvature : Curvature or None
        What the last steps told about the curvature of the objective, for a climb that goes on from here.
    """

    model: Mixture
    status: Status
    trace: tuple[Step, ...]
    loglik: float
    objective: float
    gradient_norm: float
    gap: float
    n_iter: int
    statistics: Statistics
    family: Family
    prior: Prior
    fixed: Fixed = NOTHING
    curvature: Curvature | None = None

    def __repr__(self) -> str:
        found = f"{self.model.n_components} {self.family.name}, log-likelihood {self.loglik:.6g}"
        return f"<Fit {self.status.name}: {found}, gap {self.gap:.1e} nats a row>"

    @property
    def converged(self) -> bool:
        """Whether ``status`` is one of convergence."""
        return self.status.converged

    @property
    def n_parameters(self) -> int:
        """Free parameters of the model."""
        return n_parameters(self.model, self.family, self.fixed)


def n_parameters(model: Mixture, family: Family, fixed: Fixed = NOTHING) -> int:
    """Free parameters of a mixture of that family, those of the noise among them, less those that are fixed."""
    size = model.n_components, model.n_features
    noise = 0 if model.noise is None else model.noise.n_parameters
    return family.n_parameters(*size) + noise - fixed.n_parameters(*size, family)


class Task(NamedTuple):
    """A climb to make: from where, in which family, under which prior, with quasi-Newton steps or without.

    What is fixed has its place in the start already.
    """

    start: Mixture
    family: Family
    prior: Prior
    stop: Stop = Stop()
    accelerate: bool = True
    fixed: Fixed = NOTHING
    guide: Guide | None = None
    curvature: Curvature | None = None


class Pass(NamedTuple):
    """How far climbs over shared passes have come.

    Attributes
    ----------
    passes : int
        That are done.
    climbing : int
        Climbs still on their way.
    rows : int
        That are done of the next pass; 0 where none has begun.
    loglik : float
        The highest log-likelihood so far, in nats a row; NaN before there is one.
    gap : float
        The largest estimated distance to the top among the climbs on their way, in nats a row; NaN before there is one.
    """

    passes: int
    climbing: int
    rows: int = 0
    loglik: float = math.nan
    gap: float = math.nan


#: Called after each pass, and from time to time within long ones; a true answer ends the climbs where they are.
Callback = Callable[[Pass], bool | None]


class _Abandoned(Exception):
    """A pass was given up, for nobody wants its sum any more."""


class _End(Exception):
    """Thrown into a climb that is to end."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


def climb(task: Task, trace: list[Step] | None = None) -> Generator[Mixture, Statistics, Fit]:
    """From a start to the top of its hill; the objective never falls on the way. A trace that is given grows."""
    # the EM step of one component is the answer itself
    accelerate = task.accelerate and task.start.n_components > 1
    stop = task.stop
    steps = steps_for(
        task.family, task.prior, accelerate, stop.verify, stop.near, guide=task.guide, curvature=task.curvature
    )
    trace = [] if trace is None else trace
    passes, kind, arrived = 1, "start", False
    statistics = yield task.start
    here = Point(task.start, statistics, task.family, task.prior, task.fixed)
    try:
        if not stop.max_iter:
            trace.append(Step(passes, kind, statistics.loglik, here.objective, np.nan, np.inf))
            raise _End(Status.MAX_ITER)
        while True:
            view = steps.look(here)
            gap = min(view.gap, trace[-1].gap) if arrived else view.gap
            trace.append(Step(passes, kind, here.statistics.loglik, here.objective, view.gradient_norm, gap))
            if arrived:
                break
            if view.gap < steps.reach * stop.tol:
                view, probes = yield from _counted(steps.verify(here, view))
                passes += probes
                trace[-1] = trace[-1]._replace(gap=view.gap)
                arrived = view.gap < stop.tol
                if arrived and not view.leads:
                    break
            kind, there, tried = yield from _first_that_climbs(here, steps.propose(here, view))  # if arrived, the last
            passes += tried
            if there is None or (there.objective <= here.objective and there.gradient_norm >= here.gradient_norm):
                left = min(view.gap, 0.5 * view.gradient_norm**2)
                trace[-1] = trace[-1]._replace(gap=left)
                raise _End(Status.PRECISION if left < max(stop.tol, PRECISE_GAP) else Status.STALLED)
            steps.learn(here, there)
            arrived = arrived and not gained_more(here, there, trace[-1].gap)
            here = there
        status = Status.CONVERGED
    except _End as end:
        status = Status.CONVERGED if arrived else end.status
    except SingularError:
        status = Status.SINGULAR
        if not trace or trace[-1].passes < passes:  # it was met while looking from here
            trace.append(Step(passes, kind, here.statistics.loglik, here.objective, np.nan, np.inf))
    last, steps_made = trace[-1], max(passes - 1, min(1, stop.max_iter))
    return Fit(
        here.model, status, tuple(trace), last.loglik, last.objective, last.gradient_norm, last.gap,
        steps_made, here.statistics, task.family, task.prior, task.fixed, steps.curvature,
    )  # fmt: skip


def _counted(probes: Probes) -> Generator[Mixture, Statistics, tuple[View, int]]:
    """What the probes found, and how many passes they took."""
    passes = 0
    try:
        model = next(probes)
        while True:
            passes += 1
            model = probes.send((yield model))
    except StopIteration as ended:
        return ended.value, passes


def _first_that_climbs(
    here: Point, proposals: Proposals
) -> Generator[Mixture, Statistics, tuple[str, Point | None, int]]:
    """The first of the proposals that leads on, or None; and how many passes that took.

    The last, the EM step, need not: where it does not lower the objective, it tells whether there is any way on. A
    longer step that leaves all as it was tells nothing, for it may have been cut short.
    """
    tried = 0
    kind, model = next(proposals)
    while True:
        there = Point(model, (yield model), here.family, here.prior, here.fixed)
        tried += 1
        if there.objective >= here.objective - here.rounding and (kind == "em" or _leads_on(here, there)):
            return kind, there, tried
        try:
            kind, model = proposals.send(there.objective)
        except StopIteration:
            return kind, None, tried


def _leads_on(here: Point, there: Point) -> bool:
    """Whether the objective is higher there or, where rounding hides that, the gradient smaller."""
    try:
        return there.objective > here.objective or there.gradient_norm < here.gradient_norm
    except SingularError:  # nor does an EM step lead on from there
        return False


@recordable
class _Records(tuple[Statistics, ...]):
    """One record a model, added model by model."""

    def __add__(self, other: _Records) -> Self:  # type: ignore[override]
        return type(self)(mine + theirs for mine, theirs in zip(self, other, strict=True))


def _e_steps(models: Sequence[Mixture], kernel: Kernel, block: Block) -> _Records:
    return _Records(of_block_all(models, kernel, block))


def climb_together(
    tasks: Sequence[Task], source: Source, callback: Callback | None = None, kernel: Kernel | None = None
) -> list[Fit]:
    """All the climbs over shared passes: each pass sums, for every model still climbing, its statistics (S10).

    The kernel is the one for a problem of that size unless one is given. A climb whose covariances become singular
    ends with that status and leaves the others alone.
    """
    with one_thread(), np.errstate(under="ignore"):
        return _together(tasks, source, callback, kernel)


def _together(tasks: Sequence[Task], source: Source, callback: Callback | None, kernel: Kernel | None) -> list[Fit]:
    traces: list[list[Step]] = [[] for _ in tasks]
    climbs = [climb(task, trace) for task, trace in zip(tasks, traces, strict=True)]
    wanted = {i: next(way) for i, way in enumerate(climbs)}
    fits: dict[int, Fit] = {}
    if kernel is None:
        largest = max((model.n_components for model in wanted.values()), default=1)
        kernel = kernels.choose(source.n_rows, largest, source.n_features)
    watch = _Watch(callback, traces)
    while wanted:
        try:
            with watch.rows(source, wanted):
                records = source.total(partial(_e_steps, tuple(wanted.values()), kernel))
        except _Abandoned:
            for i in wanted:
                fits[i] = _ended(climbs[i], Status.STOPPED)
            break
        watch.weight = records[0].weight
        with np.errstate(all="ignore"):  # what is not finite is found by the checks of the step
            for i, statistics in zip(tuple(wanted), records, strict=True):
                try:
                    wanted[i] = climbs[i].send(statistics)
                except StopIteration as ended:
                    fits[i] = ended.value
                    del wanted[i]
        watch.passes += 1
        asked_to_end = watch.told_to_end(wanted)
        for i in tuple(wanted):
            late = watch.passes > tasks[i].stop.max_iter
            if late or asked_to_end:
                fits[i] = _ended(climbs[i], Status.MAX_ITER if late else Status.STOPPED)
                del wanted[i]
    return [fits[i] for i in range(len(tasks))]


def _ended(way: Generator[Mixture, Statistics, Fit], status: Status) -> Fit:
    """The fit that a climb is when it is ended where it stands."""
    try:
        way.throw(_End(status))
    except StopIteration as ended:
        return ended.value
    raise AssertionError("a climb that is to end goes on")


class _Watch:
    """Tells a callback of passes."""

    def __init__(self, callback: Callback | None, traces: Sequence[Sequence[Step]]) -> None:
        self.callback, self.traces = callback, traces
        self.passes, self.weight = 0, math.nan
        self.asked_to_end = False

    def told_to_end(self, wanted: Collection[int], rows: int = 0) -> bool:
        """Tell how far the climbs that want another pass are, and whether they are to end."""
        if self.callback is not None:
            loglik = max((trace[-1].loglik / self.weight for trace in self.traces if trace), default=math.nan)
            gaps = [self.traces[i][-1].gap for i in wanted if self.traces[i]]
            seen = Pass(self.passes, len(wanted), rows, loglik, max(gaps, default=math.nan))
            self.asked_to_end = bool(self.callback(seen)) or self.asked_to_end
        return self.asked_to_end

    @contextmanager
    def rows(self, source: Source, wanted: Collection[int]) -> Generator[None]:
        """Tell of the rows that are done too, as long as a pass takes; the first one, which all need, is not ended."""

        def tell(rows: int) -> None:
            if self.told_to_end(wanted, rows) and self.passes:
                raise _Abandoned

        with watched(source, None if self.callback is None else tell):
            yield


def em(
    start: Mixture,
    rows: ArrayLike | Source,
    family: Family | str = "full",
    *,
    sample_weight: ArrayLike | None = None,
    prior: Prior | None = None,
    fixed: Fixed | None = None,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    accelerate: bool = True,
) -> Fit:
    """Expectation-maximisation from one start (S19).

    Parameters
    ----------
    start : Mixture
    rows : array-like of shape (N, D), or Source
    family : Family or str
        How the covariances are related.
    sample_weight : array-like of shape (N,), optional
    prior : Prior, optional
        None maximises the plain likelihood.
    fixed : Fixed, optional
        What shall stay as it says; it takes its place in the start.
    tol : float
        Stop when the estimated gap to the top is below this many nats a row.
    max_iter : int
        The most steps.
    accelerate : bool
        Quasi-Newton steps with the EM step to fall back on, where the family allows; else the EM step alone.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If a row or weight is not finite, or none has a positive weight.
    SingularError
        If the start has no counterpart in the family.

    Examples
    --------
    >>> from mixtura import Mixture, em
    >>> X = Mixture([0.4, 0.6], [0, 5], [1, 2]).sample(500, 1)
    >>> fit = em(Mixture([0.5, 0.5], [1, 4], [1, 1]), X)
    >>> fit.status.name, fit.gap < 1e-6
    ('CONVERGED', True)
    """
    if not tol >= 0 or max_iter < 1:
        raise ValueError(f"tol must be at least 0 and max_iter at least 1, got {tol!r} and {max_iter!r}")
    if not isinstance(rows, Source):
        block = finite_rows(rows, start.n_features)
        weights = row_weights(sample_weight, len(block))
        if len(block) == 0 or (weights is not None and not weights.any()):
            raise ValueError("there is nothing to fit: give at least one row with a positive weight")
        rows = Memory(block, weights)
    elif sample_weight is not None:
        raise ValueError("a Source carries its own row weights: leave sample_weight out")
    family = registry.get(family)
    prior = prior or Prior.none(start.n_features)
    fixed = fixed or NOTHING
    fixed.check(start.n_components, start.n_features, family)
    start = fixed.place(settled(in_family(start, family), prior), family)
    task = Task(start, family, prior, Stop(tol, max_iter), accelerate, fixed)
    return climb_together([task], rows)[0]


def settled(start: Mixture, prior: Prior) -> Mixture:
    """The start with the variance that the prior gives to directions in which the rows do not vary."""
    structure = prior.settled(start.structure)
    if structure is start.structure:
        return start
    return Mixture(start.weights, start.means, structure, columns=start.columns, noise=start.noise)


def in_family(start: Mixture, family: Family) -> Mixture:
    """The start itself, or its nearest in the family: the M-step of the start's own moments."""
    share = np.maximum(start.weights, np.finfo(np.float64).eps)
    structure = family.nearest(start.structure, share)
    if structure is start.structure:
        return start
    return Mixture(start.weights, start.means, structure, columns=start.columns, noise=start.noise)
