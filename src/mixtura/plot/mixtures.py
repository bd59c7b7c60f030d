"""Mixtures and their rows: ellipses, curves, pairs of columns, directions, uncertainty."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from mixtura import figures
from mixtura.core.arguments import column_indices
from mixtura.core.mixture import Column, Mixture
from mixtura.core.statistics import Array
from mixtura.figures import Curve, Drawn, Ellipse, Hexagons, Histogram, Projection, Surface, Territory, View
from mixtura.plot import style
from mixtura.plot.display import Display, Subject, subject
from mixtura.summary import column_names
from mixtura.text import percent

#: What an ellipse holds of its component.
COVERAGE = 0.95
#: Columns in a grid of pairs, unless others are asked for.
MOST_PAIRED = 5
#: Space around the rows, as a share of their extent.
MARGIN = 0.05
#: Columns that the name of a direction mentions, and the least correlation with it.
MOST_NAMED, LEAST_NAMED = 3, 0.3
#: Letters on a line of it.
LINE_LENGTH = 48
#: Size of numbers in a grid of pairs, in points.
SMALL = 7.0
#: Up to so many rows are marked along the axis of a curve.
MOST_RUG = 1_000
#: Places along each axis of a density in a grid of pairs.
COARSE = 80
#: A row that is certain and one that is not at all, as multiples of the usual area of a marker.
LEAST_AREA, LARGEST_AREA = 0.5, 5.0

Rows = Drawn | Hexagons
Limits = tuple[Array, Array]


def _rows(about: Subject, views: Sequence[View]) -> list[Rows | None]:
    """Rows as they are drawn in each view: one by one, or in hexagons where there are too many for that."""
    if about.source is None:
        return [None] * len(views)
    if about.source.n_rows > figures.MOST_DRAWN:
        return [*figures.hexagons_of(about.model, about.source, views)]
    return [figures.draw(about.model, about.source)] * len(views)


def _limits(about: Subject, seen: View) -> Limits:
    """What a picture shows: the rows and a margin, or all components."""
    if about.source is None:
        return figures.reach(seen.mixture(about.model))
    low, high = figures.extent(about.model, about.source, columns=seen)
    wide = np.where(high > low, high - low, 1.0)
    return low - MARGIN * wide, high + MARGIN * wide


def _telling(model: Mixture, n: int) -> list[int]:
    """The columns that tell the components apart best, in their own order."""
    return sorted(figures.profile(model).order[:n].tolist())


def _told(model: Mixture, n_rows: int | None) -> str:
    """What is in a picture, for its title."""
    kinds = f"{model.n_components} component{'s' * (model.n_components != 1)}"
    if model.noise is not None:
        kinds += " and noise"
    return kinds if n_rows is None else f"{n_rows:,} row{'s' * (n_rows != 1)}, {kinds}"


def _count(rows: Rows | None) -> int | None:
    return None if rows is None else rows.n_rows


def _draw_ellipses(ax: Axes, ellipses: Iterable[Ellipse]) -> None:
    for ellipse in ellipses:
        outline, colour = ellipse.outline(), style.colour(ellipse.component)
        ax.add_patch(Polygon(outline, facecolor=colour, alpha=0.08, edgecolor="none", zorder=1))
        ax.plot(*outline.T, color=colour, linewidth=1.4, zorder=3)


def _frame(ax: Axes, limits: Limits) -> None:
    (left, bottom), (right, top) = limits
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)


def _number(ax: Axes, model: Mixture, places: Array, size: float = 9) -> None:
    """The numbers of the components at these places, the heaviest served first."""
    order = np.argsort(-model.weights, kind="stable")
    style.Numbers(ax, places[order], [str(k) for k in order], size)


@dataclass(eq=False, repr=False)
class MixtureDisplay(Display):
    """Rows in two columns, an ellipse for each component, and contours of the density.

    Parameters
    ----------
    model : Mixture
    view : View
        From where it is looked at.
    limits : pair of ndarray of shape (2,)
        The corners of the picture.
    ellipses : sequence of Ellipse
    surface : Surface or None
        The density.
    rows : Drawn, Hexagons or None

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import MixtureDisplay
    >>> result = mixtura.fit("examples/faithful.csv", n_components=3, covariance="tied", random_state=0)
    >>> display = MixtureDisplay.from_estimator(result)
    >>> display.ax_.get_xlabel(), len(display.ellipses)
    ('eruptions', 3)
    """

    model: Mixture
    view: View
    limits: Limits
    ellipses: Sequence[Ellipse]
    surface: Surface | None
    rows: Rows | None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        columns: View | Iterable[Column] | None = None,
        sample_weight: ArrayLike | None = None,
        coverage: float = COVERAGE,
        contours: bool = True,
        ax: Axes | None = None,
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, fitted GaussianMixture, or Mixture
        X : array-like of shape (N, D), Source, or path, optional
            The rows; a Result has its own. Up to ``figures.MOST_DRAWN`` are drawn one by one, more are counted in
            hexagons, which have the colour of the component most frequent there.
        columns : two columns, by number or name, or View
            By default, of more than two columns, those that tell the components apart best.
        sample_weight : array-like of shape (N,), optional
            Markers have areas in proportion.
        coverage : float
            What an ellipse holds of its component.
        contours : bool
            Whether to show the density, in steps that hold 25, 50, 75 and 95 % of the rows to be expected.
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        MixtureDisplay

        Raises
        ------
        TypeError
            If there is no mixture in ``estimator``.
        ValueError
            If there is one column only, or no such column.
        """
        about = subject(estimator, X, sample_weight)
        seen = figures.view(about.model, _telling(about.model, 2) if columns is None else columns)
        return cls(*_plane(about, seen, coverage, contours)).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        ax = self._begin(ax)
        self.draw(ax)
        ax.set_xlabel(style.shown(self.view.names[0]))
        ax.set_ylabel(style.shown(self.view.names[1]))
        ax.set_title(_told(self.model, _count(self.rows)), loc="left", fontsize="medium")
        style.legend(ax, self.model)
        return self

    def draw(self, ax: Axes, size: float = 9) -> None:
        """What is inside the axes alone, with numbers of that size in points."""
        if self.surface is not None:
            style.contours(ax, self.surface)
        if isinstance(self.rows, Hexagons):
            style.paint(ax, self.rows)
        elif self.rows is not None:
            style.scatter(ax, self.view, self.rows)
        _draw_ellipses(ax, self.ellipses)
        _frame(ax, self.limits)
        _number(ax, self.model, np.array([ellipse.centre for ellipse in self.ellipses]), size)

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        x, y = self.view.names
        held, told = percent(self.ellipses[0].coverage), _told(self.model, _count(self.rows))
        return f"{told}; {y} over {x}, with an ellipse that holds {held} of each component."


