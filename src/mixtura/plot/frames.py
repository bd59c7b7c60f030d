"""One moment of a climb that is watched, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mixtura import figures
from mixtura.core.mixture import Mixture
from mixtura.plot import style
from mixtura.plot.mixtures import MixtureDisplay
from mixtura.sources.memory import Memory

if TYPE_CHECKING:
    from mixtura.plot.watching import Watching

#: The least distance to the top that is shown, in nats a row.
LEAST = 1e-8


def figure(watching: Watching, passes: int) -> Figure:
    """Both climbs after so many passes, and their log-likelihoods up to there."""
    whole = Figure(figsize=(9.6, 6.0), layout="constrained")
    grid = whole.add_gridspec(2, len(watching.climbs), height_ratios=[2.0, 1.0])
    below = whole.add_subplot(grid[1, :])
    source = Memory(watching.rows, watching.weights)
    low, high = source.rows.min(0), source.rows.max(0)
    room, weight = 0.08 * (high - low), float(watching.weights.sum())
    top = max(step.loglik for climb in watching.climbs for step in climb.fit.trace) / weight
    for i, climb in enumerate(watching.climbs):
        step = climb.at(passes)
        model: Mixture = climb.models[step]
        seen = figures.view(model)
        ax = whole.add_subplot(grid[0, i])
        drawn = figures.draw(model, source)
        MixtureDisplay(model, seen, (low - room, high + room), figures.ellipses(model), None, drawn).draw(ax)
        ax.set_xlabel(style.shown(watching.names[0]))
        ax.set_ylabel(style.shown(watching.names[1]))
        loglik = np.array([one.loglik for one in climb.fit.trace]) / weight
        at = climb.fit.trace[step].passes
        title = f"{climb.name}, pass {at}: {loglik[step]:.5f} nats a row".replace("-", "−")
        ax.set_title(title, loc="left", fontsize="medium")
        line = [one.passes for one in climb.fit.trace]
        left, look = np.maximum(top - loglik, LEAST), ("--", "-")[i % 2]
        below.plot(line, left, color=style.DARK, linestyle=look, linewidth=1.4, label=climb.name)
        below.plot(at, left[step], color=style.DARK, marker=style.marker(i), markersize=7, linestyle="")
    below.set_xscale("log")
    below.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    below.set_yscale("log")
    below.invert_yaxis()
    below.set_xlabel("passes over the rows")
    below.set_ylabel("log-likelihood below\nthe top (nats a row)")
    below.legend(loc="upper left", frameon=False)
    return whole
