"""How well the components of a mixture are told apart: by their densities alone, and on rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import solve_triangular, svd
from scipy.special import entr, expit

from mixtura.core.blas import one_thread
from mixtura.core.divergence import bhattacharyya_pairs
from mixtura.core.mixture import Mixture
from mixtura.core.shown import Shown
from mixtura.core.statistics import Array
from mixtura.covariance.structure import Diagonal, SingularError
from mixtura.sources.source import Block, Source

#: Nodes of the contour integral, and how far the contour bends to either side: half-way to where exp(s²) would grow.
_NODES = np.arange(0.0, 60.0, 1 / 16)
_BENDS = np.tan(np.pi / 8) * np.array([[-1.0], [1.0]])
#: Where the integrand has fallen to this share of its largest value, a branch may end: what it does further out, where
#: one large term can take over from another, is of no account, for the contour can leave it there.
_NOTHING = 1e-18
#: The most components among which pairs that overlap are looked for, the heaviest: all pairs of them are held at once.
MOST_COMPONENTS = 500


@np.errstate(under="ignore")
def overlap(mixture: Mixture) -> Array:
    """Probabilities of taking one component for another, (K, K); see ``Mixture.overlap``.

    Triangular systems, however small, are shared out among threads too.
    """
    k = mixture.n_components
    with one_thread():
        return np.array([[_mistaken(mixture, i, j) if i != j else 0.0 for j in range(k)] for i in range(k)])


@np.errstate(under="ignore")
def overlapping(mixture: Mixture, least: float, most: int) -> list[tuple[int, int, float, float]]:
    """Pairs i, j of components with ω_ij + ω_ji of at least so much, with both; the pair that overlaps most first.

    Only so many pairs are looked at: those with the largest bound on their overlap. Of two components with
    Bhattacharyya distance B, π_i ω_ij + π_j ω_ji ≤ √(π_i π_j) exp(−B). Where covariances are singular to working
    precision, no pair is told of.
    """
    if np.count_nonzero(mixture.weights) < 2:
        return []
    heaviest = np.argsort(-mixture.weights, kind="stable")[:MOST_COMPONENTS]
    alive = np.sort(heaviest[mixture.weights[heaviest] > 0])
    weights = mixture.weights[alive]
    log_odds = np.log(weights) - np.log(weights)[:, None]
    parts = Mixture(weights / weights.sum(), mixture.means[alive], mixture.structure.take(alive))
    try:
        with np.errstate(over="ignore"):  # of components that are infinitely far apart
            bound = np.exp(np.minimum(0.5 * log_odds - bhattacharyya_pairs(parts, parts), 0.0))
    except SingularError:
        return []
    first, second = np.triu_indices(len(alive), 1)
    likely = np.argsort(-(bound + bound.T)[first, second], kind="stable")[:most]
    likely = likely[(bound + bound.T)[first, second][likely] >= least]
    pairs = zip(alive[first[likely]].tolist(), alive[second[likely]].tolist(), strict=True)
    with one_thread():
        found = [(i, j, _mistaken(mixture, i, j), _mistaken(mixture, j, i)) for i, j in pairs]
    return sorted((pair for pair in found if pair[2] + pair[3] >= least), key=lambda pair: -pair[2] - pair[3])


def _mistaken(mixture: Mixture, i: int, j: int) -> float:
    """P(π_j N_j(x) > π_i N_i(x)) of x from component i.

    With x = μ_i + L_i z, the difference of its squared distances to both is a sum of (1 − s²) y² − 2 s d y − d² over
    independent standard normal y. Where s is large, the square is completed, lest large terms cancel.
    """
    if not mixture.weights[i] or not mixture.weights[j]:  # nothing is taken for what never happens
        return float(mixture.weights[j] > 0)
    s, d = _beside(mixture, i, j)
    log_dets = mixture.structure.log_det()
    a = (1 - s) * (1 + s)
    wide = s > 2
    rest = np.where(wide, d * d / np.where(wide, a, 1), d * d).sum()
    log_odds = np.log(mixture.weights[i]) - np.log(mixture.weights[j])
    threshold = float(rest + 2 * log_odds + log_dets[j] - log_dets[i])
    return _exceeds(a, np.where(wide, 0, -2 * s * d), np.where(wide, -s * d / np.where(wide, a, 1), 0), threshold)


def _beside(mixture: Mixture, i: int, j: int) -> tuple[Array, Array]:
    """Standard deviations s of component i and its place d, along axes in which j is standard normal and i diagonal."""
    structure, apart = mixture.structure, mixture.means[i] - mixture.means[j]
    if isinstance(structure, Diagonal):
        return structure.scale[i] / structure.scale[j], apart / structure.scale[j]
    mine, theirs = structure.factor(i), structure.factor(j)
    U, s, _ = svd(solve_triangular(theirs, mine, lower=True))
    return s, U.T @ solve_triangular(theirs, apart, lower=True)


def _exceeds(a: Array, b: Array, shift: Array, q: float) -> float:
    """P(Σ a (y + shift)² + b y > q) for independent standard normal y; of b and shift, one is 0.

    The moment-generating function of the sum is M(s) = Π (1 − 2sa)^(−1/2) exp((s a shift² + s²b²/2) / (1 − 2sa)). The
    probability, (1/2πi) ∫ M(s) exp(−sq) / s ds, is found by the trapezoidal rule on a contour through the saddle point
    (Rice, SIAM J. Sci. Stat. Comput. 1 (1980), 438), whose branches bend to the right or to the left, where the
    integrand falls off.
    """
    if max(np.abs(a).max(), np.abs(b).max()) < 1e-12:  # the two densities are in one ratio everywhere
        return 0.5 if abs(q) < 1e-12 else float(q < 0)
    c = a * shift**2
    scale = max(np.abs(a).max(), np.abs(b).max(), np.abs(c).max(), abs(q))
    a, b, c, q = a / scale, b / scale, c / scale, q / scale
    told = (a != 0) | (b != 0)
    a, b, c = a[told], b[told], c[told]
    most = 0.5 / a.max() if a.max() > 0 else np.inf
    if a.max() < 0 and q >= (b * b / (-4 * a)).sum():
        return 0.0

    def at(t: float) -> float:
        return most * expit(t) if np.isfinite(most) else np.exp(t)

    def slope(t: float) -> float:
        """Of log(M(s) exp(−sq) / s), times s."""
        s = at(t)
        rest = 1 - 2 * s * a
        return float(s * ((a / rest + c / rest**2 + b * b * (s / rest) * ((1 - s * a) / rest)).sum() - q) - 1)

    from scipy.optimize import brentq  # which takes a third of a second to import

    high = 35.0 if np.isfinite(most) else 300.0
    if slope(high) <= 0:
        return 0.0
    saddle = at(float(brentq(slope, -300.0, high)))  # pyright: ignore[reportArgumentType] (its stub)
    if saddle > 1e90:  # q lies on the greatest value of the sum, but for rounding
        return 0.0
    rest = 1 - 2 * saddle * a
    width = 1 / np.sqrt((2 * (a / rest) ** 2 + (b * b + 4 * a * c) / rest**3).sum() + saddle**-2)
    s = saddle + width * (1j * np.sinh(_NODES) + _BENDS * (np.cosh(_NODES) - 1))
    log = -s * q - np.log(s)
    with np.errstate(over="ignore", invalid="ignore"):  # far out on the branch that bends to the wrong side
        for a_, b_, c_ in zip(a, b, c, strict=True):
            rest = 1 - 2 * s * a_
            log += s * (c_ + s * b_ * b_ / 2) / rest - 0.5 * np.log(rest)
        terms = np.exp(log) * (np.cosh(_NODES) - 1j * _BENDS * np.sinh(_NODES))
        terms[:, 0] /= 2
        size = np.abs(terms)
        terms[np.logical_or.accumulate(size < _NOTHING * np.fmax.accumulate(size, axis=1), axis=1)] = 0
        size = np.nan_to_num(np.abs(terms).sum(1), nan=np.inf)
    value = terms[int(size.argmin())].real.sum() * width * (_NODES[1] - _NODES[0]) / np.pi
    return float(
        np.clip(value, 0.0, min(1.0, saddle * np.exp(log[0, 0].real)))
    )  # at most M(s) exp(−sq), Chernoff's bound


@dataclass(frozen=True, eq=False, repr=False)
class Separation(Shown):
    """How surely rows belong to one component or another; two of them add, as the rows do.

    Attributes
    ----------
    entropy : float
        −Σ_n w_n Σ_k γ_nk log γ_nk, in nats: 0 where every row is certain.
    confusion : ndarray of shape (K, K)
        Σ_n w_n γ_ni [j is the most probable component of row n]: the weight of the rows expected to come from
        component i that get the label j. A noise component is the last of K + 1.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> model = Mixture([0.5, 0.5], [-1, 1], [1, 1])
    >>> found = model.separation([-3.0, -0.5, 0.0, 2.0])
    >>> round(found.error_rate, 3), round(found.normalised_entropy, 3)
    (0.197, 0.499)
    """

    entropy: float
    confusion: Array

    def __repr__(self) -> str:
        wrong = f"{self.error_rate:.3g} of labels expected wrong"
        return f"<Separation of {len(self.confusion)} components: entropy {self.entropy:.4g} nats, {wrong}>"

    def __add__(self, other: Separation) -> Separation:
        return Separation(self.entropy + other.entropy, self.confusion + other.confusion)

    @property
    def weight(self) -> float:
        """How much the rows count together."""
        return float(self.confusion.sum())

    @property
    def normalised_entropy(self) -> float:
        """The entropy a row in units of log K: from 0 (certain) to 1 (each component as probable)."""
        most = self.weight * math.log(len(self.confusion))
        return self.entropy / most if most > 0 else 0.0

    @property
    def error_rate(self) -> float:
        """The share of wrong labels to expect of ``predict``: the mean uncertainty."""
        return float(self.confusion[~np.eye(len(self.confusion), dtype=bool)].sum() / self.weight)

    @property
    def misclassification(self) -> Array:
        """P(label j | component i), (K, K); NaN where no row is expected to come from component i."""
        with np.errstate(invalid="ignore"):
            return self.confusion / self.confusion.sum(1, keepdims=True)


def separation(mixture: Mixture, source: Source) -> Separation:
    """The separation of a mixture's components on the rows of a source, in one pass."""
    return source.total(partial(_separation, mixture))


def _separation(mixture: Mixture, block: Block) -> Separation:
    share = mixture.shares(block.rows)
    weighted = share * block.each[:, None]
    labels = share.argmax(1)
    confusion = np.stack([weighted[labels == j].sum(0) for j in range(share.shape[1])], axis=1)
    return Separation(float(block.each @ entr(share).sum(1)), confusion)
