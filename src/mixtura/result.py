"""The one-line function: any table → a fitted, chosen mixture with a readable summary."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from os import PathLike, fspath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mixtura import text
from mixtura._version import __version__
from mixtura.agreement import CrossTable, cross_table
from mixtura.checkpoint import head_for, seed_in
from mixtura.choice import CRITERIA, Cell, LeftOut, Survey, affordable, chosen, counts_of, ranked, ties
from mixtura.core.arguments import as_generator
from mixtura.core.em import Fit
from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.mixture import Mixture
from mixtura.core.noise import Noise
from mixtura.core.overlap import Separation
from mixtura.covariance import registry
from mixtura.covariance.prior import ConjugatePrior, as_prior
from mixtura.covariance.registry import Family
from mixtura.ground import Observer, Settings, as_noise
from mixtura.lazy import cached_property
from mixtura.merging import Merging, merge
from mixtura.progress import watched
from mixtura.sources.journal import Journal, Journalled
from mixtura.sources.opening import as_source
from mixtura.sources.sketch import fingerprint
from mixtura.sources.sql import without_password
from mixtura.start import METHODS
from mixtura.summary import summarise

#: Numbers of components tried when none are named.
COMPONENTS = range(1, 10)


class Call(NamedTuple):
    """The call that led to a result, so that it can be shown and made again.

    ``arguments`` are those that were given, by name, ``table`` as text; ``seed`` is the ``random_state``, if it was a
    number.
    """

    arguments: Mapping[str, Any]
    table: str | None = None
    seed: int | None = None

    def __str__(self) -> str:
        return self.changed({})

    def changed(self, change: Mapping[str, Any]) -> str:
        """The call with other arguments, as it is written in Python."""
        rows = "table" if self.table is None else repr(self.table)
        return f"mixtura.fit({', '.join([rows, *text.as_arguments({**self.arguments, **change})])})"


_NO_CALL = Call({})


@dataclass(frozen=True, eq=False)
class Result:
    """What ``mixtura.fit`` and ``mixtura.select`` found: print it, or look at it in a notebook, for a summary.

    It holds the table of all candidates and, so that this can be extended, the rows.

    Attributes
    ----------
    survey : Survey
        The table and what it was made of.
    columns : tuple of str
    call : Call, optional
        What was asked.
    """

    survey: Survey
    columns: tuple[str, ...]
    call: Call = _NO_CALL

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every candidate, with its fit or the reason why there is none."""
        return self.survey.cells

    @property
    def best(self) -> Cell:
        """The chosen one."""
        return self.survey.best

    @property
    def criterion(self) -> str:
        """By which it was chosen; smaller is better."""
        return self.survey.criterion

    @property
    def n_rows(self) -> int:
        """N."""
        return self.survey.source.n_rows

    @cached_property
    def separation(self) -> Separation:
        """How surely the rows belong to one component of the chosen model or another."""
        return self.model.separation(self.survey.source)

    @property
    def fit(self) -> Fit:
        """The chosen fit: status, trace, gradient."""
        if self.best.fit is None:
            raise ValueError("no candidate could be fitted")
        return self.best.fit

    @property
    def model(self) -> Mixture:
        """The chosen mixture."""
        return self.fit.model

    @property
    def weight(self) -> float:
        """Sum of the row weights; the number of rows when they carry none."""
        return self.fit.statistics.weight

    @property
    def ties(self) -> tuple[Cell, ...]:
        """The other cells within 2 units of the best: the criterion cannot tell them apart."""
        return tuple(ties(self.cells, self.best, self.criterion))

    def top(self, n: int = 5) -> tuple[Cell, ...]:
        """The n best cells, the best first."""
        return tuple(ranked(self.cells, self.criterion)[:n])

    def table(self) -> dict[str, list[Any]]:
        """All cells as columns of equal length, which any data frame can be made of.

        Returns
        -------
        dict
            ``n_components``, ``covariance`` and ``mclust`` (the family's name there), ``n_parameters``, ``loglik``;
            ``bic``, ``icl``, ``aic`` and, where it was asked for, ``cv`` with ``cv_error``, each smaller for a better
            model; ``behind``, by how much the cell is worse than the chosen one; whether it is that one (``chosen``),
            as good (``tie``), ``eligible`` and ``converged``; and the ``reason`` why there is no fit.
        """
        return self.survey.table()

    def to_frame(self) -> Any:
        """``table`` as a pandas DataFrame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: install it, or take table(), a dict of columns") from error
        return pd.DataFrame(self.table())

    def extend(
        self,
        n_components: int | Iterable[int] | None = None,
        covariances: str | Family | Iterable[str | Family] | None = None,
        *,
        progress: Observer | bool | None = None,
    ) -> Result:
        """The result with more candidates. Those that are there are not fitted again.

        One of them is replaced only if a new one leads to a higher likelihood in it too.

        Parameters
        ----------
        n_components : int or iterable of int, optional
            Numbers of components; by default those that are there.
        covariances : str, or iterable of str, optional
            Covariance families, or "all"; by default those that are there.
        progress : bool or callable, optional
            As in ``fit``.

        Returns
        -------
        Result
            A new one; this one stays as it is.

        Raises
        ------
        ValueError
            If an argument makes no sense.

        Examples
        --------
        >>> import mixtura
        >>> result = mixtura.select("examples/faithful.csv", [1, 2], "full", random_state=0)
        >>> more = result.extend(n_components=3)
        >>> [cell.n_components for cell in more.cells]
        [1, 2, 3]
        >>> more.cells[1] is result.cells[1]
        True
        """
        counts = [cell.n_components for cell in self.cells]
        families = [cell.covariance for cell in self.cells]
        wanted = counts if n_components is None else counts_of(n_components, self.n_rows)
        several = registry.several(families if covariances is None else covariances, len(self.columns))
        with watched(progress) as observer:
            survey = self.survey.extended(wanted, several, observer)
        counts = sorted({cell.n_components for cell in survey.cells})
        tried = {"n_components": counts, "covariance": list(dict.fromkeys(cell.covariance for cell in survey.cells))}
        return Result(survey, self.columns, self.call._replace(arguments={**self.call.arguments, **tried}))

    def summary(self) -> dict[str, Any]:
        """Plain numbers (JSON-able): the chosen model, its components, its rivals, notes and advice."""
        return self._numbers

    @cached_property
    def _numbers(self) -> dict[str, Any]:
        return summarise(
            self.cells,
            self.best,
            self.criterion,
            self.columns,
            self.n_rows,
            separation=self.separation,
            left_out=self.survey.left_out,
        )

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that stand for the numbers of all rows and their weights, in whatever order."""
        return fingerprint(self.survey.source)

    def report(
        self, path: str | PathLike[str], *, overwrite: bool = False, progress: Observer | bool | None = None
    ) -> None:
        """Write what was found as one page to read: an HTML file that needs no other, and no network.

        It shows the chosen model and its rivals, the components, pictures of the rows, how sure the labels are, whether
        the model fits, how the climb went, how to use the model and how to make it again. The same result gives the
        same bytes.

        Parameters
        ----------
        path : str or path-like
            The file. A name in ``.md`` gets the same without pictures, as Markdown.
        overwrite : bool, default False
            Whether a file of that name may be replaced.
        progress : bool or callable, optional
            As in ``fit``; the stage is "report".

        Raises
        ------
        FileExistsError
            If there is such a file and ``overwrite`` is false.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import mixtura
        >>> result = mixtura.fit("examples/faithful.csv", 2, "full", random_state=0)
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "faithful.html"
        >>> result.report(path)
        >>> path.read_text(encoding="utf-8")[:15]
        '<!doctype html>'
        """
        from mixtura import report

        with watched(progress) as observer:
            report.write(path, self, self._document, self.call.changed, overwrite=overwrite, progress=observer)

    @property
    def _document(self) -> dict[str, Any]:
        """What the report tells: the summary, and where it comes from."""
        return {
            "mixtura": __version__,
            "command": str(self.call),
            "seed": self.call.seed,
            "table": self.call.table,
            "left_out": {},
            "fingerprint": self.fingerprint,
            **self._numbers,
        }

    def merge(
        self, table: Any, sample_weight: ArrayLike | str | None = None, *, progress: Observer | bool | None = None
    ) -> Merging:
        """Unite components of the chosen model into clusters, by what the rows leave open; see ``mixtura.merge``.

        Parameters
        ----------
        table : array-like, data frame, path, or whatever else ``fit`` takes
            The table that was fitted.
        sample_weight : array-like of shape (N,), or name of a column, optional
        progress : bool or callable, optional
            As in ``fit``; the stage is "merge".
        """
        source, _ = as_source(table, columns=self.model.columns, weights=sample_weight)
        with watched(progress) as observer:
            return merge(self.model, source, progress=observer)

    def compare(self, table: Any, labels: Iterable[Hashable]) -> CrossTable:
        """Lay the labels of the chosen model beside given ones; see ``mixtura.cross_table``.

        Parameters
        ----------
        table : array-like, data frame, path, or whatever else ``fit`` takes
        labels : array-like of shape (N,)
            Of any kind; None or NaN where a row has none.
        """
        source, _ = as_source(table, columns=self.model.columns)
        model = self.model  # which alone is sent where the rows are
        found = source.map(lambda block: model.predict(block.rows))
        return cross_table(labels, np.concatenate(list(found)))

    def __str__(self) -> str:
        return text.as_text(self._numbers)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mixtura import notebook

        return notebook.as_html(self._numbers)


