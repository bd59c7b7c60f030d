"""The noise component: rows that belong to no Gaussian, at one density everywhere.

A homogeneous Poisson process over the region that the data fill (Banfield & Raftery, "Model-based Gaussian and
non-Gaussian clustering", Biometrics 49 (1993); Fraley & Raftery, JASA 97 (2002)): p(x) = π_0/V + Σ_k π_k N(x|μ_k,Σ_k).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.core.statistics import Array

#: The weight of a noise component to start from, where nothing else is known.
INITIAL_WEIGHT = 0.05


@dataclass(frozen=True, eq=False)
class Noise:
    """A component of constant density.

    The density counts everywhere, so that a row however far off belongs to the noise; the region, where it is known,
    tells where noise is to be expected: it is what sampling, moments, marginals and conditionals need.

    Attributes
    ----------
    weight : float
        π_0, between 0 and 1.
    log_density : float
        log 1/V.
    origin : ndarray of shape (D,), optional
        A corner of the region, a box or, after a transformation, a parallelepiped: x = origin + edges t for t in the
        unit cube.
    edges : ndarray of shape (D, D), optional
        Its edges, one a column.
    estimated : bool
        Whether the region was taken from the rows of a fit; the volume then counts as a free parameter.

    Examples
    --------
    >>> from mixtura import Mixture, Noise
    >>> model = Mixture([0.9], [0], [1], noise=Noise.box([-50], [50], weight=0.1))
    >>> model.predict([0.5, 30.0])
    array([ 0, -1])
    >>> model.noise_probability([0.5, 30.0]).round(3)
    array([0.003, 1.   ])
    """

    weight: float
    log_density: float
    origin: Array | None = None
    edges: Array | None = None
    estimated: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"the weight of the noise must lie between 0 and 1, got {self.weight}")
        if not np.isfinite(self.log_density):
            raise ValueError(f"the log density of the noise must be finite, got {self.log_density}")
        for array in (self.origin, self.edges):
            if array is not None:
                array.flags.writeable = False

    @classmethod
    def of_density(cls, density: float, weight: float = INITIAL_WEIGHT) -> Noise:
        """Noise of a given density, in the unit of the data's density; over what region is left open.

        Raises
        ------
        ValueError
            If the density is not positive and finite.
        """
        if not (np.isfinite(density) and density > 0):
            raise ValueError(f"the density of the noise must be positive and finite, got {density!r}")
        return cls(weight, float(np.log(density)))

    @classmethod
    def box(cls, lower: ArrayLike, upper: ArrayLike, weight: float = INITIAL_WEIGHT) -> Noise:
        """Noise that fills a box evenly.

        Parameters
        ----------
        lower, upper : array-like of shape (D,)
        weight : float
            π_0.

        Raises
        ------
        ValueError
            If the two disagree in shape, or the box has no volume.
        """
        low, high = np.atleast_1d(np.asarray(lower, dtype=np.float64)), np.atleast_1d(np.asarray(upper, np.float64))
        if low.ndim != 1 or low.shape != high.shape:
            raise ValueError(f"lower and upper must have one number a column, got shapes {low.shape} and {high.shape}")
        flat = np.flatnonzero(~(np.isfinite(low) & np.isfinite(high) & (high > low)))
        if len(flat):
            raise ValueError(f"the box is not open in column {flat[0]}: from {low[flat[0]]} to {high[flat[0]]}")
        return cls.region(low, np.diag(high - low), weight)

    @classmethod
    def region(cls, origin: Array, edges: Array, weight: float = INITIAL_WEIGHT, estimated: bool = False) -> Noise:
        """Noise that fills a parallelepiped evenly (see the attributes)."""
        return cls(weight, -float(np.linalg.slogdet(edges)[1]), origin.copy(), edges.copy(), estimated)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Noise):
            return NotImplemented
        same = (self.weight, self.log_density, self.estimated) == (other.weight, other.log_density, other.estimated)
        return same and _same(self.origin, other.origin) and _same(self.edges, other.edges)

    def __hash__(self) -> int:
        return hash((self.weight, self.log_density))

    @property
    def n_parameters(self) -> int:
        """Free parameters: the weight, and the volume if it was estimated (as mclust counts them)."""
        return 1 + self.estimated

    @property
    def log_joint(self) -> float:
        """log π_0 − log V."""
        return float(np.log(self.weight)) + self.log_density if self.weight > 0 else -np.inf

    def parameters(self) -> dict[str, Array]:
        """The arrays that make up its region, where that is known, by name (for files)."""
        return {} if self.origin is None or self.edges is None else {"origin": self.origin, "edges": self.edges}

    def weighing(self, weight: float) -> Noise:
        """The same noise with another weight."""
        return replace(self, weight=weight)

    def moments(self) -> tuple[Array, Array]:
        """Mean (D,) and covariance (D, D) of the noise; needs the region."""
        origin, edges = self._known("its mean and covariance")
        return origin + edges.sum(1) / 2, edges @ edges.T / 12

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """n rows, (n, D); needs the region."""
        origin, edges = self._known("a sample")
        return origin + rng.random((n, len(origin))) @ edges.T

    def transform(self, matrix: Array, offset: Array) -> Noise:
        """The noise of A x + b, for a square regular A."""
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(
                f"A has the shape {matrix.shape}: with fewer or more rows than columns the noise would not be of "
                "constant density. Take without_noise() first"
            )
        log_density = self.log_density - float(np.linalg.slogdet(matrix)[1])
        if self.origin is None or self.edges is None:
            return replace(self, log_density=log_density)
        return replace(self, log_density=log_density, origin=matrix @ self.origin + offset, edges=matrix @ self.edges)

    def marginal(self, columns: NDArray[np.intp]) -> Noise:
        """The noise of some columns (their numbers); of a box only, for elsewhere it would not be even."""
        origin, edges = self._known("a marginal")
        part = edges[columns]
        used = np.flatnonzero((part != 0).any(0))
        if len(used) != len(columns):
            raise ValueError(
                "the noise fills a region that is not a box in these columns, so that its marginal is not of constant "
                "density: take without_noise() first"
            )
        return Noise.region(origin[columns], part[:, used], self.weight, self.estimated)

    def _known(self, what: str) -> tuple[Array, Array]:
        if self.origin is None or self.edges is None:
            raise ValueError(
                f"the noise was given by its density alone, so {what} is not known: give its region "
                "(Noise.box(lower, upper)) or take without_noise() first"
            )
        return self.origin, self.edges


def _same(one: Array | None, other: Array | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
