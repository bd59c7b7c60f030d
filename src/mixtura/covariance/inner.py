"""What the M-steps of some families maximise over by iteration: volumes beside a common shape, and common axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.core.statistics import Array
from mixtura.covariance.structure import Diagonal, SingularError, Structure, cholesky, inverse_lower

ROUNDING = 4 * float(np.finfo(np.float64).eps)
#: Steps of Newton's method at the most; from the structure of the EM step before, three or four are usual.
MOST_STEPS = 100
#: The volumes are found when none was further than this part of itself from its equation before the last step: what
#: is left is of the order of the square.
CLOSE = 1e-7
#: The most by which the logarithm of a volume may change in one step, and an angle between two axes.
VOLUME_CAP = 2.0
ANGLE_CAP = 0.5
#: The system of a Newton step for the axes is solved to this part of the slope.
INNER_TOL = 1e-4
#: It is set up where there are no more columns than this; where there are, conjugate gradients do without.
MOST_COLUMNS = 10
#: The least curvature, a row, that a step is divided by.
FLAT = 1e-10
#: The axes are found when the last step gained no more than this, a row: what is left is of the order of its square.
NEARLY = 1e-11
#: Where there are no axes to start from: the most components whose own are looked at, and from how many of the best
#: Newton's method starts. On 360 random problems the best it found was then the best known in 354; from one, in 333.
MOST_CANDIDATES = 8
MOST_CLIMBS = 3
#: 1/φ: fractional parts of its multiples are weights in which no two sums of a few agree.
GOLDEN = 0.6180339887498949


def eigen(scatter: Array) -> tuple[Array, Array]:
    """Eigenvalues (K, D), ascending and not negative, and eigenvectors (K, D, D) of the scatters."""
    if not np.isfinite(scatter).all():
        raise SingularError("a scatter matrix is not finite")
    values, vectors = np.linalg.eigh(scatter)
    return np.maximum(values, 0.0), vectors


# Volumes


class _Sized(NamedTuple):
    """At volumes λ, with M = Σ_k W_k/λ_k and V_k = M^(-½) W_k/λ_k M^(-½): log det M, V_k (or diagonals), and tr V_k."""

    log_det: float
    white: Array
    traces: Array

    @property
    def products(self) -> Array:
        """tr(V_k V_j)."""
        flat = self.white.reshape(len(self.white), -1)
        return flat @ flat.T


def _sized(scatter: Array, logs: Array, factor_of: Callable[[Array], Array] = cholesky) -> _Sized:
    scaled = scatter * np.exp(-logs).reshape(-1, *[1] * (scatter.ndim - 1))
    total = np.add.reduce(scaled)
    if scatter.ndim == 2:
        white = scaled / total
        return _Sized(float(np.log(total).sum()), white, white.sum(1))
    factor = factor_of(total)
    inverse = inverse_lower(factor)
    white = inverse @ scaled @ inverse.T
    return _Sized(2 * float(np.log(factor.diagonal()).sum()), white, np.einsum("kii->k", white))


def _of_near_identity(matrix: Array) -> Array:
    """The Cholesky factor, where no column's scale is in the way."""
    return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)


