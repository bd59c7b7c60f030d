"""Several candidates, and the choice among them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mixtura import Mixture, Status, em, race
from mixtura.choice import CRITERIA, Cell, chosen, search
from mixtura.covariance import registry
from mixtura.covariance.registry import FAMILIES, USUAL
from mixtura.race import RACE_TOL, Candidate, Progress, Settings
from mixtura.sources.memory import Memory
from mixtura.start import by_labels

TRUTH = Mixture(
    [0.3, 0.3, 0.4], [[0, 0], [5, 1], [1, 7]], [[[1, 0.3], [0.3, 0.5]], [[0.6, 0], [0, 1]], [[1, -0.4], [-0.4, 0.8]]]
)
ROWS, LABELS = TRUTH.sample(400, 0, return_labels=True)
FULL = registry.get("full")
TABLE = [Candidate(k, family) for k in (1, 2, 3, 4) for family in USUAL]


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return search(Memory(ROWS), TABLE, Settings(), seed=0, with_icl=True)


@pytest.fixture
def many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples so small that they do not hold all rows."""
    monkeypatch.setattr(race, "SAMPLE_ROWS", 100)
    monkeypatch.setattr(race, "SAMPLE_ROWS_EACH", 10)


def test_a_cell_for_each_candidate_in_order(cells):
    assert [(c.n_components, c.covariance) for c in cells] == [(c.n_components, c.family.name) for c in TABLE]
    for cell in cells:
        assert cell.fit is not None
        assert cell.fit.status is Status.CONVERGED
        assert cell.fit.model.n_components == cell.n_components
        assert cell.fit.family.name == cell.covariance
        assert cell.fit.gap < 1e-6
        assert not cell.reason


def test_criteria_are_what_their_names_say(cells):
    for cell in cells:
        model = cell.fit.model
        loglik, k = model.loglik(ROWS), cell.n_parameters
        free = {"full": 3 * cell.n_components, "tied": 3, "diag": 2 * cell.n_components, "spherical": cell.n_components}
        assert k == cell.n_components - 1 + 2 * cell.n_components + free[cell.covariance]
        assert cell.loglik == pytest.approx(loglik, rel=1e-12)
        assert cell.bic == pytest.approx(-2 * loglik + k * math.log(400), rel=1e-12)
        assert cell.aic == pytest.approx(-2 * loglik + 2 * k, rel=1e-12)
        sure = np.log(model.responsibilities(ROWS).max(1)).sum()
        assert cell.icl == pytest.approx(cell.bic - 2 * sure, rel=1e-9)


def test_penalties_count_weight_and_not_rows():
    weights = np.random.default_rng(0).integers(1, 4, 400).astype(float)
    cell = search(Memory(ROWS, weights), [Candidate(2, FULL)], Settings(), seed=0, with_icl=True)[0]
    model = cell.fit.model
    assert cell.loglik == pytest.approx(model.loglik(ROWS, weights), rel=1e-12)
    assert cell.bic == pytest.approx(-2 * cell.loglik + cell.n_parameters * math.log(weights.sum()), rel=1e-12)
    assert cell.icl == pytest.approx(cell.bic - 2 * weights @ np.log(model.responsibilities(ROWS).max(1)), rel=1e-9)


def test_icl_is_asked_for():
    assert math.isnan(search(Memory(ROWS), [Candidate(2, FULL)], Settings(), seed=0)[0].icl)


def test_the_true_number_is_chosen(cells):
    for criterion in ("bic", "icl"):
        best = chosen(cells, criterion)
        assert (best.n_components, best.covariance) == (3, "full")
    assert CRITERIA == ("bic", "icl", "aic")


def test_the_smallest_of_the_sound_is_chosen(cells):
    from dataclasses import replace

    from mixtura.diagnosis import Note

    best = chosen(cells, "bic")
    sick = [replace(c, notes=(Note("sick", (), healthy=False),)) if c is best else c for c in cells]
    second = chosen(sick, "bic")
    assert second.bic == sorted(c.bic for c in cells)[1]
    everyone_sick = [replace(c, notes=(Note("sick", (), healthy=False),)) for c in cells]
    assert chosen(everyone_sick, "bic").bic == best.bic
    noted = [replace(c, notes=(Note("odd"),)) for c in cells]
    assert chosen(noted, "bic").bic == best.bic


