"""How far two answers agree: labels with labels, and components with components."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.core.arguments import as_source
from mixtura.core.divergence import bhattacharyya_pairs, check_columns
from mixtura.core.mixture import Labels, Mixture
from mixtura.core.statistics import Array
from mixtura.sources.source import Block


@dataclass(frozen=True, eq=False, repr=False)
class CrossTable:
    """How often the labels of two partitions of the same rows meet.

    Attributes
    ----------
    rows, columns : tuple
        The labels of either partition, sorted where they can be.
    counts : ndarray of shape (R, C)
        How many rows have both labels.
    missing : int
        How many rows were left out, for one of their labels is missing.
    """

    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    counts: NDArray[np.int64]
    missing: int

    def summary(self) -> dict[str, Any]:
        """Plain numbers (JSON-able, if the labels are)."""
        return {
            "adjusted_rand_index": self.adjusted_rand_index,
            "agreement": self.agreement,
            "pairs": self.pairs,
            "rows": self.rows,
            "columns": self.columns,
            "counts": self.counts.tolist(),
            "missing": self.missing,
        }

    def __str__(self) -> str:
        from mixtura import text

        return text.cross_table_as_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mixtura import notebook, text

        return notebook.fragment(text.told_of_cross_table(self))

    @property
    def adjusted_rand_index(self) -> float:
        """1 where the partitions are the same but for names, 0 in the mean where one is drawn at random.

        (Hubert & Arabie, Journal of Classification 2 (1985), 193, equation 5.)
        """
        together, first, second, all_pairs = (
            float((n * (n - 1) // 2).sum())
            for n in (self.counts, self.counts.sum(1), self.counts.sum(0), self.counts.sum(keepdims=True))
        )
        expected = first * second / all_pairs if all_pairs else 0.0
        most = (first + second) / 2
        return (together - expected) / (most - expected) if most != expected else 1.0

    @property
    def pairs(self) -> tuple[tuple[Any, Any], ...]:
        """Labels of both partitions, each at most once, put together so that most rows agree."""
        return tuple((self.rows[i], self.columns[j]) for i, j in zip(*self._best, strict=True))

    @property
    def agreement(self) -> float:
        """The share of rows that agree with those pairs; NaN without rows."""
        n = int(self.counts.sum())
        return float(self.counts[self._best].sum()) / n if n else float("nan")

    @property
    def _best(self) -> tuple[Labels, Labels]:
        from scipy.optimize import linear_sum_assignment  # which takes a third of a second to import

        return linear_sum_assignment(self.counts, maximize=True)


def cross_table(a: Iterable[Hashable], b: Iterable[Hashable]) -> CrossTable:
    """Count how often the labels of two partitions meet.

    Parameters
    ----------
    a, b : array-like of shape (N,), or iterable of N
        Labels of any hashable kind. None, NaN and what data frames take for missing is no label: such rows are left
        out, and counted.

    Returns
    -------
    CrossTable

    Raises
    ------
    ValueError
        If the two are not equally many.
    TypeError
        If a label is not hashable.

    Examples
    --------
    >>> from mixtura import cross_table
    >>> table = cross_table(["oak", "elm", "oak", None, "elm"], [0, 1, 0, 1, 0])
    >>> table.rows, table.counts.tolist(), table.missing
    (('elm', 'oak'), [[1, 1], [2, 0]], 1)
    >>> table.pairs, table.agreement
    ((('elm', 1), ('oak', 0)), 0.75)
    """
    first, second = _labels(a), _labels(b)
    if len(first) != len(second):
        raise ValueError(f"the labels are of {len(first)} and of {len(second)} rows: they must be of the same")
    kept = [(x, y) for x, y in zip(first, second, strict=True) if not (_is_missing(x) or _is_missing(y))]
    rows, columns = _in_order(x for x, _ in kept), _in_order(y for _, y in kept)
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(counts, ([rows[x] for x, _ in kept], [columns[y] for _, y in kept]), 1)
    return CrossTable(tuple(rows), tuple(columns), counts, len(first) - len(kept))


def adjusted_rand_index(a: Iterable[Hashable], b: Iterable[Hashable]) -> float:
    """How far two partitions of the same rows agree, whatever their labels are called; see ``CrossTable``.

    Examples
    --------
    >>> from mixtura import adjusted_rand_index
    >>> adjusted_rand_index(["a", "a", "b", "b"], [1, 1, 0, 0])
    1.0
    """
    return cross_table(a, b).adjusted_rand_index


def _labels(labels: Iterable[Hashable]) -> list[Any]:
    """Labels as plain Python objects, whatever holds them."""
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(labels, method):
            return getattr(labels, method)()
    return list(labels)


def _is_missing(label: Any) -> bool:
    return label is None or type(label).__name__ == "NAType" or bool(label != label)  # noqa: PLR0124 (NaN and NaT)


def _in_order(labels: Iterable[Any]) -> dict[Any, int]:
    """The different labels, with their places: sorted, or as they come where they do not compare."""
    different = list(dict.fromkeys(labels))
    with suppress(TypeError):
        different.sort()
    return {label: place for place, label in enumerate(different)}


@dataclass(frozen=True, eq=False)
class Match:
    """Which component of another mixture stands for which of a reference.

    Attributes
    ----------
    pairs : tuple of (int, int)
        Component of the reference, component of the other, in the order of the reference.
    distances : tuple of float
        How far apart the two of each pair are: their Bhattacharyya distance, 0 where they are equal. A pair may be
        far apart if nothing nearer was left.
    missing : tuple of int
        Components of the reference without one in the other.
    extra : tuple of int
        Components of the other without one in the reference.
    """

    pairs: tuple[tuple[int, int], ...]
    distances: tuple[float, ...]
    missing: tuple[int, ...]
    extra: tuple[int, ...]

    @property
    def order(self) -> Labels:
        """For ``other.reorder``: the components that stand for the reference's, in its order, then the extra ones."""
        return np.array([*(j for _, j in self.pairs), *self.extra], dtype=np.intp)


