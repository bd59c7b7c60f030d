"""Rows in pictures: a bounded sample of them, or counts of them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

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
    """

    view: View
    centres: Array
    size: Array
    weights: Array
    labels: Labels

    @property
    def outline(self) -> Array:
        """Corners of a hexagon about its centre, (6, 2)."""
        return np.array([[3, -1], [3, 1], [0, 2], [-3, 1], [-3, -1], [0, -2]]) * self.size / 6


def hexagons(
    model: Mixture,
    X: ArrayLike | Source,
    sample_weight: ArrayLike | None = None,
    columns: View | Iterable[Column] | None = None,
    *,
    limits: tuple[ArrayLike, ArrayLike] | None = None,
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
    limits : pair of array-like of shape (2,), optional
        The corners of what is counted; by default the extent of the rows.
    n : int
        Hexagons from left to right.
    """
    source, seen = as_source(X, model.n_features, model.columns, sample_weight), view(model, columns)
    low, high = extent(model, source, columns=seen) if limits is None else map(np.asarray, limits)
    steps = np.array([n, max(1, round(n / np.sqrt(3)))])
    size = np.where(high > low, high - low, 1.0) / steps
    counts = source.total(partial(_counted, model, seen, (low, size, steps))).reshape(2, *(steps + 1), -1)
    lattice, i, j = np.nonzero(counts.any(-1))
    held = counts[lattice, i, j]
    labels = held.argmax(1)
    centres = low + (np.column_stack([i, j]) + 0.5 * lattice[:, None]) * size
    return Hexagons(seen, centres, size, held.sum(1), np.where(labels == model.n_components, NOISE, labels))


def _counted(model: Mixture, seen: View, lattice: tuple[Array, ...], block: Block) -> Array:
    """The weight of each label, noise last, in each hexagon of both lattices, flat."""
    rows, each = _counting(block)
    low, size, steps = lattice
    place = (seen.rows(rows) - low) / size
    first, second = np.rint(place), np.floor(place)
    metric = np.array([1.0, 3.0])
    inner = np.square(place - first) @ metric > np.square(place - second - 0.5) @ metric
    cell = np.where(inner[:, None], second, first)
    inside = ((cell >= 0) & (cell <= steps)).all(1)
    label = _called(model, rows[inside])[0] % (model.n_components + 1)  # −1 becomes the last
    shape = 2, *(steps + 1), model.n_components + 1
    index = np.ravel_multi_index((inner[inside].astype(int), *cell[inside].astype(int).T, label), shape)
    return np.bincount(index, each[inside], int(np.prod(shape))).astype(np.float64)


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