def test_where_nothing_could_be_fitted_the_reasons_are_told():
    rows = np.repeat([[1.0, 2.0], [4.0, 3.0]], 10, axis=0)
    cells = search(Memory(rows), [Candidate(2, FULL), Candidate(2, FAMILIES[2])], Settings(reg_covar=0.0), seed=0)
    with pytest.raises(ValueError, match=r"no candidate could be fitted.*2 full: .*not positive definite.*2 diag: "):
        chosen(cells, "bic")
    assert all(cell.fit is None and cell.n_failed == 4 and math.isnan(cell.bic + cell.aic + cell.icl) for cell in cells)


def test_one_that_fails_leaves_the_others_alone():
    rows = np.vstack([ROWS, np.repeat([[30.0, 30.0]], 6, axis=0)])
    candidates = [Candidate(1, FULL), Candidate(4, FAMILIES[3]), Candidate(2, registry.get("tied"))]
    first, second, third = search(Memory(rows), candidates, Settings(reg_covar=0.0), seed=0)
    assert second.fit is None
    for cell, candidate in ((first, candidates[0]), (third, candidates[2])):
        alone = search(Memory(rows), [candidate], Settings(reg_covar=0.0), seed=0)[0]
        assert cell.fit.model == alone.fit.model
        assert cell.fit.trace == alone.fit.trace


def test_candidates_do_not_see_each_other(cells):
    for i in (0, 6, 11):
        alone = search(Memory(ROWS), [TABLE[i]], Settings(), seed=0, with_icl=True)[0]
        assert alone.fit.model == cells[i].fit.model
        assert alone.icl == cells[i].icl


def test_components_are_in_the_order_of_their_means(cells):
    for cell in cells:
        means = cell.fit.model.means.tolist()
        assert means == sorted(means)
        assert cell.fit.statistics.centre.tolist() == means


def test_the_trace_of_race_and_climb_is_one(cells):
    for cell in cells:
        fit = cell.fit
        objective = np.array([step.objective for step in fit.trace])
        assert np.diff(objective).min(initial=0.0) >= -1e-9
        passes = [step.passes for step in fit.trace]
        assert passes == sorted(set(passes))
        assert fit.trace[-1].loglik == fit.loglik


def test_starts_are_counted(cells):
    for cell in cells:
        assert cell.n_starts == 4
        assert cell.n_failed == 0
        assert 1 <= cell.n_agreeing <= 4
    for cell in cells[:4]:
        assert cell.n_agreeing == 4  # one component: one hill


def test_columns_are_named():
    cell = search(Memory(ROWS), [Candidate(2, FULL)], Settings(), seed=0, columns=("a", "b"))[0]
    assert cell.fit.model.columns == ("a", "b")


@pytest.mark.parametrize("init_params", ["k-means++", "kmeans", "random", "random_from_data"])
def test_every_way_to_start_finds_groups_that_lie_apart(init_params):
    cell = search(Memory(ROWS), [Candidate(3, FULL)], Settings(init_params=init_params), seed=0)[0]
    top = em(TRUTH, ROWS, tol=1e-10).loglik
    assert cell.loglik == pytest.approx(top, abs=400 * 1e-6)


def test_one_component_is_the_sample_mean_and_covariance():
    weights = np.random.default_rng(0).exponential(size=400)
    for w in (None, weights):
        for shift in (0.0, 1e6):
            rows = ROWS * [1e-3, 1e3] + shift
            cell = search(Memory(rows, w), [Candidate(1, FULL)], Settings(), seed=0)[0]
            tol = 1e-9 if shift == 0 else 1e-6
            scale = np.sqrt(np.diagonal(np.cov(rows.T)))
            mean, covariance = np.average(rows, axis=0, weights=w), np.cov(rows.T, aweights=w, ddof=0)
            assert np.abs((cell.fit.model.means[0] - mean) / scale).max() < tol
            assert np.abs((cell.fit.model.cov - covariance) / np.outer(scale, scale)).max() < tol


# More rows than the sample holds


@pytest.mark.usefixtures("many_rows")
def test_the_race_is_run_on_a_sample_and_the_climb_on_all_rows():
    seen: list[Progress] = []
    rows = []
    source = Memory(ROWS)
    total = source.total

    def counting(function):
        rows.append(0)
        return total(lambda block: (rows.__setitem__(-1, rows[-1] + len(block.rows)), function(block))[1])

    source.total = counting
    cell = search(source, [Candidate(3, FULL)], Settings(), seed=0, observer=seen.append)[0]
    assert cell.fit.statistics.rows == 400
    assert cell.fit.status is Status.CONVERGED
    assert cell.loglik == pytest.approx(em(TRUTH, ROWS, tol=1e-10).loglik, abs=400 * 1e-6)
    assert set(rows) == {400}
    climbed = [p for p in seen if p.stage == "climb"]
    assert [p.passes for p in climbed] == list(range(1, len(climbed) + 1))
    assert cell.fit.n_iter == len(climbed) - 1
    assert len(rows) <= len(climbed) + 3  # the sample, its weight


