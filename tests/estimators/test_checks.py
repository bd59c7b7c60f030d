"""scikit-learn's own checks of the estimators, all of them, for every covariance family."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.covariance import registry


@parametrize_with_checks(
    [GaussianMixture(n_components=k, covariance_type=name) for k in (1, 2) for name in registry.names()]
    + [GaussianMixtureSelector(n_components=(1, 2))]
)
def test_scikit_learn_check(estimator, check):
    check(estimator)
