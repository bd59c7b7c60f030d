"""How the next model is proposed: EM steps alone, EM steps with momentum, or quasi-Newton steps.

All answer the same questions about a ``Point`` (a model and what a pass measured there): how large is the gradient
and how far the top (``look``), whether that is so (``verify``), which models to try in turn (``propose``), and what was
learnt from the one that was kept (``learn``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from mixtura.core.fixed import NOTHING, Fixed
from mixtura.core.mixture import Mixture
from mixtura.core.mstep import m_step
from mixtura.core.statistics import Array, Statistics
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.structure import SingularError
from mixtura.lazy import cached_property

#: Pairs of steps and gradient changes that the quasi-Newton memory holds.
MEMORY = 10
#: The Newton decrement sees only the curvature that the memory holds; what is left is about this multiple of it, and
#: hardly ever more than the other.
UNSEEN, MOST_UNSEEN = 6.0, 20.0
#: Steps of plain EM shrink ever more slowly, so that the gap read off their present rate is exceeded, by up to this
#: factor (336 climbs over overlapping groups: 12 times, twofold at worst). It is taken where the end is not verified.
SLOWER = 2.0
#: Conjugate gradients: steps at the most, the share of the residual (squared) at which they end, the length of the
#: probes in units of complete-data information, and the share of that information below which a direction is flat.
PROBES = 8
SOLVED = 0.02
PROBE = 1e-4
FLAT = 1e-6
#: Conjugate gradients find the least curvature last, and from above: it may be this part of the least that they met.
UNMET = 0.5
#: How long a step is tried, in the same units, along a direction that is not concave.
ESCAPE = 0.3
#: The part of a Newton step among statistics that is tried where the whole is no good.
SHORTER = 0.25
#: It is made from this many times the tolerance on, and pays for itself by the steps of momentum that it replaces.
REACH = 10.0
#: While the gradient is longer than this, EM steps alone: from afar they are as quick, and they stay on their hill
#: (from 235 fixed starts, 224 climbs then end where EM ends; with quasi-Newton steps from the first on, 208).
NEAR = 0.15
#: The least part of its rows that momentum may leave to a component.
LEAST_SHARE = 0.1
#: A component with less than this part of an average row has lost its rows.
LEAST_ROW = 1e-2
#: A gradient (in units of Fisher information, a row) below this is zero but for rounding.
ROUNDING_NORM = 1e-8
#: The most by which a logarithm (of a weight, of a scale) may change in one quasi-Newton step.
STEP_CAP = 1.0


@dataclass(frozen=True, eq=False)
class Point:
    """A model, the statistics of a pass under it, and the model that one EM step makes of them."""

    model: Mixture
    statistics: Statistics
    family: Family
    prior: Prior
    fixed: Fixed = NOTHING

    @cached_property
    def objective(self) -> float:
        """The log-likelihood (S11) plus the prior's part."""
        return self.statistics.loglik + self.prior.log_density(self.model.structure, self.model.means)

    @cached_property
    def image(self) -> Mixture:
        """Where one EM step leads; raises SingularError where it leads nowhere."""
        return m_step(self.model, self.statistics, self.family, self.prior, self.fixed)

    @property
    def rounding(self) -> float:
        """By how much two computations of the objective may differ."""
        return 4 * float(np.finfo(np.float64).eps) * (abs(self.objective) + self.statistics.weight)

    @cached_property
    def dying(self) -> bool:
        """Whether a component has lost its rows: nothing then holds it but EM steps, which keep it among the rows.

        The noise has lost them when its weight is zero but for rounding.
        """
        statistics, noise = self.statistics, self.model.noise
        none = float(np.finfo(np.float64).eps) * statistics.weight
        least = max(none, LEAST_ROW * statistics.row_weight)
        fewest = min(statistics.n.min(), self.model.weights.min() * statistics.weight)
        return bool(fewest <= least or (noise is not None and noise.weight * statistics.weight <= none))

    @cached_property
    def gradient_norm(self) -> float:
        """Length of the EM step in units of the complete-data Fisher information of one row.

        That is the norm of the gradient (S13, S15, S17) along the family in the same metric, to first order; half
        its square is what the EM step may be expected to gain, in nats a row.
        """
        return self.length(self.model, self.image)

    def length(self, here: Mixture, there: Mixture) -> float:
        """How far one mixture is from another beside it, in that unit; what the prior is worth counts too."""
        weight = self.statistics.weight
        return _length(here, there, self.prior.shrinkage / weight, self.prior.count / weight)

    @cached_property
    def slope(self) -> Array:
        """The gradient of the objective, a row (S13, S15, S17 in the coordinates below); zero in what is fixed."""
        model, statistics = self.model, self.statistics
        shrunk = self.fixed.hold(self.prior.shrink(statistics))
        n, scatter = self.prior.add(statistics.n, shrunk.s2, statistics.kind)
        n_all = statistics.n if model.noise is None else np.append(statistics.n, statistics.noise)
        logs, rest = self.fixed.free_slope(
            n_all - statistics.weight * _all_weights(model),
            model.structure.slope(n, scatter),
            model.n_components,
        )
        parts = (logs, model.structure.precision(shrunk.s1), rest)
        return np.concatenate([part.ravel() for part in parts]) / statistics.weight

    @cached_property
    def position(self) -> Array:
        """The model as a vector."""
        return _position(self.model, self.fixed)


