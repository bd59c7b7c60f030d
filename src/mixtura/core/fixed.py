"""Parameters that a fit holds where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.core.mixture import WEIGHT_TOLERANCE, Mixture
from mixtura.core.statistics import Array, Kind, Statistics
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Diagonal, Full, SingularError, Structure, Tied, from_parameters
from mixtura.lazy import cached_property

Mask = NDArray[np.bool_]

#: How far a covariance matrix may be from its nearest in the family, relative to its variances.
FAMILY_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Fixed:
    """What a fit shall not change; the rest is fitted as ever, and only that counts as free parameters.

    Parameters
    ----------
    weights : "equal" or array-like of shape (K,), optional
        The weights of all components. With a noise component, whose weight is always free, they share what it leaves.
    means : array-like of shape (K, D), optional
        The means of some components; rows of NaN are free.
    covariances : array-like of shape (K, D, D), optional
        The covariance matrices of some components; matrices of NaN are free. They must be of the family, and where
        the components of a family share something, all of them must be given.

    Raises
    ------
    ValueError
        If a number makes no sense. Whether shapes fit is known when the fit begins.

    Examples
    --------
    >>> import numpy as np
    >>> import mixtura
    >>> X = mixtura.Mixture([0.3, 0.7], [[0, 0], [4, 1]], np.stack([np.eye(2)] * 2)).sample(500, 1)
    >>> fixed = mixtura.Fixed(means=[[0, 0], [np.nan, np.nan]])
    >>> result = mixtura.fit(X, 2, "full", fixed=fixed, random_state=0)
    >>> result.model.means[0]
    array([0., 0.])
    >>> result.best.n_parameters
    9
    """

    weights: str | ArrayLike | None = None
    means: ArrayLike | None = None
    covariances: ArrayLike | None = None

    def __post_init__(self) -> None:
        if isinstance(self.weights, str) and self.weights != "equal":
            raise ValueError(f"fixed weights must be 'equal' or numbers, got {self.weights!r}")
        given = self._given_weights
        if given is not None and not (
            given.ndim == 1
            and np.isfinite(given).all()
            and (given > 0).all()
            and abs(given.sum() - 1) <= WEIGHT_TOLERANCE
        ):
            raise ValueError(f"fixed weights must be positive numbers with sum 1, got {given}")
        for name, axes in (("means", 2), ("covariances", 3)):
            if getattr(self, name) is None:
                continue
            array = np.asarray(getattr(self, name), dtype=np.float64)
            free = np.isnan(array.reshape(len(array), -1))
            if array.ndim != axes or np.isinf(array).any() or (free.any(1) & ~free.all(1)).any():
                raise ValueError(
                    f"fixed {name} must be an array of {axes} axes, finite for a component or NaN altogether where it "
                    f"is free, got {array.tolist()}"
                )

    @cached_property
    def _given_weights(self) -> Array | None:
        return None if self.weights is None or isinstance(self.weights, str) else np.asarray(self.weights, np.float64)

    @cached_property
    def _means(self) -> Array | None:
        return None if self.means is None else np.asarray(self.means, dtype=np.float64)

    @cached_property
    def _covariances(self) -> Array | None:
        return None if self.covariances is None else np.asarray(self.covariances, dtype=np.float64)

    @property
    def numbered(self) -> bool:
        """Whether something is fixed of one component and not of another, so that their order matters."""
        return any(given is not None for given in (self._given_weights, self._means, self._covariances))

    def held_means(self, n_components: int) -> Mask:
        """(K,) whose means are fixed."""
        return _held(self._means, n_components)

    def held_covariances(self, n_components: int) -> Mask:
        """(K,) whose covariances are fixed."""
        return _held(self._covariances, n_components)

    def check(self, n_components: int, n_features: int, family: Family) -> None:
        """Raise a ValueError where this does not fit a mixture of that size and family."""
        k, d = n_components, n_features
        for name, array, shape in (
            ("weights", self._given_weights, (k,)),
            ("means", self._means, (k, d)),
            ("covariances", self._covariances, (k, d, d)),
        ):
            if array is not None and array.shape != shape:
                raise ValueError(
                    f"the fixed {name} have the shape {array.shape}, but {k} components in {d} columns need {shape}"
                )
        held = self.held_covariances(k)
        if held.any() and not held.all() and family.free(2, d) != 2 * family.free(1, d):
            raise ValueError(
                f"the components of the family {family.name!r} share parameters of their covariances: "
                "fix those of all components or of none, or choose a family in which each has its own (full, diag)"
            )
        if held.any() and self._covariances is not None:
            _check_family(self._covariances[held], np.flatnonzero(held), family)

    def place(self, model: Mixture, family: Family) -> Mixture:
        """A start with what is fixed in its place."""
        held = self.held_covariances(model.n_components)
        like = model
        if self._covariances is not None and held.any():
            dense = np.where(held[:, None, None], self._covariances, model.covariances)
            like = Mixture(model.weights, model.means, _structure(dense, family.kind), noise=model.noise)
        return self.keep(like, model)

    def keep(self, like: Mixture, model: Mixture) -> Mixture:
        """The model with what is fixed as it is in another mixture, where that has it."""
        if self is NOTHING:
            return model
        k = model.n_components
        weights, means = model.weights, model.means
        if self.weights is not None:
            shares = np.full(k, 1 / k) if self._given_weights is None else self._given_weights
            weights = shares * (1.0 if model.noise is None else 1 - model.noise.weight)
        if self._means is not None:
            means = np.where(np.isnan(self._means), means, self._means)
        structure = _merged(model.structure, like.structure, self.held_covariances(k))
        return Mixture(weights, means, structure, columns=model.columns, noise=model.noise)

    def matched(self, model: Mixture, unit: Array) -> Mixture:
        """The model with the components first chosen whose means are nearest to the fixed ones, in units of columns."""
        held = self.held_means(model.n_components)
        if self._means is None or not held.any():
            return model
        from scipy.optimize import linear_sum_assignment  # which takes a third of a second to import

        apart = np.square((self._means[held][:, None] - model.means) / unit).sum(2)
        _, nearest = linear_sum_assignment(apart)
        order = np.empty(model.n_components, dtype=np.intp)
        order[held] = nearest
        order[~held] = np.setdiff1d(np.arange(model.n_components), nearest)
        return model.reorder(order)

    def hold(self, statistics: Statistics) -> Statistics:
        """The sums such that fixed means, which are the centres, do not move, and the scatter is about them."""
        if self._means is None:
            return statistics
        held = self.held_means(len(statistics.n))
        return replace(statistics, s1=np.where(held[:, None], 0.0, statistics.s1))

    def update(self, model: Mixture, n: Array, scatter: Array, family: Family, prior: Prior) -> Structure:
        """The family's M-step for the covariances that are free."""
        if self is NOTHING:
            return prior.update(family, n, scatter, model.structure)
        held = self.held_covariances(model.n_components)
        if held.all():
            return model.structure
        if held.any():  # whatever these rows are, nothing of them may be singular
            n = np.where(held, 1.0, n)
            scatter = scatter.copy()
            scatter[held] = _scatter(model.covariances[held], family.kind)
        return prior.update(family, n, scatter, model.structure)

    def free_slope(self, logs: Array, rest: Array, n_components: int) -> tuple[Array, Array]:
        """Slopes in the log weights (the noise's the last, if there is one) and the structure, zero where fixed."""
        if self is NOTHING:
            return logs, rest
        held = self.held_covariances(n_components)
        if self.weights is not None:
            logs = np.where(np.arange(len(logs)) < n_components, 0.0, logs)
        if held.any():
            rest = np.zeros_like(rest) if held.all() else np.where(held[:, None], 0.0, rest)
        return logs, rest

    def n_parameters(self, n_components: int, n_features: int, family: Family) -> int:
        """How many parameters are not free."""
        k, d = n_components, n_features
        left = k - int(self.held_covariances(k).sum())
        of_covariances = family.free(k, d) - (family.free(left, d) if left else 0)
        return (k - 1) * (self.weights is not None) + d * int(self.held_means(k).sum()) + of_covariances


