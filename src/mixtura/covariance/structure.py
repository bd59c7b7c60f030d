"""How the covariance matrices of a mixture are stored, and all that may be asked of them.

Three structures, each holding a factor rather than Σ itself (so that a column in units of 1e-150 or 1e150 does
no harm) and each owing the same few things; everything else in the library is written once on these:

=================== ==========================================================================================
``dense()``         (K, D, D) covariance matrices
``log_det()``       (K,) log det Σ_k
``factor(k)``       (D, D) lower triangular L_k with L_k L_kᵀ = Σ_k
``whitening``       L_k⁻¹ as the kernels take it: full (K, D, D), tied (D, D), diagonal (K, D)
``whiten(x)``       L_k⁻¹ x_k for (K, D) vectors, one a component
``weigh(x)``        Σ_k x_k, likewise
``precision(x)``    Σ_k⁻¹ x_k, likewise
``colour(k, z)``    L_k z for (N, D) rows z
``axis(k, u)``      (D,) the longest axis of Σ_k, with the columns in units u
``plus(other)``     the structure of Σ_k + T_k
``variances()``     (K, D) diagonals of Σ_k
``traces(P)``       (K,) tr(Σ_k⁻¹ P) for one (D, D) matrix P, or a diagonal one given as (D,)
``ratios(P)``       (K, D) the eigenvalues of Σ_k⁻¹ P, likewise
``take(indices)``   the structure of some of the components
``condition(b)``    the pieces of the conditional distribution given the columns b
``marginal(a)``     the structure of the columns a
``transform(A)``    the structure of A x
``parameters()``    the arrays that make it up, by name (for files)
``distance(o, n)``  how far another structure is, in units of the Fisher information of n rows a component
=================== ==========================================================================================

For optimisers there are coordinates in which every vector is a structure (the logarithm of the diagonal of a factor
and what stands below it):

=================== ==========================================================================================
``coordinates``     where this structure is
``at(v)``           the structure there
``logarithms()``    which coordinates are logarithms
``slope(n, W)``     derivative there of −½ Σ_k [n_k log det Σ_k + tr(Σ_k⁻¹ W_k)]
``uphill(g, n)``    g over the complete-data Fisher information of n rows a component
=================== ==========================================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mixtura.core.statistics import Array, Kind
from mixtura.lazy import cached_property

Index = NDArray[np.intp]

#: A matrix counts as singular when a pivot of the Cholesky factor of its correlation matrix falls below this
#: multiple of D: what is left of that column, given the ones before it, is then rounding noise.
SINGULAR_PIVOT = 4 * float(np.finfo(np.float64).eps)
#: Columns from which on triangles are inverted one by one.
WIDE = 32


class SingularError(ValueError):
    """A covariance matrix is not positive definite.

    Attributes
    ----------
    components : tuple of int
        The components concerned (empty when the matrix is shared by all).
    """

    def __init__(self, message: str, components: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.components = tuple(components)


def cholesky(matrices: Array) -> Array:
    """Lower Cholesky factors of (…, D, D) matrices, whatever the scales of their columns.

    Raises
    ------
    SingularError
        Naming the matrices that are not positive definite to working precision.
    """
    diagonal = np.diagonal(matrices, axis1=-2, axis2=-1)
    positive = (diagonal > 0) & np.isfinite(diagonal)
    scale = np.sqrt(np.where(positive, diagonal, 1.0))
    unit: Array = np.divide(matrices, scale[..., :, None], order="C", dtype=np.float64)
    unit /= scale[..., None, :]
    factors = _factors(unit)
    pivots = np.square(np.diagonal(factors, axis1=-2, axis2=-1))
    regular = positive.all(-1) & (pivots > SINGULAR_PIVOT * unit.shape[-1]).all(-1)
    if not regular.all():
        which = [int(i) for i in np.flatnonzero(~np.atleast_1d(regular))] if matrices.ndim > 2 else []
        of = f" of component {', '.join(map(str, which))}" if which else ""
        raise SingularError(f"the covariance matrix{of} is not positive definite", which)
    factors *= scale[..., :, None]
    return factors


def _factors(matrices: Array) -> Array:
    """Lower Cholesky factors, in the place of the matrices; NaN for those that have none."""
    size = matrices.shape[-1]
    if size >= WIDE:
        from scipy.linalg import get_lapack_funcs  # writes over its argument

        (factor,) = get_lapack_funcs(("potrf",), (matrices,))
        for matrix in matrices.reshape(-1, size, size):
            _, info = factor(matrix.T, overwrite_a=1)  # the upper one of the transpose
            if info:
                matrix[:] = np.nan
        return matrices
    try:
        factors = np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        factors = np.full_like(matrices, np.nan)
        for index in np.ndindex(matrices.shape[:-2]):
            with suppress(np.linalg.LinAlgError):
                factors[index] = np.linalg.cholesky(matrices[index])
    return np.asarray(factors, dtype=np.float64)


def lower_of(factors: Array) -> Array:
    """Lower triangular L with L Lᵀ = F Fᵀ for (…, M, D) matrices F of full row rank.

    Raises
    ------
    SingularError
        If F Fᵀ is singular, as it must be when M > D.
    """
    if factors.shape[-2] > factors.shape[-1]:
        raise SingularError(
            f"a map from {factors.shape[-1]} to {factors.shape[-2]} columns has a singular covariance: "
            "use at most as many rows in A as there are columns"
        )
    lower = triangle_of(factors)
    size = np.sqrt(np.square(factors).sum(-1))
    diagonal = np.diagonal(lower, axis1=-2, axis2=-1)
    if np.any(diagonal <= np.sqrt(SINGULAR_PIVOT * factors.shape[-2]) * size):
        raise SingularError("the transformed covariance is singular: the rows of A are linearly dependent")
    return lower


def triangle_of(factors: Array) -> Array:
    """Lower triangular L with L Lᵀ = F Fᵀ for (…, M, D) matrices F, M ≤ D, with a diagonal that is not negative."""
    upper = np.linalg.qr(np.swapaxes(factors, -1, -2), mode="r")
    return np.swapaxes(upper, -1, -2) * np.sign(np.diagonal(upper, axis1=-2, axis2=-1))[..., None, :]


@dataclass(frozen=True)
class Conditional:
    """x_a given x_b = v: mean μ_a + slope (v − μ_b) and a covariance that v does not change.

    Attributes
    ----------
    given : Structure
        Covariance of the columns b.
    slope : ndarray of shape (K, A, B)
        Σ_ab Σ_bb⁻¹.
    rest : Structure
        Covariance of the columns a given those of b.
    """

    given: Structure
    slope: Array
    rest: Structure


class Structure(ABC):
    """The covariance matrices of K components in D columns (see the head of this module)."""

    kind: ClassVar[Kind]

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be derived: a pass over a cluster sends mixtures out."""
        return {name: value for name, value in self.__dict__.items() if name != "whitening"}

    @property
    @abstractmethod
    def n_components(self) -> int: ...
    @property
    @abstractmethod
    def n_features(self) -> int: ...
    @abstractmethod
    def dense(self) -> Array: ...
    @abstractmethod
    def log_det(self) -> Array: ...
    @abstractmethod
    def factor(self, k: int) -> Array: ...
    @cached_property
    @abstractmethod
    def whitening(self) -> Array: ...
    @abstractmethod
    def whiten(self, vectors: Array) -> Array: ...
    @abstractmethod
    def weigh(self, vectors: Array) -> Array: ...
    @abstractmethod
    def precision(self, vectors: Array) -> Array: ...
    @abstractmethod
    def variances(self) -> Array: ...
    @abstractmethod
    def traces(self, matrix: Array) -> Array: ...
    @abstractmethod
    def ratios(self, matrix: Array) -> Array: ...
    @abstractmethod
    def take(self, indices: Index) -> Self: ...
    @abstractmethod
    def condition(self, given: Index) -> Conditional: ...
    @abstractmethod
    def marginal(self, columns: Index) -> Self: ...
    @abstractmethod
    def transform(self, matrix: Array) -> Structure: ...
    @abstractmethod
    def parameters(self) -> dict[str, Array]: ...
    @abstractmethod
    def distance(self, other: Any, n: Array) -> float: ...

    def colour(self, k: int, rows: Array) -> Array:
        return rows @ self.factor(k).T

    def axis(self, k: int, unit: Array) -> Array:
        return np.linalg.svd(self.factor(k) / unit[:, None])[0][:, 0]

    def plus(self, other: Structure) -> Structure:
        mine, theirs = (np.stack([s.factor(k) for k in range(s.n_components)]) for s in (self, other))
        return Full(triangle_of(np.concatenate([mine, theirs], axis=-1)))

    @cached_property
    @abstractmethod
    def coordinates(self) -> Array: ...
    @abstractmethod
    def at(self, coordinates: Array) -> Self: ...
    @abstractmethod
    def logarithms(self) -> NDArray[np.bool_]: ...
    @abstractmethod
    def slope(self, n: Array, scatter: Array) -> Array: ...
    @abstractmethod
    def uphill(self, slope: Array, n: Array) -> Array: ...


