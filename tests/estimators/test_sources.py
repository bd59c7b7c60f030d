"""The estimators on rows that are not in memory: the same fit, labels and scores as on the array."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.sources import as_source, memory, opening

RNG = np.random.default_rng(3)
ROWS = np.concatenate([RNG.normal([0, 0], [1, 2], (700, 2)), RNG.normal([7, 3], [2, 1], (500, 2))]).astype(np.float32)
WEIGHTS = RNG.integers(0, 3, len(ROWS)).astype(float)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "SMALL", -1)
    monkeypatch.setattr(memory, "BLOCK_ROWS", 97)
    table = pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=211)
    return tmp_path / "t.parquet"


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_file_and_an_array_give_the_same_estimator(path, weights):
    ours = GaussianMixture(2, random_state=0).fit(path, sample_weight=weights)
    theirs = GaussianMixture(2, random_state=0).fit(ROWS, sample_weight=weights)
    assert ours.lower_bounds_ == pytest.approx(theirs.lower_bounds_, rel=1e-10)
    assert ours.means_ == pytest.approx(theirs.means_, rel=1e-6)
    assert ours.means_.dtype == np.float32
    assert ours.feature_names_in_.tolist() == ["a", "b"]
    assert np.array_equal(ours.predict(path), theirs.predict(ROWS))
    for method in ("predict_proba", "score_samples", "noise_probability"):
        found, due = getattr(ours, method)(path), getattr(theirs, method)(ROWS)
        assert found.dtype == due.dtype
        assert found == pytest.approx(due, rel=1e-5, abs=1e-6)
    for method in ("score", "bic", "aic", "icl"):
        extra = {} if method == "aic" else {"sample_weight": weights}
        assert getattr(ours, method)(path, **extra) == pytest.approx(getattr(theirs, method)(ROWS, **extra), rel=1e-6)


def test_fit_predict_and_the_selector_take_files_and_sources(path):
    labels = GaussianMixture(2, random_state=0).fit_predict(path)
    assert np.array_equal(labels, GaussianMixture(2, random_state=0).fit_predict(ROWS))
    source = as_source(path, weights=WEIGHTS)
    selector = GaussianMixtureSelector(range(1, 4), covariances=["full", "diag"], random_state=0).fit(source)
    due = GaussianMixtureSelector(range(1, 4), covariances=["full", "diag"], random_state=0)
    due.fit(ROWS, sample_weight=WEIGHTS)
    assert selector.n_components_ == due.n_components_ == 2
    assert selector.results_["bic"] == pytest.approx(due.results_["bic"], rel=1e-8)


def test_rows_are_checked_as_those_of_arrays_are(path):
    fitted = GaussianMixture(2, random_state=0).fit(path)
    with (
        pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2"),
        pytest.warns(UserWarning, match="feature names"),
    ):
        fitted.predict(as_source(ROWS[:, :1]))
    with pytest.raises(ValueError, match="n_components = 1300, n_samples = 1200"):
        GaussianMixture(1300).fit(path)
    with pytest.raises(ValueError, match="has 3 entries for 1200 rows"):
        fitted.score(path, sample_weight=[1, 2, 3])
    with pytest.raises(ValueError, match="there is no file"):
        fitted.predict("nowhere.parquet")
