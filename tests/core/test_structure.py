"""The three ways to store covariance matrices, against dense linear algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mixtura.covariance.structure import (
    Diagonal,
    Full,
    SingularError,
    Tied,
    cholesky,
    from_parameters,
    lower_of,
)

from .conftest import KINDS, covariances

K, D = 3, 4
UNITS = {"plain": np.ones(D), "wild": np.array([1e-150, 1e-5, 1.0, 1e150])}


def build(kind, unit=UNITS["plain"]):
    """A structure and its dense matrices, from the same numbers."""
    matrices = covariances(np.random.default_rng(0), K, D)
    if kind == "tied":
        matrices = np.repeat(matrices[:1], K, axis=0)
    elif kind == "diagonal":
        matrices = matrices * np.eye(D)
    matrices = matrices * unit * unit[:, None]
    structure = {
        "full": lambda: Full.from_covariances(matrices),
        "tied": lambda: Tied.from_covariance(matrices[0], K),
        "diagonal": lambda: Diagonal.from_variances(np.diagonal(matrices, axis1=1, axis2=2)),
    }[kind]()
    return structure, matrices


@pytest.fixture(params=UNITS)
def unit(request):
    return UNITS[request.param]


@pytest.fixture
def pair(kind, unit):
    return build(kind, unit)


@pytest.fixture
def structure(pair):
    return pair[0]


@pytest.fixture
def unitless(pair, unit):
    """The dense matrices in units in which NumPy can work."""
    return pair[1] / unit / unit[:, None]


@pytest.fixture
def vectors():
    return np.random.default_rng(5).normal(size=(K, D))


def test_sizes(structure, kind):
    assert (structure.kind, structure.n_components, structure.n_features) == (kind, K, D)


def test_dense(structure, unitless, unit):
    assert_allclose(structure.dense() / unit / unit[:, None], unitless, rtol=1e-13, atol=1e-15)


def test_factor(structure, unitless, unit):
    for k in range(K):
        factor = structure.factor(k)
        assert_array_equal(factor, np.tril(factor))
        assert_allclose(factor / unit[:, None], np.linalg.cholesky(unitless[k]), rtol=1e-13, atol=1e-15)


def test_log_det(structure, unitless, unit):
    expected = np.linalg.slogdet(unitless)[1] + 2 * np.log(unit).sum()
    assert_allclose(structure.log_det(), expected, rtol=1e-12, atol=1e-12)


def test_whiten_weigh_precision(structure, unitless, unit, vectors):
    lower = np.linalg.cholesky(unitless)
    columns = vectors[:, :, None]
    white = np.linalg.solve(lower, columns)[:, :, 0]
    assert_allclose(structure.whiten(vectors * unit), white, rtol=1e-11, atol=1e-13)
    weighed = (unitless @ columns)[:, :, 0]
    assert_allclose(structure.weigh(vectors / unit) / unit, weighed, rtol=1e-12, atol=1e-14)
    precise = np.linalg.solve(unitless, columns)[:, :, 0]
    assert_allclose(structure.precision(vectors * unit) * unit, precise, rtol=1e-11, atol=1e-13)


def test_whitening_is_the_inverse_factor(structure, unit):
    white = np.broadcast_to(structure.whitening, (K, *structure.whitening.shape[-2:]))
    if structure.kind == "diagonal":
        white = structure.whitening[:, :, None] * np.eye(D)
    for k in range(K):
        assert_allclose((white[k] * unit) @ (structure.factor(k) / unit[:, None]), np.eye(D), atol=1e-13)


def test_traces(structure, unitless, unit):
    matrix = covariances(np.random.default_rng(9), 1, D)[0]
    given = matrix * np.eye(D) if structure.kind == "diagonal" else matrix
    expected = [np.trace(np.linalg.solve(m, given)) for m in unitless]
    assert_allclose(structure.traces(matrix * unit * unit[:, None]), expected, rtol=1e-11)


def test_take(structure, unitless, unit):
    some = structure.take(np.array([2, 0]))
    assert some.n_components == 2
    assert_allclose(some.dense() / unit / unit[:, None], unitless[[2, 0]], rtol=1e-13, atol=1e-15)


def test_marginal(structure, unitless, unit):
    index = np.array([3, 0, 2])
    some = structure.marginal(index)
    scale = unit[index]
    expected = unitless[:, index[:, None], index]
    assert some.kind == structure.kind
    assert_allclose(some.dense() / scale / scale[:, None], expected, rtol=1e-12, atol=1e-14)


def test_condition(structure, unitless, unit):
    given, rest = np.array([3, 1]), np.array([0, 2])
    parts = structure.condition(given)
    bb, ab = unitless[:, given[:, None], given], unitless[:, rest[:, None], given]
    slope = ab @ np.linalg.inv(bb)
    remains = unitless[:, rest[:, None], rest] - slope @ np.swapaxes(ab, 1, 2)
    b, a = unit[given], unit[rest]
    assert_allclose(parts.given.dense() / b / b[:, None], bb, rtol=1e-12, atol=1e-14)
    assert_allclose(parts.slope * b / a[:, None], slope, rtol=1e-11, atol=1e-13)
    assert_allclose(parts.rest.dense() / a / a[:, None], remains, rtol=1e-11, atol=1e-13)


def test_transform(structure, unitless, unit):
    matrix = np.random.default_rng(2).normal(size=(2, D))
    moved = structure.transform(matrix / unit)
    assert_allclose(moved.dense(), matrix @ unitless @ matrix.T, rtol=1e-11)


def test_transform_along_the_axes_keeps_a_structure(structure, kind, unitless, unit):
    matrix = np.diag([1.0, -2.0, 3.0, -4.0])[[1, 3, 0]] / unit
    moved = structure.transform(matrix)
    assert moved.kind == kind
    plain = matrix * unit
    assert_allclose(moved.dense(), plain @ unitless @ plain.T, rtol=1e-11, atol=1e-13)


def test_parameters_rebuild(structure, kind):
    twin = from_parameters(kind, structure.parameters(), K)
    assert type(twin) is type(structure)
    assert_array_equal(twin.dense(), structure.dense())
    with pytest.raises(ValueError, match="unknown covariance structure"):
        from_parameters("round", {}, K)


def test_coordinates_round_trip(structure):
    coordinates = structure.coordinates
    twin = structure.at(coordinates)
    for name, array in structure.parameters().items():
        assert_allclose(twin.parameters()[name], array, rtol=1e-13)
    assert structure.logarithms().shape == coordinates.shape[-1:]


def test_every_vector_is_a_structure(structure):
    shape = structure.coordinates.shape
    anywhere = structure.at(np.random.default_rng(0).normal(scale=3, size=shape))
    assert (np.linalg.eigvalsh(anywhere.dense()) > 0).all()


def test_slope_by_finite_differences(kind):
    structure, _ = build(kind)
    rng = np.random.default_rng(1)
    n, scatter = rng.uniform(5, 9, size=K), 20 * covariances(rng, K, D)
    given = {"full": scatter, "tied": scatter.sum(0), "diagonal": np.diagonal(scatter, axis1=1, axis2=2)}[kind]

    def objective(vector):
        dense = structure.at(vector).dense()
        trace = np.trace(np.linalg.solve(dense, scatter), axis1=1, axis2=2)
        return -0.5 * (n * np.linalg.slogdet(dense)[1] + trace).sum()

    at, step = structure.coordinates, 1e-5
    expected = np.empty_like(at)
    for index in np.ndindex(at.shape):
        unit = np.zeros_like(at)
        unit[index] = step
        expected[index] = (objective(at + unit) - objective(at - unit)) / (2 * step)
    assert_allclose(structure.slope(n, given), expected, rtol=1e-6, atol=1e-6)


def test_uphill_is_the_slope_over_the_fisher_information(kind):
    """At the M-step's own scatter the Hessian is minus the information: H (G/I) = −G, by finite differences."""
    structure, matrices = build(kind)
    n = np.array([5.0, 8.0, 11.0])
    scatter = n[:, None, None] * matrices
    given = {"full": scatter, "tied": scatter.sum(0), "diagonal": np.diagonal(scatter, axis1=1, axis2=2)}[kind]
    direction = np.random.default_rng(4).normal(size=structure.coordinates.shape)
    uphill, step = structure.uphill(direction, n), 1e-6
    ahead, back = (structure.at(structure.coordinates + s * uphill) for s in (step, -step))
    change = (ahead.slope(n, given) - back.slope(n, given)) / (2 * step)
    assert_allclose(change, -direction, rtol=1e-4, atol=1e-4)


