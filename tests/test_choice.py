"""Several candidates, and the choice among them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mixtura import Mixture, Status, em, race, repair
from mixtura.choice import CRITERIA, TIE, Cell, chosen, ranked, search, ties
from mixtura.core.em import Task, climb_together, in_family
from mixtura.covariance import registry
from mixtura.covariance.registry import FAMILIES, USUAL
from mixtura.diagnosis import misplaced_components
from mixtura.folds import FOLDS
from mixtura.ground import RACE_TOL, Candidate, Progress, Settings
from mixtura.sources.files import read_table
from mixtura.sources.memory import Memory
from mixtura.sources.sketch import row_hashes
from mixtura.start import by_labels

TRUTH = Mixture(
    [0.3, 0.3, 0.4], [[0, 0], [5, 1], [1, 7]], [[[1, 0.3], [0.3, 0.5]], [[0.6, 0], [0, 1]], [[1, -0.4], [-0.4, 0.8]]]
)
ROWS, LABELS = TRUTH.sample(400, 0, return_labels=True)
FULL = registry.get("full")
#: Two components share one of the true ones, and one holds two.
POOR = Mixture([0.15, 0.15, 0.7], [[0.0, 0.5], [0.0, -0.5], [3.0, 4.0]], [np.eye(2), np.eye(2), 9 * np.eye(2)])
EXAMPLES = Path(__file__).parents[1] / "examples"
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
    assert CRITERIA == ("bic", "icl", "aic", "cv")


def test_the_smallest_of_the_sound_is_chosen(cells):
    from dataclasses import replace

    from mixtura.diagnosis import Grade, Note

    best = chosen(cells, "bic")
    sick = [replace(c, notes=(Note("sick", "Ill.", grade=Grade.UNSOUND),)) if c is best else c for c in cells]
    second = chosen(sick, "bic")
    assert second.bic == sorted(c.bic for c in cells)[1]
    everyone_sick = [replace(c, notes=(Note("sick", "Ill.", grade=Grade.UNSOUND),)) for c in cells]
    assert chosen(everyone_sick, "bic").bic == best.bic
    noted = [replace(c, notes=(Note("odd", "Odd."),)) for c in cells]
    assert chosen(noted, "bic").bic == best.bic


def test_where_nothing_could_be_fitted_the_reasons_are_told():
    rows = np.repeat([[1.0, 2.0], [4.0, 3.0]], 10, axis=0)
    cells = search(Memory(rows), [Candidate(2, FULL), Candidate(2, FAMILIES[2])], Settings(reg_covar=0.0), seed=0)
    with pytest.raises(ValueError, match=r"no candidate could be fitted.*2 full: .*not positive definite.*2 diag: "):
        chosen(cells, "bic")
    for cell in cells:
        assert cell.fit is None
        assert cell.n_failed == cell.n_starts == 2
        assert math.isnan(cell.bic + cell.aic + cell.icl + cell.cv)


def test_a_start_that_fails_is_counted():
    rows = np.random.default_rng(0).normal(size=(400, 3))
    rows[0], rows[1] = 1e12, -1e12
    for cell in search(Memory(rows), [Candidate(3, FULL)], Settings(), seed=0):
        assert cell.fit is not None
        assert cell.n_failed > 0


def test_one_that_fails_leaves_the_others_alone():
    rows = np.vstack([ROWS, np.repeat([[30.0, 30.0]], 6, axis=0)])
    candidates = [Candidate(1, FULL), Candidate(4, FAMILIES[3]), Candidate(2, registry.get("tied"))]
    first, second, third = search(Memory(rows), candidates, Settings(reg_covar=0.0), seed=0)
    assert second.fit is None
    for cell, candidate in ((first, candidates[0]), (third, candidates[2])):
        alone = search(Memory(rows), [candidate], Settings(reg_covar=0.0), seed=0)[0]
        assert cell.fit.model == alone.fit.model
        assert cell.fit.trace == alone.fit.trace


def test_neighbours_do_no_harm(cells):
    for i, cell in enumerate(cells):
        alone = search(Memory(ROWS), [TABLE[i]], Settings(n_init=1), seed=0)[0]
        assert cell.loglik > alone.loglik - 400 * 2e-6


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
        assert cell.n_starts >= 1  # by chance, and what neighbours offered
        assert cell.n_failed == 0
        assert 1 <= cell.n_agreeing <= cell.n_starts
    alone = search(Memory(ROWS), [Candidate(1, FULL), Candidate(3, FULL)], Settings(), seed=0)
    assert [cell.n_starts for cell in alone] == [4, 4]
    assert alone[0].n_agreeing == 4  # one component: one hill


def test_starts_are_shared_out_among_families(monkeypatch):
    made = []
    (original,) = race.METHODS["k-means++"]

    def noting(sample, n_components, rng):
        made.append((n_components, rng.bit_generator.state["state"]["state"]))
        return original(sample, n_components, rng)

    monkeypatch.setitem(race.METHODS, "k-means++", (noting,))
    search(Memory(ROWS), TABLE, Settings(n_init=6, init_params="k-means++"), seed=0)
    for k in (1, 2, 3, 4):
        drawn = [state for n_components, state in made if n_components == k]
        assert len(drawn) == len(set(drawn)) == 6  # two for each of four families, some of which are the same


# What neighbours owe each other


def grid_rows() -> Memory:
    return Memory(read_table(EXAMPLES / "faithful.csv").rows)


@pytest.fixture(scope="module")
def grid() -> list[Cell]:
    return search(grid_rows(), [Candidate(k, f) for k in range(1, 7) for f in FAMILIES], Settings(), seed=0)


def test_a_family_is_at_least_as_good_as_one_within_it(grid):
    pairs, refused = 0, []
    for rich in grid:
        for plain in grid:
            if rich.n_components == plain.n_components and plain.eligible and rich.eligible:
                inner, outer = registry.get(plain.covariance), registry.get(rich.covariance)
                if inner is not outer and inner.within(outer):
                    if rich.fit.objective <= plain.fit.objective - 272 * 2e-6:
                        refused.append((plain, rich))
                    pairs += 1
    assert pairs >= 24
    assert len(refused) <= 2
    for plain, rich in refused:  # from there the way up leads to a component that is narrower than rounding
        task = Task(in_family(plain.fit.model, rich.fit.family), rich.fit.family, rich.fit.prior)
        assert misplaced_components(climb_together([task], grid_rows())[0]), (plain, rich)


def test_a_component_more_is_no_worse(grid):
    by_cell = {(c.n_components, c.covariance): c for c in grid}
    for (k, name), cell in by_cell.items():
        more = by_cell.get((k + 1, name))
        if more and more.eligible and cell.eligible:
            assert more.loglik > cell.loglik


def test_a_poor_fit_is_mended_by_its_neighbour():
    poor = search(Memory(ROWS), [Candidate(3, FULL, POOR)], Settings(), seed=0)[0]
    top = em(TRUTH, ROWS, tol=1e-10).loglik
    assert poor.loglik < top - 50
    four, three = search(Memory(ROWS), [Candidate(4, FULL)], Settings(), seed=0, known=[poor])
    assert (four.n_components, three.n_components) == (4, 3)
    assert three.loglik == pytest.approx(top, abs=400 * 2e-6)


def test_components_that_are_merged_and_cut_lead_to_a_higher_hill(monkeypatch):
    rows = Memory(read_table(EXAMPLES / "faithful.csv").rows)
    table = [Candidate(k, registry.get(name)) for k in range(3, 7) for name in ("spherical", "diag")]
    mended = search(rows, table, Settings(), seed=0)
    monkeypatch.setattr(repair, "swaps", lambda *_: [])
    left = search(rows, table, Settings(), seed=0)
    gains = [with_swaps.loglik - without.loglik for with_swaps, without in zip(mended, left, strict=True)]
    assert min(gains) > -1e-3
    assert max(gains) > 0.5


def test_what_is_known_stays_where_nothing_leads_higher(cells):
    known = [cell for cell in cells if cell.n_components in (2, 3)]
    new = [Candidate(4, family) for family in USUAL]
    found = search(Memory(ROWS), new, Settings(), seed=0, known=known)
    assert [cell.n_components for cell in found[:4]] == [4] * 4
    for before, after in zip(known, found[4:], strict=True):
        assert after is before


# Cross-validation


def _by_hand(rows, weights, seed):
    """Held-out log-likelihood of one Gaussian, and its standard error."""
    fold = row_hashes(rows, np.uint64(seed)) % np.uint64(FOLDS)
    logs = np.empty(len(rows))
    for number in range(FOLDS):
        held = fold == number
        mean = np.average(rows[~held], axis=0, weights=weights[~held])
        covariance = np.cov(rows[~held].T, aweights=weights[~held], ddof=0)
        logs[held] = stats.multivariate_normal(mean, covariance).logpdf(rows[held])
    total = weights @ logs
    return total, np.sqrt(weights @ np.square(logs - total / weights.sum()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("limit", [100, 5_000])
def test_cross_validation_of_one_gaussian_by_hand(weighted, limit, monkeypatch):
    monkeypatch.setattr(race, "SAMPLE_ROWS", limit)
    monkeypatch.setattr(race, "SAMPLE_ROWS_EACH", 10)
    weights = np.random.default_rng(0).integers(1, 4, 400).astype(float) if weighted else np.ones(400)
    source = Memory(ROWS, weights if weighted else None)
    cell = search(source, [Candidate(1, FULL)], Settings(), seed=7, with_cv=True)[0]
    loglik, error = _by_hand(ROWS, weights, 7)
    assert cell.cv == pytest.approx(-2 * loglik, rel=1e-6)
    assert cell.cv_error == pytest.approx(2 * error, rel=1e-4)


def test_cross_validation_does_not_see_how_weights_are_written():
    weights = np.random.default_rng(0).integers(1, 4, 400)
    candidates = [Candidate(k, FULL) for k in (2, 3)]
    weighed = search(Memory(ROWS, weights.astype(float)), candidates, Settings(), seed=0, with_cv=True)
    copied = search(Memory(np.repeat(ROWS, weights, axis=0)), candidates, Settings(), seed=0, with_cv=True)
    assert [cell.cv for cell in weighed] == pytest.approx([cell.cv for cell in copied], rel=1e-12)


def test_cross_validation_finds_the_true_number():
    candidates = [Candidate(k, family) for k in (1, 2, 3, 4) for family in USUAL]
    cells = search(Memory(ROWS), candidates, Settings(), seed=0, with_cv=True)
    assert chosen(cells, "cv").n_components == 3
    fresh = TRUTH.sample(20_000, 1)
    for cell in cells:
        if cell.n_components <= 3 and cell.eligible:  # it estimates what new rows will show
            expected = -2 * 400 * float(np.mean(cell.fit.model.logpdf(fresh)))
            assert abs(cell.cv - expected) < 3 * cell.cv_error


def test_cross_validation_is_asked_for_and_skips_the_unsound(cells):
    assert all(cell.held_out is None and math.isnan(cell.cv_error) for cell in cells)


def test_a_row_that_no_fold_explains_is_infinitely_bad():
    cell = search(Memory(np.array([[1.0], [1.0]])), [Candidate(1, FULL)], Settings(), seed=0, with_cv=True)[0]
    assert cell.cv == math.inf


# The order of cells


def test_ranks_and_ties(cells):
    order = ranked(cells, "aic")
    assert [c.aic for c in order] == sorted(c.aic for c in cells)
    assert order[0] is chosen(cells, "aic")
    near = [c for c in cells if c is not order[0] and c.aic < order[0].aic + TIE]
    assert ties(cells, order[0], "aic") == sorted(near, key=lambda c: c.aic)
    one_hill = [c for c in cells if c.n_components == 1]
    assert ties(one_hill, one_hill[0], "bic") == [one_hill[1]]  # one component: tied and full are the same


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
    assert race_[0][:4] == ("race", 1, 3, 6)  # one component is at its top at once
    assert all(p.rows == 0 and p.n_rows == len(ROWS) for p in race_)
    assert race_[-1].loglik >= race_[0].loglik
    assert np.isnan(race_[-1].gap)  # nothing climbs any more
    assert [p.climbing for p in race_] == sorted((p.climbing for p in race_), reverse=True)
    assert {p.stage for p in seen} <= {"race", "repair", "climb"}
    assert next(p for p in seen if p.stage == "climb").climbs == 2