def diagonal_of(matrix: Array) -> Array:
    """The diagonal of a (D, D) matrix, which may be given by it alone, (D,)."""
    return matrix if matrix.ndim == 1 else np.diagonal(matrix)


def matrix_of(matrix: Array) -> Array:
    """The (D, D) matrix, which may be given by its diagonal alone, (D,)."""
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def _ratios(white: Array, matrix: Array) -> Array:
    """Eigenvalues of (…, D, D) matrices A P Aᵀ, in ascending order; infinite where they leave double precision."""
    matrix = matrix_of(matrix)
    size = np.sqrt(np.abs(np.diagonal(matrix)))
    unit = np.where(size > 0, size, 1.0)
    scaled = white * unit
    largest = np.abs(scaled).max((-2, -1), keepdims=True)
    scaled = scaled / largest
    inside = scaled @ (matrix / unit / unit[:, None]) @ np.swapaxes(scaled, -1, -2)
    with np.errstate(over="ignore"):
        return np.asarray(np.linalg.eigvalsh(inside) * largest[..., 0] * largest[..., 0], dtype=np.float64)


def _log_diagonal(factor: Array) -> Array:
    return 2 * np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(-1)


def inverse_lower(factor: Array) -> Array:
    """Inverses of (…, D, D) lower triangular matrices, triangular to the bit; SingularError where there is none."""
    scale = np.abs(np.diagonal(factor, axis1=-2, axis2=-1))
    # unit diagonal: the inverse is safe for columns in any unit
    unit: Array = np.divide(factor, scale[..., :, None], order="C", dtype=np.float64)
    size = factor.shape[-1]
    if size < WIDE:
        try:
            return _lower(np.linalg.inv(unit)) / scale[..., None, :]
        except np.linalg.LinAlgError:
            raise SingularError("a covariance matrix leaves the range of double precision") from None
    from scipy.linalg import get_lapack_funcs  # a sixth of the work, but matrix by matrix, each in its place

    (invert,) = get_lapack_funcs(("trtri",), (unit,))
    for matrix in unit.reshape(-1, size, size):
        invert(matrix.T, overwrite_c=1)  # the upper one of the transpose
    unit /= scale[..., None, :]
    return unit


