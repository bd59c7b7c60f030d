"""Where a fit starts: from parts of the parameters, labels, responsibilities, a mixture, or the former fit."""

import sys
import warnings
from contextlib import redirect_stdout

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mixtura import GaussianMixture, Mixture, Status, e_step, em, m_step
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.structure import Full
from mixtura.sources.memory import Memory
from mixtura.start import Parts, around, completed


@pytest.fixture(scope="module")
def unequal():
    """A large wide group and a small narrow one."""
    rng = np.random.default_rng(1)
    return np.vstack([rng.normal(size=(900, 2)), rng.normal(size=(100, 2)) * [0.3, 0.5] + 5])


MEANS = np.array([[0.0, 0.0], [5.0, 5.0]])


# Some of the parameters


def structures(name, covariances):
    """A structure of the family, and the precisions in the shape in which they are given."""
    family = registry.get(name)
    structure = family.nearest(Full.from_covariances(covariances), np.ones(2))
    precisions = np.linalg.inv(structure.dense())
    if family.kind == "tied":
        return structure, precisions[0]
    if family.kind == "full":
        return structure, precisions
    precisions = np.diagonal(precisions, axis1=1, axis2=2)
    return structure, precisions[:, 0] if name in ("spherical", "eii") else precisions


COVARIANCES = np.array([[[1.0, 0.3], [0.3, 2.0]], [[0.2, -0.05], [-0.05, 0.3]]])
WEIGHTS = np.array([0.7, 0.3])


@pytest.mark.parametrize("given", [(w, m, p) for w in (0, 1) for m in (0, 1) for p in (0, 1)], ids=str)
def test_what_is_missing_comes_from_one_step_of_em(given, family, unequal):
    structure, _ = structures(family, COVARIANCES)
    parts = Parts(*(part if wanted else None for part, wanted in zip((WEIGHTS, MEANS, structure), given, strict=True)))
    family, prior = registry.get(family), Prior.none(2)
    rough = Mixture([0.5, 0.5], np.add(MEANS, [[0.5, -0.3], [0.2, 0.1]]), family.update(np.ones(2), _scatter(family)))
    made = completed(parts, rough, Memory(unequal), family, prior)
    first = Mixture(*(g if g is not None else r for g, r in zip(parts, _parts(rough), strict=True)))
    share = first.responsibilities(unequal)
    for part, mine in zip(parts, _parts(made), strict=True):
        if part is not None:
            np.testing.assert_allclose(_numbers(mine), _numbers(part), rtol=1e-14)
    if parts.weights is None:
        np.testing.assert_allclose(made.weights, share.mean(0), rtol=1e-10)
    if parts.means is None:
        np.testing.assert_allclose(made.means, share.T @ unequal / share.sum(0)[:, None], rtol=1e-10)
    if parts.structure is None:
        apart = unequal[:, None] - made.means
        scatter = np.einsum("nk,nki,nkj->kij", share, apart, apart)
        if family.kind == "tied":
            scatter = scatter.sum(0)
        elif family.kind == "diagonal":
            scatter = np.diagonal(scatter, axis1=1, axis2=2)
        expected = family.update(share.sum(0), scatter).dense()
        np.testing.assert_allclose(made.covariances, expected, rtol=1e-9)


def _scatter(family):
    return {"full": COVARIANCES, "tied": COVARIANCES.sum(0), "diagonal": np.ones((2, 2))}[family.kind]


def _parts(mixture):
    return mixture.weights, mixture.means, mixture.structure


def _numbers(part):
    return part if isinstance(part, np.ndarray) else part.dense()


def test_swapped_means_swap_everything(family, unequal):
    one = GaussianMixture(2, covariance_type=family, means_init=MEANS).fit(unequal)
    other = GaussianMixture(2, covariance_type=family, means_init=MEANS[::-1]).fit(unequal)
    assert one.weights_[0] > 0.8
    np.testing.assert_allclose(other.weights_, one.weights_[::-1], rtol=1e-9)
    np.testing.assert_allclose(other.means_, one.means_[::-1], atol=1e-9)
    np.testing.assert_allclose(other.mixture_.covariances, one.mixture_.covariances[::-1], atol=1e-9)


def test_swapped_means_swap_the_start_too(family, unequal):
    family, prior, source = registry.get(family), Prior.none(2), Memory(unequal)
    starts = [
        completed(Parts(means=m), around(m, source, family, prior, np.ones(2)), source, family, prior)
        for m in (MEANS, MEANS[::-1])
    ]
    np.testing.assert_allclose(starts[0].weights, [0.9, 0.1], atol=0.01)
    np.testing.assert_allclose(starts[1].weights, starts[0].weights[::-1], rtol=1e-12)
    np.testing.assert_allclose(starts[1].covariances, starts[0].covariances[::-1], rtol=1e-12)


