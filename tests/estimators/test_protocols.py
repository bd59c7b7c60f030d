"""At home in scikit-learn: cloning, pickling, pipelines, searches, metadata routing, callbacks, a light import."""

import pickle
import subprocess
import sys
import warnings
from importlib.util import find_spec
from io import StringIO

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from mixtura import GaussianMixture, Mixture, Status

needs_callbacks = pytest.mark.skipif(
    find_spec("sklearn.callback") is None, reason="this scikit-learn has no callbacks yet"
)


def test_defaults_and_names_of_parameters_are_those_of_scikit_learn_and_more():
    from sklearn.mixture import GaussianMixture as Theirs

    ours, theirs = GaussianMixture().get_params(), Theirs().get_params()
    assert set(ours) - set(theirs) == {"noise", "prior", "fixed", "n_threads"}
    assert set(theirs) <= set(ours)
    different = {name: value for name, value in ours.items() if name in theirs and theirs[name] != value}
    assert different == {"tol": 1e-6, "reg_covar": None, "max_iter": 10_000, "n_init": 4, "init_params": "auto"}


def test_everything_public_of_scikit_learn_is_there(faithful):
    from sklearn.mixture import GaussianMixture as Theirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = Theirs(2).fit(faithful), GaussianMixture(2).fit(faithful)
    missing = {name for name in dir(theirs) if not name.startswith("_") and not hasattr(ours, name)}
    assert missing == set()
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert np.ndim(getattr(ours, name)) == np.ndim(getattr(theirs, name))
    for name in ("converged_", "n_iter_", "n_features_in_"):
        assert type(getattr(ours, name)) is type(getattr(theirs, name))


def test_clone_keeps_parameters_and_nothing_else(faithful):
    start = Mixture([0.5, 0.5], [[2, 50], [4, 80]], [[[1, 0], [0, 30]]] * 2)
    model = GaussianMixture(2, init_params=start, random_state=3).fit(faithful)
    copy = clone(model)
    assert copy.init_params == start
    assert not hasattr(copy, "mixture_")
    assert copy.fit(faithful).mixture_ == model.mixture_


@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_a_fitted_model_travels(way, family, faithful, tmp_path):
    model = GaussianMixture(2, covariance_type=family, random_state=0).fit(faithful.astype(np.float32))
    model.sample(3)
    if way == "pickle":
        copy = pickle.loads(pickle.dumps(model))
    else:
        joblib.dump(model, tmp_path / "model")
        copy = joblib.load(tmp_path / "model")
    assert copy.mixture_ == model.mixture_
    np.testing.assert_array_equal(copy.covariances_, model.covariances_)
    assert copy.covariances_.dtype == np.float32
    assert copy.status_ is model.status_
    assert copy.bic(faithful) == model.bic(faithful)
    np.testing.assert_array_equal(copy.sample(5)[0], model.sample(5)[0])


def test_fits_in_parallel(faithful):
    models = [GaussianMixture(k, random_state=0) for k in (1, 2, 3)]
    side_by_side = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(m.fit)(faithful) for m in models)
    for model in side_by_side:
        assert model.mixture_ == clone(model).fit(faithful).mixture_


def test_pipeline_and_search_by_held_out_likelihood(iris):
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    search = GridSearchCV(
        pipeline,
        {"gaussianmixture__n_components": [1, 2, 3], "gaussianmixture__covariance_type": ["full", "tied"]},
        cv=KFold(3, shuffle=True, random_state=0),
    ).fit(iris)
    assert search.best_params_["gaussianmixture__n_components"] > 1
    assert search.predict(iris).shape == (150,)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert search.best_score_ == scores.max()


def test_weights_are_routed(iris):
    weights = np.linspace(0.1, 2, len(iris))
    cv = KFold(2, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = GaussianMixture(random_state=0).set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=True)
        search = GridSearchCV(asking, {"n_components": [1, 2]}, cv=cv).fit(iris, sample_weight=weights)
    train, test = next(cv.split(iris))
    by_hand = GaussianMixture(2, random_state=0).fit(iris[train], sample_weight=weights[train])
    score = by_hand.score(iris[test], sample_weight=weights[test])
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(score, rel=1e-12)
    whole = GaussianMixture(search.best_params_["n_components"], random_state=0).fit(iris, sample_weight=weights)
    assert search.best_estimator_.mixture_ == whole.mixture_


def test_tags():
    tags = get_tags(GaussianMixture())
    assert tags.estimator_type == "density_estimator"
    assert not tags.input_tags.allow_nan
    assert not tags.input_tags.sparse
    assert not tags.target_tags.required
    assert not tags.non_deterministic


