"""Drawings: round ticks, paths that break, text that stays text, colours that all can tell apart."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtura.report import page
from mixtura.report.svg import COLOURS, Frame, Ticks, cut, decades, marker, padded, shown, ticks

#: How colours look to those who lack one of the three kinds of cones, in linear RGB (Machado, Oliveira & Fernandes,
#: IEEE Trans. Visualization and Computer Graphics 15 (2009), 1291, severity 1).
EYES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@settings(deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_ticks_are_round_few_and_inside(low, width):
    high = low + max(width, 1e-9 * abs(low))
    found = ticks(low, high)
    assert 1 <= len(found.at) <= 7
    room = 1e-6 * (high - low)
    assert low - room <= found.at.min() <= found.at.max() <= high + room
    assert len(found.labels) == len(set(found.labels)) == len(found.at)
    if len(found.at) > 1:
        steps = np.diff(found.at)
        np.testing.assert_allclose(steps, steps[0], rtol=1e-2)
        assert re.fullmatch(r"[125]e[+-]\d+", f"{steps[0]:.0e}")


@pytest.mark.parametrize(
    ("span", "labels", "offset"),
    [
        ((0, 1), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"], ""),
        ((-3, 3), ["−3", "−2", "−1", "0", "1", "2", "3"], ""),
        ((0, 5e6), ["0", "1,000,000", "2,000,000", "3,000,000", "4,000,000", "5,000,000"], ""),
        ((0.001, 0.0016), ["0.0010", "0.0011", "0.0012", "0.0013", "0.0014", "0.0015", "0.0016"], ""),
        ((2e-9, 6e-9), ["2e−9", "3e−9", "4e−9", "5e−9", "6e−9"], ""),
    ],
)
def test_labels_have_the_digits_that_matter(span, labels, offset):
    found = ticks(*span)
    assert (found.labels, found.offset) == (labels, offset)


def test_what_all_labels_have_in_common_goes_to_the_axis():
    found = ticks(100_000_000.0, 100_000_001.0)
    assert found.offset == "100,000,000.0"
    assert found.labels == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    frame = Frame((0, 1), (-100_000_001.0, -100_000_000.0), y_name="left")
    assert "left + 100,000,001.0" in frame.drawn("a", "t", "d")


def test_decades():
    assert decades(-9.2, 0.3).labels == ["10⁻⁹", "10⁻⁷", "10⁻⁵", "10⁻³", "10⁻¹"]
    assert decades(0, 2).labels == ["10⁰", "10¹", "10²"]


@pytest.mark.parametrize("values", [[], [np.nan], [5.0], [0.0, 0.0], [1.0, np.inf, 2.0]])
def test_a_range_is_never_empty(values):
    low, high = padded(values)
    assert low < high
    assert all(low <= v <= high for v in values if np.isfinite(v))


def test_marks_are_where_they_belong():
    frame = Frame((0, 10), (0, 1), 200, 100, margin=(0, 0, 0, 0), x_ticks=Ticks(np.empty(0), []),
                  y_ticks=Ticks(np.empty(0), []))  # fmt: skip
    frame.line([0, 10], [0, 1], "a")
    frame.dots([5, 5, 5.00001], [0.5, 0.5, 0.5], "b")
    frame.line([0, 1, np.nan, 3, 4], [0, 0, 0, 1, 1], "c")
    frame.box((2, 4), (0.25, 0.5), "d", "what <it> is")
    frame.ellipse(np.array([5.0, 0.5]), np.diag([1.0, 0.1]), "e")
    assert '<path class="a" d="M0.0 100.0L200.0 0.0"/>' in frame.marks
    assert '<path class="b" d="M100 50h0"/>' in frame.marks
    assert '<path class="c" d="M0.0 100.0L20.0 100.0M60.0 0.0L80.0 0.0"/>' in frame.marks
    assert (
        '<rect class="d" x="40" y="50" width="40" height="25"><title>what &lt;it&gt; is</title></rect>' in frame.marks
    )
    assert 'cx="100.0" cy="50.0" rx="20.0" ry="10.0"' in frame.marks[-1]


def test_an_ellipse_is_the_image_of_a_circle():
    rng = np.random.default_rng(0)
    turn, centre = rng.normal(size=(2, 2)), np.array([0.3, -0.2])
    frame = Frame((-5, 5), (-5, 5), 300, 500)
    frame.ellipse(centre, turn, "e")
    x, y, long, short = (float(v) for v in re.findall(r'[cr][xy]="([\d.-]+)"', frame.marks[0]))
    angle = np.radians(float(re.search(r"rotate\(([\d.-]+) ", frame.marks[0])[1]))
    for t in np.linspace(0, 6, 7):
        px, py = frame._pixels(*(centre + turn @ [np.cos(t), np.sin(t)])[:, None])[0] - (x, y)
        along, across = np.cos(angle) * px + np.sin(angle) * py, -np.sin(angle) * px + np.cos(angle) * py
        assert (along / long) ** 2 + (across / short) ** 2 == pytest.approx(1, abs=0.02)


def test_texts_are_escaped_and_cut():
    frame = Frame((0, 1), (0, 1), x_name="<b>" + "x" * 500, y_name="\x1b[0m")
    frame.label(0.5, 0.5, "a<b&c")
    drawn = frame.drawn("n", "<t>", "d & e")
    assert "<b>" not in drawn
    assert "&lt;b&gt;xxx" in drawn
    assert "…" in drawn
    assert "a&lt;b&amp;c" in drawn
    assert "&lt;t&gt;" in drawn
    assert r"\x1b[0m" in drawn
    assert cut("abcdef", 4) == "abc…"
    assert shown("\u202e") == r"\u202e"


def test_markers_differ():
    assert len({marker(shape, 0, 0, 3) for shape in range(-1, 5)}) == 6
    assert marker(5, 1, 2, 3) == marker(0, 1, 2, 3)


# Colours


def palettes() -> dict[str, dict[str, str]]:
    """The colours of the style sheet in light and dark."""
    style = page._asset("style.css")
    light, dark = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    return {name: dict(re.findall(r"--([\w-]+): (#\w{6})", text)) for name, text in (("light", light), ("dark", dark))}


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(0.05 + linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in (one, other))
    return float(high / low)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    x, y, z = xyz / [0.9505, 1.0, 1.089]
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_components_are_told_apart_by_all_eyes(scheme):
    palette = palettes()[scheme]
    colours = [palette[f"c{k}"] for k in range(COLOURS)]
    assert min(contrast(colour, palette["paper"]) for colour in [*colours, palette["noise"]]) >= 3
    for seen in EYES.values():
        looks = [lab(np.asarray(seen) @ linear(colour)) for colour in colours]
        assert min(np.linalg.norm(a - b) for a, b in combinations(looks, 2)) > 15


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast(scheme):
    palette = palettes()[scheme]
    for text in ("ink", "soft", "link", "good"):
        for paper in ("paper", "panel", "tie", "warn-paper"):
            assert contrast(palette[text], palette[paper]) >= 4.5
