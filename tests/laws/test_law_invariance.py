"""How a table is written down, and where it lies, changes nothing but what it must: in whole fits, not only in sums."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from test_law_equivariance import ONE_UNIT, assert_same_shape, fitted
from test_law_sums import assert_same_fit
from variants import overlapping, row_weights, start_for, with_noise

import mixtura
from mixtura import Mixture, em, kernels, race
from mixtura.choice import search
from mixtura.covariance.registry import Family
from mixtura.ground import Candidate, Settings
from mixtura.sources import memory
from mixtura.sources.memory import Memory

#: Which kernel a search runs on in double precision, and which where single precision will do.
EDITIONS = {"reference": ("reference",) * 2, "compiled": ("compiled",) * 2, "single": ("compiled", "single")}


@pytest.fixture(params=EDITIONS)
def edition(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernels that everything runs on during the test."""
    modules = [importlib.import_module(f"mixtura.kernels.{name}") for name in EDITIONS[request.param]]
    monkeypatch.setattr(kernels, "choose", lambda *_, single=False: modules[single])
    return request.param


def apart(n_rows: int = 150) -> np.ndarray:
    """Three groups that do not overlap, so that every climb ends where the others do."""
    rng = np.random.default_rng(3)
    centres = np.array([[0.0, 0.0], [9.0, 3.0], [-5.0, 8.0]])
    return centres[np.arange(n_rows) % 3] + rng.standard_normal((n_rows, 2)) * [1.0, 0.6]


@pytest.mark.usefixtures("edition")
def test_a_shift_by_1e12_moves_the_means_and_nothing_else(often):
    rows = np.round(apart() * 4096) / 4096
    shift = np.array([2.0**40, -(2.0**40)])
    moved = rows + shift
    assert np.array_equal(moved - shift, rows)  # exact
    # the means themselves have steps of 1/4096 there
    assert_same_shape(fitted(rows, often), rows, fitted(moved, often), moved, tol=1e-3)


@pytest.mark.parametrize("scales", [(1e-150, 1e-150), (1e150, 1e150), (1e-150, 1e150)], ids=["tiny", "huge", "both"])
@pytest.mark.usefixtures("edition")
def test_columns_of_any_unit(often, scales):
    if often.maps in ONE_UNIT and scales[0] != scales[1]:
        pytest.skip("the often counts all columns in one unit")
    rows = apart()
    near, far = fitted(rows, often), fitted(rows * scales, often)
    assert np.array_equal(near.predict(rows), far.predict(rows * scales))
    assert far.weights == pytest.approx(near.weights, rel=1e-6)
    assert far.means / scales == pytest.approx(near.means, rel=1e-5, abs=1e-5)
    deviations, others = (np.sqrt(model.structure.variances()) for model in (near, far))
    assert others / scales == pytest.approx(deviations, rel=1e-5)
    shift = len(rows) * float(np.log(scales).sum())
    assert far.loglik(rows * scales) + shift == pytest.approx(near.loglik(rows), rel=1e-9)


