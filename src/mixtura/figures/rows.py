"""Rows in pictures: a bounded sample of them, or counts of them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.core.arguments import as_source
from mixtura.core.mixture import NOISE, Column, Labels, Mixture
from mixtura.core.statistics import Array
from mixtura.figures.views import View, view
from mixtura.kernels import Rows
from mixtura.sources.sketch import sample
from mixtura.sources.source import Block, Source

#: The most rows that are drawn one by one.
MOST_DRAWN = 20_000
#: Hexagons across a picture, and steps of a histogram of uncertainty.
HEXAGONS = 60
STEPS = 50


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows to draw one by one.

    Attributes
    ----------
    rows : ndarray of shape (M, D)
        Distinct rows, in lexicographic order.
    weights : ndarray of shape (M,)
        How much each counts: its weight, added up over its copies.
    labels : ndarray of shape (M,)
        The most probable component; −1 for noise.
    uncertainty : ndarray of shape (M,)
        The probability that the label is wrong.
    n_rows : int
        How many rows there are in all.
    complete : bool
        Whether all distinct rows are here.
    """

    rows: Array
    weights: Array
    labels: Labels
    uncertainty: Array
    n_rows: int
    complete: bool


def draw(
    model: Mixture, X: ArrayLike | Source, sample_weight: ArrayLike | None = None, limit: int = MOST_DRAWN
) -> Drawn:
    """Rows to draw: all of them, or a sample that is the same whenever it is taken.

    Every distinct row has the same chance to be in the sample and brings the weight of all its copies.

    Parameters
    ----------
    model : Mixture
    X : array-like of shape (N, D), or Source
    sample_weight : array-like of shape (N,), optional
    limit : int
        The most rows to draw.
    """
    source = as_source(X, model.n_features, model.columns, sample_weight)
    some = sample(source, limit)
    labels, top = _called(model, some.rows)
    return Drawn(some.rows, some.weights, labels, 1 - top, source.n_rows, some.complete)


def _called(model: Mixture, rows: Rows) -> tuple[Labels, Array]:
    """The most probable component of each row, or −1 for noise, and its probability."""
    density, share = model.posterior(rows)
    noise, top = model.noise_share(density), share.max(1)
    return np.where(noise > top, NOISE, share.argmax(1)), np.maximum(noise, top)


class _Extent(NamedTuple):
    lower: Array
    upper: Array

    def __add__(self, other: _Extent) -> _Extent:  # type: ignore[override]
        return _Extent(np.minimum(self.lower, other.lower), np.maximum(self.upper, other.upper))


def extent(
    model: Mixture,
    X: ArrayLike | Source,
    sample_weight: ArrayLike | None = None,
    columns: View | Iterable[Column] | Column | None = None,
) -> tuple[Array, Array]:
    """The least and the largest value of all rows that count, (V,) each, along a view; in one pass."""
    source, seen = as_source(X, model.n_features, model.columns, sample_weight), view(model, columns)
    found = source.total(partial(_extent, seen))
    return found.lower, found.upper


def _extent(seen: View, block: Block) -> _Extent:
    rows = seen.rows(_counting(block)[0])
    return _Extent(rows.min(0, initial=np.inf), rows.max(0, initial=-np.inf))


def _counting(block: Block) -> tuple[Rows, Array]:
    """The rows of a block that count, and how much."""
    each = block.each
    return (block.rows, each) if each.all() else (block.rows[each > 0], each[each > 0])


@dataclass(frozen=True, eq=False)
class Hexagons:
    """How many rows lie where, all of them counted in hexagons.

    Attributes
    ----------
    view : View
    centres : ndarray of shape (M, 2)
        Of the hexagons that hold rows.
    size : ndarray of shape (2,)
        Distance between neighbours along the first axis; height of two rows of hexagons along the second.
    weights : ndarray of shape (M,)
        How much the rows in each count together.
    labels : ndarray of shape (M,)
        The label of most of them.
    uncertainty : ndarray of shape (M,)
        The share of their labels that is expected to be wrong.
    n_rows : int
        How many rows there are in all.
    """

    view: View
    centres: Array
    size: Array
    weights: Array
    labels: Labels
    uncertainty: Array
    n_rows: int

    @property
    def outline(self) -> Array:
        """Corners of a hexagon about its centre, (6, 2)."""
        return np.array([[3, -1], [3, 1], [0, 2], [-3, 1], [-3, -1], [0, -2]]) * self.size / 6


def hexagons(
    model: Mixture,
    X: ArrayLike | Source,
    sample_weight: ArrayLike | None = None,
    columns: View | Iterable[Column] | None = None,
    n: int = HEXAGONS,
) -> Hexagons:
    """All rows counted in a lattice of hexagons (Carr, Littlefield, Nicholson & Littlefield, JASA 82 (1987), 424).

    Parameters
    ----------
    model : Mixture
        Labels the rows.
    X : array-like of shape (N, D), or Source
    sample_weight : array-like of shape (N,), optional
    columns : View or two columns
    n : int
        Hexagons from left to right.
    """
    source = as_source(X, model.n_features, model.columns, sample_weight)
    return hexagons_of(model, source, [view(model, columns)], n)[0]


