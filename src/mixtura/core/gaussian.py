"""One Gaussian as a distribution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura.core.arguments import as_rows
from mixtura.core.mixture import Column, Mixture
from mixtura.core.statistics import Array
from mixtura.covariance.structure import Full, Structure

if TYPE_CHECKING:
    from mixtura.core.divergence import Estimate


class Gaussian:
    """N(x | μ, Σ) (S1, S2).

    Parameters
    ----------
    mean : array-like of shape (D,), or a number in one dimension
        μ.
    covariance : array-like of shape (D, D), or a number (the variance) in one dimension
        Σ: symmetric positive definite.
    columns : iterable of str, optional
        Names of the columns.

    Raises
    ------
    ValueError
        If shapes disagree or the covariance is not symmetric positive definite.

    Examples
    --------
    >>> from mixtura import Gaussian
    >>> float(Gaussian(0, 1).pdf(0))
    0.3989422804014327
    >>> Gaussian([1, 2], [[2, 1], [1, 2]]).condition({0: 3}).mean
    array([3.])
    """

    def __init__(
        self, mean: ArrayLike, covariance: ArrayLike | Structure, *, columns: Iterable[str] | None = None
    ) -> None:
        mu = np.atleast_1d(np.asarray(mean, dtype=np.float64))
        if mu.ndim != 1:
            raise ValueError(f"mean must have shape (D,), got {mu.shape}")
        if isinstance(covariance, Structure):
            covariance = Full(covariance.factor(0)[None])
        else:
            covariance = np.asarray(covariance, dtype=np.float64)
            covariance = covariance[None] if covariance.ndim == 2 else covariance.reshape(-1)
        self._mixture = Mixture([1.0], mu[None], covariance, columns=columns)

    @classmethod
    def _of(cls, mixture: Mixture) -> Gaussian:
        return cls(mixture.means[0], mixture.structure, columns=mixture.columns)

    def __eq__(self, other: object) -> bool:
        return self._mixture == other._mixture if isinstance(other, Gaussian) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._mixture)

    def __repr__(self) -> str:
        return f"<Gaussian in {self.n_features} column{'s' * (self.n_features != 1)}>"

    @property
    def n_features(self) -> int:
        """D."""
        return self._mixture.n_features

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns, if they have any."""
        return self._mixture.columns

    @property
    def mixture(self) -> Mixture:
        """The same distribution as a mixture of one component."""
        return self._mixture

    @property
    def mean(self) -> Array:
        """μ, (D,)."""
        return self._mixture.means[0]

    @property
    def cov(self) -> Array:
        """Σ, (D, D)."""
        return self._mixture.covariances[0]

    @property
    def cholesky(self) -> Array:
        """L, (D, D) lower triangular, with L Lᵀ = Σ."""
        return self._mixture.structure.factor(0)

    def logpdf(self, X: ArrayLike) -> Array:
        """log N(x | μ, Σ) (S2), (N,), in nats."""
        return self._mixture.logpdf(X)

    def pdf(self, X: ArrayLike) -> Array:
        """N(x | μ, Σ) (S1, S2), (N,)."""
        return self._mixture.pdf(X)

    def cdf(self, X: ArrayLike, rng: Any = None) -> Array:
        """P(every column ≤ x), (N,); see ``Mixture.cdf``."""
        return self._mixture.cdf(X, rng)

    def ppf(self, q: ArrayLike) -> Array:
        """Quantiles, in one dimension; see ``Mixture.ppf``."""
        return self._mixture.ppf(q)

    def density_level(self, probability: float) -> Estimate:
        """The density on the edge of the ellipsoid that holds this probability; see ``Mixture.density_level``."""
        return self._mixture.density_level(probability)

    def log_density_level(self, probability: float) -> Estimate:
        """Its logarithm; see ``Mixture.log_density_level``."""
        return self._mixture.log_density_level(probability)

    def loglik(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Σ w log N(x | μ, Σ), in nats."""
        return self._mixture.loglik(X, sample_weight)

    def mahalanobis(self, X: ArrayLike) -> Array:
        """√((x − μ)ᵀ Σ⁻¹ (x − μ)), (N,)."""
        rows, single = as_rows(X, self.n_features, self.columns)
        white = (rows - self.mean) @ self._mixture.structure.whitening[0].T
        distance = np.sqrt(np.square(white).sum(1))
        return distance[0] if single else distance

    def entropy(self) -> float:
        """−E log p(x) = ½ [D (1 + log 2π) + log det Σ], in nats."""
        return 0.5 * float(self.n_features * (1 + np.log(2 * np.pi)) + self._mixture.structure.log_det()[0])

    def sample(self, n: int, rng: Any = None) -> Array:
        """Draw n rows, (n, D); see ``Mixture.sample``."""
        return self._mixture.sample(n, rng)

    def rvs(self, size: int = 1, random_state: Any = None) -> Array:
        """``sample`` under scipy's name."""
        return self.sample(size, random_state)

    def marginal(self, columns: Iterable[Column] | Column) -> Gaussian:
        """The distribution of some of the columns, by number or name."""
        return self._of(self._mixture.marginal(columns))

    def condition(self, given: Mapping[Any, float]) -> Gaussian:
        """The distribution of the other columns, given values of some: {column: value}."""
        return self._of(self._mixture.condition(given))

    def transform(self, A: ArrayLike, b: ArrayLike = 0.0) -> Gaussian:
        """The distribution of A x + b."""
        return self._of(self._mixture.transform(A, b))
