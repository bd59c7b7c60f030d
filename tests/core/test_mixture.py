"""S3 to S11 and what else a mixture can do, against scipy.stats and brute force."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import logsumexp

from mixtura import Gaussian, Mixture
from mixtura.covariance.structure import Diagonal, Full, Tied


def component_pdfs(model, X):
    """N(x_n | μ_k, Σ_k) by scipy, (N, K)."""
    pairs = zip(model.means, model.covariances, strict=True)
    return np.column_stack([stats.multivariate_normal(m, c).pdf(X) for m, c in pairs])


def test_s3_density_is_the_weighted_sum(model, rows):
    expected = component_pdfs(model, rows) @ model.weights
    assert_allclose(model.pdf(rows), expected, rtol=1e-12)
    assert_allclose(model.logpdf(rows), np.log(expected), rtol=1e-12)


def test_s4_labels_are_drawn_with_the_rows(model):
    rows, labels = model.sample(500, 0, return_labels=True)
    assert labels.shape == (500,)
    assert set(labels) <= set(range(model.n_components))
    one_hot = np.eye(model.n_components)[labels]
    assert_allclose(model.log_joint(rows, one_hot), model.log_joint(rows, labels))


def test_s5_sample_is_independent_and_identically_distributed(model):
    rows, labels = model.sample(40_000, np.random.default_rng(1), return_labels=True)
    assert_allclose(rows.mean(0), model.mean, atol=0.05)
    assert_allclose(np.cov(rows.T), model.cov, rtol=0.05, atol=0.05)
    frequency = np.bincount(labels, minlength=model.n_components)
    assert stats.chisquare(frequency, model.weights * len(rows)).pvalue > 1e-4
    for k in range(model.n_components):
        assert_allclose(rows[labels == k].mean(0), model.means[k], atol=0.1)
        assert_allclose(np.cov(rows[labels == k].T), model.covariances[k], atol=0.15)
    # neighbours have nothing to do with one another
    assert_allclose(np.corrcoef(labels[1:], labels[:-1])[0, 1], 0, atol=0.02)


def test_s6_joint_is_prior_times_density(model, rows):
    expected = np.log(model.weights) + np.log(component_pdfs(model, rows))
    assert_allclose(model.log_joint(rows), expected, rtol=1e-12)


@pytest.mark.parametrize("weights", [[0.5, 0.6], [-0.1, 1.1], [0.5, np.nan], [[0.5, 0.5]], [], [0.2, 0.2]])
def test_s7_weights_must_be_a_probability_vector(weights):
    with pytest.raises(ValueError, match="weights"):
        Mixture(weights, [0.0, 1.0], [1.0, 1.0])


def test_s7_prior_of_the_label(model, rows):
    for k in range(model.n_components):
        z = np.zeros((len(rows), model.n_components))
        z[:, k] = 1
        prior = np.prod(model.weights**z, axis=1)
        given = np.prod(component_pdfs(model, rows) ** z, axis=1)
        assert_allclose(np.exp(model.log_joint(rows, z)), prior * given, rtol=1e-12)


def test_s8_density_given_the_label(model, rows):
    pdfs = component_pdfs(model, rows)
    for k in range(model.n_components):
        component = model.component(k)
        assert isinstance(component, Gaussian)
        assert_allclose(component.pdf(rows), pdfs[:, k], rtol=1e-12)
    assert model.component(-1) == model.component(model.n_components - 1)


def test_s9_summing_the_label_out_gives_s3(model, rows):
    assert_allclose(logsumexp(model.log_joint(rows), axis=1), model.logpdf(rows), rtol=1e-13)


def test_s10_responsibilities_by_bayes(model, rows):
    joint = model.weights * component_pdfs(model, rows)
    assert_allclose(model.responsibilities(rows), joint / joint.sum(1, keepdims=True), rtol=1e-10)
    assert_array_equal(model.predict(rows), joint.argmax(1))


def test_s10_where_every_density_underflows(model):
    far = np.array([[60.0, -70.0], [1e3, 1e3], [-1e8, 3.0]])
    share = model.responsibilities(far)
    assert_allclose(share.sum(1), 1, rtol=1e-14)
    joint = model.log_joint(far)
    assert_allclose(share, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)), rtol=1e-6)


@pytest.mark.parametrize("row", [[1e200, 0.0], [-1e200, 1e200], [1e308, -1e308], [np.inf, 0.0]])
def test_s10_beyond_the_range_of_squares(model, row):
    share = model.responsibilities([row])[0]
    assert share.sum() == 1
    assert sorted(share) == [0, 0, 1]
    assert model.logpdf([row])[0] == -np.inf
    assert model.pdf([row])[0] == 0


def test_far_rows_go_to_the_nearest_in_mahalanobis_distance():
    model = Mixture([0.5, 0.5], [[0, 0], [5, 0]], [np.eye(2), 4 * np.eye(2)])
    assert_array_equal(model.predict([[-1e200, 0], [1e200, 1e200]]), [1, 1])


def test_s11_loglikelihood(model, rows):
    weights = np.random.default_rng(0).exponential(size=len(rows))
    terms = np.log(component_pdfs(model, rows) @ model.weights)
    assert_allclose(model.loglik(rows), terms.sum(), rtol=1e-12)
    assert_allclose(model.loglik(rows, weights), weights @ terms, rtol=1e-12)
    assert isinstance(model.loglik(rows), float)


def test_s11_zero_weight_leaves_a_row_out_even_an_impossible_one(model, rows):
    more = np.vstack([rows, [[1e300, 0.0]]])
    assert_allclose(model.loglik(more, [*np.ones(len(rows)), 0]), model.loglik(rows), rtol=1e-13)


# Moments, and mixtures made of mixtures


def test_mean_and_covariance(model):
    second = sum(
        w * (c + np.outer(m, m)) for w, m, c in zip(model.weights, model.means, model.covariances, strict=True)
    )
    assert_allclose(model.mean, model.weights @ model.means, rtol=1e-14)
    assert_allclose(model.cov, second - np.outer(model.mean, model.mean), rtol=1e-10)


def test_covariance_far_from_the_origin(make):
    near = make()
    far = near.transform(1.0, 1e8)
    assert_allclose(far.cov, near.cov, rtol=1e-7)


def test_marginal(make, kind):
    model = make(kind, n_features=4)
    part = model.marginal([3, 1])
    X = np.random.default_rng(0).normal(size=(10, 2))
    index = np.ix_([3, 1], [3, 1])
    triples = zip(model.weights, model.means, model.covariances, strict=True)
    expected = sum(w * stats.multivariate_normal(m[[3, 1]], c[index]).pdf(X) for w, m, c in triples)
    assert part.structure.kind == kind
    assert_allclose(part.pdf(X), expected, rtol=1e-12)


def test_condition_satisfies_the_product_rule(make, kind):
    model = make(kind, n_features=4)
    X = np.random.default_rng(0).normal(scale=2, size=(12, 4))
    for x in X:
        rest = model.condition({2: x[2], 0: x[0]})
        joint = rest.logpdf(x[[1, 3]]) + model.marginal([0, 2]).logpdf(x[[0, 2]])
        assert_allclose(joint, model.logpdf(x), rtol=1e-10)


def test_condition_far_outside(make, kind):
    rest = make(kind).condition({0: 1e200})
    assert_allclose(rest.weights.sum(), 1)
    assert np.isfinite(rest.means).all()


@pytest.mark.parametrize("shape", ["square", "fewer rows", "axes swapped"])
def test_transform_by_change_of_variables(make, kind, shape):
    model = make(kind, n_features=3)
    A = {
        "square": np.array([[2.0, 1.0, 0.0], [0.0, -1.0, 4.0], [1.0, 0.0, 1.0]]),
        "fewer rows": np.array([[1.0, -1.0, 0.5]]),
        "axes swapped": np.array([[0.0, -2.0, 0.0], [0.0, 0.0, 1e-3], [3.0, 0.0, 0.0]]),
    }[shape]
    b = np.arange(len(A))
    moved = model.transform(A, b)
    assert_allclose(moved.means, model.means @ A.T + b, rtol=1e-13)
    assert_allclose(moved.covariances, A @ model.covariances @ A.T, rtol=1e-12)
    if len(A) == 3:
        X = np.random.default_rng(0).normal(size=(10, 3))
        jacobian = np.log(abs(np.linalg.det(A)))
        assert_allclose(moved.logpdf(X @ A.T + b), model.logpdf(X) - jacobian, rtol=1e-10)


def test_transform_by_a_number(model, rows):
    moved = model.transform(-1e-6, 1.0)
    assert moved.structure.kind == model.structure.kind
    assert_allclose(moved.logpdf(-1e-6 * rows + 1.0), model.logpdf(rows) - 2 * np.log(1e-6), atol=1e-8)


def test_reorder(model, rows):
    turned = model.reorder([2, 0, 1])
    assert_allclose(turned.logpdf(rows), model.logpdf(rows), rtol=1e-14)
    assert_allclose(turned.responsibilities(rows), model.responsibilities(rows)[:, [2, 0, 1]], rtol=1e-13)


# What goes in


def test_one_dimension_takes_plain_vectors():
    model = Mixture([0.5, 0.5], [0.0, 4.0], [1.0, 2.0])
    x = [0.0, 1.0, 5.0]
    assert model.logpdf(x).shape == (3,)
    assert_allclose(model.logpdf(x), model.logpdf(np.array(x)[:, None]))
    assert model.log_joint(x).shape == model.responsibilities(x).shape == (3, 2)
    assert np.shape(model.logpdf(1.0)) == ()
    assert model.responsibilities(1.0).shape == (2,)
    same = Mixture([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[2.0]]])
    assert model == same


def test_several_dimensions_take_a_single_row(model):
    x = [0.5, -0.5]
    assert np.shape(model.logpdf(x)) == np.shape(model.predict(x)) == ()
    assert model.log_joint(x).shape == model.responsibilities(x).shape == (3,)
    assert_allclose(model.logpdf(x), model.logpdf([x])[0])
    assert model.loglik(x) == model.logpdf(x)
    assert np.shape(model.log_joint(x, 2)) == np.shape(model.log_joint(x, [0, 0, 1])) == ()
    assert model.log_joint(x, 2) == model.log_joint(x, [0, 0, 1]) == model.log_joint(x)[2]


def test_no_rows(model):
    none = np.empty((0, 2))
    assert model.logpdf(none).shape == model.predict(none).shape == (0,)
    assert model.responsibilities(none).shape == (0, 3)
    assert model.loglik(none) == 0
    assert model.sample(0).shape == (0, 2)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.int64, np.float16, np.float32, ">f8"])
def test_numbers_of_any_type(model, dtype):
    rows = np.array([[100, 3], [0, 7], [5, 100]])
    assert_allclose(model.logpdf(rows.astype(dtype)), model.logpdf(rows.astype(float)), rtol=1e-14)


def test_booleans_and_lists(model):
    assert_allclose(model.logpdf([[True, False]]), model.logpdf([[1.0, 0.0]]))


def test_float32_rows_far_from_the_origin(make, kind):
    model = make(kind, n_components=1).transform(1.0, 1e3)
    rows = model.sample(100, 0)
    assert_allclose(model.logpdf(rows.astype(np.float32)), model.logpdf(rows), rtol=1e-3)


def test_a_missing_number_gives_a_missing_density(model):
    rows = [[0.0, np.nan], [0.0, 0.0]]
    assert_array_equal(np.isnan(model.logpdf(rows)), [True, False])
    assert_array_equal(np.isnan(model.responsibilities(rows)[:, 0]), [True, False])
    assert_array_equal(np.isnan(model.log_joint(rows)[:, 0]), [True, False])
    with pytest.raises(ValueError, match="row 0 has a NaN"):
        model.predict(rows)


def test_empty_components_are_harmless(rows):
    with_empty = Mixture([0.4, 0.0, 0.6], [[0, 0], [1, 1], [2, 2]], [np.eye(2)] * 3)
    without = Mixture([0.4, 0.6], [[0, 0], [2, 2]], [np.eye(2)] * 2)
    assert_allclose(with_empty.logpdf(rows), without.logpdf(rows), rtol=1e-14)
    assert (with_empty.responsibilities([*rows, [1e200, 1e200]])[:, 1] == 0).all()
    assert 1 not in with_empty.sample(1000, 0, return_labels=True)[1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.logpdf([[1.0, 2.0, 3.0]]), ValueError, r"shape \(N, 2\)"),
        (lambda m: m.logpdf([1.0, 2.0, 3.0]), ValueError, r"shape \(N, 2\)"),
        (lambda m: m.logpdf(np.zeros((2, 2, 2))), ValueError, r"shape \(N, 2\)"),
        (lambda m: m.logpdf([["a", "b"]]), TypeError, "real numbers"),
        (lambda m: m.logpdf([[1j, 2]]), TypeError, "real numbers"),
        (lambda m: m.loglik([[0, 0]], [1, 2]), ValueError, "sample_weight"),
        (lambda m: m.loglik([[0, 0]], [-1]), ValueError, "row 0"),
        (lambda m: m.loglik([[0, 0]], [np.nan]), ValueError, "row 0"),
        (lambda m: m.sample(-1), ValueError, "-1 rows"),
        (lambda m: m.sample(1, "seed"), ValueError, "seed"),
        (lambda m: m.component(3), IndexError, "0 to 2"),
        (lambda m: m.marginal([]), ValueError, "one or more"),
        (lambda m: m.marginal([0, 0]), ValueError, "different"),
        (lambda m: m.marginal(2), ValueError, "no column 2"),
        (lambda m: m.marginal("a"), ValueError, "no column 'a'"),
        (lambda m: m.condition({}), ValueError, "one or more"),
        (lambda m: m.condition({0: 1, 1: 2}), ValueError, "nothing remains"),
        (lambda m: m.condition({0: np.nan}), ValueError, "finite"),
        (lambda m: m.transform(np.eye(3)), ValueError, r"shape \(M, 2\)"),
        (lambda m: m.transform(0.0), ValueError, "singular"),
        (lambda m: m.transform([[1, 1], [2, 2]]), ValueError, "singular"),
        (lambda m: m.transform(np.ones((3, 2))), ValueError, "singular"),
        (lambda m: m.reorder([0, 1]), ValueError, "order"),
        (lambda m: m.log_joint([[0, 0]], [3]), ValueError, "numbered 0 to 2"),
        (lambda m: m.log_joint([[0, 0]], [-1]), ValueError, "numbered 0 to 2"),
        (lambda m: m.log_joint([[0, 0]], [0, 1]), ValueError, "labels must be"),
        (lambda m: m.log_joint([[0, 0]], [0.5]), ValueError, "labels must be"),
        (lambda m: m.log_joint([[0, 0]], [[1, 1, 0]]), ValueError, "one-hot"),
        (lambda m: m.log_joint([[0, 0]], [[0.5, 0.5, 0]]), ValueError, "one-hot"),
    ],
)
def test_wrong_arguments(model, call, error, message):
    with pytest.raises(error, match=message):
        call(model)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], np.zeros((1, 2, 2)), np.eye(2)), "means must have shape"),
        (([1.0], np.zeros((1, 0)), np.eye(2)), "means must have shape"),
        (([0.5, 0.5], [[0, 0]], [np.eye(2)]), "2 weights but 1 means"),
        (([0.5, 0.5], [[0, 0], [np.inf, 0]], [np.eye(2)] * 2), "component 1 are not finite"),
        (([1.0], [[0, 0]], np.eye(2)), r"\(1, 2, 2\)"),
        (([0.5, 0.5], [[0, 0], [1, 1]], [np.eye(2), [[1, 2], [2, 1]]]), "component 1 is not positive definite"),
        (([0.5, 0.5], [[0, 0], [1, 1]], [np.eye(2), [[1, 0.5], [0.4, 1]]]), "component 1 is not symmetric"),
        (([1.0], [[0, 0]], Diagonal(np.ones((1, 3)))), "D = 3"),
        (([1.0], [[0, 0]], Tied(np.eye(2), 2)), "K = 2"),
    ],
)
def test_wrong_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(*arguments)


@pytest.mark.parametrize("columns", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_wrong_names(columns):
    with pytest.raises(ValueError, match="2 different names"):
        Mixture([1.0], [[0, 0]], [np.eye(2)], columns=columns)


def test_names_serve_as_columns():
    model = Mixture([1.0], [[1, 2, 3]], [np.diag([1.0, 4.0, 9.0])], columns=["x", "y", "z"])
    assert model.marginal(["z", "x"]) == model.marginal([2, 0])
    assert model.marginal("y").columns == ("y",)
    assert model.condition({"y": 1.0}).columns == ("x", "z")
    assert model.condition({"y": 1.0}) == model.condition({1: 1.0})
    assert model.component(0).columns == model.transform(2.0).columns == ("x", "y", "z")
    assert model.transform(np.ones((1, 3))).columns is None
    with pytest.raises(ValueError, match="its columns are x, y, z"):
        model.marginal("w")


# Samples


def test_two_calls_differ_and_one_seed_repeats(model):
    generator = np.random.default_rng(0)
    assert not np.array_equal(model.sample(5, generator), model.sample(5, generator))
    assert not np.array_equal(model.sample(5), model.sample(5))
    assert_array_equal(model.sample(5, 3), model.sample(5, 3))
    assert_array_equal(model.rvs(5, 3), model.sample(5, 3))
    legacy = np.random.RandomState(0)
    assert not np.array_equal(model.sample(5, legacy), model.sample(5, legacy))


def test_sampling_leaves_the_global_state_alone(model):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    model.sample(10)
    assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# A value


def test_nothing_can_be_changed(model):
    for name in ("weights", "means", "structure", "columns", "anything"):
        with pytest.raises(AttributeError, match="cannot be changed"):
            setattr(model, name, None)
    with pytest.raises(AttributeError, match="cannot be changed"):
        del model.weights
    for owner in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        arrays = owner.weights, owner.means, owner.covariances, owner.cholesky
        for array in (*arrays, *owner.structure.parameters().values()):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_arguments_are_copied():
    weights, means, matrices = np.array([0.5, 0.5]), np.zeros((2, 1)), np.ones((2, 1, 1))
    model = Mixture(weights, means, matrices)
    weights[0], means[0], matrices[0] = 9, 9, 9
    assert model == Mixture([0.5, 0.5], [0, 0], [1, 1])


def test_equality_and_hash(model, make, kind):
    twin = make(kind)
    assert model == twin
    assert hash(model) == hash(twin)
    assert len({model, twin, make(kind, seed=1)}) == 2
    assert model != model.reorder([1, 0, 2])
    assert model != Mixture(model.weights, model.means, model.structure, columns=["a", "b"])
    assert model != "a mixture"


def test_equal_mixtures_have_equal_hashes_whatever_the_sign_of_zero():
    one, other = Mixture([1.0], [0.0], [1.0]), Mixture([1.0], [-0.0], [1.0])
    assert one == other
    assert hash(one) == hash(other)


def test_structures_of_different_kinds_differ():
    assert Mixture([1.0], [[0, 0]], Full(np.eye(2)[None])) != Mixture([1.0], [[0, 0]], Tied(np.eye(2), 1))


def test_copies_are_equal_to_the_bit(model, rows):
    model = Mixture(model.weights, model.means, model.structure, columns=["a", "b"])
    for twin in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert twin == model
        assert twin.columns == ("a", "b")
        assert_array_equal(twin.logpdf(rows), model.logpdf(rows))


def test_repr(make):
    assert repr(make("tied", 3, 2)) == "<Mixture of 3 Gaussians in 2 columns, tied covariance>"


def test_rows_beyond_one_block(make):
    model = make()
    rows = np.random.default_rng(0).normal(size=(20_000, 2))
    assert_allclose(model.logpdf(rows)[[0, 8191, 8192, -1]], model.logpdf(rows[[0, 8191, 8192, -1]]), rtol=1e-13)
    assert_allclose(model.log_joint(rows)[[8192, -1]], model.log_joint(rows[[8192, -1]]), rtol=1e-13)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_of_a_frame_are_taken_by_name(library):
    model = Mixture([0.4, 0.6], [[0, 10], [3, 20]], [np.eye(2), 2 * np.eye(2)], columns=["a", "b"])
    values = {"text": ["x", "y"], "b": [11.0, 19.0], "a": [0.5, 2.0]}
    module = pytest.importorskip(library)
    frame = module.table(values) if library == "pyarrow" else module.DataFrame(values)
    rows = np.column_stack([values["a"], values["b"]])
    assert_array_equal(model.logpdf(frame), model.logpdf(rows))
    assert_array_equal(model.predict(frame), model.predict(rows))
    assert model.loglik(frame) == model.loglik(rows)
    with pytest.raises(ValueError, match="'b'"):
        model.logpdf(frame.drop(columns="b") if library == "pandas" else frame.select(["a", "text"]))