@dataclass(frozen=True)
class View:
    """What a point shows: the norm of the gradient, the gap to the top (nats a row), and a direction to go.

    The curvature is ``measured`` if it is that of the objective here, not what steps on the way met; ``least`` is then
    the least that there is, in units of complete-data information. Where a family has no coordinates, the models
    ``ahead`` are what there is of a direction, the farthest first.
    """

    gradient_norm: float
    gap: float
    direction: Array | None = None
    measured: bool = False
    ahead: tuple[Mixture, ...] = ()
    least: float | None = None

    @property
    def leads(self) -> bool:
        """Whether it says where to go."""
        return self.direction is not None or bool(self.ahead)


Proposals = Generator[tuple[str, Mixture], float, None]
#: Yields models and is sent the statistics of all rows under them.
Probes = Generator[Mixture, Statistics, View]
#: The statistics of a sample under a model, at the weight of all rows.
Guide = Callable[[Mixture], Statistics]


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
    """The EM step alone. The gap is read off the rate at which the steps shrink."""

    def __init__(self, verified: bool = False) -> None:
        self.verified = verified
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
        rate = max(self.rates) if len(self.rates) == self.rates.maxlen else 1.0
        slower = 1.0 if self.verified else SLOWER
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
        return replace((yield from _newton_of_statistics(here)), ahead=())

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

    def __init__(self, verified: bool = True) -> None:
        super().__init__(verified)
        self.reach = REACH if verified else 1.0
        self.before: Statistics | None = None
        self.inertia = 1.0

    def _newton(self, here: Point) -> Probes:
        return (yield from (super()._newton if here.dying else _newton_of_statistics)(here))

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
        view = _guided(self.guide, here)
        if np.isfinite(view.gap):
            self.patience = 1
            return view
        self.waiting, self.patience = self.patience, 2 * self.patience
        return None

    def _remember(self, here: Point) -> View:
        """What the steps on the way say."""
        norm, slope = here.gradient_norm, here.slope
        uphill = partial(_uphill, here)
        direction = uphill(slope) if self.curvature is None else self.curvature.newton(slope, uphill)
        direction = _along(here, direction)  # steps lead out of the family by their rounding, and rounding adds up
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
        view = yield from _newton(here, here.slope)
        self.found = view
        return view

    def propose(self, here: Point, view: View) -> Proposals:
        if view.direction is not None and view.gradient_norm < NEAR:
            origin, rise = here.position, float(view.direction @ here.slope)
            length = min(1.0, STEP_CAP / _largest_logarithm(here.model, view.direction))
            weight = here.statistics.weight
            for kind in ("quasi-newton", "shortened"):
                try:
                    model = _at(origin + length * view.direction, here.model)
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
    *,
    guide: Guide | None = None,
    curvature: Curvature | None = None,
) -> Steps:
    """Quasi-Newton steps where the family has coordinates and the rows leave no direction open, else momentum."""
    if not accelerate:
        return EM(verify)
    return QuasiNewton(verify, guide, curvature) if family.tangent and prior.span is None else Momentum(verify)