def _rest_of(n_features: int, given: Index) -> Index:
    return np.setdiff1d(np.arange(n_features), given)


def _split(factor: Array, given: Index) -> tuple[Array, Array, Array]:
    """Blocks (L_bb, slope, L_aa) of the factor of the columns reordered as (b, a)."""
    rest = _rest_of(factor.shape[-1], given)
    lower = lower_of(factor[..., np.concatenate([given, rest]), :])
    size = len(given)
    l_bb, l_ab, l_aa = lower[..., :size, :size], lower[..., size:, :size], lower[..., size:, size:]
    return l_bb, l_ab @ inverse_lower(l_bb), l_aa


# Coordinates of (…, D, D) lower triangular factors: (…, D(D+1)/2), the diagonal as logarithms.


def _pack(lower: Array) -> Array:
    out = lower[_triangle(lower.shape[-1])]
    out[..., _on_diagonal(lower.shape[-1])] = np.log(np.diagonal(lower, axis1=-2, axis2=-1))
    return out


def _unpack(coordinates: Array, n_features: int) -> Array:
    out = np.zeros((*coordinates.shape[:-1], n_features, n_features))
    values = coordinates.copy()
    on = _on_diagonal(n_features)
    values[..., on] = np.exp(values[..., on])
    out[_triangle(n_features)] = values
    return out


@lru_cache(maxsize=64)
def _triangle(n_features: int) -> tuple[Any, ...]:
    """Where the lower triangle is, as an index of (…, D, D) arrays."""
    return (..., *np.tril_indices(n_features))


@lru_cache(maxsize=64)
def _on_diagonal(n_features: int) -> NDArray[np.bool_]:
    _, row, column = _triangle(n_features)
    return row == column


@lru_cache(maxsize=64)
def _identity(n_features: int) -> Array:
    return np.eye(n_features)


