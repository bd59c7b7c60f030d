"""The report as one HTML file, which asks nothing of any other."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import ArrayLike

from mixtura import text
from mixtura.core.mixture import NOISE
from mixtura.core.statistics import Array
from mixtura.report import charts
from mixtura.report.content import Content
from mixtura.report.pictures import Pictures
from mixtura.report.svg import COLOURS, cut, marker
from mixtura.summary import Summary, column_names

#: Numbers of rows that the page holds for its script, and the most columns to choose from.
MOST_NUMBERS = 400_000
MOST_CHOICES = 30
#: The longest name of a column in full.
LONGEST = 60


def render(content: Content, pictures: Pictures, document: Summary) -> str:
    """The page.

    Its content security policy allows the script that is in it, and no request of any kind.
    """
    script = _asset("script.js")
    uncertain = pictures.model.n_components > 1 or pictures.model.noise is not None
    return (
        _environment()
        .get_template("page.html")
        .render(
            content=content,
            document=document,
            charts=_charts(pictures),
            uncertain=uncertain,
            sections=_sections(content, uncertain),
            swatch=_swatch,
            interactive=_interactive(pictures),
            style=Markup(_asset("style.css")),  # noqa: S704 (our own)
            script=Markup(script),  # noqa: S704 (our own)
            script_hash=Markup("sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()),  # noqa: S704
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mixtura.report"), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(
        harmless=text.harmless,
        percent=text.percent,
        number=text.number,
        cut=_cut,
        lines=_lines,
        prose=_prose,
    )
    return environment


def _asset(name: str) -> str:
    return (files("mixtura.report") / "templates" / name).read_text(encoding="utf-8")


def _cut(name: str) -> str:
    return cut(name, LONGEST)


def _swatch(k: int) -> str:
    """The path of the marker of component k."""
    return marker(k % COLOURS, 9, 6, 4)


def _prose(sentence: str) -> str:
    """A sentence whose numbers stay with their signs."""
    return text.harmless(sentence).replace(" %", "\u00a0%")


def _lines(code: str) -> str:
    """Code with its line breaks, and nothing else that could act."""
    return "\n".join(text.harmless(line) for line in code.split("\n"))


def _charts(pictures: Pictures) -> dict[str, Any]:
    return {
        "pair": charts.pair(pictures),
        "choice": charts.choice(pictures),
        "profile": charts.profile(pictures),
        "projection": charts.projection(pictures),
        "grid": charts.grid(pictures),
        "uncertainty": charts.uncertainty(pictures),
        "check": charts.fit_check(pictures),
        "convergence": charts.convergence(pictures),
    }


def _sections(content: Content, uncertain: bool) -> list[tuple[str, str]]:
    return [
        ("found", "Found"),
        ("mind", "Mind"),
        ("asked", "Asked"),
        *([("rivals", "Rivals")] if content.candidates else []),
        ("components-head", "Components"),
        *([("uncertainty-head", "Uncertainty")] if uncertain else []),
        ("overlap-head", "Overlap"),
        ("check", "Fit check"),
        ("convergence-head", "Convergence"),
        ("use", "Use it"),
        ("again", "Make it again"),
    ]


def _interactive(pictures: Pictures) -> dict[str, Any] | None:
    """What the script draws the pair view from: rows in 16 bits a number, and the moments of the components."""
    model = pictures.model
    if len(pictures.pair) < 2:
        return None
    columns = sorted(pictures.order[:MOST_CHOICES])
    unit_rows = np.eye(model.n_features)[columns]
    names = [column_names(model)[j] for j in columns]
    centre = np.zeros(len(columns))
    if pictures.projection is not None:
        seen = pictures.projection.view
        unit_rows = np.concatenate([unit_rows, seen.matrix])
        centre = np.append(centre, seen.matrix @ seen.centre)
        names += list(seen.names)
    step = -(-len(pictures.drawn.rows) * len(names) // MOST_NUMBERS)
    every = slice(None, None, max(step, 1))
    values = pictures.drawn.rows[every] @ unit_rows.T - centre
    low, high = values.min(0), values.max(0)
    still = high <= low
    low, high = low - 0.5 * still, high + 0.5 * still
    unit = high - low
    deviations = np.sqrt(np.einsum("vd,kde,ve->kv", unit_rows, model.covariances, unit_rows))
    means = model.means @ unit_rows.T - centre
    reach = charts.limits(means[model.weights > 0], deviations[model.weights > 0], np.stack([low, high]))
    shares = np.round(65535 * (values - low) / unit).astype("<u2")
    most = max(float(pictures.drawn.uncertainty.max(initial=0)), 1e-300)
    return {
        "names": [text.harmless(cut(name, LONGEST)) for name in names],
        "pair": [columns.index(j) for j in pictures.pair],
        "n": pictures.drawn.n_rows,
        "counted": bool(pictures.hexagons),
        "marks": charts.marks(pictures),
        "start": reach[0].tolist(),
        "end": reach[1].tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "unit": unit.tolist(),
        "rows": _packed(shares.T),
        "labels": _packed(pictures.drawn.labels[every].astype("<i2")),
        "uncertainty": _packed(np.round(65535 * pictures.drawn.uncertainty[every] / most).astype("<u2")),
        "most": most,
        "weights": model.weights.tolist(),
        "noise": model.noise is not None or bool((pictures.drawn.labels == NOISE).any()),
        "means": means.tolist(),
        "covariances": _packed(_triangles(model.covariances, unit_rows / unit[:, None]).astype("<f4")),
        "colours": COLOURS,
        "markers": charts.MOST_MARKERS,
        "followed": charts.FOLLOWED,
    }


def _triangles(covariances: Array, directions: Array) -> Array:
    """The lower triangles of the covariances along directions, (K, V (V + 1)/2)."""
    along = directions @ covariances @ directions.T
    lower = np.tril_indices(len(directions))
    return along[:, lower[0], lower[1]]


def _packed(values: ArrayLike) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


__all__: Sequence[str] = ("render",)
