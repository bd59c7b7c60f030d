"""What a mixture says of each row: added to a table, of Dask and Spark lazily; or written to a file on the way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mixtura.core.mixture import Mixture
from mixtura.ground import Observer, Progress
from mixtura.sources.coerce import INPUT, as_table
from mixtura.sources.files import write_batches
from mixtura.sources.opening import as_source
from mixtura.sources.reader import Opened
from mixtura.sources.source import Block, Source
from mixtura.summary import per_row

if TYPE_CHECKING:
    import pyarrow as pa


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


def write_scores(
    model: Mixture,
    table: Any,
    path: str | PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 (as NumPy and pyarrow call it)
    progress: Observer | None = None,
    **options: Any,
) -> int:
    """Write what a mixture says of each row of a table to a file, block by block.

    Parameters
    ----------
    model : Mixture
    table : array-like, data frame, path, or whatever else holds rows
        See ``mixtura.sources.as_source``; it may be much larger than memory.
    path : str or path-like
        The file, which is replaced at the end or not at all; ``-`` is standard output.
    format : {"parquet", "csv", "arrow", "npy"}, optional
        By default as the suffix of the file says.
    progress : callable, optional
        Is told of the rows that are done; see mixtura.ground.Progress, its stage is "rows".
    **options
        Of ``mixtura.sources.as_source``: columns, where, part, n_threads, spool. By default the columns are those that
        have the names of the model's.

    Returns
    -------
    int
        How many rows there are.

    Raises
    ------
    ValueError
        If the table or the file cannot be used, or the table has not as many columns as the model.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import mixtura
    >>> model = mixtura.fit("examples/faithful.csv", 2, "full", random_state=0).model
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels.csv"
    >>> mixtura.write_scores(model, "examples/faithful.csv", path)
    272
    >>> print(path.read_text()[:46])
    "label","probability","log_density","p0","p1"
    """
    if not isinstance(table, Source | Opened) and model.columns is not None:
        options = {"columns": model.columns} | options
    source, _ = as_source(table, **options)
    if source.n_features != model.n_features:
        raise ValueError(f"the model has {model.n_features} columns, but the table {source.n_features}")
    if not source.ordered:
        raise ValueError(
            "Spark reads rows in an order of its own, which scores in a file would not tell: take score_table of the "
            "DataFrame, which keeps its columns, or read the files without Spark"
        )
    schema = scored_block(model, Block(np.zeros((1, model.n_features)), None, 0)).schema
    batches = _told(source.map(partial(scored_block, model)), source.n_rows, progress)
    write_batches(batches, schema, path, format, n_rows=source.n_rows)
    return source.n_rows


def scored_block(model: Mixture, block: Block) -> pa.RecordBatch:
    """What a mixture says of each row of a block."""
    import pyarrow as pa

    return pa.RecordBatch.from_pydict(per_row(model, block.rows))


def _told(batches: Iterable[pa.RecordBatch], n_rows: int, progress: Observer | None) -> Generator[pa.RecordBatch]:
    """The batches; an observer is told of those that are done."""
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        if progress is not None:
            progress(Progress("rows", 1, n_rows - done, n_rows))


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