@lru_cache(maxsize=64)
def _below(n_features: int) -> NDArray[np.bool_]:
    return np.tri(n_features, dtype=np.bool_)


def _lower(matrices: NDArray[np.floating]) -> Array:
    """Lower triangles of (…, D, D) matrices; np.tril makes its mask anew each time."""
    return np.where(_below(matrices.shape[-1]), matrices, 0.0)


def _factor_slope(factor: Array, white: Array, n: Array, scatter: Array) -> Array:
    """In these coordinates: L⁻ᵀ tril(L⁻¹ W L⁻ᵀ − n I), times L_ii where the coordinate is log L_ii."""
    size = factor.shape[-1]
    relative = _lower(white @ scatter @ np.swapaxes(white, -1, -2) - n[..., None, None] * _identity(size))
    slope = (np.swapaxes(white, -1, -2) @ relative)[_triangle(size)]
    slope[..., _on_diagonal(size)] *= np.diagonal(factor, axis1=-2, axis2=-1)
    return slope


def _factor_uphill(factor: Array, slope: Array, n: Array) -> Array:
    """The inverse: A = tril(Lᵀ G) over n (2n on the diagonal), then L A."""
    size = factor.shape[-1]
    on, diagonal = _on_diagonal(size), np.diagonal(factor, axis1=-2, axis2=-1)
    values = slope.copy()
    values[..., on] /= diagonal
    lower = np.zeros_like(factor)
    lower[_triangle(size)] = values
    relative = _lower(np.swapaxes(factor, -1, -2) @ lower) / (1 + _identity(size)) / n[..., None, None]
    out = (factor @ relative)[_triangle(size)]
    out[..., on] /= diagonal
    return out


def _factor_distance(white: Array, other: Array, n: Array) -> float:
    """½ Σ n ‖L⁻¹ Σ' L⁻ᵀ − I‖² (Frobenius)."""
    relative = white @ other
    change = relative @ np.swapaxes(relative, -1, -2)
    change -= _identity(white.shape[-1])
    return 0.5 * float((n * np.square(change, out=change).sum((-1, -2))).sum())


@dataclass(frozen=True, eq=False)
class Full(Structure):
    """A covariance matrix of its own for each component.

    Attributes
    ----------
    cholesky : ndarray of shape (K, D, D)
        Lower triangular L_k with Σ_k = L_k L_kᵀ.
    """

    cholesky: Array
    kind: ClassVar[Kind] = "full"

    @classmethod
    def from_covariances(cls, covariances: Array) -> Full:
        """From (K, D, D) matrices; raises SingularError where one is not positive definite."""
        return cls(cholesky(covariances))

    @property
    def n_components(self) -> int:
        return self.cholesky.shape[0]

    @property
    def n_features(self) -> int:
        return self.cholesky.shape[1]

    def dense(self) -> Array:
        return self.cholesky @ np.swapaxes(self.cholesky, 1, 2)

    def log_det(self) -> Array:
        return _log_diagonal(self.cholesky)

    def factor(self, k: int) -> Array:
        return self.cholesky[k]

    @cached_property
    def whitening(self) -> Array:
        return inverse_lower(self.cholesky)

    def whiten(self, vectors: Array) -> Array:
        return (self.whitening @ vectors[:, :, None])[:, :, 0]

    def weigh(self, vectors: Array) -> Array:
        return (self.cholesky @ (np.swapaxes(self.cholesky, 1, 2) @ vectors[:, :, None]))[:, :, 0]

    def precision(self, vectors: Array) -> Array:
        return (np.swapaxes(self.whitening, 1, 2) @ (self.whitening @ vectors[:, :, None]))[:, :, 0]

    def variances(self) -> Array:
        return np.square(self.cholesky).sum(2)

    def traces(self, matrix: Array) -> Array:
        return ((self.whitening @ matrix_of(matrix)) * self.whitening).sum((1, 2))

    def ratios(self, matrix: Array) -> Array:
        return _ratios(self.whitening, matrix)

    def take(self, indices: Index) -> Full:
        return Full(self.cholesky[indices])

    def condition(self, given: Index) -> Conditional:
        l_bb, slope, l_aa = _split(self.cholesky, given)
        return Conditional(Full(l_bb), slope, Full(l_aa))

    def marginal(self, columns: Index) -> Full:
        return Full(lower_of(self.cholesky[:, columns, :]))

    def transform(self, matrix: Array) -> Full:
        return Full(lower_of(matrix @ self.cholesky))

    def parameters(self) -> dict[str, Array]:
        return {"cholesky": self.cholesky}

    def distance(self, other: Any, n: Array) -> float:
        return _factor_distance(self.whitening, other.cholesky, n)

    @cached_property
    def coordinates(self) -> Array:
        return _pack(self.cholesky)

    def at(self, coordinates: Array) -> Full:
        return Full(_unpack(coordinates, self.n_features))

    def logarithms(self) -> NDArray[np.bool_]:
        return _on_diagonal(self.n_features)

    def slope(self, n: Array, scatter: Array) -> Array:
        return _factor_slope(self.cholesky, self.whitening, n, scatter)

    def uphill(self, slope: Array, n: Array) -> Array:
        return _factor_uphill(self.cholesky, slope, n)