def fit(
    table: Any,
    n_components: int | Iterable[int] = COMPONENTS,
    covariance: str | Family | Iterable[str | Family] | None = None,
    *,
    criterion: str = "bic",
    sample_weight: ArrayLike | str | None = None,
    columns: Iterable[str | int] | None = None,
    where: Any = None,
    part: str | None = None,
    n_init: int = 4,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    reg_covar: float | None = None,
    init_params: str = "auto",
    noise: bool | float | Noise = False,
    prior: ConjugatePrior | str | None = None,
    fixed: Fixed | None = None,
    random_state: Any = None,
    n_threads: int | None = None,
    spool: bool | None = None,
    progress: Observer | bool | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> Result:
    """Fit mixtures to a table and choose one.

    Parameters
    ----------
    table : array-like, data frame, path, or whatever else holds rows
        (N, D) numbers: NumPy, lists, pandas, polars, pyarrow, anything with ``__arrow_c_stream__``; the path of a CSV,
        Parquet, Arrow, ``.npy`` or HDF5 file or of a folder of files, of which the columns that are not numeric are
        left out; a ``Query`` of a database, a lazy frame, an iterable of tables, a Source: see
        ``mixtura.sources.as_source``. What does not fit into memory is read in every pass.
    n_components : int or iterable of int
        Numbers of components to try.
    covariance : str, or iterable of str, optional
        Covariance families to try: "full" (VVV), "tied" (EEE), "diag" (VVI), "spherical" (VII), and by mclust's names
        "eii", "eei", "vei", "evi", "vee", "eve", "vve", "eev", "vev", "evv"; or "all" of them. By default all, or the
        first four of a table that is large (see mixtura.choice.affordable); the result tells what was left out.
    criterion : {"bic", "icl", "aic", "cv"}
        What to choose by; smaller is better. "cv" is −2 log-likelihood of the rows, each under a model of the others,
        in five folds.
    sample_weight : array-like of shape (N,), or name of a column, optional
        2 counts a row twice, 0 leaves it out; the criteria count weight, not rows.
    columns : iterable of str or int, optional
        Which columns to use, in this order.
    where : str or pyarrow.compute.Expression, optional
        Which rows to use, as in ``"dose > 3 and site in ('A', 'B')"``; see mixtura.sources.where.
    part : str, optional
        Which of several tables in a file, database or AnnData object.
    n_init : int
        Starts for each number of components. Families share them out among them where there are enough, choose one more
        from three times as many, and take over from each other what leads higher. They race on a bounded sample, so
        more of them cost little on many rows.
    tol : float
        Converged when the estimated gap to the top is below this many nats a row.
    max_iter : int
        The most steps of each climb.
    reg_covar : float, optional
        Ridge in the squared units of the data; 0 for plain maximum likelihood. By default a tiny prior relative to
        the data's own spread (mixtura.covariance.prior).
    init_params : {"auto", "hierarchical", "k-means++", "kmeans", "random", "random_from_data"}
        How to start.
    noise : bool, float or Noise
        Whether to add a component for rows that belong to no Gaussian: True spreads it evenly over the region of the
        rows, a number is its density, a Noise tells its region or density (see Noise).
    prior : "conjugate" or ConjugatePrior, optional
        Maximise the posterior under this prior of means and covariances instead of the (barely penalised) likelihood.
    fixed : Fixed, optional
        Weights, means or covariances that shall stay as it says: ``Fixed(weights="equal")``, for instance.
    random_state : int, Generator, RandomState or None
        The same seed gives the same bits, on any number of threads.
    n_threads : int, optional
        By default as many as this process may use processors.
    spool : bool, optional
        Whether to copy the rows once to a temporary file that all passes read (to memory, if they are few): by default
        that is done with CSV files, queries and whatever can be read only once.
    progress : bool or callable, optional
        Whether to show a bar if it takes more than two seconds; by default in a notebook and at the prompt of an
        interpreter. A callable is told of each pass instead (see mixtura.ground.Progress); a true answer ends the fit
        with the models as they are. Ctrl-C is KeyboardInterrupt, unless a callable sees to it.
    checkpoint : str or path-like, optional
        A file that keeps what the passes over all rows found. If the fit is killed, the same call goes on from there,
        to the same bits (with ``random_state=None``, to those of the seed that was drawn then). See
        mixtura.sources.journal.

    Returns
    -------
    Result

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be written, or is of another table, of other options or of another version. It is a
        ValueError.
    ValueError
        If the table holds what cannot be fitted (text, NaN, too few rows), with the place; if an argument makes no
        sense; or if no candidate could be fitted, with the reasons.

    Examples
    --------
    >>> import mixtura
    >>> result = mixtura.fit("examples/faithful.csv", n_components=[1, 2, 3], covariance="tied", random_state=0)
    >>> result.best.n_components
    3
    >>> result.model.columns
    ('eruptions', 'waiting')
    """
    call = _call(locals())
    source, names = as_source(
        table,
        columns=columns,
        weights=sample_weight,
        where=where,
        part=part,
        n_threads=None if n_threads is None else _at_least("n_threads", n_threads, 1),
        spool=spool,
    )
    counts = counts_of(n_components, source.n_rows)
    families, left_out = _families(covariance, counts, source.n_rows, source.n_features)
    criterion = criterion.lower() if isinstance(criterion, str) else criterion
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}, got {criterion!r}")
    if init_params not in METHODS:
        raise ValueError(f"init_params must be one of {', '.join(METHODS)}, got {init_params!r}")
    if prior is not None and reg_covar is not None:
        raise ValueError("reg_covar and prior are two priors of the covariances: give one of them")
    settings = Settings(
        n_init=_at_least("n_init", n_init, 1),
        tol=_at_least("tol", tol, 0.0),
        max_iter=_at_least("max_iter", max_iter, 1),
        reg_covar=None if reg_covar is None else _at_least("reg_covar", reg_covar, 0.0),
        init_params=init_params,
        noise=as_noise(noise, source.n_features),
        prior=as_prior(prior),
        fixed=fixed or NOTHING,
    )
    seed = None if checkpoint is None or random_state is not None else seed_in(checkpoint)
    if seed is None:
        seed = int(as_generator(random_state).integers(2**63))
    survey = Survey(source, settings, seed, criterion, names, left_out=left_out)
    with watched(progress) as observer:
        if checkpoint is None:
            survey = survey.extended(counts, families, observer)
        else:
            wanted = {"n_components": counts, "covariance": [each.name for each in families], "criterion": criterion}
            head = head_for(source, settings, seed, wanted | {"random_state": random_state, "columns": names})
            with Journal(checkpoint, head) as journal:
                journalled = replace(survey, source=Journalled(source, journal))
                survey = replace(journalled.extended(counts, families, observer), source=source)
    chosen(survey.cells, criterion)  # raises where there is nothing to choose
    return Result(survey, names or tuple(f"x{j}" for j in range(1, source.n_features + 1)), call)


