"""Statistics are sums: of parts, of blocks, of weighted rows, by whatever kernel and however many threads."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from variants import READINGS, overlapping, row_weights, start_for

from mixtura import Mixture, Statistics, e_step, em, kernels, race
from mixtura.choice import search
from mixtura.core.em import Fit
from mixtura.ground import Candidate, Settings
from mixtura.sources import memory
from mixtura.sources.memory import Memory


def assert_same(one: Statistics, other: Statistics, rel: float = 1e-12) -> None:
    assert one.kind == other.kind
    assert one.weight == pytest.approx(other.weight, rel=rel)
    assert one.loglik == pytest.approx(other.loglik, rel=rel)
    for name in ("n", "s1", "s2"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.shape == b.shape
        # s1 is small because its terms cancel: rounding is to be seen beside n and the spread.
        size = np.abs(b).max() if name == "n" else np.sqrt(np.abs(other.s2).max() * other.n.max())
        assert np.abs(a - b).max() <= rel * max(size, np.abs(b).max())


def assert_identical(one: Statistics, other: Statistics) -> None:
    for name in ("centre", "n", "s1", "s2", "loglik", "weight", "rows"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def assert_same_fit(one: Fit, other: Fit, rel: float = 1e-8) -> None:
    scale = np.sqrt(np.diagonal(other.model.cov))
    assert one.status is other.status
    assert one.loglik == pytest.approx(other.loglik, rel=rel)
    assert one.model.weights == pytest.approx(other.model.weights, rel=rel)
    assert np.abs((one.model.means - other.model.means) / scale).max() < rel
    assert np.abs((one.model.covariances - other.model.covariances) / np.outer(scale, scale)).max() < rel


@pytest.mark.usefixtures("kernel")
def test_the_statistics_of_two_halves_add_to_the_whole(family):
    rows, weights = overlapping(), row_weights(240)
    model = start_for(family, rows)
    whole = e_step(model, rows, weights)
    halves = e_step(model, rows[:77], weights[:77]) + e_step(model, rows[77:], weights[77:])
    assert_same(whole, halves)
    assert whole.rows == halves.rows == 240
    assert_identical(whole + Statistics.zero(whole.kind, whole.centre), whole)


@pytest.mark.usefixtures("kernel")
def test_halves_about_different_centres_add_after_recentring(family):
    rows = overlapping()
    model = start_for(family, rows)
    elsewhere = model.means + np.array([3.0, -2.0, 50.0])
    one, other = e_step(model, rows[:100]), e_step(model, rows[100:]).recentre(elsewhere)
    with pytest.raises(ValueError, match="recentre"):
        one + other
    assert_same(one + other.recentre(model.means), e_step(model, rows))


@pytest.mark.usefixtures("kernel")
def test_scaling_is_weighting_every_row(family):
    rows, weights = overlapping(), row_weights(240)
    model = start_for(family, rows)
    assert_same(e_step(model, rows, weights).scale(3.5), e_step(model, rows, 3.5 * weights))


@pytest.mark.usefixtures("kernel")
def test_integer_weights_are_repeated_rows_and_zero_an_absent_one(family):
    rows = overlapping()
    counts = np.random.default_rng(1).integers(0, 4, len(rows))
    rows[counts == 0] = 1e300  # whatever an absent row holds, it is not looked at
    model = start_for(family, rows[counts > 0])
    repeated = np.repeat(rows, counts, axis=0)
    weighted = e_step(model, rows, counts.astype(float))
    assert_same(weighted, e_step(model, repeated))
    assert weighted.weight == counts.sum()
    fit = em(model, rows, family, sample_weight=counts.astype(float), tol=1e-9)
    assert_same_fit(fit, em(model, repeated, family, tol=1e-9))


def test_the_kernels_agree(family):
    reference, compiled = (importlib.import_module(f"mixtura.kernels.{name}") for name in ("reference", "compiled"))
    for n_features in (1, 2, 3, 5, 8, 17):
        rows = overlapping(600, n_features)
        model = start_for(family, rows).whitened
        for dtype, rel in ((np.float64, 1e-12), (np.float32, 1e-5)):
            for weights in (None, row_weights(600)):
                one = reference.accumulate(rows.astype(dtype), weights, model)
                other = compiled.accumulate(rows.astype(dtype), weights, model)
                assert one.loglik == pytest.approx(other.loglik, rel=rel)
                for name in ("n", "s1", "s2"):
                    a, b = getattr(one, name), getattr(other, name)
                    assert np.abs(a - b).max() <= 20 * rel * max(np.abs(a).max(), 1.0)
            joint = reference.log_joint(rows.astype(dtype), model), compiled.log_joint(rows.astype(dtype), model)
            assert np.abs(joint[0] - joint[1]).max() <= rel * np.abs(joint[0]).max()


def test_a_fit_is_the_same_on_either_kernel(family, monkeypatch, prior_name):
    from variants import prior_named

    rows, weights = overlapping(), row_weights(240)
    fits = []
    for name in ("reference", "compiled"):
        module = importlib.import_module(f"mixtura.kernels.{name}")
        monkeypatch.setattr(kernels, "choose", lambda *_, module=module: module)
        prior = prior_named(prior_name, rows, 3)
        fits.append(em(start_for(family, rows), rows, family, sample_weight=weights, prior=prior, tol=1e-9))
    assert_same_fit(*fits)


def test_a_search_whose_races_run_in_single_precision_ends_where_one_in_double_does(family, monkeypatch):
    # more distinct rows than the sample holds, so that the climb on all rows begins in single precision too
    monkeypatch.setattr(race, "SAMPLE_ROWS", 500)
    rows = Mixture([0.5, 0.3, 0.2], [[0, 0], [6, 1], [2, 8]], np.repeat([np.eye(2)], 3, axis=0)).sample(5_000, 3)
    cells = []
    for rough in ("compiled", "single"):
        modules = [importlib.import_module(f"mixtura.kernels.{name}") for name in ("compiled", rough)]
        monkeypatch.setattr(kernels, "choose", lambda *_, single=False, modules=modules: modules[single])
        cells += search(Memory(rows), [Candidate(3, family)], Settings(tol=1e-9), seed=0)
    one, other = (cell.fit for cell in cells)
    assert one.converged
    assert other.converged
    assert other.loglik == pytest.approx(one.loglik, rel=1e-9)
    assert other.model.means == pytest.approx(one.model.means, abs=1e-4)
    objectives = np.array([step.objective for step in other.trace])
    assert (np.diff(objectives) >= -1e-9 * np.abs(objectives[1:])).all()


@pytest.mark.usefixtures("kernel")
def test_one_block_is_many_blocks(family, monkeypatch):
    rows, weights = overlapping(), row_weights(240)
    start = start_for(family, rows)
    fits = []
    for reading in READINGS.values():
        monkeypatch.setattr(memory, "BLOCK_ROWS", reading.block_rows)
        fits.append(em(start, Memory(rows, weights, reading.n_threads), family, tol=1e-9))
    for fit in fits[1:]:
        assert_same_fit(fit, fits[0])
        assert_same(fit.statistics, fits[0].statistics, rel=1e-7)


@pytest.mark.usefixtures("kernel")
def test_any_number_of_threads_gives_the_same_bits(family, monkeypatch):
    rows, weights = overlapping(1000), row_weights(1000)
    start = start_for(family, rows)
    monkeypatch.setattr(memory, "BLOCK_ROWS", 13)
    alone, *others = (em(start, Memory(rows, weights, n), family, max_iter=20) for n in (1, 2, 7))
    for fit in others:
        assert fit.trace == alone.trace
        assert fit.model == alone.model
        assert_identical(fit.statistics, alone.statistics)


@pytest.mark.parametrize("order", ["C", "F", "strided", "reversed"])
@pytest.mark.usefixtures("kernel")
def test_the_layout_of_the_rows_does_not_matter(family, order):
    rows = overlapping()
    model = start_for(family, rows)
    laid_out = {
        "C": np.ascontiguousarray(rows),
        "F": np.asfortranarray(rows),
        "strided": np.repeat(np.repeat(rows, 2, axis=0), 2, axis=1)[::2, ::2],
        "reversed": np.ascontiguousarray(rows[::-1])[::-1],
    }[order]
    assert_same(e_step(model, laid_out), e_step(model, rows))


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, np.bool_, np.float32, ">f8"])
@pytest.mark.usefixtures("kernel")
def test_integers_give_the_numbers_of_their_float_copies(family, dtype):
    rows = np.random.default_rng(0).integers(0, 2 if dtype is np.bool_ else 90, (120, 3)).astype(dtype)
    model = start_for(family, rows.astype(float))
    rel = 1e-6 if dtype is np.float32 else 1e-12
    assert_same(e_step(model, rows), e_step(model, rows.astype(float)), rel=rel)
    assert model.logpdf(rows) == pytest.approx(model.logpdf(rows.astype(float)), rel=rel)
