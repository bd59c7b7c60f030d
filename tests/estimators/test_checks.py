"""scikit-learn's own checks of the estimators, all of them, for every covariance family."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.covariance import registry


def estimators(families):
    return [GaussianMixture(n_components=k, covariance_type=family.name) for k in (1, 2) for family in families]


@parametrize_with_checks([*estimators(registry.USUAL), GaussianMixtureSelector((1, 2), covariances=("full", "tied"))])
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        *estimators(family for family in registry.FAMILIES if family not in registry.USUAL),
        GaussianMixtureSelector(n_components=(1, 2)),
    ]
)
def test_scikit_learn_check_of_the_other_families(estimator, check):
    check(estimator)
