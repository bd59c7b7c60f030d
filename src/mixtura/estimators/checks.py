"""Tables and their columns, checked as scikit-learn does; and warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from mixtura.sources.opening import as_source
from mixtura.sources.reader import Opened
from mixtura.sources.source import Source


def checked_table(X: Any, sample_weight: Any = None, n_threads: int | None = None) -> Opened:
    """The table as a source; an array of one dimension could be a column or a row, and is refused."""
    listed = isinstance(X, list | tuple) and bool(X) and not hasattr(X[0], "__dask_graph__")
    flat = not np.ndim(X[0]) if listed else getattr(X, "ndim", 2) == 1
    if flat and not hasattr(X, "to_frame"):  # a Series is a column
        raise ValueError(
            f"Expected 2D array, got 1D array instead:\narray={np.asarray(X)}.\n"
            "Reshape your data either using array.reshape(-1, 1) if your data has a single feature or "
            "array.reshape(1, -1) if it contains a single sample."
        )
    return as_source(X, weights=sample_weight, n_threads=n_threads)


def used_rows(source: Source) -> int:
    """How many rows there are; of those whose weights are in memory, that have a positive one."""
    weights = getattr(source, "weights", None)
    return int(np.count_nonzero(weights)) if isinstance(weights, np.ndarray) else source.n_rows


def check_names(found: tuple[str, ...] | None, fitted: tuple[str, ...] | None, estimator: str) -> None:
    """scikit-learn's check of feature names, in its words."""
    if found is None and fitted is not None:
        warn(f"X does not have valid feature names, but {estimator} was fitted with feature names", UserWarning)
    elif found is not None and fitted is None:
        warn(f"X has feature names, but {estimator} was fitted without feature names", UserWarning)
    elif found is not None and fitted is not None and found != fitted:
        lines = ["The feature names should match those that were passed during fit."]
        for what, names in (
            ("Feature names unseen at fit time:", sorted(set(found) - set(fitted))),
            ("Feature names seen at fit time, yet now missing:", sorted(set(fitted) - set(found))),
        ):
            if names:
                lines += [what, *(f"- {each}" for each in names[:5]), *["- ..."] * (len(names) > 5)]
        if len(lines) == 1:
            lines.append("Feature names must be in the same order as they were in fit.")
        raise ValueError("\n".join(lines) + "\n")


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that called into this package, or into scikit-learn around it."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("mixtura", "sklearn"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
