"""A model and what a pass over the rows measured there; and models as vectors, with directions among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.mixture import Mixture
from mixtura.core.mstep import m_step
from mixtura.core.statistics import Array, Statistics
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import SingularError
from mixtura.lazy import cached_property

#: A component with less than this part of an average row has lost its rows.
LEAST_ROW = 1e-2


@dataclass(frozen=True, eq=False)
class Point:
    """A model, the statistics of a pass under it, and the model that one EM step makes of them."""

    model: Mixture
    statistics: Statistics
    family: Family
    prior: Prior
    fixed: Fixed = NOTHING

    @cached_property
    def objective(self) -> float:
        """The log-likelihood (S11) plus the prior's part."""
        return self.statistics.loglik + self.prior.log_density(self.model.structure, self.model.means)

    @cached_property
    def image(self) -> Mixture:
        """Where one EM step leads; raises SingularError where it leads nowhere."""
        return m_step(self.model, self.statistics, self.family, self.prior, self.fixed)

    @property
    def rounding(self) -> float:
        """By how much two computations of the objective may differ."""
        return 4 * float(np.finfo(np.float64).eps) * (abs(self.objective) + self.statistics.weight)

    @cached_property
    def dying(self) -> bool:
        """Whether a component has lost its rows: nothing then holds it but EM steps, which keep it among the rows.

        The noise has lost them when its weight is zero but for rounding.
        """
        statistics, noise = self.statistics, self.model.noise
        none = float(np.finfo(np.float64).eps) * statistics.weight
        least = max(none, LEAST_ROW * statistics.row_weight)
        fewest = min(statistics.n.min(), self.model.weights.min() * statistics.weight)
        return bool(fewest <= least or (noise is not None and noise.weight * statistics.weight <= none))

    @cached_property
    def gradient_norm(self) -> float:
        """Length of the EM step in units of the complete-data Fisher information of one row.

        That is the norm of the gradient (S13, S15, S17) along the family in the same metric, to first order; half
        its square is what the EM step may be expected to gain, in nats a row.
        """
        return self.length(self.model, self.image)

    def length(self, here: Mixture, there: Mixture) -> float:
        """How far one mixture is from another beside it, in that unit; what the prior is worth counts too."""
        weight = self.statistics.weight
        return _length(here, there, self.prior.shrinkage / weight, self.prior.count / weight)

    @cached_property
    def slope(self) -> Array:
        """The gradient of the objective, a row (S13, S15, S17 in the coordinates below); zero in what is fixed."""
        model, statistics = self.model, self.statistics
        shrunk = self.fixed.hold(self.prior.shrink(statistics))
        n, scatter = self.prior.add(statistics.n, shrunk.s2, statistics.kind)
        n_all = statistics.n if model.noise is None else np.append(statistics.n, statistics.noise)
        logs, rest = self.fixed.free_slope(
            n_all - statistics.weight * all_weights(model),
            model.structure.slope(n, scatter),
            model.n_components,
        )
        parts = (logs, model.structure.precision(shrunk.s1), rest)
        return np.concatenate([part.ravel() for part in parts]) / statistics.weight

    @cached_property
    def position(self) -> Array:
        """The model as a vector."""
        return position_of(self.model, self.fixed)


def _length(here: Mixture, there: Mixture, at_means: float, at_covariances: float) -> float:
    """How far one mixture is from another beside it, in units of the complete-data Fisher information of one row.

    The last two are what the pseudo-rows of a prior weigh beside that row.
    """
    before = all_weights(here)
    alive = before > 0
    weights = before[alive]
    moved = float((np.square(all_weights(there)[alive] - weights) / weights).sum())
    means = np.square(here.structure.whiten(there.means - here.means)).sum(1)
    moved += float((here.weights + at_means) @ means)
    return float(np.sqrt(moved + here.structure.distance(there.structure, here.weights + at_covariances)))


def all_weights(model: Mixture) -> Array:
    """π, that of the noise the last."""
    return model.weights if model.noise is None else np.append(model.weights, model.noise.weight)


def parts_of(vector: Array, model: Mixture) -> tuple[Array, Array, Array]:
    """What a vector holds for the logarithms of the weights, the means and the structure's coordinates."""
    size = model.n_components + (model.noise is not None)
    rest = size + model.means.size
    means = vector[size:rest].reshape(model.means.shape)
    return vector[:size], means, vector[rest:].reshape(model.structure.coordinates.shape)


def position_of(model: Mixture, fixed: Fixed) -> Array:
    """A model as a vector: log weights (the noise's the last), means, the structure's coordinates.

    Logarithms of weights count but for a constant: where the Gaussians' are fixed, it is such that they stay.
    """
    total = 1.0 if fixed.weights is None else model.weights.sum()
    weights = np.maximum(all_weights(model), np.finfo(np.float64).tiny)  # one that is zero remains so
    parts = (np.log(weights / total), model.means, model.structure.coordinates)
    return np.concatenate([part.ravel() for part in parts])


def model_at(vector: Array, like: Mixture) -> Mixture:
    """The mixture at a position, of the same size and structure as another."""
    if not np.isfinite(vector).all():
        raise SingularError("a step leaves the range of double precision")
    logs, means, coordinates = parts_of(vector, like)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    noise = None if like.noise is None else like.noise.weighing(float(weights[-1]))
    structure = like.structure.at(coordinates)
    if not all(np.isfinite(each).all() for each in (structure.log_det(), structure.variances(), structure.whitening)):
        raise SingularError("a step leaves the range of double precision")
    return Mixture(weights[: like.n_components], means, structure, columns=like.columns, noise=noise)


def uphill(here: Point, slope: Array) -> Array:
    """A gradient over the complete-data Fisher information of one row: a direction along the family."""
    logs, of_means, rest = parts_of(slope, here.model)
    structure, weights = here.model.structure, here.model.weights
    means = structure.weigh(of_means) / weights[:, None]
    parts = (logs / all_weights(here.model), means, structure.uphill(rest, weights))
    return along(here, np.concatenate([part.ravel() for part in parts]))


def along(here: Point, direction: Array) -> Array:
    """The part of a direction that is along the family."""
    tangent = here.family.tangent
    if tangent is None:
        raise TypeError(f"family {here.family.name!r} has no coordinates")
    logs, means, rest = parts_of(direction, here.model)
    return np.concatenate([logs, means.ravel(), tangent(rest, here.model.weights).ravel()])


def largest_logarithm(model: Mixture, direction: Array) -> float:
    """The largest change of a logarithm (of a weight, of a scale) in a direction; at least a tiny number."""
    logs, _, rest = parts_of(direction, model)
    return max(
        float(np.abs(logs).max()),
        float(np.abs(rest[..., model.structure.logarithms()]).max()),
        float(np.finfo(np.float64).tiny),
    )
