"""Scouts: where the hills of a small table are, found by many short climbs in machine code.

Each candidate begins at its starts, and tries again from what its neighbours found and from changes of its own best, as
long as that leads higher. What comes of it is where the climbs of mixtura.race begin: nothing that a fit says about
itself was computed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from threading import Lock
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mixtura.core.mixture import Mixture
from mixtura.core.noise import Noise
from mixtura.core.point import LEAST_ROW
from mixtura.core.statistics import Array
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Diagonal, Full, SingularError, Structure, Tied, matrix_of
from mixtura.diagnosis import LEANING_SHARE
from mixtura.kernels import machine
from mixtura.sources.sketch import Sample
from mixtura.sources.threaded import in_threads
from mixtura.start import unions

#: The letters of a family's name as the machine code numbers them, and what it knows of shapes and orientations.
LETTERS = "IEV"
KNOWN = {"II", "EI", "VI", "EE", "VE", "EV", "VV"}
#: Steps of a climb, at the most.
MOST_STEPS = 500
#: What is tried is sifted: after so many steps, this many go on.
SIEVE = np.array([[2, 4], [8, 2], [25, 1], [MOST_STEPS, 1]])
#: One goes on if it is no further behind the best than this many times what its last steps gained.
HOPE = 4.0
#: The first steps of a climb are plain; and the gain (nats a row) that is next to nothing, while hills are told apart
#: and at the end.
PLAIN_STEPS, ENOUGH, LEAST = 5, 1e-7, 1e-11
#: One mixture is better than another by this many nats a row at least.
BETTER = 1e-5
#: Two climbs ended on the same hill when their objectives agree to this, in nats a row.
SAME_HILL = 3e-4
#: Rounds at the most, and how many changes of its own may fail in a row before a candidate is left as it is.
ROUNDS = 12
PATIENCE = 2
#: Pairs of components that are joined, of a neighbour's mixture and of a candidate's own; components moved elsewhere.
PAIRS, MOVES = 3, 4
#: Rows are taken so many at a time, those that are left over singly.
WHOLE = 16
#: Halves of a normal distribution cut at its mean: how far their means lie from there, in standard deviations.
HALF = float(np.sqrt(2 / np.pi))


@dataclass(frozen=True, eq=False)
class Stack:
    """Mixtures of one size, (M, 1 + K (1 + D + D²)).

    Of each the weights, that of the noise the last, then the means and the covariances.
    """

    numbers: Array
    n_components: int
    n_features: int

    @classmethod
    def of(cls, weights: Array, means: Array, covariances: Array, noise: Array) -> Self:
        """Of arrays (M, K), (M, K, D) and (M, K, D, D), and the weights of the noise (M,)."""
        parts = (part.reshape(len(weights), -1) for part in (weights, noise, means, covariances))
        return cls(np.concatenate(list(parts), axis=1), *means.shape[1:])

    @classmethod
    def joined(cls, stacks: Sequence[Stack]) -> Self:
        """All of them in one."""
        return cls(np.concatenate([s.numbers for s in stacks]), stacks[0].n_components, stacks[0].n_features)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def weights(self) -> Array:
        """(M, K)."""
        return self.numbers[:, : self.n_components]

    @property
    def noise(self) -> Array:
        """(M,)."""
        return self.numbers[:, self.n_components]

    @property
    def means(self) -> Array:
        """(M, K, D)."""
        k, d = self.n_components, self.n_features
        return self.numbers[:, k + 1 : k + 1 + k * d].reshape(-1, k, d)

    @property
    def covariances(self) -> Array:
        """(M, K, D, D)."""
        k, d = self.n_components, self.n_features
        return self.numbers[:, k + 1 + k * d :].reshape(-1, k, d, d)

    def take(self, which: NDArray[np.intp]) -> Stack:
        """Some of them."""
        return Stack(self.numbers[which], self.n_components, self.n_features)


@dataclass(frozen=True, eq=False)
class Land:
    """The rows, column after column, from the middle of each and in one unit for all, a power of two; and the noise.

    There are as many as machine code likes, the last of which may weigh nothing.
    """

    sample: Sample
    noise: Noise | None
    middle: Array
    unit: float
    columns: Array
    weights: Array

    @classmethod
    def of(cls, sample: Sample, noise: Noise | None = None) -> Self:
        """Those of a sample."""
        middle, spread = sample.middle_and_spread
        unit = 2.0 ** round(math.log2(spread.max(initial=0.0) or 1.0))
        size = -(-sample.n_rows // WHOLE) * WHOLE
        columns, weights = np.zeros((sample.n_features, size)), np.zeros(size)
        columns[:, : sample.n_rows] = ((sample.rows - middle) / unit).T
        weights[: sample.n_rows] = sample.weights
        return cls(sample, noise, middle, unit, columns, weights)

    @property
    def units(self) -> Array:
        """(D,) what the columns are measured in, in the terms of these."""
        return self.sample.unit / self.unit

    @property
    def log_unit(self) -> float:
        """What a log density gains in these terms."""
        return self.sample.n_features * math.log(self.unit)

    def stack(self, model: Mixture) -> Stack:
        """A mixture as scouts take it."""
        means, covariances = (model.means - self.middle) / self.unit, model.covariances / self.unit / self.unit
        noise = np.array([0.0 if model.noise is None else model.noise.weight])
        return Stack.of(model.weights[None], means[None], covariances[None], noise)

    def mixture(self, stack: Stack, family: Family) -> Mixture:
        """The only one of a stack, where an M-step of that family has led."""
        means, covariances = stack.means[0] * self.unit + self.middle, stack.covariances[0] * self.unit * self.unit
        if family.kind == "diagonal":
            structure: Structure = Diagonal.from_variances(np.diagonal(covariances, axis1=1, axis2=2))
        elif family.kind == "tied":
            structure = Tied.from_covariance(covariances[0], len(means))
        else:
            structure = Full.from_covariances(covariances)
        weights = stack.numbers[0, : stack.n_components + 1] / stack.numbers[0, : stack.n_components + 1].sum()
        noise = None if self.noise is None else self.noise.weighing(float(weights[-1]))
        return Mixture(weights[:-1], means, structure, noise=noise)


class Aim(NamedTuple):
    """What to look for: so many components in a family, under a prior."""

    n_components: int
    family: Family
    prior: Prior

    @property
    def possible(self) -> bool:
        """Whether the machine code knows the family, and the rows leave no direction open."""
        volume, rest = self.family.mclust[:1], self.family.mclust[1:]
        return volume in LETTERS[1:] and rest in KNOWN and self.prior.span is None


@dataclass(eq=False)
class Scout:
    """What is looked for, and the best of it so far.

    Attributes
    ----------
    land : Land
    aim : Aim
    best : Stack or None
        The best mixture, alone.
    height : float
        Its objective.
    misplaced : int
        How many of its components are.
    version : int
        How often there was a better one.
    seen : dict
        Which version of its neighbours' best it has tried.
    patience : int
        How many more changes of its own may fail.
    reached : list of (float, Stack)
        Where climbs ended, and how high.
    """

    land: Land
    aim: Aim
    best: Stack | None = None
    height: float = -np.inf
    misplaced: int = 0
    version: int = 0
    seen: dict[int, int] = field(default_factory=dict[int, int])
    patience: int = PATIENCE
    reached: list[tuple[float, Stack]] = field(default_factory=list[tuple[float, Stack]])

    def __post_init__(self) -> None:
        prior, land = self.aim.prior, self.land
        centre = np.zeros(len(land.middle)) if prior.mean is None else (prior.mean - land.middle) / land.unit
        pseudo = np.array(matrix_of(prior.scatter) / land.unit / land.unit)
        self.pseudo = float(prior.count), pseudo, float(prior.shrinkage), centre
        self.log_noise = -np.inf if land.noise is None else land.noise.log_density + land.log_unit
        # what the unit takes from the objective
        self.lost = (land.sample.weight + self.n_components * prior.count) * land.log_unit
        self.letters = tuple(LETTERS.index(letter) for letter in self.aim.family.mclust)
        self.margin = BETTER * self.land.sample.weight
        self.standing = self._standing()

    def _standing(self) -> tuple[float, float, bool, Array, Array]:
        """What makes a component misplaced, as mixtura.diagnosis has it."""
        sample, unit = self.land.sample, self.land.unit
        family, resolution = self.aim.family, self.aim.prior.resolution
        floor, narrowest = np.zeros(sample.n_features), np.zeros((sample.n_features, sample.n_features))
        if resolution is not None:
            floor = resolution.floor / unit / unit
            narrowest = narrowest if resolution.narrowest is None else resolution.narrowest / unit / unit
        only_empty = family.pooled or (family.kind != "diagonal" and sample.n_rows <= sample.n_features)
        return LEAST_ROW * sample.weight / sample.n_rows, LEANING_SHARE, only_empty, floor, narrowest

    @property
    def n_components(self) -> int:
        """K."""
        return self.aim.n_components

    def found(self, most: int) -> Found:
        """What came of it: at most so many mixtures."""
        if self.best is None:
            return Found([], [])
        self.climb(self.best, MOST_STEPS, LEAST)
        apart, models = [], []
        ends = sorted(self.reached, key=itemgetter(0), reverse=True)
        for height, stack in [(self.height, self.best), *ends]:
            if len(models) == most:
                break
            if all(abs(height - other) > SAME_HILL * self.land.sample.weight for other in apart):
                apart.append(height)
                with suppress(SingularError):  # at the edge of double precision
                    models.append(self.land.mixture(stack, self.aim.family))
        return Found(models, [height for height, _ in ends])

    def climb(self, stack: Stack, steps: int, enough: float = ENOUGH) -> Array:
        """Climb from there, in place, and say how high each came; −∞ where it led nowhere."""
        return self.ascend(stack, np.array([[steps, len(stack)]]), -np.inf, enough)[0]

    def ascend(
        self, stack: Stack, sieve: NDArray[np.int64], bar: float, enough: float = ENOUGH
    ) -> tuple[Array, NDArray[np.int64]]:
        """Climb through a sieve, and say also of how many components that are misplaced.

        What is left behind there, as not promising to come above the bar, is at −∞ too.
        """
        land, heights, misplaced = self.land, np.empty(len(stack)), np.zeros(len(stack), dtype=np.int64)
        rows, ways = (land.columns, land.weights), (sieve, HOPE, bar + self.lost)
        what = self.log_noise, self.pseudo, self.standing, self.letters
        until = PLAIN_STEPS, enough * land.sample.weight
        machine.run("ascent", "ascend", None, (*rows, *what, *ways, *until, stack.numbers, heights, misplaced))
        return np.where(np.isnan(heights), -np.inf, heights) - self.lost, misplaced

    def explore(self, stack: Stack) -> None:
        """Try these mixtures, and take the highest that they lead to if it is better than the best.

        Better is what has fewer misplaced components or, if no more, is higher.
        """
        heights, misplaced = self.ascend(stack, SIEVE, -np.inf if self.misplaced else self.height)
        first = int(heights.argmax())
        height, gone = float(heights[first]), int(misplaced[first])
        if height == -np.inf:
            return
        end = stack.take(np.array([first]))
        self.reached.append((height, end))
        if self.best is None or (-gone, height) > (-self.misplaced, self.height + self.margin):
            self.best, self.height, self.misplaced = end, height, gone
            self.version += 1
            self.patience = PATIENCE

    def offered(self, neighbours: dict[int, Scout]) -> list[Stack]:
        """What is new of the neighbours' best, made mixtures of this size."""
        fresh = [scout for i, scout in neighbours.items() if scout.version > self.seen.get(i, 0)]
        self.seen = {i: scout.version for i, scout in neighbours.items()}
        return [self.offer(scout) for scout in fresh]

    def offer(self, neighbour: Scout) -> Stack:
        """The best of a neighbour, as it is or with one component more or fewer."""
        if neighbour.best is None:
            raise ValueError("there is nothing to offer")
        if neighbour.n_components < self.n_components:
            return cuts(neighbour.best, self.land.units)
        return joins(neighbour.best, PAIRS) if neighbour.n_components > self.n_components else neighbour.best

    def changed(self, seed: Sequence[int]) -> list[Stack]:
        """Its own best, changed: two components made one and another cut, or else, as chance has it, one moved."""
        if self.best is None or not self.patience or self.n_components < 2:
            return []
        self.patience -= 1
        if self.n_components > 2 and self.patience == PATIENCE - 1:
            return [swaps(self.best, self.land.units)]
        return [moves(self.best, self.land, np.random.default_rng(seed))]


