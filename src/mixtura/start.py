"""Where a climb starts: a rule gives every row its responsibilities, and an M-step makes a mixture of them.

All starts are written on a source's ``total`` alone, so they work wherever the rows live; those that are not given
work on a bounded sample that does not depend on the order of the rows or on how their weights are written down
(mixtura.sources.sketch).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add, itemgetter
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from mixtura.core.mixture import BLOCK_ROWS, Mixture
from mixtura.core.mstep import first_m_step
from mixtura.core.noise import Noise
from mixtura.core.statistics import Array, Kind, Statistics
from mixtura.covariance import registry
from mixtura.covariance.prior import Moments, Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Diagonal, Full, SingularError, Structure
from mixtura.hierarchy import Criterion, Tree, agglomerate, coordinates
from mixtura.kernels import reference
from mixtura.kernels.reference import moments, softmax
from mixtura.sources import sketch
from mixtura.sources.record import recordable
from mixtura.sources.sketch import Sample, drawn_in
from mixtura.sources.source import Block, Source

#: (B, D) rows of a block → (B, K) responsibilities.
Rule = Callable[[Block], Array]

#: Lloyd steps after k-means++; more of them lose what the shapes of the clusters say.
LLOYD_STEPS = 3
#: Lloyd steps when k-means itself was asked for.
KMEANS_STEPS = 300
#: Distinct rows in a tree of merges: at least, for each component, and at most.
TREE_ROWS = 300
TREE_ROWS_EACH = 30
TREE_ROWS_MOST = 2_000


def by_labels(labels: NDArray[np.integer], n_components: int) -> Rule:
    """Each row belongs to the component that its label names."""
    return lambda block: np.eye(n_components)[labels[block.start : block.start + len(block.rows)]]


def by_responsibilities(share: Array) -> Rule:
    """Each row has the responsibilities given for it."""
    return lambda block: share[block.start : block.start + len(block.rows)]


def by_mixture(model: Mixture) -> Rule:
    """Each row has the responsibilities that a mixture gives it (S10)."""
    return partial(_responsibilities, model)


def _responsibilities(model: Mixture, block: Block) -> Array:
    return softmax(reference.log_joint(block.rows, model.whitened), block.rows, model.whitened)[1]


def by_nearest(centres: Array, unit: Array) -> Rule:
    """Each row belongs to the nearest centre, in coordinates where each column is measured in its own unit."""
    return partial(_nearest_centre, centres, unit)


def _nearest_centre(centres: Array, unit: Array, block: Block) -> Array:
    standard = drawn_in((centres - centres[0]) / unit)
    return np.eye(len(centres))[_nearest(drawn_in((block.rows - centres[0]) / unit), standard)]


def mixture_of(
    rule: Rule,
    source: Source,
    n_components: int,
    family: Family,
    prior: Prior,
    *,
    lean: float = 0.0,
    noise: Noise | None = None,
) -> Mixture:
    """The mixture that an M-step makes of a rule's responsibilities (S14, S16, S18).

    Parameters
    ----------
    rule : callable
    source : Source
    n_components : int
    family : Family
    prior : Prior
    lean : float
        How many rows' worth of the covariance pooled over the components each one is given beside its own: keeps the
        start of a component with few rows from being flat.
    noise : Noise, optional
        Takes what the responsibilities leave to 1.
    """
    middle = source.total(_first_moments)
    centre = np.repeat((middle.sum / middle.weight)[None], n_components, axis=0)
    for kind in ("diagonal", family.kind):  # the first pass finds the means, the second the scatter about them
        statistics = source.total(partial(_under_rule, rule, centre, kind))
        centre = statistics.centre + statistics.shift()
    return first_m_step(statistics, family, prior.leaning(lean * statistics.row_weight, statistics), noise)


def overall_moments(source: Source, kind: Kind = "full") -> Moments:
    """Mean (D,), scatter (D, D), or its diagonal, and weight of all rows."""
    middle = source.total(_first_moments)
    statistics = source.total(partial(_under_rule, _all_one, (middle.sum / middle.weight)[None], kind))
    return Moments((statistics.centre + statistics.shift())[0], statistics.scatter()[0], middle.weight)


def _all_one(block: Block) -> Array:
    """All rows belong to one component."""
    return np.ones((len(block.rows), 1))


class Parts(NamedTuple):
    """Some of the parameters of a mixture to start from.

    ``weights`` (K,), ``means`` (K, D) and ``structure``, of the kind of the family that is to be fitted; what is None
    is derived from the others.
    """

    weights: Array | None = None
    means: Array | None = None
    structure: Structure | None = None


def around(means: Array, source: Source, family: Family, prior: Prior, unit: Array) -> Mixture:
    """A rough mixture of equal weights about given means, whose covariances are those of the rows nearest to each."""
    lean = means.shape[1] + 1.0
    nearest = mixture_of(by_nearest(means, unit), source, len(means), family, prior, lean=lean)
    return Mixture(np.full(len(means), 1 / len(means)), means, nearest.structure)


def completed(parts: Parts, rough: Mixture, source: Source, family: Family, prior: Prior) -> Mixture:
    """The parts as they are, and what is missing from one step of EM with a rough mixture in their gaps.

    The M-step is the one that the parts leave: covariances are taken about the means that were given.
    """
    first = Mixture(
        rough.weights if parts.weights is None else parts.weights,
        rough.means if parts.means is None else parts.means,
        rough.structure if parts.structure is None else parts.structure,
    )
    if all(part is not None for part in parts):
        return first
    statistics = source.total(partial(_under_rule, by_mixture(first), first.means, family.kind))
    if parts.means is not None:
        statistics = replace(statistics, s1=np.zeros_like(statistics.s1))
    return Mixture(
        statistics.n / statistics.n.sum() if parts.weights is None else parts.weights,
        statistics.centre + statistics.shift(),
        first_m_step(statistics, family, prior).structure if parts.structure is None else parts.structure,
    )


def kmeans_plus_plus(
    sample: Sample, n_components: int, rng: np.random.Generator, lloyd_steps: int = LLOYD_STEPS
) -> Rule:
    """Greedy k-means++ (Arthur & Vassilvitskii, SODA 2007) and a few Lloyd steps, in standardised coordinates."""
    middle, _ = sample.middle_and_spread
    rows, weights = sample.standard, sample.weights
    chosen = [_draw(weights, rng.random())]
    distance = _squared_distance(rows, rows[chosen[0]])
    trials = 2 + int(np.log(n_components))
    while len(chosen) < n_components:
        potential = weights * distance
        if not potential.any():  # every distinct row is a centre already
            potential = weights
        candidates = [_draw(potential, u) for u in rng.random(trials)]
        nearer = [np.minimum(distance, _squared_distance(rows, rows[c])) for c in candidates]
        best = int(np.argmin([weights @ d for d in nearer]))
        chosen.append(candidates[best])
        distance = nearer[best]
    centres = rows[chosen]
    for _ in range(lloyd_steps):
        nearest = _nearest(rows, centres)
        n = np.bincount(nearest, weights, n_components)
        s1 = np.stack([np.bincount(nearest, weights * column, n_components) for column in rows.T], axis=1)
        held = n > 0
        moved = centres.copy()
        moved[held] = s1[held] / n[held, None]
        if np.array_equal(moved, centres):
            break
        centres = moved
    return by_nearest(middle + centres * sample.unit, sample.unit)


def kmeans(sample: Sample, n_components: int, rng: np.random.Generator) -> Rule:
    """k-means, carried through."""
    return kmeans_plus_plus(sample, n_components, rng, KMEANS_STEPS)


def random_responsibilities(sample: Sample, n_components: int, rng: np.random.Generator) -> Rule:
    """Responsibilities at random: all components start near the middle of the data."""
    share = rng.random((sample.n_rows, n_components))
    return by_responsibilities(share / share.sum(1, keepdims=True))


def random_rows(sample: Sample, n_components: int, rng: np.random.Generator) -> Rule:
    """Different rows drawn at random as centres."""
    weights = sample.weights.copy()
    chosen: list[int] = []
    for u in rng.random(n_components):
        chosen.append(_draw(weights if weights.any() else sample.weights, u))
        weights[chosen[-1]] = 0.0
    return by_nearest(sample.rows[chosen], sample.unit)


def moved(model: Mixture, gone: tuple[int, ...], sample: Sample, rng: np.random.Generator) -> Rule:
    """The responsibilities of a mixture some of whose components are moved to where chance puts them.

    Each of those takes, around a row drawn by weight, the nearest rows up to half an even share of the weight; the
    other rows belong to the components that stay.
    """
    n_components, n_features = model.means.shape
    stay = np.setdiff1d(np.arange(n_components), gone)
    share = np.full((sample.n_rows, n_components), 1.0 / n_components)
    if len(stay):
        noise, weights = model.noise, model.weights[stay]
        total = weights.sum() / (1.0 if noise is None else 1.0 - noise.weight)
        rest = Mixture(weights / total, model.means[stay], model.structure.take(stay), noise=noise)
        share[:, gone] = 0.0
        share[:, stay] = rest.responsibilities(sample.rows)
    rows, weights = sample.standard, sample.weights
    for k in gone:
        order = np.argsort(_squared_distance(rows, rows[_draw(weights, rng.random())]), kind="stable")
        near = max(int(np.searchsorted(np.cumsum(weights[order]), weights.sum() / (2 * n_components))), n_features + 2)
        share[order[:near]] = np.eye(n_components)[k]
    return by_responsibilities(share)


def split_and_merged(model: Mixture, sample: Sample, rng: np.random.Generator) -> Rule:
    """The responsibilities of a mixture with the two most overlapping components made one, and another cut in two.

    Which one is cut, across its longest axis in standardised coordinates, is drawn by weight (Ueda, Nakano,
    Ghahramani & Hinton, Neural Computation 12 (2000), take the worst-fitting one).
    """
    share = model.responsibilities(sample.rows)
    overlap = share.T @ (share * sample.weights[:, None])
    size = np.sqrt(np.diagonal(overlap)) + np.finfo(np.float64).tiny
    closeness = np.triu(overlap / size[:, None] / size, 1)
    i, j = (int(k) for k in np.unravel_index(closeness.argmax(), closeness.shape))
    share[:, i] += share[:, j]
    others = np.setdiff1d(np.arange(model.n_components), (i, j))
    k = int(others[_draw(model.weights[others], rng.random())])
    share[:, j] = np.where(_above(model, k, sample), share[:, k], 0.0)
    share[:, k] -= share[:, j]
    return by_responsibilities(share)


def swaps(model: Mixture, sample: Sample, family: Family, prior: Prior, most: int) -> list[Mixture]:
    """Mixtures with two components of a mixture made one, and another of three or more cut in two.

    Of ``most`` pairs, those that cost least (``mergers``), each with as many cuts, the best (``splits``). That is the
    split and merge of Ueda, Nakano, Ghahramani & Hinton (Neural Computation 12 (2000)), with other criteria.
    """
    others = range(model.n_components - 2)  # what is merged comes last
    return [cut for joined in mergers(model, most) for cut in splits(joined, sample, family, prior, most, which=others)]


def splits(
    model: Mixture, sample: Sample, family: Family, prior: Prior, most: int, *, which: Iterable[int] | None = None
) -> list[Mixture]:
    """Mixtures with one component of a mixture, or of those, cut in two across its longest axis (standardised columns).

    At ``most`` those whose components, as labels of the rows, explain the rows best; the best one first.
    """
    n_components = model.n_components
    kind = "diagonal" if family.kind == "diagonal" else "full"
    halves = _halves(model, sample, kind)
    upper, lower = np.split(np.eye(2 * n_components), 2)
    found: list[tuple[float, Mixture]] = []
    for k in range(n_components) if which is None else which:
        parts = np.vstack([upper + lower, lower[k]])  # which halves make up each component
        parts[k] = upper[k]
        n, s1, s2 = (np.tensordot(parts, total, 1) for total in (halves.n, halves.s1, halves.s2))
        centre = np.vstack([model.means, model.means[k]])
        s2 = s2.sum(0) if family.kind == "tied" else s2
        statistics = Statistics(family.kind, centre, n, s1, s2, 0.0, halves.weight, halves.rows)
        lean = (sample.n_features + 1) * statistics.row_weight
        with suppress(SingularError):
            cut = first_m_step(statistics, family, prior.leaning(lean, statistics), start=_doubled(model.structure, k))
            labelled = float(xlogy(n, cut.weights).sum() - 0.5 * (n @ cut.structure.log_det()))
            found.append((labelled, cut))
    return [cut for _, cut in sorted(found, key=itemgetter(0), reverse=True)[:most]]


def _halves(model: Mixture, sample: Sample, kind: Kind) -> Statistics:
    """The statistics of the halves of all components, the upper ones first, in the terms of ``_above``."""
    above = np.stack([_above(model, k, sample) for k in range(model.n_components)], axis=1)
    centre = np.vstack([model.means, model.means])

    def of(part: slice) -> Statistics:
        rows, weights = sample.rows[part], sample.weights[part]
        share = model.responsibilities(rows) * weights[:, None]
        upper = share * above[part]
        sums = moments(rows, np.hstack([upper, share - upper]), centre, kind)
        return Statistics(kind, centre, sums.n, sums.s1, sums.s2, 0.0, float(weights.sum()), len(rows))

    parts = (slice(start, start + BLOCK_ROWS) for start in range(0, sample.n_rows, BLOCK_ROWS))
    return reduce(add, map(of, parts))


def _doubled(structure: Structure, k: int) -> Structure:
    """With one component twice."""
    return structure.take(np.append(np.arange(structure.n_components), k))


class Unions(NamedTuple):
    """Pairs of components i and j made one: their weight together, common mean and covariance."""

    i: NDArray[np.intp]
    j: NDArray[np.intp]
    weights: Array
    means: Array
    covariances: Array


def unions(weights: Array, means: Array, covariances: Array, log_det: Array, most: int) -> Unions:
    """At ``most`` so many pairs with the least upper bound on the divergence from the mixture, the best one first.

    That is Runnalls' (IEEE Trans. Aerospace and Electronic Systems 43 (2007), eq. 21). Covariances are (K, D, D), or
    (K, D) where they are diagonal.
    """
    i, j = np.triu_indices(len(weights), 1)
    both = np.maximum(weights[i] + weights[j], np.finfo(np.float64).tiny)
    a, b = weights[i] / both, weights[j] / both
    apart = means[i] - means[j]
    if covariances.ndim == 2:
        merged = a[:, None] * covariances[i] + b[:, None] * covariances[j] + (a * b)[:, None] * np.square(apart)
        log_dets = np.log(np.maximum(merged, np.finfo(np.float64).tiny)).sum(1)
    else:
        merged = a[:, None, None] * covariances[i] + b[:, None, None] * covariances[j]
        merged += (a * b)[:, None, None] * apart[:, :, None] * apart[:, None, :]
        log_dets = np.linalg.slogdet(merged)[1]
    bound = both * (log_dets - a * log_det[i] - b * log_det[j])
    best = np.argsort(bound, kind="stable")[:most]
    i, j, a, b = i[best], j[best], a[best], b[best]
    return Unions(i, j, both[best], a[:, None] * means[i] + b[:, None] * means[j], merged[best])


def mergers(model: Mixture, most: int) -> list[Mixture]:
    """Mixtures with two components of a mixture made one, which keeps their common mean and covariance.

    At ``most`` those that cost least (``unions``), the best one first. The covariances are full, or
    diagonal if the mixture's are.
    """
    if isinstance(model.structure, Diagonal):
        before, of = model.structure.variances(), Diagonal.from_variances
    else:
        before, of = model.covariances, Full.from_covariances
    found: list[Mixture] = []
    for i, j, weight, mean, merged in zip(
        *unions(model.weights, model.means, before, model.structure.log_det(), most), strict=True
    ):
        stay = np.delete(np.arange(model.n_components), [i, j])
        structure = of(np.concatenate([before[stay], merged[None]]))
        joined = np.append(model.weights[stay], weight)
        found.append(Mixture(joined / joined.sum(), np.vstack([model.means[stay], mean]), structure))
    return found


def hierarchical(
    sample: Sample, n_components: int, _: np.random.Generator, sphering: float = 0.5, criterion: Criterion = "VVV"
) -> Rule:
    """The groups of a tree of merges, the same for every K; chance has no part in it.

    Where the tree holds only some rows of the sample, the others have the responsibilities that normal components
    fitted to its groups give them.
    """
    octaves = max(0, math.ceil(math.log2(TREE_ROWS_EACH * n_components / TREE_ROWS)))  # few sizes, so few trees
    limit = min(TREE_ROWS * 2**octaves, TREE_ROWS_MOST)
    trees = _TREES.setdefault(sample, {})
    key = (min(limit, sample.n_rows), sphering, criterion)
    if key not in trees:
        few = None if sample.n_rows <= limit else sketch.sample(sample, limit)
        of = few or sample
        trees[key] = few, agglomerate(coordinates(of.rows, of.weights, sphering), of.weights, criterion)
    few, tree = trees[key]
    groups = by_labels(tree.labels(n_components), n_components)
    if few is None:
        return groups
    family = registry.get("full" if few.n_rows > few.n_features else "diag")
    prior = Prior.relative(few.rows, few.weights, family)
    model = mixture_of(groups, few, n_components, family, prior, lean=few.n_features + 1.0)
    return by_responsibilities(model.responsibilities(sample.rows))


#: The trees of the samples that are in use, with the rows they are of where those are not the whole sample.
_TREES: WeakKeyDictionary[Sample, dict[tuple[int, float, Criterion], tuple[Sample | None, Tree]]] = WeakKeyDictionary()

#: A way to make a start: (sample, K, rng) → rule.
Method = Callable[[Sample, int, np.random.Generator], Rule]

#: The starts by name: the first one is made first, and so on; where there are no more, the last one is made again.
METHODS: dict[str, tuple[Method, ...]] = {
    "auto": (hierarchical, kmeans_plus_plus),
    "hierarchical": (
        hierarchical,
        partial(hierarchical, sphering=0.0),
        partial(hierarchical, criterion="EII"),
        partial(hierarchical, sphering=1.0),
    ),
    "k-means++": (kmeans_plus_plus,),
    "kmeans": (kmeans,),
    "random": (random_responsibilities,),
    "random_from_data": (random_rows,),
}


def _above(model: Mixture, k: int, sample: Sample) -> NDArray[np.bool_]:
    """Which rows lie above a component's mean, along its longest axis in standardised coordinates."""
    axis = model.structure.axis(k, sample.unit)
    return drawn_in((sample.rows - model.means[k]) / sample.unit) @ axis > 0


