"""The mixture in whatever holds one."""

from __future__ import annotations

from typing import Any

from mixtura.core.em import Fit
from mixtura.core.gaussian import Gaussian
from mixtura.core.mixture import Mixture
from mixtura.result import Result


def mixture_of(estimator: Any) -> Mixture:
    """The mixture in whatever was passed.

    Raises
    ------
    TypeError
        If there is none in it, or it is an estimator that was not fitted.
    """
    if isinstance(estimator, Mixture):
        return estimator
    if isinstance(estimator, Gaussian):
        return estimator.mixture
    if isinstance(estimator, Result | Fit):
        return estimator.model
    found = getattr(estimator, "mixture_", None)
    if isinstance(found, Mixture):
        return found
    name = type(estimator).__name__
    if hasattr(estimator, "fit"):
        raise TypeError(f"this {name} has no mixture: call fit first, or pass a mixtura.GaussianMixture")
    raise TypeError(f"expected a Result, Fit, fitted GaussianMixture or Mixture, got {name}")
