"""A mixture as it is drawn: ellipses, contours, curves and territories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from mixtura.core.arguments import as_source
from mixtura.core.mixture import Column, Labels, Mixture
from mixtura.core.statistics import Array
from mixtura.figures.rows import extent
from mixtura.figures.views import View, view
from mixtura.sources.sketch import sample
from mixtura.sources.source import Block, Source

#: How far out a mixture is shown where no rows set the limits, in standard deviations of each component.
REACH = 3.0
#: Places that no curve leaves out, in standard deviations from the mean of each component.
EDGES = np.array([-4.5, -3.0, 3.0, 4.5])
#: What contours hold, where nothing else is asked for.
COVERAGES = (0.25, 0.5, 0.75, 0.95)
#: Rows drawn from a mixture to find the height of its contours, and rows looked at to find the width of bars.
LEVEL_DRAWS = 50_000
BAR_SAMPLE = 20_000
#: Bars in a histogram.
MOST_BARS = 200

Limits = tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True, eq=False)
class Ellipse:
    """The smallest region that holds a given share of one component, as it is seen in two dimensions.

    Attributes
    ----------
    component : int
    coverage : float
    centre : ndarray of shape (2,)
    axes : ndarray of shape (2,)
        Half the lengths of the axes, the longer one first.
    angle : float
        From the first coordinate to the longer axis, in radians, anticlockwise, between −π/2 and π/2.
    """

    component: int
    coverage: float
    centre: Array
    axes: Array
    angle: float

    def outline(self, n: int = 100) -> Array:
        """Points along the ellipse, (n, 2), the last one being the first again."""
        turn = np.linspace(0, 2 * np.pi, n)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        circle = np.column_stack([np.cos(turn), np.sin(turn)]) * self.axes
        return self.centre + circle @ np.array([[cos, sin], [-sin, cos]])


def ellipses(
    model: Mixture, columns: View | Iterable[Column] | None = None, coverage: float = 0.95
) -> tuple[Ellipse, ...]:
    """An ellipse for each component, in its order, that holds this share of it (of its marginal in two columns).

    Its radius in units of the covariance is √(−2 log(1 − coverage)), the root of a quantile of χ² with two degrees of
    freedom.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.figures import ellipses
    >>> (ellipse,) = ellipses(Mixture([1], [[1, 2]], [[[4, 0], [0, 1]]]), coverage=0.5)
    >>> ellipse.axes.round(3), ellipse.angle
    (array([2.355, 1.177]), 0.0)
    """
    seen = _plane(model, columns).mixture(model)
    radius = np.sqrt(chi2.ppf(coverage, 2))
    found: list[Ellipse] = []
    for k in range(model.n_components):
        turned, lengths, _ = np.linalg.svd(seen.structure.factor(k))
        x, y = turned[:, 0] if turned[0, 0] > 0 else -turned[:, 0]
        found.append(Ellipse(k, coverage, seen.means[k], radius * lengths, float(np.arctan2(y, x)) + 0.0))
    return tuple(found)


def _plane(model: Mixture, columns: View | Iterable[Column] | None) -> View:
    seen = view(model, columns)
    if len(seen.matrix) != 2:
        raise ValueError(f"this picture takes two columns, got {len(seen.matrix)}")
    return seen


def reach(seen: Mixture) -> tuple[Array, Array]:
    """The corners of a box about all components, REACH standard deviations of each to either side."""
    spread = REACH * np.sqrt(np.square(seen.cholesky).sum(2))
    return (seen.means - spread).min(0), (seen.means + spread).max(0)


def _ticks(seen: Mixture, axis: int, low: float, high: float, n: int) -> Array:
    """About n places from low to high: half of them even, half where the components are, however narrow."""
    along = seen.marginal(axis)
    even = Mixture(np.full(along.n_components, 1 / along.n_components), along.means, along.structure)
    inner = even.ppf((np.arange(n // 2) + 0.5) / (n // 2))
    edges = along.means + along.cholesky[:, :, 0] * EDGES
    places = np.concatenate([np.linspace(low, high, n - n // 2), inner, edges.ravel()])
    return np.unique(places[(places >= low) & (places <= high)])


@dataclass(frozen=True, eq=False)
class Surface:
    """A density over two coordinates, that of the Gaussians together.

    Attributes
    ----------
    view : View
    x, y : ndarray of shape (P,), (Q,)
        Ascending, unevenly spaced: closer together where the components are.
    density : ndarray of shape (Q, P)
    levels : ndarray of shape (C,)
        Ascending: the densities on the edges of the smallest regions that hold the coverages.
    coverages : tuple of float
        Descending, as the levels ascend.
    """

    view: View
    x: Array
    y: Array
    density: Array
    levels: Array
    coverages: tuple[float, ...]


def surface(
    model: Mixture,
    columns: View | Iterable[Column] | None = None,
    limits: Limits | None = None,
    coverages: Sequence[float] = COVERAGES,
    n: int = 160,
) -> Surface:
    """The density that a mixture has over two columns (its marginal) or directions.

    Parameters
    ----------
    model : Mixture
        A noise component, whose density hardly shows, is left out.
    columns : View or two columns
    limits : pair of array-like of shape (2,), optional
        The lower left and upper right corner; by default about all components.
    coverages : sequence of float
        What the regions inside the contours hold, each between 0 and 1.
    n : int
        About how many places along each axis.
    """
    looked = _plane(model, columns)
    seen = looked.mixture(model)
    low, high = reach(seen) if limits is None else map(np.asarray, limits)
    x, y = (_ticks(seen, axis, low[axis], high[axis], n) for axis in range(2))
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    wanted = tuple(sorted(coverages, reverse=True))
    levels = np.array([seen.density_level(share, rng=0, n=LEVEL_DRAWS) for share in wanted])
    whole = model.weights.sum()
    return Surface(looked, x, y, whole * seen.pdf(places).reshape(len(y), len(x)), whole * levels, wanted)


@dataclass(frozen=True, eq=False)
class Curve:
    """A density over one coordinate, with its parts.

    Attributes
    ----------
    view : View
    x : ndarray of shape (P,)
        Ascending, closer together where the components are.
    density : ndarray of shape (P,)
        The sum of all parts.
    components : ndarray of shape (K, P)
        π_k times the density of each.
    noise : ndarray of shape (P,) or None
        The part of the noise component; None where there is none, or its marginal is not known.
    """

    view: View
    x: Array
    density: Array
    components: Array
    noise: Array | None


def curve(model: Mixture, column: View | Column | None = None, limits: Limits | None = None, n: int = 600) -> Curve:
    """The density that a mixture has over one column (its marginal) or direction, and those of its components.

    Parameters
    ----------
    model : Mixture
    column : View or column
        By default the only one, or the first.
    limits : pair of float, optional
        By default about all components.
    n : int
        About how many places.
    """
    looked = view(model, 0 if column is None else column)
    if len(looked.matrix) != 1:
        raise ValueError(f"this picture takes one column, got {len(looked.matrix)}")
    seen = looked.mixture(model)
    low, high = (float(np.ravel(end)[0]) for end in (reach(seen) if limits is None else limits))
    x = _ticks(seen, 0, low, high, n)
    parts = model.weights.sum() * np.exp(seen.log_joint(x)).T
    noise = _noise(model, looked, x)
    return Curve(looked, x, parts.sum(0) + (0 if noise is None else noise), parts, noise)


def _noise(model: Mixture, looked: View, x: Array) -> Array | None:
    """The part of the noise along a column, where that is known."""
    noise, (along,) = model.noise, looked.matrix
    if noise is None or np.count_nonzero(along) != 1 or along.max() != 1:
        return None
    if looked.whole:
        return np.full(len(x), np.exp(noise.log_joint))
    try:
        only = noise.marginal(np.flatnonzero(along))
    except ValueError:  # its region is unknown, or no box
        return None
    (start,), (step,) = only.parameters().values()
    inside = (x >= min(start, start + step[0])) & (x <= max(start, start + step[0]))
    return np.where(inside, np.exp(only.log_joint), 0.0)


@dataclass(frozen=True, eq=False)
class Histogram:
    """All rows counted along one coordinate.

    Attributes
    ----------
    view : View
    edges : ndarray of shape (B + 1,)
    density : ndarray of shape (B,)
        The (weighted) share of the rows in each bar, by its width: what a density is to be compared with.
    """

    view: View
    edges: Array
    density: Array


def histogram(
    model: Mixture,
    X: ArrayLike | Source,
    sample_weight: ArrayLike | None = None,
    column: View | Column | None = None,
    bars: int | None = None,
) -> Histogram:
    """A histogram of all rows along a column or direction.

    Parameters
    ----------
    model : Mixture
    X : array-like of shape (N, D), or Source
    sample_weight : array-like of shape (N,), optional
    column : View or column
    bars : int, optional
        By default 3.49 s/∛N wide (Scott, Biometrika 66 (1979), 605), with s the standard deviation within components;
        where values are rounded, a whole number of steps wide, with values in the middle of the steps.
    """
    source, looked = (
        as_source(X, model.n_features, model.columns, sample_weight),
        view(model, 0 if column is None else column),
    )
    edges = _edges(model, source, looked, bars)
    counts = source.total(partial(_bar_counts, looked, edges))
    return Histogram(looked, edges, counts / counts.sum() / np.diff(edges))


def _edges(model: Mixture, source: Source, looked: View, bars: int | None) -> Array:
    (low,), (high,) = extent(model, source, columns=looked)
    if not high > low:
        return np.array([low - 0.5, low + 0.5])
    if bars is not None:
        return np.linspace(low, high, bars + 1)
    seen = looked.mixture(model)
    within = np.sqrt(seen.weights @ seen.covariances[:, 0, 0])
    wanted = max(3.49 * within / np.cbrt(source.n_rows), (high - low) / MOST_BARS)
    some = sample(source, BAR_SAMPLE)
    values = np.unique(looked.rows(some.rows)[:, 0])
    if len(values) == len(some.rows):  # no two are alike: they are not rounded
        return np.linspace(low, high, 1 + max(1, round((high - low) / wanted)))
    grain = np.diff(values).min()
    width = max(1, round(wanted / grain)) * grain
    return low - grain / 2 + width * np.arange(np.ceil((high - low + grain / 2) / width) + 1)


def _bar_counts(looked: View, edges: Array, block: Block) -> Array:
    return np.histogram(looked.rows(block.rows)[:, 0], edges, weights=block.each)[0]


@dataclass(frozen=True, eq=False)
class Territory:
    """Where which component is the most probable, and how uncertain that is; for one or two columns.

    Attributes
    ----------
    x, y : ndarray of shape (P,), (Q,)
        Ascending; of one column, ``y`` is empty and the next two are (P,).
    labels : ndarray of shape (Q, P)
        The most probable component; −1 for noise.
    uncertainty : ndarray of shape (Q, P)
        1 − its probability.
    """

    x: Array
    y: Array
    labels: Labels
    uncertainty: Array


def territory(model: Mixture, limits: Limits | None = None, n: int = 200) -> Territory:
    """The territories of the components of a mixture in one or two columns.

    Raises
    ------
    ValueError
        If there are more columns: which component is most probable then depends on all of them.
    """
    if model.n_features > 2:
        raise ValueError(f"there are {model.n_features} columns: territories are drawn for one or two")
    gaussians = model.without_noise()
    low, high = reach(gaussians) if limits is None else map(np.atleast_1d, limits)
    ticks = [_ticks(gaussians, axis, low[axis], high[axis], n) for axis in range(model.n_features)]
    places = np.stack(np.meshgrid(*ticks), axis=-1).reshape(-1, model.n_features)
    shape = tuple(len(tick) for tick in reversed(ticks))
    labels, wrong = model.predict(places).reshape(shape), model.uncertainty(places).reshape(shape)
    return Territory(ticks[0], ticks[1] if len(ticks) == 2 else np.empty(0), labels, wrong)