def select(
    table: Any,
    n_components: int | Iterable[int] = COMPONENTS,
    covariances: str | Family | Iterable[str | Family] = "all",
    *,
    criterion: str = "bic",
    **options: Any,
) -> Result:
    """How many components, of which covariance family: ``fit`` over all families.

    Parameters
    ----------
    table : array-like, data frame, path, or whatever else holds rows
        (N, D) numbers, as in ``fit``.
    n_components : int or iterable of int
        Numbers of components to try.
    covariances : str, or iterable of str
        Covariance families to try, or "all".
    criterion : {"bic", "icl", "aic", "cv"}
        What to choose by; smaller is better.
    **options
        Any other argument of ``fit``: sample_weight, random_state, progress, …

    Returns
    -------
    Result
        With all candidates (``table``), the best (``best``, ``top``), those that are as good (``ties``), and a way to
        go on (``extend``).

    Raises
    ------
    ValueError
        As ``fit``.

    Examples
    --------
    >>> import mixtura
    >>> result = mixtura.select("examples/faithful.csv", range(1, 4), ["full", "tied"], random_state=0)
    >>> [(cell.n_components, cell.covariance) for cell in result.top(2)]
    [(3, 'tied'), (2, 'full')]
    >>> result.ties
    ()
    """
    return fit(table, n_components, covariances, criterion=criterion, **options)


