"""The M-step: statistics → a mixture (S14, S16, S18)."""

from __future__ import annotations

import numpy as np

from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.mixture import Mixture
from mixtura.core.noise import Noise
from mixtura.core.statistics import Array, Statistics
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import SingularError, Structure

#: When a mean moves by more than the square root of this many of its component's variances in one step, what is left
#: of the scatter about the new mean is rounding noise; the covariances then wait for the next pass.
SHIFT_LIMIT = 1e10


def m_step(
    model: Mixture,
    statistics: Statistics,
    family: Family | str = "full",
    prior: Prior | None = None,
    fixed: Fixed | None = None,
) -> Mixture:
    """The parameters that maximise the expected complete-data objective, given the statistics.

    Parameters
    ----------
    model : Mixture
        The parameters in force during the pass.
    statistics : Statistics
        What the pass left behind; of the kind of the family.
    family : Family or str
        How the covariances are related: "full", "tied", "diag", "spherical", "vee", …
    prior : Prior, optional
        Pseudo-statistics to add; none by default (plain maximum likelihood).
    fixed : Fixed, optional
        What stays as it is in the model.

    Returns
    -------
    Mixture
        With weights π_k = N_k/N (S18), that of the noise among them, means (S14) and covariances (S16) about the
        new means. A component without any rows keeps its mean.

    Raises
    ------
    SingularError
        If a covariance matrix comes out singular, which a prior prevents.
    ValueError
        If the statistics are of another kind than the family asks for.
    """
    family = registry.get(family)
    if statistics.kind != family.kind:
        raise ValueError(f"family {family.name!r} needs statistics of kind {family.kind!r}, got {statistics.kind!r}")
    if prior is None:
        prior = Prior.none(model.n_features)
    fixed = fixed or NOTHING
    shrunk = fixed.hold(prior.shrink(statistics))
    n, scatter = prior.add(statistics.n, shrunk.scatter(), statistics.kind)
    rounding = _scatter_is_rounding(shrunk, scatter)
    structure = model.structure if rounding else fixed.update(model, n, scatter, family, prior)
    return fixed.keep(model, _mixture(statistics, shrunk, structure, model.noise, model.columns))


def first_m_step(
    statistics: Statistics, family: Family, prior: Prior, noise: Noise | None = None, start: Structure | None = None
) -> Mixture:
    """``m_step`` where there is no model yet: the statistics are those of responsibilities that a start gave.

    Covariances that are found by iteration begin at ``start``, where there is one.
    """
    shrunk = prior.shrink(statistics)
    n, scatter = prior.add(statistics.n, shrunk.scatter(), statistics.kind)
    return _mixture(statistics, shrunk, prior.update(family, n, scatter, start), noise)


def _mixture(
    statistics: Statistics,
    shrunk: Statistics,
    structure: Structure,
    noise: Noise | None,
    columns: tuple[str, ...] | None = None,
) -> Mixture:
    """The mixture with the weights that the statistics hold (S18), and the means with those of the prior (S14)."""
    n = statistics.n if noise is None else np.append(statistics.n, statistics.noise)
    weights = n / n.sum()
    weights /= weights.sum()
    if noise is not None:
        noise, weights = noise.weighing(float(weights[-1])), weights[:-1]
    means = shrunk.centre + shrunk.shift()
    if not (np.isfinite(weights).all() and np.isfinite(means).all()):
        raise SingularError("the weights or means leave the range of double precision")
    return Mixture(weights, means, structure, columns=columns, noise=noise)


def _scatter_is_rounding(statistics: Statistics, scatter: Array) -> bool:
    """Whether cancellation has eaten the scatter about the new means, which lie too far from the centres."""
    shift = statistics.shift()
    within = scatter if statistics.kind == "diagonal" else np.diagonal(scatter, axis1=-2, axis2=-1)
    least = np.maximum(within, 0.0)

    def far(shift: Array) -> bool:
        between = statistics.n[:, None] * np.square(shift) / SHIFT_LIMIT
        return bool(((between.sum(0) if statistics.kind == "tied" else between) > least).any())

    if not far(shift):
        return False
    rounding = 64 * np.finfo(np.float64).eps * np.abs(statistics.centre)
    return far(np.where(np.abs(shift) > rounding, shift, 0.0))
