"""How the next model is proposed: EM steps alone, EM steps with momentum, or quasi-Newton steps.

All answer the same questions about a ``Point`` (a model and what a pass measured there): how large is the gradient
and how far the top (``look``), whether that is so (``verify``), which models to try in turn (``propose``), and what was
learnt from the one that was kept (``learn``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mixtura.core.mixture import Mixture
from mixtura.core.mstep import m_step
from mixtura.core.newton import LEAST_SHARE, Guide, Probes, View, newton, newton_guided, newton_of_statistics
from mixtura.core.point import Point, along, largest_logarithm, model_at, uphill
from mixtura.core.statistics import Array, Statistics
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import SingularError

#: Pairs of steps and gradient changes that the quasi-Newton memory holds.
MEMORY = 10
#: The Newton decrement sees only the curvature that the memory holds; what is left is about this multiple of it, and
#: hardly ever more than the other.
UNSEEN, MOST_UNSEEN = 6.0, 20.0
#: Steps of plain EM shrink ever more slowly, so that the gap read off their present rate is exceeded, by up to this
#: factor (336 climbs over overlapping groups: 12 times, twofold at worst). It is taken where the end is not verified.
SLOWER = 2.0
#: A Newton step among statistics is made from this many times the tolerance on: it pays for itself by the steps of
#: momentum that it replaces.
REACH = 10.0
#: While the gradient is longer than this, EM steps alone: from afar they are as quick, and they stay on their hill
#: (from 235 fixed starts, 224 climbs then end where EM ends; with quasi-Newton steps from the first on, 208).
NEAR = 0.15
#: A gradient (in units of Fisher information, a row) below this is zero but for rounding.
ROUNDING_NORM = 1e-8
#: The most by which a logarithm (of a weight, of a scale) may change in one quasi-Newton step.
STEP_CAP = 1.0

#: Yields the kind of a step and a model, and is sent the objective there.
Proposals = Generator[tuple[str, Mixture], float, None]


class Steps(ABC):
    """A way to go up; one object a climb, for it remembers the climb so far.

    Attributes
    ----------
    curvature : Curvature or None
        What it remembers that another climb nearby can use, on other rows of the same kind too.
    reach : float
        From how many times the tolerance the end is worth looking at: what is found there leads the rest of the way.
    """

    curvature: Curvature | None = None
    reach: float = 1.0

    @abstractmethod
    def look(self, here: Point) -> View:
        """Measure a point."""

    def verify(self, here: Point, view: View) -> Probes:
        """Look again, by further passes, at a point that seems to be near the top."""
        yield from ()
        return view

    @abstractmethod
    def propose(self, here: Point, view: View) -> Proposals:
        """Yield (kind, model) to try, the last one the EM step; is sent the objective of each that failed."""

    @abstractmethod
    def learn(self, here: Point, there: Point) -> None:
        """Remember a step that was kept."""


class EM(Steps):
    """The EM step alone. The gap is read off the rate at which the steps shrink.

    If the start is said to be near the top, the end is looked at before that rate is known.
    """

    def __init__(self, verified: bool = False, near: bool = False) -> None:
        self.verified = verified
        self.near = near and verified
        self.rates: deque[float] = deque(maxlen=3)
        self.made: deque[tuple[Point, Point]] = deque(maxlen=3)  # steps whose rate is not known yet
        self.doubtful = np.inf
        self.found: View | None = None  # if the curvature was measured one step before

    def look(self, here: Point) -> View:
        norm, found, self.found = here.gradient_norm, self.found, None
        if norm < ROUNDING_NORM:
            return View(norm, 0.5 * norm**2, measured=True)
        if found is not None and found.least is not None:
            return View(norm, 0.5 * norm**2 / found.least)
        self.rates += [_rate(a, b) for a, b in self.made]
        self.made.clear()
        if len(self.rates) != self.rates.maxlen:
            return View(norm, UNSEEN * 0.5 * norm**2 if self.near else np.inf)
        rate, slower = max(self.rates), 1.0 if self.verified else SLOWER
        return View(norm, slower * 0.5 * norm**2 / (1 - rate) if rate < 1 else np.inf)

    def verify(self, here: Point, view: View) -> Probes:
        if view.measured or not self.verified:
            return view
        if view.gap > self.doubtful:
            return replace(view, gap=np.inf)
        self.doubtful = view.gap / 2
        try:
            view = yield from self._newton(here)
        except SingularError:  # the edge of double precision is near
            return replace(view, gap=np.inf)
        self.found = view
        return view

    def _newton(self, here: Point) -> Probes:
        """Not for its step: there are EM steps alone."""
        return replace((yield from newton_of_statistics(here)), ahead=())

    def propose(self, here: Point, view: View) -> Proposals:
        yield "em", here.image

    def learn(self, here: Point, there: Point) -> None:
        self.made.append((here, there))
        if self.found is not None and gained_more(here, there, self.found.gap):
            self.found = None


def gained_more(here: Point, there: Point, gap: float) -> bool:
    """Whether a step gained more than was said to be left: then the curvature is not what it was held to be."""
    return there.objective - here.objective > gap * here.statistics.weight + here.rounding


def _rate(here: Point, there: Point) -> float:
    """How much nearer to each other an EM step brings two points."""
    if there.model is here.image:
        return there.gradient_norm / here.gradient_norm
    return here.length(here.image, there.image) / here.length(here.model, there.model)


class Momentum(EM):
    """The EM step prolonged in the direction of the last (Nesterov), until that lowers the objective.

    What is prolonged are the statistics, of which an M-step then makes a model: so the way leads through the family,
    whatever its constraints.
    """

    def __init__(self, verified: bool = True, near: bool = False) -> None:
        super().__init__(verified, near)
        self.reach = REACH if verified else 1.0
        self.before: Statistics | None = None
        self.inertia = 1.0

    def _newton(self, here: Point) -> Probes:
        return (yield from (super()._newton if here.dying else newton_of_statistics)(here))

    def propose(self, here: Point, view: View) -> Proposals:
        for model in view.ahead:
            yield "newton", model
        ahead = self._ahead(here)
        if ahead is not None:
            yield "momentum", ahead
        self.inertia = 1.0  # without, or it led downhill
        yield "em", here.image

    def _ahead(self, here: Point) -> Mixture | None:
        """The M-step of the prolonged statistics, where there is one."""
        now = here.statistics
        if self.before is None or here.dying:
            return None
        share = (self.inertia - 1) / _later(self.inertia)
        ahead = now.beyond(self.before, share)
        if (ahead.n < LEAST_SHARE * now.n).any() or ahead.noise < LEAST_SHARE * now.noise:
            return None
        try:
            return m_step(here.image, ahead, here.family, here.prior, here.fixed)
        except SingularError:
            return None

    def learn(self, here: Point, there: Point) -> None:
        super().learn(here, there)
        near = there.gradient_norm < NEAR
        self.before, self.inertia = (here.statistics, _later(self.inertia)) if near else (None, 1.0)


def _later(inertia: float) -> float:
    """The next in Nesterov's sequence."""
    return 0.5 * (1 + float(np.sqrt(1 + 4 * inertia**2)))