def volumes(n: Array, scatter: Array, start: Structure | None = None) -> Array:
    """The volumes λ_k (K,) beside a common shape M, up to a factor, for scatters (K, D) of diagonals or (K, D, D).

    They minimise  D Σ_k n_k log λ_k + N log det M  with M = Σ_k W_k/λ_k, so that λ_k = tr(M⁻¹ W_k) N / (D n_k). Celeux
    & Govaert (1995) iterate that equation. As the objective is convex in log λ, Newton's method needs fewer steps;
    where one of them fails to descend, that equation gives the step. The first volumes are those of ``start``, or what
    the equation makes of equal ones.

    Raises
    ------
    SingularError
        If a component has no volume, or M is singular.
    """
    least = scatter.shape[-1] * n / n.sum()  # what the traces are to be
    logs = np.zeros(len(n)) if start is None else start.log_det() / scatter.shape[-1]
    logs = logs - logs.mean()  # among scales far apart the factor could be beyond the range of doubles
    here = _sized(scatter, logs)
    sizes = 2 * np.log(Diagonal.from_variances((here.traces / least)[:, None]).scale[:, 0])
    if start is None or not np.abs(sizes).max() < VOLUME_CAP:
        logs = logs + sizes
        here = _sized(scatter, logs)
    # from here on in coordinates in which M begins as the identity
    white, moved, factor_of = here.white, np.zeros(len(n)), _of_near_identity
    base, here = here.log_det, here._replace(log_det=0.0)
    eye = (1 + ROUNDING) * np.eye(len(n))
    for _ in range(MOST_STEPS):
        slope, unit = least - here.traces, np.sqrt(here.traces)
        # a common factor of all λ changes nothing: in that direction, where the slope is zero, the Hessian gets a one
        both = unit[:, None] * unit
        hessian = eye - here.products / both + both / here.traces.sum()
        step = -np.linalg.solve(hessian, slope / unit) / unit
        step /= max(1.0, float(np.abs(step).max()) / VOLUME_CAP)
        if np.abs(slope / least).max() < CLOSE:
            return np.exp(logs + (moved + step))
        there, change = _sized(white, moved + step, factor_of), float(least @ step)
        if not there.log_det + change <= here.log_det + ROUNDING * (1 + abs(base)):
            step = np.log(here.traces / least)
            there = _sized(white, moved + step, factor_of)
        moved, here = moved + step, there
    return np.exp(logs + moved)


# Axes


def common_axes(n: Array, scatter: Array, start: Structure | None, *, one_volume: bool) -> tuple[Array, Array]:
    """The common axes that suit the scatters (K, D, D) best, for the families EVE and VVE.

    For given axes D, with v_kj the diagonal of Dᵀ W_k D and g_k its geometric mean over j, what is left to minimise is

        N D log Σ_k g_k   with equal volumes (EVE),      D Σ_k n_k log g_k   without (VVE),

    over rotations of D. It has several local optima; Newton's method goes to the one near the axes of ``start``, or to
    the best of those near a few: the columns, the axes of each component, and those of two averages.

    Returns
    -------
    axes : ndarray of shape (D, D)
        One in each column.
    along : ndarray of shape (K, D)
        v_kj.
    """
    if start is None:
        heaviest = np.argsort(-n, kind="stable")[:MOST_CANDIDATES]
        pooled = scatter.sum(0)
        candidates = [np.eye(len(pooled)), *eigen(np.stack([pooled, _mixed(scatter), *scatter[heaviest]]))[1]]
    else:
        candidates = list(eigen(_mixed(start.dense())[None])[1])
    with np.errstate(all="ignore"):  # a variance of zero, or less by rounding, is for the family to report
        starts = sorted((_Turned.of(n, scatter, axes, one_volume) for axes in candidates), key=_height)
        best = min((_climbed(here, n, scatter, one_volume) for here in starts[:MOST_CLIMBS]), key=_height)
    return best.axes, best.along


def _mixed(matrices: Array) -> Array:
    """An average in weights without any symmetry: axes common to the matrices are its own, and it has no others."""
    sizes = np.einsum("kii->k", matrices)
    weights = _unlike(len(matrices)) / np.where(sizes > 0, sizes, np.inf)
    average: Array = weights @ matrices.reshape(len(matrices), -1)
    return average.reshape(matrices.shape[1:])


@lru_cache(maxsize=64)
def _unlike(n_matrices: int) -> Array:
    return np.asarray(0.5 + np.arange(1, n_matrices + 1) * GOLDEN % 1.0, dtype=np.float64)