def _guided(guide: Guide, here: Point) -> View:
    """The Newton step for the gradient of all rows, with the curvature of a sample of them."""
    probes = _newton(replace(here, statistics=guide(here.model)), here.slope)
    model = next(probes)
    while True:
        try:
            model = probes.send(guide(model))
        except StopIteration as ended:
            return replace(ended.value, gradient_norm=here.gradient_norm)


def _newton(here: Point, slope: Array) -> Probes:
    """The Newton step for a gradient, and the gap that it leads across, in coordinates.

    Products with the observed information are differences of gradients at ``here`` and at a probe beside it.
    """
    found = yield from _conjugate_gradients(_Coordinates(here), _Way(slope, _uphill(here, slope)))
    return View(here.gradient_norm, found.gap, found.step.shift, measured=True, least=found.least)


def _newton_of_statistics(here: Point) -> Probes:
    """The same for any family: among statistics, of which an M-step makes members of it.

    An EM step takes statistics s to F(s), those of a pass under the M-step m(s) of s; at the top F(s) = s. With
    J = dF/ds and u = F(s) − s, the gap at m(s), where the EM step leads, is ½ ⟨u, (I − J)⁻¹ u⟩. Here ⟨u, v⟩ is the
    complete-data information between the changes of the parameters that u and v make: the slope that u adds, times
    dm(v). In that product J is self-adjoint.
    """
    there = replace(here, model=here.image, statistics=(yield here.image))
    space = _Sums(there, here.statistics.recentre(here.image.means))
    found = yield from _conjugate_gradients(space, space.first(here.gradient_norm))
    gained = (there.objective - here.objective) / there.statistics.weight
    gap, ahead = found.gap + gained, space.models(found.step)
    return View(here.gradient_norm, gap, measured=True, ahead=ahead, least=found.least)


@dataclass(frozen=True, eq=False)
class _Way:
    """A direction: the slope that belongs to it, where it leads, and the change of statistics that makes it, if any."""

    slope: Array
    shift: Array
    change: Statistics | None = None

    def plus(self, factor: float, other: _Way) -> _Way:
        """A way, and the other one that many times."""
        change = None
        if self.change is not None and other.change is not None:
            change = _moved(self.change, factor, other.change)
        return _Way(self.slope + factor * other.slope, self.shift + factor * other.shift, change)

    def times(self, other: _Way) -> float:
        """The inner product: complete-data information between both."""
        return float(self.slope @ other.shift)


class _Space(ABC):
    """Where a Newton step is sought around a point."""

    @abstractmethod
    def probe(self, way: _Way, length: float) -> Mixture:
        """The model that far along a way."""

    @abstractmethod
    def bent(self, way: _Way, length: float, probe: Mixture, seen: Statistics) -> _Way:
        """Observed information times a way, given a pass under the probe along it; its shift is not looked at."""

    def most(self, way: _Way) -> float:
        """The farthest that one may go along a way."""
        return np.inf

    @abstractmethod
    def turned(self, way: _Way, size: float) -> _Way:
        """The way with the shift that its slope, or its change of the statistics, makes; it has about that size."""


class _Coordinates(_Space):
    """The coordinates of a family that is a linear subspace of them."""

    def __init__(self, here: Point) -> None:
        self.here, self.origin, self.slope = here, here.position, here.slope

    def probe(self, way: _Way, length: float) -> Mixture:
        return _at(self.origin + length * way.shift, self.here.model)

    def bent(self, way: _Way, length: float, probe: Mixture, seen: Statistics) -> _Way:
        there = replace(self.here, model=probe, statistics=seen)
        return replace(way, slope=(self.slope - there.slope) / length)

    def turned(self, way: _Way, size: float) -> _Way:
        return replace(way, shift=_uphill(self.here, way.slope))


