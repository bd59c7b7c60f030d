"""From where rows and a mixture are looked at: along columns, or along directions that show the clusters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mixtura.core.arguments import column_indices
from mixtura.core.mixture import Column, Mixture
from mixtura.core.statistics import Array
from mixtura.kernels import Rows
from mixtura.summary import column_names

#: Eigenvalues of a correlation matrix below this share of the largest are rounding noise.
LEAST_EIGENVALUE = 1e-12
#: Directions in which the components differ less than this, as a share of the first, do not show them.
LEAST_DIFFERENCE = 1e-9


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
    from_means : ndarray of shape (V,)
        The share of each difference that is one of means, the rest being one of covariances.
    correlations : ndarray of shape (D, V)
        Of the columns with the directions, under the mixture: what a direction stands for.
    """

    view: View
    differences: Array
    share: float
    from_means: Array
    correlations: Array


def projection(model: Mixture, n: int = 2) -> Projection:
    """The n directions in which the means and covariances of the components differ most.

    In coordinates with the covariance of the mixture as unit matrix, these are the first eigenvectors of
    B² + Σ_k π_k (Σ_k − W)², with B the covariance between the means and W the mean of the Σ_k (Scrucca, "Dimension
    reduction for model-based clustering", Statistics and Computing 20 (2010), 471: GMMDR). Where the components differ
    in fewer directions than n, the others are those of largest variance (of standardised columns) among the rest.

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
    >>> float(found.share)
    1.0
    """
    n = min(n, model.n_features)
    gaussians = model.without_noise()
    weights, deviation = gaussians.weights, np.sqrt(np.diagonal(gaussians.cov))
    values, vectors = np.linalg.eigh(gaussians.cov / np.outer(deviation, deviation))
    root = np.sqrt(np.maximum(values, LEAST_EIGENVALUE * values[-1]))
    whiten = (vectors / root) @ vectors.T / deviation
    means = (gaussians.means - gaussians.mean) @ whiten.T
    within = whiten @ gaussians.covariances @ whiten.T
    between = (weights[:, None] * means).T @ means
    apart = within - np.einsum("k,kij->ij", weights, within)
    by_means = between @ between
    kernel = by_means + np.einsum("k,kij,klj->il", weights, apart, apart)
    differences, directions = np.linalg.eigh((kernel + kernel.T) / 2)
    differences, directions = np.maximum(differences[::-1], 0.0), directions[:, ::-1]
    telling = int((differences > LEAST_DIFFERENCE * max(differences[0], LEAST_DIFFERENCE)).sum())
    if telling < n:
        rest = directions[:, telling:]
        _, order = np.linalg.eigh(rest.T @ (vectors * root**2) @ vectors.T @ rest)
        directions = np.concatenate([directions[:, :telling], rest @ order[:, ::-1]], axis=1)
    directions = directions[:, :n]
    correlations = (vectors * root) @ vectors.T @ directions
    sign = np.sign(np.take_along_axis(correlations, np.abs(correlations).argmax(0)[None], 0))
    correlations, directions = correlations * sign, directions * sign
    seen = np.where(np.arange(n) < telling, differences[:n], 0.0)
    mean_part = np.einsum("iv,ij,jv->v", directions, by_means, directions)
    return Projection(
        View(tuple(f"direction {i}" for i in range(1, n + 1)), directions.T @ whiten, gaussians.mean),
        seen,
        float(seen.sum() / differences.sum()) if telling else 0.0,
        np.divide(mean_part, seen, out=np.zeros(n), where=seen > 0),
        correlations,
    )
