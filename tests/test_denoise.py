"""Which region noise may fill, and which rows look like it."""

from __future__ import annotations

import numpy as np
import pytest

import mixtura
from mixtura import GaussianMixture, Mixture, Noise, Status
from mixtura.denoise import LEAST_EDGE, looks_like_noise, noise_over
from mixtura.sources import memory
from mixtura.sources.memory import Memory
from mixtura.sources.sketch import sample


def region_of(rows, weights=None):
    source = Memory(rows, weights)
    return noise_over(source, sample(source, 5000))


def cluttered(seed=0, n_noise=150):
    rng = np.random.default_rng(seed)
    groups = [rng.normal([0, 0], [0.3, 0.5], (200, 2)), rng.normal([5, 4], [0.6, 0.2], (150, 2))]
    noise = rng.uniform([-10, -10], [10, 10], (n_noise, 2))
    return np.vstack([*groups, noise]), np.repeat([0, 1, -1], [200, 150, n_noise])


def test_the_box_of_the_rows(monkeypatch):
    rows = np.random.default_rng(0).uniform([0, -5], [1, 5], (400, 2))
    monkeypatch.setattr(memory, "BLOCK_ROWS", 13)
    noise = region_of(rows)
    assert noise.origin == pytest.approx(rows.min(0))
    assert noise.edges == pytest.approx(np.diag(np.ptp(rows, axis=0)))
    assert noise.log_density == pytest.approx(-np.log(np.ptp(rows, axis=0)).sum())
    assert noise.estimated


def test_rows_of_no_weight_are_not_in_the_region():
    rows = np.random.default_rng(0).uniform(size=(100, 2))
    weights = np.ones(102)
    weights[:2] = 0.0
    outer = np.vstack([[[99.0, 99.0], [-99.0, 0.0]], rows])
    assert region_of(outer, weights).log_density == pytest.approx(region_of(rows).log_density)


def test_a_turned_box_where_that_is_smaller():
    rng = np.random.default_rng(1)
    rows = rng.uniform([-1, -0.01], [1, 0.01], (500, 2)) @ np.array([[1.0, 1.0], [-1.0, 1.0]])
    noise = region_of(rows)
    assert np.exp(-noise.log_density) < 0.1 * np.ptp(rows, axis=0).prod()
    inside = np.linalg.solve(noise.edges, (rows - noise.origin).T)
    assert inside.min() > -1e-9
    assert inside.max() < 1 + 1e-9


def test_units_of_the_columns_have_no_say():
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 3))
    unit = np.array([1e-9, 1.0, 1e6])
    assert region_of(rows * unit + 5).log_density == pytest.approx(region_of(rows).log_density - np.log(unit).sum())


def test_a_column_without_variation_says_nothing_about_noise():
    rows, _ = cluttered()
    constant = np.column_stack([rows, np.full(len(rows), 7.0)])
    assert region_of(constant).log_density == pytest.approx(region_of(rows).log_density - np.log(7 * LEAST_EDGE))
    two, three = (GaussianMixture(2, noise=True, random_state=0).fit(x) for x in (rows, constant))
    assert three.mixture_.noise.weight == pytest.approx(two.mixture_.noise.weight, abs=1e-3)
    assert (three.predict(constant) == two.predict(rows)).mean() > 0.99


def test_sparse_rows_look_like_noise():
    rows, truth = cluttered()
    drawn = sample(Memory(rows), 5000)
    order = np.lexsort(rows.T[::-1])
    assert (looks_like_noise(drawn) == (truth[order] == -1)).mean() > 0.95
    assert not looks_like_noise(sample(Memory(np.ones((5, 2))), 10)).any()
    assert looks_like_noise(sample(Memory(np.arange(6.0)[:, None]), 10)).sum() in {0, 1, 2}


def test_copies_make_dense_surroundings():
    rows = np.random.default_rng(3).uniform(size=(400, 2))
    weights = np.where(rows[:, 0] < 0.3, 30.0, 1.0)
    drawn = sample(Memory(rows, weights), 5000)
    assert (looks_like_noise(drawn) == (drawn.rows[:, 0] > 0.3)).mean() > 0.9


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_noise_is_told_from_groups(covariance):
    rows, truth = cluttered()
    result = mixtura.fit(rows, 2, covariance, noise=True, random_state=0)
    assert result.fit.converged
    assert result.model.noise.weight == pytest.approx(0.3, abs=0.03)
    assert (result.model.predict(rows) == truth).mean() > 0.97
    assert result.best.n_parameters == result.fit.family.n_parameters(2, 2) + 2
    assert result.best.bic < mixtura.fit(rows, 2, covariance, random_state=0).best.bic