@dataclass(frozen=True, eq=False)
class Curvature:
    """What the last few steps told about the curvature (limited-memory BFGS), the newest in the last row.

    Attributes
    ----------
    steps, changes : ndarray of shape (M, P)
        Steps s, and by how much the gradient was less after each, y.
    products : ndarray of shape (M, M)
        R, the upper triangle of s_i · y_j.
    """

    steps: Array
    changes: Array
    products: Array

    @classmethod
    def of(cls, step: Array, change: Array, before: Curvature | None) -> Curvature:
        """Of one more step; only the last ``MEMORY`` are kept."""
        steps, changes = step[None], change[None]
        if before is not None:
            steps = np.concatenate([before.steps[1 - MEMORY :], steps])
            changes = np.concatenate([before.changes[1 - MEMORY :], changes])
        return cls(steps, changes, np.triu(steps @ changes.T))

    def newton(self, slope: Array, uphill: Callable[[Array], Array]) -> Array:
        """The quasi-Newton direction for a gradient; ``uphill`` applies the inverse Hessian to begin with.

        The two loops of Nocedal ("Updating quasi-Newton matrices with limited storage", Mathematics of Computation 35
        (1980)) are triangular systems: R a = S g, and Rᵀ b = diag(R) a − Y r in the order of time.
        """
        shares = np.linalg.solve(self.products, self.steps @ slope)
        direction = uphill(slope - shares @ self.changes)
        rest = np.diagonal(self.products) * shares - self.changes @ direction
        # backwards, the lower triangle is an upper one, which elimination leaves as it is
        return direction + np.linalg.solve(self.products.T[::-1, ::-1], rest[::-1])[::-1] @ self.steps


