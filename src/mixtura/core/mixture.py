"""A Gaussian mixture as a distribution: immutable, usable without any fit, with scipy's method names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from mixtura import kernels
from mixtura.core.arguments import as_generator, as_labels, as_rows, as_source, column_indices, row_weights
from mixtura.core.lazy import row_by_row
from mixtura.core.noise import Noise
from mixtura.core.shown import Shown
from mixtura.core.statistics import Array
from mixtura.covariance.structure import Full, Structure
from mixtura.kernels import Rows, Whitened
from mixtura.kernels.reference import softmax
from mixtura.lazy import cached_property
from mixtura.sources.source import Source

if TYPE_CHECKING:
    from mixtura.core.divergence import Estimate
    from mixtura.core.gaussian import Gaussian
    from mixtura.core.overlap import Separation
    from mixtura.core.shape import Bounds, Modes

Labels = NDArray[np.intp]
Column = int | str

#: Rows that one call of a kernel sees in the methods below: bounds their temporary memory.
BLOCK_ROWS = 8192

#: How far weights may be from summing to 1.
WEIGHT_TOLERANCE = 1e-8
#: The label of rows that are most probably noise.
NOISE = -1


class Gradient(NamedTuple):
    """Derivatives of the log-likelihood (S11).

    ``weights`` (K,): ∂L/∂π_k (S17); ``means`` (K, D): ∇_{μ_k} L (S13); ``covariances`` (K, D, D): ∇_{Σ_k} L, as
    a symmetric matrix (S15).
    """

    weights: Array
    means: Array
    covariances: Array


class Mixture(Shown):
    """p(x) = Σ_k π_k N(x | μ_k, Σ_k) (S3), to which a noise component may add π_0/V.

    Parameters
    ----------
    weights : array-like of shape (K,)
        π, a probability vector (S7); with noise, they sum to 1 − π_0.
    means : array-like of shape (K, D), or (K,) in one dimension
        μ.
    covariances : array-like of shape (K, D, D), or (K,) in one dimension, or Structure
        Σ: symmetric positive definite.
    columns : iterable of str, optional
        Names of the columns; ``marginal`` and ``condition`` then take them too.
    noise : Noise, optional
        A component of constant density, for rows that belong to no Gaussian.

    Raises
    ------
    ValueError
        If the weights are no probability vector, shapes disagree, a number is not finite or a covariance matrix
        is not symmetric positive definite.

    Notes
    -----
    Wherever rows are taken, ``X`` is an array-like of shape (N, D); in one dimension (N,) will do, and in several
    a single row (D,), for which the result loses its first axis too. Of a data frame the columns are taken by name
    where the mixture has names. What gives something for each row gives a lazy Dask array for Dask's arrays and data
    frames. Nothing can be changed after construction;
    two mixtures are equal when all their numbers are.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> model = Mixture([0.3, 0.7], [[0, 0], [3, 1]], [[[1, 0], [0, 1]], [[2, 1], [1, 2]]])
    >>> model.predict([[0, 0], [3, 2]])
    array([0, 1])
    >>> float(model.marginal([0]).mean[0])
    2.0999999999999996
    """

    weights: Array
    means: Array
    structure: Structure
    columns: tuple[str, ...] | None
    noise: Noise | None

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike | Structure,
        *,
        columns: Iterable[str] | None = None,
        noise: Noise | None = None,
    ) -> None:
        w = np.array(weights, dtype=np.float64)
        mu = np.array(means, dtype=np.float64)
        _check_weights(w, noise)
        if mu.ndim == 1:
            mu = mu[:, None]
        if mu.ndim != 2 or mu.shape[1] == 0:
            raise ValueError(f"means must have shape (K, D), got {mu.shape}")
        if len(mu) != len(w):
            raise ValueError(f"{len(w)} weights but {len(mu)} means: both must be K")
        if not np.isfinite(mu).all():
            raise ValueError(f"means of component {int(np.flatnonzero(~np.isfinite(mu).all(1))[0])} are not finite")
        structure = covariances if isinstance(covariances, Structure) else _dense_structure(covariances, mu)
        if (structure.n_components, structure.n_features) != mu.shape:
            raise ValueError(
                f"the covariances are for K = {structure.n_components}, D = {structure.n_features} "
                f"but the means for K = {mu.shape[0]}, D = {mu.shape[1]}"
            )
        names = None if columns is None else tuple(str(c) for c in columns)
        if names is not None and (len(names) != mu.shape[1] or len(set(names)) != len(names)):
            raise ValueError(f"columns must be {mu.shape[1]} different names, got {names}")
        if noise is not None and noise.origin is not None and noise.origin.shape != mu.shape[1:]:
            raise ValueError(f"the noise has {len(noise.origin)} columns, but the means {mu.shape[1]}")
        for array in (w, mu, *structure.parameters().values()):
            array.flags.writeable = False
        self.__dict__.update(weights=w, means=mu, structure=structure, columns=names, noise=noise)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Mixture cannot be changed: make a new one with another {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Mixture cannot be changed")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mixture):
            return NotImplemented
        mine, theirs = self.structure.parameters(), other.structure.parameters()
        return (
            self.structure.kind == other.structure.kind
            and self.columns == other.columns
            and self.noise == other.noise
            and np.array_equal(self.weights, other.weights)
            and np.array_equal(self.means, other.means)
            and all(np.array_equal(mine[name], theirs[name]) for name in mine)
        )

    def __hash__(self) -> int:
        return hash(((self.weights + 0.0).tobytes(), (self.means + 0.0).tobytes()))  # −0.0 equals 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.weights, self.means, self.structure, self.columns, self.noise)

    def __repr__(self) -> str:
        k, d = self.means.shape
        parts = f"{k} Gaussian{'s' * (k != 1)} in {d} column{'s' * (d != 1)}"
        noise = "" if self.noise is None else f", {self.noise.weight:.1%} noise"
        return f"<Mixture of {parts}, {self.structure.kind} covariance{noise}>"

    # What it is made of

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def n_features(self) -> int:
        """D."""
        return self.means.shape[1]

    @cached_property
    def covariances(self) -> Array:
        """Σ, (K, D, D), whatever the structure."""
        dense = self.structure.dense()
        dense.flags.writeable = False
        return dense

    @cached_property
    def cholesky(self) -> Array:
        """L, (K, D, D) lower triangular with L_k L_kᵀ = Σ_k, whatever the structure."""
        factors = np.stack([self.structure.factor(k) for k in range(self.n_components)])
        factors.flags.writeable = False
        return factors

    @cached_property
    def whitened(self) -> Whitened:
        """The mixture as the kernels take it."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        constants = log_weights - 0.5 * (self.n_features * np.log(2 * np.pi) + self.structure.log_det())
        noise = -np.inf if self.noise is None else self.noise.log_joint
        return Whitened(self.structure.kind, self.means, self.structure.whitening, constants, noise)

    @property
    def mean(self) -> Array:
        """E[x] = Σ π_k μ_k, (D,); with noise, its region enters too."""
        mean = self.weights @ self.means
        return mean if self.noise is None else mean + self.noise.weight * self.noise.moments()[0]

    @property
    def cov(self) -> Array:
        """Covariance of x, (D, D): within plus between the components."""
        between = self.means - self.mean
        within = np.einsum("k,kij->ij", self.weights, self.covariances)
        cov = within + (self.weights[:, None] * between).T @ between
        if self.noise is not None:
            mean, spread = self.noise.moments()
            cov += self.noise.weight * (spread + np.outer(mean - self.mean, mean - self.mean))
        return cov

    def component(self, k: int) -> Gaussian:
        """p(x | z_k = 1) (S8).

        Raises
        ------
        IndexError
            If there is no component k.
        """
        from mixtura.core.gaussian import Gaussian

        if not -self.n_components <= k < self.n_components:
            raise IndexError(f"there is no component {k}: they are numbered 0 to {self.n_components - 1}")
        return Gaussian(self.means[k], Full(self.structure.factor(k)[None]), columns=self.columns)

    # Densities

    @row_by_row
    def log_joint(self, X: ArrayLike, z: ArrayLike | None = None) -> Array:
        """log p(x, z_k = 1) = log π_k + log N(x | μ_k, Σ_k) (S6), for every component or a given label.

        Parameters
        ----------
        X : array-like of shape (N, D)
        z : array-like of shape (N, K) or (N,), optional
            The label of each row, one-hot (S4) or as the number of its component.

        Returns
        -------
        ndarray of shape (N, K), or (N,) with ``z``
            Of the Gaussians; for a noise component it is ``noise.log_joint`` everywhere.
            With ``z``, log p(x, z) = Σ_k z_k [log π_k + log N(x | μ_k, Σ_k)], the logarithm of S7 times S8.

        Raises
        ------
        ValueError
            If a label is not one-hot, or there is no such component.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> model = Mixture([0.5, 0.5], [0, 1], [1, 1])
        >>> model.log_joint([0, 1], [[1, 0], [0, 1]]).round(4)
        array([-1.6121, -1.6121])
        """
        rows, single = as_rows(X, self.n_features, self.columns)
        kernel = kernels.choose(len(rows), self.n_components, self.n_features)
        out = np.empty((len(rows), self.n_components))
        for start in range(0, len(rows), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            out[block] = kernel.log_joint(rows[block], self.whitened)
        out[np.isnan(rows).any(1)] = np.nan
        if z is not None:
            out = out[np.arange(len(out)), as_labels(z, len(out), self.n_components, single)]
        return out[0] if single else out

    @row_by_row
    def logpdf(self, X: ArrayLike) -> Array:
        """log p(x) (S3, S9), (N,), in nats: a density, which may exceed 1 (and its logarithm 0). Noise is included."""
        rows, single = as_rows(X, self.n_features, self.columns)
        density = np.empty(len(rows))
        for block, log_density, _ in self._posteriors(rows):
            density[block] = log_density
        return density[0] if single else density

    @row_by_row
    def pdf(self, X: ArrayLike) -> Array:
        """p(x) (S3), (N,)."""
        return np.exp(self.logpdf(X))

    @row_by_row
    def responsibilities(self, X: ArrayLike) -> Array:
        """γ_nk = p(z_k = 1 | x_n) (S10), (N, K); rows sum to 1 also where every density underflows.

        With a noise component they sum to what it leaves, 1 − ``noise_probability(X)``.
        """
        return self.posterior(X)[1]

    @row_by_row
    def noise_probability(self, X: ArrayLike) -> Array:
        """P(x_n is noise), (N,): 0 where the mixture has no noise component."""
        return self.noise_share(self.logpdf(X))

    @row_by_row
    def shares(self, X: ArrayLike) -> Array:
        """The responsibilities and, where there is a noise component, its probability as a last column."""
        return self._and_noise(*self.posterior(X))

    def _and_noise(self, log_density: Array, share: Array) -> Array:
        return share if self.noise is None else np.concatenate([share, self.noise_share(log_density)[..., None]], -1)

    def noise_share(self, log_density: Array) -> Array:
        """The probability of noise where the logarithm of the density p(x) is this."""
        if self.noise is None or self.noise.weight == 0:
            return np.where(np.isnan(log_density), np.nan, 0.0)
        return np.exp(np.minimum(self.noise.log_joint - log_density, 0.0))

    def posterior(self, X: ArrayLike) -> tuple[Array, Array]:
        """log p(x) (S3, S9), (N,), and the responsibilities (S10), (N, K), in one go."""
        rows, single = as_rows(X, self.n_features, self.columns)
        density, share = np.empty(len(rows)), np.empty((len(rows), self.n_components))
        for block, log_density, responsibilities in self._posteriors(rows):
            density[block], share[block] = log_density, responsibilities
        return (density[0], share[0]) if single else (density, share)

    def _posteriors(self, rows: Rows) -> Iterator[tuple[slice, Array, Array]]:
        """Which rows, their log densities and responsibilities, block after block; NaN for a row with a NaN."""
        kernel = kernels.choose(len(rows), self.n_components, self.n_features)
        for start in range(0, len(rows), BLOCK_ROWS):
            block: Rows = rows[start : start + BLOCK_ROWS]
            density, share = softmax(kernel.log_joint(block, self.whitened), block, self.whitened)
            missing = np.isnan(block).any(1)
            density[missing], share[missing] = np.nan, np.nan
            yield slice(start, start + len(block)), density, share

    @row_by_row
    def predict(self, X: ArrayLike) -> Labels:
        """The most probable component of each row, (N,); −1 where noise is the most probable.

        Raises
        ------
        ValueError
            If a row has a NaN.
        """
        rows, single = as_rows(X, self.n_features, self.columns)
        missing = np.flatnonzero(np.isnan(rows).any(1))
        if len(missing):
            raise ValueError(f"row {missing[0]} has a NaN: no component is the most probable")
        labels = np.empty(len(rows), dtype=np.intp)
        for block, log_density, share in self._posteriors(rows):
            labels[block] = np.where(self.noise_share(log_density) > share.max(1), NOISE, share.argmax(1))
        return labels[0] if single else labels

    @row_by_row
    def uncertainty(self, X: ArrayLike) -> Array:
        """1 − max_k γ_nk, (N,): the probability that the label of ``predict`` is wrong, if the mixture is right."""
        return self._of_posteriors(X, lambda share: 1 - share.max(1))

    @row_by_row
    def label_entropy(self, X: ArrayLike) -> Array:
        """−Σ_k γ_nk log γ_nk, (N,), in nats: from 0 where a row is certain to log K where nothing is known of it."""
        return self._of_posteriors(X, lambda share: entr(share).sum(1))

    def _of_posteriors(self, X: ArrayLike, function: Callable[[Array], Array]) -> Array:
        """A number for each row, (N,), from its responsibilities, those of noise among them."""
        rows, single = as_rows(X, self.n_features, self.columns)
        out = np.empty(len(rows))
        for block, log_density, share in self._posteriors(rows):
            out[block] = function(self._and_noise(log_density, share))
        return out[0] if single else out

    def loglik(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """L = Σ_n w_n log p(x_n) (S11), in nats."""
        rows, _ = as_rows(X, self.n_features, self.columns)
        density = self.logpdf(rows)
        weights = row_weights(sample_weight, len(rows))
        return float(density.sum() if weights is None else (density[weights > 0] * weights[weights > 0]).sum())

    def gradient(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Gradient:
        """The derivatives of the log-likelihood of these rows in all parameters (S13, S15, S17).

        Parameters
        ----------
        X : array-like of shape (N, D)
        sample_weight : array-like of shape (N,), optional

        Returns
        -------
        Gradient
            Named tuple (weights, means, covariances). The derivatives in the covariances are those of matrices of
            their own for each component, whatever the structure.

        Examples
        --------
        At the maximum-likelihood estimate the derivatives in the means vanish:

        >>> import numpy as np
        >>> from mixtura import Mixture
        >>> X = np.array([[1.0], [2.0], [6.0]])
        >>> Mixture([1], [3], [X.var()]).gradient(X).means
        array([[0.]])
        """
        from mixtura.core.estep import e_step, gradient

        rows, _ = as_rows(X, self.n_features, self.columns)
        w = row_weights(sample_weight, len(rows))
        unshared = Mixture(self.weights, self.means, Full(self.cholesky), noise=self.noise)
        found = gradient(unshared, e_step(unshared, rows, w))
        for k in np.flatnonzero(self.weights == 0):  # where N_k/π_k is 0/0, S17 as it stands
            ratio = np.exp(self.component(int(k)).logpdf(rows) - self.logpdf(rows))
            found.weights[k] = ratio.sum() if w is None else ratio @ w
        return found

    # Its shape

    @overload
    def cdf(self, X: ArrayLike, rng: Any = None, *, return_error: Literal[False] = False) -> Array: ...
    @overload
    def cdf(self, X: ArrayLike, rng: Any = None, *, return_error: Literal[True]) -> tuple[Array, Array]: ...

    def cdf(self, X: ArrayLike, rng: Any = None, *, return_error: bool = False) -> Array | tuple[Array, Array]:
        """P(every column ≤ x), (N,).

        Exact in one and two dimensions, and when the columns are uncorrelated within each component; otherwise by
        randomised quasi-Monte Carlo (Genz 1992), to about five digits.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Upper limits; infinities are welcome.
        rng : numpy.random.Generator, int or None
            Where the randomness comes from, if any is needed.
        return_error : bool
            Whether to return the standard error of each probability too.

        Returns
        -------
        probability : ndarray of shape (N,)
        error : ndarray of shape (N,)
            Only with ``return_error``; 0 where exact.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import Mixture
        >>> Mixture([0.5, 0.5], [-1, 1], [1, 1]).cdf([-np.inf, 0, np.inf])
        array([0. , 0.5, 1. ])
        >>> float(Mixture([1], [[0, 0]], [[[1, 0.5], [0.5, 1]]]).cdf([0, 0]).round(9))  # 1/3
        0.333333333
        """
        from mixtura.core import shape

        value, error = shape.cdf(self, X, rng)
        return (value, error) if return_error else value

    def ppf(self, q: ArrayLike) -> Array:
        """The quantiles: the least x with cdf(x) ≥ q, of the shape of q. Exact, in the far tails too.

        Parameters
        ----------
        q : array-like
            Probabilities; 0 and 1 give ∓∞.

        Raises
        ------
        ValueError
            If there is more than one column, or a q outside [0, 1].

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([0.5, 0.5], [-3, 3], [1, 1]).ppf([0.1, 0.9]).round(4)
        array([-3.8416,  3.8416])
        """
        from mixtura.core import shape

        return shape.ppf(self, q)

    def density_level(self, probability: float, rng: Any = None, n: int = 100_000) -> Estimate:
        """The density c such that p(x) ≥ c with this probability: the edge of the highest-density region.

        That region, {x: p(x) ≥ c}, is the smallest that holds the probability. Exact for a single component and in
        one dimension; otherwise a quantile of the density over a sample.

        Parameters
        ----------
        probability : float
            Between 0 and 1, exclusive.
        rng : numpy.random.Generator, int or None
            Where the randomness comes from, if any is needed.
        n : int
            How many rows to draw.

        Returns
        -------
        Estimate
            A float with its ``standard_error`` (0 where exact), to be compared with ``pdf``, in whose unit it is: one
            over that of every column. In many columns densities leave the range of floating-point numbers; take
            ``log_density_level`` then.

        Raises
        ------
        ValueError
            If the probability is not between 0 and 1.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> model = Mixture([0.5, 0.5], [0, 10], [1, 1])
        >>> level = model.density_level(0.95)
        >>> (model.pdf([0, 2, 5, 10]) >= level).tolist()
        [True, False, False, True]
        """
        from mixtura.core import shape

        return shape.density_level(self, probability, rng, n)

    def log_density_level(self, probability: float, rng: Any = None, n: int = 100_000) -> Estimate:
        """The logarithm of ``density_level``, to be compared with ``logpdf``."""
        from mixtura.core import shape

        return shape.log_density_level(self, probability, rng, n)

    def modes(self) -> Modes:
        """The local maxima of the density, the highest first.

        Climbs from the mean of every component, and from points between them, by the fixed-point iteration
        x ← (Σ γ_k Λ_k)⁻¹ Σ γ_k Λ_k μ_k (Carreira-Perpiñán, IEEE Trans. PAMI 22 (2000)) and Newton's method, and accepts
        a point only where the density bends down in every direction. In one dimension no mode is missed; in several,
        where there may be more modes than components, one that none of these climbs meets is.

        Returns
        -------
        Modes
            Named tuple: ``points`` (M, D) and ``logpdf`` (M,), the log density there.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([0.5, 0.5], [-1, 1], [1, 1]).modes().points
        array([[0.]])
        >>> Mixture([0.4, 0.6], [-3, 3], [1, 1]).modes().points.round(4)
        array([[ 3.],
               [-3.]])
        """
        from mixtura.core import shape

        return shape.modes(self)

    def entropy_bounds(self) -> Bounds:
        """Two numbers, in nats, between which the entropy −E log p(x) lies; equal for a single component.

        Lower: the larger of H(X|Z) − Σ_i π_i log Σ_j π_j exp(−B_ij), with B the Bhattacharyya distances of the
        components (Kolchinsky & Tracey, Entropy 19 (2017) 361, sections 3 and 4), and
        −Σ_i π_i log Σ_j π_j N(μ_i | μ_j, Σ_i + Σ_j) (Huber et al., IEEE MFI 2008). Upper: the smaller of the first
        expression with Kullback–Leibler divergences KL_ij in place of B_ij, and the entropy of a Gaussian with the
        covariance of the mixture.

        Returns
        -------
        Bounds
            Named tuple (lower, upper).

        Examples
        --------
        >>> from mixtura import Mixture
        >>> lower, upper = Mixture([0.5, 0.5], [-2, 2], [1, 1]).entropy_bounds()
        >>> round(lower, 3), round(upper, 3)
        (1.985, 2.112)
        """
        from mixtura.core import shape

        return shape.entropy_bounds(self)

    # How well its components are told apart

    def overlap(self) -> Array:
        """The probability ω_ij that a row from component i is more probable under component j, (K, K).

        That is P(π_j N(x | μ_j, Σ_j) > π_i N(x | μ_i, Σ_i)) of an x from component i, as if there were no other
        components; ω_ij + ω_ji is the overlap of the pair (Maitra & Melnykov, J. Comput. Graph. Stat. 19 (2010), 354,
        section 2). The diagonal is 0. Found by numerical integration, to about nine digits. For what is mistaken on
        given rows, among all components, see ``separation``.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([0.5, 0.5], [-1, 1], [1, 1]).overlap().round(6)  # Φ(−1)
        array([[0.      , 0.158655],
               [0.158655, 0.      ]])
        """
        from mixtura.core import overlap

        return overlap.overlap(self)

    def separation(self, X: ArrayLike | Source, sample_weight: ArrayLike | None = None) -> Separation:
        """How surely rows belong to one component or another: the entropy, and what is taken for what.

        Parameters
        ----------
        X : array-like of shape (N, D), or Source
            Without rows, take those of ``sample``: the answer is then about the mixture itself.
        sample_weight : array-like of shape (N,), optional

        Returns
        -------
        Separation
            With ``entropy``, ``normalised_entropy``, ``error_rate`` and ``misclassification``.

        Raises
        ------
        ValueError
            If a row is not finite.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> model = Mixture([0.5, 0.5], [-1, 1], [1, 1])
        >>> model.separation(model.sample(100_000, rng=0)).misclassification.round(2)
        array([[0.84, 0.16],
               [0.16, 0.84]])
        """
        from mixtura.core.overlap import separation

        return separation(self, as_source(X, self.n_features, self.columns, sample_weight))

    # Other mixtures made from this one

    def marginal(self, columns: Iterable[Column] | Column) -> Mixture:
        """The distribution of some of the columns, by number or name, in the order given.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> model = Mixture([1], [[0, 5]], [[[1, 0.5], [0.5, 1]]], columns=["a", "b"])
        >>> model.marginal("b").means
        array([[5.]])
        """
        index = column_indices(columns, self.n_features, self.columns)
        names = None if self.columns is None else [self.columns[j] for j in index]
        noise = None if self.noise is None else self.noise.marginal(index)
        return Mixture(self.weights, self.means[:, index], self.structure.marginal(index), columns=names, noise=noise)

    def condition(self, given: Mapping[Any, float]) -> Mixture:
        """The distribution of the other columns, given values of some.

        Parameters
        ----------
        given : mapping
            Column (number or name) → value.

        Returns
        -------
        Mixture
            Over the remaining columns, in their order; its weights are the responsibilities for the given values.

        Raises
        ------
        ValueError
            If there is no such column, nothing remains, or a noise component fills another region than a box.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> model = Mixture([1], [[0, 0]], [[[1, 0.5], [0.5, 1]]])
        >>> model.condition({0: 2.0}).means
        array([[1.]])
        """
        index = column_indices(given, self.n_features, self.columns)
        values = np.array([float(v) for v in given.values()])
        if not np.isfinite(values).all():
            raise ValueError(f"the values to condition on must be finite, got {values}")
        if len(index) == self.n_features:
            raise ValueError("all columns are given: nothing remains. Leave at least one out")
        rest = np.setdiff1d(np.arange(self.n_features), index)
        parts = self.structure.condition(index)
        noise = None if self.noise is None else self.noise.marginal(index)
        given_alone = Mixture(self.weights, self.means[:, index], parts.given, noise=noise)
        weights = given_alone.responsibilities(values[None])[0]
        if self.noise is not None:
            share = float(given_alone.noise_probability(values[None])[0])
            weights, noise = weights * ((1 - share) / weights.sum()), self.noise.marginal(rest).weighing(share)
        else:
            weights = weights / weights.sum()
        means = self.means[:, rest] + np.einsum("kab,kb->ka", parts.slope, values - self.means[:, index])
        names = None if self.columns is None else [self.columns[j] for j in rest]
        return Mixture(weights, means, parts.rest, columns=names, noise=noise)

    def transform(self, A: ArrayLike, b: ArrayLike = 0.0) -> Mixture:
        """The distribution of A x + b.

        Parameters
        ----------
        A : array-like of shape (M, D), or a number
            A number multiplies every column.
        b : array-like of shape (M,), or a number

        Raises
        ------
        ValueError
            If the covariance of A x is singular (M > D, or dependent rows); with noise, if A is not square.
        """
        matrix = np.asarray(A, dtype=np.float64)
        if matrix.ndim == 0:
            matrix = matrix * np.eye(self.n_features)
        if matrix.ndim != 2 or matrix.shape[1] != self.n_features:
            raise ValueError(f"A must have shape (M, {self.n_features}), got {matrix.shape}")
        offset = np.broadcast_to(np.asarray(b, dtype=np.float64), matrix.shape[:1])
        names = self.columns if matrix.shape[0] == self.n_features else None
        noise = None if self.noise is None else self.noise.transform(matrix, offset)
        means = self.means @ matrix.T + offset
        return Mixture(self.weights, means, self.structure.transform(matrix), columns=names, noise=noise)

    def reorder(self, order: ArrayLike | None = None) -> Mixture:
        """The same distribution with its components in another order, by default the ``canonical_order``."""
        index = self.canonical_order() if order is None else np.asarray(order, dtype=np.intp)
        if not np.array_equal(np.sort(index), np.arange(self.n_components)):
            raise ValueError(f"order must hold each of 0 … {self.n_components - 1} once, got {index}")
        return Mixture(
            self.weights[index], self.means[index], self.structure.take(index), columns=self.columns, noise=self.noise
        )

    def without_noise(self) -> Mixture:
        """The mixture of the Gaussians alone.

        Raises
        ------
        ValueError
            If they have no weight.
        """
        total = self.weights.sum()
        if total == 0:
            raise ValueError("all of the mixture is noise: its Gaussians have no weight")
        return Mixture(self.weights / total, self.means, self.structure, columns=self.columns)

    def canonical_order(self) -> Labels:
        """The components by their mean in the first column, those with the same mean there by the second, and so on.

        Of components with the same mean, the heavier comes first. Fits give their components in this order.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> model = Mixture([0.3, 0.7], [[3, 1], [0, 0]], [[[1, 0], [0, 1]]] * 2)
        >>> model.reorder().means
        array([[0., 0.],
               [3., 1.]])
        """
        return np.lexsort((-self.weights, *self.means.T[::-1]))

    # Samples

    @overload
    def sample(self, n: int, rng: Any = None, *, return_labels: Literal[False] = False) -> Array: ...
    @overload
    def sample(self, n: int, rng: Any = None, *, return_labels: Literal[True]) -> tuple[Array, Labels]: ...

    def sample(self, n: int, rng: Any = None, *, return_labels: bool = False) -> Array | tuple[Array, Labels]:
        """Draw n independent rows (S5); their hidden labels (S4) come mixed, as they would in nature.

        Parameters
        ----------
        n : int
            Number of rows.
        rng : numpy.random.Generator, int or None
            Where the randomness comes from; a Generator moves on, so that two calls differ.
        return_labels : bool
            Whether to return the component of each row too.

        Returns
        -------
        rows : ndarray of shape (n, D)
        labels : ndarray of shape (n,)
            Only with ``return_labels``; −1 for noise.

        Raises
        ------
        ValueError
            If there is noise whose region is not known.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import Mixture
        >>> rows = Mixture([0.5, 0.5], [-9, 9], [1, 1]).sample(4, np.random.default_rng(0))
        >>> rows.shape
        (4, 1)
        """
        if n < 0:
            raise ValueError(f"cannot draw {n} rows: n must be 0 or more")
        generator = as_generator(rng)
        p = self.weights if self.noise is None else np.append(self.weights, self.noise.weight)
        labels = generator.choice(len(p), size=n, p=p / p.sum())
        rows = generator.standard_normal((n, self.n_features))
        if self.noise is not None:
            noise = labels == self.n_components
            rows[noise] = self.noise.sample(int(noise.sum()), generator)
            labels[noise] = NOISE
        for k in np.unique(labels[labels != NOISE]):
            mine = labels == k
            rows[mine] = self.structure.colour(int(k), rows[mine]) + self.means[k]
        return (rows, labels) if return_labels else rows

    def rvs(self, size: int = 1, random_state: Any = None) -> Array:
        """``sample`` under scipy's name."""
        return self.sample(size, random_state)


def _restored(
    weights: Array,
    means: Array,
    structure: Structure,
    columns: tuple[str, ...] | None,
    noise: Noise | None = None,
) -> Mixture:
    """A pickled mixture, whose arrays cannot be written to again."""
    return Mixture(weights, means, structure, columns=columns, noise=noise)


def _check_weights(weights: Array, noise: Noise | None) -> None:
    if weights.ndim != 1 or len(weights) == 0:
        raise ValueError(f"weights must be a vector of K >= 1 numbers, got an array of shape {weights.shape}")
    total = 1.0 if noise is None else 1.0 - noise.weight
    if not (weights.min() >= 0 and abs(weights.sum() - total) <= WEIGHT_TOLERANCE):  # NaN is neither
        wanted = "1" if noise is None else f"{total:g}, which the noise leaves"
        raise ValueError(
            f"weights must be a probability vector: finite, not negative, with sum {wanted}; "
            f"got {weights} (sum {weights.sum()})"
        )


def _dense_structure(covariances: ArrayLike, means: Array) -> Full:
    """The structure of an array of covariance matrices, checked."""
    dense = np.array(covariances, dtype=np.float64)
    k, d = means.shape
    if d == 1 and dense.size == k:
        dense = dense.reshape(k, 1, 1)
    if dense.shape != (k, d, d):
        raise ValueError(f"covariances must have shape (K, D, D) = {(k, d, d)}, got {dense.shape}")
    for i, matrix in enumerate(dense):
        if not np.isfinite(matrix).all():
            raise ValueError(f"the covariance matrix of component {i} is not finite")
        deviation = np.sqrt(np.abs(np.diagonal(matrix)))
        if (np.abs(matrix - matrix.T) > 1e-8 * np.outer(deviation, deviation)).any():
            raise ValueError(f"the covariance matrix of component {i} is not symmetric")
    return Full.from_covariances((dense + np.swapaxes(dense, 1, 2)) / 2)
