"""The pictures of a report: numbers of mixtura.figures in frames of mixtura.report.svg."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.stats import chi2

from mixtura import figures
from mixtura.core.mixture import NOISE, Mixture
from mixtura.core.statistics import Array
from mixtura.figures import View
from mixtura.report.pictures import Pictures
from mixtura.report.svg import COLOURS, Frame, Ticks, colour, cut, decades, drawing, legend, marker, padded, shown
from mixtura.summary import column_names
from mixtura.text import counted, in_words, number, percent

#: Up to so many rows are drawn as markers, whose shapes tell components apart without their colours.
MOST_MARKERS = 1500
#: Rows in each panel of the picture of all pairs.
PANEL_ROWS = 600
#: What the ellipses hold; the inner one is left out where there are more components than can be followed.
OUTER, INNER = 0.95, 0.5
FOLLOWED = 10
#: A climb of fewer steps is not drawn.
FEWEST_STEPS = 3
#: A density this small beside the largest lies on the axis.
SEEN = 2e-3
#: Steps of darkness of hexagons.
SHADES = 6
#: Columns in the profile of the components.
PROFILE_COLUMNS = 12
#: Components whose profiles are drawn as ranges; those of more are shades.
PROFILE_RANGES = 8
#: Rows of at least this uncertainty are marked.
UNCERTAIN = (0.1, 0.3)
#: Pictures of uncertainty are shown where this many of a hundred rows are more than nearly certain.
LEAST_UNCERTAIN = 0.2


class Chart(NamedTuple):
    """A drawing, what its marks stand for, and what there is to see."""

    drawing: Markup
    caption: str
    legend: Markup = Markup("")


# Rows and ellipses


def pair(pictures: Pictures) -> Chart:
    """The rows and the components in the two most telling columns, or the density of the only one."""
    if len(pictures.pair) == 1:
        return _density(pictures)
    names = [column_names(pictures.model)[j] for j in pictures.pair]
    return _scatter(pictures, figures.view(pictures.model, pictures.pair), "pair", f"{names[0]} and {names[1]}")


def projection(pictures: Pictures) -> Chart | None:
    """The rows from where the components differ most."""
    found = pictures.projection
    if found is None:
        return None
    chart = _scatter(pictures, found.view, "projection", "the two directions in which the components differ most")
    names = column_names(pictures.model)
    parts: list[str] = []
    for v in range(len(found.view.names)):
        strongest = np.argsort(-np.abs(found.correlations[:, v]), kind="stable")[:3]
        with_signs = [f"{cut(names[j], 40)} ({found.correlations[j, v]:+.2f})".replace("-", "−") for j in strongest]
        parts.append(f"Direction {v + 1} goes with {in_words(with_signs)}")
    share = f"They tell {percent(found.information)} of what is not known of the component of a row. "
    return chart._replace(
        caption=f"{share}{'. '.join(parts)} (correlations). {chart.caption}",
    )


def _scatter(pictures: Pictures, seen: View, name: str, what: str) -> Chart:
    model, drawn = pictures.model, pictures.drawn
    rows = seen.rows(drawn.rows)
    hexagons = pictures.hexagons.get(name)
    parts, alive = seen.mixture(model), model.weights > 0
    deviations = np.sqrt(np.square(parts.cholesky).sum(2))
    corners = limits(parts.means[alive], deviations[alive], rows if hexagons is None else hexagons.centres)
    x, y = padded(corners[:, 0]), padded(corners[:, 1])
    frame = Frame(x, y, 560, 400, seen.names[0], seen.names[1])
    if hexagons is not None:
        _hexagons(frame, hexagons)
        told = f"Each hexagon is shaded by how many of the {counted(drawn.n_rows, 'row')} lie in it"
    else:
        _rows(frame, rows, drawn.labels, model.n_components)
        told = f"{marks(pictures)}, coloured by its most probable component"
    _ellipses(frame, model, seen)
    inner = " and half" if model.n_components <= FOLLOWED else ""
    caption = f"{told}. The ellipses hold {percent(OUTER)}{inner} of each component; its number stands at its mean."
    description = (
        f"{counted(drawn.n_rows, 'row')} in {what}, with {counted(model.n_components, 'component')}. {caption}"
    )
    return Chart(frame.drawn(name, f"Rows and components in {what}", description), caption, _key(model, drawn.labels))


def marks(pictures: Pictures) -> str:
    """What the marks of rows are."""
    drawn = pictures.drawn
    if drawn.complete:
        return (
            "Each mark is a row" if len(drawn.rows) == drawn.n_rows else "Each mark is a row or several that are equal"
        )
    return f"Each mark is a row, {len(drawn.rows):,} of {drawn.n_rows:,} drawn"


def limits(means: Array, deviations: Array, rows: Array) -> Array:
    """The corners of what rows and the outer ellipses of components take up, (2, V)."""
    reach = np.sqrt(chi2.ppf(OUTER, 2)) * deviations
    return np.stack([np.vstack([rows, means - reach]).min(0), np.vstack([rows, means + reach]).max(0)])


def _rows(frame: Frame, rows: Array, labels: NDArray[np.intp], n_components: int) -> None:
    """Rows as markers, or as dots where they are many."""
    for k in [NOISE, *range(n_components)]:
        mine = rows[labels == k]
        kind = "noise" if k == NOISE else colour(k)
        if len(rows) <= MOST_MARKERS:
            frame.markers(mine[:, 0], mine[:, 1], -1 if k == NOISE else k % COLOURS, f"shape {kind}", _size(len(rows)))
        else:
            frame.dots(mine[:, 0], mine[:, 1], f"dots {kind}")


def _size(n_rows: int) -> float:
    """Of a marker: smaller where there are many."""
    return float(np.clip(3.6 - 0.55 * np.log10(max(n_rows, 1) / 50), 2.2, 4.0))


def _hexagons(frame: Frame, hexagons: figures.Hexagons) -> None:
    """Hexagons in a few shades of the colour of most of their rows."""
    weight = np.log1p(hexagons.weights / hexagons.weights.min())
    shade = np.clip((SHADES * weight / weight.max()).astype(int), 0, SHADES - 1)
    corners = hexagons.outline
    for label in np.unique(hexagons.labels):
        for step in range(SHADES):
            centres = hexagons.centres[(hexagons.labels == label) & (shade == step)]
            frame.shapes(centres, corners, f"hex s{step} {'noise' if label == NOISE else colour(int(label))}")


def _ellipses(frame: Frame, model: Mixture, seen: View, *, labels: bool = True) -> None:
    alive = [k for k in range(model.n_components) if model.weights[k] > 0]
    few = len(alive) <= FOLLOWED
    outer, inner = (figures.ellipses(model, seen, share) for share in (OUTER, INNER))
    for k in alive:
        frame.ellipse(outer[k].centre, _turn(outer[k]), "halo")
        frame.ellipse(outer[k].centre, _turn(outer[k]), f"ring {colour(k)}")
    for k in alive if few else ():
        frame.ellipse(inner[k].centre, _turn(inner[k]), f"ring inner {colour(k)}")
    if labels:
        for k in alive:
            x, y = outer[k].centre.tolist()
            frame.label(x, y, str(k), "label" if few else "label small")


def _turn(ellipse: figures.Ellipse) -> Array:
    """The axes of an ellipse, as the columns of a matrix."""
    cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
    return np.array([[cos, -sin], [sin, cos]]) * ellipse.axes


def _key(model: Mixture, labels: NDArray[np.intp]) -> Markup:
    """The legend of components, unless there are more than can be followed."""
    if model.n_components > 2 * FOLLOWED:
        return Markup("")
    entries = [(colour(k), _share(k, float(model.weights[k])), k % COLOURS) for k in range(model.n_components)]
    if model.noise is not None or (labels == NOISE).any():
        entries.append(("noise", "noise", -1))
    return legend((f"shape {kind}", text, marker(shape, 9, 6, 4)) for kind, text, shape in entries)


def _share(k: int, weight: float) -> str:
    return f"component {k}, {percent(weight)}"


# One column


def _density(pictures: Pictures) -> Chart:
    model, bars, curve = pictures.model, pictures.histogram, pictures.curve
    (name,) = column_names(model)
    low, high = padded(pictures.drawn.rows[:, 0])
    heights = [0.0, *(bars.density if bars is not None else []), *(curve.density if curve is not None else [])]
    frame = Frame((low, high), (0, 1.06 * max(heights)), 560, 340, name, "density")
    if bars is not None:
        for left, right, height in zip(bars.edges[:-1], bars.edges[1:], bars.density, strict=True):
            if height > 0:
                frame.box((float(left), float(right)), (0, float(height)), "area")
    if curve is not None:
        frame.line(curve.x, curve.density, "whole")
        for k in range(model.n_components):
            frame.line(curve.x, curve.components[k], f"line {colour(k)}")
            frame.label(float(model.means[k, 0]), float(np.interp(model.means[k, 0], curve.x, curve.components[k])),
                        str(k), shift=(0, -9))  # fmt: skip
        if curve.noise is not None:
            frame.line(curve.x, curve.noise, "line noise")
    caption = (
        "The bars are the rows, the dark line is the density of the mixture, and the lines beneath it are its "
        "components, each by its number."
    )
    entries = [("area", "rows", "M2 2h14v9h-14z"), ("whole", "mixture", "")]
    entries += [
        (f"line {colour(k)}", _share(k, float(model.weights[k])), "") for k in range(min(model.n_components, 20))
    ]
    description = f"The density of {name}, with {counted(model.n_components, 'component')}. {caption}"
    return Chart(frame.drawn("pair", f"The density of {name}", description), caption, legend(entries))


# All pairs of the most telling columns


def grid(pictures: Pictures) -> Chart | None:
    """Small pictures of all pairs of a few columns, and the densities of each."""
    columns, model, drawn = pictures.grid, pictures.model, pictures.drawn
    if len(columns) < 3:
        return None
    names = column_names(model)
    size, gap, edge = 150.0, 8.0, 34.0
    total = edge + len(columns) * size + (len(columns) - 1) * gap
    every = slice(None, None, -(-len(drawn.rows) // PANEL_ROWS))
    alive, deviations = model.weights > 0, np.sqrt(np.square(model.cholesky).sum(2))
    corners = limits(model.means[alive], deviations[alive], drawn.rows)
    spans = {j: padded(corners[:, j]) for j in columns}
    parts: list[str] = []
    for row, j in enumerate(columns):
        for column, i in enumerate(columns[: row + 1]):
            x, y = edge + column * (size + gap), row * (size + gap)
            panel = _marginal(pictures, j, spans[j], size) if i == j else _panel(pictures, (i, j), spans, size, every)
            parts.append(f'<g transform="translate({x:.6g} {y:.6g})">{panel.inside(f"grid-{row}-{column}")}</g>')
        middle = row * (size + gap) + size / 2
        called = shown(cut(names[j], 20))
        parts.append(f'<text class="axis" transform="translate(18 {middle:.6g}) rotate(-90)">{called}</text>')
        across = edge + row * (size + gap) + size / 2
        parts.append(f'<text class="axis" x="{across:.6g}" y="{total - edge + 18:.6g}">{called}</text>')
    which = "All columns" if len(columns) == model.n_features else f"The {len(columns)} most telling columns"
    parts_too = " and what the components contribute" if model.n_components <= 2 * FOLLOWED else ""
    caption = (
        f"{which}, pair by pair: rows and the ellipses that hold {percent(OUTER)} of each component. "
        f"On the diagonal, the density of each column{parts_too}."
    )
    body = "".join(parts)
    title = f"Pairs of {in_words([names[j] for j in columns])}"
    return Chart(drawing((total, total - edge + 26), body, "grid", title, caption), caption)


_NONE = Ticks(np.empty(0), [])


def _bare(x: tuple[float, float], y: tuple[float, float], size: float) -> Frame:
    return Frame(x, y, size, size, x_ticks=_NONE, y_ticks=_NONE, margin=(0, 0, 0, 0))


def _panel(
    pictures: Pictures, pair: tuple[int, int], spans: dict[int, tuple[float, float]], size: float, every: slice
) -> Frame:
    frame = _bare(spans[pair[0]], spans[pair[1]], size)
    rows, labels = pictures.drawn.rows[every][:, pair], pictures.drawn.labels[every]
    for k in np.unique(labels):
        mine = rows[labels == k]
        frame.dots(mine[:, 0], mine[:, 1], f"dots small {'noise' if k == NOISE else colour(int(k))}")
    _ellipses(frame, pictures.model, figures.view(pictures.model, pair), labels=False)
    return frame


def _marginal(pictures: Pictures, column: int, span: tuple[float, float], size: float) -> Frame:
    curve = figures.curve(pictures.model, column, (span[0], span[1]), n=160)
    frame = _bare(span, (0, 1.08 * float(curve.density.max())), size)
    frame.line(curve.x, curve.density, "whole")
    if pictures.model.n_components <= 2 * FOLLOWED:
        for k, part in enumerate(curve.components):
            seen = part > SEEN * curve.density.max()
            frame.line(curve.x[seen], part[seen], f"thin {colour(k)}")
    return frame


# The choice


def choice(pictures: Pictures) -> Chart | None:
    """How far each candidate is behind the chosen one, over the number of components, a line a family."""
    found = pictures.choice
    counts = np.unique(np.concatenate([line.n_components for line in found.lines]))
    if sum(len(line.n_components) for line in found.lines) < 2:
        return None
    behind = np.concatenate([line.values for line in found.lines]) - found.value
    behind = behind[np.isfinite(behind)]
    most, least = max(float(behind.max()), 10 * found.tie), min(float(behind.min()), 0.0)
    steps = [found.tie, *(10.0**power for power in range(1, int(np.log10(most)) + 1))]
    steps = [*(-step for step in reversed(steps) if step <= -least), 0.0, *steps]
    y_ticks = Ticks(_drawn_in(np.array(steps), found.tie), [f"{step:+,g}" if step else "best" for step in steps])
    every = -(-len(counts) // 12)
    x_ticks = Ticks(counts[::every].astype(np.float64), [str(k) for k in counts[::every]])
    span = float(counts[0]) - 0.4, float(counts[-1]) + 0.4
    low, high = _drawn_in(np.array([least, most]), found.tie).tolist()
    criterion = found.criterion.upper()
    frame = Frame(
        span, (low - 0.25, high + 0.2), 520, 330, "number of components", f"{criterion} behind the chosen model",
        x_ticks, y_ticks,
    )  # fmt: skip
    frame.box(span, (0, 1), "tied")
    for i, line in enumerate(found.lines):
        _family(frame, line, i, found)
    k, name = found.best
    frame.markers([k], [0.0], 0, "best", 8)
    caption = (
        f"Smaller is better. The ring marks the chosen model, {k} {name}; in the shaded band are those that are as "
        f"good (within {found.tie:g}), and beyond it the scale is logarithmic. Hollow marks have an empty or collapsed "
        "component and cannot be chosen."
    )
    names = in_words([line.covariance for line in found.lines])
    description = f"{criterion} over the number of components for the families {names}. {caption}"
    key = legend(
        (f"shape {colour(i)}", f"{line.covariance} ({line.mclust})", marker(i, 9, 6, 4))
        for i, line in enumerate(found.lines)
    )
    return Chart(frame.drawn("choice", f"{criterion} of all candidates", description), caption, key)


def _drawn_in(behind: Array, tie: float) -> Array:
    """Distances as they are drawn: in ties up to one, and their logarithms beyond."""
    ties = np.abs(behind) / tie
    return np.sign(behind) * np.where(ties > 1, 1 + np.log10(np.maximum(ties, 1)), ties)


def _family(frame: Frame, line: figures.Line, i: int, found: figures.Choice) -> None:
    there, behind = np.isfinite(line.values), line.values - found.value
    height = _drawn_in(behind, found.tie)
    sound, odd = line.eligible & there, ~line.eligible & there
    frame.line(line.n_components[sound], height[sound], f"thin {colour(i)}")
    if line.errors is not None:
        for k, value, error in zip(line.n_components[there], behind[there], line.errors[there], strict=True):
            frame.line([k, k], _drawn_in(np.array([value - error, value + error]), found.tie), f"thin {colour(i)}")
    frame.markers(line.n_components[sound], height[sound], i, f"shape {colour(i)}", 3.4)
    frame.markers(line.n_components[odd], height[odd], i, f"hollow {colour(i)}", 3.4)


# What tells the components apart


def profile(pictures: Pictures) -> Chart | None:
    """The components column by column, the most telling columns first."""
    found, model = pictures.profile, pictures.model
    if model.n_features < 2 or model.n_components < 2:
        return None
    columns = pictures.order[:PROFILE_COLUMNS]
    few = model.n_components <= PROFILE_RANGES
    draw = _ranges if few else _shades
    how = (
        "Each bar is the mean of a component and one standard deviation to either side"
        if few
        else "The darker, the further the mean of a component lies above (blue) or below (orange) that of all rows"
    )
    shown_here = (
        "" if len(columns) == model.n_features else f" The {len(columns)} most telling of {model.n_features} columns."
    )
    caption = (
        f"{how}, in standard deviations of the column. The columns that tell the components apart best, each taken "
        f"alone, come first; the number at the end is the share of that which it tells.{shown_here}"
    )
    names = [found.columns[j] for j in columns]
    description = f"Components in the columns {in_words(names)}. {caption}"
    key = _key(model, np.empty(0, dtype=np.intp)) if few else Markup("")
    return Chart(draw(pictures, columns).drawn("profile", "What tells the components apart", description), caption, key)


def _rows_of_names(names: Sequence[str]) -> Ticks:
    return Ticks(-np.arange(len(names), dtype=np.float64), [cut(name, 18) for name in names])


def _ranges(pictures: Pictures, columns: Sequence[int]) -> Frame:
    found, k_all = pictures.profile, pictures.model.n_components
    low, high = found.means - found.deviations, found.means + found.deviations
    span = padded(np.concatenate([low[:, columns].ravel(), high[:, columns].ravel()]))
    height = 24 + len(columns) * (10 + 9 * k_all)
    frame = Frame(
        span, (0.5 - len(columns), 0.5), 520, height + 46, "standard deviations from the mean",
        y_ticks=_rows_of_names([found.columns[j] for j in columns]), margin=(14, 50, 46, 14),
    )  # fmt: skip
    for row, j in enumerate(columns):
        for k in range(k_all):
            y = -row + 0.72 * (0.5 - (k + 0.5) / k_all)
            frame.line([low[k, j], high[k, j]], [y, y], f"range {colour(k)}")
            frame.markers([found.means[k, j]], [y], k % COLOURS, f"shape {colour(k)}", 3.6)
        frame.beside(-row, f"{found.information[j]:.2f}")
    return frame


def _shades(pictures: Pictures, columns: Sequence[int]) -> Frame:
    found, k_all = pictures.profile, pictures.model.n_components
    every = -(-k_all // 20)
    ticks = Ticks(np.arange(0, k_all, every, dtype=np.float64), [str(k) for k in range(0, k_all, every)])
    frame = Frame(
        (-0.5, k_all - 0.5), (0.5 - len(columns), 0.5), 520, 70 + 24 * len(columns), "component", x_ticks=ticks,
        y_ticks=_rows_of_names([found.columns[j] for j in columns]), margin=(14, 50, 46, 14),
    )  # fmt: skip
    for row, j in enumerate(columns):
        for k in range(k_all):
            z = float(found.means[k, j])
            step = min(int(SHADES * abs(z) / 2), SHADES - 1)
            title = f"component {k}, {found.columns[j]}: {z:+.2f}".replace("-", "−")
            frame.box(
                (k - 0.46, k + 0.46), (-row - 0.44, -row + 0.44), f"hex s{step} {colour(0 if z > 0 else 1)}", title
            )
        frame.beside(-row, f"{found.information[j]:.2f}")
    return frame


# How sure, how well, how far


def uncertainty(pictures: Pictures) -> list[Chart]:
    """How many rows are how uncertain, and which they are."""
    found = pictures.uncertainty
    if pictures.model.n_components < 2 and pictures.model.noise is None:
        return []
    shares = 100 * found.beyond[:-1]
    if shares[1:].max(initial=0) < LEAST_UNCERTAIN:
        return []
    there = found.edges[np.flatnonzero(shares > 0)[-1] + 1]
    frame = Frame(
        (0, float(there)), (0, float(max(1.15 * shares[1:].max(initial=0), 1e-3))), 440, 320,
        "probability that the label is wrong", "% of rows at least as uncertain",
    )  # fmt: skip
    frame.band(found.edges[1:-1], np.zeros(len(shares) - 1), shares[1:], "band c0")
    frame.line(found.edges[1:-1], shares[1:], "line c0")
    marks = [
        (level, float(np.interp(level, found.edges, [*shares, 0]))) for level in UNCERTAIN if level < found.edges[-1]
    ]
    told = " and ".join(f"about {number(share, 3)} % at least {level:g}" for level, share in marks)
    caption = (
        f"How many rows are at least as uncertain as the axis says: {told}. Rows that are nearly certain are off the "
        "frame."
    )
    charts = [Chart(frame.drawn("uncertainty", "How uncertain the labels are", caption), caption)]
    if len(pictures.pair) == 2:
        charts.append(_uncertain_rows(pictures))
    return charts


def _uncertain_rows(pictures: Pictures) -> Chart:
    drawn, names = pictures.drawn, [column_names(pictures.model)[j] for j in pictures.pair]
    rows = drawn.rows[:, pictures.pair]
    frame = Frame(padded(rows[:, 0]), padded(rows[:, 1]), 440, 320, names[0], names[1])
    steps = [(-1.0, "dots sure"), (UNCERTAIN[0], "dots unsure c1"), (UNCERTAIN[1], "dots most c6")]
    for i, (least, kind) in enumerate(steps):
        below = steps[i + 1][0] if i + 1 < len(steps) else 1.0
        mine = rows[(drawn.uncertainty >= least) & (drawn.uncertainty < below)]
        frame.dots(mine[:, 0], mine[:, 1], kind)
    few, many = (f"{level:g}" for level in UNCERTAIN)
    names_of_steps = (f"below {few}", f"{few} to {many}", f"{many} or more")
    key = legend((kind, name, "M9 6h0") for (_, kind), name in zip(steps, names_of_steps, strict=True))
    some = "" if drawn.complete else f" ({len(rows):,} of {drawn.n_rows:,} drawn)"
    caption = f"Which rows they are{some}: the larger, the less certain."
    title = f"Uncertain rows in {names[0]} and {names[1]}"
    return Chart(frame.drawn("unsure", title, f"{title}. {caption}"), caption, key)


def fit_check(pictures: Pictures) -> Chart:
    """Distances of rows to their components against those that a Gaussian has."""
    found = pictures.qq
    expected, observed, low, high = (np.sqrt(part) for part in (found.expected, found.observed, found.low, found.high))
    inside = np.isfinite(expected) & np.isfinite(observed)
    expected, observed, low, high = expected[inside], observed[inside], low[inside], high[inside]
    most = float(max(expected.max(initial=1.0), observed.max(initial=1.0)))
    frame = Frame(
        (0, 1.04 * float(expected.max(initial=1.0))),
        (0, 1.04 * most),
        440,
        400,
        "distance expected",
        "distance observed",
    )
    frame.band(expected, np.minimum(low, most * 2), np.minimum(high, most * 2), "area")
    frame.line([0, most], [0, most], "reference")
    if 1 < len(found.components) <= FOLLOWED:
        for k, (own, due) in enumerate(found.components):
            frame.line(np.sqrt(due), np.sqrt(own), f"thin {colour(k)}")
    frame.dots(expected, observed, "dots whole")
    off = float(np.mean((observed < low) | (observed > high))) if len(observed) else 0.0
    caption = (
        "Distances of the rows to their components, in standard deviations, against those of Gaussians. On the "
        "diagonal all is as it should be; a bend upwards at the end means rows further out than a Gaussian allows, "
        "heavy tails or outliers. "
        f"The shaded band holds 95 % of what chance does; {percent(off)} of the points lie outside."
    )
    entries = [("dots whole", "all rows", "M9 6h0")]
    if 1 < len(found.components) <= FOLLOWED:
        entries += [(f"thin {colour(k)}", f"component {k}", "") for k in range(len(found.components))]
    return Chart(frame.drawn("qq", "Whether the rows are spread as the model says", caption), caption, legend(entries))


def convergence(pictures: Pictures) -> list[Chart]:
    """The likelihood and the gap, pass by pass, where that is a way to look at."""
    found = pictures.convergence
    if len(found.passes) < FEWEST_STEPS:
        return []
    passes = found.passes.astype(np.float64)
    span = padded(passes, 0.03)
    rising = Frame(span, padded(found.objective, 0.08), 440, 300, "passes over the rows", "objective, nats a row")
    rising.line(passes, found.objective, "line c0")
    rising.markers(passes, found.objective, 0, "shape c0", 2.6)
    told = "What is maximised, the log-likelihood with the prior's part, after each pass that was kept. It never falls."
    charts = [Chart(rising.drawn("rising", "The objective, pass by pass", told), told)]
    gap = np.where(np.isfinite(found.gap) & (found.gap > 0), found.gap, np.nan)
    if np.isfinite(gap).any():
        log = np.log10(gap)
        low, high = padded(log, 0.08)
        frame = Frame(
            span, (low, high), 440, 300, "passes over the rows", "still to gain, nats a row", y_ticks=decades(low, high)
        )
        frame.line(passes, log, "line c1")
        frame.markers(passes[np.isfinite(log)], log[np.isfinite(log)], 1, "shape c1", 2.6)
        said = "The estimated distance to the top, on a logarithmic scale: below the tolerance, the fit has arrived."
        charts.append(Chart(frame.drawn("gap", "What is left to gain, pass by pass", said), said))
    return charts


def every(charts: Iterable[Chart | None]) -> list[Chart]:
    """Those that there are."""
    return [chart for chart in charts if chart is not None]
