"""From candidates to fits, all of them in shared passes.

Starts race on a bounded sample of the rows. The best of each candidate is repaired there as long as that pays: it
starts again from what neighbouring candidates found, or with a component moved elsewhere. Then it climbs on all rows to
the tolerance. Where many candidates share a small table, scouts find out where to climb instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from mixtura import kernels, scouts
from mixtura.core.blas import one_thread
from mixtura.core.em import Fit, Stop
from mixtura.core.fixed import NOTHING
from mixtura.core.mixture import Mixture
from mixtura.core.status import Status
from mixtura.covariance.structure import SingularError
from mixtura.diagnosis import Grade, Note, diagnose_rows, idle_directions, name_columns, of_prior, of_units
from mixtura.ground import (
    RACE_TOL,
    Candidate,
    Ground,
    Obeyed,
    Observer,
    Progress,
    Run,
    Settings,
    joined,
)
from mixtura.repair import merit, neighbours, repair, sound
from mixtura.scouts import SAME_HILL, Aim
from mixtura.sources import sketch
from mixtura.sources.sketch import Sample, samples
from mixtura.sources.source import Source, watched
from mixtura.start import METHODS, Parts, Rule, around, completed, mixture_of
from mixtura.strays import with_strays

#: Distinct rows on which starts race, at least …
SAMPLE_ROWS = 5_000
#: … and for each component at least so many, and so many for each of its free parameters in the richest family, if that
#: is a small part of all rows (the inverse of GROWTH).
SAMPLE_ROWS_EACH = 100
SAMPLE_ROWS_PARAMETER = 20
#: Rounds of repair at the most; after scouts that saw but a part of the sample; on the first two of several samples.
REPAIR_ROUNDS, SCOUTED_ROUNDS, GROWN_ROUNDS = 12, 2, 4
#: Rounds in which families that ended below one that they hold climb again.
SETTLE_ROUNDS = 4
#: Scouts go ahead where the candidates have this many components together, for their machine code takes seconds to
#: compile, once. They look at as many rows as make a step of all of them so much work (rows × components × (8 +
#: columns²)), or more if SAMPLE_ROWS_EACH asks for that, unless it is then more than …
SCOUTED_FROM = 80
SCOUTED_WORK, MOST_SCOUTED_WORK = 1.5e8, 4e8
#: They lose digits where rows lie so many spreads off.
FARTHEST = 1e6
#: Larger samples, through which a climb comes to all rows, grow by this factor; the largest has no more than that part
#: of the rows, nor more numbers, in the table of its rows or of their responsibilities, than …
GROWTH = 8
SAMPLE_NUMBERS = 2_000_000
#: How many hills of a candidate are followed from one sample to the next.
CONTENDERS = 3
#: A component which on more rows keeps less than this part of its weight was but a speck of the sample.
WITHERED = 0.2
#: The most that the squares of all values may add up to, weights included, and the least square of a spread, likewise;
#: so values of up to so many rows of weight 1 may reach 3·10¹⁵¹.
MOST_SQUARE, LEAST_SQUARE = 1e306, 1e-300
LARGE = 1e3


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
    obeyed = Obeyed(observer)
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
        _scout(ground, open_to_others, *scouted)
        if scouted[0] is not small:
            repair(ground, open_to_others, small, SCOUTED_ROUNDS)
    else:
        _race(ground, open_to_others)
        repair(ground, open_to_others, small, GROWN_ROUNDS if larger else REPAIR_ROUNDS)
    _grow(ground, [run for run in open_to_others if not run.unmoved])
    _climb(ground, [run for run in runs if run.unmoved or not run.arrived])
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
    starts = [(run, model, stop) for run, model in _starts(ground, runs)]
    for run, fit in ground.climb("race", _known(runs, stop) + starts, ground.small):
        run.raced.append(fit)
        run.best = max(run.raced, key=merit)


def _known(runs: Sequence[Run], stop: Stop) -> list[tuple[Run, Mixture | Fit, Stop]]:
    """The fits that there are already, to climb from."""
    return [(run, run.candidate.known, stop) for run in runs if run.candidate.known]


def _starts(ground: Ground, runs: Sequence[Run]) -> Iterator[tuple[Run, Mixture]]:
    """The starts that the runs make by chance, less those that fail."""
    methods = METHODS[ground.settings.init_params]
    rules: dict[tuple[int, int], Rule] = {}  # those of one number of components have them in common
    for run in runs:
        k = run.candidate.n_components
        for attempt in run.attempts:
            rows = ground.rows_for_start(attempt, k)
            try:
                if (k, attempt) not in rules:
                    rng = np.random.default_rng([ground.seed, k, attempt])
                    rules[k, attempt] = methods[min(attempt, len(methods) - 1)](rows, k, rng)
                yield run, ground.first(rules[k, attempt], run.candidate, rows)
            except SingularError as error:
                run.failures.append(str(error))


def _scouted(ground: Ground, runs: Sequence[Run]) -> tuple[Sample, list[Aim]] | None:
    """The rows that scouts look at, the sample or some of it, and what for; None where they do not go."""
    settings, small = ground.settings, ground.small
    counts = [run.candidate.n_components for run in runs]
    plain = settings.accelerate and settings.max_iter >= scouts.MOST_STEPS and settings.fixed is NOTHING
    if not plain or sum(counts) < SCOUTED_FROM or np.abs(small.standard).max() > FARTHEST:
        return None
    work = sum(counts) * (8 + small.n_features**2)
    wanted = max(int(SCOUTED_WORK / work), SAMPLE_ROWS_EACH * max(counts))
    if min(wanted, small.n_rows) * work > MOST_SCOUTED_WORK:
        return None
    sample = small if small.n_rows <= wanted else sketch.sample(small, wanted)
    aims = [ground.aim(run, sample) for run in runs]
    return (sample, aims) if all(aim.possible for aim in aims) else None


def _scout(ground: Ground, runs: Sequence[Run], sample: Sample, aims: Sequence[Aim]) -> None:
    """Send scouts from every start, and climb from the best place that they find for each run."""
    small, stop = ground.small, ground.settings.race_stop
    place = {run: i for i, run in enumerate(runs)}
    near = [[place[other] for other in others] for others in neighbours(runs).values()]
    for run, fit in ground.climb("race", _known(runs, stop), small):
        run.raced.append(fit)
        run.best = fit
    starts = _scouts_starts(ground, runs)

    def told_to_stop(turn: int) -> bool:
        return ground.observer(Progress("race", turn, len(runs), len(runs), 0, sample.n_rows))

    found = scouts.explore(
        sample,
        aims,
        list(starts.values()),
        near,
        noise=ground.noise,
        seed=ground.seed,
        most=1 if sample.complete else CONTENDERS,
        n_threads=getattr(ground.source, "n_threads", small.n_threads),
        told_to_stop=told_to_stop,
    )
    begin: list[tuple[Run, Mixture]] = []
    for run, (models, heights) in zip(runs, found, strict=True):
        run.scouted = [height / sample.weight for height in heights]
        run.arrived = sample.complete
        begin += [(run, model) for model in models]
        for start in () if models else starts[run]:
            with suppress(SingularError):
                begin.append((run, ground.in_family(start, run.candidate)))
    stage, rows = "race", small
    if sample.complete:
        stage, rows, stop = "climb", None, replace(ground.settings.stop, near=True)
    for run, fit in ground.climb(stage, [(run, model, stop) for run, model in begin], rows):
        run.raced.append(fit)
        if run.best is None or merit(fit) > merit(run.best, RACE_TOL * small.weight):
            run.best = fit


def _scouts_starts(ground: Ground, runs: Sequence[Run]) -> dict[Run, list[Mixture]]:
    """Where scouts begin: at the fits that there are, or else at all starts of as many components.

    Those are made once for all families, in the richest of them.
    """
    starts = {run: [ground.with_noise(fit.model) for fit in run.raced] for run in runs}
    own = [run for run in runs if not run.raced and run.candidate.start is not None]
    for run, model in _starts(ground, own):
        starts[run].append(model)
    richest = max((run.candidate.family for run in runs), key=lambda family: family.free(2, ground.small.n_features))
    rest = [run for run in runs if run.candidate.start is None]
    for k in {run.candidate.n_components for run in rest}:
        peers = [run for run in rest if run.candidate.n_components == k]
        together = Run(Candidate(k, richest), sorted({attempt for run in peers for attempt in run.attempts}))
        models = [model for _, model in _starts(ground, [together])]
        for run in peers:
            starts[run] = models
            run.failures += together.failures
    return starts


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
            repair(ground, runs, sample, GROWN_ROUNDS)
    if ground.larger:  # to the top there, at a fraction of what each step costs on all rows
        ends = [(run, run.best, ground.settings.stop) for run in runs if run.best is not None and run.hills]
        for run, fit in ground.climb("grow", ends, ground.larger[-1]):
            run.best = fit
            run.hills[0] = fit


def _apart(fits: Sequence[Fit]) -> list[Fit]:
    """The best of those fits that ended on different hills, the best first."""
    apart: list[Fit] = []
    for fit in sorted((fit for fit in fits if not fit.status.failed), key=merit, reverse=True):
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
            run.best = fit if run.best is None else max(run.best, fit, key=merit)
        doubtful = [run for run in doubtful if not sound(run.best)]


def _doubtful(run: Run) -> bool:
    """Whether the best fit failed, or has a component that is misplaced or came to little beside what it was."""
    if run.best is None or not sound(run.best):
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
        whole = joined(run.best, fit) if run.best is not None and ground.small.complete else fit
        run.best = known if known and merit(known) >= merit(whole) else whole


def _settle(ground: Ground, runs: Sequence[Run]) -> None:
    """Climb again where a family ended below another that it holds, from what that one found."""
    margin = ground.settings.tol * ground.weight
    stop = ground.settings.stop
    held = {run: [other for other in runs if _within(other.candidate, run.candidate)] for run in runs}
    tried: set[tuple[Run, Fit]] = set()
    for _ in range(SETTLE_ROUNDS):
        if ground.told_to_stop:
            return
        starts: list[tuple[Run, Mixture, Stop]] = []
        for run, others in held.items():
            top = max((other.best for other in others if other.best), key=merit, default=None)
            if run.best is None or top is None or (run, top) in tried or merit(top) <= merit(run.best, margin):
                continue
            tried.add((run, top))
            with suppress(SingularError):
                starts.append((run, ground.in_family(top.model, run.candidate), stop))
        better = [(r, fit) for r, fit in ground.climb("climb", starts) if r.best and merit(fit) > merit(r.best)]
        for run, fit in better:
            run.best = fit
        if not better:
            return


def _within(plain: Candidate, rich: Candidate) -> bool:
    """Whether every mixture of one candidate is one of the other, in a richer family."""
    if plain.n_components != rich.n_components or plain.family is rich.family:
        return False
    return plain.family.within(rich.family)


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
