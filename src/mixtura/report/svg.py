"""Drawings as SVG text: scales with ticks, and marks placed by them. It knows shapes, not statistics.

A drawing takes its colours from the style sheet of the page (``c0``, ``c1``, … are the classes of the components), so
that it is right in light and in dark; whatever text it is given is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

from mixtura.text import harmless

Floats = NDArray[np.float64]

#: Colours in the style sheet; components beyond them begin again, with the next marker.
COLOURS = 8
#: Width of a digit, and the least distance between labels, at the size of text in a drawing.
DIGIT = 7.6
LABEL_GAP = 14.0
#: A drawing is enlarged by no more than this; where the page is narrow, one that is wider than so much has larger text.
ENLARGED = 1.2
WIDE = 480.0
#: Room around the plotting area: above, to the right, below, and to the left beside the labels of the ticks.
MARGIN = (14.0, 14.0, 46.0, 38.0)
#: The longest label of a tick; where they would be longer, what they have in common goes into the name of the axis.
LONGEST_LABEL = 8
#: Numbers of this size and more are written with a power of ten, and so many digits.
MOST_DIGITS, DIGITS = 1e15, 12
#: Room for a letter in the name of an axis.
LETTER = 7.2


class Ticks(NamedTuple):
    """Where the ticks of an axis are, what stands there, and what was taken off all of them."""

    at: Floats
    labels: list[str]
    offset: str = ""


def ticks(low: float, high: float, most: int = 6) -> Ticks:
    """Round numbers from low to high: multiples of 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> ticks(0.3, 2.1).labels
    ['0.5', '1.0', '1.5', '2.0']
    >>> ticks(100000000.2, 100000000.6).offset
    '100,000,000.0'
    """
    step = _step((high - low) / most)
    at = step * np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1, dtype=np.float64)
    labels = _labels(at, step)
    if max(map(len, labels), default=0) <= LONGEST_LABEL:
        return Ticks(at, labels)
    base = _step(high - low) * math.floor(low / _step(high - low))
    if abs(base) < high - low:  # they have nothing in common
        return Ticks(at, labels)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    said = f"{base:,.{places}f}" if abs(base) < MOST_DIGITS and places < 6 else f"{base:.{DIGITS}g}"
    return Ticks(at, _labels(at - base, step), said.replace("-", "−"))


def _step(least: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(least))
    return power * next(f for f in (1, 2, 5, 10) if f * power >= least * (1 - 1e-9))


def _labels(values: Floats, step: float) -> list[str]:
    """Numbers to the digits that tell neighbours apart."""
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    largest = float(np.abs(values).max(initial=0))
    if places > 5 or largest >= 1e7:
        digits = max(0, math.floor(math.log10(max(largest, step))) + places)
        return ["0" if abs(v) < step / 2 else _short(f"{v:.{min(digits, 15)}e}") for v in values]
    return [f"{v if abs(v) > step / 2 else 0:,.{places}f}".replace("-", "−") for v in values]


def _short(number: str) -> str:
    mantissa, power = number.split("e")
    return f"{mantissa}e{int(power)}".replace("-", "−")


def decades(low: float, high: float, most: int = 6) -> Ticks:
    """Powers of ten from low to high, which are logarithms to base ten."""
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    at = np.arange(first, last + 1, max(1, -(-(last - first + 1) // most)), dtype=np.float64)
    return Ticks(at, [f"10{str(int(power)).translate(_SUPERSCRIPT)}" for power in at])


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def padded(values: ArrayLike, share: float = 0.04) -> tuple[float, float]:
    """The range of the finite values and a little more; never of no width."""
    finite = np.asarray(values, dtype=np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = share * (high - low) or 0.5 * abs(low) or 0.5
    return low - room, high + room


@dataclass(frozen=True)
class Scale:
    """A straight map from numbers (low to high) to pixels (start to end)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, values: ArrayLike) -> Floats:
        """The pixels."""
        share = (np.asarray(values, dtype=np.float64) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@dataclass
class Frame:
    """A plotting area with two axes, and the marks in it.

    Parameters
    ----------
    x, y : (float, float)
        The numbers at the ends of the axes.
    width, height : float
        Of the drawing, in its own units: as many pixels where it is not scaled.
    x_name, y_name : str
        The names of the axes.
    x_ticks, y_ticks : Ticks, optional
        By default round numbers; ``Ticks([], [])`` for none.
    margin : (float, float, float, float)
        Above, right, below, left.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 440.0
    height: float = 300.0
    x_name: str = ""
    y_name: str = ""
    x_ticks: Ticks | None = None
    y_ticks: Ticks | None = None
    margin: tuple[float, float, float, float] = MARGIN
    marks: list[str] = field(default_factory=list[str], init=False)
    outside: list[str] = field(default_factory=list[str], init=False)

    def __post_init__(self) -> None:
        top, right, bottom, left = self.margin
        self.at_y = self.y_ticks or ticks(*self.y, most=max(2, int(self.height / 60)))
        self.left = left + DIGIT * max(map(len, self.at_y.labels), default=0) if self.at_y.labels else left
        self.right, self.top, self.bottom = self.width - right, top, self.height - bottom
        self.across = Scale(*self.x, self.left, self.right)
        self.down = Scale(*self.y, self.bottom, self.top)
        self.at_x = self.x_ticks or _fitting(self.x, self.right - self.left)

    # Marks

    def dots(self, x: ArrayLike, y: ArrayLike, kind: str) -> None:
        """Round dots, those on one spot drawn once; how wide and how dark they are, the style sheet says."""
        spots = np.unique(np.round(self._pixels(x, y), 1), axis=0)
        if len(spots):
            path = "".join(f"M{a:.6g} {b:.6g}h0" for a, b in spots.tolist())
            self.marks.append(f'<path class="{kind}" d="{path}"/>')

    def markers(self, x: ArrayLike, y: ArrayLike, shape: int, kind: str, size: float = 3.0) -> None:
        """Markers of one shape."""
        path = "".join(marker(shape, a, b, size) for a, b in self._pixels(x, y).tolist())
        if path:
            self.marks.append(f'<path class="{kind}" d="{path}"/>')

    def shapes(self, centres: Floats, corners: Floats, kind: str) -> None:
        """One polygon about many centres."""
        if len(centres):
            size = [self.across(1) - self.across(0), self.down(1) - self.down(0)]
            first, *others = np.diff(corners * size, axis=0, prepend=0.0).tolist()
            outline = "".join(f"l{a:.4g},{b:.4g}" for a, b in others)
            spots = (self._pixels(*centres.T) + first).tolist()
            path = "".join(f"M{a:.1f} {b:.1f}{outline}z" for a, b in spots)
            self.marks.append(f'<path class="{kind}" d="{path}"/>')

    def line(self, x: ArrayLike, y: ArrayLike, kind: str, *, closed: bool = False) -> None:
        """A line through points; it breaks where one is not finite."""
        path = _path(self._pixels(x, y), closed=closed)
        if path:
            self.marks.append(f'<path class="{kind}" d="{path}"/>')

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str) -> None:
        """The area between two lines."""
        there, back = np.asarray(x, dtype=np.float64), np.asarray(x, dtype=np.float64)[::-1]
        self.line(
            np.concatenate([there, back]),
            np.concatenate([np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)[::-1]]),
            kind,
            closed=True,
        )

    def ellipse(self, centre: Floats, turn: Floats, kind: str) -> None:
        """The points centre + turn (cos t, sin t)."""
        scale = np.diag([self.across(1) - self.across(0), self.down(1) - self.down(0)])
        axes, (long, short), _ = np.linalg.svd(scale @ turn)
        x, y = self._pixels([centre[0]], [centre[1]])[0].tolist()
        angle = math.degrees(math.atan2(axes[1, 0], axes[0, 0]))
        place = f'cx="{x:.1f}" cy="{y:.1f}" rx="{long:.1f}" ry="{max(short, 0.1):.1f}"'
        self.marks.append(f'<ellipse class="{kind}" {place} transform="rotate({angle:.1f} {x:.1f} {y:.1f})"/>')

    def box(self, x: tuple[float, float], y: tuple[float, float], kind: str, title: str = "") -> None:
        """A rectangle between two pairs of numbers."""
        (left, right), (bottom, top) = self.across(x).tolist(), self.down(y).tolist()
        left, right, bottom, top = *sorted((left, right)), *sorted((bottom, top), reverse=True)
        said = f"<title>{shown(title)}</title>" if title else ""
        shape = f'x="{left:.6g}" y="{top:.6g}" width="{right - left:.6g}" height="{bottom - top:.6g}"'
        self.marks.append(f'<rect class="{kind}" {shape}>{said}</rect>' if said else f'<rect class="{kind}" {shape}/>')

    def label(self, x: float, y: float, text: str, kind: str = "label", shift: tuple[float, float] = (0, 0)) -> None:
        """A text at a point."""
        (a, b) = (self._pixels([x], [y])[0] + shift).tolist()
        self.marks.append(f'<text class="{kind}" x="{a:.6g}" y="{b:.6g}">{shown(text)}</text>')

    def beside(self, y: float, text: str) -> None:
        """A text to the right of the plotting area."""
        height = float(self.down(y))
        self.outside.append(f'<text class="tick y" x="{self.width - 6:.6g}" y="{height + 4:.6g}">{shown(text)}</text>')

    def _pixels(self, x: ArrayLike, y: ArrayLike) -> Floats:
        return np.column_stack([self.across(x), self.down(y)])

    # All of it

    def drawn(self, name: str, title: str, description: str) -> Markup:
        """The drawing; ``name`` must be one of its own in the page."""
        body = f"{self._axes()}{self.inside(name)}{''.join(self.outside)}"
        return drawing((self.width, self.height), body, name, title, description)

    def inside(self, name: str) -> str:
        """The plotting area alone."""
        x, y, width, height = (
            f"{v:.6g}" for v in (self.left, self.top, self.right - self.left, self.bottom - self.top)
        )
        area = f'x="{x}" y="{y}" width="{width}" height="{height}"'
        return (
            f'<clipPath id="{name}-area"><rect {area}/></clipPath><rect class="frame" {area}/>'
            f'<g clip-path="url(#{name}-area)">{"".join(self.marks)}</g>'
        )

    def _axes(self) -> str:
        parts: list[str] = []
        for a, text in zip(self.across(self.at_x.at).tolist(), self.at_x.labels, strict=True):
            parts.append(f'<path class="grid" d="M{a:.6g} {self.top:.6g}V{self.bottom:.6g}"/>')
            parts.append(f'<text class="tick" x="{a:.6g}" y="{self.bottom + 17:.6g}">{shown(text)}</text>')
        for b, text in zip(self.down(self.at_y.at).tolist(), self.at_y.labels, strict=True):
            parts.append(f'<path class="grid" d="M{self.left:.6g} {b:.6g}H{self.right:.6g}"/>')
            parts.append(f'<text class="tick y" x="{self.left - 7:.6g}" y="{b + 4:.6g}">{shown(text)}</text>')
        middle_x, middle_y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        below = self.height - 8 if self.margin[2] > 30 else self.height - 2
        if self.x_name:
            place = f'x="{middle_x:.6g}" y="{below:.6g}"'
            parts.append(_named(self.x_name, self.at_x.offset, place, self.right - self.left))
        if self.y_name:
            turn = f'transform="translate(14 {middle_y:.6g}) rotate(-90)"'
            parts.append(_named(self.y_name, self.at_y.offset, turn, self.bottom - self.top))
        return "".join(parts)


def drawing(size: tuple[float, float], body: str, name: str, title: str, description: str) -> Markup:
    """An SVG element with its title and description; ``size`` is its width and height."""
    width, height = size
    return Markup(  # noqa: S704 (what comes from outside was escaped where it came in)
        f'<svg class="drawing{" wide" * (width > WIDE)}" id="{name}" viewBox="0 0 {width:.6g} {height:.6g}" role="img" '
        f'style="max-width:{ENLARGED * width:.6g}px" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{shown(title)}</title><desc id="{name}-desc">{shown(description)}</desc>'
        f"{body}</svg>"
    )


def shown(text: str) -> Markup:
    """Text that does nothing but stand there."""
    return escape(harmless(text))


def cut(text: str, most: int) -> str:
    """A text of at most so many characters."""
    text = harmless(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def colour(k: int) -> str:
    """The class of component k."""
    return f"c{k % COLOURS}"


def marker(shape: int, x: float, y: float, size: float) -> str:
    """The path of a marker: a circle, square, triangle, diamond or triangle that points down; −1 is a cross."""
    r = size
    if shape < 0:
        return f"M{x - r:.5g},{y - r:.5g}l{2 * r:.3g},{2 * r:.3g}m0,{-2 * r:.3g}l{-2 * r:.3g},{2 * r:.3g}"
    paths = (
        f"m{-r:.3g},0a{r:.3g},{r:.3g} 0 1,0 {2 * r:.3g},0a{r:.3g},{r:.3g} 0 1,0 {-2 * r:.3g},0z",
        f"m{-0.88 * r:.3g},{-0.88 * r:.3g}h{1.76 * r:.3g}v{1.76 * r:.3g}h{-1.76 * r:.3g}z",
        f"m0,{-1.2 * r:.3g}l{1.1 * r:.3g},{1.9 * r:.3g}h{-2.2 * r:.3g}z",
        f"m0,{-1.3 * r:.3g}l{1.2 * r:.3g},{1.3 * r:.3g}l{-1.2 * r:.3g},{1.3 * r:.3g}l{-1.2 * r:.3g},{-1.3 * r:.3g}z",
        f"m0,{1.2 * r:.3g}l{1.1 * r:.3g},{-1.9 * r:.3g}h{-2.2 * r:.3g}z",
    )
    return f"M{x:.5g},{y:.5g}{paths[shape % len(paths)]}"


def _named(name: str, offset: str, place: str, room: float) -> str:
    rest = f" + {offset[1:]}" if offset.startswith("−") else f" − {offset}" if offset else ""
    most = max(4, int(room / LETTER) - len(rest))
    return f'<text class="axis" {place}>{shown(cut(name, most))}{shown(rest)}</text>'


def _fitting(span: tuple[float, float], room: float) -> Ticks:
    """As many ticks as have room for their labels."""
    proposals = (ticks(*span, most=most) for most in range(8, 2, -1))
    fits = (found for found in proposals if sum(DIGIT * len(text) + LABEL_GAP for text in found.labels) <= room)
    return next(fits, ticks(*span, most=2))


def _path(points: Floats, *, closed: bool = False) -> str:
    """Straight lines from point to point."""
    parts: list[str] = []
    broken = True
    for a, b in points.tolist():
        finite = math.isfinite(a) and math.isfinite(b)
        if finite:
            parts.append(f"{'M' if broken else 'L'}{a:.1f} {b:.1f}")
        broken = not finite
    return "".join(parts) + ("z" if closed and parts else "")


def legend(entries: Iterable[tuple[str, str, str]]) -> Markup:
    """What marks stand for: triples of their class, that, and their path (a stroke where it is empty)."""
    items = "".join(
        f'<li><svg class="drawing swatch" viewBox="0 0 18 12" aria-hidden="true"><path class="{kind}" '
        f'd="{path or "M1 6H17"}"/></svg>{shown(text)}</li>'
        for kind, text, path in entries
    )
    return Markup(f'<ul class="legend">{items}</ul>')  # noqa: S704 (escaped above)
