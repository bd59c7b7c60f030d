"""Mixtures, fits and tables as they show themselves: in text of 80 columns, and in a notebook."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import mixtura
from mixtura import Mixture, cross_table, em, text
from mixtura.text import relation

RNG = np.random.default_rng(0)
ROWS = np.concatenate([RNG.normal(0, 1, (60, 2)), RNG.normal(3, 1, (60, 2)), RNG.normal(9, 1, (60, 2))])
NAMES = ("<b>bold</b>", "\x1b[31mred & long " + "x" * 60)


@pytest.fixture(scope="module")
def result():
    return mixtura.fit(pd.DataFrame(ROWS, columns=list(NAMES)), [2, 3, 4], ["full", "spherical"], random_state=0)


@pytest.fixture(scope="module", params=["mixture", "fit", "separation", "survey", "merging", "table", "result"])
def value(request, result):
    return {
        "mixture": lambda: result.model,
        "fit": lambda: result.fit,
        "separation": lambda: result.separation,
        "survey": lambda: result.survey,
        "merging": lambda: mixtura.merge(result.model, ROWS),
        "table": lambda: cross_table(["<i>a</i>"] * 60 + ["b\x1b"] * 120, result.model.predict(ROWS)),
        "result": lambda: result,
    }[request.param]()


def test_text_fits_eighty_columns_and_is_harmless(value):
    shown = str(value)
    assert len(shown.splitlines()) > 2
    assert max(map(text.display_width, shown.splitlines())) <= 80
    assert shown.replace("\n", "").isprintable()
    assert not re.search(r"[ \t]$", shown, flags=re.MULTILINE)


def test_html_is_whole_and_harmless(value):
    page = value._repr_html_()
    assert page.startswith("<div class='mixtura'>")
    for tag in ("div", "table", "tr", "td", "th", "p", "ul", "li", "caption", "tbody", "thead"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>")
    assert page.count("<table") >= 1
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\x1b" not in page


def test_the_same_numbers_in_both(value):
    page, shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", value._repr_html_()), str(value)
    numbers = set(re.findall(r"(?<![\w.])-?\d[\d,]*\.\d+(?!\w)", shown))
    assert numbers <= set(re.findall(r"(?<![\w.])-?\d[\d,]*\.\d+(?!\w)", page))


def test_a_mixture_alone():
    model = Mixture([0.25, 0.75], [[0, 10], [5, 20]], [np.eye(2), 4 * np.eye(2)], columns=["a", "b"])
    assert repr(model) == "<Mixture of 2 Gaussians in 2 columns, full covariance>"
    assert str(model) == (
        "Mixture of 2 Gaussians in 2 columns, full covariance\n\n"
        "Components, mean ± standard deviation\n"
        "  #  weight                          a             b\n"
        "  0  25.0 %  ████          0.00 ± 1.00  10.00 ± 1.00\n"
        "  1  75.0 %  ████████████  5.00 ± 2.00  20.00 ± 2.00"
    )
    assert "width:33.3%" in model._repr_html_()
    wide = Mixture([1], np.zeros((1, 9)), np.eye(9)[None])
    assert str(wide).endswith("and 3 more columns")
    noisy = Mixture([0.9], [[0.0]], [[[1.0]]], noise=mixtura.Noise(weight=0.1, log_density=-3.0))
    assert "1 Gaussian and noise in 1 column" in str(noisy)
    assert "noise" in noisy._repr_html_()


def test_a_fit_alone(result):
    fit = em(result.model, ROWS)
    assert repr(fit).startswith("<Fit ")
    shown = " ".join(str(fit).split())
    assert fit.status.value in shown
    assert f"{fit.loglik:,.4f}" in shown
    weight = float(len(ROWS))
    assert f"{-2 * fit.loglik + fit.n_parameters * np.log(weight):,.2f}" in shown
    assert "sum of weights 180" in shown


def test_candidates(result):
    lines = str(result.survey).splitlines()
    assert lines[0] == "6 candidates, the best by BIC first"
    assert lines[3].endswith("chosen")
    assert repr(result.survey).startswith("<Survey of 6 candidates by BIC, the best of them <Cell 3 ")
    more = mixtura.fit(ROWS[:40], range(1, 8), ["full", "tied", "diag"], random_state=0).survey
    assert str(more).endswith("and 1 more")


def test_separation(result):
    shares = result.separation.misclassification
    assert f"{100 * shares[0, 0]:.3g} %" in str(result.separation)
    assert repr(result.separation).startswith("<Separation of 3 components: entropy ")


def test_what_has_no_text_is_told():
    with pytest.raises(TypeError, match="no text for int"):
        text.shown(3)


@pytest.mark.parametrize(
    ("name", "columns", "words"),
    [
        ("VVV", 2, "each with its own size, shape and direction"),
        ("EEE", 2, "of one size, shape and direction"),
        ("EII", 2, "round, of one size"),
        ("VEI", 2, "along the columns, of one shape, each with its own size"),
        ("EVE", 3, "of one size and direction, each with its own shape"),
        ("VVV", 1, "each with its own width"),
        ("VII", 1, "each with its own width"),
        ("XXX", 2, ""),
    ],
)
def test_families_in_words(name, columns, words):
    assert relation(name, columns) == words


def test_bars_have_their_length_in_html_too():
    for share in (0, 1 / 96, 0.5, 0.77, 1):
        assert text.bar_length(text._bar(share)) == pytest.approx(share, abs=1 / 192)


def test_remarks_about_the_rows_stand_apart():
    rows = np.round(RNG.normal(0, 3, (80, 2)))
    found = mixtura.fit(rows, 1, "full", random_state=0)
    assert "About the rows\n  - Values of columns 0, 1 are rounded to 1." in str(found)
    assert "Remarks" not in str(found)
    numbers = found.summary()
    assert numbers["notes"] == []
    assert numbers["about_rows"]
    constant = mixtura.fit(np.column_stack([RNG.normal(size=50), np.ones(50)]), 1, "full", random_state=0).summary()
    assert any(said.startswith("Column 1 is constant") for said in constant["about_rows"])
    assert constant["notes"] == []