def test_distance_is_the_information_of_a_small_step(kind):
    structure, _ = build(kind)
    n = np.array([5.0, 8.0, 11.0])
    shape = structure.coordinates.shape
    step = 1e-5 * np.random.default_rng(4).normal(size=shape)
    other = structure.at(structure.coordinates + step)
    # ½ n ‖L⁻¹ Σ' L⁻ᵀ − I‖², densely
    expected = 0.0
    for m, mine, theirs in zip(n, structure.dense(), other.dense(), strict=True):
        white = np.linalg.inv(np.linalg.cholesky(mine))
        expected += 0.5 * m * np.square(white @ theirs @ white.T - np.eye(D)).sum()
    assert_allclose(structure.distance(other, n), expected, rtol=1e-3)
    assert structure.distance(structure, n) < 1e-20


# Factors


def test_cholesky_in_any_units():
    matrices = covariances(np.random.default_rng(0), K, D)
    unit = UNITS["wild"]
    found = cholesky(matrices * unit * unit[:, None]) / unit[:, None]
    assert_allclose(found, np.linalg.cholesky(matrices), rtol=1e-13)


SPOILT = {
    "zero": np.zeros((D, D)),
    "negative": -np.eye(D),
    "nan": np.full((D, D), np.nan),
    "indefinite": np.diag([1.0, 1.0, -1.0, 1.0]),
    "infinite": np.diag([1.0, 1.0, 1.0, np.inf]),
    "rank one": np.ones((D, D)),
}


