"""The compiled kernels against the reference kernel, which is the formulas as they stand.

In single precision a log density is off by about 3·10⁻⁸ times the distance of its component from the origin of the
tile in its own widths, as measured: the models drawn here have components up to 100 widths away.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import mixtura
from mixtura import Mixture, m_step
from mixtura.core import estep
from mixtura.covariance.structure import Diagonal, Full, Tied
from mixtura.kernels import COMPILED_FROM, choose, compiled, reference, single
from mixtura.sources.memory import Memory

KINDS = ("full", "tied", "diagonal")
EDITIONS = [pytest.param(compiled, 1e-12, id="double"), pytest.param(single, 1e-5, id="single")]
COLUMNS = (1, 2, 3, 4, 5, 8, 17, 40)
COMPONENTS = (1, 2, 7)
LAYOUTS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
}


def mixture(kind, n_components, n_features, *, seed=0, spread=1.0, weights=None):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_components, n_features, n_features + 3))
    matrices = factors @ np.swapaxes(factors, 1, 2) / (n_features + 3)
    structure = {
        "full": lambda: Full.from_covariances(matrices),
        "tied": lambda: Tied.from_covariance(matrices[0], n_components),
        "diagonal": lambda: Diagonal.from_variances(np.diagonal(matrices, axis1=1, axis2=2)),
    }[kind]()
    weights = rng.dirichlet(np.full(n_components, 5.0)) if weights is None else weights
    return Mixture(weights, spread * rng.normal(size=(n_components, n_features)), structure)


def row_weights(name, n_rows, rng):
    if name == "none":
        return None
    weights = rng.uniform(0.1, 3.0, n_rows)
    return weights * rng.integers(0, 2, n_rows) if name == "with zeros" else weights


def assert_same_sums(got, expected, kind, tolerance=1e-12):
    """Equal to rounding: s1 and s2 beside the greatest values that the squares of all components allow."""
    squares = expected.s2 if kind == "diagonal" else np.diagonal(expected.s2, axis1=-2, axis2=-1)
    size = np.sqrt(squares if kind == "tied" else squares.sum(0))
    scale = size**2 if kind == "diagonal" else np.outer(size, size)
    assert_allclose(got.loglik, expected.loglik, rtol=tolerance, atol=tolerance * expected.n.sum())
    assert_allclose(got.n, expected.n, rtol=100 * tolerance, atol=tolerance * expected.n.sum())
    assert (np.abs(got.s1 - expected.s1) <= tolerance * np.sqrt(expected.n.sum()) * size).all()
    assert (np.abs(got.s2 - expected.s2) <= tolerance * scale).all()


def run(code, **environment):
    """What a fresh interpreter prints."""
    variables = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=variables | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


def assert_same_bits(got, expected):
    for one, other in zip(got, expected, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize(("kernel", "tolerance"), EDITIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_same_sums_and_densities_as_the_reference(kind, dtype, layout, kernel, tolerance):
    for n_features in COLUMNS:
        for n_components in COMPONENTS:
            rng = np.random.default_rng(n_features)
            model = mixture(kind, n_components, n_features).whitened
            for n_rows in (1, 33, 611):
                rows = LAYOUTS[layout](rng.normal(scale=1.5, size=(n_rows, n_features)).astype(dtype))
                rows.flags.writeable = False
                assert_allclose(kernel.log_joint(rows, model), reference.log_joint(rows, model), rtol=1e-12)
                for name in ("none", "random", "with zeros"):
                    weights = row_weights(name, n_rows, rng)
                    got = kernel.accumulate(rows, weights, model)
                    assert_same_sums(got, reference.accumulate(rows, weights, model), kind, tolerance)


@given(
    edition=st.sampled_from([(compiled, 1e-12), (single, 1e-4)]),  # components up to 500 widths away
    kind=st.sampled_from(KINDS),
    shape=st.tuples(st.integers(0, 700), st.integers(1, 45), st.integers(1, 45)),
    rows=st.tuples(st.sampled_from(sorted(LAYOUTS)), st.sampled_from(["none", "random", "with zeros"])),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_same_sums_for_any_shape(edition, kind, shape, rows, seed):
    (kernel, tolerance), (layout, weights) = edition, rows
    n_rows, n_features, n_components = shape
    rng = np.random.default_rng(seed)
    model = mixture(kind, n_components, n_features, seed=seed).whitened
    rows = LAYOUTS[layout](rng.normal(size=(n_rows, n_features)))
    weights = row_weights(weights, n_rows, rng)
    expected = reference.accumulate(rows, weights, model)
    assert_same_sums(kernel.accumulate(rows, weights, model), expected, kind, tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_many_columns(kind):
    model = mixture(kind, 2, 300).whitened
    rows = np.random.default_rng(0).normal(size=(301, 300))
    assert_same_sums(compiled.accumulate(rows, None, model), reference.accumulate(rows, None, model), kind)


@pytest.mark.parametrize(("kernel", "tolerance"), EDITIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_many_components(kind, kernel, tolerance):
    model = mixture(kind, 300, 6).whitened
    rows = np.random.default_rng(0).normal(size=(1001, 6))
    assert_same_sums(kernel.accumulate(rows, None, model), reference.accumulate(rows, None, model), kind, tolerance)


@pytest.mark.parametrize("n_features", [2, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_far_from_the_origin_and_in_unequal_units(kind, n_features):
    near = mixture(kind, 3, n_features)
    units = np.where(np.arange(n_features) % 2, 1e-6, 1e6)
    rows = (near.sample(500, np.random.default_rng(1)) + 1e8) * units
    structure = {
        "full": lambda: Full(units[:, None] * near.structure.cholesky),
        "tied": lambda: Tied(units[:, None] * near.structure.cholesky, 3),
        "diagonal": lambda: Diagonal(units * near.structure.scale),
    }[kind]()
    model = Mixture(near.weights, (near.means + 1e8) * units, structure)
    expected = reference.accumulate(rows, None, model.whitened)
    assert_same_sums(compiled.accumulate(rows, None, model.whitened), expected, kind, tolerance=1e-11)
    assert_allclose(compiled.log_joint(rows, model.whitened), reference.log_joint(rows, model.whitened), rtol=1e-11)


@pytest.mark.parametrize("n_features", [2, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_clusters_far_apart_beside_their_width(kind, n_features):
    model = mixture(kind, 5, n_features, spread=1e5)
    rows = model.sample(400, np.random.default_rng(1))
    expected = reference.accumulate(rows, None, model.whitened)
    got = compiled.accumulate(rows, None, model.whitened)
    assert_allclose(got.loglik, expected.loglik, rtol=1e-9)
    assert_same_sums(got._replace(loglik=expected.loglik), expected, kind)


@pytest.mark.parametrize(("kernel", "tolerance"), EDITIONS)
@pytest.mark.parametrize("n_features", [3, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_a_component_without_weight_takes_no_part(kind, n_features, kernel, tolerance):
    model = mixture(kind, 3, n_features, weights=[0.4, 0.0, 0.6]).whitened
    rows = np.random.default_rng(0).normal(size=(77, n_features))
    got = kernel.accumulate(rows, None, model)
    assert_same_sums(got, reference.accumulate(rows, None, model), kind, tolerance)
    assert got.n[1] == 0
    assert not got.s1[1].any()
    assert (kernel.log_joint(rows, model)[:, 1] == -np.inf).all()


@pytest.mark.parametrize(("kernel", "tolerance"), EDITIONS)
@pytest.mark.parametrize("n_features", [2, 9])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [1e200, -1e308, np.inf, np.nan])
def test_rows_out_of_reach(kind, n_features, bad, kernel, tolerance):
    model = mixture(kind, 3, n_features)
    rows = np.random.default_rng(0).normal(size=(700, n_features))
    good = kernel.accumulate(np.delete(rows, 333, axis=0), None, model.whitened)
    rows[333, 1] = bad
    with np.errstate(invalid="ignore", over="ignore"):
        assert_array_equal(kernel.log_joint(rows, model.whitened)[333], -np.inf)
        assert_array_equal(reference.log_joint(rows, model.whitened)[333], -np.inf)
    for weights in (None, np.ones(700)):  # asks for the careful edition
        assert not np.isfinite(kernel.accumulate(rows, weights, model.whitened).loglik)
    absent = kernel.accumulate(rows, (np.arange(700) != 333).astype(float), model.whitened)
    assert_same_sums(absent, good, kind, tolerance)
    if np.isfinite(bad):
        with np.errstate(invalid="ignore", over="ignore"):
            assert estep.accumulate(model, kernel, rows, None).n.sum() == pytest.approx(700)


@pytest.mark.parametrize("kernel", [compiled, single])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_the_model_in_any_order(kind, kernel):
    model = mixture(kind, 4, 6).whitened
    other = model._replace(means=np.asfortranarray(model.means), whitening=np.asfortranarray(model.whitening))
    rows = np.random.default_rng(0).normal(size=(50, 6))
    assert_same_bits(kernel.accumulate(rows, None, other), kernel.accumulate(rows, None, model))
    assert_array_equal(kernel.log_joint(rows, other), kernel.log_joint(rows, model))


@pytest.mark.parametrize("kernel", [compiled, single])
@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind, kernel):
    model = mixture(kind, 2, 3).whitened
    for rows, weights in ((np.empty((0, 3)), None), (np.full((5, 3), np.nan), np.zeros(5))):
        sums = kernel.accumulate(rows, weights, model)
        assert sums.loglik == 0
        assert not sums.n.any()
        assert not sums.s2.any()
    assert kernel.log_joint(np.empty((0, 3)), model).shape == (0, 2)


@pytest.mark.parametrize(("kernel", "deepest", "ulp"), [(compiled, 708.0, 2.0**-52), (single, 64.0, 2.0**-23)])
def test_responsibilities_are_accurate_down_to_underflow(kernel, deepest, ulp):
    depth = np.concatenate([np.arange(0.0, deepest + 0.25, 0.25), [deepest + 1, 720.0, 800.0, 1e5, np.inf]])
    model = mixture("diagonal", len(depth), 1, spread=0.0).whitened._replace(log_constants=-depth)
    share = np.exp(-depth)
    got = kernel.accumulate(np.zeros((1, 1)), None, model)
    assert_allclose(got.n[:-5], share[:-5] / share.sum(), rtol=2 * ulp)
    assert_array_equal(got.n[-5:], 0.0)
    assert_allclose(got.loglik, np.log(share.sum()), rtol=10 * ulp)


def test_log_likelihoods_of_single_rows():
    """One logarithm is taken for several rows, but not for those left over: both ways give the same."""
    model = mixture("full", 40, 2).whitened
    rows = np.random.default_rng(0).normal(size=(128, 2))
    expected = np.logaddexp.reduce(reference.log_joint(rows, model), axis=1)
    single = [compiled.accumulate(row[None], None, model).loglik for row in rows]
    assert_allclose(single, expected, rtol=1e-13)
    assert_allclose(compiled.accumulate(rows, None, model).loglik, expected.sum(), rtol=1e-13)


@pytest.mark.parametrize("kernel", [compiled, single])
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_on_any_thread_and_in_any_layout(kind, kernel):
    model = mixture(kind, 4, 9)
    rows = np.random.default_rng(0).normal(size=(40_000, 9))
    alone = kernel.accumulate(rows[:5000], None, model.whitened)
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda _: kernel.accumulate(rows[:5000], None, model.whitened), range(8))
    blocks = [kernel.accumulate(make(rows[:5000]), None, model.whitened) for make in LAYOUTS.values()]
    for sums in (*together, *blocks):
        assert_same_bits(sums, alone)
    one, two = (
        Memory(rows, n_threads=n).total(lambda b: estep.accumulate(model, kernel, b.rows, b.weights)) for n in (1, 2)
    )
    assert_array_equal(one.s2, two.s2)
    assert one.loglik == two.loglik


def test_large_problems_run_compiled_and_small_ones_do_not():
    assert choose(1, 1, 1) is reference
    assert choose(int(COMPILED_FROM), 1, 1) is compiled
    assert choose(1, 1, 1, single=True) is reference
    assert choose(int(COMPILED_FROM), 1, 1, single=True) is single


def steps(model, rows, kernel):
    """The statistics of a pass and the model after the EM step."""
    statistics = estep.accumulate(model, kernel, rows, None)
    return statistics, m_step(model, statistics, "full")


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("n_features", [2, 8])
def test_what_single_precision_costs_near_a_maximum(n_features, offset):
    """The step to 10⁻⁶ of the widths, the log-likelihood to 10⁻⁷ nats a row, wherever the data lie."""
    truth = mixture("full", 3, n_features)
    rows = (64 * truth.sample(20_000, np.random.default_rng(1)) + offset).astype(np.float32)
    model = Mixture(truth.weights, 64 * truth.means + offset, Full(64 * truth.structure.cholesky))
    for _ in range(20):
        _, model = steps(model, rows, compiled)
    assert model.whitened.rounded is not None
    got, step = steps(model, rows, single)
    expected, exact = steps(model, rows, compiled)
    assert got.loglik != expected.loglik
    assert abs(got.loglik - expected.loglik) <= 1e-7 * len(rows)
    assert np.abs(exact.structure.whiten(step.means - exact.means)).max() <= 1e-6
    assert_allclose(step.weights, exact.weights, rtol=1e-6)
    assert_allclose(step.structure.whitening @ exact.structure.cholesky - np.eye(n_features), 0, atol=1e-6)


@pytest.mark.parametrize("n_features", [2, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_far_from_the_origin_and_in_unequal_units(kind, n_features):
    near = mixture(kind, 3, n_features)
    units = np.where(np.arange(n_features) % 2, 1e-15, 1e15)
    rows = ((near.sample(500, np.random.default_rng(1)) + 1e4) * units).astype(np.float32)
    structure = {
        "full": lambda: Full(units[:, None] * near.structure.cholesky),
        "tied": lambda: Tied(units[:, None] * near.structure.cholesky, 3),
        "diagonal": lambda: Diagonal(units * near.structure.scale),
    }[kind]()
    model = Mixture(near.weights, (near.means + 1e4) * units, structure).whitened
    assert model.rounded is not None
    got = single.accumulate(rows, None, model)
    assert_same_sums(got, reference.accumulate(rows, None, model), kind, tolerance=1e-5)
    assert got.loglik != compiled.accumulate(rows, None, model).loglik


@pytest.mark.parametrize("n_features", [2, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_clusters_too_far_apart_for_single_precision(kind, n_features):
    for spread in (10.0, 1e5):
        model = mixture(kind, 5, n_features, spread=spread)
        rows = model.sample(400, np.random.default_rng(1)).astype(np.float32)
        got, exact = (kernel.accumulate(rows, None, model.whitened) for kernel in (single, compiled))
        if spread == 10:
            assert got.loglik != exact.loglik
            assert_same_sums(got, exact, kind, tolerance=1e-4)
        else:
            assert model.whitened.rounded is None
            assert_same_bits(got, exact)


def test_models_that_single_precision_refuses():
    """Too thin a covariance, components of all too different widths, and one without a density (A = 0)."""
    model = Mixture([1.0], np.zeros((1, 2)), Full.from_covariances(np.array([[[1.0, 1 - 1e-6], [1 - 1e-6, 1.0]]])))
    assert model.whitened.rounded is None
    for kind in KINDS:
        model = mixture(kind, 2, 3).whitened
        assert model.rounded is not None
        assert model._replace(whitening=0 * model.whitening).rounded is None
    thin = mixture("diagonal", 2, 3).whitened
    assert thin._replace(whitening=thin.whitening * np.array([[1.0], [1e12]])).rounded is None


@pytest.mark.parametrize("kind", KINDS)
def test_far_rows_and_extreme_weights_leave_single_precision(kind):
    model = mixture(kind, 3, 5).whitened
    rows = np.random.default_rng(0).normal(size=(700, 5)).astype(np.float32)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 700)
    far = rows.copy()
    far[333] = 1000.0
    for block, each in ((rows, None), (rows, weights), (far, np.where(np.arange(700) == 333, 0.0, weights))):
        assert single.accumulate(block, each, model).loglik != compiled.accumulate(block, each, model).loglik
    for block, each in ((far, None), (far, weights), (rows, 1e-20 * weights), (rows, 1e20 * weights)):
        assert_same_bits(single.accumulate(block, each, model), compiled.accumulate(block, each, model))


SMALL_PASS = """
    import json, sys
    import numpy as np
    from mixtura import Mixture
    from mixtura.covariance.structure import Diagonal
    from mixtura.kernels import compiled
    assert "numba" not in sys.modules
    compiled.PATIENCE = 0.001
    model = Mixture([0.5, 0.5], [[0.0], [1.0]], Diagonal.from_variances(np.array([[1.0], [2.0]]))).whitened
    sums = compiled.accumulate(np.arange(5.0)[:, None], None, model)
    assert "numba" in sys.modules
    print(json.dumps([sums.loglik, *sums.n]))