@dataclass(frozen=True, eq=False)
class Tied(Structure):
    """One covariance matrix, shared by all components.

    Attributes
    ----------
    cholesky : ndarray of shape (D, D)
        Lower triangular L with Σ = L Lᵀ.
    size : int
        K, the number of components that share it.
    """

    cholesky: Array
    size: int
    kind: ClassVar[Kind] = "tied"

    @classmethod
    def from_covariance(cls, covariance: Array, size: int) -> Tied:
        """From one (D, D) matrix; raises SingularError if it is not positive definite."""
        return cls(cholesky(covariance), size)

    @property
    def n_components(self) -> int:
        return self.size

    @property
    def n_features(self) -> int:
        return self.cholesky.shape[0]

    def dense(self) -> Array:
        return np.repeat((self.cholesky @ self.cholesky.T)[None], self.size, axis=0)

    def log_det(self) -> Array:
        return np.full(self.size, _log_diagonal(self.cholesky))

    def factor(self, k: int) -> Array:
        return self.cholesky

    @cached_property
    def whitening(self) -> Array:
        return inverse_lower(self.cholesky)

    def whiten(self, vectors: Array) -> Array:
        return vectors @ self.whitening.T

    def weigh(self, vectors: Array) -> Array:
        return vectors @ self.cholesky @ self.cholesky.T

    def precision(self, vectors: Array) -> Array:
        return vectors @ self.whitening.T @ self.whitening

    def variances(self) -> Array:
        return np.repeat(np.square(self.cholesky).sum(1)[None], self.size, axis=0)

    def traces(self, matrix: Array) -> Array:
        return np.full(self.size, float(np.vdot(self.whitening, self.whitening @ matrix_of(matrix))))

    def ratios(self, matrix: Array) -> Array:
        return np.repeat(_ratios(self.whitening, matrix)[None], self.size, axis=0)

    def take(self, indices: Index) -> Tied:
        return Tied(self.cholesky, len(indices))

    def condition(self, given: Index) -> Conditional:
        l_bb, slope, l_aa = _split(self.cholesky, given)
        slopes = np.repeat(slope[None], self.size, axis=0)
        return Conditional(Tied(l_bb, self.size), slopes, Tied(l_aa, self.size))

    def marginal(self, columns: Index) -> Tied:
        return Tied(lower_of(self.cholesky[columns]), self.size)

    def transform(self, matrix: Array) -> Tied:
        return Tied(lower_of(matrix @ self.cholesky), self.size)

    def parameters(self) -> dict[str, Array]:
        return {"cholesky": self.cholesky}

    def distance(self, other: Any, n: Array) -> float:
        return _factor_distance(self.whitening, other.cholesky, n.sum())

    @cached_property
    def coordinates(self) -> Array:
        return _pack(self.cholesky)

    def at(self, coordinates: Array) -> Tied:
        return Tied(_unpack(coordinates, self.n_features), self.size)

    def logarithms(self) -> NDArray[np.bool_]:
        return _on_diagonal(self.n_features)

    def slope(self, n: Array, scatter: Array) -> Array:
        return _factor_slope(self.cholesky, self.whitening, n.sum(), scatter)

    def uphill(self, slope: Array, n: Array) -> Array:
        return _factor_uphill(self.cholesky, slope, n.sum())