class _Sums(_Space):
    """Statistics about those of which an M-step makes the model of ``here``."""

    def __init__(self, here: Point, base: Statistics) -> None:
        self.here, self.base = here, base
        self.origin = _position(self._model(base), here.fixed)

    def _model(self, statistics: Statistics) -> Mixture:
        here = self.here
        return m_step(here.model, statistics, here.family, here.prior, here.fixed)

    def _difference(self, one: Statistics, other: Statistics) -> _Way:
        """Its slope is that in the coordinates, and its shift is not known yet."""
        slope = replace(self.here, statistics=one).slope - replace(self.here, statistics=other).slope
        return _Way(slope, np.zeros_like(slope), _moved(one, -1.0, other))

    def first(self, size: float) -> _Way:
        """What an EM step adds to the statistics."""
        return self.turned(self._difference(self.here.statistics, self.base), size)

    def probe(self, way: _Way, length: float) -> Mixture:
        return self._model(_moved(self.base, length, _of(way)))

    def bent(self, way: _Way, length: float, probe: Mixture, seen: Statistics) -> _Way:
        after = self._difference(seen.recentre(self.base.centre), self.here.statistics)
        return way.plus(-1.0 / length, after)

    def turned(self, way: _Way, size: float) -> _Way:
        length = min(PROBE / size, self.most(way))
        return replace(way, shift=(_position(self.probe(way, length), self.here.fixed) - self.origin) / length)

    def most(self, way: _Way) -> float:
        # so far every component keeps some of its rows, and the noise too
        base, change = self.base, _of(way)
        have, lost = np.append(base.n, base.noise), -np.append(change.n, change.noise)
        falling = lost > 0
        most = float(((1 - LEAST_SHARE) * have[falling] / lost[falling]).min(initial=np.inf))
        if not most > 0:
            raise SingularError("a component without any rows cannot lose more")
        return most

    def models(self, way: _Way) -> tuple[Mixture, ...]:
        """The model at the end of a way, and those on it to try where that one is no better."""
        end = min(1.0, self.most(way))
        found = []
        for length in (end, SHORTER * end):
            with suppress(SingularError):
                found.append(self.probe(way, length))
        return tuple(found)


def _of(way: _Way) -> Statistics:
    if way.change is None:
        raise TypeError("a way among statistics has a change of them")
    return way.change


class _Newton(NamedTuple):
    """A step, the gap (nats a row) that it leads across, and the least curvature that there may be.

    Where the objective is not concave, the gap is infinite.
    """

    step: _Way
    gap: float
    least: float | None = None


def _conjugate_gradients(space: _Space, residual: _Way) -> Generator[Mixture, Statistics, _Newton]:
    """The Newton step by conjugate gradients, preconditioned by the complete-data information.

    The gap is half the Newton decrement: what the steps found of it, and the most that the residual may add.
    """
    left = first = residual.times(residual)
    ahead, step, decrement = residual, _nothing(residual), 0.0
    shares: list[float] = []
    ratios: list[float] = []
    for _ in range(PROBES):
        length = ahead.times(ahead)
        small = min(PROBE / np.sqrt(length), space.most(ahead))
        probe = space.probe(ahead, small)
        bent = space.bent(ahead, small, probe, (yield probe))
        curvature = bent.times(ahead)
        if not curvature > FLAT * length:
            return _Newton(_nothing(ahead).plus(ESCAPE / np.sqrt(length), ahead), np.inf)
        share = left / curvature
        step = step.plus(share, ahead)
        residual = space.turned(residual.plus(-share, bent), np.sqrt(left))
        decrement += 0.5 * share * left
        left, before = residual.times(residual), left
        shares.append(share)
        ratios.append(left / before)
        if not left > SOLVED * first:
            break
        ahead = residual.plus(left / before, ahead)
    least = max(UNMET * _least_curvature(shares, ratios), FLAT)
    return _Newton(step, decrement + 0.5 * max(left, 0.0) * _most_left(shares, ratios, least), least)


def _nothing(way: _Way) -> _Way:
    return way.plus(-1.0, way)


def _most_left(shares: Sequence[float], ratios: Sequence[float], least: float) -> float:
    """What the residual may add to the decrement at the most, per its own square, were no curvature below the least.

    Gauss-Radau quadrature by the lengths of the steps and the ratios of residuals squared (Meurant & Tichý, "On
    computing quadrature-based bounds for the A-norm of the error in conjugate gradients", Numerical Algorithms 62
    (2013)).
    """
    most = 1 / least
    for share, ratio in zip(shares, ratios, strict=True):
        ahead = max(most - share, 0.0)
        most = ahead / (least * ahead + ratio) if ratio > 0 else 0.0
    return most