def hexagons_of(model: Mixture, source: Source, views: Sequence[View], n: int = HEXAGONS) -> list[Hexagons]:
    """``hexagons`` from several views, in two passes for all of them."""
    all_axes = View(
        tuple(name for seen in views for name in seen.names),
        np.concatenate([seen.matrix for seen in views]),
        np.zeros(model.n_features),
    )
    low, high = extent(model, source, columns=all_axes)
    steps = np.array([n, max(1, round(n / np.sqrt(3)))])
    lattices = [
        _Lattice(View(seen.names, seen.matrix, np.zeros(model.n_features)), corner, size / steps, steps)
        for seen, corner, size in zip(
            views, low.reshape(-1, 2), np.where(high > low, high - low, 1.0).reshape(-1, 2), strict=True
        )
    ]
    counts = source.total(partial(_counted, model, lattices)).reshape(len(views), 2, *(steps + 1), -1)
    return [
        lattice.hexagons(seen, held, source.n_rows) for seen, lattice, held in zip(views, lattices, counts, strict=True)
    ]


class _Lattice(NamedTuple):
    """Two lattices of hexagon centres, the second one in the gaps of the first."""

    axes: View
    corner: Array
    size: Array
    steps: NDArray[np.intp]

    def cells(self, rows: Rows) -> NDArray[np.intp]:
        """In which hexagon each row lies: lattice and place there, (3, B)."""
        place = np.maximum((self.axes.rows(rows) - self.corner) / self.size, 0.0)
        first, second = np.rint(place), np.minimum(np.floor(place), self.steps - 1)
        metric = np.array([1.0, 3.0])
        inner = np.square(place - first) @ metric > np.square(place - second - 0.5) @ metric
        return np.vstack([inner, np.where(inner, second.T, first.T)]).astype(np.intp)

    def hexagons(self, seen: View, counts: Array, n_rows: int) -> Hexagons:
        """Those that hold rows, from the sums of ``_counted`` in each."""
        which, i, j = np.nonzero(counts.any(-1))
        held, wrong = np.split(counts[which, i, j], [-1], axis=1)
        labels, noise, weights = held.argmax(1), held.shape[1] - 1, held.sum(1)
        labels = np.where(labels == noise, NOISE, labels)
        centres = self.corner + (np.column_stack([i, j]) + 0.5 * which[:, None]) * self.size
        centres = centres - seen.centre @ seen.matrix.T
        return Hexagons(seen, centres, self.size, weights, labels, wrong[:, 0] / weights, n_rows)


def _counted(model: Mixture, lattices: Sequence[_Lattice], block: Block) -> Array:
    """The weight of each label, noise after the others, and at last of wrong ones, in each hexagon, flat."""
    rows, each = _counting(block)
    label, top = _called(model, rows)
    label = label % (model.n_components + 1)  # −1 becomes the last
    shape = 2, *(lattices[0].steps + 1), model.n_components + 2
    sums: list[Array] = []
    for lattice in lattices:
        cells = lattice.cells(rows)
        index = np.concatenate(
            [np.ravel_multi_index((*cells, of), shape) for of in (label, np.full_like(label, -1 % shape[-1]))]
        )
        sums.append(
            np.bincount(index, np.concatenate([each, each * (1 - top)]), int(np.prod(shape))).astype(np.float64)
        )
    return np.concatenate(sums)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """How many rows are how uncertain, all of them counted.

    Attributes
    ----------
    edges : ndarray of shape (B + 1,)
        Steps of uncertainty, from 0 to the most there can be, 1 − 1/K.
    shares : ndarray of shape (B,)
        The share of the (weighted) rows in each step.
    mean : float
        The share of wrong labels to expect.
    """

    edges: Array
    shares: Array
    mean: float

    @property
    def beyond(self) -> Array:
        """The share of the rows that is at least as uncertain as each edge, (B + 1,)."""
        return np.append(self.shares[::-1].cumsum()[::-1], 0.0)


def uncertainty(model: Mixture, X: ArrayLike | Source, sample_weight: ArrayLike | None = None) -> Uncertainty:
    """The uncertainty of all rows, 1 − the largest responsibility, in one pass."""
    source = as_source(X, model.n_features, model.columns, sample_weight)
    kinds = model.n_components + (model.noise is not None)
    edges = np.linspace(0, 1 - 1 / kinds if kinds > 1 else 1.0, STEPS + 1)
    sums = source.total(partial(_uncertain, model, edges))
    return Uncertainty(edges, sums[:-1] / sums[:-1].sum(), float(sums[-1] / sums[:-1].sum()))


def _uncertain(model: Mixture, edges: Array, block: Block) -> Any:
    rows, each = _counting(block)
    wrong = 1 - _called(model, rows)[1]
    step = np.clip(np.searchsorted(edges, wrong, side="right") - 1, 0, len(edges) - 2)
    return np.append(np.bincount(step, each, len(edges) - 1), each @ wrong)