class _Turned(NamedTuple):
    """The scatters along some axes: Dᵀ W_k D, its diagonal v, the objective and its derivatives in log g_k, over D."""

    axes: Array
    scatter: Array
    along: Array
    value: float
    weights: Array

    @classmethod
    def of(cls, n: Array, scatter: Array, axes: Array, one_volume: bool) -> _Turned:
        turned = axes.T @ scatter @ axes
        along, n_features = turned.diagonal(axis1=1, axis2=2), len(axes)
        sizes = np.log(along).sum(1) / n_features
        if not one_volume:
            return cls(axes, turned, along, n_features * float(n @ sizes), n)
        total = float(np.logaddexp.reduce(sizes))
        return cls(axes, turned, along, n_features * float(n.sum()) * total, n.sum() * np.exp(sizes - total))


def _height(turned: _Turned) -> float:
    return np.inf if np.isnan(turned.value) else turned.value


def _climbed(here: _Turned, n: Array, scatter: Array, one_volume: bool) -> _Turned:
    for _ in range(MOST_STEPS):
        here, done = _better(here, n, scatter, one_volume)
        if done:
            break
    return here


def _better(here: _Turned, n: Array, scatter: Array, one_volume: bool) -> tuple[_Turned, bool]:
    """One step of Newton's method in the skew matrices Ω of D exp(Ω); and whether it was the last."""
    slope, step = _newton(here, one_volume)
    fall = -0.25 * float(np.vdot(slope, step))  # to second order: ½ ⟨slope, step⟩ over the pairs i < j
    rounding = ROUNDING * (abs(here.value) + float(n.sum()) * len(step))
    last = not fall > max(rounding, NEARLY * float(n.sum()))
    step = step / max(1.0, float(np.abs(step).max()) / ANGLE_CAP)
    for _ in range(MOST_STEPS):
        half, eye = 0.5 * step, np.eye(len(step))
        rotation = np.linalg.solve(eye - half, eye + half)  # Cayley: exp to third order
        there = _Turned.of(n, scatter, here.axes @ rotation, one_volume)
        if there.value < here.value or (last and there.value <= here.value + rounding):
            return there, last
        if last and fall <= rounding:
            break
        step = 0.5 * step
    return here, True


def _newton(here: _Turned, one_volume: bool) -> tuple[Array, Array]:
    """The slope of the objective in Ω and the Newton step, both skew.

    With d_kj = 2 (M_k Ω)_jj / v_kj, the change of log v_kj to first order, h_k the weights and M_k = Dᵀ W_k D, the
    objective changes by Σ h_k (d_kj − ½ d_kj² + [(M_k Ω²)_jj + (Ωᵀ M_k Ω)_jj] / v_kj), and by what the h_k change.
    """
    rates = here.weights[:, None] / here.along
    pull = (here.scatter * rates[:, None, :]).sum(0)
    slope = 2 * _skew(pull)
    if len(pull) > MOST_COLUMNS:
        return slope, _by_conjugate_gradients(here, rates, pull, slope, one_volume)
    planes = _planes(len(pull))
    hessian = _hessian(here, rates, pull, planes, one_volume)
    if not np.isfinite(hessian).all():
        return slope, np.zeros_like(slope)
    values, vectors = np.linalg.eigh(hessian)
    least, of_planes = FLAT * here.weights.sum(), slope[planes.i, planes.j]
    turn = np.zeros_like(pull)
    turn[planes.i, planes.j] = -vectors @ ((of_planes @ vectors) / np.maximum(np.abs(values), least))  # downhill
    return slope, _skew(turn)


class _Planes(NamedTuple):
    """The planes of rotation, i < j, and what two of them, ij and kl, have in common.

    With F (D, D, D), flat, ``sign`` F[``shared``] is F_jik where j = l, F_ijl where i = k, −F_jil where j = k and
    −F_ijk where i = l; on the diagonal, where the first two both hold, ``other`` is the second.
    """

    i: NDArray[np.intp]
    j: NDArray[np.intp]
    ends: Array
    sign: Array
    shared: NDArray[np.intp]
    other: NDArray[np.intp]