def _least_curvature(shares: Sequence[float], ratios: Sequence[float]) -> float:
    """The least eigenvalue of the tridiagonal matrix of the steps (Lanczos)."""
    inverse, before = 1 / np.array(shares), np.array(ratios[:-1])
    diagonal, beside = inverse.copy(), np.sqrt(before) * inverse[:-1]
    diagonal[1:] += before * inverse[:-1]
    return float(np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside, -1))[0])


def _moved(statistics: Statistics, factor: float, change: Statistics) -> Statistics:
    """The sums and that many times the others, about the same centres; the rows remain those of the first."""
    return replace(
        statistics,
        n=statistics.n + factor * change.n,
        s1=statistics.s1 + factor * change.s1,
        s2=statistics.s2 + factor * change.s2,
        noise=statistics.noise + factor * change.noise,
    )


def _length(here: Mixture, there: Mixture, at_means: float, at_covariances: float) -> float:
    """How far one mixture is from another beside it, in units of the complete-data Fisher information of one row.

    The last two are what the pseudo-rows of a prior weigh beside that row.
    """
    before = _all_weights(here)
    alive = before > 0
    weights = before[alive]
    moved = float((np.square(_all_weights(there)[alive] - weights) / weights).sum())
    means = np.square(here.structure.whiten(there.means - here.means)).sum(1)
    moved += float((here.weights + at_means) @ means)
    return float(np.sqrt(moved + here.structure.distance(there.structure, here.weights + at_covariances)))


def _all_weights(model: Mixture) -> Array:
    """π, that of the noise the last."""
    return model.weights if model.noise is None else np.append(model.weights, model.noise.weight)


def _parts(vector: Array, model: Mixture) -> tuple[Array, Array, Array]:
    """What a vector holds for the logarithms of the weights, the means and the structure's coordinates."""
    size = model.n_components + (model.noise is not None)
    rest = size + model.means.size
    means = vector[size:rest].reshape(model.means.shape)
    return vector[:size], means, vector[rest:].reshape(model.structure.coordinates.shape)


def _position(model: Mixture, fixed: Fixed) -> Array:
    """A model as a vector: log weights (the noise's the last), means, the structure's coordinates.

    Logarithms of weights count but for a constant: where the Gaussians' are fixed, it is such that they stay.
    """
    total = 1.0 if fixed.weights is None else model.weights.sum()
    weights = np.maximum(_all_weights(model), np.finfo(np.float64).tiny)  # one that is zero remains so
    parts = (np.log(weights / total), model.means, model.structure.coordinates)
    return np.concatenate([part.ravel() for part in parts])


def _at(vector: Array, like: Mixture) -> Mixture:
    """The mixture at a position, of the same size and structure as another."""
    if not np.isfinite(vector).all():
        raise SingularError("a step leaves the range of double precision")
    logs, means, coordinates = _parts(vector, like)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    noise = None if like.noise is None else like.noise.weighing(float(weights[-1]))
    structure = like.structure.at(coordinates)
    if not all(np.isfinite(each).all() for each in (structure.log_det(), structure.variances(), structure.whitening)):
        raise SingularError("a step leaves the range of double precision")
    return Mixture(weights[: like.n_components], means, structure, columns=like.columns, noise=noise)


def _uphill(here: Point, slope: Array) -> Array:
    """A gradient over the complete-data Fisher information of one row: a direction along the family."""
    logs, of_means, rest = _parts(slope, here.model)
    structure, weights = here.model.structure, here.model.weights
    means = structure.weigh(of_means) / weights[:, None]
    parts = (logs / _all_weights(here.model), means, structure.uphill(rest, weights))
    return _along(here, np.concatenate([part.ravel() for part in parts]))


def _along(here: Point, direction: Array) -> Array:
    """The part of a direction that is along the family."""
    tangent = here.family.tangent
    if tangent is None:
        raise TypeError(f"family {here.family.name!r} has no coordinates")
    logs, means, rest = _parts(direction, here.model)
    return np.concatenate([logs, means.ravel(), tangent(rest, here.model.weights).ravel()])


def _largest_logarithm(model: Mixture, direction: Array) -> float:
    """The largest change of a logarithm (of a weight, of a scale) in a direction; at least a tiny number."""
    logs, _, rest = _parts(direction, model)
    return max(
        float(np.abs(logs).max()),
        float(np.abs(rest[..., model.structure.logarithms()]).max()),
        float(np.finfo(np.float64).tiny),
    )
