"""GaussianMixture: scikit-learn's estimator of that name, parameter by parameter, on Mixtura's fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted

from mixtura.choice import Cell, certainty, search
from mixtura.core.arguments import as_generator
from mixtura.core.em import Fit, Step, n_parameters
from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.lazy import array_of, is_lazy
from mixtura.core.mixture import Labels, Mixture
from mixtura.core.noise import Noise
from mixtura.core.statistics import Array
from mixtura.core.status import Status
from mixtura.covariance import registry
from mixtura.covariance.prior import ConjugatePrior, as_prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import Diagonal, Tied
from mixtura.diagnosis import Grade
from mixtura.estimators.callbacks import CallbackSupport, FitTask, with_callbacks
from mixtura.estimators.checks import check_names, checked_table, used_rows, warn
from mixtura.estimators.starts import from_mixture, from_parts, from_rows
from mixtura.ground import Candidate, Observer, Progress, Settings, as_noise
from mixtura.sources.coerce import Rows
from mixtura.sources.memory import Memory
from mixtura.sources.partitions import names_of
from mixtura.sources.reader import Opened
from mixtura.sources.source import Block, Source
from mixtura.start import METHODS, Parts, Rule

Floats = NDArray[np.float64 | np.float32]

#: scikit-learn's words for a fit that did not converge and for one that failed: programs look for them.
NOT_CONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or increase max_iter, tol, "
    "or check for degenerate data."
)
ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance "
    "caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or "
    "scale the input data."
)

#: (source, settings, seed, observer) → the cell to take, and what else the fit leaves behind.
Search = Callable[[Source, Settings, int, Observer], tuple[Cell, dict[str, Any]]]

_WHOLE = Interval(Integral, 1, None, closed="left")


class GaussianMixture(CallbackSupport, DensityMixin, BaseEstimator):
    """A Gaussian mixture as a scikit-learn estimator.

    A drop-in for ``sklearn.mixture.GaussianMixture``: its parameters, methods and fitted attributes are here with the
    same meaning and shapes; docs/migration.md lists what differs.

    Parameters
    ----------
    n_components : int
        K.
    covariance_type : {"full", "tied", "diag", "spherical"}, or a name of mclust's
        How the covariances of the components are related. Beside scikit-learn's four (VVV, EEE, VVI, VII), the ten
        other parsimonious families: "eii", "eei", "vei", "evi", "vee", "eve", "vve", "eev", "vev", "evv".
    tol : float
        Converged when the estimated gap to the top is below this many nats a row. (A gap, not the last change.)
    reg_covar : float, optional
        Ridge in the squared units of the data; 0 for plain maximum likelihood. By default a tiny prior relative to
        the data's own spread, which moves no digit that matters.
    max_iter : int
        The most passes over the rows.
    n_init : int
        Starts; they race on a bounded sample of the rows and the best goes on.
    init_params : {"auto", "hierarchical", "k-means++", "kmeans", "random", "random_from_data"}, Mixture or array-like
        How to start. Also where: from a Mixture, from (N,) labels 0 … K − 1 or from (N, K) responsibilities of the
        rows; then there is this one start.
    weights_init, means_init, precisions_init : array-like, optional
        Any of π (K,), μ (K, D) and Σ⁻¹ (shaped as ``precisions_``, and brought into the family) to start from. What is
        missing is derived from what is given, by one step of EM; without ``means_init``, from ``n_init`` starts by
        ``init_params`` too.
    noise : bool, float or Noise
        Whether to add a component of constant density for rows that belong to no Gaussian: True spreads it over the
        region of the rows, a number is its density, a Noise tells its region or density. ``predict`` then gives −1
        for noise, and the rows of ``predict_proba`` and ``weights_`` sum to what the noise leaves.
    prior : "conjugate", ConjugatePrior or None
        Maximise the posterior under this prior of means and covariances; instead of ``reg_covar``.
    fixed : Fixed, optional
        Weights, means or covariances that shall stay as it says: ``Fixed(weights="equal")``, for instance. Components
        of which something is fixed keep their numbers.
    random_state : int, Generator, RandomState or None
        The same seed gives the same bits.
    warm_start : bool
        Whether ``fit`` goes on from the former fit, which must have as many components and columns and be of the same
        family.
    verbose : int
        1 prints stages and passes, 2 also times.
    verbose_interval : int
        Passes between two lines.
    n_threads : int, optional
        By default as many as this process may use processors. The bits do not depend on it.

    Attributes
    ----------
    mixture_ : Mixture
        The fitted distribution (float64), which the next six are views of.
    weights_ : ndarray of shape (K,)
        π. Like all the views it is read-only, and float32 when the rows were.
    means_ : ndarray of shape (K, D)
        μ.
    covariances_, precisions_ : ndarray
        Σ and Σ⁻¹: (D, D) if tied, (K,) if spherical or eii, (K, D) if diag, eei, vei or evi, else (K, D, D).
    precisions_cholesky_ : ndarray
        U with U Uᵀ = Σ⁻¹, upper triangular, in the same shapes (a diagonal is its own root).
    n_features_in_ : int
        D.
    feature_names_in_ : ndarray of shape (D,)
        Names of the columns; only if the table had some.
    converged_ : bool
        Whether ``status_`` is one of convergence.
    status_ : Status
        How the fit ended; its text is a sentence with the remedy.
    notes_ : tuple of str
        Findings about the fit (empty or collapsed components, …) and about the rows (constant columns, copies, …).
    n_iter_ : int
        Passes over the rows.
    lower_bound_ : float
        Mean log-likelihood of the (weighted) training rows under the fitted parameters themselves.
    lower_bounds_ : list of float
        The same along the steps that were kept.
    trace_ : tuple of Step
        All that was measured at those steps.
    gradient_norm_, gap_ : float
        How steep the objective still is, and the estimated distance to the top in nats a row (see ``Fit``).

    Examples
    --------
    >>> from mixtura import GaussianMixture, Mixture
    >>> X = Mixture([0.4, 0.6], [[0, 0], [5, 3]], [[[1, 0], [0, 1]], [[2, 1], [1, 1]]]).sample(500, 1)
    >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> model.weights_.round(2)
    array([0.42, 0.58])
    >>> model.predict([[0, 0], [6, 3]])
    array([0, 1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [_WHOLE],
        "covariance_type": [str, Family],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), None],
        "max_iter": [_WHOLE],
        "n_init": [_WHOLE],
        "init_params": [StrOptions(set(METHODS)), Mixture, "array-like"],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "noise": ["boolean", Interval(Real, 0.0, None, closed="neither"), Noise],
        "prior": [StrOptions({"conjugate"}), ConjugatePrior, None],
        "fixed": [Fixed, None],
        "random_state": [Interval(Integral, 0, None, closed="left"), np.random.RandomState, np.random.Generator, None],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [_WHOLE],
        "n_threads": [_WHOLE, None],
    }

    mixture_: Mixture
    status_: Status
    notes_: tuple[str, ...]
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    trace_: tuple[Step, ...]
    gradient_norm_: float
    gap_: float

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-6,
        reg_covar: float | None = None,
        max_iter: int = 10_000,
        n_init: int = 4,
        init_params: str | Mixture | ArrayLike = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        noise: bool | float | Noise = False,
        prior: ConjugatePrior | str | None = None,
        fixed: Fixed | None = None,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.noise = noise
        self.prior = prior
        self.fixed = fixed
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads

    @classmethod
    def from_mixture(cls, mixture: Mixture, covariance_type: str | None = None, **parameters: Any) -> Self:
        """An estimator that predicts with a mixture that is known: one from a model file, say.

        Parameters
        ----------
        mixture : Mixture
        covariance_type : str, optional
            The family of its covariances; by default the general one of their kind: full, tied or diag.
        **parameters
            Other parameters of the constructor, for a fit that goes on from here with ``warm_start=True``.

        Returns
        -------
        GaussianMixture
            With ``mixture_`` and all views of it. What only a fit can measure, such as ``status_`` and ``gap_``, is
            missing.

        Raises
        ------
        ValueError
            If the family is of another kind than the covariances.

        Examples
        --------
        >>> from mixtura import GaussianMixture, Mixture
        >>> model = GaussianMixture.from_mixture(Mixture([0.5, 0.5], [0, 9], [1, 1]))
        >>> model.predict([[8.0], [1.0]])
        array([1, 0])
        """
        kind = mixture.structure.kind
        first = next(known for known in registry.FAMILIES if known.kind == kind)
        family = first if covariance_type is None else registry.get(covariance_type)
        if family.kind != kind:
            raise ValueError(f"family {family.name!r} has {family.kind} covariances, but the mixture's are {kind}")
        estimator = cls(mixture.n_components, covariance_type=covariance_type or family.name, **parameters)
        estimator.__dict__.update(
            mixture_=mixture,
            _family=family.name,
            _free=n_parameters(mixture, family),
            _dtype=np.dtype(np.float64),
            _generator=np.random.default_rng(as_generator(estimator.random_state).integers(2**63)),
        )
        return estimator

    # Fitting

    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the mixture to a table.

        Parameters
        ----------
        X : array-like, data frame or Arrow table of shape (N, D)
            NumPy, lists, pandas, polars, pyarrow, anything with ``__arrow_c_stream__``; arrays and data frames of Dask,
            for which the other methods are lazy, and of Spark. A Series is one column; a plain array of one dimension
            is refused, as everywhere in scikit-learn.
        y : None
            Ignored.
        sample_weight : array-like of shape (N,), optional
            2 counts a row twice, 0 leaves it out.

        Returns
        -------
        self : GaussianMixture
            If fitting is interrupted or fails, a former fit stays as it was.

        Raises
        ------
        ValueError
            If a parameter or the table cannot be used, or no start led to a fit; the message says why.

        Warns
        -----
        ConvergenceWarning
            If the fit ended before it converged, other than on request.
        UserWarning
            If a component is empty or has collapsed, there are too few rows, or they are constant, linearly dependent,
            much too far off or beyond double precision in some column.
        """
        self._fit(X, y, sample_weight)
        return self

    @with_callbacks
    def fit_predict(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Labels:
        """``fit`` and the most probable component of each row, (N,)."""
        source = self._fit(X, y, sample_weight)
        return self.predict(X) if is_lazy(X) else _each(source, self.mixture_.predict)

    def _fit(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> Source:
        """Fit; the rows as a source."""
        self._check_parameters()
        table = checked_table(X, sample_weight, None if self.n_threads is None else int(self.n_threads))
        source = table.source
        if source.n_rows < 2:
            raise ValueError(
                f"Found array with {source.n_rows} sample(s) (shape={(source.n_rows, source.n_features)}) while a "
                f"minimum of 2 is required by {type(self).__name__}."
            )
        settings = Settings(
            n_init=int(self.n_init),
            tol=float(self.tol),
            max_iter=int(self.max_iter),
            reg_covar=None if self.reg_covar is None else float(self.reg_covar),
            init_params=self.init_params if isinstance(self.init_params, str) else "auto",
            noise=as_noise(self.noise, source.n_features),
            prior=as_prior(self.prior),
            fixed=self.fixed or NOTHING,
        )
        search_for = self._asked(table)
        generator = as_generator(self.random_state)
        seed = int(generator.integers(2**63))
        weights = getattr(source, "weights", None)
        metadata = {} if weights is None else {"sample_weight": weights}
        task = FitTask(self, {"X": getattr(source, "rows", X), "y": y, "metadata": metadata})
        printer = _Printer(int(self.verbose), int(self.verbose_interval))

        def observe(progress: Progress) -> bool:
            if progress.within:
                return False
            printer.passed(progress)
            return task.passed(progress)

        cell, more = search_for(source, settings, seed, observe)
        if cell.fit is None:
            raise ValueError(f"{ILL_DEFINED} ({cell.reason})")
        fitted = _fitted(cell, cell.fit, source.dtype, np.random.default_rng(seed)) | more
        printer.ended(fitted["status_"], fitted["lower_bound_"])
        task.ended(fitted)
        self.__dict__.update(fitted)
        self._warn(cell)
        return source

    def _asked(self, table: Opened) -> Search:
        """What to fit: a search for the cell to take, and for further attributes."""
        family = self._checked_family()
        self._check_size(table.source)
        candidate = Candidate(int(self.n_components), family, self._start(table, family))

        def search_for(source: Source, settings: Settings, seed: int, observe: Observer) -> tuple[Cell, dict[str, Any]]:
            (cell,) = search(source, [candidate], settings, seed, observe, columns=table.columns)
            return cell, {}

        return search_for

    def _check_parameters(self) -> None:
        """All parameters by themselves."""
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        if self.prior is not None and self.reg_covar is not None:
            raise InvalidParameterError("reg_covar and prior are two priors of the covariances: give one of them")
        for name in ("n_components", "max_iter", "n_init", "verbose_interval", "n_threads"):
            if isinstance(getattr(self, name), bool | np.bool_):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be an int, not a bool. "
                    f"Got {getattr(self, name)!r} instead."
                )

    def _checked_family(self) -> Family:
        """The covariance family."""
        try:
            return registry.get(self.covariance_type)
        except ValueError as error:
            raise InvalidParameterError(
                f"The 'covariance_type' parameter of {type(self).__name__} is no covariance family: {error}"
            ) from None

    def _check_size(self, source: Source) -> None:
        n_rows = used_rows(source)
        if n_rows < self.n_components:
            of = "" if getattr(source, "weights", None) is None else " (rows of positive weight)"
            raise ValueError(
                "Expected n_samples >= n_components but got "
                f"n_components = {self.n_components}, n_samples = {n_rows}{of}"
            )

    def _warn(self, cell: Cell) -> None:
        if not self.converged_ and self.status_ is not Status.STOPPED:
            warn(f"{NOT_CONVERGED} {self.status_.value}", ConvergenceWarning)
        for note in cell.notes:
            if note.grade > Grade.REMARK:
                warn(str(note), UserWarning)

    # Where to start

    def _start(self, table: Opened, family: Family) -> Mixture | Rule | Parts | None:
        if self.warm_start and hasattr(self, "mixture_"):
            return self._former(table, family)
        n_components = int(self.n_components)
        given = self.weights_init, self.means_init, self.precisions_init
        start = from_parts(*given, (n_components, table.source.n_features), family)
        if isinstance(self.init_params, str):
            return start
        if start is not None:
            raise ValueError(
                "init_params is a start of its own: leave out weights_init, means_init and precisions_init"
            )
        if isinstance(self.init_params, Mixture):
            return from_mixture(self.init_params, "the Mixture in init_params", n_components, table)
        if table.source.remote:
            raise ValueError(
                "init_params of each row would have to be sent to where the rows are: start from a Mixture, or from "
                "means_init"
            )
        weights = getattr(table.source, "weights", None)
        return from_rows(np.asarray(self.init_params), n_components, table.source.n_rows, weights)

    def _former(self, table: Opened, family: Family) -> Mixture:
        if self._family != family.name:
            raise ValueError(
                f"warm_start goes on from the former fit, which is of the family {self._family!r}: "
                f"covariance_type={self.covariance_type!r} needs warm_start=False"
            )
        what = "the former fit, from which warm_start goes on,"
        return from_mixture(self.mixture_, what, int(self.n_components), table)

    # After the fit

    def predict(self, X: Any) -> Labels:
        """The most probable component of each row, (N,); −1 for noise."""
        return self._each_row(X, self._mixture().predict)

    def noise_probability(self, X: Any) -> Floats:
        """The probability that each row is noise, (N,), in the floating-point type of the rows."""
        return self._each_row(X, self._mixture().noise_probability, in_type=True)

    def predict_proba(self, X: Any) -> Floats:
        """Responsibilities γ (S10), (N, K), in the floating-point type of the rows; noise takes the rest to 1."""
        return self._each_row(X, self._mixture().responsibilities, in_type=True)

    def score_samples(self, X: Any) -> Floats:
        """log p(x) (S3) of each row, (N,), in the floating-point type of the rows."""
        return self._each_row(X, self._mixture().logpdf, in_type=True)

    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean log p(x), weighted if weights are given.

        Parameters
        ----------
        X : array-like, data frame or Arrow table of shape (N, D)
        y : None
            Ignored.
        sample_weight : array-like of shape (N,), optional

        Returns
        -------
        float
        """
        loglik, weight = self._loglik(X, sample_weight)
        return loglik / weight

    def bic(self, X: Any, sample_weight: ArrayLike | None = None) -> float:
        """Bayesian information criterion, smaller is better; its N is the sum of the weights.

        Parameters
        ----------
        X : array-like, data frame or Arrow table of shape (N, D)
        sample_weight : array-like of shape (N,), optional

        Returns
        -------
        float
        """
        loglik, weight = self._loglik(X, sample_weight)
        return -2 * loglik + self._n_parameters() * float(np.log(weight))

    def aic(self, X: Any, sample_weight: ArrayLike | None = None) -> float:
        """Akaike information criterion, smaller is better; arguments as in ``bic``."""
        return -2 * self._loglik(X, sample_weight)[0] + 2 * self._n_parameters()

    def icl(self, X: Any, sample_weight: ArrayLike | None = None) -> float:
        """Integrated completed likelihood: ``bic`` − 2 Σ w log max_k γ_k, smaller is better; arguments as in ``bic``.

        It asks for components that are apart (Biernacki, Celeux & Govaert, IEEE Trans. PAMI 22 (2000)).
        """
        source = self._source(X, sample_weight)
        if isinstance(source, Memory):
            sure = certainty([self._mixture()], Block(source.rows, source.weights, 0))
        else:
            sure = source.total(partial(certainty, [self._mixture()]))
        loglik, weight = self._loglik_of(source)
        return -2 * loglik + self._n_parameters() * float(np.log(weight)) - 2 * float(sure[0])

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Array, Labels]:
        """Draw rows and their components (S4, S5), which come mixed.

        Parameters
        ----------
        n_samples : int
        random_state : int, Generator, RandomState, optional
            By default a generator of the estimator's own, which the fit seeded from its ``random_state`` and which
            moves on: the first call after a fit can be repeated, a second one differs from it.

        Returns
        -------
        X : ndarray of shape (n_samples, D)
        y : ndarray of shape (n_samples,)
            −1 for noise.

        Raises
        ------
        ValueError
            If ``n_samples`` is no whole number of at least 1, or there is noise that was given by its density alone.
        """
        mixture = self._mixture()
        if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples!r}. Sampling needs a whole number from 1.")
        generator = self._generator if random_state is None else as_generator(random_state)
        return mixture.sample(int(n_samples), generator, return_labels=True)

    def _mixture(self) -> Mixture:
        check_is_fitted(self)
        return self.mixture_

    def _each_row(self, X: Any, function: Callable[[Any], Any], *, in_type: bool = False) -> Any:
        """A function of the rows, perhaps in their floating-point type: lazily where they are Dask's."""
        if not is_lazy(X):
            source = self._source(X)
            return _each(source, function, source.dtype if in_type else None)
        mixture = self._mixture()
        check_names(names_of(X), mixture.columns, type(self).__name__)
        rows = array_of(X, mixture.n_features, mixture.columns)
        found = function(rows)
        return found.astype(np.float32) if in_type and rows.dtype == np.float32 else found

    def _source(self, X: Any, sample_weight: ArrayLike | None = None) -> Source:
        """The rows, if their columns are those of the fit."""
        mixture = self._mixture()
        table = checked_table(X, sample_weight)
        check_names(table.columns, mixture.columns, type(self).__name__)
        if table.source.n_features != mixture.n_features:
            raise ValueError(
                f"X has {table.source.n_features} features, but {type(self).__name__} is expecting "
                f"{mixture.n_features} features as input."
            )
        return table.source

    def _loglik(self, X: Any, sample_weight: ArrayLike | None) -> tuple[float, float]:
        """Log-likelihood and weight of the rows."""
        return self._loglik_of(self._source(X, sample_weight))

    def _loglik_of(self, source: Source) -> tuple[float, float]:
        mixture = self._mixture()
        if isinstance(source, Memory):
            weights = source.weights
            weight = float(source.n_rows if weights is None else weights.sum())
            return mixture.loglik(source.rows, weights), weight
        return source.total(lambda block: mixture.loglik(block.rows, block.weights)), source.weight

    def _n_parameters(self) -> int:
        """Free parameters; scikit-learn's private name for it is in use elsewhere."""
        check_is_fitted(self)
        return self._free

    # Views of mixture_

    @property
    def weights_(self) -> Rows:
        """π, (K,)."""
        return self._view(self.mixture_.weights)

    @property
    def means_(self) -> Rows:
        """μ, (K, D)."""
        return self._view(self.mixture_.means)

    @property
    def covariances_(self) -> Rows:
        """Σ, in the shape of the family."""
        structure = self.mixture_.structure
        if isinstance(structure, Diagonal):
            return self._view_by_family(np.square(structure.scale))
        dense = structure.dense()
        return self._view(dense[0] if isinstance(structure, Tied) else dense)

    @property
    def precisions_(self) -> Rows:
        """Σ⁻¹, likewise."""
        root = self._precisions_cholesky()
        if isinstance(self.mixture_.structure, Diagonal):
            return self._view_by_family(np.square(root))
        return self._view(root @ np.swapaxes(root, -1, -2))

    @property
    def precisions_cholesky_(self) -> Rows:
        """U with U Uᵀ = Σ⁻¹, likewise."""
        return self._view_by_family(self._precisions_cholesky())

    @property
    def n_features_in_(self) -> int:
        """D."""
        return self.mixture_.n_features

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns, (D,), where the table had some."""
        if self.mixture_.columns is None:
            raise AttributeError("the table of the fit had no column names")
        return np.array(self.mixture_.columns, dtype=object)

    @property
    def converged_(self) -> bool:
        """Whether ``status_`` is one of convergence."""
        return self.status_.converged

    def _precisions_cholesky(self) -> Array:
        structure = self.mixture_.structure
        white = structure.whitening
        return white if isinstance(structure, Diagonal) else np.swapaxes(white, -1, -2)

    def _view_by_family(self, array: Array) -> Rows:
        return self._view(array[:, 0] if registry.get(self._family).isotropic else array)

    def _view(self, array: Array) -> Rows:
        with np.errstate(over="ignore"):
            view = np.array(array, dtype=self._dtype, order="C")
        if not np.isfinite(view).all():  # beyond single precision
            view = np.array(array, order="C")
        view.flags.writeable = False
        return view


def _each(source: Source, function: Callable[[Rows], Any], dtype: Any = None) -> Any:
    """A function of all rows; where they are not in memory, block after block."""
    if isinstance(source, Memory):
        found = function(source.rows)
    else:
        found = np.concatenate(list(source.map(lambda block: function(block.rows))))
    return found if dtype is None else found.astype(dtype, copy=False)


def _fitted(cell: Cell, fit: Fit, dtype: np.dtype[Any], generator: np.random.Generator) -> dict[str, Any]:
    """The attributes that a fit leaves behind."""
    weight = fit.statistics.weight
    return {
        "mixture_": fit.model,
        "status_": fit.status,
        "notes_": tuple(str(note) for note in cell.notes),
        "n_iter_": fit.n_iter,
        "lower_bound_": fit.loglik / weight,
        "lower_bounds_": [step.loglik / weight for step in fit.trace],
        "trace_": fit.trace,
        "gradient_norm_": fit.gradient_norm,
        "gap_": fit.gap,
        "_family": cell.covariance,
        "_free": fit.n_parameters,
        "_dtype": dtype,
        "_generator": generator,
    }


class _Printer:
    """What ``verbose`` prints."""

    def __init__(self, verbose: int, interval: int) -> None:
        self.verbose, self.interval = verbose, interval
        self.stage, self.passes = "", 0
        self.began = self.last = time.perf_counter()

    def passed(self, progress: Progress) -> None:
        """Tell of a pass."""
        if progress.stage != self.stage:
            self.stage = progress.stage
            self._say(f"{self.stage.capitalize()}: {progress.climbs} start{'s' * (progress.climbs > 1)}")
        self.passes += 1
        if self.passes % self.interval == 0:
            now = time.perf_counter()
            lapse = f"\t time lapse {now - self.last:.5f}s\t {progress.climbing} climbing"
            self._say(f"  Iteration {self.passes}", lapse)
            self.last = now

    def ended(self, status: Status, lower_bound: float) -> None:
        """Tell of the end."""
        lapse = f" time lapse {time.perf_counter() - self.began:.5f}s\t lower bound {lower_bound:.5f}."
        self._say(status.value, lapse)

    def _say(self, text: str, more: str = "") -> None:
        if self.verbose:
            print(text + more * (self.verbose > 1))  # noqa: T201