def test_where_the_sample_holds_all_rows_copies_are_merged():
    cell = search(Memory(np.repeat(ROWS, 3, axis=0)), [Candidate(2, FULL)], Settings(), seed=0)[0]
    assert cell.fit.statistics.rows == 400
    assert cell.fit.statistics.weight == 1200


# Starts that are given


def test_a_mixture_to_start_from():
    start = TRUTH.reorder([2, 0, 1])
    cell = search(Memory(ROWS), [Candidate(3, FULL, start)], Settings(), seed=0)[0]
    assert cell.n_starts == 1
    assert cell.fit.trace[0].loglik == pytest.approx(TRUTH.loglik(ROWS), rel=1e-12)
    assert np.abs(cell.fit.model.means - start.means).max() < 0.5  # in the order given
    direct = em(start, ROWS)
    assert cell.loglik == pytest.approx(direct.loglik, abs=400 * 1e-6)


@pytest.mark.usefixtures("many_rows")
def test_a_rule_to_start_from():
    cell = search(Memory(ROWS), [Candidate(3, FULL, by_labels(LABELS, 3))], Settings(max_iter=1), seed=0)[0]
    first = cell.fit.trace[0].loglik
    share = np.eye(3)[LABELS]
    n, means = share.sum(0), share.T @ ROWS / share.sum(0)[:, None]
    covariances = np.stack([np.cov(ROWS[k == LABELS].T, ddof=0) for k in range(3)])
    assert first == pytest.approx(Mixture(n / 400, means, covariances).loglik(ROWS), rel=1e-9)
    assert cell.fit.n_iter == 1


def test_a_start_for_one_leaves_the_others_to_chance():
    first, second = search(Memory(ROWS), [Candidate(3, FULL, TRUTH), Candidate(3, FULL)], Settings(), seed=0)
    assert (first.n_starts, second.n_starts) == (1, 4)
    assert first.loglik == pytest.approx(second.loglik, abs=400 * 2e-6)


# How long


def test_a_limit_holds_for_race_and_climb_together():
    for family in FAMILIES:
        for limit in (1, 2, 3, 5, 8, 13, 21):
            settings = Settings(max_iter=limit, tol=1e-9)
            fit = search(Memory(ROWS + 3 * LABELS[:, None] % 2), [Candidate(3, family)], settings, seed=0)[0].fit
            assert fit.n_iter <= limit
            assert fit.status in (Status.MAX_ITER, Status.CONVERGED)
            assert fit.gap < 1e-9 or fit.status is Status.MAX_ITER


def test_a_loose_tolerance_is_that_of_the_race_too():
    fit = search(Memory(ROWS), [Candidate(3, FULL)], Settings(tol=10 * RACE_TOL), seed=0)[0].fit
    assert fit.status is Status.CONVERGED
    assert fit.gap < 10 * RACE_TOL


@pytest.mark.parametrize("stage", ["race", "climb"])
@pytest.mark.usefixtures("many_rows")
def test_a_search_stops_when_told_to(stage):
    seen: list[Progress] = []

    def observer(progress: Progress) -> bool:
        seen.append(progress)
        return progress.stage == stage and sum(p.stage == stage for p in seen) == 2  # told once only

    cells = search(Memory(ROWS), [Candidate(k, FULL) for k in (2, 4)], Settings(tol=1e-12), seed=0, observer=observer)
    after = seen[[p.stage for p in seen].index(stage) + 2 :]
    assert len(after) <= 8  # a pass for each stage that follows
    for cell in cells:
        assert cell.fit.status is Status.STOPPED
        assert np.isfinite(cell.fit.model.covariances).all()
        assert cell.fit.loglik == pytest.approx(cell.fit.model.loglik(ROWS), rel=1e-12)


def test_progress_tells_how_many_are_on_their_way():
    seen: list[Progress] = []
    search(Memory(ROWS), [Candidate(k, FULL) for k in (1, 3)], Settings(n_init=3), seed=0, observer=seen.append)
    race_ = [p for p in seen if p.stage == "race"]
    assert race_[0] == Progress("race", 1, 6, 6)
    assert [p.climbing for p in race_] == sorted((p.climbing for p in race_), reverse=True)
    assert {p.stage for p in seen} <= {"race", "repair", "climb"}
    assert next(p for p in seen if p.stage == "climb").climbs == 2
