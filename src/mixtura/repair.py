"""The best of each candidate starts again: from what neighbours found, or with a part elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from mixtura.core.em import Fit, Stop
from mixtura.core.mixture import Mixture
from mixtura.core.status import Status
from mixtura.covariance.structure import SingularError
from mixtura.diagnosis import misplaced_components
from mixtura.ground import RACE_TOL, Candidate, Ground, Run, joined
from mixtura.sources.sketch import Sample
from mixtura.start import Rule, mergers, moved, split_and_merged, splits, swaps

#: How many moves of its own, the first of which swaps components, may fail in a row before a candidate is left as it
#: is: one that is alone, or has neighbours whose fits it can start from.
PATIENCE_ALONE = 3
PATIENCE = 2
#: Pairs merged, and components split, of a neighbour's fit, and of a candidate's own.
OFFERS = 2
#: How offers are sifted: so many steps on, this many of a run's go on, if they are no further behind its best than this
#: (nats a row). Of those that won in the end, one in thirty was further behind.
SIEVE = ((0, 2, 0.25), (2, 1, 0.05), (6, 1, 0.02))
#: The last is followed to the end if it is no further behind than this many times the gap that it sees.
HOPE = 2.0


def repair(ground: Ground, runs: Sequence[Run], sample: Sample, rounds: int) -> None:
    """Start again, as long as that pays, from what neighbours found, or else with a component moved elsewhere."""
    near = neighbours(runs)
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
            if run.best is None or merit(fit) > merit(run.best, RACE_TOL * sample.weight):
                run.best = fit
                fresh.add(run)
        patience.update({run: most[run] for run in fresh})
        if not (fresh or any(patience.values())):
            break


def neighbours(runs: Sequence[Run]) -> dict[Run, list[Run]]:
    """For each run those of one component more or fewer, and those of the families next to its own."""
    families = {run.candidate.family for run in runs}
    beside = {family.name: {f.name for f in families if family.next_to(f, families)} for family in families}

    def adjacent(one: Candidate, other: Candidate) -> bool:
        more = abs(one.n_components - other.n_components)
        if one.family is other.family:
            return more == 1
        return more == 0 and other.family.name in beside[one.family.name]

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


def _move(fit: Fit, small: Sample, rng: np.random.Generator) -> Rule:
    """Responsibilities with the components that are empty or have collapsed elsewhere, or else one drawn by chance."""
    n_components = fit.model.n_components
    gone = misplaced_components(fit)
    if not gone and n_components > 2 and rng.random() < 0.5:
        return split_and_merged(fit.model, small, rng)
    return moved(fit.model, gone or (int(rng.integers(n_components)),), small, rng)


def _repairable(fit: Fit) -> bool:
    """Whether a component could be moved elsewhere, and the climb has steps left."""
    return fit.model.n_components > 1 and fit.status not in (Status.SINGULAR, Status.MAX_ITER, Status.STOPPED)


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
        (run, (joined(start, fit) if each.max_iter else start) if isinstance(start, Fit) else fit)
        for (run, start), (_, fit), each in zip(going, climbed, stops, strict=True)
    ]


def _ahead(climbed: Sequence[tuple[Run, Fit]], most: int, behind: float) -> list[tuple[Run, Fit]]:
    """The most promising of each run, if they are no further behind its best."""
    by_run: dict[Run, list[Fit]] = {}
    for run, fit in climbed:
        if run.best is not None and fit.objective >= run.best.objective - behind:
            by_run.setdefault(run, []).append(fit)
    return [(run, fit) for run, fits in by_run.items() for fit in sorted(fits, key=merit, reverse=True)[:most]]


def _behind(run: Run, fit: Fit) -> float:
    return -np.inf if run.best is None else run.best.objective - fit.objective


def merit(fit: Fit, margin: float = 0.0) -> tuple[bool, int, float]:
    """What makes one fit of a candidate better than another: it holds, its components do, its objective is high."""
    if fit not in _MISPLACED:
        _MISPLACED[fit] = len(misplaced_components(fit))
    return not fit.status.failed, -_MISPLACED[fit], fit.objective + margin


#: How many components are misplaced, of the fits that are in use and have been compared.
_MISPLACED: WeakKeyDictionary[Fit, int] = WeakKeyDictionary()


def sound(fit: Fit | None) -> bool:
    """Whether there is a fit that holds, and so do all its components."""
    return fit is not None and not fit.status.failed and not misplaced_components(fit)