def cuts(stack: Stack, unit: Array, first: int | None = None) -> Stack:
    """The first mixture with each of its first components in turn cut in two at its mean, across its longest axis."""
    weights, means, covariances = stack.weights[0], stack.means[0], stack.covariances[0]
    n_components = len(weights)
    count = n_components if first is None else first
    with np.errstate(all="ignore"):  # what is not finite leads nowhere
        standard = covariances[:count] / unit / unit[:, None]
    sizes, axes = np.linalg.eigh(np.where(np.isfinite(standard), standard, 0.0))
    ahead = np.sqrt(np.maximum(sizes[:, -1:], 0.0)) * axes[:, :, -1] * unit * HALF
    k, others = np.arange(count), np.full(count, n_components)
    pi, mu, sigma = (
        np.repeat(np.concatenate([part, part[:1]])[None], count, axis=0) for part in (weights, means, covariances)
    )
    for place, way in ((k, ahead), (others, -ahead)):
        pi[k, place] = 0.5 * weights[:count]
        mu[k, place] = means[:count] + way
        sigma[k, place] = covariances[:count] - way[:, :, None] * way[:, None, :]
    return Stack.of(pi, mu, sigma, np.repeat(stack.noise[:1], count))


def joins(stack: Stack, most: int) -> Stack:
    """The first mixture with two of its components made one, which comes last: the pairs that cost least."""
    weights, means, covariances = stack.weights[0], stack.means[0], stack.covariances[0]
    pairs = unions(weights, means, covariances, np.linalg.slogdet(covariances)[1], most)
    stay = np.stack([np.delete(np.arange(len(weights)), [i, j]) for i, j in zip(pairs.i, pairs.j, strict=True)])
    return Stack.of(
        np.concatenate([weights[stay], pairs.weights[:, None]], axis=1),
        np.concatenate([means[stay], pairs.means[:, None]], axis=1),
        np.concatenate([covariances[stay], pairs.covariances[:, None]], axis=1),
        np.repeat(stack.noise[:1], len(stay)),
    )


