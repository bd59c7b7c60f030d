"""Model-based hierarchical clustering: one tree of merges, to be cut at any number of groups.

Every row is a group at first; at each step those two groups are merged for which the classification likelihood falls
least (Banfield & Raftery, Biometrics 49 (1993); Fraley, SIAM J. Scientific Computing 20 (1998)). With W_k the scatter
of a group about its mean, that is the growth of

    VVV   Σ_k n_k log det( (W_k + ν A) / (n_k + ν) )        covariances of their own
    EII   Σ_k tr W_k                                        spheres alike: Ward's method

The prior ν A, a sphere, stands in for what a small group does not tell about its covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mixtura.core.statistics import Array
from mixtura.covariance.idle import NULL_SHARE, principal
from mixtura.sources.sketch import column_spread

Criterion = Literal["VVV", "EII"]

#: The variances of A, as a share of the average variance of the columns, …
PRIOR_SHARE = 0.1
#: … and ν for each parameter of a mean and a scale: the D + 1 rows that it takes to span a covariance, twice.
PRIOR_ROWS = 2
#: Costs agree when they do to so many decimals (nats a row); the order of the rows then decides.
DECIMALS = 6
#: Groups whose costs with all others are reckoned at once, so that the table of costs is the only one of its size.
AT_ONCE = 64
#: Principal directions that the groups are told apart by, at most.
DIRECTIONS = 8
#: Rows further than this from the middle of a column, in units of its spread, are drawn in to there.
FAR = 10.0


@dataclass(frozen=True, eq=False)
class Tree:
    """The merges of an agglomeration.

    Attributes
    ----------
    merges : ndarray of shape (M − 1, 2)
        At each step, the first rows of the two groups that are merged, the smaller number first.
    """

    merges: NDArray[np.intp]

    def labels(self, n_groups: int) -> NDArray[np.intp]:
        """(M,) which of that many groups each row belongs to, numbered by their first rows."""
        first = np.arange(len(self.merges) + 1)
        done = self.merges[: max(0, len(first) - n_groups)]
        first[done[:, 1]] = done[:, 0]
        while not np.array_equal(first, first[first]):
            first = first[first]
        return np.unique(first, return_inverse=True)[1]


def agglomerate(rows: Array, weights: Array, criterion: Criterion = "VVV") -> Tree:
    """Merge rows, two groups at a time, until one is left.

    Parameters
    ----------
    rows : ndarray of shape (M, D)
        Distinct rows, see ``coordinates``. M² costs are kept.
    weights : ndarray of shape (M,)
        How much each counts; a common factor changes nothing.
    criterion : {"VVV", "EII"}

    Returns
    -------
    Tree

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[0.0], [0.1], [5.0], [5.2], [9.0]])
    >>> agglomerate(rows, np.ones(5)).labels(3).tolist()
    [0, 0, 1, 1, 2]
    """
    groups = _Groups(rows, weights, criterion)
    return Tree(np.array([groups.merge() for _ in range(len(rows) - 1)], dtype=np.intp).reshape(-1, 2))


def coordinates(rows: Array, weights: Array, sphering: float = 0.5) -> Array:
    """Rows along the leading principal directions of the columns, each measured in its robust spread.

    The criteria do not change under rotations, but do with the scales of the directions: √λ to the power
    1 − ``sphering``. That is STD of Scrucca & Raftery (Advances in Data Analysis and Classification 9 (2015)) for 0,
    SVD for ½ and SPH for 1.
    """
    middle, spread = column_spread(rows, weights)
    standard = np.clip((rows - middle) / np.where(spread > 0, spread, 1.0), -FAR, FAR)
    share = weights / weights.sum()
    standard -= share @ standard
    values, vectors = principal(standard * np.sqrt(share)[:, None])
    kept = np.flatnonzero(values >= NULL_SHARE * values[-1])[-DIRECTIONS:]
    return standard @ vectors[:, kept] * np.where(values > 0, values, 1.0)[kept] ** (-sphering / 2)


class _Groups:
    """The groups there are, in slots without gaps, and what it costs to merge any two.

    ``nearest`` is the group with which each would merge at least cost, ``least`` that cost.
    """

    def __init__(self, rows: Array, weights: Array, criterion: Criterion) -> None:
        self.size, self.dimension = rows.shape
        self.ward = criterion == "EII"
        share = weights / weights.sum()
        centred = rows - share @ rows
        unit = np.sqrt(share @ np.square(centred).mean(1)) or 1.0
        self.mean = (centred / unit).T.copy()
        self.n = weights / weights.mean()
        self.count = PRIOR_ROWS * (self.dimension + 1)
        self.prior = 0.0 if self.ward else PRIOR_SHARE * self.count * np.eye(self.dimension)
        self.scatter = np.zeros((self.dimension, self.dimension, self.size)) + np.atleast_3d(self.prior)
        self.first = np.arange(self.size)
        self.term = self._of_two(self.n, np.zeros(self.size))
        square = np.square(self.mean).sum(0)
        self.cost = self.mean.T @ self.mean
        for begin in range(0, self.size, AT_ONCE):
            some = slice(begin, begin + AT_ONCE)
            apart = np.maximum(square[some, None] + square - 2 * self.cost[some], 0.0)
            n = self.n[some, None] + self.n
            growth = self._of_two(n, self.n[some, None] * self.n / n * apart) - self.term[some, None] - self.term
            self.cost[some] = np.round(growth, DECIMALS)
        np.fill_diagonal(self.cost, np.inf)
        self.nearest = self.cost.argmin(1)
        self.least = self.cost[np.arange(self.size), self.nearest]

    def merge(self) -> tuple[int, int]:
        """Merge the two groups for which that costs least; their first rows."""
        i = int(self.least[: self.size].argmin())
        i, j = sorted((i, int(self.nearest[i])))
        first, second = sorted((int(self.first[i]), int(self.first[j])))
        n, apart = self.n[i] + self.n[j], self.mean[:, j] - self.mean[:, i]
        across = self.n[i] * self.n[j] / n * np.multiply.outer(apart, apart)
        self.scatter[:, :, i] += self.scatter[:, :, j] - self.prior + across
        self.mean[:, i] += self.n[j] / n * apart
        self.n[i], self.first[i] = n, first
        self.nearest[self.nearest == j] = i
        self._vacate(j)
        self._reckon(i)
        return first, second

    def _vacate(self, j: int) -> None:
        """Move the last group into the slot j."""
        last = self.size = self.size - 1
        for each in (self.n, self.mean, self.scatter, self.first, self.term, self.nearest, self.least):
            each[..., j] = each[..., last]
        self.cost[j, :last] = self.cost[last, :last]
        self.cost[:last, j] = self.cost[:last, last]
        self.cost[j, j] = np.inf
        self.nearest[self.nearest == last] = j

    def _reckon(self, i: int) -> None:
        """What it costs to merge the group i with each other, now that it has grown."""
        m = self.size
        n, apart = self.n[:m] + self.n[i], self.mean[:, :m] - self.mean[:, i : i + 1]
        scatter = apart[:, None] * (apart * (self.n[:m] * self.n[i] / n))
        scatter += self.scatter[:, :, :m]
        scatter += self.scatter[:, :, i, None] - np.atleast_3d(self.prior)
        n[i], scatter[:, :, i] = self.n[i], self.scatter[:, :, i]  # the group alone
        term = self._term(n, scatter)
        self.term[i] = term[i]
        cost = np.round(term - self.term[:m] - term[i], DECIMALS)
        cost[i] = np.inf
        self.cost[i, :m] = self.cost[:m, i] = cost
        least, nearest = self.least[:m], self.nearest[:m]
        was_nearest = nearest == i
        was_nearest[i] = True
        nearer = cost < least
        least[nearer], nearest[nearer] = cost[nearer], i
        again = np.flatnonzero(was_nearest & ~nearer)
        nearest[again] = self.cost[again, :m].argmin(1)
        least[again] = self.cost[again, nearest[again]]

    def _term(self, n: Array, scatter: Array) -> Array:
        """What groups with these sizes and these W + ν A, (D, D, groups) and not kept, add to the criterion."""
        if self.ward:
            return np.einsum("iij->j", scatter)
        det = scatter[0, 0].copy()
        for k in range(1, self.dimension):  # Gaussian elimination, of all groups together
            row = scatter[k - 1, k:]
            scatter[k:, k:] -= row[:, None] * (row / scatter[k - 1, k - 1])
            det *= scatter[k, k]
        return n * (np.log(det) - self.dimension * np.log(n + self.count))

    def _of_two(self, n: Array, square: Array) -> Array:
        """The same where the rows lie on a line, with that sum of squares."""
        if self.ward:
            return square
        prior = PRIOR_SHARE * self.count
        return n * (self.dimension * (np.log(prior) - np.log(n + self.count)) + np.log1p(square / prior))