def test_notebooks_show_it_before_and_after_a_fit(faithful):
    assert "GaussianMixture" in GaussianMixture(2)._repr_html_()
    assert "GaussianMixture" in GaussianMixture(2).fit(faithful)._repr_html_()
    assert repr(GaussianMixture(2, tol=1e-3)) == "GaussianMixture(n_components=2, tol=0.001)"


def test_parameter_validation_can_be_skipped(faithful):
    with sklearn.config_context(skip_parameter_validation=True):
        assert GaussianMixture(2, verbose=0, random_state=0).fit(faithful).converged_


# Callbacks


class Recorder:
    """A callback that notes what it is told and asks to stop after some passes."""

    def __init__(self, stop_after=None, interrupt_after=None):
        self.stop_after, self.interrupt_after = stop_after, interrupt_after
        self.told, self.at_end = [], []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.told.append(("end", context.task_name))
        if fitted_estimator is not None:
            self.at_end.append(fitted_estimator.score(X))
        passes = sum(name != "fit" for what, name in (t for t in self.told if isinstance(t, tuple)) if what == "end")
        if passes == self.interrupt_after:
            raise KeyboardInterrupt
        return passes == self.stop_after


@needs_callbacks
def test_callbacks_are_told_of_the_fit_and_of_every_pass(iris):
    recorder = Recorder()
    model = GaussianMixture(3, random_state=0).set_callbacks(recorder).fit(iris)
    assert recorder.told[:2] == ["setup", ("begin", "fit")]
    assert recorder.told[-2:] == [("end", "fit"), "teardown"]
    stages = [name for what, name in recorder.told[2:-2] if what == "end"]
    assert list(dict.fromkeys(stages)) == ["race", "repair", "climb"]
    assert recorder.at_end == [pytest.approx(model.lower_bound_)]
    assert model.mixture_ == GaussianMixture(3, random_state=0).fit(iris).mixture_


@needs_callbacks
def test_a_callback_can_stop_the_fit(iris):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it was asked for
        model = GaussianMixture(3, random_state=0).set_callbacks(Recorder(stop_after=3)).fit(iris)
    assert model.status_ is Status.STOPPED
    assert not model.converged_
    assert model.n_iter_ <= 4
    assert model.lower_bound_ == pytest.approx(model.score(iris))
    assert model.lower_bound_ < GaussianMixture(3, random_state=0).fit(iris).lower_bound_


@needs_callbacks
def test_interruption_in_a_callback_leaves_the_former_fit_whole_and_tears_down(iris, faithful):
    model = GaussianMixture(3, random_state=0).fit(iris)
    mixture, recorder = model.mixture_, Recorder(interrupt_after=2)
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(recorder).fit(faithful)
    assert model.mixture_ is mixture
    assert recorder.told[-1] == "teardown"
    assert not any(name.startswith("_callback") or name.endswith("teardown") for name in vars(model))


@needs_callbacks
def test_progress_bars_nest(iris, monkeypatch):
    from sklearn.callback import ProgressBar

    screen = StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    bars = ProgressBar(max_propagation_depth=None)
    GridSearchCV(GaussianMixture(random_state=0), {"n_components": [1, 2]}, cv=2).set_callbacks(bars).fit(iris)
    assert "GaussianMixture" in screen.getvalue()
    assert "100%" in screen.getvalue()


@needs_callbacks
def test_a_fitted_model_with_callbacks_travels(iris):
    model = GaussianMixture(2, random_state=0).set_callbacks(Recorder()).fit(iris)
    assert pickle.loads(pickle.dumps(model)).mixture_ == model.mixture_
    assert clone(model).fit(iris).mixture_ == model.mixture_
    model.set_callbacks()
    assert model.fit(iris).converged_


def test_only_callbacks_may_be_set():
    if find_spec("sklearn.callback") is None:
        assert not hasattr(GaussianMixture(), "set_callbacks")
    else:
        with pytest.raises(TypeError, match="callbacks must be instances"):
            GaussianMixture().set_callbacks("bar")


# Import


def test_a_first_fit_imports_nothing_heavy():
    program = """
import sys
import sklearn.base
before = set(sys.modules)
from mixtura import GaussianMixture
GaussianMixture(2, random_state=0).fit([[0.0], [0.1], [0.3], [5.0], [5.2], [5.3]])
heavy = ("numba", "pyarrow", "pandas", "rich", "click", "scipy", "sklearn.mixture", "sklearn.cluster", "sklearn.call")
print(sorted(m for m in set(sys.modules) - before if m.startswith(heavy)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