def test_a_density_or_a_region_may_be_given():
    rows, _ = cluttered()
    by_density = mixtura.fit(rows, 2, "full", noise=1 / 400, random_state=0)
    by_region = mixtura.fit(rows, 2, "full", noise=Noise.box([-10, -10], [10, 10]), random_state=0)
    assert by_density.fit.loglik == pytest.approx(by_region.fit.loglik)
    assert by_density.best.n_parameters == 11 + 1
    assert by_region.model.sample(10, 0).shape == (10, 2)
    with pytest.raises(ValueError, match="noise has 1 columns, but the table 2"):
        mixtura.fit(rows, 2, noise=Noise.box([0], [1]))
    with pytest.raises(ValueError, match="noise must be True, False, a density or a Noise"):
        mixtura.fit(rows, 2, noise="yes")


def test_weights_are_repeated_rows():
    rows, _ = cluttered(n_noise=60)
    counts = np.random.default_rng(4).integers(1, 4, len(rows))
    once = mixtura.fit(rows, 2, "full", noise=True, sample_weight=counts, random_state=0)
    often = mixtura.fit(np.repeat(rows, counts, axis=0), 2, "full", noise=True, random_state=0)
    assert once.fit.loglik == pytest.approx(often.fit.loglik, rel=1e-10)
    assert once.model.noise.weight == pytest.approx(often.model.noise.weight, rel=1e-6)


def test_where_there_is_no_noise_its_weight_vanishes():
    rows = Mixture([0.5, 0.5], [[0, 0], [8, 1]], np.stack([np.eye(2), 2 * np.eye(2)])).sample(2000, 5)
    result = mixtura.fit(rows, 2, "full", noise=True, random_state=0)
    assert result.fit.converged
    assert result.model.noise.weight < 0.01
    assert result.fit.loglik >= mixtura.fit(rows, 2, "full", random_state=0).fit.loglik - 1e-6 * 2000


def test_the_estimator():
    rows, truth = cluttered()
    model = GaussianMixture(2, noise=True, random_state=0)
    labels = model.fit_predict(rows)
    assert set(labels) == {-1, 0, 1}
    assert (labels == truth).mean() > 0.97
    assert model.predict_proba(rows).sum(1) + model.noise_probability(rows) == pytest.approx(np.ones(len(rows)))
    assert model.weights_.sum() + model.mixture_.noise.weight == pytest.approx(1.0)
    assert model.bic(rows) == pytest.approx(-2 * model.mixture_.loglik(rows) + 13 * np.log(len(rows)))
    drawn, drawn_labels = model.sample(500)
    assert -1 in drawn_labels
    assert drawn.shape == (500, 2)
    again = GaussianMixture(2, noise=True, init_params=model.mixture_).fit(rows)
    assert again.status_ is Status.CONVERGED
    assert again.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-6)
    by_parts = GaussianMixture(2, noise=True, means_init=[[0, 0], [5, 4]]).fit(rows)
    assert by_parts.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-6)


def test_a_start_with_noise_asks_for_noise():
    rows, _ = cluttered()
    model = GaussianMixture(2, noise=True, random_state=0, warm_start=True).fit(rows)
    former = model.mixture_
    assert model.fit(rows).mixture_.noise.weight == pytest.approx(former.noise.weight, abs=1e-4)
    with pytest.raises(ValueError, match="start has a noise component: ask for noise"):
        GaussianMixture(2, init_params=former).fit(rows)
    plain = GaussianMixture(2, init_params=former.without_noise()).fit(rows)
    assert plain.mixture_.noise is None


def test_noise_in_what_is_read_from_a_fit():
    rows, truth = cluttered()
    result = mixtura.fit(rows, 2, "full", noise=True, random_state=0)
    model, separation = result.model, result.separation
    share = model.shares(rows)
    assert share.sum(1) == pytest.approx(np.ones(len(rows)))
    assert model.uncertainty(rows) == pytest.approx(1 - share.max(1))
    assert separation.confusion.shape == (3, 3)
    assert separation.weight == pytest.approx(len(rows))
    assert separation.error_rate == pytest.approx(model.uncertainty(rows).mean())
    assert separation.entropy == pytest.approx(model.label_entropy(rows).sum())
    merging = result.merge(rows)
    assert merging.stages[-1].entropy == 0.0
    assert set(merging.predict(rows, 1)) == {-1, 0}
    assert result.compare(rows, truth).adjusted_rand_index > 0.9
    assert "and noise" in str(result)
    assert "noise" in result._repr_html_()


def test_a_constant_column_of_next_to_nothing_counts_as_zero():
    rows = np.column_stack([np.random.default_rng(0).normal(size=20), np.full(20, 5e-323)])
    zero = np.column_stack([rows[:, 0], np.zeros(20)])
    assert region_of(rows).log_density == pytest.approx(region_of(zero).log_density, rel=1e-12)
