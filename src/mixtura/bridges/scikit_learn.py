"""To scikit-learn's GaussianMixture and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.core.em import Fit
from mixtura.core.mixture import WEIGHT_TOLERANCE, Mixture
from mixtura.core.statistics import Array
from mixtura.covariance import registry
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Diagonal, Full, Structure, Tied, inverse_lower
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.fitted import mixture_of
from mixtura.result import Result

#: scikit-learn's name for the matrices of a structure.
_OF_KIND = {"full": "full", "tied": "tied", "diagonal": "diag"}


def to_sklearn(found: Any) -> Any:
    """A fitted ``sklearn.mixture.GaussianMixture`` with the same numbers.

    It predicts, scores and samples as if scikit-learn had fitted it.

    Parameters
    ----------
    found : Result, Fit, GaussianMixture or Mixture

    Returns
    -------
    sklearn.mixture.GaussianMixture
        Its ``weights_`` and ``means_`` have the same bits, and so have its covariances in the form of its
        ``covariance_type``: "full", "tied", "diag" or "spherical" where that is the family; the plainest that holds
        the matrices for the ten other families and where no family is known. What a fit measured goes along where
        there was one: ``converged_``, ``n_iter_``, ``lower_bound_``.

    Raises
    ------
    ValueError
        If there is a noise component, which scikit-learn does not have.
    TypeError
        If there is no mixture in what was passed.

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.bridges import to_sklearn
    >>> result = mixtura.fit("examples/faithful.csv", 2, "tied", random_state=0)
    >>> theirs = to_sklearn(result)
    >>> theirs
    GaussianMixture(covariance_type='tied', n_components=2)
    >>> bool((theirs.means_ == result.model.means).all())
    True
    """
    from sklearn.mixture import GaussianMixture as Theirs

    model = mixture_of(found)
    if model.noise is not None:
        raise ValueError("scikit-learn's GaussianMixture has no noise component: take without_noise() first")
    kind, covariances, root = _arrays(model.structure, _family(found))
    theirs: Any = Theirs(model.n_components, covariance_type=kind)
    theirs.weights_, theirs.means_ = model.weights.copy(), model.means.copy()
    theirs.covariances_, theirs.precisions_cholesky_ = covariances, root
    theirs.precisions_ = np.square(root) if kind in ("diag", "spherical") else root @ np.swapaxes(root, -1, -2)
    theirs.n_features_in_ = model.n_features
    if model.columns is not None:
        theirs.feature_names_in_ = np.array(model.columns, dtype=object)
    for name, value in _measured(found).items():
        setattr(theirs, name, value)
    return theirs


def from_sklearn(estimator: Any) -> GaussianMixture:
    """A ``mixtura.GaussianMixture`` from scikit-learn's, ready to predict; its ``mixture_`` is the distribution.

    Parameters
    ----------
    estimator : sklearn.mixture.GaussianMixture
        Fitted, or with parameters set by hand.

    Returns
    -------
    GaussianMixture
        Weights and means have the same bits, and the covariances are those that scikit-learn predicts with
        (``precisions_cholesky_``), to rounding. ``n_components``, ``covariance_type``, ``random_state`` and the
        names of the columns go along; ``tol``, ``max_iter``, ``reg_covar`` and ``n_init``, which mean something else
        here, do not. What only a fit can measure, such as ``status_`` and ``gap_``, is missing until ``fit``, which
        goes on from these numbers with ``warm_start=True``.

    Raises
    ------
    TypeError
        If it is no ``sklearn.mixture.GaussianMixture``.
    sklearn.exceptions.NotFittedError
        If it has no parameters.

    Examples
    --------
    >>> from pyarrow import csv
    >>> from sklearn.mixture import GaussianMixture
    >>> from mixtura.bridges import from_sklearn
    >>> table = csv.read_csv("examples/faithful.csv").to_pandas()
    >>> model = from_sklearn(GaussianMixture(2, random_state=0).fit(table)).mixture_
    >>> model.condition({"eruptions": 2.0}).mean.round(1)
    array([54.2])
    """
    from sklearn.mixture import GaussianMixture as Theirs
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(estimator, Theirs):
        raise TypeError(f"expected a sklearn.mixture.GaussianMixture, got {type(estimator).__name__}")
    check_is_fitted(estimator, ["weights_", "means_", "precisions_cholesky_"])
    weights = np.asarray(estimator.weights_, dtype=np.float64)
    if abs(weights.sum() - 1) > WEIGHT_TOLERANCE:  # in single precision
        weights = weights / weights.sum()
    columns = getattr(estimator, "feature_names_in_", None)
    means = np.asarray(estimator.means_, dtype=np.float64)
    mixture = Mixture(weights, means, _structure(estimator, means.shape), columns=columns)
    return GaussianMixture.from_mixture(
        mixture, estimator.covariance_type, random_state=estimator.random_state, warm_start=estimator.warm_start
    )


def _fit_of(found: Any) -> Fit | None:
    """The fit behind it, where there is one."""
    fit = found.fit if isinstance(found, Result) else found
    return fit if isinstance(fit, Fit) else None


def _family(found: Any) -> Family | None:
    """The covariance family, where it is known."""
    fit = _fit_of(found)
    if fit is not None:
        return fit.family
    return registry.get(found.covariance_type) if isinstance(found, GaussianMixture) else None


def _arrays(structure: Structure, family: Family | None) -> tuple[str, Array, Array]:
    """scikit-learn's name, covariances and roots of the precisions, in its shapes."""
    if isinstance(structure, Diagonal):
        variances, root = np.square(structure.scale), structure.whitening.copy()
        alike = structure.n_features > 1 and bool((structure.scale == structure.scale[:, :1]).all())
        if alike if family is None else family.isotropic:
            return "spherical", variances[:, 0].copy(), root[:, 0].copy()
        return "diag", variances, root
    dense = structure.dense()
    root = np.swapaxes(structure.whitening, -1, -2).copy()
    return _OF_KIND[structure.kind], dense[0] if isinstance(structure, Tied) else dense, root


def _structure(estimator: Any, shape: tuple[int, ...]) -> Structure:
    """The covariances that scikit-learn's estimator predicts with."""
    root = np.asarray(estimator.precisions_cholesky_, dtype=np.float64)
    if estimator.covariance_type in ("diag", "spherical"):
        return Diagonal(np.broadcast_to(1 / root.reshape(len(root), -1), shape).copy())
    factor = inverse_lower(np.swapaxes(root, -1, -2))
    return Tied(factor, shape[0]) if estimator.covariance_type == "tied" else Full(factor)


def _measured(found: Any) -> dict[str, Any]:
    """What a fit tells of itself, by scikit-learn's names."""
    if isinstance(found, GaussianMixture) and hasattr(found, "status_"):
        return {name: getattr(found, name) for name in ("converged_", "n_iter_", "lower_bound_", "lower_bounds_")}
    fit = _fit_of(found)
    if fit is None:
        return {}
    weight = fit.statistics.weight
    return {
        "converged_": fit.converged,
        "n_iter_": fit.n_iter,
        "lower_bound_": fit.loglik / weight,
        "lower_bounds_": [step.loglik / weight for step in fit.trace],
    }
