"""What the components are: which columns tell them apart, how far they overlap, whether they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from mixtura import figures
from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array
from mixtura.figures import QQ, Profile
from mixtura.plot import style
from mixtura.plot.display import Display, mixture_of, subject
from mixtura.text import percent

#: The most columns of a profile, and the most cells with numbers in them.
MOST_COLUMNS, MOST_NUMBERS = 40, 120
#: Width of a letter on an axis, in inches.
LETTER = 0.085
#: Means this many standard deviations from that of the mixture have the darkest colour.
DARKEST = 2.5
#: The least overlap that has a colour of its own.
LEAST_OVERLAP = 1e-4


@dataclass(eq=False, repr=False)
class ProfileDisplay(Display):
    """Which columns tell the components apart.

    Above, how much of what is not known of a row's component each column tells by itself; below, the mean of each
    component in each column, in standard deviations of the mixture from its mean.

    Parameters
    ----------
    model : Mixture
    profile : Profile
    columns : sequence of int
        Those shown, the most telling first.

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import ProfileDisplay
    >>> result = mixtura.fit("examples/iris.csv", n_components=2, covariance="full", random_state=0)
    >>> display = ProfileDisplay.from_estimator(result)
    >>> [display.profile.columns[j] for j in display.columns[:2]]
    ['Petal.Length', 'Petal.Width']
    """

    model: Mixture
    profile: Profile
    columns: Sequence[int]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        most: int = MOST_COLUMNS,
        ax: Axes | None = None,
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, fitted GaussianMixture, or Mixture
        X : None
            Not needed: all is in the mixture.
        most : int
            The most columns to show.
        ax : matplotlib.axes.Axes, optional
            Whose place is divided.

        Returns
        -------
        ProfileDisplay
        """
        model = mixture_of(estimator)
        found = figures.profile(model)
        return cls(model, found, found.order[:most].tolist()).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        k, d = len(self.profile.means), len(self.columns)
        names = [style.shown(self.profile.columns[j]) for j in self.columns]
        width, tall = min(max(0.34 * d, 3.0), 12.0), min(max(0.28 * k, 1.0), 10.0)
        upright = max(map(len, names)) * LETTER > width / d
        size = (width + 2.2, tall + 2.2 + upright * LETTER * max(map(len, names)))
        grid = self._divide(ax, 2, 1, size, height_ratios=[1.2, tall], hspace=0.06)
        above = self._part(grid[0])
        below = self._part(grid[1], sharex=above)
        above.bar(range(d), self.profile.information[self.columns], color=style.COLOURS[0], width=0.8)
        above.set_ylim(0, 1)
        above.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        above.tick_params(labelbottom=False, bottom=False)
        above.set_title("how much each column tells of the component", loc="left", fontsize="medium")
        self._draw_means(below)
        below.set_xticks(range(d), names, rotation=90 if upright else 0, fontsize="small")
        return self

    def _draw_means(self, ax: Axes) -> None:
        means = self.profile.means[:, self.columns]
        image = ax.imshow(means, cmap=style.SIGNED, vmin=-DARKEST, vmax=DARKEST, aspect="auto", interpolation="nearest")
        parts = style.weights(self.model)[: len(means)]
        ax.set_yticks(range(len(means)), [f"{k}  {percent(w)}" for k, w in parts], fontsize="small")
        ax.set_ylabel("component, weight")
        if means.size <= MOST_NUMBERS:
            for (i, j), value in np.ndenumerate(means):
                style.cell(ax, j, i, f"{value:+.1f}".replace("-", "−"), light=bool(abs(value) > 0.7 * DARKEST))
        bar = self.figure_.colorbar(
            image, ax=self.axes_, label="mean, in sds of all", fraction=0.06, pad=0.02, extend="both"
        )
        self.axes_.append(bar.ax)

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        most = ", ".join(f"{self.profile.columns[j]} {percent(self.profile.information[j])}" for j in self.columns[:3])
        return f"Which columns tell the components apart, most of all {most}; and the components' means."


