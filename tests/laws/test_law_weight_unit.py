"""Row weights may come in any unit, and the inputs that others get wrong are refused or fitted as they are."""

import numpy as np
import pytest

import mixtura
from mixtura import GaussianMixture, Mixture, em
from mixtura.covariance import registry

FAMILIES = registry.names()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) * 0.5 + [4, 3]])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("factor", [2.0**-30, 2.0**-600, 2.0**60])
def test_a_factor_common_to_all_weights_changes_nothing(rows, family, factor):
    weights = np.random.default_rng(1).integers(1, 4, len(rows)).astype(float)
    plain = GaussianMixture(2, covariance_type=family, random_state=0).fit(rows, sample_weight=weights)
    other = GaussianMixture(2, covariance_type=family, random_state=0).fit(rows, sample_weight=factor * weights)
    np.testing.assert_allclose(other.means_, plain.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.covariances_, plain.covariances_, rtol=1e-9, atol=1e-12)
    assert other.notes_ == plain.notes_


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_groups_within_which_a_column_is_constant(family):
    rows = [[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]]
    model = GaussianMixture(2, covariance_type=family, random_state=0).fit(rows)
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), [1, 10], rtol=1e-6)
    assert model.predict([[0, 0], [12, 3]]).tolist() == [0, 1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_component_that_loses_its_rows_stays_among_them():
    rng = np.random.default_rng(2)
    rows = np.concatenate([rng.normal(0, 0.15, 30), rng.normal(2, 0.15, 30)]).round(2)[:, None]
    model = GaussianMixture(3, covariance_type="diag", reg_covar=0.01, random_state=0, n_init=1).fit(rows)
    assert rows.min() <= model.means_.min()
    assert model.means_.max() <= rows.max()


def test_masked_entries_are_refused(rows):
    model = Mixture([0.5, 0.5], [[0, 0], [4, 3]], [np.eye(2)] * 2)
    masked = np.ma.array(rows, mask=np.zeros(rows.shape, dtype=bool))
    masked[3, 1] = np.ma.masked
    with pytest.raises(ValueError, match=r"masked entries \(the first is at \(3, 1\)\)"):
        em(model, masked)
    with pytest.raises(ValueError, match="sample_weight must not have masked entries"):
        em(model, rows, sample_weight=np.ma.array(np.ones(len(rows)), mask=True))
    with pytest.raises(ValueError, match="masked"):
        mixtura.fit(masked, 2)


def test_views_beyond_single_precision_are_double(rows):
    model = GaussianMixture(2, random_state=0).fit((rows * 1e25).astype(np.float32))
    assert np.isfinite(model.covariances_).all()
    assert model.means_.dtype == np.float32


def test_a_model_is_saved_under_a_family_of_its_structure(tmp_path):
    model = Mixture([1], [[0, 0]], [np.eye(2)])
    with pytest.raises(ValueError, match="diagonal covariances, but the model's are full"):
        mixtura.save(model, tmp_path / "model.mixtura", family="diag")
