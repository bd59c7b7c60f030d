"""How far apart two mixtures are: closed forms where there are any, Monte Carlo with its standard error elsewhere."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import entr, expit

from mixtura.core.arguments import as_generator
from mixtura.core.gaussian import Gaussian
from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array
from mixtura.covariance.structure import Full

#: Rows that a Monte Carlo estimate draws unless told.
DRAWS = 100_000


class Estimate(float):
    """A number that may have been found by Monte Carlo: a float that knows its standard error.

    Attributes
    ----------
    standard_error : float
        Standard deviation of the number over repetitions with other randomness; 0 when it is exact.
    """

    __slots__ = ("standard_error",)
    standard_error: float

    def __new__(cls, value: float, standard_error: float = 0.0) -> Self:  # noqa: D102
        self = super().__new__(cls, value)
        self.standard_error = float(standard_error)
        return self

    @classmethod
    def mean_of(cls, draws: Array) -> Self:
        """The mean of independent draws."""
        if not np.isfinite(draws).all():
            return cls(float(draws.mean()), np.inf)
        mean = draws[0] + (draws - draws[0]).mean()  # to the bit where all agree
        return cls(float(mean), float(draws.std(ddof=1)) / np.sqrt(len(draws)))

    @property
    def value(self) -> float:
        """The number itself, as a plain float."""
        return float(self)

    def __reduce__(self) -> tuple[type[Estimate], tuple[float, float]]:
        return type(self), (self.value, self.standard_error)

    def __repr__(self) -> str:
        return f"Estimate({self.value!r}, standard_error={self.standard_error:.2g})"


def kl_divergence(p: Mixture | Gaussian, q: Mixture | Gaussian, n: int = DRAWS, rng: Any = None) -> Estimate:
    """Kullback–Leibler divergence ∫ p log(p/q), in nats: what coding rows of p as if they came from q costs.

    Parameters
    ----------
    p, q : Mixture or Gaussian
        Over the same columns.
    n : int
        How many rows of p to draw, at least 2. Two single Gaussians need none: their divergence is exact.
    rng : numpy.random.Generator, int or None
        Where the randomness comes from.

    Returns
    -------
    Estimate
        A float with its ``standard_error``. The estimate of a tiny divergence may fall below 0.

    Raises
    ------
    ValueError
        If the mixtures are over different columns, or n < 2.

    Examples
    --------
    >>> from mixtura import Gaussian, Mixture, kl_divergence
    >>> kl_divergence(Gaussian(0, 1), Gaussian(1, 1))
    Estimate(0.5, standard_error=0)
    >>> p = Mixture([0.5, 0.5], [-1, 1], [1, 1])
    >>> estimate = kl_divergence(p, Gaussian(0, 2), rng=0)
    >>> bool(0 <= estimate < 0.02), bool(estimate.standard_error < 0.001)
    (True, True)
    """
    p, q = _comparable(p, q)
    if p.n_components == q.n_components == 1:
        return Estimate(float(kl_pairs(p, q)[0, 0]))
    rows = p.sample(_draws(n), rng)
    return Estimate.mean_of(p.logpdf(rows) - q.logpdf(rows))


def js_divergence(p: Mixture | Gaussian, q: Mixture | Gaussian, n: int = DRAWS, rng: Any = None) -> Estimate:
    """Jensen–Shannon divergence ½ KL(p‖m) + ½ KL(q‖m) with m = ½(p + q), in nats: from 0 (equal) to log 2 (apart).

    It is the information that a row of m gives about which of the two it came from, log 2 − E_m h(p/2m) with h the
    entropy of a coin; estimated in that form, it never leaves its range.

    Parameters
    ----------
    p, q : Mixture or Gaussian
        Over the same columns.
    n : int
        How many rows to draw from each, at least 2.
    rng : numpy.random.Generator, int or None
        Where the randomness comes from.

    Returns
    -------
    Estimate
        A float with its ``standard_error``.

    Raises
    ------
    ValueError
        If the mixtures are over different columns, or n < 2.

    Examples
    --------
    >>> from mixtura import Gaussian, js_divergence
    >>> float(js_divergence(Gaussian(0, 1), Gaussian(1000, 1), rng=0))
    0.6931471805599453
    """
    p, q = _comparable(p, q)
    generator = as_generator(rng)
    halves: list[Estimate] = []
    for one in (p, q):
        rows = one.sample(_draws(n), generator)
        with np.errstate(invalid="ignore"):  # −inf − (−inf): a row beyond both says nothing
            odds = np.nan_to_num(p.logpdf(rows) - q.logpdf(rows), nan=0.0, posinf=np.inf, neginf=-np.inf)
        halves.append(Estimate.mean_of(np.log(2.0) - entr(expit(odds)) - entr(expit(-odds))))
    error = 0.5 * float(np.hypot(halves[0].standard_error, halves[1].standard_error))
    return Estimate(0.5 * (halves[0] + halves[1]), error)


def l2_distance(p: Mixture | Gaussian, q: Mixture | Gaussian) -> float:
    """√∫ (p − q)², the distance of the densities as functions (not its square): closed form.

    ∫ (p − q)² = ∫ p² + ∫ q² − 2 ∫ pq, each a double sum of ∫ N(x|μ,Σ) N(x|ν,T) dx = N(μ | ν, Σ + T). Its unit is that
    of √density. Distances below about 1e-8 of √∫p² are lost in rounding.

    Parameters
    ----------
    p, q : Mixture or Gaussian
        Over the same columns.

    Returns
    -------
    float
        Not negative; 0 if the mixtures are equal.

    Raises
    ------
    ValueError
        If the mixtures are over different columns.

    Examples
    --------
    >>> import math
    >>> from mixtura import Gaussian, l2_distance
    >>> l2_distance(Gaussian(0, 1), Gaussian(0, 1))
    0.0
    >>> math.isclose(l2_distance(Gaussian(0, 1), Gaussian(99, 1)) ** 2, 1 / math.sqrt(math.pi))
    True
    """
    p, q = _comparable(p, q)
    logs = np.array([log_product(p, p), log_product(q, q), log_product(p, q)])
    top = float(logs.max())
    square = float(np.exp(logs - top) @ [1.0, 1.0, -2.0])
    return float(np.exp(0.5 * top) * np.sqrt(max(square, 0.0)))


def cauchy_schwarz_divergence(p: Mixture | Gaussian, q: Mixture | Gaussian) -> float:
    """−log [∫ pq / √(∫ p² ∫ q²)], in nats: 0 for equal densities, without a unit, never underflowing; closed form.

    Parameters
    ----------
    p, q : Mixture or Gaussian
        Over the same columns.

    Returns
    -------
    float
        Not negative.

    Raises
    ------
    ValueError
        If the mixtures are over different columns.

    Examples
    --------
    >>> from mixtura import Gaussian, cauchy_schwarz_divergence
    >>> round(cauchy_schwarz_divergence(Gaussian(0, 1), Gaussian(100, 1)), 9)
    2500.0
    """
    p, q = _comparable(p, q)
    return max(0.0, 0.5 * (log_product(p, p) + log_product(q, q)) - log_product(p, q))


# What the closed forms are made of


def living(mixture: Mixture) -> Mixture:
    """The mixture without its components of weight 0; of Gaussians alone, for what follows is known of these."""
    if mixture.noise is not None:
        raise ValueError("not known for a mixture with a noise component: take its without_noise()")
    alive = np.flatnonzero(mixture.weights)
    weights = mixture.weights[alive]
    return Mixture(
        weights / weights.sum(), mixture.means[alive], mixture.structure.take(alive), columns=mixture.columns
    )


def log_product(p: Mixture, q: Mixture) -> float:
    """Log ∫ p q = log Σ_i Σ_j π_i ρ_j N(μ_i | ν_j, Σ_i + T_j)."""
    distance, log_det = sum_pairs(p, q)
    logs = -0.5 * (p.n_features * np.log(2 * np.pi) + log_det + distance)
    log_weights = np.log(p.weights)[:, None] + np.log(q.weights)
    return float(np.logaddexp.reduce(logs + log_weights, axis=None))


def sum_pairs(p: Mixture, q: Mixture) -> tuple[Array, Array]:
    """(μ_i − ν_j)ᵀ (Σ_i + T_j)⁻¹ (μ_i − ν_j) and log det(Σ_i + T_j), (K_p, K_q)."""
    distance = np.empty((p.n_components, q.n_components))
    log_det = np.empty_like(distance)
    for i, mean in enumerate(p.means):
        both = p.structure.take(np.full(q.n_components, i)).plus(q.structure)
        distance[i] = np.square(both.whiten(mean - q.means)).sum(1)
        log_det[i] = both.log_det()
    return distance, log_det


def bhattacharyya_pairs(p: Mixture, q: Mixture) -> Array:
    """−log ∫ √(N(x | μ_i, Σ_i) N(x | ν_j, T_j)) dx, (K_p, K_q): a distance from 0 up, the same both ways."""
    between, log_det_sum = sum_pairs(p, q)
    log_dets = p.structure.log_det()[:, None] + q.structure.log_det()
    half_sum = log_det_sum - p.n_features * np.log(2.0)
    return np.maximum(0.25 * between + 0.5 * (half_sum - 0.5 * log_dets), 0.0)


def kl_pairs(p: Mixture, q: Mixture) -> Array:
    """KL(N(μ_i, Σ_i) ‖ N(ν_j, T_j)), (K_p, K_q): ½ [tr(T⁻¹Σ) + (μ−ν)ᵀT⁻¹(μ−ν) − D + log det T − log det Σ]."""
    out = np.empty((p.n_components, q.n_components))
    theirs = Full(q.cholesky)
    for i, (mean, factor) in enumerate(zip(p.means, p.cholesky, strict=True)):
        trace = np.square(theirs.whitening @ factor).sum((1, 2))
        distance = np.square(theirs.whiten(mean - q.means)).sum(1)
        ratio = theirs.log_det() - p.structure.log_det()[i]
        out[i] = 0.5 * (trace + distance - p.n_features + ratio)
    return np.maximum(out, 0.0)


def _comparable(p: Mixture | Gaussian, q: Mixture | Gaussian) -> tuple[Mixture, Mixture]:
    """Both as mixtures without empty components, checked to be over the same columns."""
    for one in (p, q):
        if not isinstance(one, Mixture | Gaussian):
            raise TypeError(f"expected a Mixture or a Gaussian, got {type(one).__name__}")
    p, q = (living(one.mixture if isinstance(one, Gaussian) else one) for one in (p, q))
    check_columns(p, q)
    return p, q


def check_columns(p: Mixture, q: Mixture) -> None:
    """Refuse mixtures over different columns."""
    if p.n_features != q.n_features:
        raise ValueError(
            f"the distributions have {p.n_features} and {q.n_features} columns: they must be over the same"
        )
    if p.columns is not None and q.columns is not None and p.columns != q.columns:
        raise ValueError(
            f"the distributions are over different columns, {', '.join(p.columns)} and {', '.join(q.columns)}"
        )


def _draws(n: int) -> int:
    if n < 2:
        raise ValueError(f"n is {n}: a standard error takes at least 2 draws")
    return n