@pytest.mark.parametrize(
    ("kind", "spoilt"),
    [*(("full", name) for name in SPOILT), *(("diagonal", name) for name in SPOILT if name != "rank one")],
)
def test_singular_components_are_named(kind, spoilt):
    matrices = covariances(np.random.default_rng(0), K, D)
    matrices[[0, 2]] = SPOILT[spoilt]
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    make = {"full": lambda: Full.from_covariances(matrices), "diagonal": lambda: Diagonal.from_variances(variances)}
    with pytest.raises(SingularError, match="component 0, 2") as caught:
        make[kind]()
    assert caught.value.components == (0, 2)
    assert isinstance(caught.value, ValueError)


def test_a_singular_shared_matrix_names_nobody():
    with pytest.raises(SingularError, match="the covariance matrix is not") as caught:
        Tied.from_covariance(np.ones((2, 2)), 3)
    assert caught.value.components == ()


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_lower_of_wide_factors(unit):
    factors = np.random.default_rng(0).normal(size=(K, D, 2 * D))
    lower = lower_of(factors * unit[:, None]) / unit[:, None]
    assert_array_equal(np.triu(lower, 1), np.zeros_like(lower))
    assert (np.diagonal(lower, axis1=1, axis2=2) > 0).all()
    assert_allclose(lower @ np.swapaxes(lower, 1, 2), factors @ np.swapaxes(factors, 1, 2), rtol=1e-12)


@pytest.mark.parametrize("shape", [(5, 4), (4, 4)])
def test_lower_of_dependent_rows(shape):
    with pytest.raises(SingularError, match="singular"):
        lower_of(np.ones(shape))


def test_the_kinds_are_those_of_the_statistics():
    assert tuple(build(kind)[0].kind for kind in KINDS) == KINDS


@pytest.mark.parametrize(("steps", "singular"), [(3, True), (20, False)])
def test_columns_that_differ_by_rounding_alone_are_singular(steps, singular):
    correlation = 1 - steps * np.finfo(np.float64).epsneg
    matrix = np.array([[1.0, correlation], [correlation, 1.0]])
    assert np.isfinite(np.linalg.cholesky(matrix)).all()  # LAPACK takes both
    if singular:
        with pytest.raises(SingularError):
            cholesky(matrix)
    else:
        assert_allclose(cholesky(matrix), np.linalg.cholesky(matrix))


def test_ratios_beyond_double_precision_are_infinite():
    structure = Full(np.diag([1e-83, 1.0])[None])
    assert_array_equal(structure.ratios(np.diag([1e175, 0.0])), [[0.0, np.inf]])
    assert_array_equal(structure.ratios(np.diag([0.0, 2.0])), [[0.0, 2.0]])
