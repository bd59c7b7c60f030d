"""What is wrong with a fit, in sentences."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import Mixture, em
from mixtura.covariance.prior import ConjugatePrior, Prior
from mixtura.covariance.registry import FAMILIES
from mixtura.diagnosis import (
    Grade,
    Note,
    diagnose,
    empty_components,
    idle_directions,
    leaning_components,
    misplaced_components,
    of_prior,
)

RNG = np.random.default_rng(0)
ROWS = np.vstack([RNG.normal((0, 0), 1, (150, 2)), RNG.normal((6, 0), 1, (150, 2))])
WIDE = np.repeat([np.eye(2)], 3, axis=0)


def relative(rows: np.ndarray, family: str = "full") -> Prior:
    return Prior.relative(rows, np.ones(len(rows)), family)


def notes_of(start: Mixture, rows: np.ndarray, family: str = "full", **kwargs: object) -> tuple[Note, ...]:
    return diagnose(em(start, rows, family, **{"prior": relative(rows, family), **kwargs}))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_nothing_is_wrong_with_a_good_fit(family):
    start = Mixture([0.5, 0.5], [[0, 0], [6, 0]], WIDE[:2])
    fit = em(start, ROWS, family, prior=relative(ROWS))
    assert diagnose(fit) == ()
    assert empty_components(fit) == leaning_components(fit) == misplaced_components(fit) == ()


def test_an_empty_component():
    start = Mixture([0.4, 0.4, 0.2], [[0, 0], [6, 0], [1e6, 1e6]], WIDE)
    fit = em(start, ROWS, prior=relative(ROWS))
    (note,) = diagnose(fit)
    assert note.sentence == "Component 2 has no rows: there are fewer groups than components."
    assert note.components == (2,)
    assert not note.healthy
    assert empty_components(fit) == misplaced_components(fit) == (2,)


def test_several_empty_components_are_named_together():
    start = Mixture([0.4, 0.3, 0.3], [[3, 0], [1e6, 1e6], [-1e6, 1e6]], WIDE)
    assert notes_of(start, ROWS)[0].sentence.startswith("Components 1, 2 have no rows")


@pytest.mark.parametrize("family", ["full", "diag", "spherical"])
def test_a_component_that_collapsed_onto_ties(family):
    rows = np.vstack([ROWS, np.repeat([[3.0, 5.0]], 6, axis=0)])
    start = Mixture([0.49, 0.49, 0.02], [[0, 0], [6, 0], [3, 5]], WIDE * [[[1.0]], [[1.0]], [[0.01]]])
    fit = em(start, rows, family, prior=relative(rows, family))
    (note,) = diagnose(fit)
    assert note.components == (2,)
    assert note.name == "collapsed component"
    assert "has collapsed onto rows in which columns 0, 1 do not vary" in note.sentence
    assert note.columns == (0, 1)
    assert not note.healthy
    assert misplaced_components(fit) == leaning_components(fit) == (2,)


def test_a_collapsed_line_is_a_collapse_too():
    line = np.column_stack([np.linspace(20, 25, 30), np.full(30, 4.0)])
    rows = np.vstack([ROWS, line])
    start = Mixture([0.45, 0.45, 0.1], [[0, 0], [6, 0], [22.5, 4]], WIDE * [[[1.0]], [[1.0]], [[0.1]]])
    fit = em(start, rows, "full", prior=relative(rows))
    assert leaning_components(fit) == (2,)


def test_where_most_rows_do_not_vary_within_their_groups_nothing_is_misplaced():
    rows = np.repeat([[0.0, 0.0], [5.0, 1.0]], 100, axis=0)
    start = Mixture([0.5, 0.5], [[0, 0], [5, 1]], WIDE[:2])
    fit = em(start, rows, "spherical", prior=relative(rows, "spherical"))
    assert leaning_components(fit) == (0, 1)
    assert misplaced_components(fit) == ()
    assert not all(note.healthy for note in diagnose(fit))


def test_a_ridge_that_supplies_a_variance_is_no_illness():
    rows = np.vstack([ROWS, np.repeat([[3.0, 5.0]], 6, axis=0)])
    start = Mixture([0.49, 0.49, 0.02], [[0, 0], [6, 0], [3, 5]], WIDE * [[[1.0]], [[1.0]], [[0.01]]])
    notes = notes_of(start, rows, prior=Prior.absolute(1e-3, len(rows), 3, 2))
    assert "reg_covar" in notes[0].sentence
    assert notes[0].components == (2,)
    assert all(note.healthy for note in notes)


def test_fewer_rows_than_columns():
    rows = RNG.standard_normal((3, 5))
    for family, ill in (("full", True), ("tied", True), ("diag", False), ("spherical", False)):
        notes = notes_of(Mixture([1.0], [rows.mean(0)], [np.eye(5)]), rows, family)
        assert any("too few" in note.sentence and not note.healthy for note in notes) == ill


def test_a_constant_column_is_named():
    rows = np.column_stack([ROWS, np.full(300, 4.0)])
    start = Mixture([0.5, 0.5], [[0, 0, 4], [6, 0, 4]], np.repeat([np.eye(3)], 2, axis=0), columns=["a", "b", "c"])
    (note,) = notes_of(start, rows)
    assert (note.name, note.columns, note.grade) == ("constant column", (2,), Grade.WARNING)
    assert note.sentence.startswith("Column 'c' is constant")
    assert "nominal variance" in note.sentence
    assert note.healthy
    nameless = Mixture(start.weights, start.means, start.structure)
    assert notes_of(nameless, rows)[0].sentence.startswith("Column 2 is constant")


def test_a_constant_column_has_no_say_where_all_columns_share_a_variance():
    alone = em(Mixture([0.5, 0.5], [[0, 0], [6, 0]], WIDE[:2]), ROWS, "spherical", prior=relative(ROWS, "spherical"))
    rows = np.column_stack([ROWS, np.full(300, 1e6)])
    start = Mixture([0.5, 0.5], [[0, 0, 1e6], [6, 0, 1e6]], np.repeat([np.eye(3)], 2, axis=0))
    fit = em(start, rows, "spherical", prior=Prior.relative(rows, np.ones(300), "spherical"))
    (note,) = diagnose(fit)
    assert (note.name, note.grade) == ("constant column", Grade.REMARK)
    assert "nominal" not in note.sentence
    # a third of the variance of two columns over three
    assert fit.model.structure.variances()[:, 0] == pytest.approx(
        2 / 3 * alone.model.structure.variances()[:, 0], rel=0.02
    )


def test_linear_relations_are_counted():
    x = RNG.standard_normal((200, 2))
    rows = np.column_stack([x, x @ [1.0, 2.0], x @ [3.0, -1.0], np.ones(200), np.zeros(200)])
    assert idle_directions(relative(rows).idle, None) == [
        "Columns 4, 5 are constant.",
        "Columns 0, 1, 2, 3 are bound by 2 exact linear relations.",
    ]
    rows = np.column_stack([x, x[:, 0] * 2])
    assert idle_directions(relative(rows).idle, ["a", "b", "c"]) == [
        "Columns 'a', 'c' are bound by an exact linear relation."
    ]
    assert idle_directions(Prior.relative(rows, np.ones(200), "diag").idle, None) == []


def test_components_that_coincide():
    middle = Mixture([0.5, 0.5], [[3, 0], [3, 0]], np.repeat([np.diag([9.0, 1.0])], 2, axis=0))
    (note,) = notes_of(middle, ROWS)
    assert note.sentence == "Components 0 and 1 coincide: fewer components say the same."
    assert note.healthy


def test_a_prior_that_is_nothing_beside_the_weights():
    prior = ConjugatePrior().for_rows(ROWS, "full", 2)
    assert of_prior(prior, 300.0) == []
    assert of_prior(relative(ROWS), 1e60) == []  # in whatever unit
    (note,) = of_prior(prior, 1e60)
    assert "is nothing beside weights that add up to 1.0e+60" in note.sentence
    assert note.remedy


def test_the_gravest_comes_first():
    rows = np.column_stack([ROWS, np.full(300, 4.0)])
    start = Mixture([0.5, 0.25, 0.25], [[0, 0, 4], [1e6, 0, 4], [6, 0, 4]], np.repeat([np.eye(3)], 3, axis=0))
    notes = notes_of(start, rows)
    assert [note.healthy for note in notes] == [False, True]