def swaps(stack: Stack, unit: Array) -> Stack:
    """The first mixture with two components made one, and another cut in two."""
    joined = joins(stack, PAIRS)
    others = joined.n_components - 1
    return Stack.joined([cuts(joined.take(np.array([m])), unit, others) for m in range(len(joined))])


def moves(stack: Stack, land: Land, rng: np.random.Generator) -> Stack:
    """The first mixture with a component put around a row, both drawn by chance, and as wide as all are on average."""
    new = stack.take(np.zeros(MOVES, dtype=np.intp))
    rows = rng.choice(land.columns.shape[1], MOVES, p=land.weights / land.weights.sum())
    which, m = rng.integers(new.n_components, size=MOVES), np.arange(MOVES)
    new.means[m, which] = land.columns[:, rows].T
    new.covariances[m, which] = np.einsum("k,kij->ij", stack.weights[0], stack.covariances[0])
    new.weights[m, which] = 0.5 / new.n_components
    new.weights[:] *= ((1 - new.noise) / new.weights.sum(1))[:, None]
    return new


class Found(NamedTuple):
    """The best mixture that was found, if any, and then others, the best first; and how high climbs came."""

    models: Sequence[Mixture]
    heights: Sequence[float]


def explore(
    sample: Sample,
    aims: Sequence[Aim],
    starts: Sequence[Sequence[Mixture]],
    near: Sequence[Sequence[int]],
    *,
    noise: Noise | None = None,
    seed: int,
    most: int,
    n_threads: int,
    told_to_stop: Callable[[int], bool],
) -> list[Found]:
    """What can be found of each aim, beginning from its starts.

    Parameters
    ----------
    sample : Sample
    aims : sequence of Aim
    starts : sequence of sequences of Mixture
        Where to begin.
    near : sequence of sequences of int
        The neighbours of each, whose mixtures it tries: of one component more or fewer in the same family, or as many
        in another.
    noise : Noise, optional
        That the starts have.
    seed : int
    most : int
        How many mixtures are wanted of each.
    n_threads : int
        Results are the same bits for any number.
    told_to_stop : callable
        Asked before each half of a round, with the number of rounds that are done.
    """
    land = Land.of(sample, noise)
    scouts = [Scout(land, aim) for aim in aims]
    with ThreadPoolExecutor(n_threads, thread_name_prefix="mixtura") as pool:

        def sent(tried: Iterable[tuple[Scout, list[Stack]]]) -> bool:
            """Explore all that there is to try, and whether there was anything."""
            jobs = [partial(scout.explore, Stack.joined(stacks)) for scout, stacks in tried if stacks]
            _together(jobs, pool, n_threads - 1)
            return bool(jobs)

        firsts = [[land.stack(model) for model in its] for its in starts]
        sent(zip(scouts, firsts, strict=True))
        # where the highest has spikes, the others on their own: one of them may be sound
        for attempt in range(max(map(len, firsts), default=0)):
            spiked = [(scout, its[attempt:][:1]) for scout, its in zip(scouts, firsts, strict=True) if scout.misplaced]
            sent(spiked)
        for turn in range(ROUNDS):
            busy = False
            for side in _sides(aims):  # all of one side look at what the others have found: threads change nothing
                if told_to_stop(turn):
                    break
                tried = [
                    (scout, scout.offered({j: scouts[j] for j in near[i]}) or scout.changed([seed, i, turn]))
                    for i, scout in ((i, scouts[i]) for i in side)
                ]
                busy = sent(tried) or busy
            if not busy:
                break
    return [scout.found(most) for scout in scouts]


def _together(jobs: Iterable[Callable[[], None]], pool: ThreadPoolExecutor, more: int) -> None:
    """Do them all, with so many threads to help."""
    left, taking = iter(jobs), Lock()

    def work() -> None:
        nonlocal left
        try:
            while True:
                with taking:
                    job = next(left, None)
                if job is None:
                    break
                job()
        finally:  # at the end, or where something went wrong, the others come back too
            left = iter(())

    in_threads(work, lambda: pool, more)


def _sides(aims: Sequence[Aim]) -> tuple[list[int], list[int]]:
    """Two groups of aims such that neighbours, one component or one letter of freedom apart, are not in the same."""
    freedom = [aim.n_components + sum(map(LETTERS.index, aim.family.mclust)) for aim in aims]
    return [i for i, f in enumerate(freedom) if f % 2], [i for i, f in enumerate(freedom) if not f % 2]
