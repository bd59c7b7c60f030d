"""A mixture as an ONNX graph gives the labels, responsibilities and log densities of the mixture, to rounding."""

import builtins

import numpy as np
import pytest

import mixtura
from mixtura.bridges import to_onnx
from mixtura.covariance import registry
from mixtura.covariance.structure import Diagonal, Full, Tied

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

#: In double precision, relative to the squared distances that are subtracted.
TOLERANCE = 1e-12


def random_mixture(kind, k=4, d=3, noise=None, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(k)) * (1 if noise is None else 1 - noise.weight)
    factors = np.tril(rng.normal(size=(k, d, d)), -1) + np.eye(d) * rng.uniform(0.3, 2, (k, 1, d))
    structure = {
        "full": lambda: Full(factors),
        "tied": lambda: Tied(factors[0], k),
        "diagonal": lambda: Diagonal(rng.uniform(0.3, 2, (k, d))),
    }[kind]()
    return mixtura.Mixture(weights, rng.normal(size=(k, d)) * 5, structure, noise=noise)


def run(model, rows, dtype="float64"):
    made = to_onnx(model, dtype)
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": np.asarray(rows, dtype=dtype)}), strict=True))


def rows_near_and_far(model, seed=1):
    """Rows of the mixture, between its components, and at 1 to 10³⁰⁰ from them."""
    rng = np.random.default_rng(seed)
    near = model.means[rng.integers(model.n_components, size=200)] + rng.normal(size=(200, model.n_features))
    far = rng.normal(size=(60, model.n_features)) * 10.0 ** np.linspace(0, 300, 60)[:, None]
    return np.concatenate([near, model.means, far])


def assert_equal(model, rows, found, rtol):
    density = model.logpdf(rows)
    np.testing.assert_allclose(found["log_density"], density, rtol=rtol, atol=rtol)
    # log-odds are differences of squared distances: their rounding grows with these
    scale = np.clip(np.abs(np.where(np.isfinite(density), density, 0)), 1, None)
    error = np.abs(found["probabilities"] - model.responsibilities(rows)).max(1)
    assert (error <= rtol * scale).all()
    share = np.sort(model.shares(rows), 1)
    clear = share[:, -1] - share[:, -2] > 2 * rtol * scale if share.shape[1] > 1 else np.ones(len(rows), bool)
    assert clear.mean() > 0.7  # all near rows are
    np.testing.assert_array_equal(found["labels"][clear], model.predict(rows)[clear])


@pytest.mark.parametrize("kind", ["full", "tied", "diagonal"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (4, 1), (4, 3), (17, 9)])
def test_every_kind_near_and_far(kind, shape):
    model = random_mixture(kind, *shape)
    rows = rows_near_and_far(model)
    assert (model.logpdf(rows) == -np.inf).any()
    assert_equal(model, rows, run(model, rows), TOLERANCE)


@pytest.mark.parametrize("kind", ["full", "tied", "diagonal"])
def test_single_precision_is_the_rounding_of_double(kind):
    model = random_mixture(kind)
    rows = rows_near_and_far(model)[:211].astype(np.float32)  # to 10³⁰
    found = run(model, rows, "float32")
    assert {found[name].dtype for name in ("probabilities", "log_density")} == {np.dtype(np.float32)}
    with np.errstate(over="ignore"):
        exact = model.logpdf(rows).astype(np.float32)
    np.testing.assert_allclose(found["log_density"], exact, rtol=1.2e-7)
    np.testing.assert_allclose(found["probabilities"], model.responsibilities(rows), atol=1e-7)
    np.testing.assert_array_equal(found["labels"], model.predict(rows))


def test_noise():
    model = random_mixture("full", noise=mixtura.Noise.box([-20] * 3, [20] * 3, weight=0.2))
    rows = rows_near_and_far(model)
    found = run(model, rows)
    assert_equal(model, rows, found, TOLERANCE)
    np.testing.assert_allclose(found["noise_probability"], model.noise_probability(rows), rtol=1e-11, atol=1e-300)
    assert set(found["labels"]) >= {-1, 0, 1}


def test_noise_of_weight_zero_is_none():
    model = random_mixture("full", noise=mixtura.Noise.of_density(0.1, weight=0.0))
    rows = rows_near_and_far(model)
    found = run(model, rows)
    assert_equal(model, rows, found, TOLERANCE)
    assert not found["noise_probability"].any()


def test_a_component_of_weight_zero_gets_no_row():
    model = mixtura.Mixture([0, 1], [[0, 0], [1, 1]], [np.eye(2)] * 2)
    found = run(model, [[0, 0], [-1e200, 0], [0, 1e300]])
    np.testing.assert_array_equal(found["labels"], [1, 1, 1])
    np.testing.assert_array_equal(found["probabilities"], [[0, 1]] * 3)


def test_rows_with_a_nan_have_no_label():
    model = random_mixture("full")
    found = run(model, [[0, np.nan, 0], [0, 0, 0]])
    assert found["labels"][0] == -2
    assert found["labels"][1] >= 0
    assert np.isnan(found["log_density"]).tolist() == [True, False]
    assert np.isnan(found["probabilities"]).all(1).tolist() == [True, False]


def test_no_rows():
    found = run(random_mixture("full"), np.empty((0, 3)))
    assert [len(array) for array in found.values()] == [0, 0, 0]


@pytest.mark.parametrize("family", registry.names())
def test_every_family_as_fitted(family):
    X = np.loadtxt("examples/iris.csv", delimiter=",", skiprows=1, usecols=range(4))
    result = mixtura.fit(X, 3, family, random_state=0, n_init=1)
    assert_equal(result.model, X, run(result, X), 1e-10)


def test_columns_are_in_the_metadata():
    made = to_onnx(mixtura.Mixture([1], [[0, 0]], [np.eye(2)], columns=["wait", "β, size"]))
    assert {entry.key: entry.value for entry in made.metadata_props} == {"columns": "wait\nβ, size"}


def test_another_type_is_refused():
    with pytest.raises(ValueError, match="float16"):
        to_onnx(random_mixture("full"), "float16")


def test_without_onnx_one_sentence(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest, **more):
        if name == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r'pip install "mixtura\[onnx\]"'):
        to_onnx(random_mixture("full"))