#: All is free.
NOTHING = Fixed()


def _held(given: Array | None, n_components: int) -> Mask:
    if given is None:
        return np.zeros(n_components, dtype=np.bool_)
    return np.array([np.isfinite(part).all() for part in given], dtype=np.bool_)


def _scatter(covariances: Array, kind: Kind) -> Array:
    """Covariance matrices in the shape of that kind of scatter; summed if tied."""
    if kind == "tied":
        return covariances.sum(0)
    return np.diagonal(covariances, axis1=1, axis2=2) if kind == "diagonal" else covariances


def _structure(covariances: Array, kind: Kind) -> Structure:
    """The structure of that kind with these matrices, which are of it."""
    if kind == "diagonal":
        return Diagonal.from_variances(np.diagonal(covariances, axis1=1, axis2=2))
    return (
        Full.from_covariances(covariances) if kind == "full" else Tied.from_covariance(covariances[0], len(covariances))
    )


def _merged(structure: Structure, other: Structure, held: Mask) -> Structure:
    """The first structure with the other's matrices where they are held."""
    if not held.any():
        return structure
    if held.all():
        return other
    mine, theirs = structure.parameters(), other.parameters()
    arrays = {
        name: np.where(held.reshape(-1, *[1] * (array.ndim - 1)), theirs[name], array) for name, array in mine.items()
    }
    return from_parameters(structure.kind, arrays, len(held))


def _check_family(covariances: Array, which: NDArray[np.intp], family: Family) -> None:
    """Whether the matrices are symmetric positive definite and of the family."""
    size = np.sqrt(np.abs(np.diagonal(covariances, axis1=1, axis2=2)))
    scale = size[:, :, None] * size[:, None, :]
    try:
        if (np.abs(covariances - np.swapaxes(covariances, 1, 2)) > FAMILY_TOLERANCE * scale).any():
            raise SingularError("not symmetric")
        np.linalg.cholesky(covariances)
        nearest = family.update(np.ones(len(covariances)), _scatter(covariances, family.kind)).dense()
    except (SingularError, np.linalg.LinAlgError):
        raise ValueError("the fixed covariances must be symmetric positive definite") from None
    wrong = (np.abs(nearest - covariances) > FAMILY_TOLERANCE * scale).any((1, 2))
    if wrong.any():
        raise ValueError(
            f"the fixed covariance of component {which[wrong.argmax()]} is not of the family {family.name!r}: "
            "choose a richer family or another matrix"
        )
