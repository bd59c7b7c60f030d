"""Components that belong together, united into clusters by what the rows leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from mixtura.core.arguments import as_source
from mixtura.core.mixture import NOISE, Labels, Mixture
from mixtura.core.statistics import Array
from mixtura.ground import Observer, Progress
from mixtura.sources.source import Block, Source

#: The components of one cluster, in order.
Group = tuple[int, ...]


class Stage(NamedTuple):
    """One number of clusters.

    Attributes
    ----------
    groups : tuple of tuple of int
        The components of each cluster; clusters are in the order of their first components.
    entropy : float
        −Σ_n w_n Σ_c t_nc log t_nc in nats, with t_nc the sum of the responsibilities of cluster c.
    united : tuple of two tuples of int, or None
        The two clusters whose union led here; None at the first stage.
    rows : float
        How much the rows labelled as one of those two count; 0 at the first stage.
    """

    groups: tuple[Group, ...]
    entropy: float
    united: tuple[Group, Group] | None
    rows: float


@dataclass(frozen=True, eq=False, repr=False)
class Merging:
    """A tree of clusters: one for each component at first, all components in one at last.

    Attributes
    ----------
    model : Mixture
    stages : tuple of Stage
        From K clusters down to one.
    """

    model: Mixture
    stages: tuple[Stage, ...]

    def summary(self) -> dict[str, Any]:
        """Plain numbers (JSON-able): every stage, and how many clusters are suggested."""
        stages = [{"clusters": len(stage.groups), **stage._asdict()} for stage in self.stages]
        return {"suggested": self.suggested, "stages": stages}

    def __str__(self) -> str:
        from mixtura import text

        return text.merging_as_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mixtura import notebook, text

        return notebook.fragment(text.told_of_merging(self))

    @property
    def curve(self) -> tuple[Array, Array]:
        """Two (K,) arrays for 1 … K clusters: the cumulated weight of the rows merged on the way, and the entropy.

        The first is summed from one cluster upwards: a merger of large clusters may remove more entropy than one of
        small clusters for that reason alone, and is given more room on this axis.
        """
        upwards = self.stages[::-1]
        merged = np.cumsum([0.0, *(stage.rows for stage in upwards[:-1])])
        return merged, np.array([stage.entropy for stage in upwards])

    @property
    def suggested(self) -> int:
        """The number of clusters at the bend of the curve: where the best line of two straight pieces breaks.

        With three components the two pieces have two points each and fit at 2, whatever the rows say; with fewer there
        is no bend, and the answer is K. Look at the curve before you believe the number.
        """
        return _bend(*self.curve)

    def groups(self, n: int | None = None) -> tuple[Group, ...]:
        """The components of each of n clusters, by default as many as are suggested.

        Raises
        ------
        ValueError
            If n is not one of 1 … K.
        """
        wanted = self.suggested if n is None else n
        if wanted not in range(1, len(self.stages) + 1):
            raise ValueError(f"there are 1 to {len(self.stages)} clusters, not {wanted}")
        return self.stages[-wanted].groups

    def responsibilities(self, X: ArrayLike | Source, n: int | None = None) -> Array:
        """t_nc, the probability of each of n clusters, (N, n)."""
        return self._blockwise(X, partial(_together, groups=self.groups(n)))

    def predict(self, X: ArrayLike | Source, n: int | None = None) -> Labels:
        """The most probable of n clusters for each row, (N,): the number of its place in ``groups(n)``; −1 for noise.

        Raises
        ------
        ValueError
            If a row is not finite.
        """
        groups = self.groups(n)
        return self._blockwise(X, lambda share: called(_together(share, groups)))

    def _blockwise(self, X: ArrayLike | Source, function: Any) -> Any:
        """A function of the responsibilities of each block of rows, one block after the other."""
        source = as_source(X, self.model.n_features, self.model.columns)
        model = self.model  # which alone is sent where the rows are
        parts = source.map(lambda block: function(model.responsibilities(block.rows)))
        return np.concatenate(list(parts))


def merge(
    model: Mixture, X: Any, sample_weight: ArrayLike | None = None, *, progress: Observer | None = None
) -> Merging:
    """Unite the components of a mixture into clusters, pair after pair, by entropy.

    A cluster that is no Gaussian takes several components to fit: it is certain then that a row belongs to the
    cluster, but not to which of its components. At each step the two clusters are united whose union removes most
    entropy (Baudry, Raftery, Celeux, Lo & Gottardo, J. Comput. Graph. Stat. 19 (2010), 332, section 3). The mixture
    stays the same.

    Parameters
    ----------
    model : Mixture
    X : array-like of shape (N, D), or Source
        The rows that it was fitted to; K − 1 passes are made.
    sample_weight : array-like of shape (N,), optional
        2 counts a row twice.
    progress : callable, optional
        Is told of each pass (see mixtura.ground.Progress); the stage is "merge".

    Returns
    -------
    Merging
        With ``curve``, ``suggested``, ``groups(n)`` and ``predict(X, n)``.

    Raises
    ------
    ValueError
        If a row is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import Mixture, merge
    >>> model = Mixture(
    ...     [0.25, 0.25, 0.25, 0.25], [[0, 0], [0, 0], [9, 0], [9, 9]], [np.eye(2), np.diag([9, 1]), *[np.eye(2)] * 2]
    ... )
    >>> merging = merge(model, model.sample(400, rng=0))
    >>> merging.groups()
    ((0, 1), (2,), (3,))
    >>> merging.predict([[0, 0], [9, 8]])
    array([0, 2])
    """
    source = as_source(X, model.n_features, model.columns, sample_weight)
    groups: tuple[Group, ...] = tuple((k,) for k in range(model.n_components))
    known: dict[Group, float] = {}  # Σ −w t log t of each cluster that was ever looked at
    united, rows = None, 0.0
    stages: list[Stage] = []
    while len(groups) > 1:
        if progress is not None:
            passes = model.n_components - len(groups)
            progress(Progress("merge", passes, len(groups) - 1, model.n_components - 1))
        wanted = [group for group in (*groups, *_unions(groups)) if group not in known]
        sums = source.total(partial(_sums, model, groups, wanted))
        known.update(zip(wanted, sums[len(groups) :].tolist(), strict=True))
        stages.append(Stage(groups, sum(known[group] for group in groups), united, rows))
        gains = {union: known[a] + known[b] - known[union] for union, (a, b) in _unions(groups).items()}
        best = max(gains, key=gains.__getitem__)
        united = _unions(groups)[best]
        rows = float(sum(sums[groups.index(group)] for group in united))
        groups = tuple(sorted([best, *(group for group in groups if group not in united)]))
    return Merging(model, (*stages, Stage(groups, 0.0, united, rows)))


def called(share: Array) -> Labels:
    """The most probable cluster of each row, (N,); −1 where what the clusters leave to noise is more."""
    return np.where(1 - share.sum(1) > share.max(1), NOISE, share.argmax(1))


def _unions(groups: Sequence[Group]) -> dict[Group, tuple[Group, Group]]:
    """The union of each pair of clusters, with the pair."""
    return {tuple(sorted(a + b)): (a, b) for a, b in combinations(groups, 2)}


def _together(share: Array, groups: Sequence[Group]) -> Array:
    """The responsibilities of clusters, (B, C), from those of components."""
    return np.stack([share[:, group].sum(1) for group in groups], axis=1)


def _sums(model: Mixture, groups: Sequence[Group], wanted: Sequence[Group], block: Block) -> Array:
    """How much the rows count that each cluster is most probable for; then Σ −w t log t of each wanted cluster."""
    share, each = model.responsibilities(block.rows), block.each
    if model.noise is not None:  # a row counts as far as it is not noise
        left = share.sum(1)
        share, each = share / np.where(left > 0, left, 1.0)[:, None], each * left
    counts = np.bincount(_together(share, groups).argmax(1), each, len(groups))
    return np.concatenate([counts, [each @ entr(share[:, group].sum(1)) for group in wanted]])


def _bend(x: Array, y: Array) -> int:
    """How many points lie up to the break of the two straight pieces, which share it, that fit best (least squares)."""
    if len(x) < 3:
        return len(x)

    def misfit(part: slice) -> float:
        design = np.column_stack([x[part], np.ones_like(x[part])])
        return float(np.square(y[part] - design @ np.linalg.lstsq(design, y[part], rcond=None)[0]).sum())

    return min(range(2, len(x)), key=lambda c: misfit(slice(None, c)) + misfit(slice(c - 1, None)))
