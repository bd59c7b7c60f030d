"""Any table in memory becomes rows of floating-point numbers and the names of their columns.

NumPy arrays and lists need NumPy alone; pandas objects are read through their own methods;
everything else goes through the Arrow C stream (polars, pyarrow, DuckDB …), the data-frame
interchange protocol or ``__array__``. Whatever cannot be taken as finite numbers is refused in one
sentence that says what it is, in which row and column, and what to do.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Rows = NDArray[np.float64] | NDArray[np.float32]
Columns = Iterable[str | int] | str | int

_BLOCK = 65536  # rows looked at together when a value that is not finite has to be found
_TEXTS = {"string", "large_string", "string_view"}
_DATES = (dt.date, dt.time, dt.timedelta, np.datetime64, np.timedelta64)


class TableError(ValueError):
    """A table that cannot be used: the message says what is wrong, where, and what to do."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers with, where they are known, the names of the columns.

    Attributes
    ----------
    rows : ndarray of shape (N, D)
        float64, or float32 where all columns came in so; contiguous by rows or by columns.
    columns : tuple of str or None
        Names of the columns.
    """

    rows: Rows
    columns: tuple[str, ...] | None


@dataclass(frozen=True)
class Labels:
    """How messages call a table, its rows and its columns.

    Attributes
    ----------
    columns : sequence of str, int or None
        Names of the columns, their numbers where they have no names, None for a lone vector.
    table : str
        What the table is called.
    first_row : int
        The number of its first row.
    among : str
        Which rows are counted, if not all of them.
    """

    columns: Sequence[str | int | None]
    table: str = "Input"
    first_row: int = 0
    among: str = ""

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the columns, where they have names."""
        names = tuple(label for label in self.columns if isinstance(label, str))
        return names if len(names) == len(self.columns) else None

    def at(self, row: int, column: int) -> str:
        """The place of one entry."""
        label = self.columns[column]
        which = "" if label is None else f", column {label!r}"
        return f"row {row + self.first_row}{which} (rows counted from {self.first_row}{self.among})"

    def all(self) -> str:
        """The place of something that concerns the one column, or all of them."""
        lone = len(self.columns) == 1 and self.columns[0] is not None
        return f"column {self.columns[0]!r}" if lone else "all its entries"

    def only(self, column: int) -> Labels:
        """The labels of one of the columns."""
        return replace(self, columns=[self.columns[column]])


#: What messages call a table of which nothing else is said.
INPUT = Labels(())


def as_table(
    data: object, *, columns: Columns | None = None, allow_missing: bool = False, called: Labels = INPUT
) -> Table:
    """Take any table in memory as rows of floating-point numbers.

    Parameters
    ----------
    data : array-like or data frame
        A NumPy array in any memory order and of any real type, a (nested) list, a pandas, polars
        or pyarrow table, or anything with ``__arrow_c_stream__``, ``__dataframe__`` or
        ``__array__``. One dimension is one column.
    columns : sequence of str or int, optional
        The columns to take, by name or by number, in this order. All of them by default.
    allow_missing : bool, default False
        Whether NaN and nulls pass (as NaN) instead of being refused.
    called : Labels, optional
        What messages call the table and its first row.

    Returns
    -------
    Table
        Columns that are all float32 stay so; everything else becomes float64. The memory of an
        array that can be used as it is is not copied.

    Raises
    ------
    TableError
        If there are no rows or columns, or an entry is not a finite real number.
    TypeError
        If ``data`` is not a table at all, or is sparse.

    Examples
    --------
    >>> table = as_table([[1, 2], [3, 4], [5, 6]], columns=[1])
    >>> table.rows.T
    array([[2., 4., 6.]])
    >>> import pandas as pd
    >>> as_table(pd.DataFrame({"eruptions": [3.6, 1.8], "waiting": [79, 54]})).columns
    ('eruptions', 'waiting')
    """
    rows, labels = unchecked(data, columns, called)
    check_finite(rows, labels, allow_missing=allow_missing)
    return Table(rows, labels.names)