"""


@pytest.fixture(scope="module")
def small_sums():
    model = Mixture([0.5, 0.5], [[0.0], [1.0]], Diagonal.from_variances(np.array([[1.0], [2.0]]))).whitened
    sums = reference.accumulate(np.arange(5.0)[:, None], None, model)
    return [sums.loglik, *sums.n]


def test_nowhere_to_keep_what_is_compiled(tmp_path, small_sums):
    package = tmp_path / "mixtura"
    shutil.copytree(Path(mixtura.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "kernels" / "__pycache__").touch()
    nowhere = str(tmp_path / "mixtura" / "__init__.py" / "cache")
    places = {"NUMBA_CACHE_DIR": nowhere, "XDG_CACHE_HOME": nowhere, "LOCALAPPDATA": nowhere}
    result = run(SMALL_PASS, PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1", **places)
    assert_allclose(json.loads(result.stdout), small_sums)
    assert not result.stderr


def test_a_damaged_cache(tmp_path, small_sums):
    run(SMALL_PASS, NUMBA_CACHE_DIR=str(tmp_path))
    kept = [path for path in tmp_path.rglob("*.nb?") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(b"no machine code")
    result = run(SMALL_PASS, NUMBA_CACHE_DIR=str(tmp_path))
    assert_allclose(json.loads(result.stdout), small_sums)
    assert not result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_compilation_is_announced_on_a_terminal(tmp_path):
    terminal, other_end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SMALL_PASS)],
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=other_end,
    )
    assert process.wait() == 0
    os.close(other_end)
    assert os.read(terminal, 1000).decode().strip() == (
        "Mixtura compiles its kernels for this machine; this happens once."
    )
    os.close(terminal)


@pytest.mark.parametrize("n_features", [1, 3, 6, 9])
def test_components_of_a_shared_covariance_that_lie_far_apart(n_features):
    rng = np.random.default_rng(0)
    means = rng.standard_normal((3, n_features))
    means[2] += 1e14
    model = Mixture([0.5, 0.3, 0.2], means, Tied(np.eye(n_features) + np.tril(np.full((n_features,) * 2, 0.1), -1), 3))
    rows = np.vstack([rng.standard_normal((50, n_features)), means[2] + rng.integers(-2, 3, (5, n_features))])
    one, other = (kernel.log_joint(rows, model.whitened) for kernel in (reference, compiled))
    assert one == pytest.approx(other, rel=1e-12)
    sums, others = (kernel.accumulate(rows, None, model.whitened) for kernel in (reference, compiled))
    assert sums.loglik == pytest.approx(others.loglik, rel=1e-12)
    for name in ("n", "s1", "s2"):
        assert getattr(sums, name) == pytest.approx(getattr(others, name), rel=1e-9, abs=1e-9)