def match(reference: Mixture, other: Mixture, X: Any = None, sample_weight: ArrayLike | None = None) -> Match:
    """Find for the components of a reference those of another mixture that stand for them.

    Parameters
    ----------
    reference, other : Mixture
        Over the same columns; their numbers of components may differ.
    X : array-like of shape (N, D), or Source, optional
        With rows, components go together that share most responsibility, Σ_n w_n γ_ni γ'_nj; without, those at the
        least Bhattacharyya distance, summed over the pairs, whatever their weights.
    sample_weight : array-like of shape (N,), optional

    Returns
    -------
    Match

    Raises
    ------
    ValueError
        If the mixtures are over different columns, or a row is not finite.

    Examples
    --------
    >>> from mixtura import Mixture, match
    >>> found = match(Mixture([0.5, 0.5], [0, 9], [1, 1]), Mixture([0.2, 0.4, 0.4], [9, 5, 0], [1, 1, 1]))
    >>> found.pairs, found.extra, found.order.tolist()
    (((0, 2), (1, 0)), (1,), [2, 0, 1])
    """
    from scipy.optimize import linear_sum_assignment

    check_columns(reference, other)
    distances = bhattacharyya_pairs(reference, other)
    cost = distances
    if X is not None:
        source = as_source(X, reference.n_features, reference.columns, sample_weight)
        cost = -source.total(partial(_shared, reference, other))
    mine, theirs = linear_sum_assignment(cost)
    return Match(
        tuple(zip(mine.tolist(), theirs.tolist(), strict=True)),
        tuple(distances[mine, theirs].tolist()),
        _others(reference, mine),
        _others(other, theirs),
    )


def _shared(reference: Mixture, other: Mixture, block: Block) -> Array:
    weighted = reference.responsibilities(block.rows) * block.each[:, None]
    return weighted.T @ other.responsibilities(block.rows)


def _others(mixture: Mixture, taken: Sequence[int] | Labels) -> tuple[int, ...]:
    return tuple(np.setdiff1d(np.arange(mixture.n_components), taken).tolist())