def as_weights(
    weights: object, n_rows: int, *, name: str = "sample_weight", first_row: int = 0
) -> NDArray[np.float64] | None:
    """Take row weights as a vector of N finite numbers, none negative and not all zero.

    Parameters
    ----------
    weights : array-like of shape (N,) or None
        One weight a row; None, no weights, passes.
    n_rows : int
        N, the number of rows of the table.
    name, first_row : str, int
        What messages call the weights, and the first row.

    Raises
    ------
    TableError
        If the shape is another, or a weight is not a finite number or negative, or all are zero.

    Examples
    --------
    >>> as_weights([1, 0, 2], 3)
    array([1., 0., 2.])
    """
    if weights is None:
        return None
    out = some_weights(weights, n_rows, name=name, first_row=first_row)
    if not out.any():
        raise TableError(f"{name} is zero in every row: at least one row needs a positive weight")
    with np.errstate(over="ignore"):
        total = out.sum()
    if not np.isfinite(total):
        raise TableError(f"{name} adds up to infinity: divide the weights by a common number")
    return out


def some_weights(
    weights: object, n_rows: int, *, name: str = "sample_weight", first_row: int = 0
) -> NDArray[np.float64]:
    """``as_weights`` of some of the rows of a table: all of them may be zero."""
    labels = Labels([None], name, first_row)
    array = plain(weights)
    if array.ndim != 1:
        raise TableError(f"{name} must be 1-D, one weight a row, but its shape is {array.shape}")
    if len(array) != n_rows:
        raise TableError(f"{name} has {len(array)} entries for {n_rows} rows: give one weight a row")
    rows = floats(array[:, None], labels)
    check_finite(rows, labels)
    out = np.ascontiguousarray(rows[:, 0], dtype=np.float64)
    if (out < 0).any():
        row = int(np.argmax(out < 0))
        raise TableError(f"{name} must not be negative, but it is {out[row]:g} in {labels.at(row, 0)}")
    return out


def check_finite(rows: Rows, labels: Labels, *, allow_missing: bool = False) -> None:
    """Raise TableError at the first entry that is NaN (unless that is allowed) or infinite."""
    if not all_finite(rows):
        gaps = gaps_of(rows, allow_missing=allow_missing)
        if gaps.first is not None:
            raise gaps.error(labels)


