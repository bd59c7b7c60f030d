"""Many more columns than rows: diagonal families never make a matrix of columns × columns."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import mixtura
from mixtura import GaussianMixture, Mixture
from mixtura.core.overlap import overlapping
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import FAMILIES
from mixtura.covariance.structure import Diagonal, Full
from mixtura.start import mergers

DIAGONAL = [family.name for family in FAMILIES if family.kind == "diagonal"]
LABELS = np.arange(40) % 3
COLUMNS = 1500


def wide(n_features: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((40, n_features)) + rng.standard_normal((3, n_features))[LABELS]


@pytest.mark.parametrize("family", ["spherical", *(pytest.param(f, marks=pytest.mark.slow) for f in DIAGONAL)])
def test_groups_in_many_columns(family):
    rows = wide(COLUMNS)
    result = mixtura.fit(rows, range(2, 5), family, random_state=0, n_threads=1)
    assert result.best.n_components == 3
    str(result)
    tracemalloc.start()  # what was imported on the way does not count
    try:
        result = mixtura.fit(rows, 3, family, random_state=0, n_threads=1)
        text = str(result) + result._repr_html_()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert adjusted_rand_score(LABELS, result.model.predict(rows)) == 1.0
    assert peak < COLUMNS**2 * 8  # bytes: nothing has columns × columns numbers
    assert "1,494 more columns" in text


def test_many_columns_through_the_estimator_and_back():
    rows = wide(COLUMNS)
    model = GaussianMixture(3, covariance_type="diag", random_state=0).fit(rows)
    drawn, labels = model.sample(60, random_state=1)
    assert adjusted_rand_score(labels, model.predict(drawn)) == 1.0
    assert model.covariances_.shape == (3, COLUMNS)


@pytest.mark.slow
def test_twenty_thousand_columns():
    rows = wide(20_000)
    result = mixtura.fit(rows, 3, "diag", random_state=0)
    assert adjusted_rand_score(LABELS, result.model.predict(rows)) == 1.0


@pytest.mark.parametrize("family", ["full", "tied"])
def test_fewer_rows_than_columns_lean_on_the_prior(family):
    rows = wide(120)
    result = mixtura.fit(rows, 3, family, random_state=0)
    assert np.isfinite(result.model.structure.variances()).all()
    (note,) = (note for note in result.best.notes if note.name == "few rows")
    assert not note.healthy
    prior = result.fit.prior
    assert prior.idle.directions == 120 - 39  # all but those that 40 rows span
    assert prior.span is not None
    standard = rows - rows.mean(0)
    there = prior.span.reduced(np.cov(standard.T, ddof=0))
    assert np.linalg.eigvalsh(there)[0] > 0.01
    filled = prior.span.filled(prior.span.within(Full(np.eye(120)[None]))).dense()[0]
    values = np.linalg.eigvalsh(filled / np.outer(rows.std(0), rows.std(0)))
    assert np.count_nonzero(values < 1e-8) == 81


# What a diagonal structure answers by itself is what the matrices answer


def pair(n_features: int = 4) -> tuple[Mixture, Mixture]:
    rng = np.random.default_rng(1)
    weights, means = np.array([0.2, 0.5, 0.3]), rng.standard_normal((3, n_features))
    scale = rng.uniform(0.5, 2.0, (3, n_features))
    diagonal = Mixture(weights, means, Diagonal(scale))
    return diagonal, Mixture(weights, means, Full(np.eye(n_features) * scale[:, :, None]))


def test_diagonal_answers_are_those_of_matrices():
    one, other = pair()
    a, b = one.structure, other.structure
    assert a.variances() == pytest.approx(b.variances())
    for matrix in (np.diag([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 4.0])):
        assert a.traces(matrix) == pytest.approx(b.traces(matrix))
        assert np.sort(a.ratios(matrix)) == pytest.approx(b.ratios(matrix))
    assert a.plus(a).dense() == pytest.approx(b.plus(b).dense())
    assert a.plus(b).dense() == pytest.approx(b.plus(b).dense())
    z = np.random.default_rng(0).standard_normal((5, 4))
    assert a.colour(1, z) == pytest.approx(b.colour(1, z))
    for k in range(3):
        unit = np.array([1.0, 2.0, 0.5, 1.0])
        assert np.abs(a.axis(k, unit)) == pytest.approx(np.abs(b.axis(k, unit)), abs=1e-12)


def test_diagonal_mixtures_overlap_as_their_matrices_do():
    one, other = pair()
    assert one.overlap() == pytest.approx(other.overlap(), abs=1e-9)
    assert overlapping(one, 0.0, 9) == [pytest.approx(found, abs=1e-9) for found in overlapping(other, 0.0, 9)]


def test_mergers_of_diagonal_mixtures_keep_the_moments_of_each_column():
    one, _ = pair()
    for merged in mergers(one, 3):
        assert isinstance(merged.structure, Diagonal)
        assert merged.mean == pytest.approx(one.mean)
        assert np.diagonal(merged.cov) == pytest.approx(np.diagonal(one.cov))


def test_the_default_prior_of_a_diagonal_family_is_a_vector():
    rows = np.column_stack([wide(3), np.full(40, 5.0)])
    prior, dense = (Prior.relative(rows, np.ones(40), family) for family in ("diag", "full"))
    assert prior.scatter.shape == (4,)
    # the same floor; correlations are taken from rows drawn in, whose variance is not quite the squared spread
    assert np.diagonal(dense.scatter)[:3] == pytest.approx(prior.scatter[:3], rel=1.0)
    assert prior.idle.constant == dense.idle.constant == (3,)
    assert prior.span is not None
    assert prior.span.filled(prior.span.within(Diagonal(np.ones((1, 4))))).scale[0] == pytest.approx([1, 1, 1, 5e-5])
