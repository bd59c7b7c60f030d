"""How a model was found: the choice among candidates, the climb, the union of components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from mixtura import figures
from mixtura.core.em import Fit
from mixtura.core.status import Status
from mixtura.figures import Choice, Convergence, EntropyCurve
from mixtura.merging import Merging, merge
from mixtura.plot import style
from mixtura.plot.display import Display, subject
from mixtura.result import Result
from mixtura.text import number

#: What criteria are called.
NAMES = {"bic": "BIC", "icl": "ICL", "aic": "AIC", "cv": "cross-validated −2 log-likelihood"}
#: How the steps of a climb are marked.
STEP_MARKERS = {"start": "s", "em": "o", "quasi-newton": "^"}
#: Clusters named on a curve.
MOST_NAMED = 12


@dataclass(eq=False, repr=False)
class ChoiceDisplay(Display):
    """The criterion over the number of components, a line for each covariance family.

    Drawn is by how much a model is worse than the chosen one, in powers of ten. The chosen model has a ring, the band
    holds all that are as good (``figures.Choice.tie``), and hollow markers are models that may not be chosen, because a
    component is empty or has collapsed.

    Parameters
    ----------
    choice : Choice

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import ChoiceDisplay
    >>> result = mixtura.fit("examples/faithful.csv", [1, 2, 3], ["full", "tied"], random_state=0)
    >>> display = ChoiceDisplay.from_estimator(result)
    >>> display.choice.best
    (3, 'tied')
    """

    choice: Choice

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        criterion: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, or fitted GaussianMixtureSelector
        X : None
            Not needed.
        criterion : {"bic", "icl", "aic", "cv"}, optional
            By default the one by which the model was chosen.
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        ChoiceDisplay

        Raises
        ------
        TypeError
            If there was no search.
        """
        if isinstance(estimator, Result):
            table, best = estimator.table(), (estimator.best.n_components, estimator.best.covariance)
        elif hasattr(estimator, "results_"):
            table, best = estimator.results_, (estimator.n_components_, estimator.covariance_type_)
        else:
            wanted = "a Result or a fitted GaussianMixtureSelector"
            raise TypeError(f"expected {wanted}, which hold a table of candidates, got {type(estimator).__name__}")
        return cls(figures.choice(table, criterion or estimator.criterion, best)).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        ax = self._begin(ax)
        found, name = self.choice, NAMES[self.choice.criterion]
        ax.axhspan(0, found.tie, color=style.PALE, linewidth=0, zorder=0.5)
        handles: list[Line2D] = []
        for i, line in enumerate(found.lines):
            look: dict[str, Any] = {"color": style.colour(i), "marker": style.marker(i), "linewidth": 1.2}
            behind, hollow = line.values - found.value, ~line.eligible
            ax.plot(line.n_components, behind, markersize=4.5, zorder=2, **look)
            if line.errors is not None:
                ax.errorbar(line.n_components, behind, line.errors, fmt="none", ecolor=style.colour(i), zorder=1.5)
            handles.append(Line2D([], [], label=f"{line.covariance} ({line.mclust})", **look))
            look |= {"linestyle": "", "markerfacecolor": "white"}
            ax.plot(line.n_components[hollow], behind[hollow], markersize=4.5, zorder=3, **look)
        k, family = found.best
        ax.plot(k, 0, marker="o", markersize=13, fillstyle="none", color=style.DARK, linestyle="", zorder=4)
        ax.set_yscale("symlog", linthresh=found.tie, linscale=0.5)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}".replace("-", "−")))
        ax.margins(y=0.08)
        counts = np.concatenate([line.n_components for line in found.lines])
        ax.set_xlim(counts.min() - 0.5, counts.max() + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.set_xlabel("components")
        ax.set_ylabel(f"{name} above that of the chosen model")
        as_good = f", {len(found.ties)} as good" if found.ties else ""
        ax.set_title(f"chosen: {k} {family} ({name} {number(found.value, 6)}){as_good}", loc="left", fontsize="medium")
        style.beside(ax, handles, "family")
        return self

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        k, family = self.choice.best
        name = NAMES[self.choice.criterion]
        return f"{name} over the number of components in {len(self.choice.lines)} families; the least is {k} {family}."


@dataclass(eq=False, repr=False)
class ConvergenceDisplay(Display):
    """The climb: the log-likelihood a row and, below, what was left to gain, pass by pass.

    Parameters
    ----------
    convergence : Convergence
    status : Status

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import ConvergenceDisplay
    >>> result = mixtura.fit("examples/faithful.csv", n_components=3, covariance="tied", random_state=0)
    >>> display = ConvergenceDisplay.from_estimator(result)
    >>> bool((display.convergence.loglik[1:] >= display.convergence.loglik[:-1]).all())
    True
    """

    convergence: Convergence
    status: Status

    size: ClassVar[tuple[float, float]] = (6.4, 5.0)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any = None, *, ax: Axes | None = None) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Result, Fit, or fitted GaussianMixture
        X : None
            Not needed.
        ax : matplotlib.axes.Axes, optional
            Whose place is divided.

        Returns
        -------
        ConvergenceDisplay

        Raises
        ------
        TypeError
            If there was no fit.
        """
        if isinstance(estimator, Result | Fit):
            fit = estimator if isinstance(estimator, Fit) else estimator.fit
            return cls(figures.convergence(fit.trace, fit.statistics.weight), fit.status).plot(ax)
        if not hasattr(estimator, "trace_"):
            raise TypeError(f"expected a Result, Fit or fitted GaussianMixture, got {type(estimator).__name__}")
        trace = estimator.trace_
        return cls(figures.convergence(trace, trace[-1].loglik / estimator.lower_bounds_[-1]), estimator.status_).plot(
            ax
        )

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        grid = self._divide(ax, 2, 1, hspace=0.15)
        above = self._part(grid[0])
        below = self._part(grid[1], sharex=above)
        found = self.convergence
        kinds = [*dict.fromkeys(found.kinds)]
        for values, part in ((found.loglik, above), (np.where(found.gap > 0, found.gap, np.nan), below)):
            part.plot(found.passes, values, color=style.GREY, linewidth=1, zorder=1)
            for i, kind in enumerate(kinds):
                mine = np.array([k == kind for k in found.kinds])
                part.plot(
                    found.passes[mine], values[mine], linestyle="", markersize=4.5,
                    marker=STEP_MARKERS.get(kind, style.marker(i + 3)), color=style.colour(i), zorder=2,
                )  # fmt: skip
        above.set_ylabel("log-likelihood\n(nats a row)")
        above.tick_params(labelbottom=False)
        above.ticklabel_format(axis="y", useOffset=False)
        below.set_yscale("log")
        below.set_ylabel("estimated gap to the top\n(nats a row)")
        below.set_xlabel("passes over the rows")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        ended = "converged" if self.status.converged else "not converged"
        last = number(float(found.gap[-1]), 2)
        above.set_title(f"{ended} after {found.passes[-1]} passes, gap {last}", loc="left", fontsize="medium")
        handles = [
            Line2D(
                [],
                [],
                linestyle="",
                marker=STEP_MARKERS.get(kind, style.marker(i + 3)),
                color=style.colour(i),
                label=kind,
            )
            for i, kind in enumerate(kinds)
        ]
        style.beside(above, handles, "step")
        return self

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        first, last = (number(float(x)) for x in self.convergence.loglik[[0, -1]])
        return (
            f"The log-likelihood a row over {self.convergence.passes[-1]} passes, from {first} to {last}. {self.status}"
        )


@dataclass(eq=False, repr=False)
class EntropyDisplay(Display):
    """What is left open about the rows as components are united into clusters.

    Where the curve bends, further unions would mix groups that the rows tell apart (Baudry et al. 2010).

    Parameters
    ----------
    curve : EntropyCurve

    Examples
    --------
    >>> import mixtura
    >>> from mixtura.plot import EntropyDisplay
    >>> result = mixtura.fit("examples/faithful.csv", n_components=4, covariance="full", random_state=0)
    >>> display = EntropyDisplay.from_estimator(result)
    >>> display.curve.suggested
    2
    """

    curve: EntropyCurve

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, sample_weight: ArrayLike | None = None, ax: Axes | None = None
    ) -> Self:
        """Take the numbers and draw.

        Parameters
        ----------
        estimator : Merging, or Result, Fit, fitted GaussianMixture, or Mixture
        X : array-like of shape (N, D), Source, or path, optional
            The rows; a Merging and a Result do without.
        sample_weight : array-like of shape (N,), optional
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        EntropyDisplay

        Raises
        ------
        ValueError
            If there are no rows, or fewer than two components.
        """
        if isinstance(estimator, Merging):
            merging = estimator
        else:
            about = subject(estimator, X, sample_weight)
            merging = merge(about.model, about.rows)
        if len(merging.stages) < 2:
            raise ValueError("there is one component: nothing can be united")
        return cls(figures.entropy_curve(merging)).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:  # noqa: D102 (see Display)
        ax = self._begin(ax)
        found = self.curve
        for x, y in found.pieces:
            ax.plot(x, y, color=style.COLOURS[1], linewidth=1.2, linestyle="--", zorder=1)
        ax.plot(found.merged, found.entropy, color=style.COLOURS[0], marker="o", markersize=5, linewidth=1, zorder=2)
        at = found.suggested - 1
        ring: dict[str, Any] = {
            "marker": "o",
            "markersize": 13,
            "fillstyle": "none",
            "color": style.DARK,
            "linestyle": "",
        }
        ax.plot(found.merged[at], found.entropy[at], zorder=3, **ring)
        named = np.unique(np.append(np.linspace(0, len(found.clusters) - 1, MOST_NAMED).round().astype(int), at))
        style.Numbers(
            ax,
            np.column_stack([found.merged, found.entropy])[named],
            [str(found.clusters[i]) for i in named],
            aside=True,
        )
        ax.margins(0.08)
        ax.set_xlabel("weight of the rows united, cumulated")
        ax.set_ylabel("entropy (nats)")
        ax.set_title(f"the curve bends at {found.suggested} clusters", loc="left", fontsize="medium")
        return self

    @property
    def description(self) -> str:  # noqa: D102 (see Display)
        return f"The entropy for 1 to {len(self.curve.clusters)} clusters; it bends at {self.curve.suggested}."
