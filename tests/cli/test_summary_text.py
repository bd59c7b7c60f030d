"""Summaries as text and HTML: numbers to the digits that matter, tables that fit, nothing from the data that acts."""

import json
import math

import numpy as np
import pytest

import mixtura
from mixtura import summary, text


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (30, 2)), rng.normal(9, 2, (70, 2))])
    return mixtura.fit(rows, [1, 2, 3], ["full", "tied", "diag", "spherical"], random_state=0)


@pytest.mark.parametrize(
    ("means", "deviations", "cells"),
    [
        ([1.0, 10.0], [0.5, 2.0], [" 1.000 ± 0.500", "10.000 ± 2.000"]),
        ([9710.2, 21400.0], [423.0, 2195.3], [" 9,710 ±   423", "21,400 ± 2,195"]),
        ([1e8 + 0.25], [1.0], ["100,000,000.25 ± 1.00"]),
        ([-3e-9], [2e-10], ["-3.000e-09 ± 2.00e-10"]),
        ([1.0], [1e-13], ["1.000000000000000e+00 ± 1.00e-13"]),
        ([5e20], [1e18], ["5.0000e+20 ± 1.00e+18"]),
        ([0.0], [0.0], ["0.00e+00 ± 0.00e+00"]),
    ],
)
def test_deviations_say_how_many_digits_matter(means, deviations, cells):
    assert text.with_deviations(means, deviations) == cells


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0.000"),
        (1234.56, "1,235"),
        (0.012346, "0.01235"),
        (1.5e9, "1.500e+09"),
        (math.inf, "inf"),
        (-2.5, "-2.500"),
    ],
)
def test_number(value, shown):
    assert text.number(value) == shown


def test_a_wide_table_goes_on_below():
    lines = text.table(["# ", "first", "second", "third"], [["0", "1", "2", "3"], ["10", "20", "30", "40"]], 18)
    assert lines == [
        "#   first  second",
        "0       1       2",
        "10     20      30",
        "",
        "#   third",
        "0       3",
        "10     40",
    ]


def test_a_title_is_cut_to_the_width_it_takes():
    assert text.display_width(text._title("量子" * 30)) <= text.NAME_WIDTH
    assert text._title("x" * 20) == "x" * 20
    assert text._title("x" * 21) == "x" * 19 + "…"
    assert text._title("\x1b[0m\u202e") == r"\x1b[0m\u202e"


@pytest.mark.parametrize("name", ["\x00\x07\x1b", "\x7f\x85\x9b", "\u2028\u202e\ufeff", "\ud800", "\U000e0001"])
def test_harmless(name):
    assert text.harmless(f"a{name}é量") == f"a{name.encode('unicode_escape', 'surrogatepass').decode()}é量"


def test_bars_are_in_proportion():
    assert [text._bar(x) for x in (1, 0.5, 0, 1 / 96)] == ["█" * 12, "█" * 6, "", "▏"]


def test_the_numbers_are_plain_and_finite_json(result):
    numbers = result.summary()
    assert json.loads(summary.as_json(numbers)) == json.loads(json.dumps(numbers))
    assert summary.finite({"a": [math.nan, (1.0, -math.inf)], "b": None}) == {"a": [None, [1.0, None]], "b": None}
    assert json.loads(summary.as_json({"a\x1b": "é\x9b\x7f"})) == {"a\x1b": "é\x9b\x7f"}
    assert summary.as_json({"a\x1b": "é\x9b\x7f"}).replace("\n", "").isprintable()


def test_the_components_add_up(result):
    components = result.summary()["components"]
    assert sum(c["weight"] for c in components) == pytest.approx(1)
    assert sum(c["rows"] for c in components) == pytest.approx(100)
    variances = np.diagonal(result.model.covariances, axis1=1, axis2=2)
    np.testing.assert_allclose([[*c["sd"].values()] for c in components], np.sqrt(variances), rtol=1e-12)


def test_every_candidate_is_told_of_once(result):
    numbers = result.summary()
    told = [numbers["chosen"], *numbers["rivals"], *numbers["failed"]]
    assert sorted((c["n_components"], c["covariance"]) for c in told) == sorted(
        (c.n_components, c.covariance) for c in result.cells
    )
    assert "from 12 candidates: K = 1 to 3; full, tied, diag, spherical." in str(result)


def test_text_says_what_it_leaves_out(result):
    numbers = result.summary()
    assert "and 1 more column" in text.as_text(numbers, most_columns=1)
    assert "more column" not in text.as_text(numbers, most_columns=2)
    assert all(len(line) <= 50 for line in text.as_text(numbers, 50).splitlines())


def test_families_that_coincide_are_called_by_all_their_names():
    rows = np.random.default_rng(3).normal(size=(60, 1))
    said = " ".join(str(mixtura.fit(rows, [1], ["full", "diag", "spherical"], random_state=0)).split())
    assert "The same model under other names:" in said
    assert "so as good" not in said


def test_advice_names_the_arguments():
    rows = np.concatenate([np.random.default_rng(k).normal(20 * k, 1, (20, 1)) for k in range(4)])
    numbers = mixtura.fit(rows, [1, 2], "full", random_state=0).summary()
    assert {"n_components": [2, 3, 4]} in [advice["change"] for advice in numbers["advice"]]
    assert "Try fit(…, n_components=range(2, 5))." in " ".join(text.as_text(numbers).split())
    assert "Try fit" not in text.as_text(numbers, changes=False)
    stopped = mixtura.fit(rows, 3, "full", max_iter=1, random_state=0).summary()
    assert [advice["change"] for advice in stopped["advice"]] == [{"max_iter": 10 * stopped["chosen"]["passes"]}]


def test_html_is_escaped():
    rows = np.random.default_rng(3).normal(size=(60, 2))
    names = ["<script>alert(1)</script>", "a&b"]
    columns = {name: rows[:, j] for j, name in enumerate(names)}
    pandas = pytest.importorskip("pandas")
    page = mixtura.fit(pandas.DataFrame(columns), 1, "full", random_state=0)._repr_html_()
    assert "<script" not in page
    assert "a&amp;b" in page
    assert page.count("<table") == page.count("</table>") == 2


def test_what_a_model_file_remembers_is_shown_again(result):
    kept = summary.remember(result.summary())
    assert json.loads(json.dumps(kept)) == kept
    again = summary.describe(result.model, result.best.covariance, kept)
    assert text.facts(again) == text.facts(result.summary())
    alone = summary.describe(result.model, result.best.covariance, {})
    assert [name for name, _ in text.facts(alone)] == ["free parameters"]
    assert "row" not in text.headline(alone)