def test_all_parameters_given_are_the_start_itself(family, unequal):
    structure, precisions = structures(family, COVARIANCES)
    start = Mixture(WEIGHTS, MEANS, structure)
    model = GaussianMixture(
        2, covariance_type=family, weights_init=WEIGHTS, means_init=MEANS, precisions_init=precisions, reg_covar=0
    ).fit(unequal)
    assert model.trace_[0].loglik == pytest.approx(start.loglik(unequal), rel=1e-12)
    expected = em(start, unequal, family)
    np.testing.assert_allclose(model.means_, expected.model.means, atol=1e-5)


def test_precisions_come_back_in_the_same_shape(family, unequal):
    _, precisions = structures(family, COVARIANCES)
    model = GaussianMixture(2, covariance_type=family, precisions_init=precisions, random_state=0).fit(unequal)
    assert model.precisions_.shape == precisions.shape


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"weights_init": [0.5, 0.4]}, "should be normalized, but got sum"),
        ({"weights_init": [1.2, -0.2]}, "should be in the range"),
        ({"weights_init": [1.0, 0.0]}, "is 0 for component 1"),
        ({"weights_init": [np.nan, 1.0]}, "contains NaN"),
        ({"weights_init": [0.2, 0.3, 0.5]}, r"should have the shape of \(2,\), but got \(3,\)"),
        ({"means_init": [[0.0, 1.0]]}, r"should have the shape of \(2, 2\), but got \(1, 2\)"),
        ({"means_init": [[0.0, 1.0], [np.inf, 0]]}, "'means' contains NaN or infinity"),
        ({"precisions_init": np.eye(2)}, r"'full precision' should have the shape of \(2, 2, 2\)"),
        ({"precisions_init": [np.eye(2), [[1, 2], [2, 1]]]}, "should be symmetric, positive-definite"),
        ({"precisions_init": [np.eye(2), [[1, 0.5], [0, 1]]]}, "should be symmetric, positive-definite"),
        ({"precisions_init": [0.0, 1.0], "covariance_type": "spherical"}, "should be positive"),
    ],
)
def test_impossible_parts_are_refused(wrong, words, unequal):
    with pytest.raises(ValueError, match=words):
        GaussianMixture(2, **wrong).fit(unequal)


def test_what_was_given_is_left_alone(unequal):
    means = [[0, 0], [5, 5]]
    model = GaussianMixture(2, means_init=means, weights_init=(0.5, 0.5)).fit(unequal)
    assert model.means_init is means
    assert means == [[0, 0], [5, 5]]
    assert model.weights_init == (0.5, 0.5)


def test_starts_that_do_not_separate_or_reach_the_rows_are_reported(unequal):
    model = GaussianMixture(2, means_init=[[1, 1], [1, 1]]).fit(unequal)
    assert model.notes_ == ("Components 0 and 1 coincide: fewer components say the same.",)
    with pytest.warns(UserWarning, match="Component 1 has no rows"):
        GaussianMixture(2, means_init=[[0, 0], [1e6, 1e6]]).fit(unequal)


# Labels, responsibilities, a mixture


def test_labels_and_responsibilities_are_m_step_starts(family, unequal):
    labels = (unequal[:, 0] > 2).astype(int)
    share = np.eye(2)[labels] * 0.8 + 0.1
    for start, given in ((np.eye(2)[labels], labels), (share, share)):
        model = GaussianMixture(2, covariance_type=family, init_params=given, reg_covar=0).fit(unequal)
        mean = start.T @ unequal / start.sum(0)[:, None]
        kind = registry.get(family).kind
        anywhere = Mixture([0.5, 0.5], mean, structures(family, COVARIANCES)[0])
        statistics = e_step(anywhere, unequal)
        apart = unequal[:, None] - mean
        scatter = np.einsum("nk,nki,nkj->kij", start, apart, apart)
        scatter = {"full": scatter, "tied": scatter.sum(0), "diagonal": np.diagonal(scatter, axis1=1, axis2=2)}[kind]
        n = start.sum(0)
        made = type(statistics)(kind, mean, n, np.zeros_like(mean), scatter, 0.0, n.sum(), len(unequal))
        assert model.trace_[0].loglik == pytest.approx(m_step(anywhere, made, family).loglik(unequal), rel=1e-9)
        np.testing.assert_allclose(model.means_[1], [5, 5], atol=0.2)