@dataclass(eq=False, repr=False)
class OverlapDisplay(Display):
    """How often a row of one component would be taken for one of another.

    Parameters
    ----------
    model : Mixture
    overlap : ndarray of shape (K, K)
        ω_ij, the probability that a row from i is more probable under j: see ``Mixture.overlap``.

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import OverlapDisplay
    >>> model = mixtura.Mixture([0.5, 0.5], [-1, 1], [1, 1])
    >>> OverlapDisplay.from_estimator(model).overlap.round(3)
    array([[0.   , 0.159],
           [0.159, 0.   ]])
    """

    model: Mixture
    overlap: Array

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any = None, *, ax: Axes | None = None) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, fitted GaussianMixture, or Mixture
        X : None
            Not needed: all is in the mixture.
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        OverlapDisplay
        """
        model = mixture_of(estimator)
        return cls(model, model.overlap()).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        k = len(self.overlap)
        side = min(max(0.4 * k, 2.8), 9.0)
        ax = self._begin(ax, (side + 1.9, side + 0.9))
        shown = np.where(np.eye(k, dtype=bool), np.nan, np.maximum(self.overlap, LEAST_OVERLAP))
        image = ax.imshow(shown, cmap=style.SHARES, norm=LogNorm(LEAST_OVERLAP, 1), interpolation="nearest")
        ax.set_facecolor(style.PALE)
        step = max(1, -(-k // 20))
        ax.set_xticks(range(0, k, step))
        ax.set_yticks(range(0, k, step))
        ax.set_xlabel("is more probable under component")
        ax.set_ylabel("a row from component")
        if k * k <= MOST_NUMBERS:
            for (i, j), value in np.ndenumerate(self.overlap):
                if i != j:
                    style.cell(ax, j, i, percent(value).removesuffix(" %"), light=bool(value > 0.1))
        bar = self.figure_.colorbar(image, ax=ax, label="probability in %", fraction=0.05, pad=0.03, extend="min")
        bar.set_ticks([1e-4, 1e-3, 1e-2, 1e-1, 1], labels=["0.01", "0.1", "1", "10", "100"])
        self.axes_.append(bar.ax)
        return self

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        k = len(self.overlap)
        if k == 1:
            return "There is one component, so nothing overlaps."
        i, j = np.unravel_index(int(self.overlap.argmax()), (k, k))
        most = f"most often, in {percent(self.overlap[i, j])}, one of {i} for one of {j}"
        return f"How often a row of one component would be taken for one of another: {most}."


@dataclass(eq=False, repr=False)
class QQDisplay(Display):
    """Whether the rows lie as far from the components as Gaussians would have it.

    Mahalanobis distances against those to be expected (roots of χ² quantiles), of all components together and each
    alone; see ``mixtura.figures.qq``. Points above the band at the right are rows further out than the mixture
    allows: outliers or heavy tails.

    Parameters
    ----------
    model : Mixture
    qq : QQ

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import QQDisplay
    >>> result = mixtura.fit("examples/faithful.csv", n_components=3, covariance="tied", random_state=0)
    >>> display = QQDisplay.from_estimator(result)
    >>> display.qq.degrees
    2
    """

    model: Mixture
    qq: QQ

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, sample_weight: ArrayLike | None = None, ax: Axes | None = None
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, fitted GaussianMixture, or Mixture
        X : array-like of shape (N, D), Source, or path
            The rows; a Result has its own.
        sample_weight : array-like of shape (N,), optional
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        QQDisplay

        Raises
        ------
        ValueError
            If there are no rows.
        """
        about = subject(estimator, X, sample_weight)
        return cls(about.model, figures.qq(about.model, about.rows)).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        ax = self._begin(ax)
        found = self.qq
        expected, observed = np.sqrt(found.expected), np.sqrt(found.observed)
        end = expected[-1]
        ax.fill_between(expected, np.sqrt(found.low), np.sqrt(found.high), color=style.PALE, linewidth=0, zorder=0.5)
        ax.plot([0, end], [0, end], color=style.GREY, linewidth=0.8, zorder=1)
        for k, (values, wanted) in enumerate(found.components):
            ax.plot(np.sqrt(wanted), np.sqrt(values), color=style.colour(k), linewidth=1.1, alpha=0.8, zorder=2)
        ax.plot(
            expected, observed, color=style.DARK, marker="o", markersize=2.5, linestyle="", zorder=3, rasterized=True
        )
        degrees = f"{found.degrees} degree{'s' * (found.degrees > 1)} of freedom"
        ax.set_xlabel(f"expected distance: root of a quantile of χ² with {degrees}")
        ax.set_ylabel("Mahalanobis distance")
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        handles = [Line2D([], [], color=style.DARK, marker="o", markersize=3, linestyle="", label="all components")]
        if len(found.components) <= style.MOST_ENTRIES:
            handles += [
                Line2D([], [], color=style.colour(k), label=f"component {k}") for k in range(len(found.components))
            ]
        style.beside(ax, handles)
        return self

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        found = self.qq
        outside = float(np.mean((found.observed < found.low) | (found.observed > found.high)))
        return f"Mahalanobis distances against those to be expected; {percent(outside)} of the points outside the band."
