"""What a mixture looks like: probabilities, quantiles, regions of highest density, modes, entropy.

``Mixture`` offers each of these as a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, owens_t
from scipy.stats import chi2

from mixtura.core.arguments import as_generator, as_rows
from mixtura.core.divergence import DRAWS, Estimate, bhattacharyya_pairs, kl_pairs, living, sum_pairs
from mixtura.core.mixture import BLOCK_ROWS, Mixture
from mixtura.core.statistics import Array
from mixtura.covariance.structure import Full, lower_of

Ordinals = NDArray[np.int64]

#: Random shifts of the lattice, whose spread gives the error of a quasi-Monte-Carlo probability.
SHIFTS = 12
#: Lattice points a shift in the first round, doubled until the error is small enough …
FIRST_POINTS = 128
#: … or there are this many.
MOST_POINTS = 2**14
#: Small enough: below this fraction of the probability, or below so much.
RELATIVE_ERROR, ABSOLUTE_ERROR = 1e-5, 1e-7
#: Numbers in one temporary array of the quasi-Monte-Carlo sum.
BATCH = 2**20

#: Cells a standard deviation of the grid on which the turning points of a density in one dimension are looked for.
GRID_CELLS = 64
#: How far out from each mean it reaches, and how far out the density counts as 0, in standard deviations.
GRID_REACH, FAR = 8, 40.0

#: A climb has arrived when the next step is shorter than this, in standard deviations, or after so many steps.
ARRIVED, MOST_STEPS = 1e-13, 2000
#: Pairs of components whose means are closer than this, in (μ_i − μ_j)ᵀ (Σ_i + Σ_j)⁻¹ (μ_i − μ_j), may make a mode
#: between them; two equal ones do below 2.
CLOSE = 10.0
#: Modes closer than this, in standard deviations, are one.
SAME_MODE = 1e-3
#: A point counts as a maximum outright when the density bends down by this share of what one component alone would.
CURVED = 1e-6
#: How far to step aside, in standard deviations, from a point that may be a saddle.
ASIDE = 1e-2


class Modes(NamedTuple):
    """The local maxima of a density, the highest first.

    ``points`` (M, D); ``logpdf`` (M,): the log density there.
    """

    points: Array
    logpdf: Array


class Bounds(NamedTuple):
    """Two numbers between which a third lies."""

    lower: float
    upper: float


# Probabilities


def cdf(mixture: Mixture, X: ArrayLike, rng: Any = None) -> tuple[Array, Array]:
    """P(every column ≤ x) and its standard error, (N,) each; see ``Mixture.cdf``."""
    rows, single = as_rows(X, mixture.n_features, mixture.columns)
    generator = as_generator(rng)
    mixture = living(mixture)
    deviation = np.sqrt(np.square(mixture.cholesky).sum(2))
    unit = mixture.cholesky / deviation[:, :, None]
    value, error = np.empty(len(rows)), np.empty(len(rows))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        limits = (rows[block, None, :].astype(np.float64) - mixture.means) / deviation
        share, spread = _orthants(unit, limits, generator)
        value[block] = np.minimum(share @ mixture.weights, 1.0)
        error[block] = spread @ mixture.weights  # the components share their lattice: errors may all agree
    return (value[0], error[0]) if single else (value, error)


def _orthants(factors: Array, limits: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """P(F_k y ≤ limits[n, k]) for standard normal y, by (N, K), and standard errors."""
    if not np.tril(factors, -1).any():
        return ndtr(limits).prod(2), np.zeros(limits.shape[:2])
    if limits.shape[2] == 2:
        return _quadrants(factors, limits), np.zeros(limits.shape[:2])
    return _separated_orthants(factors, limits, generator)


def _quadrants(factors: Array, limits: Array) -> Array:
    """``_orthants`` in two dimensions: exact, by Owen's T function (Owen, Ann. Math. Statist. 27 (1956))."""
    at = np.clip(limits, -FAR, FAR)
    at[at == 0] = np.finfo(np.float64).tiny
    correlation, rest = factors[:, 1, 0], factors[:, 1, 1]
    flipped = at[..., ::-1]
    with np.errstate(over="ignore"):  # T(h, ±∞) is well defined
        slope = (flipped - correlation[:, None] * at) / (at * rest[:, None])
    apart = np.where((at > 0).all(2) | (at < 0).all(2), 0.0, 0.5)
    value = (0.5 * ndtr(at) - owens_t(at, slope)).sum(2) - apart
    return np.where((limits == -np.inf).any(2), 0.0, np.maximum(value, 0.0))