@dataclass(frozen=True, eq=False)
class Diagonal(Structure):
    """Uncorrelated columns within each component.

    Attributes
    ----------
    scale : ndarray of shape (K, D)
        Standard deviations.
    """

    scale: Array
    kind: ClassVar[Kind] = "diagonal"

    @classmethod
    def from_variances(cls, variances: Array) -> Diagonal:
        """From (K, D) variances; raises SingularError where one is not positive and finite."""
        bad = ~((variances > 0) & np.isfinite(variances))
        if bad.any():
            which = [int(k) for k in np.flatnonzero(bad.any(1))]
            raise SingularError(f"a variance of component {', '.join(map(str, which))} is not positive", which)
        return cls(np.sqrt(variances))

    @property
    def n_components(self) -> int:
        return self.scale.shape[0]

    @property
    def n_features(self) -> int:
        return self.scale.shape[1]

    def dense(self) -> Array:
        return np.square(self.scale)[:, :, None] * np.eye(self.n_features)

    def log_det(self) -> Array:
        return 2 * np.log(self.scale).sum(1)

    def factor(self, k: int) -> Array:
        return np.diag(self.scale[k])

    @cached_property
    def whitening(self) -> Array:
        return 1 / self.scale

    def whiten(self, vectors: Array) -> Array:
        return vectors / self.scale

    def weigh(self, vectors: Array) -> Array:
        return vectors * self.scale * self.scale

    def precision(self, vectors: Array) -> Array:
        return vectors / self.scale / self.scale

    def variances(self) -> Array:
        return np.square(self.scale)

    def colour(self, k: int, rows: Array) -> Array:
        return rows * self.scale[k]

    def axis(self, k: int, unit: Array) -> Array:
        return (np.arange(self.n_features) == np.argmax(self.scale[k] / unit)).astype(np.float64)

    def plus(self, other: Structure) -> Structure:
        if isinstance(other, Diagonal):
            return Diagonal(np.hypot(self.scale, other.scale))
        return super().plus(other)

    def traces(self, matrix: Array) -> Array:
        return self.ratios(matrix).sum(1)

    def ratios(self, matrix: Array) -> Array:
        return diagonal_of(matrix) / self.scale / self.scale

    def take(self, indices: Index) -> Diagonal:
        return Diagonal(self.scale[indices])

    def condition(self, given: Index) -> Conditional:
        rest = _rest_of(self.n_features, given)
        slope = np.zeros((self.n_components, len(rest), len(given)))
        return Conditional(Diagonal(self.scale[:, given]), slope, Diagonal(self.scale[:, rest]))

    def marginal(self, columns: Index) -> Diagonal:
        return Diagonal(self.scale[:, columns])

    def transform(self, matrix: Array) -> Structure:
        if np.all(np.count_nonzero(matrix, axis=1) == 1) and np.all(np.count_nonzero(matrix, axis=0) <= 1):
            return Diagonal(self.scale @ np.abs(matrix).T)
        return Full(lower_of(matrix * self.scale[:, None, :]))

    def parameters(self) -> dict[str, Array]:
        return {"scale": self.scale}

    def distance(self, other: Any, n: Array) -> float:
        return 0.5 * float((n[:, None] * np.square(np.square(other.scale / self.scale) - 1)).sum())

    @cached_property
    def coordinates(self) -> Array:
        return np.log(self.scale)

    def at(self, coordinates: Array) -> Diagonal:
        return Diagonal(np.exp(coordinates))

    def logarithms(self) -> NDArray[np.bool_]:
        return np.ones(self.n_features, dtype=np.bool_)

    def slope(self, n: Array, scatter: Array) -> Array:
        return scatter / self.scale / self.scale - n[:, None]

    def uphill(self, slope: Array, n: Array) -> Array:
        return slope / (2 * n[:, None])


def from_parameters(kind: str, arrays: Mapping[str, Array], n_components: int) -> Structure:
    """The structure of that kind from the arrays that ``parameters()`` gave (how model files are read)."""
    if kind == "full":
        return Full(arrays["cholesky"])
    if kind == "tied":
        return Tied(arrays["cholesky"], n_components)
    if kind == "diagonal":
        return Diagonal(arrays["scale"])
    raise ValueError(f"unknown covariance structure {kind!r}: expected 'full', 'tied' or 'diagonal'")


def of_no_columns(kind: Kind, n_components: int) -> Structure:
    """The structure of that kind over no columns at all."""
    k = n_components
    nothing = np.zeros({"full": (k, 0, 0), "tied": (0, 0), "diagonal": (k, 0)}[kind])
    return from_parameters(kind, {"cholesky": nothing, "scale": nothing}, k)
