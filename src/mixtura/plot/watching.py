"""The algorithm at work: plain EM beside the accelerated optimiser, pass by pass, in a page of its own."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import kernels
from mixtura.core.arguments import as_generator
from mixtura.core.em import Fit, Stop, Task, climb, climb_together, in_family
from mixtura.core.estep import of_block
from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array, Statistics
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.figures import MOST_DRAWN
from mixtura.sources.coerce import as_table, as_weights
from mixtura.sources.files import read_table
from mixtura.sources.memory import Memory
from mixtura.sources.sketch import sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Passes are shown one by one up to here; beyond, fewer and fewer of them.
ONE_BY_ONE, MOST_FRAMES = 60, 160
#: Points in the page: more are slow to move, and hide what happens.
MOST_POINTS = 2_000
#: Columns of what is watched.
PLANE = 2


@dataclass(frozen=True, eq=False)
class Climb:
    """One way up.

    Attributes
    ----------
    name : str
    fit : Fit
        How it ended, with the trace.
    models : tuple of Mixture
        The model of each step of ``fit.trace``.
    """

    name: str
    fit: Fit
    models: tuple[Mixture, ...]

    def at(self, passes: int) -> int:
        """The last step that was there after so many passes over the rows."""
        return max(0, sum(step.passes <= passes for step in self.fit.trace) - 1)


@dataclass(frozen=True, eq=False, repr=False)
class Watching:
    """Two climbs from the same start, to be watched.

    Attributes
    ----------
    names : tuple of str
        Of the two columns.
    rows, weights : ndarray of shape (N, 2) and (N,)
    climbs : tuple of Climb
        Plain EM, and the accelerated optimiser.
    """

    names: tuple[str, ...]
    rows: Array
    weights: Array
    climbs: tuple[Climb, ...]

    def __repr__(self) -> str:
        passes = ", ".join(f"{climb.name} {climb.fit.n_iter} passes" for climb in self.climbs)
        return f"<Watching {passes}>"

    @property
    def frames(self) -> list[int]:
        """The passes that are shown."""
        last = max(climb.fit.trace[-1].passes for climb in self.climbs)
        single = range(1, min(last, ONE_BY_ONE) + 1)
        rest = np.geomspace(ONE_BY_ONE, max(last, ONE_BY_ONE), MOST_FRAMES - ONE_BY_ONE).round().astype(int)
        return sorted({*single, *(int(p) for p in rest if p <= last)})

    def page(self) -> str:
        """A page of HTML that needs nothing else: no network, no library."""
        template = (Path(__file__).parent / "watch.html").read_text(encoding="utf-8")
        data = json.dumps(self._data(), allow_nan=False).replace("<", "\\u003c")
        parts = {"X": html.escape(self.names[0]), "Y": html.escape(self.names[1]), "DATA": data}
        for name, text in parts.items():
            template = template.replace(f"<!--{name}-->", text)
        return template

    def save(self, path: str | PathLike[str]) -> None:
        """Write ``page`` to a file."""
        Path(path).write_text(self.page(), encoding="utf-8")

    def _repr_html_(self) -> str:
        page = html.escape(self.page(), quote=True)
        return f'<iframe srcdoc="{page}" title="EM at work" style="width:100%;height:640px;border:0"></iframe>'

    def _data(self) -> dict[str, Any]:
        frames = self.frames
        weight = float(self.weights.sum())
        return {
            "rows": _short(self.rows),
            "sizes": _short(np.sqrt(self.weights / self.weights.mean())),
            "frames": frames,
            "climbs": [
                {
                    "name": climb.name,
                    "sentence": climb.fit.status.value,
                    "passes": [step.passes for step in climb.fit.trace],
                    "loglik": _short(np.array([step.loglik for step in climb.fit.trace]) / weight, 12),
                    "gap": [None if not math.isfinite(step.gap) else step.gap for step in climb.fit.trace],
                    "kind": [step.kind for step in climb.fit.trace],
                    "models": {step: _numbers(climb.models[step]) for step in sorted({climb.at(p) for p in frames})},
                    "at": [climb.at(passes) for passes in frames],
                }
                for climb in self.climbs
            ],
        }

    def figure(self, passes: int) -> Figure:
        """The state after so many passes, as a matplotlib figure (needs ``pip install "mixtura[plots]"``)."""
        from mixtura.plot.frames import figure

        return figure(self, passes)


def _short(values: Array, digits: int = 7) -> Any:
    """Numbers for the page, no longer than it can show."""
    return np.vectorize(lambda x: float(f"{x:.{digits}g}"), otypes=[float])(values).tolist()


def _numbers(model: Mixture) -> Any:
    """Weight, mean and lower triangle of the Cholesky factor of each component."""
    lower = model.cholesky[:, [0, 1, 1], [0, 0, 1]]
    return _short(np.column_stack([model.weights, model.means, lower]))


def watch(
    X: Any,
    n_components: int = 2,
    covariance: str | Family = "full",
    *,
    columns: Iterable[str | int] | None = None,
    sample_weight: ArrayLike | None = None,
    start: Mixture | None = None,
    tol: float = 1e-8,
    max_iter: int = 3_000,
    random_state: Any = 0,
) -> Watching:
    """Plain EM and the accelerated optimiser from the same start, to be watched step by step.

    In a notebook the result shows itself; ``save(path)`` writes a page that opens anywhere, without a network: rows
    take the colours of the components that claim them, ellipses move, the log-likelihood rises. A slider, its arrow
    keys and the space bar go through the passes over the rows.

    Parameters
    ----------
    X : array-like of shape (N, 2), data frame, Arrow table, or path
    n_components : int
        K.
    covariance : str
        Covariance family.
    columns : two columns, by number or name
        If there are more.
    sample_weight : array-like of shape (N,), optional
    start : Mixture, optional
        Where both start; by default a poor place: K rows drawn at random as means, each with the covariance of all.
    tol : float
        Both end where the estimated gap to the top is below this many nats a row.
    max_iter : int
        The most passes of each.
    random_state : int, Generator, RandomState or None
        Draws the start.

    Returns
    -------
    Watching

    Raises
    ------
    ValueError
        If there are not exactly two columns, or fewer rows than components.

    Examples
    --------
    >>> from mixtura.plot import watch
    >>> watching = watch("examples/faithful.csv", n_components=4)
    >>> plain, quick = watching.climbs
    >>> plain.fit.n_iter > 5 * quick.fit.n_iter
    True
    """
    table = read_table(X, columns=columns) if isinstance(X, str | PathLike) else as_table(X, columns=columns)
    rows, names = table.rows.astype(np.float64), table.columns or ("x1", "x2")
    if rows.shape[1] != PLANE:
        raise ValueError(f"watching takes two columns, got {rows.shape[1]}: name two of them (columns=…)")
    weights = as_weights(sample_weight, len(rows))
    weights = np.ones(len(rows)) if weights is None else weights
    family = registry.get(covariance)
    if start is None:
        start = _start(rows, weights, n_components, as_generator(random_state))
    start = in_family(start, family)
    some = sample(Memory(rows, weights), MOST_DRAWN)
    prior = Prior.relative(some.rows, some.weights).for_weight(float(weights.sum()))
    source = Memory(rows, weights)
    climbs = (
        _watched(name, Task(start, family, prior, Stop(tol, max_iter), accelerate), source)
        for name, accelerate in (("plain EM", False), ("accelerated", True))
    )
    shown = sample(source, MOST_POINTS)
    return Watching(tuple(names), shown.rows, shown.weights, tuple(climbs))


def _start(rows: Array, weights: Array, n_components: int, generator: np.random.Generator) -> Mixture:
    """Rows drawn at random as means, each with the covariance of all rows."""
    distinct = np.unique(rows[weights > 0], axis=0)
    if len(distinct) < n_components:
        raise ValueError(f"{len(distinct)} different rows cannot hold {n_components} components")
    means = distinct[np.sort(generator.choice(len(distinct), n_components, replace=False))]
    spread = np.cov(rows.T, aweights=weights)
    return Mixture(np.full(n_components, 1 / n_components), means, np.repeat(spread[None], n_components, 0))


def _watched(name: str, task: Task, source: Memory) -> Climb:
    """The climb, and the models along it: the same climb once more, which asks for the same models again."""
    (fit,) = climb_together([task], source)
    kernel = kernels.choose(source.n_rows, task.start.n_components, source.n_features)
    way = climb(task)
    models = [next(way)]
    for _ in range(fit.trace[-1].passes - 1):
        models.append(way.send(_summed(models[-1], source, kernel)))
    way.close()
    return Climb(name, fit, tuple(models[step.passes - 1] for step in fit.trace))


def _summed(model: Mixture, source: Memory, kernel: kernels.Kernel) -> Statistics:
    return source.total(lambda block: of_block(model, kernel, block))
