"""What may be fitted: types of numbers, tables of other libraries, row weights, columns in any unit."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mixtura import GaussianMixture
from mixtura.covariance import registry

NAMES = ["eruptions", "waiting"]


class OnlyStream:
    """A table that offers the Arrow C stream and nothing else."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


FRAMES = {
    "pandas": lambda X, names: pd.DataFrame(X, columns=names),
    "polars": lambda X, names: pl.DataFrame(X, schema=names),
    "pyarrow": lambda X, names: pa.table(list(X.T), names=names),
    "stream": lambda X, names: OnlyStream(pa.table(list(X.T), names=names)),
}


def same_fit(a, b, **tolerance):
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), **tolerance)


# Row weights


def test_integer_weights_are_repetitions_in_any_order(family, blobs):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, len(blobs))
    repeated = rng.permutation(np.repeat(blobs, weights, axis=0))
    model = GaussianMixture(3, covariance_type=family, random_state=0)
    weighted = model.fit(blobs, sample_weight=weights)
    other = GaussianMixture(3, covariance_type=family, random_state=0).fit(repeated)
    same_fit(weighted, other, rtol=1e-9, atol=1e-12)
    for measure in ("score", "bic", "aic", "icl"):
        a = getattr(weighted, measure)(blobs, sample_weight=weights)
        assert a == pytest.approx(getattr(other, measure)(repeated), rel=1e-12)


def test_a_row_of_weight_zero_is_absent(family, faithful):
    garbage = np.vstack([faithful, [[1e6, -1e6], [0.0, 1e9]]])
    weights = np.r_[np.ones(len(faithful)), 0, 0]
    with_it = GaussianMixture(2, covariance_type=family, random_state=1).fit(garbage, sample_weight=weights)
    without = GaussianMixture(2, covariance_type=family, random_state=1).fit(faithful)
    same_fit(with_it, without, rtol=1e-9)
    assert with_it.score(garbage, sample_weight=weights) == pytest.approx(without.lower_bound_, rel=1e-12)
    assert with_it.n_features_in_ == 2


def test_fit_predict_takes_weights(faithful):
    weights = np.linspace(0.1, 3, len(faithful))
    model = GaussianMixture(2, random_state=0)
    labels = model.fit_predict(faithful, sample_weight=weights)
    np.testing.assert_array_equal(labels, model.predict(faithful))
    assert model.lower_bound_ == pytest.approx(model.score(faithful, sample_weight=weights), rel=1e-12)
    assert model.lower_bound_ != pytest.approx(model.score(faithful), rel=1e-3)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0, 2.0], "2 entries for 272 rows"),
        (np.full(272, -1.0), "must not be negative"),
        (np.zeros(272), "zero in every row"),
        (np.r_[np.nan, np.ones(271)], "NaN"),
        (np.ones((272, 2)), "must be 1-D"),
    ],
)
def test_impossible_weights_are_refused_everywhere(weights, words, faithful):
    with pytest.raises(ValueError, match=words):
        GaussianMixture().fit(faithful, sample_weight=weights)
    model = GaussianMixture().fit(faithful)
    for measure in (model.score, model.bic, model.aic, model.icl):
        with pytest.raises(ValueError, match=words):
            measure(faithful, sample_weight=weights)


def test_rows_of_positive_weight_must_do_for_the_components(faithful):
    with pytest.raises(ValueError, match=r"n_components = 3, n_samples = 2 \(rows of positive weight\)"):
        GaussianMixture(3).fit(faithful, sample_weight=np.r_[1, 1, np.zeros(270)])


# Types of numbers


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16, bool])
def test_whole_numbers_give_the_same_numbers_as_their_float_copies(kind, family):
    rng = np.random.default_rng(3)
    high = 2 if kind is bool else 40
    X = (rng.integers(0, high, (120, 3)) // np.repeat([[3], [1]], [50, 70], axis=0)).astype(kind)
    floats = X.astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zeros and ones collapse, and are reported
        a = GaussianMixture(2, covariance_type=family, random_state=0).fit(X)
        b = GaussianMixture(2, covariance_type=family, random_state=0).fit(floats)
    assert a.mixture_ == b.mixture_
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(a, method)(X), getattr(b, method)(floats))
    for measure in ("score", "bic", "aic", "icl"):
        assert getattr(a, measure)(X) == getattr(b, measure)(floats)


