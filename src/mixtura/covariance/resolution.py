"""How finely the columns were recorded, so that no component wins by sitting on a single value.

A value that was rounded to a grid of step h says only in which interval the quantity lies: rounding adds h²/12 to a
variance (Sheppard), and a density narrower than the interval is not borne out by anything, although its likelihood
grows beyond all bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixtura.core.statistics import Array

#: A variance is resolved when rounding, h²/12, is at most this share of it (two neighbouring values make a third) …
ROUNDING_SHARE = 0.3
#: … or when it is at least this share of the variance of all rows: a column of few values is not finer than it is.
WHOLE_SHARE = 0.25
#: The most steps that the values of a grid may span: a finer one cannot be told from rounding in the last digit.
MOST_STEPS = 10_000
#: Nor can one whose steps are this share of the largest value.
LEAST_DIGITS = 1e-12
#: A value is on a grid when it is within this share of a step; so many of the distinct values must be.
OFF_GRID = 1e-5
ON_GRID = 0.95
#: A step is worth telling from this share of a column's standard deviation.
COARSE = 0.02
#: So is a value that this share of the rows have in common, …
HEAVY = 0.05
#: … when the next most frequent one has this many times fewer.
HEAVIER = 5.0


@dataclass(frozen=True, eq=False)
class Resolution:
    """What is known of the fineness of each column.

    Attributes
    ----------
    step : ndarray of shape (D,)
        h of the grid that the values lie on; 0 where none is seen.
    floor : ndarray of shape (D,)
        The least variance that the column resolves.
    spread : ndarray of shape (D,)
        Standard deviation of the column.
    heavy : tuple of (int, float, float)
        (column, value, share) where one value is far more frequent than any other.
    """

    step: Array
    floor: Array
    spread: Array
    heavy: tuple[tuple[int, float, float], ...]

    @classmethod
    def of(cls, rows: Array, weights: Array) -> Resolution:
        """That of rows (M, D), or of a sample of them, which count so much (M,)."""
        share = weights / weights.sum()
        spread = np.sqrt(share @ np.square(rows - share @ rows))
        step = np.zeros(rows.shape[1])
        heavy: list[tuple[int, float, float]] = []
        for j, column in enumerate(rows.T):
            values, which = np.unique(column, return_inverse=True)
            step[j] = grid_step(values)
            counts = np.bincount(which, share)
            if len(values) > 2:
                second, first = np.sort(counts)[-2:]
                if first > max(HEAVY, HEAVIER * second):
                    heavy.append((j, float(values[counts.argmax()]), float(first)))
        floor = np.minimum(step**2 / (12 * ROUNDING_SHARE), WHOLE_SHARE * spread**2)
        return cls(step, floor, spread, tuple(heavy))

    def sentences(self, columns: Sequence[str]) -> list[str]:
        """What of it is worth telling."""
        rounded: dict[str, list[str]] = {}
        for name, step, spread in zip(columns, self.step, self.spread, strict=True):
            if step > COARSE * spread:
                rounded.setdefault(f"{step:.4g}", []).append(name)
        told = [f"Values of {', '.join(names)} are rounded to {step}." for step, names in rounded.items()]
        return told + [f"{share:.0%} of the values of {columns[j]} are {x:.6g}." for j, x, share in self.heavy]


def grid_step(values: Array) -> float:
    """The step of the grid that the values, sorted and distinct, lie on but for a few; 0 if there is none.

    Examples
    --------
    >>> import numpy as np
    >>> round(grid_step(np.array([0.2, 0.3, 0.4, 0.7, 0.8, 1.1, 1.3])), 12)
    0.1
    >>> grid_step(np.sort(np.random.default_rng(0).normal(size=50)))
    0.0
    """
    if len(values) < 2:
        return 0.0
    gaps = np.diff(values)
    least = max((values[-1] - values[0]) / MOST_STEPS, LEAST_DIGITS * float(np.abs(values).max()))
    lengths, which, counts = np.unique(np.round(gaps / least, 1), return_inverse=True, return_counts=True)
    usual = which == np.where(lengths > 1, counts, 0).argmax()
    anchor = values[:-1][usual][0]
    for step in (float(gaps[usual].mean()), _common_divisor(gaps, least)):
        if step > least:
            steps = (values - anchor) / step
            if np.mean(np.abs(steps - np.round(steps)) < OFF_GRID) >= ON_GRID:
                return step
    return 0.0


def _common_divisor(lengths: Array, least: float) -> float:
    """What all lengths are multiples of, by Euclid's algorithm; 0 if that is less than the least."""
    step = float(lengths.min())
    while step > least:
        rest = np.abs(lengths - step * np.round(lengths / step))
        if (rest < OFF_GRID * step).all():
            return step
        step = float(rest[rest >= OFF_GRID * step].min())
    return 0.0
