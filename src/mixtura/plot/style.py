"""How pictures look: colours, markers, labels that do not cover each other, rows in any number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from mixtura.core.mixture import NOISE, Mixture
from mixtura.core.statistics import Array
from mixtura.figures import Drawn, Hexagons, Surface, View
from mixtura.text import harmless, percent

#: Okabe & Ito's colours, which people with any kind of colour vision tell apart (Wong, Nature Methods 8 (2011), 441),
#: without black and the yellow that hardly shows on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
#: With six colours and seven markers, 42 components look different.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY, DARK, PALE = "#6E6E6E", "#333333", "#DDDDDD"
#: How uncertain: from white to dark.
UNCERTAIN = "Greys"
#: Shares, and what may be above or below zero.
SHARES, SIGNED = "Blues", "PuOr_r"
#: The most entries in a legend.
MOST_ENTRIES = 15
#: From so many rows on, markers are drawn as pixels in vector formats too.
RASTERISED_FROM = 2_000
#: Area of a marker in square points, of few rows and of many, how many are many, and the largest multiple that a
#: row's weight makes of it.
MARKER_AREA, SMALL_AREA, MANY_ROWS, MOST_TIMES = 18.0, 5.0, 5_000, 25.0
#: The longest name of a column on an axis.
NAME_LENGTH = 28


def colour(k: int) -> str:
    """The colour of a component; grey for noise."""
    return GREY if k == NOISE else COLOURS[k % len(COLOURS)]


def marker(k: int) -> str:
    """The marker of a component; a cross for noise."""
    return "x" if k == NOISE else MARKERS[k % len(MARKERS)]


def shown(name: str) -> str:
    """A name from data as it may stand in a picture: no longer than there is room for, no formula."""
    name = harmless(name)
    short = name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
    return short.replace("$", r"\$")


def label(k: int) -> str:
    """What a component is called."""
    return "noise" if k == NOISE else str(k)


def weights(model: Mixture) -> list[tuple[int, float]]:
    """Every component with its weight, noise last."""
    noise = [] if model.noise is None else [(NOISE, model.noise.weight)]
    return [*enumerate(model.weights.tolist()), *noise]


def legend(ax: Axes, model: Mixture, *, line: bool = False, inside: bool = False) -> None:
    """The components and their weights, right of the axes or inside; none where there are too many to read."""
    parts = weights(model)
    if len(parts) > MOST_ENTRIES:
        return
    handles = [
        Line2D(
            [], [],
            color=colour(k), linestyle="-" if line else "", marker=None if line else marker(k),
            label=f"{label(k)}  {percent(weight)}",
        )
        for k, weight in parts
    ]  # fmt: skip
    beside(ax, handles, "component, weight", inside=inside)


def beside(ax: Axes, handles: Sequence[Artist], title: str | None = None, *, inside: bool = False) -> None:
    """A legend right of the axes, where it covers nothing, or in their upper left corner."""
    found = ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0 if inside else 1.01, 1.0),
        borderaxespad=0.0,
        frameon=False,
        fontsize="small",
        title=title,
        title_fontsize="small",
        alignment="left",
    )
    found.set_zorder(6)


def scatter(ax: Axes, seen: View, drawn: Drawn, times: Array | None = None) -> None:
    """Rows, each with the colour and marker of its label.

    Markers have areas in proportion to the weights of the rows, or those times the usual one.
    """
    places = seen.rows(drawn.rows)
    many = len(places) > MANY_ROWS
    area = np.minimum(drawn.weights / drawn.weights.mean(), MOST_TIMES) if times is None else times
    area = (SMALL_AREA if many else MARKER_AREA) * area
    for k in (int(k) for k in np.unique(drawn.labels)):
        mine = drawn.labels == k
        ax.scatter(
            *places[mine].T,
            s=area[mine],
            c=colour(k),
            marker=marker(k),
            linewidths=0.8 if k == NOISE else 0,
            alpha=0.5 if many else 0.75,
            rasterized=len(places) > RASTERISED_FROM,
            zorder=1.5 if k == NOISE else 2,
        )


def contours(ax: Axes, surface: Surface) -> None:
    """The steps of a density in pale greys, each with an edge."""
    levels = [*surface.levels, max(surface.density.max(), surface.levels[-1]) * (1 + 1e-9)]
    distinct = np.flatnonzero(np.diff(levels) > 0)
    if not len(distinct):
        return
    levels = [levels[i] for i in (*distinct, len(levels) - 1)]
    greys = [str(shade) for shade in np.linspace(0.95, 0.82, len(levels) - 1)]
    ax.contourf(surface.x, surface.y, surface.density, levels=levels, colors=greys, zorder=0.5)
    ax.contour(surface.x, surface.y, surface.density, levels=levels[:-1], colors="white", linewidths=0.6, zorder=0.6)


def paint(ax: Axes, hexagons: Hexagons, faces: Any = None) -> None:
    """Hexagons in given colours, or those of their labels, the darker the more rows they hold (in powers of ten)."""
    if faces is None:
        strength = np.log1p(hexagons.weights / hexagons.weights.min())
        alpha = 0.12 + 0.88 * strength / strength.max()
        faces = [to_rgba(colour(int(k)), float(a)) for k, a in zip(hexagons.labels, alpha, strict=True)]
    shapes = hexagons.centres[:, None] + hexagons.outline
    found = PolyCollection(list(shapes), facecolors=faces, edgecolors="none", zorder=1.5, rasterized=True)
    ax.add_collection(found)


def cell(ax: Axes, x: float, y: float, text: str, *, light: bool) -> None:
    """A number in a cell, light where the cell is dark."""
    ax.text(x, y, text, ha="center", va="center", fontsize="x-small", color="white" if light else DARK)


class Numbers(Artist):
    """Labels at places, moved aside as far as it takes for none to cover another; a thin line leads to the place.

    They are placed whenever the picture is drawn, at its size then. One for which there is no room is left out.
    ``aside`` never covers the place itself.
    """

    def __init__(self, ax: Axes, places: Array, texts: Iterable[str], size: float = 9, *, aside: bool = False) -> None:
        super().__init__()
        self.set_zorder(5)
        self.set_in_layout(False)
        halo = [withStroke(linewidth=2.5, foreground="white")]
        self.places, self.aside = places, aside
        self.texts = [
            Text(text=text, color=DARK, fontsize=size, fontweight="bold", ha="center", va="center", path_effects=halo)
            for text in texts
        ]
        ax.add_artist(self)
        for text in self.texts:
            text.set_figure(ax.figure)
        self.axes = ax

    def get_children(self) -> list[Artist]:
        """The labels."""
        return [*self.texts]

    def draw(self, renderer: RendererBase) -> None:
        """Place the labels and draw them."""
        if self.axes is None or not self.get_visible():
            return
        frame, taken = self.axes.get_window_extent(renderer), list[Bbox]()
        for text, place in zip(self.texts, self.axes.transData.transform(self.places), strict=True):
            text.set_position((0, 0))
            box = text.get_window_extent(renderer)
            boxes = islice(_around(box, place), int(self.aside), None)
            free = next((b for b in boxes if _free(b, frame, taken)), None)
            text.set_visible(free is not None and bool(frame.contains(*place)))
            if free is None or not text.get_visible():
                continue
            taken.append(free)
            centre = (free.x0 + free.width / 2, free.y0 + free.height / 2)
            if np.hypot(*(centre - place)) > 1.5 * box.height:
                line = Line2D(*zip(place, centre, strict=True), color=GREY, linewidth=0.6)
                line.set_figure(self.axes.figure)
                line.draw(renderer)
            text.set_position(centre)
            text.draw(renderer)


def _around(box: Bbox, place: Array) -> Iterator[Bbox]:
    """A box about a place, and then further and further away from it."""
    yield Bbox.from_bounds(place[0] - box.width / 2, place[1] - box.height / 2, box.width, box.height)
    for ring in range(1, 9):
        for turn in np.arange(8 * ring) * 2 * np.pi / (8 * ring):
            x, y = place + ring * box.height * np.array([np.cos(turn), np.sin(turn)])
            yield Bbox.from_bounds(x - box.width / 2, y - box.height / 2, box.width, box.height)


def _free(box: Bbox, frame: Bbox, taken: Sequence[Bbox]) -> bool:
    inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    return inside and box.count_overlaps(taken) == 0