def _separated_orthants(factors: Array, limits: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """``_orthants`` by randomised quasi-Monte Carlo.

    Separation of variables (Genz, "Numerical computation of multivariate normal probabilities", J. Comput. Graph.
    Statist. 1 (1992)), the tightest limit first, on a randomly shifted Richtmyer lattice folded at its middle.
    """
    n_features = limits.shape[2]
    value, error = np.zeros(limits.shape[:2]), np.zeros(limits.shape[:2])
    value[np.isnan(limits).any(2)] = np.nan
    step = np.sqrt(_primes(n_features - 1)) % 1.0
    shift = generator.random((SHIFTS, n_features - 1))
    todo = np.argwhere((limits > -np.inf).all(2))
    batch = max(1, BATCH // (SHIFTS * FIRST_POINTS * n_features))
    for start in range(0, len(todo), batch):
        row, k = todo[start : start + batch].T
        order = np.argsort(limits[row, k], axis=1)
        lower = lower_of(np.take_along_axis(factors[k], order[:, :, None], axis=1))
        bounds = np.take_along_axis(limits[row, k], order, axis=1)
        value[row, k], error[row, k] = _lattice_means(lower, bounds, step, shift)
    return value, error


def _lattice_means(lower: Array, bounds: Array, step: Array, shift: Array) -> tuple[Array, Array]:
    """Means of the separated integrand over more and more lattice points, (R,), and standard errors."""
    sums = np.zeros((len(bounds), SHIFTS))
    value, error = np.empty(len(bounds)), np.empty(len(bounds))
    todo = np.arange(len(bounds))
    seen, points = 0, FIRST_POINTS
    while len(todo) and seen < MOST_POINTS:
        lattice = np.arange(seen + 1, seen + points + 1)[:, None] * step
        seen += points
        for s, start in enumerate(shift):
            folded = np.abs(2 * ((lattice + start) % 1.0) - 1)
            for some in np.array_split(todo, max(1, len(todo) * folded.size // BATCH)):
                sums[some, s] += _separated(lower[some], bounds[some], folded).sum(1)
        means = sums[todo] / seen
        value[todo] = means.mean(1)
        error[todo] = means.std(1, ddof=1) / np.sqrt(SHIFTS)
        todo = todo[error[todo] > np.maximum(RELATIVE_ERROR * value[todo], ABSOLUTE_ERROR)]
        points = seen
    return value, error


def _separated(lower: Array, bounds: Array, uniform: Array) -> Array:
    """Π_j P(y_j ≤ its limit given y_1 … y_{j−1}), where each y_j is drawn below its limit by ``uniform``: (R, P)."""
    drawn = np.empty((bounds.shape[1], len(bounds), len(uniform)))
    product = np.ones(drawn.shape[1:])
    for j in range(bounds.shape[1]):
        before = np.einsum("ri,irp->rp", lower[:, j, :j], drawn[:j])
        share = ndtr((bounds[:, j, None] - before) / lower[:, j, j, None])
        product *= share
        if j < uniform.shape[1]:
            tiny, eps = np.finfo(np.float64).tiny, np.finfo(np.float64).epsneg
            drawn[j] = ndtri(np.clip(uniform[:, j] * share, tiny, 1 - eps))
    return product


def _primes(count: int) -> Array:
    """The first primes."""
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return np.array(found, dtype=np.float64)


# Quantiles


def ppf(mixture: Mixture, q: ArrayLike) -> Array:
    """Quantiles; see ``Mixture.ppf``."""
    _one_column(mixture, "ppf")
    mixture = living(mixture)
    wanted = np.asarray(q, dtype=np.float64)
    outside = ~((wanted >= 0) & (wanted <= 1)) & ~np.isnan(wanted)
    if outside.any():
        raise ValueError(f"q must lie between 0 and 1, got {wanted[outside].flat[0]}")
    flat = wanted.reshape(-1, 1)
    # For q > ½, the mirrored problem: in its lower tail no digit is lost.
    side = np.where(flat > 0.5, -1.0, 1.0)
    tail = np.where(flat > 0.5, 1 - flat, flat)
    means, deviation = mixture.means[:, 0], mixture.cholesky[:, 0, 0]

    def excess(x: Array) -> Array:
        """F(x) − tail, from the tail of each component in which x lies, so that nothing cancels."""
        z = (x[:, None] - side * means) / deviation
        beyond = mixture.weights * ndtr(-np.abs(z))
        whole = np.where(z > 0, mixture.weights, 0.0).sum(1)
        return (whole - tail[:, 0]) + np.where(z > 0, -beyond, beyond).sum(1)

    inside = (flat > 0) & (flat < 1)
    with np.errstate(invalid="ignore"):
        quantiles = side * means + deviation * ndtri(np.where(inside, tail, 0.5))
    found = _bisect(excess, quantiles.min(1), quantiles.max(1)) * side[:, 0]
    out = np.where(inside[:, 0], found, np.where(flat[:, 0] == 0, -np.inf, np.inf))
    out[np.isnan(flat[:, 0])] = np.nan
    return out.reshape(wanted.shape)[()]


def _one_column(mixture: Mixture, what: str) -> None:
    if mixture.n_features > 1:
        raise ValueError(
            f"{what} is defined in one dimension, but there are {mixture.n_features} columns: "
            "take marginal(column) first"
        )


def _bisect(rising: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """The first number in [low, high] where the function is not negative, to the last bit, in at most 64 steps.

    Halves the number of floating-point numbers between the ends: at home at any scale.
    """
    below, above = _ordinal(low), _ordinal(high)
    while (below < above).any():
        middle = (below >> 1) + (above >> 1) + (below & above & 1)
        reached = rising(_number(middle)) >= 0
        above = np.where(reached, middle, above)
        below = np.where(reached, below, np.minimum(middle + 1, above))
    return _number(above)


def _ordinal(numbers: Array) -> Ordinals:
    """Integers in the order of these numbers, consecutive for neighbours."""
    bits = np.ascontiguousarray(numbers, dtype=np.float64).view(np.int64)
    return np.where(bits >= 0, bits, np.iinfo(np.int64).min - bits)


def _number(ordinals: Ordinals) -> Array:
    """The inverse of ``_ordinal``."""
    return np.where(ordinals >= 0, ordinals, np.iinfo(np.int64).min - ordinals).view(np.float64)


# Regions of highest density


def log_density_level(mixture: Mixture, probability: float, rng: Any = None, n: int = DRAWS) -> Estimate:
    """The c with P(log p(x) ≥ c) = probability; see ``Mixture.density_level``."""
    if not 0 < probability < 1:
        raise ValueError(f"probability must lie strictly between 0 and 1, got {probability}")
    mixture = living(mixture)
    if mixture.n_components == 1:
        top = float(mixture.whitened.log_constants[0])
        return Estimate(top - 0.5 * float(chi2.ppf(probability, mixture.n_features)))
    if mixture.n_features == 1:
        return Estimate(_level_in_one_dimension(mixture, probability))
    if n < 2:
        raise ValueError(f"n is {n}: a standard error takes at least 2 draws")
    density = np.sort(mixture.logpdf(mixture.sample(n, rng)))
    rank = n * (1 - probability) + np.array([-1, 0, 1]) * np.sqrt(n * probability * (1 - probability))
    low, level, high = np.interp(rank, np.arange(n) + 0.5, density)
    return Estimate(float(level), float(high - low) / 2)


def density_level(mixture: Mixture, probability: float, rng: Any = None, n: int = DRAWS) -> Estimate:
    """The c with P(p(x) ≥ c) = probability; see ``Mixture.density_level``."""
    level = log_density_level(mixture, probability, rng, n)
    with np.errstate(over="ignore"):
        density = float(np.exp(level))
    return Estimate(density, density * level.standard_error)


def _level_in_one_dimension(mixture: Mixture, probability: float) -> float:
    """Exact: between turning points the density is monotone, so that the region's ends can be found by bisection."""
    means, deviation = mixture.means[:, 0], mixture.cholesky[:, 0, 0]
    ends = np.array([(means - FAR * deviation).min(), (means + FAR * deviation).max()])
    knots = np.concatenate([ends[:1], _turning_points(mixture), ends[1:]])
    heights = mixture.logpdf(knots)
    rising = heights[1:] > heights[:-1]

    def missing(level: float) -> float:
        """How much of the probability the region p ≥ exp(level) lacks."""
        above = heights >= level
        crossed = above[1:] != above[:-1]
        side = np.where(rising[crossed], 1.0, -1.0)
        crossing = _bisect(lambda x: side * (mixture.logpdf(x) - level), knots[:-1][crossed], knots[1:][crossed])
        start, stop = knots[:-1].copy(), knots[1:].copy()
        start[crossed & rising] = crossing[side > 0]
        stop[crossed & ~rising] = crossing[side < 0]
        inside = above[1:] | above[:-1]
        mass = cdf(mixture, stop[inside])[0] - cdf(mixture, start[inside])[0]
        return probability - float(mass.sum())

    top = np.nextafter(heights.max(), np.inf)
    return float(brentq(missing, heights[[0, -1]].max(), top, xtol=1e-13))  # pyright: ignore[reportArgumentType]


def _turning_points(mixture: Mixture) -> Array:
    """Where the density of a mixture in one dimension turns, in order."""
    means, deviation = mixture.means[:, 0], mixture.cholesky[:, 0, 0]

    def slope(x: Array) -> Array:
        """The derivative of p over the largest term of p: its sign."""
        joint = mixture.log_joint(x)
        share = np.exp(joint - joint.max(1, keepdims=True))
        return (share * (means - x[:, None]) / deviation / deviation).sum(1)

    steps = np.linspace(-GRID_REACH, GRID_REACH, 2 * GRID_REACH * GRID_CELLS + 1)
    grid = np.unique(means + deviation * steps[:, None])
    sign = np.sign(slope(grid))
    turns = np.flatnonzero(sign[1:] * sign[:-1] < 0)
    downward = sign[turns]
    between = _bisect(lambda x: -downward * slope(x), grid[turns], grid[turns + 1])
    return np.sort(np.concatenate([between, grid[sign == 0]]))


# Modes


class _View(NamedTuple):
    """What a climber sees: log density, responsibilities, its gradient and Hessian, and Σ_k γ_k Λ_k."""

    height: float
    share: Array
    slope: Array
    curvature: Array
    precision: Array


class _Frame:
    """The mixture in the coordinates y of one component, x = μ_k + L_k y: no digit is lost, wherever it lies."""

    def __init__(self, mixture: Mixture, k: int) -> None:
        self.k = k
        self.origin, self.factor = mixture.means[k], mixture.cholesky[k]
        structure = Full(mixture.cholesky)
        self.inverse = structure.whitening[k]
        self.means = (mixture.means - self.origin) @ self.inverse.T
        self.whitening = structure.whitening @ self.factor
        self.constants = mixture.whitened.log_constants

    def point(self, y: Array) -> Array:
        """The x that is y here."""
        return self.origin + self.factor @ y

    def of(self, other: _Frame, y: Array) -> Array:
        """The coordinates here of what is y in another frame."""
        return self.inverse @ ((other.origin - self.origin) + other.factor @ y)

    def look(self, y: Array) -> _View:
        white = np.einsum("kij,kj->ki", self.whitening, y - self.means)
        joint = self.constants - 0.5 * np.square(white).sum(1)
        height = float(np.logaddexp.reduce(joint))
        share = np.exp(joint - height)
        near = share > 0
        whitening, weight = self.whitening[near], share[near]
        pulls = -np.einsum("kji,kj->ki", whitening, white[near])
        slope = weight @ pulls
        precision = np.einsum("k,kji,kjl->il", weight, whitening, whitening)
        spread = (weight[:, None] * pulls).T @ pulls - np.outer(slope, slope)
        return _View(height, share, slope, spread - precision, precision)

    def step(self, y: Array, view: _View) -> Array:
        """Newton's step where it leads up, or else that of the fixed-point iteration, which always does."""
        fixed_point = _solve(view.precision, view.slope)
        try:
            newton = _solve(-view.curvature, view.slope)
        except np.linalg.LinAlgError:  # not the curvature of a hilltop
            return fixed_point
        if _length(newton, view) < SAME_MODE or self.look(y + newton).height > view.height:
            return newton
        return fixed_point

    def ways_up(self, y: Array) -> list[Array]:
        """Higher points beside a stationary one: none at a maximum.

        Where the curvature alone does not decide, a step to either side along its weakest directions does.
        """
        view = self.look(y)
        inverse = np.linalg.inv(np.linalg.cholesky(view.precision))
        values, vectors = np.linalg.eigh(inverse @ view.curvature @ inverse.T)
        aside = ASIDE * (inverse.T @ vectors[:, values > -CURVED]).T
        return [z for z in (*(y + aside), *(y - aside)) if self.look(z).height > view.height]


def _solve(matrix: Array, vector: Array) -> Array:
    """By Cholesky: LinAlgError unless the matrix is positive definite."""
    return cho_solve(cho_factor(matrix, lower=True), vector)


def _length(step: Array, view: _View) -> float:
    """How long a step is, in standard deviations."""
    return float(np.sqrt(step @ view.precision @ step))


def modes(mixture: Mixture) -> Modes:
    """The local maxima of the density; see ``Mixture.modes``."""
    mixture = living(mixture)
    frames = [_Frame(mixture, k) for k in range(mixture.n_components)]
    todo = [(frame, np.zeros(mixture.n_features)) for frame in frames]
    todo.extend(_amid(mixture, frames))
    found: list[Array] = []
    while todo:
        frame, y = _climb(frames, *todo.pop())
        point, view = frame.point(y), frame.look(y)
        if any(_length(frame.inverse @ (point - other), view) < SAME_MODE for other in found):
            continue
        higher = frame.ways_up(y)
        todo.extend((frame, start) for start in higher)
        if not higher:
            found.append(point)
    points = np.array(found)
    density = mixture.logpdf(points)
    order = np.argsort(-density, kind="stable")
    return Modes(points[order], density[order])


def _amid(mixture: Mixture, frames: list[_Frame]) -> Iterator[tuple[_Frame, Array]]:
    """Starts between the components: turning points in one dimension, else amid close pairs and amid all."""
    if mixture.n_features == 1:
        for point in _turning_points(mixture):
            yield frames[0], frames[0].inverse[0] * (point - frames[0].origin)
        return
    yield frames[0], _on_ridge(frames[0], mixture.weights)
    for i, j in np.argwhere(np.triu(sum_pairs(mixture, mixture)[0] < CLOSE, 1)):
        yield frames[i], _on_ridge(frames[i], np.isin(np.arange(mixture.n_components), (i, j)) / 2)


def _on_ridge(frame: _Frame, share: Array) -> Array:
    """Where the fixed-point iteration leads with these responsibilities; every mode is such a point for some."""
    precision = np.einsum("k,kji,kjl->kil", share, frame.whitening, frame.whitening)
    return _solve(precision.sum(0), np.einsum("kij,kj->i", precision, frame.means))


def _climb(frames: list[_Frame], frame: _Frame, y: Array) -> tuple[_Frame, Array]:
    """Uphill from y to a stationary point, in the frame of the component that matters most there."""
    for _ in range(MOST_STEPS):
        view = frame.look(y)
        nearest = int(view.share.argmax())
        if view.share[nearest] > 2 * view.share[frame.k]:
            frame, y = frames[nearest], frames[nearest].of(frame, y)
            continue
        step = frame.step(y, view)
        y = y + step
        if _length(step, view) < ARRIVED:
            break
    return frame, y


# Entropy


def entropy_bounds(mixture: Mixture) -> Bounds:
    """Bounds on −E log p(x); see ``Mixture.entropy_bounds``."""
    mixture = living(mixture)
    weights, log_weights, n_features = mixture.weights, np.log(mixture.weights), mixture.n_features
    log_det = mixture.structure.log_det()
    within = weights @ (0.5 * (n_features * (1 + np.log(2 * np.pi)) + log_det))

    def pairwise(distance: Array) -> float:
        """H(X|Z) − Σ_i π_i log Σ_j π_j exp(−distance_ij)."""
        return float(within - weights @ np.logaddexp.reduce(log_weights - distance, axis=1))

    between, log_det_sum = sum_pairs(mixture, mixture)
    overlap = -0.5 * (n_features * np.log(2 * np.pi) + log_det_sum + between)
    jensen = -float(weights @ np.logaddexp.reduce(log_weights + overlap, axis=1))
    gaussian = 0.5 * (n_features * (1 + np.log(2 * np.pi)) + float(_log_det_cov(mixture)))
    lower = max(pairwise(bhattacharyya_pairs(mixture, mixture)), jensen)
    upper = min(pairwise(kl_pairs(mixture, mixture)), gaussian)
    return Bounds(min(lower, upper), upper)  # equal, but for rounding, for a single Gaussian


def _log_det_cov(mixture: Mixture) -> Array:
    """Log det of the covariance of x: of its factor [√π_k L_k …, √π_k (μ_k − μ) …]."""
    share = np.sqrt(mixture.weights)
    within = share[:, None, None] * mixture.cholesky
    between = share[:, None] * (mixture.means - mixture.mean)
    return Full(lower_of(np.concatenate([*within, between.T], axis=1))[None]).log_det()[0]