def test_mixture_as_a_start_is_brought_into_the_family(family, unequal):
    start = Mixture(WEIGHTS, MEANS, COVARIANCES)
    model = GaussianMixture(2, covariance_type=family, init_params=start).fit(unequal)
    assert model.converged_
    again = GaussianMixture(2, covariance_type=family, init_params=model.mixture_).fit(unequal)
    assert len(again.trace_) <= 4
    np.testing.assert_allclose(again.means_, model.means_, atol=1e-3)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (np.zeros(5, int), r"integer labels of shape \(1000,\) or responsibilities of shape \(1000, 2\)"),
        (np.zeros(1000), "integer labels"),
        (np.repeat([0, 2], 500), "label in init_params of row 500 is 2"),
        (np.zeros(1000, int), "no rows to component 1"),
        (np.ones((1000, 2)), "of row 0 .* sum to 1"),
        (np.full((1000, 2), np.nan), "of row 0"),
        (Mixture([1], [[0, 0]], [np.eye(2)]), "has 1 components, but n_components=2"),
        (Mixture([0.5, 0.5], [[0], [1]], [1, 1]), "has 1 columns, but X has 2"),
    ],
    ids=str,
)
def test_impossible_starts_are_refused(start, words, unequal):
    with pytest.raises(ValueError, match=words):
        GaussianMixture(2, init_params=start).fit(unequal)


def test_two_starts_at_once_are_refused(unequal):
    with pytest.raises(ValueError, match="leave out weights_init, means_init and precisions_init"):
        GaussianMixture(2, init_params=Mixture(WEIGHTS, MEANS, COVARIANCES), means_init=MEANS).fit(unequal)


# The former fit


def test_warm_start_goes_on(family, iris):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianMixture(5, covariance_type=family, max_iter=3, warm_start=True, random_state=0)
        bounds = []
        for _ in range(120):
            bounds.append(model.fit(iris).lower_bound_)
            assert model.n_iter_ <= 3
            if model.converged_:
                break
    assert len(bounds) > 1
    assert model.converged_
    assert (np.diff(bounds) >= -1e-12).all()
    assert len(model.fit(iris).trace_) <= 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_components": 2}, "has 3 components, but n_components=2"),
        ({"covariance_type": "diag"}, "of the family 'full': covariance_type='diag' needs warm_start=False"),
    ],
)
def test_warm_start_with_another_model_is_an_error(change, words, iris):
    model = GaussianMixture(3, warm_start=True, random_state=0).fit(iris)
    with pytest.raises(ValueError, match=words):
        model.set_params(**change).fit(iris)


def test_warm_start_with_other_columns_is_an_error(iris):
    import pandas as pd

    model = GaussianMixture(3, warm_start=True, random_state=0).fit(iris)
    with pytest.raises(ValueError, match="has 4 columns, but X has 2"):
        model.fit(iris[:, :2])
    model = GaussianMixture(3, warm_start=True, random_state=0).fit(pd.DataFrame(iris, columns=list("abcd")))
    with pytest.raises(ValueError, match="has the columns"):
        model.fit(pd.DataFrame(iris, columns=list("abdc")))


# The former fit is left whole


class Interrupting:
    """A standard output at which the user loses patience."""

    def write(self, text):
        raise KeyboardInterrupt

    def flush(self):
        pass


def state(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_") or name.startswith("_")}


def test_interrupted_refit_leaves_the_former_fit_whole(iris, faithful):
    model = GaussianMixture(3, random_state=0).fit(iris)
    before, score = state(model), model.score(iris)
    model.set_params(verbose=1, n_components=2)
    with redirect_stdout(Interrupting()), pytest.raises(KeyboardInterrupt):
        model.fit(faithful)
    assert state(model) == before
    assert model.score(iris) == score
    assert model.n_features_in_ == 4


def test_interrupted_first_fit_leaves_none(faithful):
    model = GaussianMixture(verbose=1)
    with redirect_stdout(Interrupting()), pytest.raises(KeyboardInterrupt):
        model.fit(faithful)
    assert state(model) == {}
    assert sys.stdout is not None


def test_failed_refit_leaves_the_former_fit_whole(iris):
    model = GaussianMixture(3, random_state=0).fit(iris)
    before = state(model)
    hopeless = np.repeat([[0.0, 1.0], [5.0, -2.0]], 10, axis=0)
    cases = ((hopeless, {"reg_covar": 0}, "ill-defined"), ([["x"]], {}, "text"), (iris, {"tol": -1}, "'tol'"))
    for X, changes, words in cases:
        with pytest.raises(ValueError, match=words):
            model.set_params(**changes).fit(X)
        assert state(model) == before
    assert model.status_ is Status.CONVERGED
