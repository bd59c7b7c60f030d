"""What all displays share: what they take, where they draw, how they show themselves."""

from __future__ import annotations

import base64
import html
import io
from os import PathLike
from typing import Any, ClassVar, NamedTuple, Self

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec
from numpy.typing import ArrayLike

from mixtura.core.arguments import as_source
from mixtura.core.mixture import Mixture
from mixtura.fitted import mixture_of
from mixtura.result import Result
from mixtura.sources.files import read_table
from mixtura.sources.source import Source

#: Dots per inch of a picture that a notebook shows.
DPI = 110


class Subject(NamedTuple):
    """What a picture is of.

    Attributes
    ----------
    model : Mixture
    source : Source or None
        The rows, if there are any.
    """

    model: Mixture
    source: Source | None

    @property
    def rows(self) -> Source:
        """The rows, which this picture cannot do without."""
        if self.source is None:
            raise ValueError("this picture needs the rows: pass them as X, or pass the Result of mixtura.fit")
        return self.source


def subject(estimator: Any, X: Any = None, sample_weight: ArrayLike | None = None) -> Subject:
    """The mixture and the rows: those given, or those that a Result was fitted to."""
    model = mixture_of(estimator)
    if X is not None:
        rows = read_table(X, columns=model.columns).rows if isinstance(X, str | PathLike) else X
        return Subject(model, as_source(rows, model.n_features, model.columns, sample_weight))
    if sample_weight is not None:
        raise ValueError("sample_weight goes with rows: pass these as X")
    return Subject(model, estimator.survey.source if isinstance(estimator, Result) else None)


class Display:
    """A picture.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What it was drawn in. Of pictures with several parts, the place that they share.
    axes_ : list of matplotlib.axes.Axes
        All its parts.
    figure_ : matplotlib.figure.Figure
    """

    ax_: Axes
    axes_: list[Axes]
    figure_: Figure

    #: Width and height in inches of a figure of its own.
    size: ClassVar[tuple[float, float]] = (6.4, 4.6)
    _own: bool = False

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; on axes of its own if none are given.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        self
        """
        raise NotImplementedError

    @property
    def description(self) -> str:
        """The picture in a sentence, for those who cannot see it."""
        raise NotImplementedError

    def _begin(self, ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
        self._own = ax is None
        if ax is None:
            ax = Figure(figsize=size or self.size, layout="constrained").add_subplot()
        figure = ax.get_figure(root=True)
        if figure is None:
            raise ValueError("these axes were removed from their figure")
        self.ax_, self.axes_, self.figure_ = ax, [ax], figure
        return ax

    def _divide(
        self, ax: Axes | None, n_rows: int, n_columns: int, size: tuple[float, float] | None = None, **ratios: Any
    ) -> Any:
        """The place of axes, given or new, as a grid for parts."""
        whole = self._begin(ax, size)
        spec = whole.get_subplotspec()
        if spec is None:
            raise ValueError("this picture has several parts: give it axes of a grid, as subplots makes them")
        whole.set_axis_off()
        self.axes_ = []
        return GridSpecFromSubplotSpec(n_rows, n_columns, subplot_spec=spec, **ratios)

    def _part(self, place: Any, **shared: Any) -> Axes:
        part = self.figure_.add_subplot(place, **shared)
        self.axes_.append(part)
        return part

    def _repr_html_(self) -> str | None:
        if not self._own:
            return None  # whoever made the axes shows them
        with io.BytesIO() as file:
            self.figure_.savefig(file, format="png", dpi=DPI)
            picture = base64.b64encode(file.getvalue()).decode()
        width = round(DPI * self.figure_.get_figwidth())
        told = html.escape(self.description, quote=True)
        return f'<img src="data:image/png;base64,{picture}" alt="{told}" style="max-width:100%;width:{width}px">'
