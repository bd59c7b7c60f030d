"""What users pass to the distributions, brought into the one form that the arithmetic takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura.core.statistics import Array
from mixtura.covariance.structure import Index
from mixtura.kernels import Rows
from mixtura.sources import opening
from mixtura.sources.coerce import as_table
from mixtura.sources.memory import Memory
from mixtura.sources.source import Source


def as_rows(X: Any, n_features: int, names: tuple[str, ...] | None = None) -> tuple[Rows, bool]:
    """(N, D) rows in float64 or float32, and whether a single row was meant.

    Integers and booleans become float64 before any arithmetic. Rows need not be finite: a NaN stays a NaN. Of a data
    frame the columns of these names are taken, wherever they stand, if both have names.
    """
    _refuse_masked(X, "rows")
    labels = getattr(X, "column_names", getattr(X, "columns", None))
    if labels is not None and not isinstance(X, np.ndarray):
        named = names is not None and all(isinstance(label, str) for label in labels)
        rows = as_table(X, columns=names if named else None, allow_missing=True).rows
    else:
        rows = np.asarray(X)
    if rows.dtype not in (np.float32, np.float64) or not rows.dtype.isnative:
        if rows.dtype.kind not in "biuf":
            raise TypeError(f"rows must be real numbers, got an array of {rows.dtype}")
        rows = rows.astype(np.float64)
    single = rows.ndim == 0 or (rows.ndim == 1 and n_features > 1)
    if single:
        rows = rows.reshape(1, -1)
    elif rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or rows.shape[1] != n_features:
        raise ValueError(f"rows must have shape (N, {n_features}), got {np.shape(X)}")
    return rows, single


def _refuse_masked(values: Any, name: str) -> None:
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        where = tuple(int(i) for i in np.argwhere(np.ma.getmaskarray(values))[0])
        raise ValueError(f"{name} must not have masked entries (the first is at {where}): fill or drop them")


def finite_rows(X: Any, n_features: int, names: tuple[str, ...] | None = None) -> Rows:
    """(N, D) rows to learn from: ``as_rows`` without NaN and infinity."""
    rows, _ = as_rows(X, n_features, names)
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        raise ValueError(f"row {bad[0]} is not finite: {rows[bad[0]]}")
    return rows


def row_weights(weights: ArrayLike | None, n_rows: int) -> Array | None:
    """(N,) weights, checked: finite and not negative."""
    if weights is None:
        return None
    _refuse_masked(weights, "sample_weight")
    out = np.asarray(weights, dtype=np.float64)
    if out.shape != (n_rows,):
        raise ValueError(f"sample_weight must have shape ({n_rows},), one number a row, got {out.shape}")
    bad = np.flatnonzero(~(np.isfinite(out) & (out >= 0)))
    if len(bad):
        raise ValueError(f"sample_weight of row {bad[0]} is {out[bad[0]]}: it must be finite and not negative")
    return out


def as_source(
    X: Any, n_features: int, names: tuple[str, ...] | None = None, weights: ArrayLike | None = None
) -> Source:
    """A source of finite rows, with weights; one that is given stays as it is, and brings its own weights.

    What is not in memory, a file for instance, is opened.
    """
    if opening.is_elsewhere(X):
        source = opening.as_source(X, columns=names, weights=weights).source
    elif not isinstance(X, Source):
        rows = finite_rows(X, n_features, names)
        return Memory(rows, row_weights(weights, len(rows)))
    else:
        source = X
        if weights is not None:
            raise ValueError("sample_weight goes with rows: a source brings its own weights")
    if source.n_features != n_features:
        raise ValueError(f"the source has {source.n_features} columns, but {n_features} are needed")
    return source


def as_labels(z: ArrayLike, n_rows: int, n_components: int, single: bool) -> Index:
    """(N,) component numbers from labels: numbers, (N,), or one-hot (S4), (N, K); of a single row, one or (K,)."""
    given = np.asarray(z)
    labels = given[None] if single else given
    if labels.shape == (n_rows, n_components) and labels.dtype.kind in "biuf":
        wrong = np.flatnonzero(~np.isin(labels, (0, 1)).all(1) | (labels.sum(1) != 1))
        if len(wrong):
            raise ValueError(
                f"label {wrong[0]} is {labels[wrong[0]]}: one entry of a one-hot label is 1, the rest are 0"
            )
        return labels.argmax(1)
    if labels.shape == (n_rows,) and labels.dtype.kind in "iu":
        wrong = np.flatnonzero((labels < 0) | (labels >= n_components))
        if len(wrong):
            raise ValueError(f"label {wrong[0]} is {labels[wrong[0]]}: components are numbered 0 to {n_components - 1}")
        return labels.astype(np.intp)
    raise ValueError(
        f"labels must be integers, one a row, of shape ({n_rows},), or one-hot, of shape ({n_rows}, {n_components}); "
        f"got {given.dtype} of shape {given.shape}"
    )


def column_indices(columns: Iterable[Any] | int | str, n_features: int, names: Sequence[str] | None) -> Index:
    """Column numbers or names → distinct column numbers."""
    wanted = [columns] if isinstance(columns, int | str | np.integer) else list(columns)
    found: list[int] = []
    for column in wanted:
        if isinstance(column, str):
            if names is None or column not in names:
                known = "it has no column names" if names is None else f"its columns are {', '.join(names)}"
                raise ValueError(f"the mixture has no column {column!r}: {known}")
            found.append(list(names).index(column))
        elif isinstance(column, int | np.integer) and -n_features <= column < n_features:
            found.append(int(column) % n_features)
        else:
            raise ValueError(f"there is no column {column!r}: they are numbered 0 to {n_features - 1}")
    if not found or len(set(found)) != len(found):
        raise ValueError(f"columns must be one or more different ones, got {wanted}")
    return np.array(found, dtype=np.intp)


def as_generator(rng: Any) -> np.random.Generator:
    """A Generator from a Generator, a seed, a RandomState or None (fresh randomness)."""
    if isinstance(rng, np.random.RandomState):
        return np.random.default_rng(rng.randint(0, 2**31 - 1, size=4))
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{rng!r} cannot seed a random number generator: {error}") from None
