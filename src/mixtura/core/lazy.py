"""Methods that give something for each row, on arrays and data frames of Dask: lazily, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class OfRows(Protocol):
    """Anything that takes rows of so many columns, which may have names."""

    @property
    def n_features(self) -> int:
        """D."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns."""
        ...


Owner = TypeVar("Owner", bound=OfRows)


def is_lazy(rows: object) -> bool:
    """Whether rows are an array, data frame or series of Dask's."""
    return hasattr(rows, "__dask_graph__") and hasattr(rows, "ndim")


def row_by_row(
    method: Callable[Concatenate[Owner, Any, Arguments], Answer],
) -> Callable[Concatenate[Owner, Any, Arguments], Answer]:
    """A method that takes rows, and gives something for each of them: a Dask array where they are Dask's."""

    @wraps(method)
    def whole_or_lazy(self: Owner, X: Any, *args: Arguments.args, **options: Arguments.kwargs) -> Answer:
        if not is_lazy(X):
            return method(self, X, *args, **options)
        array = array_of(X, self.n_features, self.columns)
        example = np.asarray(method(self, np.zeros((1, self.n_features)), *args, **options))
        lies = {"chunks": (array.chunks[0], example.shape[1:])} if example.ndim > 1 else {"drop_axis": 1}
        chunk = (method.__name__, self, args, options)
        return array.map_blocks(_of_chunk, *chunk, dtype=example.dtype, **lies)

    return whole_or_lazy


def _of_chunk(rows: Any, name: str, owner: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
    return getattr(owner, name)(rows, *args, **options)


def array_of(rows: Any, n_features: int, names: tuple[str, ...] | None = None) -> Any:
    """(N, D) Dask array, in chunks of whole rows; of a data frame the columns of these names, if both have some.

    Raises
    ------
    ValueError
        If there are not D columns.
    """
    if hasattr(rows, "chunks"):
        array = rows[:, None] if rows.ndim == 1 and n_features == 1 else rows
    else:
        frame = rows.to_frame() if rows.ndim == 1 else rows
        named = names is not None and all(isinstance(label, str) for label in frame.columns)
        array = (frame[list(names or ())] if named else frame).to_dask_array()
    if array.ndim != 2 or array.shape[1] != n_features:
        raise ValueError(f"rows must have shape (N, {n_features}), got {array.shape}")
    return array.rechunk({1: -1}) if len(array.chunks[1]) > 1 else array