def _plane(about: Subject, seen: View, coverage: float, contours: bool) -> tuple[Any, ...]:
    """The fields of a MixtureDisplay."""
    if about.model.n_features == 1:
        raise ValueError("there is one column: take DensityDisplay")
    limits = _limits(about, seen)
    surface = figures.surface(about.model, seen, limits) if contours else None
    return about.model, seen, limits, figures.ellipses(about.model, seen, coverage), surface, *_rows(about, [seen])


@dataclass(eq=False, repr=False)
class ProjectionDisplay(MixtureDisplay):
    """Rows of many columns along the two directions that show best how the components differ.

    See ``mixtura.figures.projection`` (Scrucca 2010) for how these are found; the axes name the columns that go with
    them most, with their correlations.

    Parameters
    ----------
    model, view, limits, ellipses, surface, rows
        As in MixtureDisplay.
    projection : Projection

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import ProjectionDisplay
    >>> result = mixtura.fit("examples/diabetes.csv", n_components=3, covariance="full", random_state=0)
    >>> round(ProjectionDisplay.from_estimator(result).projection.information, 2)
    0.8
    """

    projection: Projection

    size: ClassVar[tuple[float, float]] = (6.6, 5.0)

    @classmethod
    def from_estimator(  # pyright: ignore[reportIncompatibleMethodOverride] (directions are no columns)
        cls,
        estimator: Any,
        X: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        coverage: float = COVERAGE,
        contours: bool = True,
        ax: Axes | None = None,
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, fitted GaussianMixture, or Mixture
        X : array-like of shape (N, D), Source, or path, optional
            The rows; a Result has its own.
        sample_weight : array-like of shape (N,), optional
        coverage : float
            What an ellipse holds of its component.
        contours : bool
            Whether to show the density.
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        ProjectionDisplay
        """
        about = subject(estimator, X, sample_weight)
        found = figures.projection(about.model)
        return cls(*_plane(about, found.view, coverage, contours), projection=found).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        super().plot(ax)
        self.ax_.set_xlabel(self._named(0), fontsize="small")
        self.ax_.set_ylabel(self._named(1), fontsize="small")
        return self

    def _named(self, axis: int) -> str:
        """A direction, and the columns that go with it."""
        correlations, names = self.projection.correlations[:, axis], column_names(self.model)
        order = np.argsort(-np.abs(correlations), kind="stable")[:MOST_NAMED]
        most = [(style.shown(names[j]), correlations[j]) for j in order if abs(correlations[j]) >= LEAST_NAMED]
        parts = ", ".join(f"{name} {with_it:+.2f}".replace("-", "−").replace(" ", "\u00a0") for name, with_it in most)
        return "\n".join([self.view.names[axis], *textwrap.wrap(parts, LINE_LENGTH)])

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        return f"{super().description} The view tells {percent(self.projection.information)} of the components."


@dataclass(eq=False, repr=False)
class DensityDisplay(Display):
    """The density along one column, with those of the components and a histogram of the rows.

    Parameters
    ----------
    model : Mixture
    curve : Curve
    histogram : Histogram or None
    rows : Drawn or None
        Marked along the axis.
    n_rows : int or None
        How many there are.

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import DensityDisplay
    >>> result = mixtura.fit("examples/galaxies.csv", n_components=3, covariance="full", random_state=0)
    >>> display = DensityDisplay.from_estimator(result)
    >>> len(display.curve.components)
    3
    """

    model: Mixture
    curve: Curve
    histogram: Histogram | None
    rows: Drawn | None
    n_rows: int | None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        column: Column | View | None = None,
        sample_weight: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, fitted GaussianMixture, or Mixture
        X : array-like of shape (N, D), Source, or path, optional
            The rows, for the histogram; a Result has its own.
        column : column, by number or name, or View
            By default, of several columns, the one that tells the components apart best.
        sample_weight : array-like of shape (N,), optional
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        DensityDisplay
        """
        about = subject(estimator, X, sample_weight)
        model, source = about.model, about.source
        seen = figures.view(model, _telling(model, 1) if column is None else column)
        curve = figures.curve(model, seen, _limits(about, seen))
        bars = None if source is None else figures.histogram(model, source, column=seen)
        rows = figures.draw(model, source) if source is not None and source.n_rows <= MOST_RUG else None
        return cls(model, curve, bars, rows, None if source is None else source.n_rows).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        ax = self._begin(ax)
        self.draw(ax)
        ax.set_xlabel(style.shown(self.curve.view.names[0]))
        ax.set_ylabel("density")
        ax.set_title(_told(self.model, self.n_rows), loc="left", fontsize="medium")
        style.legend(ax, self.model, line=True)
        return self

    def draw(self, ax: Axes, size: float = 9) -> None:
        """What is inside the axes alone, with numbers of that size in points; none of size 0."""
        curve, bars = self.curve, self.histogram
        if bars is not None:
            ax.stairs(bars.density, bars.edges, fill=True, color=style.PALE, zorder=0.5)
        for k, part in enumerate(curve.components):
            ax.fill_between(curve.x, part, color=style.colour(k), alpha=0.15, linewidth=0, zorder=1)
            ax.plot(curve.x, part, color=style.colour(k), linewidth=1.2, zorder=2)
        if curve.noise is not None:
            ax.plot(curve.x, curve.noise, color=style.GREY, linewidth=1.2, linestyle=":", zorder=2)
        ax.plot(curve.x, curve.density, color=style.DARK, linewidth=1.6, zorder=3)
        if self.rows is not None:
            _rug(ax, curve.view, self.rows)
        ax.set_xlim(curve.x[0], curve.x[-1])
        ax.set_ylim(0, 1.1 * max(curve.density.max(), 0 if bars is None else bars.density.max()))
        if size:
            tops = np.column_stack([curve.x[curve.components.argmax(1)], curve.components.max(1)])
            _number(ax, self.model, tops, size)

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        return f"The density along {self.curve.view.names[0]} and its parts: {_told(self.model, self.n_rows)}."


def _rug(ax: Axes, seen: View, drawn: Drawn) -> None:
    """A short line at each row, at the foot of the picture, in the colour of its label."""
    places = seen.rows(drawn.rows)[:, 0]
    colours = [style.colour(int(k)) for k in drawn.labels]
    ax.vlines(places, 0, 0.03, colors=colours, linewidth=0.6, transform=ax.get_xaxis_transform(), zorder=4)


@dataclass(eq=False, repr=False)
class PairsDisplay(Display):
    """Columns two by two, with rows and ellipses, below a diagonal of densities of single columns.

    Parameters
    ----------
    model : Mixture
    columns : sequence of int
        Which columns, by number.
    parts : mapping of pairs (i, j) to MixtureDisplay, and of (i, i) to DensityDisplay
        Of the pair of the j-th column (across) and the i-th (upwards).

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import PairsDisplay
    >>> result = mixtura.fit("examples/iris.csv", n_components=2, covariance="full", random_state=0)
    >>> len(PairsDisplay.from_estimator(result).axes_)
    10
    """

    model: Mixture
    columns: Sequence[int]
    parts: Mapping[tuple[int, int], MixtureDisplay | DensityDisplay]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        columns: Iterable[Column] | None = None,
        sample_weight: ArrayLike | None = None,
        coverage: float = COVERAGE,
        ax: Axes | None = None,
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, fitted GaussianMixture, or Mixture
        X : array-like of shape (N, D), Source, or path, optional
            The rows; a Result has its own.
        columns : columns, by number or name
            By default the five that tell the components apart best.
        sample_weight : array-like of shape (N,), optional
        coverage : float
            What an ellipse holds of its component.
        ax : matplotlib.axes.Axes, optional
            Whose place is divided.

        Returns
        -------
        PairsDisplay

        Raises
        ------
        ValueError
            If there are fewer than two columns.
        """
        about = subject(estimator, X, sample_weight)
        model = about.model
        wanted = _telling(model, MOST_PAIRED) if columns is None else columns
        index = column_indices(wanted, model.n_features, model.columns).tolist()
        if len(index) < 2:
            raise ValueError("a grid of pairs takes two columns or more: for one, take DensityDisplay")
        pairs = [(i, j) for i in range(len(index)) for j in range(i)]
        views = [figures.view(model, [index[j], index[i]]) for i, j in pairs]
        parts: dict[tuple[int, int], MixtureDisplay | DensityDisplay] = {}
        for pair, seen, rows in zip(pairs, views, _rows(about, views), strict=True):
            limits = _limits(about, seen)
            surface = figures.surface(model, seen, limits, n=COARSE)
            ellipses = figures.ellipses(model, seen, coverage)
            parts[pair] = MixtureDisplay(model, seen, limits, ellipses, surface, rows)
        for i, column in enumerate(index):
            seen = figures.view(model, column)
            bars = None if about.source is None else figures.histogram(model, about.source, column=seen)
            parts[i, i] = DensityDisplay(model, figures.curve(model, seen, _limits(about, seen)), bars, None, None)
        return cls(model, index, parts).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        n = len(self.columns)
        side = min(2.0 * n + 0.8, 11.0)
        grid = self._divide(ax, n, n, (side, side), wspace=0.06, hspace=0.06)
        below: list[Axes | None] = [None] * n
        for i in range(n):
            across: Axes | None = None
            for j in range(i + 1):
                part = self._part(grid[i, j], sharex=below[j], sharey=across if j < i else None)
                crowded = i == j and self.model.n_components > style.MOST_ENTRIES
                self.parts[i, j].draw(part, 0 if crowded else SMALL)
                self._label(part, i, j)
                below[j], across = below[j] or part, across or part
        corner = self.figure_.add_subplot(grid[0, 1])
        corner.set_axis_off()
        style.legend(corner, self.model, inside=True)
        self.axes_[0].set_title(_told(self.model, self._n_rows), loc="left", fontsize="medium")
        return self

    def _label(self, part: Axes, i: int, j: int) -> None:
        """Names and numbers at the outer edges alone."""
        names = column_names(self.model)
        part.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
        part.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
        if i == len(self.columns) - 1:
            part.set_xlabel(style.shown(names[self.columns[j]]))
        else:
            part.tick_params(labelbottom=False)
        if j == 0 and i > 0:
            part.set_ylabel(style.shown(names[self.columns[i]]))
        if j == i:
            part.set_yticks([])
        elif j > 0:
            part.tick_params(labelleft=False)

    @property
    def _n_rows(self) -> int | None:
        pair = self.parts[1, 0]
        return _count(pair.rows)

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        names = ", ".join(column_names(self.model)[j] for j in self.columns)
        return f"{_told(self.model, self._n_rows)}; {names} two by two, and the density of each."


@dataclass(eq=False, repr=False)
class UncertaintyDisplay(Display):
    """Where rows may belong to another component than the one they are labelled as.

    In one or two columns the background is the darker, the less certain a row there would be; in more, the rows are
    seen along the directions of ``ProjectionDisplay``. The larger a marker, the more uncertain is its label; rows too
    many to be drawn are counted in hexagons, whose grey is the mean uncertainty.

    Parameters
    ----------
    model : Mixture
    view : View
    limits : pair of ndarray of shape (V,)
    territory : Territory or None
        In one or two columns.
    ellipses : sequence of Ellipse
        None in one column.
    rows : Drawn, Hexagons or None
    uncertainty : Uncertainty or None
        How many of all rows are how uncertain.

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import UncertaintyDisplay
    >>> result = mixtura.fit("examples/faithful.csv", n_components=3, covariance="tied", random_state=0)
    >>> display = UncertaintyDisplay.from_estimator(result)
    >>> round(display.uncertainty.mean, 3)
    0.068
    """

    model: Mixture
    view: View
    limits: Limits
    territory: Territory | None
    ellipses: Sequence[Ellipse]
    rows: Rows | None
    uncertainty: figures.Uncertainty | None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, fitted GaussianMixture, or Mixture
        X : array-like of shape (N, D), Source, or path, optional
            The rows; a Result has its own. More than two columns take rows.
        sample_weight : array-like of shape (N,), optional
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        UncertaintyDisplay

        Raises
        ------
        ValueError
            If there are more than two columns and no rows.
        """
        about = subject(estimator, X, sample_weight)
        model, source = about.model, about.source
        many = model.n_features > 2
        seen = figures.projection(model).view if many else figures.view(model)
        limits = _limits(about, seen)
        territory = None if many else figures.territory(model, limits)
        (rows,) = _rows(about, [seen]) if model.n_features > 1 else [None]
        if many and source is None:
            about.rows  # noqa: B018 (says that there are none)
        counted = None if source is None else figures.uncertainty(model, source)
        ellipses = figures.ellipses(model, seen) if model.n_features > 1 else ()
        return cls(model, seen, limits, territory, ellipses, rows, counted).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        ax = self._begin(ax)
        if len(self.view.names) == 1:
            self._draw_line(ax)
        else:
            self._draw_plane(ax)
        ax.set_xlabel(style.shown(self.view.names[0]))
        ax.set_title(self._headline, loc="left", fontsize="medium")
        return self

    @property
    def _headline(self) -> str:
        told = _told(self.model, None)
        return (
            told if self.uncertainty is None else f"{told}: {percent(self.uncertainty.mean)} of labels expected wrong"
        )

    @property
    def _most(self) -> float:
        """The largest uncertainty that there can be."""
        kinds = self.model.n_components + (self.model.noise is not None)
        return 1 - 1 / kinds if kinds > 1 else 1.0

    def _draw_plane(self, ax: Axes) -> None:
        scale = ScalarMappable(norm := Normalize(0, self._most), style.UNCERTAIN)
        if self.territory is not None:
            where = self.territory
            look: dict[str, Any] = {"cmap": style.UNCERTAIN, "shading": "gouraud", "rasterized": True, "zorder": 0.5}
            ax.pcolormesh(where.x, where.y, where.uncertainty, norm=norm, **look)
        if isinstance(self.rows, Hexagons):
            style.paint(ax, self.rows, scale.to_rgba(self.rows.uncertainty))
        elif self.rows is not None:
            times = LEAST_AREA + (LARGEST_AREA - LEAST_AREA) * self.rows.uncertainty / self._most
            style.scatter(ax, self.view, self.rows, times=times)
        for ellipse in self.ellipses:
            ax.plot(*ellipse.outline().T, color=style.colour(ellipse.component), linewidth=0.8, zorder=3)
        ax.set_ylabel(style.shown(self.view.names[1]))
        _frame(ax, self.limits)
        _number(ax, self.model, self.view.rows(self.model.means))
        if self.territory is not None or isinstance(self.rows, Hexagons):
            bar = self.figure_.colorbar(scale, ax=ax, label="uncertainty: P(label is wrong)", fraction=0.05, pad=0.02)
            self.axes_.append(bar.ax)

    def _draw_line(self, ax: Axes) -> None:
        where = self.territory
        if where is None:
            return
        ax.fill_between(where.x, where.uncertainty, color=style.GREY, alpha=0.35, linewidth=0)
        ax.plot(where.x, where.uncertainty, color=style.DARK, linewidth=1.4)
        edges = np.concatenate([[where.x[0]], (where.x[1:] + where.x[:-1]) / 2, [where.x[-1]]])
        strip = np.array([[to_rgb(style.colour(int(k))) for k in where.labels]])
        foot = -0.06 * self._most
        ax.pcolormesh(edges, [foot, 0.0], strip)
        (left,), (right,) = self.limits
        ax.set_xlim(left, right)
        ax.set_ylim(foot, 1.05 * self._most)
        ax.set_ylabel("uncertainty: P(label is wrong)")
        style.legend(ax, self.model, line=True)

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        return f"How uncertain labels are, along {' and '.join(self.view.names)}; {self._headline}."