def _families(
    asked: str | Family | Iterable[str | Family] | None, counts: list[int], n_rows: int, n_features: int
) -> tuple[tuple[Family, ...], tuple[LeftOut, ...]]:
    """The families to try, and those that are not for what they would cost."""
    return affordable(counts, n_rows, n_features) if asked is None else (registry.several(asked, n_features), ())


def _call(given: Mapping[str, Any]) -> Call:
    """The arguments of ``fit`` that differ from what they are by default."""
    usual = signature(fit).parameters
    arguments = {
        name: value
        for name, value in given.items()
        if name not in {"table", "progress", "n_threads", "spool", "checkpoint"} and value is not usual[name].default
    }
    table, seed = given["table"], given["random_state"]
    return Call(
        arguments,
        without_password(fspath(table)) if isinstance(table, str | PathLike) else None,
        int(seed) if isinstance(seed, int | np.integer) else None,
    )


def _at_least(name: str, value: Any, least: float) -> Any:
    """The value itself, if it is a finite number of the right kind that is large enough."""
    kinds = int | np.integer if isinstance(least, int) else int | float | np.integer | np.floating
    if isinstance(value, bool) or not isinstance(value, kinds) or not np.isfinite(value) or value < least:
        kind = "a whole number" if isinstance(least, int) else "a finite number"
        raise ValueError(f"{name} must be {kind} of at least {least}, got {value!r}")
    return value