class QuasiNewton(Steps):
    """L-BFGS in coordinates where every vector is a mixture, preconditioned by the complete-data information.

    With nothing remembered the direction is the EM step, to first order; what it remembers adds the information
    that the hidden labels took away (the idea of Lange, "A quasi-Newton acceleration of the EM algorithm",
    Statistica Sinica 5 (1995), with limited memory and the information at the present point).

    Where the rows are many, ``guide`` is a sample of them: near the top, where it is concave, its curvature makes
    Newton steps and says how much there is to gain. A climb that goes on from where one on a sample ended begins with
    the ``curvature`` that that one met.
    """

    def __init__(self, verified: bool = True, guide: Guide | None = None, curvature: Curvature | None = None) -> None:
        self.verified = verified
        self.curvature = curvature
        self.plain = EM(verified)
        self.guide = guide
        self.doubtful = np.inf
        self.found: View | None = None  # if the curvature was measured one step before
        self.waiting, self.patience = 0, 1  # looks until the guide is asked again, now and after its next refusal

    def look(self, here: Point) -> View:
        norm, found, self.found = here.gradient_norm, self.found, None
        if norm < ROUNDING_NORM:
            return View(norm, 0.5 * norm**2, measured=True)
        if here.dying:
            return self.plain.look(here)
        view = (self._ask(here) if norm < NEAR else None) or self._remember(here)
        if found is None or found.least is None:
            return view
        return replace(view, gap=max(view.gap, 0.5 * norm**2 / found.least))

    def _ask(self, here: Point) -> View | None:
        """What the guide says, where there is one that is concave; it is asked less often while it is not."""
        if self.guide is None:
            return None
        if self.waiting:
            self.waiting -= 1
            return None
        view = newton_guided(self.guide, here)
        if np.isfinite(view.gap):
            self.patience = 1
            return view
        self.waiting, self.patience = self.patience, 2 * self.patience
        return None

    def _remember(self, here: Point) -> View:
        """What the steps on the way say."""
        norm, slope = here.gradient_norm, here.slope
        up = partial(uphill, here)
        direction = up(slope) if self.curvature is None else self.curvature.newton(slope, up)
        direction = along(here, direction)  # steps lead out of the family by their rounding, and rounding adds up
        rise = float(direction @ slope)
        if not rise > 0:
            return View(norm, np.inf)
        unseen = UNSEEN if self.verified else np.inf if self.curvature is None else MOST_UNSEEN
        return View(norm, unseen * 0.5 * max(rise, norm**2), direction)

    def verify(self, here: Point, view: View) -> Probes:
        if not self.verified:
            return replace(view, direction=None)
        if view.direction is None:
            return (yield from self.plain.verify(here, view))
        if view.measured:
            return view
        if view.gap > self.doubtful:
            return replace(view, gap=np.inf)
        self.doubtful = view.gap / 2
        view = yield from newton(here, here.slope)
        self.found = view
        return view

    def propose(self, here: Point, view: View) -> Proposals:
        if view.direction is not None and view.gradient_norm < NEAR:
            origin, rise = here.position, float(view.direction @ here.slope)
            length = min(1.0, STEP_CAP / largest_logarithm(here.model, view.direction))
            weight = here.statistics.weight
            for kind in ("quasi-newton", "shortened"):
                try:
                    model = model_at(origin + length * view.direction, here.model)
                except SingularError:
                    break
                reached = yield kind, here.fixed.keep(here.model, model)
                lost = 2 * (here.objective - reached) / weight + 2 * length * rise
                best = length**2 * rise / lost if lost > 0 else 0.0  # top of the parabola through both
                length = float(np.clip(best, 0.1 * length, 0.5 * length))
        yield "em", here.image

    def learn(self, here: Point, there: Point) -> None:
        self.plain.learn(here, there)
        if not there.dying:
            self.plain.found = None  # of a point that is not the last any more
        if here.dying or there.dying:
            self.curvature = None
            return
        step = there.position - here.position
        change = here.slope - there.slope
        # curvature beyond rounding, in a comparison that the units of the columns do not enter
        if step @ change > 1e-8 * (abs(step @ here.slope) + abs(step @ there.slope)):
            self.curvature = Curvature.of(step, change, self.curvature)


def steps_for(
    family: Family,
    prior: Prior,
    accelerate: bool,
    verify: bool = True,
    near: bool = False,
    *,
    guide: Guide | None = None,
    curvature: Curvature | None = None,
) -> Steps:
    """Quasi-Newton steps where the family has coordinates and the rows leave no direction open, else momentum."""
    if not accelerate:
        return EM(verify, near)
    return QuasiNewton(verify, guide, curvature) if family.tangent and prior.span is None else Momentum(verify, near)