def _draw(potential: Array, u: float) -> int:
    """The row at which the running share of the potential passes u."""
    running = np.cumsum(potential)
    return int(min(np.searchsorted(running, u * running[-1], side="right"), len(running) - 1))


def _squared_distance(rows: Array, point: Array) -> Array:
    return np.square(rows - point).sum(1)


def _nearest(rows: Array, centres: Array) -> NDArray[np.intp]:
    which, least = np.zeros(len(rows), dtype=np.intp), np.full(len(rows), np.inf)
    for k, centre in enumerate(centres):
        apart = _squared_distance(rows, centre)
        closer = apart < least
        which[closer], least[closer] = k, apart[closer]
    return which


@recordable
@dataclass(frozen=True, eq=False)
class _Middle:
    """Σ w and Σ w x."""

    weight: float
    sum: Array

    def __add__(self, other: _Middle) -> _Middle:
        return _Middle(self.weight + other.weight, self.sum + other.sum)


def _first_moments(block: Block) -> _Middle:
    return _Middle(block.weight, block.each @ np.asarray(block.rows, dtype=np.float64))


def _under_rule(rule: Rule, centre: Array, kind: Kind, block: Block) -> Statistics:
    """The statistics of a block under a rule, about given centres."""
    sums = moments(block.rows, rule(block) * block.each[:, None], centre, kind)
    noise = max(block.weight - float(sums.n.sum()), 0.0)
    return Statistics(kind, centre, sums.n, sums.s1, sums.s2, 0.0, block.weight, len(block.rows), noise)
