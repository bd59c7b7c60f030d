"""Rounded, quantised and repeated values: seen, told, and no component wins by sitting on one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixtura
from mixtura.covariance.registry import FAMILIES
from mixtura.covariance.resolution import Resolution, grid_step
from mixtura.diagnosis import misplaced_components, narrow_components
from mixtura.sources.files import read_table

RNG = np.random.default_rng(0)
INTEGERS = RNG.integers(0, 10, 500).astype(float)


@given(
    st.sampled_from([1.0, 0.1, 0.001, 5.0, 0.25, 1 / 3, 1e-9, 1e9]),
    st.lists(st.integers(-300, 300), min_size=12, max_size=80, unique=True),
    st.sampled_from([0.0, 0.05, -17.3, 1e3]),
)
def test_a_grid_is_found_whatever_its_step(step, places, shift):
    places = np.sort(np.r_[places, 301, 302])  # two neighbours, so that no coarser grid holds them
    assert grid_step(places * step + shift * step) == pytest.approx(step, rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_no_grid_is_seen_where_there_is_none(seed):
    rng = np.random.default_rng(seed)
    for size in (3, 5, 30, 1000):
        assert grid_step(np.sort(rng.normal(size=size))) == 0.0
        assert grid_step(np.sort(rng.exponential(size=size)) + 1e6) == 0.0


def test_a_few_values_may_lie_off_the_grid():
    assert grid_step(np.sort(np.r_[np.arange(60.0), 17.31, 22.22])) == pytest.approx(1.0)


def test_values_that_lie_far_off_neither_make_a_grid_nor_hide_one():
    assert grid_step(np.sort(np.r_[RNG.normal(size=300), 1e12])) == 0.0
    assert grid_step(np.r_[np.arange(60.0), 1e12]) == pytest.approx(1.0)
    assert grid_step(np.r_[1e6 + np.arange(60.0), 1e8]) == pytest.approx(1.0)


def test_nineteen_values_of_twenty_are_enough():
    places = np.arange(19.0)
    assert grid_step(np.r_[places, 18.4]) == 1.0
    assert grid_step(np.r_[places, 18.4, 18.7]) != 1.0


def test_where_double_precision_has_no_finer_steps():
    rows = np.add(RNG.normal(size=(300, 2)), [0.0, 1e15])
    resolution = Resolution.of(rows, np.ones(300))
    assert resolution.coarse() == [("0.125", (1,), True)]
    assert resolution.size.tolist() == np.abs(rows).max(0).tolist()
    assert Resolution.of(np.full((9, 1), 1e15), np.ones(9)).coarse() == []


def test_rounding_adds_a_twelfth_of_the_squared_step_to_a_variance_in_any_direction():
    rows = np.random.default_rng(0).normal(size=(2000, 2)) @ [[30.0, 40.0], [-200.0, 150.0]]
    steps = np.array([1.0, 5.0])
    resolution = Resolution.of(np.round(rows / steps) * steps, np.ones(2000))
    assert resolution.narrowest == pytest.approx(np.diag(steps**2 / 12), rel=1e-6, abs=1e-9)
    few = Resolution.of(np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 9, axis=0), np.ones(36))
    assert few.narrowest == pytest.approx(np.diag([0.25, 0.25]) / 4)


def test_few_values():
    assert grid_step(np.array([3.0])) == 0.0
    assert grid_step(np.array([0.0, 2.5])) == 2.5
    assert Resolution.of(np.ones((4, 2)), np.ones(4)).floor.tolist() == [0.0, 0.0]


def test_weights_count_as_copies():
    values, counts = np.unique(RNG.poisson(0.2, 400), return_counts=True)
    one = Resolution.of(values[:, None].astype(float), counts.astype(float))
    other = Resolution.of(np.repeat(values, counts)[:, None].astype(float), np.ones(400))
    assert one.floor == pytest.approx(other.floor)
    assert one.coarse() == other.coarse()
    assert [(j, x) for j, x, _ in one.heavy] == [(j, x) for j, x, _ in other.heavy]


def test_what_was_seen_is_told():
    table = {
        "age": np.round(RNG.normal(45, 15, 400)),
        "rain": np.where(RNG.random(400) < 0.4, 0.0, RNG.gamma(2, 2, 400)),
        "height": RNG.normal(size=400),
        "dose": 0.5 * RNG.integers(1, 9, 400),
    }
    notes = mixtura.fit(pd.DataFrame(table), n_components=1, random_state=0).summary()["about_rows"]
    zeros = np.mean(table["rain"] == 0)
    assert notes == [
        "Values of age are rounded to 1.",
        "Values of dose are rounded to 0.5.",
        f"{zeros:.0%} of the values of rain are 0.",
    ]
    few = mixtura.fit(RNG.normal(size=(50, 2))[RNG.integers(0, 50, 400)], n_components=1, random_state=0)
    assert few.summary()["about_rows"][-1].endswith("count each as an observation of its own.")


@pytest.mark.parametrize("family", [None, *(family.name for family in FAMILIES)])
@pytest.mark.parametrize("reg_covar", [None, 1e-6])
def test_no_component_wins_by_sitting_on_a_single_integer(family, reg_covar):
    result = mixtura.fit(INTEGERS[:, None], covariance=family, reg_covar=reg_covar, random_state=0)
    assert result.best.n_components <= 5
    assert np.sqrt(result.model.covariances).min() > 0.5  # two neighbouring values have at most that
    # as good as knowing the share of every value, at best
    assert result.best.loglik <= np.log(np.bincount(INTEGERS.astype(int))[INTEGERS.astype(int)] / 500).sum()
    spikes = [cell for cell in result.cells if cell.bic < result.best.bic]
    assert not any(cell.eligible for cell in spikes)
    assert any("than the rounding of column 0" in note.sentence for cell in spikes for note in cell.notes) or reg_covar


FOUR = ["full", "tied", "diag", "spherical"]
SOME_AND_ALL = pytest.mark.parametrize("families", [FOUR, pytest.param("all", marks=pytest.mark.slow)])


@SOME_AND_ALL
@pytest.mark.parametrize("step", [0.1, 0.5, 1.0, 2.0])
def test_groups_are_found_through_rounding(step, families):
    rows = RNG.normal(size=(500, 2)) + 6 * RNG.integers(0, 2, (500, 1))
    result = mixtura.fit(np.round(rows / step) * step, covariance=families, random_state=0)
    assert result.best.n_components == 2
    assert result.best.eligible


@SOME_AND_ALL
@pytest.mark.parametrize("seed", range(3))
def test_counts_ages_and_flags(seed, families):
    rng = np.random.default_rng(seed)
    counts = mixtura.fit(rng.poisson(20, 500)[:, None].astype(float), random_state=0)
    assert counts.best.n_components <= 2
    ages = np.round(rng.normal(45, 15, 500))
    assert mixtura.fit(ages[:, None], random_state=0).best.n_components == 1
    flagged = mixtura.fit(np.c_[ages, rng.integers(0, 2, 500)], covariance=families, random_state=0)
    assert flagged.best.n_components == 1
    assert flagged.best.eligible


def test_many_zeros_do_not_win_by_an_infinite_likelihood():
    rows = RNG.gamma(2, 2, (500, 1))
    rows[RNG.random(500) < 0.5] = 0.0
    result = mixtura.fit(rows, random_state=0)
    assert result.best.eligible
    assert result.best.loglik < 0
    assert min(cell.bic for cell in result.cells if cell.fit) < 0 < result.best.bic


def test_a_narrow_minority_is_moved_elsewhere():
    rows = np.round(np.r_[RNG.normal(0, 4, 300), RNG.normal(30, 4, 300)])[:, None]
    rows[:40] = np.repeat([[100.0], [101.0]], 20, axis=0)
    narrow = mixtura.em(
        mixtura.Mixture([0.5, 0.44, 0.06], [[0], [30], [100.5]], [[[16]], [[16]], [[0.25]]]),
        rows,
        prior=mixtura.covariance.prior.Prior.relative(rows, np.ones(600)),
    )
    assert narrow_components(narrow) == misplaced_components(narrow) == (2,)
    shares = narrow.prior.share(narrow.model.structure, narrow.statistics.n)
    assert shares.max() < 1e-6  # nothing that the prior would tell


@pytest.mark.parametrize(
    ("name", "families", "model"),
    [
        ("faithful", FOUR, (3, "tied")),
        ("iris", FOUR, (2, "full")),
        ("diabetes", FOUR, (3, "full")),
        pytest.param("faithful", "all", (3, "tied"), marks=pytest.mark.slow),
        pytest.param("iris", "all", (2, "vev"), marks=pytest.mark.slow),
        pytest.param("diabetes", "all", (3, "full"), marks=pytest.mark.slow),
    ],
)
def test_honest_rounding_changes_no_choice(name, families, model):
    """What mclust 6.0.0 chooses among these families."""
    result = mixtura.fit(f"examples/{name}.csv", covariance=families, random_state=0)
    assert (result.best.n_components, result.best.covariance) == model


def read(name):
    return read_table(f"examples/{name}.csv").rows


#: Tables of few values, with the most components that are worth having.
COARSE = {
    "integers": (lambda: np.random.default_rng(0).integers(0, 10, (500, 2)).astype(float), 5),
    "integers in three columns": (lambda: np.random.default_rng(1).integers(0, 10, (500, 3)).astype(float), 5),
    "iris in centimetres": (lambda: np.round(read("iris")), 6),
    "faithful in minutes": (lambda: np.round(read("faithful")), 4),
    "faithful in tens of minutes": (lambda: np.round(read("faithful") / [1, 10]) * [1, 10], 4),
    "fifty rows eight times": (lambda: np.random.default_rng(2).normal(size=(50, 2))[np.arange(400) % 50], 9),
}


@pytest.mark.parametrize("far", [1e16, 1e18, 1e25, 1e100])
def test_a_value_whose_last_digit_is_coarser_than_the_others_step(far):
    """Euclid's algorithm ends although what is left of the far value would be rounding alone."""
    values = np.array([0.1539496548225948, 0.34844524891929285, far])
    assert 0 <= grid_step(values) <= values[1] - values[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", COARSE)
def test_no_spike_wins_in_any_family(name):
    rows, most = COARSE[name][0](), COARSE[name][1]
    result = mixtura.select(rows, random_state=0)
    assert result.best.eligible
    assert result.best.n_components <= most
    step = Resolution.of(rows, np.ones(len(rows))).step
    for cell in result.cells:
        if cell.eligible:  # two neighbouring values have at most half a step
            deviations = np.sqrt(np.diagonal(cell.fit.model.covariances, axis1=1, axis2=2))
            assert (deviations > 0.5 * step).all(), cell
