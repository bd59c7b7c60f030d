"""From where rows and a mixture are looked at: along columns, or along directions that show the clusters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from mixtura.core.arguments import column_indices
from mixtura.core.mixture import Column, Mixture
from mixtura.core.statistics import Array
from mixtura.kernels import Rows
from mixtura.summary import column_names

#: Eigenvalues of a correlation matrix below this share of the largest are rounding noise.
LEAST_EIGENVALUE = 1e-12
#: How much differences of covariances count beside those of means, λ: as much, or only where the means leave room.
COVARIANCE_WEIGHTS = (1.0, 1e-6)
#: Draws from a mixture that tell how much a view tells.
LOOKED_AT = 4096
#: Directions in which the components differ less than this, as a share of the first, do not show them.
LEAST_DIFFERENCE = 1e-12


@dataclass(frozen=True, eq=False)
class View:
    """Coordinates in one or two dimensions: y = matrix (x − centre).

    Attributes
    ----------
    names : tuple of str
        What the axes are called.
    matrix : ndarray of shape (V, D)
    centre : ndarray of shape (D,)
    """

    names: tuple[str, ...]
    matrix: Array
    centre: Array

    @property
    def whole(self) -> bool:
        """Whether nothing is left out: the view has as many dimensions as the rows have columns."""
        return len(self.matrix) == self.matrix.shape[1]

    def rows(self, rows: Rows) -> Array:
        """Rows as they are seen, (N, V)."""
        return (rows - self.centre) @ self.matrix.T

    def mixture(self, model: Mixture) -> Mixture:
        """The Gaussians of a mixture as they are seen; a noise component, which may not be even there, is left out."""
        gaussians = model.without_noise()
        seen = Mixture(gaussians.weights, gaussians.means - self.centre, gaussians.structure).transform(self.matrix)
        return Mixture(seen.weights, seen.means, seen.structure, columns=self.names)


def view(model: Mixture, columns: View | Iterable[Column] | Column | None = None) -> View:
    """A view along one or two columns, by number or name; by default along the first two, or the only one.

    Raises
    ------
    ValueError
        If there is no such column, or there are more than two.
    """
    if isinstance(columns, View):
        return columns
    index = column_indices(
        range(min(2, model.n_features)) if columns is None else columns, model.n_features, model.columns
    )
    if len(index) > 2:
        raise ValueError(f"a view has one or two columns, got {len(index)}")
    names = column_names(model)
    matrix = np.eye(model.n_features)[index]
    return View(tuple(names[j] for j in index), matrix, np.zeros(model.n_features))


@dataclass(frozen=True, eq=False)
class Projection:
    """Directions that show how the components differ.

    Attributes
    ----------
    view : View
        Along the directions, centred, with variance 1 each under the mixture and uncorrelated.
    differences : ndarray of shape (V,)
        How much the components differ in each direction: the eigenvalues; 0 where they do not.
    share : float
        The share of all differences, in however many directions, that is seen.
    information : float
        I(z; y)/H(z): which share of what is not known of a row's component its place in the view tells (as in
        ``Profile``), by LOOKED_AT draws from the mixture.
    correlations : ndarray of shape (D, V)
        Of the columns with the directions, under the mixture: what a direction stands for.
    """

    view: View
    differences: Array
    share: float
    information: float
    correlations: Array


def projection(model: Mixture, n: int = 2) -> Projection:
    """The n directions in which the components differ most.

    In coordinates with the covariance of the mixture as unit matrix, these are the first eigenvectors of
    B² + λ Σ_k π_k (Σ_k − W)², with B the covariance between the means and W the mean of the Σ_k: for λ = 1 those of
    Scrucca, "Dimension reduction for model-based clustering", Statistics and Computing 20 (2010), 471 (GMMDR); for
    λ → 0 Fisher's discriminant directions, and covariances count only where the means leave directions over. Both are
    tried, and the one whose view tells more of the components is taken. Where the components differ in fewer directions
    than n, the others are those of largest variance (of standardised columns) among the rest.

    Parameters
    ----------
    model : Mixture
        A noise component plays no part.
    n : {1, 2}
        At most D directions are given.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import Mixture
    >>> from mixtura.figures import projection
    >>> model = Mixture([0.5, 0.5], [[0, 0, 0], [0, 4, 0]], [np.eye(3)] * 2)
    >>> found = projection(model, 1)
    >>> found.correlations.round(2).T
    array([[0., 1., 0.]])
    >>> round(found.information, 2)
    0.91
    """
    gaussians = model.without_noise()
    found = [_projection(gaussians, min(n, model.n_features), weight) for weight in COVARIANCE_WEIGHTS]
    return max(found, key=lambda one: one.information)


def _projection(model: Mixture, n: int, of_covariances: float) -> Projection:
    weights, deviation = model.weights, np.sqrt(np.diagonal(model.cov))
    values, vectors = np.linalg.eigh(model.cov / np.outer(deviation, deviation))
    root = np.sqrt(np.maximum(values, LEAST_EIGENVALUE * values[-1]))
    whiten = (vectors / root) @ vectors.T / deviation
    means = (model.means - model.mean) @ whiten.T
    within = whiten @ model.covariances @ whiten.T
    between = (weights[:, None] * means).T @ means
    apart = within - np.einsum("k,kij->ij", weights, within)
    kernel = between @ between + of_covariances * np.einsum("k,kij,klj->il", weights, apart, apart)
    differences, directions = np.linalg.eigh((kernel + kernel.T) / 2)
    differences, directions = np.maximum(differences[::-1], 0.0), directions[:, ::-1]
    telling = int((differences > LEAST_DIFFERENCE * max(differences[0], LEAST_DIFFERENCE)).sum())
    if telling < n:
        rest = directions[:, telling:]
        _, order = np.linalg.eigh(rest.T @ (vectors * root**2) @ vectors.T @ rest)
        directions = np.concatenate([directions[:, :telling], rest @ order[:, ::-1]], axis=1)
    correlations = (vectors * root) @ vectors.T @ directions[:, :n]
    sign = np.sign(np.take_along_axis(correlations, np.abs(correlations).argmax(0)[None], 0))
    names = tuple(f"direction {i}" for i in range(1, n + 1))
    seen = View(names, (directions[:, :n] * sign).T @ whiten, model.mean)
    shown = np.where(np.arange(n) < telling, differences[:n], 0.0)
    share = float(shown.sum() / differences.sum()) if telling else 0.0
    return Projection(seen, shown, share, _information(seen.mixture(model)), correlations * sign)


def _information(seen: Mixture) -> float:
    """I(z; y)/H(z), from draws."""
    most = entr(seen.weights).sum()
    return float(np.clip(1 - seen.label_entropy(seen.sample(LOOKED_AT, 0)).mean() / most, 0, 1)) if most > 0 else 0.0
