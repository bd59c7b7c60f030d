"""What a fitted estimator says: parameters in scikit-learn's shapes, criteria, samples, and how the fit ended."""

import warnings
from contextlib import redirect_stdout

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import mixtura
from mixtura import Fixed, GaussianMixture, Status
from mixtura.covariance import registry

VIEWS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


@pytest.fixture
def model(family, blobs):
    return GaussianMixture(3, covariance_type=family, random_state=0).fit(blobs)


# Parameters


def test_parameters_have_the_shapes_of_scikit_learn(model, family):
    shape = {"full": (3, 3, 3), "tied": (3, 3), "diagonal": (3, 3)}[registry.get(family).kind]
    if family in ("spherical", "eii"):
        shape = (3,)
    assert model.weights_.shape == (3,)
    assert model.means_.shape == (3, 3)
    for name in ("covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(model, name).shape == shape


def test_precisions_invert_the_covariances_and_their_roots_are_upper_triangular(model, family):
    root, precision, covariance = model.precisions_cholesky_, model.precisions_, model.covariances_
    if registry.get(family).kind != "diagonal":
        np.testing.assert_allclose(precision @ covariance, np.broadcast_to(np.eye(3), precision.shape), atol=1e-10)
        np.testing.assert_allclose(root @ np.swapaxes(root, -1, -2), precision, rtol=1e-10)
        assert not np.tril(root, -1).any()
    else:
        np.testing.assert_allclose(precision * covariance, 1, rtol=1e-12)
        np.testing.assert_allclose(root**2, precision, rtol=1e-12)


def test_views_are_of_the_mixture_and_cannot_be_written_to(model):
    np.testing.assert_array_equal(model.means_, model.mixture_.means)
    for name in VIEWS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(model, name)[0] = 0
        with pytest.raises(AttributeError):
            setattr(model, name, None)


def test_views_do_not_exist_before_a_fit():
    model = GaussianMixture()
    assert not any(hasattr(model, name) for name in (*VIEWS, "converged_", "n_features_in_", "feature_names_in_"))


@pytest.mark.parametrize("name", ["VVV", "EEE", "VVI", "VII", "vvv", "Full"])
def test_families_go_by_their_other_names_too(name, blobs):
    model = GaussianMixture(2, covariance_type=name, random_state=0).fit(blobs)
    usual = GaussianMixture(2, covariance_type=registry.get(name).name, random_state=0).fit(blobs)
    assert model.mixture_ == usual.mixture_
    assert model.covariances_.shape == usual.covariances_.shape


# Densities and criteria


def test_densities_are_those_of_scipy(model, blobs):
    mixture = model.mixture_
    density = sum(
        w * stats.multivariate_normal(m, c).pdf(blobs)
        for w, m, c in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    )
    np.testing.assert_allclose(model.score_samples(blobs), np.log(density), rtol=1e-9)
    assert model.score(blobs) == pytest.approx(np.log(density).mean(), rel=1e-12)
    share = model.predict_proba(blobs)
    np.testing.assert_allclose(share.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(blobs), share.argmax(1))


#: Of three components in three columns.
N_PARAMETERS = {
    "full": 29,
    "tied": 17,
    "diag": 20,
    "spherical": 14,
    "eii": 12,
    "eei": 14,
    "vei": 16,
    "evi": 18,
    "vee": 19,
    "eve": 21,
    "vve": 23,
    "eev": 23,
    "vev": 25,
    "evv": 27,
}


def test_criteria_follow_from_the_log_likelihood(model, family, blobs):
    n, k = len(blobs), N_PARAMETERS[family]
    loglik = model.score(blobs) * n
    assert model.bic(blobs) == pytest.approx(-2 * loglik + k * np.log(n), rel=1e-12)
    assert model.aic(blobs) == pytest.approx(-2 * loglik + 2 * k, rel=1e-12)
    unsure = -2 * np.log(model.predict_proba(blobs).max(1)).sum()
    assert model.icl(blobs) == pytest.approx(model.bic(blobs) + unsure, rel=1e-12)
    assert unsure > 0


def test_criteria_agree_with_the_one_line_function(family, blobs):
    result = mixtura.fit(blobs, n_components=3, covariance=family, random_state=0)
    model = GaussianMixture(3, covariance_type=family, init_params=result.model).fit(blobs)
    for name in ("bic", "aic"):
        assert getattr(model, name)(blobs) == pytest.approx(getattr(result.best, name), rel=1e-6)


def test_weights_enter_bic_as_the_number_of_rows(model, blobs):
    weights = np.full(len(blobs), 2.0)
    twice = np.repeat(blobs, 2, axis=0)
    for name in ("bic", "aic", "icl"):
        assert getattr(model, name)(blobs, sample_weight=weights) == pytest.approx(getattr(model, name)(twice))
    assert model.score(blobs, sample_weight=weights) == pytest.approx(model.score(blobs))


def test_lower_bound_is_that_of_the_fitted_parameters(model, blobs):
    assert model.lower_bound_ == pytest.approx(model.score(blobs), rel=1e-12)
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert (np.diff([step.objective for step in model.trace_]) >= -1e-9).all()
    assert len(model.lower_bounds_) == len(model.trace_)


def test_what_was_measured_at_the_end(model):
    assert model.converged_
    assert model.status_ is Status.CONVERGED
    assert 0 <= model.gap_ < model.tol
    assert 0 <= model.gradient_norm_ < 1e-2
    assert model.notes_ == ()
    assert 1 <= model.n_iter_ <= model.max_iter


def test_far_rows_have_finite_probabilities(model):
    far = np.array([[1e200, 0, 0], [-1e250, 1e300, 1.0]])
    assert np.isfinite(model.predict_proba(far)).all()
    np.testing.assert_allclose(model.predict_proba(far).sum(1), 1)


def test_nothing_works_before_a_fit(blobs):
    model = GaussianMixture()
    for method in ("predict", "predict_proba", "score_samples", "score", "bic", "aic", "icl"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(blobs)
    with pytest.raises(NotFittedError):
        model.sample()


# Samples


def test_first_sample_after_a_fit_is_reproducible_and_the_next_differs(blobs):
    draws = []
    for _ in range(2):
        model = GaussianMixture(3, random_state=4).fit(blobs)
        draws.append((model.sample(7)[0], model.sample(7)[0]))
    np.testing.assert_array_equal(draws[0][0], draws[1][0])
    np.testing.assert_array_equal(draws[0][1], draws[1][1])
    assert not np.array_equal(draws[0][0], draws[0][1])


def test_sample_takes_a_generator_of_any_kind(model):
    for seed in (3, np.int64(3)):
        np.testing.assert_array_equal(model.sample(5, seed)[0], model.sample(5, np.random.default_rng(3))[0])
    generator = np.random.default_rng(3)
    assert not np.array_equal(model.sample(5, generator)[0], model.sample(5, generator)[0])
    legacy = [model.sample(5, np.random.RandomState(3))[0] for _ in range(2)]
    np.testing.assert_array_equal(*legacy)


def test_samples_are_of_the_mixture_and_come_mixed(model):
    X, y = model.sample(20_000, 1)
    assert X.shape == (20_000, 3)
    assert y.shape == (20_000,)
    assert (np.diff(y) != 0).mean() > 0.5  # rows of different components lie side by side
    np.testing.assert_allclose(np.bincount(y) / len(y), model.weights_, atol=0.02)
    np.testing.assert_allclose(X.mean(0), model.mixture_.mean, atol=0.1)
    np.testing.assert_allclose(np.cov(X[y == 2].T), model.mixture_.covariances[2], atol=0.15)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
def test_number_of_rows_to_sample_must_be_a_whole_number_from_one(n, blobs):
    with pytest.raises(ValueError, match=f"Invalid value for 'n_samples': {n!r}"):
        GaussianMixture().fit(blobs).sample(n)


# Parameters of the constructor

WRONG = [
    ("n_components", [0, -1, 1.5, "2", None, True, np.bool_(True)]),
    ("covariance_type", ["fully", 3, None]),
    ("tol", [-1e-9, np.inf, np.nan, "1"]),
    ("reg_covar", [-1e-9, np.inf, np.nan, "1"]),
    ("max_iter", [0, 2.0, True]),
    ("n_init", [0, 2.0, True]),
    ("init_params", ["k-means", 7, None]),
    ("random_state", [-1, 1.5, "x"]),
    ("warm_start", ["yes", 2]),
    ("verbose", [-1, "loud"]),
    ("verbose_interval", [0, True]),
    ("n_threads", [0, 1.5, True]),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG for value in values])
def test_impossible_parameters_are_refused_by_name(name, value, blobs):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of GaussianMixture"):
        GaussianMixture(**{name: value}).fit(blobs)


@pytest.mark.parametrize("k", [2, np.int32(2), np.uint8(2)])
def test_whole_numbers_of_numpy_will_do(k, blobs):
    assert GaussianMixture(k, n_init=k, max_iter=np.int64(50), random_state=0).fit(blobs).weights_.shape == (2,)


def printed(**parameters):
    """What a fit prints."""

    def observe(X):
        class Page(list):
            write = list.append

            def flush(self):
                pass

        page = Page()
        with redirect_stdout(page):
            GaussianMixture(3, random_state=0, **parameters).fit(X)
        return "".join(page).count("\n")

    return observe


def found(name, **parameters):
    """An attribute of a fit."""

    def observe(X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            settings = {"n_components": 3, "covariance_type": "diag", "random_state": 0, **parameters}
            return np.asarray(getattr(GaussianMixture(**settings).fit(X), name))

    return observe


def second_fit(**parameters):
    """Passes of a second fit to the same rows."""
    return lambda X: GaussianMixture(3, random_state=0, **parameters).fit(X).fit(X).n_iter_


EFFECTS = {
    "n_components": (found("weights_", n_components=2), found("weights_")),
    "covariance_type": (found("lower_bound_", covariance_type="tied"), found("lower_bound_")),
    "tol": (found("gap_", tol=1e-12), found("gap_")),
    "reg_covar": (found("covariances_", reg_covar=0.1), found("covariances_")),
    "max_iter": (found("converged_", max_iter=2), found("converged_")),
    "n_init": (found("lower_bound_", n_init=1, n_components=8), found("lower_bound_", n_components=8)),
    "init_params": (found("n_iter_", init_params="random"), found("n_iter_")),
    "weights_init": (found("trace_", weights_init=[0.98, 0.01, 0.01]), found("trace_")),
    "means_init": (found("means_", means_init=[[4, 1, -2], [0, 0, 0], [1, 5, 3]]), found("means_")),
    "precisions_init": (found("n_iter_", precisions_init=np.full((3, 3), 0.01)), found("n_iter_")),
    "noise": (found("weights_", noise=True), found("weights_")),
    "prior": (found("covariances_", prior="conjugate"), found("covariances_")),
    "fixed": (found("weights_", fixed=Fixed("equal")), found("weights_")),
    "random_state": (
        found("trace_", random_state=1, init_params="k-means++", n_init=1),
        found("trace_", init_params="k-means++", n_init=1),
    ),
    "warm_start": (second_fit(warm_start=True), second_fit()),
    "verbose": (printed(verbose=1), printed()),
    "verbose_interval": (printed(verbose=2, verbose_interval=1), printed(verbose=2)),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_every_parameter_changes_something(name, blobs):
    changed, usual = (observe(blobs) for observe in EFFECTS[name])
    assert np.shape(changed) != np.shape(usual) or not np.array_equal(changed, usual)


def test_no_parameter_was_forgotten():
    assert set(EFFECTS) | {"n_threads"} == set(GaussianMixture().get_params())


def test_bits_do_not_depend_on_the_number_of_threads(family):
    rng = np.random.default_rng(2)
    X = np.vstack([rng.normal(size=(25_000, 2)), rng.normal(size=(25_000, 2)) * [0.5, 2] + 3])
    one, three = (
        GaussianMixture(2, covariance_type=family, random_state=0, n_init=1, tol=1e-3, n_threads=n).fit(X)
        for n in (1, 3)
    )
    assert one.mixture_ == three.mixture_
    assert one.lower_bound_ == three.lower_bound_


def test_same_seed_same_bits_whatever_carries_it(blobs):
    def fit(random_state):
        return GaussianMixture(3, random_state=random_state).fit(blobs).mixture_

    assert fit(5) == fit(5)
    assert fit(np.random.default_rng(5)) == fit(np.random.default_rng(5)) == fit(5)
    assert fit(np.random.RandomState(5)) == fit(np.random.RandomState(5))


# How a fit ends


def test_fit_that_did_not_converge_warns_with_the_remedy(blobs):
    with pytest.warns(ConvergenceWarning, match=r"did not converge.*raise max_iter") as caught:
        model = GaussianMixture(3, max_iter=2, random_state=0).fit(blobs)
    assert caught[0].filename == __file__
    assert not model.converged_
    assert model.status_ is Status.MAX_ITER
    assert model.n_iter_ <= 2


def test_fit_that_converged_is_silent(blobs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixture(3, random_state=0).fit(blobs)


def test_collapsed_component_is_warned_about_and_noted(family):
    X = np.repeat([[0.0, 1.0], [5.0, -2.0], [9.0, 9.0]], 30, axis=0)
    with pytest.warns(UserWarning, match="no rows|collapsed|too few") as caught:
        model = GaussianMixture(5, covariance_type=family, random_state=0).fit(X)
    assert all(not issubclass(w.category, ConvergenceWarning) for w in caught)
    assert {str(w.message) for w in caught} <= set(model.notes_)
    assert (model.means_ >= X.min(0) - 1e-9).all()
    assert (model.means_ <= X.max(0) + 1e-9).all()
    assert np.isfinite(model.covariances_).all()


def test_constant_column_is_noted_by_name(faithful):
    import pandas as pd

    frame = pd.DataFrame(faithful, columns=["eruptions", "waiting"]).assign(site=7.0)
    with pytest.warns(UserWarning, match="Column 'site' is constant") as caught:
        model = GaussianMixture(2, random_state=0).fit(frame)
    assert str(caught[0].message) in model.notes_
    np.testing.assert_allclose(model.means_[:, 2], 7, rtol=1e-12)


def test_singular_without_regularisation_says_what_to_do():
    X = np.repeat([[0.0, 1.0], [5.0, -2.0]], 10, axis=0)
    with pytest.raises(ValueError, match=r"ill-defined empirical covariance.*increase reg_covar.*\("):
        GaussianMixture(2, reg_covar=0, random_state=0).fit(X)


def test_verbose_tells_stages_passes_and_the_end(blobs, capsys):
    GaussianMixture(3, random_state=0, verbose=1, verbose_interval=5).fit(blobs)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Race: 4 starts"
    assert "  Iteration 5" in lines
    assert lines[-1] == Status.CONVERGED.value
    GaussianMixture(3, random_state=0, verbose=2).fit(blobs)
    out = capsys.readouterr().out
    assert "time lapse" in out
    assert "lower bound" in out
    GaussianMixture(3, random_state=0).fit(blobs)
    assert capsys.readouterr().out == ""
