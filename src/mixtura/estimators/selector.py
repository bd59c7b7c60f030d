"""GaussianMixtureSelector: a GaussianMixture that finds its number of components and covariance family itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from mixtura.choice import CRITERIA, Cell, Survey, counts_of
from mixtura.core.fixed import Fixed
from mixtura.core.noise import Noise
from mixtura.covariance import registry
from mixtura.covariance.prior import ConjugatePrior
from mixtura.covariance.registry import Family
from mixtura.estimators.checks import used_rows
from mixtura.estimators.gaussian_mixture import GaussianMixture, Search
from mixtura.ground import Observer, Settings
from mixtura.sources.reader import Opened
from mixtura.sources.source import Source
from mixtura.start import METHODS

#: Parameters with the meaning that they have for a GaussianMixture.
_SHARED = (
    "tol", "reg_covar", "max_iter", "n_init", "init_params", "noise", "prior", "fixed", "random_state", "verbose",
    "verbose_interval", "n_threads",
)  # fmt: skip
#: What a fit leaves behind besides what that of a GaussianMixture does.
_CHOSEN = ("n_components_", "covariance_type_", "results_")


class GaussianMixtureSelector(GaussianMixture):
    """A Gaussian mixture whose number of components and covariance family are chosen by a criterion.

    All candidates are fitted together and start from each other's fits (see ``mixtura.select``). After the fit it is
    the chosen ``GaussianMixture``: it predicts, scores and samples as that does and has its fitted attributes.

    GridSearchCV is no substitute. With a scorer that calls ``bic`` it takes the criterion of each held-out fold,
    where the log-likelihood is that of few rows but the penalty that of all parameters, and so it picks too few
    components.

    Parameters
    ----------
    n_components : int or iterable of int
        Numbers of components to try.
    covariances : str, or iterable of str
        Covariance families to try, or "all".
    criterion : {"bic", "icl", "aic", "cv"}
        What to choose by; smaller is better.
    tol : float
        Converged when the estimated gap to the top is below this many nats a row.
    reg_covar : float, optional
        As in ``GaussianMixture``.
    max_iter : int
        The most passes of each fit.
    n_init : int
        Starts for each number of components, shared out among the families.
    init_params : {"auto", "hierarchical", "k-means++", "kmeans", "random", "random_from_data"}
        How to start.
    noise, prior, fixed
        As in ``GaussianMixture``; what is fixed must fit all numbers of components, as equal weights do.
    random_state : int, Generator, RandomState or None
        The same seed gives the same bits.
    verbose : int
        1 prints stages and passes, 2 also times.
    verbose_interval : int
        Passes between two lines.
    n_threads : int, optional
        By default as many as this process may use processors. The bits do not depend on it.

    Attributes
    ----------
    n_components_ : int
        The chosen number.
    covariance_type_ : str
        The chosen family.
    best_estimator_ : GaussianMixture
        The chosen one by itself.
    results_ : dict
        All candidates, as columns: see ``Result.table``.
    mixture_ : Mixture
        The chosen mixture. All other fitted attributes of ``GaussianMixture`` are there too.

    Examples
    --------
    >>> from mixtura import GaussianMixtureSelector, Mixture
    >>> X = Mixture([0.4, 0.6], [[0, 0], [5, 3]], [[[1, 0], [0, 1]], [[2, 1], [1, 1]]]).sample(500, 1)
    >>> selector = GaussianMixtureSelector(range(1, 4), covariances=["full", "tied"], random_state=0).fit(X)
    >>> selector.n_components_, selector.covariance_type_
    (2, 'full')
    >>> selector.predict([[0, 0], [6, 3]])
    array([0, 1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **{name: GaussianMixture._parameter_constraints[name] for name in _SHARED},
        "n_components": [*GaussianMixture._parameter_constraints["n_components"], Iterable],
        "covariances": [str, Family, Iterable],
        "criterion": [StrOptions(set(CRITERIA))],
        "init_params": [StrOptions(set(METHODS))],
    }

    n_components_: int
    covariance_type_: str
    results_: dict[str, list[Any]]

    def __init__(
        self,
        n_components: int | Iterable[int] = tuple(range(1, 10)),
        *,
        covariances: str | Family | Iterable[str | Family] = "all",
        criterion: str = "bic",
        tol: float = 1e-6,
        reg_covar: float | None = None,
        max_iter: int = 10_000,
        n_init: int = 4,
        init_params: str = "auto",
        noise: bool | float | Noise = False,
        prior: ConjugatePrior | str | None = None,
        fixed: Fixed | None = None,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariances = covariances
        self.criterion = criterion
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.noise = noise
        self.prior = prior
        self.fixed = fixed
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads

    def _asked(self, table: Opened) -> Search:
        counts = counts_of(self.n_components, used_rows(table.source))
        families = registry.several(self.covariances, table.source.n_features)

        def search_for(source: Source, settings: Settings, seed: int, observe: Observer) -> tuple[Cell, dict[str, Any]]:
            survey = Survey(source, settings, seed, self.criterion, table.columns).extended(counts, families, observe)
            best = survey.best
            more = (best.n_components, best.covariance, survey.table())
            return best, dict(zip(_CHOSEN, more, strict=True))

        return search_for

    @property
    def best_estimator_(self) -> GaussianMixture:
        """The chosen GaussianMixture by itself."""
        check_is_fitted(self)
        shared = {name: getattr(self, name) for name in _SHARED}
        best = GaussianMixture(self.n_components_, covariance_type=self.covariance_type_, **shared)
        own = {*self.get_params(), *_CHOSEN}
        best.__dict__.update({name: value for name, value in vars(self).items() if name not in own})
        return best