def all_finite(rows: Rows) -> bool:
    """Whether there is surely no NaN and no infinite value: False may also mean that a sum overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(rows.sum()))


class Gap(NamedTuple):
    """An entry that is no finite number: its row and column, and whether it is NaN."""

    row: int
    column: int
    nan: bool


@dataclass(frozen=True)
class Gaps:
    """The entries of some rows that are no finite numbers; those of rows that follow can be added."""

    first: Gap | None = None
    nan: int = 0
    infinite: int = 0

    def __add__(self, other: Gaps) -> Gaps:
        return Gaps(self.first or other.first, self.nan + other.nan, self.infinite + other.infinite)

    def error(self, labels: Labels) -> TableError:
        """The sentence that says where the first one is, and how many there are."""
        if self.first is None:
            raise ValueError("there is nothing wrong")
        row, column, nan = self.first
        what = "NaN (a missing value)" if nan else "infinity"
        others = self.nan + self.infinite - 1
        more = f" and {others} more (NaN {self.nan}, infinite {self.infinite} in all)" if others else ""
        return TableError(
            f"{labels.table} contains {what} in {labels.at(row, column)}{more}: drop those rows or fill them in"
        )


NO_GAPS = Gaps()


def gaps_of(rows: Rows, first_row: int = 0, *, allow_missing: bool = False) -> Gaps:
    """What there is in these rows, the first of which has this number, that is no finite number."""
    found = Gaps()
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        infinite = np.isinf(block)
        missing = np.zeros_like(infinite) if allow_missing else np.isnan(block)
        wrong = missing | infinite
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            gap = Gap(first_row + start + row, column, bool(missing[row, column]))
            found += Gaps(gap, int(np.count_nonzero(missing)), int(np.count_nonzero(infinite)))
    return found


def select(names: Sequence[str] | None, n_columns: int, columns: Columns | None, table: str = "Input") -> list[int]:
    """Positions of the columns asked for, in that order (of all of them by default).

    Raises
    ------
    TableError
        If there is no such column, or the choice is empty, ambiguous or repeated.
    """
    if columns is None:
        chosen = list(range(n_columns))
    else:
        wanted = [columns] if isinstance(columns, str | int | np.integer) else list(columns)
        if not wanted:
            raise TableError("columns is empty: ask for at least one column")
        chosen = [_position(names, n_columns, column, table) for column in wanted]
    labels: list[str | int] = [i if names is None else names[i] for i in chosen]
    seen: set[str | int] = set()
    for label in labels:
        if label in seen:
            where = f"{table} has" if columns is None else "columns asks for"
            raise TableError(f"{where} the column {label!r} more than once: rename or drop all but one")
        seen.add(label)
    return chosen


def _position(names: Sequence[str] | None, n_columns: int, column: str | int, table: str) -> int:
    if isinstance(column, str):
        if names is None:
            raise TableError(f"{table} has no column names: ask for {column!r} by its number, 0 to {n_columns - 1}")
        places = [i for i, name in enumerate(names) if name == column]
        if len(places) > 1:
            raise TableError(f"{table} has more than one column {column!r}: ask for it by its number")
        if not places:
            near = difflib.get_close_matches(column, names, n=3, cutoff=0.5)
            if near:
                hint = f"did you mean {' or '.join(map(repr, near))}?"
            else:
                hint = f"it has {', '.join(map(repr, names[:9]))}{', …' if len(names) > 9 else ''}"
            raise TableError(f"{table} has no column {column!r}: {hint}")
        return places[0]
    if isinstance(column, bool) or not isinstance(column, Integral):
        raise TypeError(f"a column is asked for by its name or number, not by {column!r}")
    if not -n_columns <= column < n_columns:
        raise TableError(f"{table} has no column {column}: its columns are numbered 0 to {n_columns - 1}")
    return int(column) % n_columns


def from_arrow(table: pa.Table, positions: Sequence[int], labels: Labels, *, single: bool | None = None) -> Rows:
    """The columns of an Arrow table at these positions as one block by columns, nulls as NaN.

    ``labels`` are those of the chosen columns; one that holds no numbers raises TableError. The block is float32 if
    ``single`` says so; by default if all columns are.
    """
    import pyarrow as pa

    columns = [table.column(i) for i in positions]
    for column, label in zip(columns, labels.columns, strict=True):
        reason = not_numeric(column, labels.first_row)
        if reason is not None:
            raise no_numbers(labels.table, label, reason)
    if single is None:
        single = all(c.type == pa.float32() for c in columns)
    kind = pa.float32() if single else pa.float64()
    rows: NDArray[Any] = np.empty((table.num_rows, len(columns)), dtype=kind.to_pandas_dtype(), order="F")
    for j, column in enumerate(columns):
        start = 0
        for chunk in column.cast(kind, safe=False).chunks:
            rows[start : start + len(chunk), j] = chunk.to_numpy(zero_copy_only=False)
            start += len(chunk)
    return rows


def from_batches(batches: Sequence[pa.RecordBatch], columns: Sequence[int], *, single: bool) -> Rows:
    """The same of columns that are known to hold numbers, of record batches: it is done for every block."""
    import pyarrow as pa

    kind = pa.float32() if single else pa.float64()
    n_rows = sum(batch.num_rows for batch in batches)
    rows: NDArray[Any] = np.empty((n_rows, len(columns)), np.float32 if single else np.float64, order="F")
    start = 0
    for batch in batches:
        stop = start + batch.num_rows
        for j, position in enumerate(columns):
            column = batch.column(position)
            if column.type != kind:
                column = column.cast(kind, safe=False)
            rows[start:stop, j] = column.to_numpy(zero_copy_only=False)
        start = stop
    return rows


def no_numbers(table: str, label: str | int | None, reason: str) -> TableError:
    """The sentence about a column that cannot be taken as numbers."""
    return TableError(f"{table}: column {label!r} is not numeric but {reason}; leave it out or encode it as numbers")


def not_numeric(column: pa.ChunkedArray, first_row: int = 0) -> str | None:
    """Why an Arrow column cannot be taken as numbers; None if it can."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return None
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return None
    if pa.types.is_temporal(kind):
        return f"dates or times ({kind})"
    if str(kind) in _TEXTS:
        row = _first_text(column)
        if row < 0:
            return "text (numbers written as text)"
        value = _short(column[row].as_py())
        return f"text ({value} in row {row + first_row}, rows counted from {first_row})"
    return f"values of type {kind}"