def test_float32_rows_make_float32_views_of_a_float64_mixture(family, faithful):
    model = GaussianMixture(2, covariance_type=family, random_state=0).fit(faithful.astype(np.float32))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(model, name).dtype == np.float32
    assert model.mixture_.means.dtype == np.float64
    assert model.predict_proba(faithful.astype(np.float32)).dtype == np.float32
    assert model.score_samples(faithful.astype(np.float32)).dtype == np.float32
    assert model.score_samples(faithful).dtype == np.float64
    double = GaussianMixture(2, covariance_type=family, random_state=0).fit(faithful)
    assert double.means_.dtype == np.float64
    same_fit(model, double, rtol=1e-4)


def test_memory_order_does_not_matter(family, faithful):
    a = GaussianMixture(2, covariance_type=family, random_state=0).fit(np.asfortranarray(faithful))
    b = GaussianMixture(2, covariance_type=family, random_state=0).fit(faithful[::-1][::-1])
    same_fit(a, b, rtol=1e-12)


# Where the columns lie and how they are measured


@pytest.mark.parametrize(
    ("unit", "shift"), [((1, 1, 1), (1e8, -1e8, 1e8)), ((1e-6, 1e6, 1), (0, 0, 0)), ((1e-6, 1e6, 1), (1e2, 1e14, -1e8))]
)
def test_shift_and_unit_of_the_columns_move_the_fit_with_them(family, unit, shift, blobs):
    if registry.get(family).maps == "rotations" and len(set(unit)) > 1:
        pytest.skip("the family depends on the units of the columns")
    plain = GaussianMixture(3, covariance_type=family, random_state=0).fit(blobs)
    moved = GaussianMixture(3, covariance_type=family, random_state=0).fit(blobs * unit + shift)
    np.testing.assert_array_equal(moved.predict(blobs * unit + shift), plain.predict(blobs))
    np.testing.assert_allclose(moved.weights_, plain.weights_, atol=1e-6)
    spread = blobs.std(0) * unit
    np.testing.assert_allclose((moved.means_ - shift - plain.means_ * unit) / spread, 0, atol=1e-6)
    scaled = plain.mixture_.covariances * np.multiply.outer(unit, unit)
    np.testing.assert_allclose((moved.mixture_.covariances - scaled) / np.multiply.outer(spread, spread), 0, atol=1e-6)


def test_float32_far_from_the_origin(family, blobs):
    plain = GaussianMixture(3, covariance_type=family, random_state=0).fit(blobs)
    far = (blobs + 1e3).astype(np.float32)
    moved = GaussianMixture(3, covariance_type=family, random_state=0).fit(far)
    np.testing.assert_allclose(moved.mixture_.means - 1e3, plain.means_, atol=1e-3)
    np.testing.assert_allclose(moved.covariances_, plain.covariances_, atol=1e-3)
    assert moved.score(far) == pytest.approx(plain.score(blobs), abs=1e-3)


def test_one_component_is_the_sample_mean_and_covariance(iris):
    full = GaussianMixture().fit(iris)
    np.testing.assert_allclose(full.means_[0], iris.mean(0), rtol=1e-12)
    np.testing.assert_allclose(full.covariances_[0], np.cov(iris.T, bias=True), rtol=1e-9, atol=1e-12)
    tied = GaussianMixture(covariance_type="tied").fit(iris)
    np.testing.assert_allclose(tied.covariances_, full.covariances_[0], rtol=1e-9, atol=1e-12)
    diag = GaussianMixture(covariance_type="diag").fit(iris)
    np.testing.assert_allclose(diag.covariances_[0], iris.var(0), rtol=1e-9)
    spherical = GaussianMixture(covariance_type="spherical").fit(iris)
    np.testing.assert_allclose(spherical.covariances_[0], iris.var(0).mean(), rtol=1e-9)


