"""Newton steps, and how far the top is: by conjugate gradients, each step of which is a pass over the rows.

They go along the coordinates of a family that is a linear subspace of them, and for any other among statistics, of
which an M-step makes members of the family.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mixtura.core.mixture import Mixture
from mixtura.core.mstep import m_step
from mixtura.core.point import Point, model_at, position_of, uphill
from mixtura.core.statistics import Array, Statistics
from mixtura.covariance.structure import SingularError

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
#: The least part of its rows that a step among statistics may leave to a component.
LEAST_SHARE = 0.1


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


#: Yields models and is sent the statistics of all rows under them.
Probes = Generator[Mixture, Statistics, View]
#: The statistics of a sample under a model, at the weight of all rows.
Guide = Callable[[Mixture], Statistics]


def newton(here: Point, slope: Array) -> Probes:
    """The Newton step for a gradient, and the gap that it leads across, in coordinates.

    Products with the observed information are differences of gradients at ``here`` and at a probe beside it.
    """
    found = yield from _conjugate_gradients(_Coordinates(here), _Way(slope, uphill(here, slope)))
    return View(here.gradient_norm, found.gap, found.step.shift, measured=True, least=found.least)


def newton_of_statistics(here: Point) -> Probes:
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


def newton_guided(guide: Guide, here: Point) -> View:
    """The Newton step for the gradient of all rows, with the curvature of a sample of them."""
    probes = newton(replace(here, statistics=guide(here.model)), here.slope)
    model = next(probes)
    while True:
        try:
            model = probes.send(guide(model))
        except StopIteration as ended:
            return replace(ended.value, gradient_norm=here.gradient_norm)


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
            change = self.change.moved(factor, other.change)
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
        return model_at(self.origin + length * way.shift, self.here.model)

    def bent(self, way: _Way, length: float, probe: Mixture, seen: Statistics) -> _Way:
        there = replace(self.here, model=probe, statistics=seen)
        return replace(way, slope=(self.slope - there.slope) / length)

    def turned(self, way: _Way, size: float) -> _Way:
        return replace(way, shift=uphill(self.here, way.slope))


class _Sums(_Space):
    """Statistics about those of which an M-step makes the model of ``here``."""

    def __init__(self, here: Point, base: Statistics) -> None:
        self.here, self.base = here, base
        self.origin = position_of(self._model(base), here.fixed)

    def _model(self, statistics: Statistics) -> Mixture:
        here = self.here
        return m_step(here.model, statistics, here.family, here.prior, here.fixed)

    def _difference(self, one: Statistics, other: Statistics) -> _Way:
        """Its slope is that in the coordinates, and its shift is not known yet."""
        slope = replace(self.here, statistics=one).slope - replace(self.here, statistics=other).slope
        return _Way(slope, np.zeros_like(slope), one.moved(-1.0, other))

    def first(self, size: float) -> _Way:
        """What an EM step adds to the statistics."""
        return self.turned(self._difference(self.here.statistics, self.base), size)

    def probe(self, way: _Way, length: float) -> Mixture:
        return self._model(self.base.moved(length, _of(way)))

    def bent(self, way: _Way, length: float, probe: Mixture, seen: Statistics) -> _Way:
        after = self._difference(seen.recentre(self.base.centre), self.here.statistics)
        return way.plus(-1.0 / length, after)

    def turned(self, way: _Way, size: float) -> _Way:
        length = min(PROBE / size, self.most(way))
        return replace(way, shift=(position_of(self.probe(way, length), self.here.fixed) - self.origin) / length)

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