def _first_text(column: pa.ChunkedArray) -> int:
    """The first row whose text is not a number, or -1."""
    values = (value for chunk in column.chunks for value in chunk.to_pylist())
    return next((i for i, value in enumerate(values) if value is not None and not _is_number(value)), -1)


def unchecked(data: object, columns: Columns | None, called: Labels = INPUT) -> tuple[Rows, Labels]:
    """The columns asked for as floating-point numbers, finite or not."""
    if is_sparse(data):
        raise TypeError("Input is sparse, but dense rows are needed: pass data.toarray()")
    if is_pandas(data):
        return _from_pandas(data, columns, called)
    arrow = None if isinstance(data, np.ndarray) else arrow_table(data)
    if arrow is None:
        return _from_array(plain(data), columns, called)
    names: tuple[str, ...] | None = tuple(arrow.column_names)
    if names == ("",):  # a column on its own
        name = getattr(data, "name", None)
        names = (name,) if isinstance(name, str) and name else None
    positions, labels = _choose(names, arrow.shape, columns, called)
    return from_arrow(arrow, positions, labels), labels


def is_sparse(data: object) -> bool:
    """Whether it is a sparse matrix."""
    return hasattr(data, "toarray") and hasattr(data, "nnz")


def is_pandas(data: object) -> bool:
    """Whether it is a data frame or series of pandas."""
    origins = {kind.__module__.partition(".")[0] for kind in type(data).__mro__}
    return "pandas" in origins and hasattr(data, "iloc")


def _choose(
    names: Sequence[str] | None, shape: tuple[int, ...], columns: Columns | None, called: Labels
) -> tuple[list[int], Labels]:
    """Positions of the columns asked for, and what messages call them."""
    n_rows, n_columns = shape
    for n, what in ((n_columns, "feature(s)"), (n_rows, "sample(s)")):
        if n == 0:
            shape = n_rows, n_columns
            raise TableError(f"{called.table} has 0 {what} (shape={shape}) while a minimum of 1 is required.")
    positions = select(names, n_columns, columns, called.table)
    return positions, replace(called, columns=positions if names is None else [names[i] for i in positions])


def plain(data: object) -> NDArray[Any]:
    """A plain array of any dtype; what cannot be one raises TypeError or TableError."""
    if isinstance(data, np.ma.MaskedArray):
        return _unmasked(data)
    if isinstance(data, str | bytes) or hasattr(data, "__fspath__"):
        raise TypeError(
            f"a table is needed, not the text {_short(data)}: read files with mixtura.sources.files.read_table"
        )
    try:
        array = np.asarray(data)
    except ValueError:
        if isinstance(data, list | tuple):
            raise TableError(_ragged(data)) from None
        raise
    if array.ndim == 0:
        lazy = next((verb for verb in ("collect", "compute") if hasattr(data, verb)), None)
        hint = "" if lazy is None else f": call its {lazy}() first"
        raise TypeError(
            f"a table is needed (an array, a list of rows or a data frame), not {type(data).__name__}{hint}"
        )
    return array


