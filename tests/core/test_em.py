"""The loop: what a fit reports, how it ends, several climbs in one pass."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from mixtura import Mixture, Status, e_step, em
from mixtura.core.em import Fit, Stop, Task, _first_that_climbs, climb_together, in_family
from mixtura.core.point import Point
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import FAMILIES
from mixtura.covariance.structure import Diagonal, Tied
from mixtura.sources.memory import Memory
from mixtura.start import by_labels, mixture_of

TRUTH = Mixture(
    [0.3, 0.3, 0.4], [[0, 0], [2, 1], [1, 4]], [[[1, 0.3], [0.3, 0.5]], [[0.6, 0], [0, 1]], [[1, -0.4], [-0.4, 0.8]]]
)
ROWS = TRUTH.sample(300, 0)
START = Mixture([0.2, 0.5, 0.3], [[-1, 0], [3, 0], [1, 3]], np.repeat([np.eye(2)], 3, axis=0))
NONE = Prior.none(2)
FULL = registry.get("full")


class Counting(Memory):
    """A source that counts the passes over it."""

    passes = 0

    def total(self, function):
        self.passes += 1
        return super().total(function)


def same(one: Fit, other: Fit) -> bool:
    return (one.trace, one.status, one.n_iter, one.loglik, one.gap) == (
        (other.trace, other.status, other.n_iter, other.loglik, other.gap)
    ) and one.model == other.model


# What a fit reports


@pytest.mark.parametrize("accelerate", [True, False])
def test_a_fit_is_all_of_a_piece(accelerate):
    fit = em(START, ROWS, tol=1e-9, accelerate=accelerate)
    first, last = fit.trace[0], fit.trace[-1]
    assert (first.kind, first.passes) == ("start", 1)
    assert first.loglik == pytest.approx(START.loglik(ROWS), rel=1e-13)
    assert (fit.loglik, fit.objective, fit.gradient_norm, fit.gap) == last[2:]
    assert fit.objective == fit.loglik
    assert all(a.passes < b.passes for a, b in itertools.pairwise(fit.trace))
    assert {step.kind for step in fit.trace[1:]} <= ({"quasi-newton", "shortened", "em"} if accelerate else {"em"})
    assert fit.n_iter >= last.passes - 1  # the passes that check the end come on top
    assert fit.converged == fit.status.converged
    assert fit.family is FULL
    again = e_step(fit.model, ROWS)
    assert fit.statistics.n == pytest.approx(again.n)
    assert fit.statistics.s2 == pytest.approx(again.s2)
    assert (fit.statistics.rows, fit.statistics.weight) == (300, 300.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.loglik = 0.0


def test_the_names_of_the_columns_are_kept():
    named = Mixture(START.weights, START.means, START.structure, columns=["a", "b"])
    for family in FAMILIES:
        assert em(named, ROWS, family, max_iter=3).model.columns == ("a", "b")


def test_quasi_newton_steps_need_fewer_passes():
    close = Mixture([0.37, 0.63], [0.0, 1.8], [1.0, 1.0]).sample(600, 1)
    start = Mixture([0.5, 0.5], [-0.5, 2.0], [1.0, 1.0])
    plain, quick = (em(start, close, tol=1e-10, accelerate=accelerate) for accelerate in (False, True))
    assert plain.loglik == pytest.approx(quick.loglik, rel=1e-9)
    assert quick.n_iter < plain.n_iter / 4


def test_a_source_is_as_good_as_an_array():
    weights = np.linspace(0.5, 2.0, 300)
    assert same(em(START, Memory(ROWS, weights)), em(START, ROWS, sample_weight=weights))
    with pytest.raises(ValueError, match="leave sample_weight out"):
        em(START, Memory(ROWS), sample_weight=weights)


def test_one_column_may_be_a_vector():
    start = Mixture([0.5, 0.5], [0.0, 2.0], [1.0, 1.0])
    assert same(em(start, ROWS[:, 0]), em(start, ROWS[:, :1]))
    assert same(em(start, [1, 2, 4, 7]), em(start, [1.0, 2.0, 4.0, 7.0]))


# How it ends


def test_converged_means_that_the_gap_is_below_the_tolerance():
    for tol in (1e-3, 1e-6, 1e-12):
        for accelerate in (True, False):
            fit = em(START, ROWS, tol=tol, accelerate=accelerate)
            assert fit.status is Status.CONVERGED
            before = fit.trace[-3 if accelerate else -2]  # the last accelerated step is taken on arrival
            assert fit.gap < tol <= before.gap


def test_precision_is_where_no_step_climbs_any_more():
    fit = em(START, ROWS, tol=0.0)
    assert fit.status is Status.PRECISION
    assert fit.converged
    assert fit.gradient_norm < 1e-6


def test_max_iter_is_the_number_of_steps():
    for accelerate in (True, False):
        for limit in (1, 2, 5):
            source = Counting(ROWS)
            fit = em(START, source, tol=0.0, max_iter=limit, accelerate=accelerate)
            assert fit.status is Status.MAX_ITER
            assert not fit.converged
            assert source.passes == limit + 1
            assert fit.n_iter == limit
    fit, longer = (em(START, ROWS, tol=0.0, max_iter=limit) for limit in (1, 9))
    assert fit.trace[0] == longer.trace[0]
    assert em(START, ROWS, tol=0.0, max_iter=4).trace == longer.trace[:5]


def test_a_limit_that_is_not_reached_changes_nothing():
    fit = em(START, ROWS)
    assert same(fit, em(START, ROWS, max_iter=fit.n_iter))
    assert em(START, ROWS, max_iter=fit.n_iter - 3).status is Status.MAX_ITER  # while the end is checked


def test_going_on_from_where_a_limit_was_reached():
    cut = em(START, ROWS, max_iter=4, accelerate=False, tol=1e-8)
    rest = em(cut.model, ROWS, accelerate=False, tol=1e-8)
    assert rest.trace[0].loglik == cut.loglik
    assert rest.model.means == pytest.approx(em(START, ROWS, accelerate=False, tol=1e-8).model.means, abs=1e-9)


def test_going_on_from_the_top_is_over_at_once():
    top = em(START, ROWS, tol=0.0).model
    for accelerate in (True, False):
        assert em(top, ROWS, tol=1e-6, accelerate=accelerate).n_iter < 5


def test_singular_is_where_a_component_falls_onto_rows_that_agree():
    rows = np.vstack([ROWS, np.repeat([[9.0, 9.0]], 5, axis=0)])
    start = Mixture([0.5, 0.5], [[1.0, 2.0], [9.0, 9.0]], np.repeat([np.eye(2)], 2, axis=0))
    for family in ("full", "diag", "spherical"):
        fit = em(start, rows, family)
        assert fit.status is Status.SINGULAR
        assert fit.status.failed
        assert np.isfinite(fit.model.covariances).all()
        assert fit.loglik == pytest.approx(fit.model.loglik(rows))
        prior = Prior.relative(rows, np.ones(len(rows)))
        assert em(start, rows, family, prior=prior).status is Status.CONVERGED
    assert em(start, rows, "tied").status is Status.CONVERGED


def test_singular_leaves_the_last_model_that_is_not():
    start = Mixture([0.5, 0.5], [1.0, 9.0], [1.0, 1.0])
    fit = em(start, [1.0, 1.0, 1.0])
    assert fit.status is Status.SINGULAR
    assert fit.loglik == pytest.approx(fit.model.loglik([1.0, 1.0, 1.0]))
    assert fit.loglik >= start.loglik([1.0, 1.0, 1.0])


def driven(way):
    """What a generator that asks for statistics of models returns in the end."""
    try:
        model = next(way)
        while True:
            model = way.send(e_step(model, ROWS))
    except StopIteration as ended:
        return ended.value


def test_a_step_that_leaves_all_as_it_was_is_no_reason_to_end():
    here = Point(START, e_step(START, ROWS), FULL, NONE)
    proposals = (each for each in [("quasi-newton", START), ("em", here.image)])
    kind, there, tried = driven(_first_that_climbs(here, proposals))
    assert (kind, there.model, tried) == ("em", here.image, 2)


def test_stalled_is_where_rounding_hides_the_way_up():
    ends = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(150) + 4 * rng.integers(0, 3, 150)
        rows = np.column_stack([x, x + 1e-7 * rng.standard_normal(150)]) + 1000
        start = mixture_of(by_labels(np.argsort(np.argsort(x)) // 50, 3), Memory(rows), 3, FULL, NONE)
        fit = em(start, rows)
        ends.add(fit.status)
        if fit.status is Status.STALLED:
            assert fit.gap > 1e-8
            assert not fit.converged
    assert Status.STALLED in ends
    assert ends <= {Status.STALLED, Status.PRECISION, Status.CONVERGED}


def test_stopped_is_where_the_caller_wished():
    calls, found = [], []

    def callback(seen):
        calls.append((seen.passes, seen.climbing))
        found.append((300 * seen.loglik, seen.gap))
        return seen.passes == 4

    source = Counting(ROWS)
    fit = climb_together([Task(START, FULL, NONE)], source, callback)[0]
    assert fit.status is Status.STOPPED
    assert not fit.converged
    assert calls == [(1, 1), (2, 1), (3, 1), (4, 1)]
    assert source.passes == 4
    assert found[-1] == pytest.approx((fit.loglik, fit.gap))
    assert fit.trace == em(START, ROWS).trace[:4]


def test_a_start_at_the_top_takes_one_pass():
    first = em(Mixture([1.0], [[0.0, 0.0]], [np.eye(2)]), ROWS)
    again = em(first.model, ROWS)
    assert again.converged
    assert (len(again.trace), again.n_iter) == (1, 1)


def test_every_end_is_a_sentence_with_a_remedy_where_one_is_needed():
    for status in Status:
        assert str(status) == status.value
        assert status.value.endswith(".")
        assert not (status.converged and status.failed)
    assert [s.name for s in Status if s.converged] == ["CONVERGED", "PRECISION"]


# Several climbs


def tasks() -> list[Task]:
    relative = Prior.relative(ROWS, np.ones(300))
    out = []
    for k, family, prior in itertools.product((1, 2, 4), FAMILIES, (NONE, relative)):
        rule = by_labels(np.argsort(np.argsort(ROWS[:, 0])) * k // 300, k)
        start = mixture_of(rule, Memory(ROWS), k, family, prior)
        out.append(Task(start, family, prior, Stop(1e-7, 3 + 20 * k), accelerate=k != 2))
    return out


def test_climbs_together_end_where_they_end_alone():
    several = climb_together(tasks(), Memory(ROWS))
    assert len(several) == 6 * len(FAMILIES)
    for task, fit in zip(tasks(), several, strict=True):
        assert same(fit, climb_together([task], Memory(ROWS))[0])


def test_climbs_share_their_passes():
    source = Counting(ROWS)
    fits = climb_together(tasks(), source)
    assert source.passes <= 1 + max(fit.n_iter for fit in fits) + 2  # the last ones may be for steps that failed


def test_a_climb_that_fails_leaves_the_others_alone():
    rows = np.vstack([ROWS, np.repeat([[9.0, 9.0]], 5, axis=0)])
    doomed = Mixture([0.5, 0.5], [[1.0, 2.0], [9.0, 9.0]], np.repeat([np.eye(2)], 2, axis=0))
    good = Task(START, FULL, NONE, Stop(1e-6, 40))
    first, second, third = climb_together([good, Task(doomed, FULL, NONE), good], Memory(rows))
    assert second.status is Status.SINGULAR
    assert same(first, third)
    assert same(first, climb_together([good], Memory(rows))[0])


def test_no_climbs_at_all():
    assert climb_together([], Memory(ROWS)) == []


# Starts in a family


def test_a_start_in_another_family_is_brought_into_it():
    tied = in_family(TRUTH, registry.get("tied"))
    assert isinstance(tied.structure, Tied)
    pooled = np.einsum("k,kij->ij", TRUTH.weights, TRUTH.covariances)
    assert tied.covariances == pytest.approx(np.repeat([pooled], 3, axis=0))
    diagonal = in_family(TRUTH, registry.get("diag"))
    assert isinstance(diagonal.structure, Diagonal)
    variances = np.einsum("kii->ki", TRUTH.covariances)
    assert diagonal.structure.scale**2 == pytest.approx(variances)
    spherical = in_family(diagonal, registry.get("spherical"))
    assert spherical.structure.scale**2 == pytest.approx(np.repeat(variances.mean(1)[:, None], 2, axis=1))
    for model in (tied, diagonal, spherical):
        assert np.array_equal(model.means, TRUTH.means)
        assert in_family(model, FULL).covariances == pytest.approx(model.covariances)
    assert in_family(TRUTH, FULL) is TRUTH


def test_every_model_of_a_fit_is_in_its_family():
    for family in FAMILIES:
        model = em(TRUTH, ROWS, family, max_iter=7).model
        projected = in_family(model, family)
        assert model.structure.kind == family.kind
        assert projected.covariances == pytest.approx(model.covariances, rel=1e-12)


def test_a_start_with_a_component_that_nothing_belongs_to():
    start = Mixture([0.0, 0.4, 0.6], START.means, START.structure)
    assert in_family(start, registry.get("diag")).structure.scale == pytest.approx(np.ones((3, 2)))
    prior = Prior.relative(ROWS, np.ones(300))
    for family in FAMILIES:
        fit = em(start, ROWS, family, prior=prior)
        assert fit.converged
        assert fit.model.weights[0] == 0
        assert np.isfinite(fit.model.covariances).all()


# What it refuses


@pytest.mark.parametrize(
    ("rows", "kwargs", "message"),
    [
        (np.empty((0, 2)), {}, "nothing to fit"),
        (ROWS[:2], {"sample_weight": [0.0, 0.0]}, "nothing to fit"),
        (ROWS[:2], {"sample_weight": [1.0, -1.0]}, "row 1 is -1.0"),
        (ROWS[:2], {"sample_weight": [1.0]}, r"shape \(2,\)"),
        (np.array([[1.0, 2.0], [np.nan, 3.0]]), {}, "row 1 is not finite"),
        (np.array([[np.inf, 2.0]]), {}, "row 0 is not finite"),
        (ROWS[:, :1], {}, r"shape \(N, 2\)"),
        (ROWS, {"family": "vw"}, "unknown covariance family 'vw'"),
    ],
)
def test_what_cannot_be_fitted(rows, kwargs, message):
    with pytest.raises(ValueError, match=message):
        em(START, rows, **kwargs)


def test_a_climb_in_many_columns_leaves_the_threads_of_blas_as_they_were():
    import threadpoolctl

    rows = np.random.default_rng(0).normal(size=(300, 40))
    start = Mixture([0.5, 0.5], rows[:2], [np.eye(40)] * 2)
    seen = []

    def blas():
        return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]

    class Watching(Memory):
        def total(self, function):
            seen.append(blas())
            return super().total(function)

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas()
        em(start, Watching(rows), "diag", max_iter=3)
        assert blas() == before
    assert seen
    assert all(set(threads) == {1} for threads in seen)