# Tables of other libraries


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_any_frame_is_fitted_and_its_names_are_kept(frame, faithful):
    model = GaussianMixture(2, random_state=0).fit(frame(faithful, NAMES))
    assert model.feature_names_in_.tolist() == NAMES
    assert model.mixture_.columns == tuple(NAMES)
    same_fit(model, GaussianMixture(2, random_state=0).fit(faithful), rtol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (model.predict(frame(faithful[:5], NAMES)) == model.mixture_.predict(faithful[:5])).all()
    with pytest.raises(ValueError, match=r"The feature names should match.*\n.*unseen at fit time:\n- hours\n"):
        model.predict(frame(faithful, ["eruptions", "hours"]))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- hours\n.*yet now missing:\n- waiting\n"):
        model.score(frame(faithful, ["eruptions", "hours"]))
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        model.predict_proba(frame(faithful[:, ::-1], NAMES[::-1]))


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_float32_frames_stay_float32(frame, faithful):
    model = GaussianMixture(2, random_state=0).fit(frame(faithful.astype(np.float32), NAMES))
    assert model.means_.dtype == np.float32


def test_names_on_one_side_only_are_warned_about(faithful):
    frame = pd.DataFrame(faithful, columns=NAMES)
    named, unnamed = GaussianMixture().fit(frame), GaussianMixture().fit(faithful)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but GaussianMixture was fitted with"):
        named.predict(faithful)
    with pytest.warns(UserWarning, match="X has feature names, but GaussianMixture was fitted without"):
        unnamed.predict(frame)
    assert not hasattr(unnamed, "feature_names_in_")
    named.fit(faithful)
    assert not hasattr(named, "feature_names_in_")


def test_column_of_a_frame_is_a_table_of_one_column(faithful):
    frame = pd.DataFrame(faithful, columns=NAMES)
    model = GaussianMixture(2, random_state=0).fit(frame["waiting"])
    assert model.feature_names_in_.tolist() == ["waiting"]
    same_fit(model, GaussianMixture(2, random_state=0).fit(faithful[:, [1]]), rtol=1e-9)
    assert GaussianMixture(2, random_state=0).fit(pl.Series("waiting", faithful[:, 1])).n_features_in_ == 1


@pytest.mark.parametrize("lone", [np.arange(9.0), list(range(9)), (1.0, 2.0, 4.0)], ids=type)
def test_array_of_one_dimension_is_refused_with_the_way_out(lone, faithful):
    with pytest.raises(ValueError, match=r"Expected 2D array, got 1D.*\n.*\n?.*Reshape your data.*reshape\(-1, 1\)"):
        GaussianMixture().fit(lone)
    with pytest.raises(ValueError, match="Reshape your data"):
        GaussianMixture().fit(faithful).predict(lone)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (np.empty((0, 2)), "0 sample"),
        (np.empty((5, 0)), "0 feature"),
        (np.ones((1, 2)), "minimum of 2 is required"),
        (np.ones((4, 2, 2)), "3 dimensions"),
        (np.full((5, 2), np.inf), "infinity in row 0, column 0"),
        ([[1.0, 2.0], [3.0, np.nan]], "NaN .* in row 1, column 1"),
        ([["a", "b"], ["c", "d"]], "text"),
        (np.ones((5, 2)) * 1j, "Complex"),
        (np.ma.masked_greater(np.arange(8.0).reshape(4, 2), 6), "masked"),
        ([[1.0, 2.0], [3.0]], "ragged"),
    ],
)
def test_what_is_no_table_of_finite_numbers_is_refused(table, words):
    with pytest.raises(ValueError, match=words):
        GaussianMixture().fit(table)


def test_another_number_of_columns_is_refused(faithful):
    model = GaussianMixture().fit(faithful)
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 2 features as input"):
        model.predict(np.ones((4, 3)))


def test_fewer_rows_than_components_names_both_numbers():
    with pytest.raises(ValueError, match=r"n_components = 3, n_samples = 2$"):
        GaussianMixture(3).fit([[0.0, 1.0], [2.0, 3.0]])