def _unmasked(data: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    mask = np.ma.getmaskarray(data)
    if mask.any():
        row, *column = (int(i) for i in np.argwhere(mask)[0])
        place = f"row {row}, column {column[0] if column else 0} (rows counted from 0)"
        raise TableError(
            f"Input has {np.count_nonzero(mask)} masked entries, the first in {place}: "
            "drop those rows or fill them in, e.g. with data.filled()"
        )
    return np.asarray(data.data)


def _ragged(rows: Sequence[Any]) -> str:
    """Where a nested list stops being a table."""
    sizes = [len(row) if hasattr(row, "__len__") and not isinstance(row, str) else None for row in rows]
    odd = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if odd is None:
        return "Input is nested unevenly: give one number for each row and column"
    found, due = ("a single value" if n is None else f"{n} entries" for n in (sizes[odd], sizes[0]))
    return f"Input is ragged: row {odd} holds {found} where row 0 holds {due} (rows counted from 0); make them equal"


def _from_array(
    array: NDArray[Any], columns: Columns | None, called: Labels, names: Sequence[str] | None = None
) -> tuple[Rows, Labels]:
    """From a NumPy array of any type and order; one dimension is one column."""
    fields = array.dtype.names
    if fields is not None:
        positions, labels = _choose(fields, (len(array), len(fields)), columns, called)
        return _stack([array[fields[i]] for i in positions], labels), labels
    if array.ndim > 2:
        dimensions = f"{array.ndim} dimensions (shape {array.shape})"
        raise TableError(f"{called.table} has {dimensions}: give a table of rows and columns")
    if array.ndim == 1:
        array = array[:, None]
    positions, labels = _choose(names, array.shape, columns, called)
    return floats(array if positions == list(range(array.shape[1])) else array[:, positions], labels), labels


def _from_pandas(data: Any, columns: Columns | None, called: Labels) -> tuple[Rows, Labels]:
    """From a pandas DataFrame or Series, nullable types too; the index is no column."""
    frame = data.to_frame() if data.ndim == 1 else data
    names = _names(list(frame.columns))
    kinds = set(frame.dtypes)
    if len(kinds) == 1 and isinstance(next(iter(kinds)), np.dtype):
        return _from_array(frame.to_numpy(), columns, called, names)
    positions, labels = _choose(names, frame.shape, columns, called)
    arrays = [_pandas_column(frame.iloc[:, i], labels.only(j)) for j, i in enumerate(positions)]
    return _stack(arrays, labels), labels


def _stack(arrays: Sequence[NDArray[Any]], labels: Labels) -> Rows:
    """One block by columns from one array a column, each of its own type."""
    kind = np.float32 if all(array.dtype == np.float32 for array in arrays) else np.float64
    rows: NDArray[Any] = np.empty((len(arrays[0]), len(arrays)), kind, order="F")
    for j, array in enumerate(arrays):
        rows[:, j] = floats(array[:, None], labels.only(j))[:, 0]
    return rows


def _pandas_column(series: Any, labels: Labels) -> NDArray[Any]:
    kind = getattr(series.dtype, "kind", "O")
    if kind in "mM":
        raise TableError(_dates(labels))
    if isinstance(series.dtype, np.dtype) or kind not in "biuf":
        return np.asarray(series.to_numpy())
    single = kind == "f" and getattr(series.dtype, "itemsize", 8) == 4
    return np.asarray(series.to_numpy(dtype="float32" if single else "float64", na_value=np.nan))


def _names(labels: Sequence[object]) -> tuple[str, ...] | None:
    """Column names if they are text; None if none is."""
    texts = tuple(label for label in labels if isinstance(label, str))
    if not texts:
        return None
    if len(texts) < len(labels):
        odd = next(label for label in labels if not isinstance(label, str))
        raise TypeError(
            "column names are only supported if all of them are strings, but "
            f"{odd!r} is of type {type(odd).__name__}: convert them with data.columns.astype(str)"
        )
    return texts


def arrow_table(data: Any) -> pa.Table | None:
    """An Arrow table from what speaks an exchange protocol; None from what does not."""
    streams = hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")
    if not streams and not hasattr(data, "__dataframe__"):
        return None
    import pyarrow as pa

    if not streams:
        from pyarrow.interchange import from_dataframe

        return from_dataframe(data)
    try:
        return pa.table(data)
    except pa.ArrowInvalid:  # a column on its own
        return pa.table([pa.chunked_array(data)], names=[""])


def floats(array: NDArray[Any], labels: Labels) -> Rows:
    """An (N, D) array of any type as float32 (if it is) or float64, contiguous one way or the other.

    Raises
    ------
    TableError, TypeError
        If it holds something else than real numbers.
    """
    kind = array.dtype.kind
    if kind == "c":
        raise TableError(f"Complex data not supported: {labels.table} is {array.dtype}; pass real columns")
    if kind in "mM":
        raise TableError(_dates(labels))
    if kind in "SUT":
        raise _text_error(array, labels)
    if kind == "O":
        return _object_floats(array, labels)
    if kind not in "biuf":
        raise TypeError(f"{labels.table} is of type {array.dtype}, which holds no numbers")
    target = np.float32 if array.dtype.newbyteorder("=") == np.float32 else np.float64
    with np.errstate(over="ignore"):
        rows: NDArray[Any] = array.astype(target, copy=False)
    if kind == "f" and array.dtype.itemsize > 8:
        lost = np.isinf(rows) & np.isfinite(array)
        if lost.any():
            row, column = np.argwhere(lost)[0]
            raise TableError(_too_large(array[row, column], labels.at(int(row), column), labels))
    if rows.flags.aligned and (rows.flags.c_contiguous or rows.flags.f_contiguous):
        return rows
    return rows.copy()


def _object_floats(array: NDArray[Any], labels: Labels) -> Rows:
    rows = np.empty(array.shape)
    for (row, column), value in np.ndenumerate(array):
        if value is None or type(value).__name__ == "NAType":
            rows[row, column] = np.nan
        elif isinstance(value, str | bytes):
            raise _text_error(array[:, column : column + 1], labels.only(column))
        elif isinstance(value, complex | np.complexfloating):
            where = labels.at(row, column)
            raise TableError(f"Complex data not supported: {value!r} in {where}; pass real columns")
        elif isinstance(value, _DATES):
            raise TableError(_dates(labels.only(column)))
        else:
            try:
                rows[row, column] = float(value)
            except OverflowError:
                where = labels.at(row, column)
                raise TableError(_too_large(value, where, labels)) from None
            except (TypeError, ValueError) as error:
                where = labels.at(row, column)
                raise TypeError(f"{labels.table} holds no number in {where}: {error}") from None
    return rows


def _text_error(array: NDArray[Any], labels: Labels) -> TableError:
    for (row, column), value in np.ndenumerate(array):
        text = value.item() if isinstance(value, np.generic) else value
        if isinstance(text, str | bytes) and not _is_number(text):
            return TableError(
                f"{labels.table} holds the text {_short(text)} in {labels.at(row, column)}: "
                "leave that column out or encode it as numbers"
            )
    return TableError(f"{labels.table} holds numbers written as text in {labels.all()}: convert them to float")


def _is_number(text: str | bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _too_large(value: object, where: str, labels: Labels) -> str:
    return f"{labels.table} holds {_short(value)} in {where}, which becomes infinity in float64: rescale that column"


def _dates(labels: Labels) -> str:
    return f"{labels.table} holds dates or times in {labels.all()}: leave them out or turn them into numbers"


def said(error: BaseException) -> str:
    """The first line of what an exception says."""
    text = str(getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _short(value: object) -> str:
    """A value as messages show it."""
    if isinstance(value, int):  # too large for a float, perhaps even to be written out
        return f"an integer of {value.bit_length()} bits"
    text = repr(value) if type(value) in {str, bytes} else str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
