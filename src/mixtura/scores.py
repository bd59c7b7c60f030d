"""Tables with what a mixture says of each row: of pandas, polars and pyarrow at once, of Dask and Spark lazily."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.core.mixture import Mixture
from mixtura.sources.coerce import INPUT, as_table
from mixtura.summary import per_row


def score_table(model: Mixture, table: Any, *, columns: Iterable[str] | None = None, prefix: str = "") -> Any:
    """Add to a table the most probable component of each row, with probabilities and the log density.

    Parameters
    ----------
    model : Mixture
    table : data frame
        Of pandas, polars, pyarrow, Dask or Spark.
    columns : iterable of str, optional
        The columns that stand for the model's, in its order; by default those of the same names.
    prefix : str
        What the names of the new columns begin with.

    Returns
    -------
    data frame
        Of the same kind, lazy if the table is, with further columns: ``label``, −1 for noise; its ``probability``;
        ``log_density``, in nats; with a noise component ``noise``, its probability; and the probabilities of all
        components, ``p0`` … (S10).

    Raises
    ------
    ValueError
        If there are no such columns, or there is a column already that is called as a new one; or if an entry is no
        finite number (for a lazy table, when it is computed).
    TypeError
        If it is no data frame.

    Examples
    --------
    >>> import pandas as pd
    >>> from mixtura import Mixture, score_table
    >>> model = Mixture([0.5, 0.5], [0, 9], [1, 1], columns=["size"])
    >>> score_table(model, pd.DataFrame({"id": ["a", "b"], "size": [8.0, 1.0]}))[["id", "label"]]
      id  label
    0  a      1
    1  b      0
    """
    names = list(columns if columns is not None else model.columns or ())
    if len(names) != model.n_features:
        given = "the model's columns have no names" if columns is None else f"{len(names)} were given"
        raise ValueError(f"columns must be the {model.n_features} that stand for the model's, in its order; {given}")
    add = next((add for attribute, add in _KINDS.items() if hasattr(table, attribute)), None)
    if add is None:
        kind = type(table).__name__
        raise TypeError(f"a data frame is needed, not {kind}: of arrays take predict(), responsibilities(), logpdf()")
    there = [str(name) for name in getattr(table, "column_names", table.columns)]
    absent = [name for name in names if name not in there]
    if absent:
        raise ValueError(f"the table has no column {absent[0]!r}: name those that stand for the model's ones")
    scored = _Scored(model, tuple(names), prefix)
    taken = [name for name in scored.nothing if name in there]
    if taken:
        raise ValueError(f"the table has a column {taken[0]!r} already: give the new ones a prefix")
    return add(table, scored)


@dataclass(frozen=True)
class _Scored:
    """The new columns of a table."""

    model: Mixture
    columns: tuple[str, ...]
    prefix: str

    def __call__(self, table: Any) -> dict[str, NDArray[Any]]:
        """Name and values of each."""
        if not table.shape[0]:
            return self.nothing
        rows = as_table(table, columns=self.columns, called=INPUT).rows
        return {self.prefix + name: values for name, values in per_row(self.model, rows).items()}

    @property
    def nothing(self) -> dict[str, NDArray[Any]]:
        """The same of no rows."""
        none = per_row(self.model, np.zeros((1, self.model.n_features)))
        return {self.prefix + name: values[:0] for name, values in none.items()}


def _with_pandas(table: Any, scored: _Scored) -> Any:
    return table.assign(**scored(table))


def _with_polars(table: Any, scored: _Scored) -> Any:
    return table.hstack(type(table)(scored(table)))


def _with_arrow(table: Any, scored: _Scored) -> Any:
    for name, values in scored(table).items():
        table = table.append_column(name, [values])
    return table


def _with_dask(table: Any, scored: _Scored) -> Any:
    meta = {**table.dtypes.to_dict(), **{name: values.dtype for name, values in scored.nothing.items()}}
    return table.map_partitions(_with_pandas, scored, meta=meta)


def _with_spark(table: Any, scored: _Scored) -> Any:
    from mixtura.sources.spark import with_columns

    return with_columns(table, scored, scored.nothing)


#: How columns are added, by what only tables of that kind have.
_KINDS: Mapping[str, Callable[[Any, _Scored], Any]] = {
    "mapInArrow": _with_spark,
    "map_partitions": _with_dask,
    "hstack": _with_polars,
    "append_column": _with_arrow,
    "assign": _with_pandas,
}