LAYOUTS = {
    "by columns": np.asfortranarray,
    "strided": lambda rows: np.repeat(np.repeat(rows, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda rows: np.ascontiguousarray(rows[::-1, ::-1])[::-1, ::-1],
    "big-endian": lambda rows: rows.astype(">f8"),
    "longdouble": lambda rows: rows.astype(np.longdouble),
    "objects": lambda rows: rows.astype(object),
    "lists": lambda rows: rows.tolist(),
    "part of a wider table": lambda rows: np.hstack([rows, rows, rows])[:, 2:4],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_how_the_rows_lie_in_memory_changes_no_bit(often, layout):
    rows = apart()
    laid_out = LAYOUTS[layout](rows)
    if isinstance(laid_out, np.ndarray):
        laid_out.flags.writeable = False
    one, other = (mixtura.fit(x, 3, often, random_state=0) for x in (rows, laid_out))
    assert one.model == other.model
    assert one.fit.trace == other.fit.trace


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint8, np.float16, np.float32, ">i4"])
def test_narrow_types_are_what_they_stand_for(often, dtype):
    rows = np.round(4 * (apart() + 6)).astype(dtype)
    exact = rows.astype(np.float64)
    one, other = (mixtura.fit(x, 3, often, random_state=0) for x in (rows, exact))
    assert one.model == other.model  # 32 bits hold these numbers too
    assert np.array_equal(one.model.posterior(rows)[1], other.model.posterior(exact)[1])


def test_every_row_twice_is_every_row_once(often):
    rows = overlapping(120)
    once, twice = (mixtura.fit(x, 3, often, random_state=0).fit for x in (rows, np.vstack([rows, rows])))
    assert twice.model.weights == pytest.approx(once.model.weights, rel=1e-9)
    assert twice.model.means == pytest.approx(once.model.means, rel=1e-7, abs=1e-7)
    assert twice.loglik == pytest.approx(2 * once.loglik, rel=1e-12)
    assert twice.converged


@pytest.mark.parametrize("complete", [True, False], ids=["few rows", "many rows"])
def test_blocks_and_threads(often, complete, monkeypatch):
    if not complete:
        monkeypatch.setattr(race, "SAMPLE_ROWS", 60)
        monkeypatch.setattr(race, "SAMPLE_ROWS_EACH", 10)
    rows, weights = apart(240), row_weights(240)

    def fit(block_rows: int, n_threads: int) -> race.Fit:
        monkeypatch.setattr(memory, "BLOCK_ROWS", block_rows)
        (cell,) = search(Memory(rows, weights, n_threads), [Candidate(3, often)], Settings(), seed=0)
        assert cell.fit is not None
        return cell.fit

    whole, cut, *threaded = (fit(*reading) for reading in ((16_384, 1), (31, 1), (31, 2), (31, 5)))
    assert_same_fit(whole, cut, rel=1e-6)
    for other in threaded:  # to the bit
        assert other.model == cut.model
        assert other.trace == cut.trace


@pytest.mark.usefixtures("edition")
def test_the_order_of_the_columns(often):
    rows = apart()
    one, other = fitted(rows, often), fitted(rows[:, ::-1], often)
    order = np.argsort(other.means[:, 1])  # components come by their first column
    assert other.means[order][:, ::-1] == pytest.approx(one.means, abs=1e-4)
    assert other.loglik(rows[:, ::-1]) == pytest.approx(one.loglik(rows), rel=1e-8)


def furthest_in(model: Mixture, rows: np.ndarray) -> np.ndarray:
    """Logarithms of the Mahalanobis distances (N, K), of rows however far off."""
    size = np.abs(rows).max(1, keepdims=True)
    logs = []
    for k in range(model.n_components):
        white = np.linalg.solve(model.structure.factor(k), (rows / size - model.means[k] / size).T)
        logs.append(np.log(np.linalg.norm(white, axis=0)) + np.log(size[:, 0]))
    return np.stack(logs, axis=1)


@pytest.mark.usefixtures("kernel")
def test_rows_however_far_off_belong_to_the_nearest_component(family):
    rows = overlapping()
    model = em(start_for(family, rows), rows, family).model
    directions = np.random.default_rng(0).standard_normal((200, 3))
    for size in (1e3, 1e80, 1e153, 1e155, 1e200, 1e300):
        far = directions / np.abs(directions).max(1, keepdims=True) * size
        for given in (far, np.asfortranarray(far), far[:7]):
            assert model.responsibilities(given).sum(1) == pytest.approx(np.ones(len(given)), abs=1e-14)
        share, logs = model.responsibilities(far), furthest_in(model, far)
        # where all components share a covariance, their distances come out equal
        clear = np.ptp(np.sort(logs, axis=1)[:, :2], axis=1) > 1e-6
        if size > 1e20:
            assert (share.argmax(1) == logs.argmin(1))[clear].all()
            assert share[clear].max(1) == pytest.approx(np.ones(clear.sum()))
        density = model.logpdf(far)
        assert not np.isnan(density).any()
        assert (density < -1e3).all()
        assert np.array_equal(model.predict(far), share.argmax(1))


@pytest.mark.usefixtures("kernel")
def test_noise_takes_what_is_far_off(family):
    rows = overlapping()
    model = with_noise(start_for(family, rows), rows)
    far = np.array([[1e9, 0.0, 0.0], [1e160, -1e160, 0.0], [1e300, 1e300, -1e300]])
    assert model.noise_probability(far) == pytest.approx(np.ones(3))
    assert model.responsibilities(far).sum() == 0.0
    assert np.isfinite(model.logpdf(far)).all()
    assert (model.predict(far) == -1).all()


@pytest.mark.usefixtures("kernel")
def test_far_rows_of_a_training_table_do_not_spoil_the_sums(family: Family):
    rows = np.vstack([overlapping(), [[1e100, 0.0, 0.0], [0.0, -1e120, 1.0]]])
    fit = em(start_for(family, rows[:-2]), rows, family, prior=mixtura.covariance.prior.Prior.relative(
        rows, np.ones(len(rows)), family
    ), max_iter=3)  # fmt: skip
    assert np.isfinite(fit.model.means).all()
    assert np.isfinite(fit.loglik)
    assert fit.model.responsibilities(rows).sum(1) == pytest.approx(np.ones(len(rows)))
