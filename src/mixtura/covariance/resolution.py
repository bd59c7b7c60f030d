"""How finely the columns were recorded, so that no component wins by sitting on a single value.

A value that was rounded to a grid of step h says only in which interval the quantity lies: rounding adds h²/12 to a
variance (Sheppard), and a density narrower than the interval is not borne out by anything, although its likelihood
grows beyond all bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixtura.core.statistics import Array
from mixtura.covariance.structure import WIDE
from mixtura.sources.sketch import ROUNDING

#: A variance is resolved when rounding, h²/12, is at most this share of it (two neighbouring values make a third) …
ROUNDING_SHARE = 0.3
#: … or when it is at least this share of the variance of all rows: a column of few values is not finer than it is.
WHOLE_SHARE = 0.25
#: In directions across several columns, steps count as at least this share of a column's standard deviation.
FINEST = 1e-5
#: The most steps that the values of a grid may span: a finer one cannot be told from rounding in the last digit.
MOST_STEPS = 10_000
#: Nor can one whose steps are this share of the largest value.
LEAST_DIGITS = 1e-12
#: Values further from the median than this, in units of the median of such distances, have no say in that.
FAR = 100.0
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
        h of the grid that the values lie on: one that is seen, or that of the numbers of the machine.
    floor : ndarray of shape (D,)
        The least variance that the column resolves.
    spread : ndarray of shape (D,)
        Standard deviation of the column; 0 for a constant one.
    size : ndarray of shape (D,)
        The largest absolute value.
    distinct : ndarray of shape (D,)
        How many values there are.
    heavy : tuple of (int, float, float)
        (column, value, share) where one value is far more frequent than any other.
    narrowest : ndarray of shape (D, D), or None
        The least covariance that the columns together resolve; unknown for wide tables.
    """

    step: Array
    floor: Array
    spread: Array
    size: Array
    distinct: NDArray[np.intp]
    heavy: tuple[tuple[int, float, float], ...]
    narrowest: Array | None = None

    @classmethod
    def of(cls, rows: Array, weights: Array) -> Resolution:
        """That of rows (M, D), or of a sample of them, which count so much (M,)."""
        share = weights / weights.sum()
        centred = rows - share @ rows
        spread = np.sqrt(share @ np.square(centred))
        size = np.abs(rows).max(0)
        step = np.spacing(size)
        distinct = np.zeros(len(step), dtype=np.intp)
        heavy: list[tuple[int, float, float]] = []
        for j, column in enumerate(rows.T):
            values, which = np.unique(column, return_inverse=True)
            distinct[j], step[j] = len(values), max(step[j], grid_step(values))
            counts = np.bincount(which, share)
            if len(values) > 2:
                second, first = np.sort(counts)[-2:]
                if first > max(HEAVY, HEAVIER * second):
                    heavy.append((j, float(values[counts.argmax()]), float(first)))
        spread[(distinct == 1) | (spread <= ROUNDING * size)] = 0.0
        floor = np.minimum(step**2 / (12 * ROUNDING_SHARE), WHOLE_SHARE * spread**2)
        narrowest = _narrowest(centred, share, step, spread) if rows.shape[1] < WIDE else None
        return cls(step, floor, spread, size, distinct, tuple(heavy), narrowest)

    def coarse(self) -> list[tuple[str, tuple[int, ...], bool]]:
        """(step, columns, whether double precision has no finer ones) where steps are worth telling."""
        found: dict[tuple[str, bool], list[int]] = {}
        for j in np.flatnonzero((self.step > COARSE * self.spread) & (self.distinct > 2)):
            exhausted = bool(self.step[j] <= np.spacing(self.size[j]))
            found.setdefault((f"{self.step[j]:.4g}", exhausted), []).append(int(j))
        return [(step, tuple(columns), exhausted) for (step, exhausted), columns in found.items()]


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
    gaps, near = np.diff(values), _near(values)
    least = max((near[-1] - near[0]) / MOST_STEPS, LEAST_DIGITS * float(np.abs(near).max()))
    if not least > 0:  # the values are as good as one
        return 0.0
    lengths, which, counts = np.unique(np.round(gaps / least, 1), return_inverse=True, return_counts=True)
    usual = which == np.where(lengths > 1, counts, 0).argmax()
    anchor = values[:-1][usual][0]
    for step in (float(gaps[usual].mean()), _common_divisor(gaps, least)):
        if step > least:
            steps = (values - anchor) / step
            on = np.abs(steps - np.round(steps)) < OFF_GRID
            if on.mean() >= ON_GRID and (np.diff(np.round(steps[on])) > 0).mean() >= ON_GRID:
                return step
    return 0.0


def _narrowest(centred: Array, share: Array, step: Array, spread: Array) -> Array:
    """(D, D) in every direction what rounding adds to a variance, or a part of that of all rows if it is less.

    Where columns are bound to each other but for their rounding, all rows vary by that alone.
    """
    unit = np.where(spread > 0, spread, np.inf)
    standard = centred / unit
    rounding = np.maximum(step / unit, FINEST) / np.sqrt(12)
    values, axes = np.linalg.eigh(standard.T @ (share[:, None] * standard) / np.outer(rounding, rounding))
    root = (np.where(spread > 0, spread, 0.0) * rounding)[:, None] * axes
    return (root * np.clip(WHOLE_SHARE * values, 0.0, 1.0)) @ root.T


def _near(values: Array) -> Array:
    """The sorted values without those that lie far from the others."""
    middle = values[len(values) // 2]
    width = np.median(np.abs(values - middle))
    return values[np.abs(values - middle) <= FAR * width]


def _common_divisor(lengths: Array, least: float) -> float:
    """What all lengths are multiples of, by Euclid's algorithm; 0 if that is less than the least."""
    step = float(lengths.min())
    while step > least:
        rest = np.fmod(lengths, step)  # exact, whatever the lengths: so it is less than the step, which at least halves
        rest = np.minimum(rest, step - rest)
        if (rest < OFF_GRID * step).all():
            return step
        step = float(rest[rest >= OFF_GRID * step].min())
    return 0.0