@lru_cache(maxsize=64)
def _planes(n_features: int) -> _Planes:
    d = n_features
    i, j = np.triu_indices(d, 1)
    eye = np.eye(d)
    a, b, k, m = i[:, None], j[:, None], i, j
    cases = [b == m, a == k, b == k, a == m]
    places = [(b * d + a) * d + k, (a * d + b) * d + m, (b * d + a) * d + m, (a * d + b) * d + k]
    sign, shared = np.select(cases, [1.0, 1.0, -1.0, -1.0], 0.0), np.select(cases, places, 0)
    return _Planes(i, j, eye[j] - eye[i], sign, shared, np.diagonal(places[1]))


def _hessian(here: _Turned, rates: Array, pull: Array, planes: _Planes, one_volume: bool) -> Array:
    """The second derivatives in Ω_ij, i < j: a row and a column for each plane."""
    size = len(pull)
    # from (M_k Ω²)_jj + (Ωᵀ M_k Ω)_jj
    of_column = (rates.T @ here.scatter.reshape(len(rates), -1)).reshape(size, size, size)
    bent = (of_column - 0.5 * (pull + pull.T)).ravel()
    hessian = planes.sign * bent[planes.shared]
    hessian.ravel()[:: len(planes.i) + 1] += bent[planes.other]
    hessian *= 2
    # from d_kj, and what the weights change
    change = (2 * here.scatter[:, planes.i, planes.j].T)[:, :, None] * (planes.ends[:, None, :] / here.along)
    flat = change.reshape(len(change), here.along.size)
    hessian -= (change * here.weights[:, None]).reshape(flat.shape) @ flat.T
    if one_volume:
        means, weights = change.sum(2) / size, here.weights
        drift = means @ weights
        hessian += size * ((means * weights) @ means.T - np.multiply.outer(drift, drift) / weights.sum())
    return hessian


def _by_conjugate_gradients(here: _Turned, rates: Array, pull: Array, slope: Array, one_volume: bool) -> Array:
    """The Newton step without the Hessian, as far as that is positive on the way."""
    matrices, along, weights, even = here.scatter, here.along, here.weights, 0.5 * (pull + pull.T)

    def curvature(turn: Array) -> Array:
        moved = matrices @ turn
        change = 2 * np.diagonal(moved, axis1=1, axis2=2) / along
        bend = -change
        if one_volume:
            means = change.mean(1)
            bend = bend + (means - weights @ means / weights.sum())[:, None]
        second = 2 * (moved * rates[:, None, :] + matrices * (rates * bend)[:, None, :]).sum(0)
        return _skew(second - even @ turn - turn @ even)

    ratio = (along.T @ rates) + (along.T @ rates).T
    # were the scatters diagonal along these axes
    return _solved(slope, curvature, 2 * (ratio - 2 * weights.sum()) + ROUNDING * weights.sum())


def _skew(matrix: Array) -> Array:
    return matrix - matrix.T


def _solved(slope: Array, curvature: Callable[[Array], Array], diagonal: Array) -> Array:
    """The Newton step by conjugate gradients, as far as the Hessian is positive on the way."""
    step, left = np.zeros_like(slope), -slope
    scaled = left / diagonal
    direction, length = scaled, float(np.vdot(left, scaled))
    enough = INNER_TOL**2 * length
    for _ in range(len(slope) ** 2):
        if not length > enough:
            break
        curved = curvature(direction)
        bend = float(np.vdot(direction, curved))
        if not bend > ROUNDING * float(np.vdot(direction, diagonal * direction)):
            return step if step.any() else scaled
        step = step + length / bend * direction
        left = left - length / bend * curved
        scaled = left / diagonal
        length, before = float(np.vdot(left, scaled)), length
        direction = scaled + length / before * direction
    return step
