"""EM in machine code for small tables, where a step takes less time than its bookkeeping would elsewhere.

Written for scouts (mixtura.scouts): from a start as near to the top of its hill as telling hills apart asks for. The
M-steps are those of mixtura.covariance.families by the letters of a family's name; where one is found by iteration, an
EM step makes a few turns of it from where the last one ended, each of which raises the objective.

What the functions below hand on to each other:

================ ===================================================================================================
x                (D, N) rows, column after column; w their weights
letters          volume, shape and orientation: ``SAME`` for all (1), ``FREE`` (2) or none at all (0)
prior            ν, P, κ and μ_P
noise            the log density of the noise, −∞ where there is none
standing         what makes a component misplaced: so few rows, and, unless nothing else does, so large a share of its
                 variance that is the prior's, and the least variances (D,) and covariance (D, D) that are resolved
weights, …       of a mixture, that of the noise the last (K + 1,); ``means`` (K, D), ``covariances`` (K, D, D)
n, s1, s2        sums of responsibilities, those of the noise the last (K + 1,); first and second moments about zero
size, axes       λ_k (K,) and common axes, the rows of (D, D), where the iterations stand
================ ===================================================================================================

Loops are written out: Numba takes ten times as long to compile what is said in terms of whole arrays. Functions call
each other as little as that allows: what is called is optimised again with each that calls it.
"""

# Compiled functions take no keywords, and their types are those of the arguments; and see above.
# ruff: noqa: PLR0917, C901, PLR0912, PLR0915
# pyright: reportMissingParameterType=false

from __future__ import annotations

import math

import numba
import numpy as np

from mixtura.kernels.fused import DOUBLE

#: e^r, the logarithm, and ln 2 in two parts, as there; and what is taken for nothing beside 1.
EXP, LOG, LN_2, LEAST_EXPONENT = tuple(DOUBLE.exp), tuple(DOUBLE.log), DOUBLE.ln2, DOUBLE.least_exponent
ROOT_HALF = np.uint64(DOUBLE.root_half)

SAME, FREE = 1, 2

#: Turns of an inner iteration in each EM step.
TURNS = 3
#: A pivot below this multiple of D, beside the diagonal of its matrix, is rounding.
LEAST_PIVOT = 1e-15
#: Sweeps of Jacobi's method at the most, and how small squared correlations are left.
SWEEPS, NOTHING = 30, 1e-18
#: The least part of its rows that momentum may leave to a component.
LEAST_SHARE = 0.1
#: Steps in a row that have to gain next to nothing before a climb ends.
IDLE = 2

# Sums of floating-point numbers may be taken in any order, so that several are taken at once.
_loops = numba.njit(fastmath={"reassoc", "contract"}, error_model="numpy")
_plain = numba.njit(error_model="numpy")


@_plain
def _copy(source, target):
    for i in range(len(source)):
        target[i] = source[i]


@_plain
def _cholesky(matrix, factor):
    """The lower factor; False where there is none."""
    size = len(matrix)
    for j in range(size):
        left = matrix[j, j]
        for m in range(j):
            left -= factor[j, m] * factor[j, m]
        if not left > LEAST_PIVOT * size * matrix[j, j]:
            return False
        factor[j, j] = math.sqrt(left)
        for i in range(j + 1, size):
            left = matrix[i, j]
            for m in range(j):
                left -= factor[i, m] * factor[j, m]
            factor[i, j] = left / factor[j, j]
    return True


@_plain
def _invert(factor, inverse):
    """The inverse of a lower triangle."""
    size = len(factor)
    for j in range(size):
        inverse[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, size):
            total = 0.0
            for m in range(j, i):
                total += factor[i, m] * inverse[m, j]
            inverse[i, j] = -total / factor[i, i]


@_plain
def _log_det(factor):
    """log det Σ, from the factor of Σ."""
    total = 0.0
    for j in range(len(factor)):
        total += math.log(factor[j, j])
    return 2.0 * total


@_plain
def _turn(axes, i, j, c, s):
    """Axes i and j, which are rows, become c i + s j and c j − s i."""
    one, other = axes[i], axes[j]
    for m in range(len(axes)):
        a, b = one[m], other[m]
        one[m] = c * a + s * b
        other[m] = c * b - s * a


@_plain
def _turn_both(matrix, i, j, c, s):
    """What a symmetric matrix is along axes that are so turned."""
    a, b, beside = matrix[i, i], matrix[j, j], matrix[i, j]
    _turn(matrix, i, j, c, s)
    for m in range(len(matrix)):
        matrix[m, i], matrix[m, j] = matrix[i, m], matrix[j, m]
    matrix[i, i] = c * c * a + 2 * c * s * beside + s * s * b
    matrix[j, j] = s * s * a - 2 * c * s * beside + c * c * b
    matrix[i, j] = matrix[j, i] = (c * c - s * s) * beside + c * s * (b - a)


@_plain
def _eigen(matrix, axes, values):
    """Eigenvalues, ascending and not negative, by Jacobi's method, from what the matrix is along the axes given.

    It is used up.
    """
    size = len(matrix)
    for _ in range(SWEEPS):
        largest = 0.0
        for i in range(size):
            for j in range(i + 1, size):
                beside = matrix[i, j]
                both = abs(matrix[i, i] * matrix[j, j])
                if not beside * beside > NOTHING * both:
                    continue
                largest = max(largest, beside * beside / both if both > 0 else 1.0)
                slant = 0.5 * (matrix[i, i] - matrix[j, j]) / beside
                tangent = 1.0 / (slant + math.copysign(math.sqrt(1.0 + slant * slant), slant))
                c = 1.0 / math.sqrt(1.0 + tangent * tangent)
                _turn_both(matrix, i, j, c, c * tangent)
                _turn(axes, i, j, c, c * tangent)
        if largest < NOTHING:
            break
    for i in range(size):
        values[i] = max(matrix[i, i], 0.0)
    for last in range(1, size):
        for i in range(last, 0, -1):
            if not values[i] < values[i - 1]:
                break
            values[i], values[i - 1] = values[i - 1], values[i]
            _turn(axes, i, i - 1, 0.0, 1.0)


# ------------------------------------------------------------------------------------------------
# M-steps of the covariances


@_plain
def _sum(values):
    total = 0.0
    for value in values.flat:
        total += value
    return total


@_plain
def _spheres(n, along, volume):
    """EII and VII."""
    components, columns = along.shape
    whole = _sum(along) / (_sum(n) * columns)
    for k in range(components):
        variance = whole if volume == SAME else _sum(along[k]) / (n[k] * columns)
        for d in range(columns):
            along[k, d] = variance


@_plain
def _alike(n, along, volume, size, common):
    """EEI and VEI: λ_k times common variances."""
    components, columns = along.shape
    total = _sum(n)
    for _ in range(TURNS):
        for d in range(columns):
            common[d] = 0.0
            for k in range(components):
                common[d] += along[k, d] / (1.0 if volume == SAME else size[k])
            common[d] /= total
        if volume == SAME:
            break
        for k in range(components):
            size[k] = 0.0
            for d in range(columns):
                size[k] += along[k, d] / (common[d] * n[k] * columns)
    for k in range(components):
        for d in range(columns):
            along[k, d] = common[d] * (1.0 if volume == SAME else size[k])


@_plain
def _variances(n, along, volume, shape, size, common):
    """Scatters along the axes (K, D) → variances there, in their place."""
    components, columns = along.shape
    if shape == 0:
        _spheres(n, along, volume)
    elif shape == SAME:
        _alike(n, along, volume, size, common)
    elif volume == FREE:
        for k in range(components):
            for d in range(columns):
                along[k, d] /= n[k]
    else:
        whole, total = 0.0, _sum(n)
        for k in range(components):
            size[k] = 0.0
            for d in range(columns):
                size[k] += math.log(along[k, d]) / columns
            size[k] = math.exp(size[k])
            whole += size[k]
        for k in range(components):
            for d in range(columns):
                along[k, d] *= whole / total / size[k]


@_plain
def _one_shape(n, scatter, volume, size, room, covariances):
    """EEE and VEE: λ_k times a common matrix."""
    factor, inverse, common = room
    components, columns = scatter.shape[:2]
    total = _sum(n)
    for _ in range(TURNS):
        for i in range(columns):
            for j in range(columns):
                common[i, j] = 0.0
                for k in range(components):
                    common[i, j] += scatter[k, i, j] / (1.0 if volume == SAME else size[k])
                common[i, j] /= total
        if volume == SAME:
            break
        if not _cholesky(common, factor):
            return False
        _invert(factor, inverse)
        for k in range(components):
            size[k] = _trace(inverse, scatter[k]) / (n[k] * columns)
    for k in range(components):
        for i in range(columns):
            for j in range(columns):
                covariances[k, i, j] = common[i, j] * (1.0 if volume == SAME else size[k])
    return True


@_plain
def _trace(inverse, matrix):
    """tr(A M Aᵀ) for a lower triangle A."""
    total = 0.0
    for i in range(len(inverse)):
        for j in range(i + 1):
            for m in range(i + 1):
                total += inverse[i, j] * matrix[j, m] * inverse[i, m]
    return total


@_plain
def _any_shape(n, scatter, volume, size, room, covariances):
    """EVV and VVV."""
    components, columns = scatter.shape[:2]
    whole = 0.0
    for k in range(components):
        if volume == SAME:
            if not _cholesky(scatter[k], room[0]):
                return False
            size[k] = math.exp(_log_det(room[0]) / columns)
            whole += size[k]
    for k in range(components):
        factor = 1.0 / n[k] if volume == FREE else whole / _sum(n) / size[k]
        for i in range(columns):
            for j in range(columns):
                covariances[k, i, j] = scatter[k, i, j] * factor
    return True


@_loops
def _compose(axes, along, covariance):
    """Σ with these axes and the variances along them."""
    size = len(along)
    for i in range(size):
        for j in range(size):
            covariance[i, j] = 0.0
        for m in range(size):
            for j in range(size):
                covariance[i, j] += axes[m, i] * along[m] * axes[m, j]


@_plain
def _rotation(turned, along, i, j):
    """Cosine and sine of the angle by which to turn the axes i and j.

    It leads to where Σ_k of tr(Σ_k⁻¹ W_k) is least, the variances being as they are: a constant plus
    a cos 2φ + b sin 2φ.
    """
    a, b = 0.0, 0.0
    for k in range(len(along)):
        rate = 1.0 / along[k, i] - 1.0 / along[k, j]
        a += 0.5 * rate * (turned[k, i, i] - turned[k, j, j])
        b += rate * turned[k, i, j]
    size = math.sqrt(a * a + b * b)
    if not size > 0.0:
        return 1.0, 0.0
    larger = math.sqrt(0.5 * (1.0 + abs(a) / size))
    smaller = 0.5 * abs(b) / size / larger
    c, s = (larger, smaller) if a <= 0.0 else (smaller, larger)
    return c, math.copysign(s, -b)


@_loops
def _along(axes, matrix, half, turned):
    """D M Dᵀ for axes that are the rows of D."""
    size = len(matrix)
    for i in range(size):
        for j in range(size):
            half[i, j] = 0.0
        for m in range(size):
            for j in range(size):
                half[i, j] += axes[i, m] * matrix[m, j]
    for i in range(size):
        for j in range(size):
            total = 0.0
            for m in range(size):
                total += half[i, m] * axes[j, m]
            turned[i, j] = total


@_plain
def _common_axes(n, scatter, letters, size, axes, along, turned, half, common):
    """EVE and VVE: sweeps over the planes, after each of which the variances are found anew."""
    components, columns = scatter.shape[:2]
    for k in range(components):
        _along(axes, scatter[k], half, turned[k])
    for sweep in range(TURNS):
        for i in range(columns if sweep > 0 else 0):
            for j in range(i + 1, columns):
                c, s = _rotation(turned, along, i, j)
                _turn(axes, i, j, c, s)
                for k in range(components):
                    _turn_both(turned[k], i, j, c, s)
        for k in range(components):
            for d in range(columns):
                along[k, d] = turned[k, d, d]
        _variances(n, along, letters[0], letters[1], size, common)


@_plain
def _m_step(sums, prior, letters, inner, mixture):
    """S14, S16 and S18, into the arrays of the mixture; False where a matrix is singular."""
    (s0, s1, s2), (count, pseudo, pull, centre), (weights, means, covariances) = sums, prior, mixture
    size, axes, scatter, turned, n, along, common, triangles = inner
    volume, shape, orientation = letters
    components, columns = means.shape
    total = _sum(s0)
    weights[components] = s0[components] / total
    for k in range(components):
        weights[k], n[k], counted = s0[k] / total, s0[k] + count, s0[k] + pull
        for i in range(columns):
            if counted > 0:
                means[k, i] = (s1[k, i] + pull * centre[i]) / counted
            for j in range(i + 1):
                about_zero = s2[k, i, j] + pull * centre[i] * centre[j]
                scatter[k, i, j] = about_zero - counted * means[k, i] * means[k, j] + pseudo[i, j]
                scatter[k, j, i] = scatter[k, i, j]
    if orientation == SAME and shape == SAME:
        return _one_shape(n, scatter, volume, size, triangles, covariances)
    if orientation == FREE and shape == FREE:
        return _any_shape(n, scatter, volume, size, triangles, covariances)
    # along the axes: those that all share, each component's own (found from where they were), or the columns
    for k in range(components):
        if orientation == FREE:
            _along(turned[k], scatter[k], triangles[1], covariances[k])
            _eigen(covariances[k], turned[k], along[k])
        for i in range(columns if orientation != FREE else 0):
            along[k, i] = scatter[k, i, i]
    if orientation == SAME:
        _common_axes(n, scatter, letters, size, axes, along, turned, triangles[1], common)
    else:
        _variances(n, along, volume, shape, size, common)
    for k in range(components):
        _compose(axes if orientation == SAME else turned[k], along[k], covariances[k])
    return True


# ------------------------------------------------------------------------------------------------
# The E-step


@_loops
def _densities(x, mixture, prior, diagonal, triangles, joint, white):
    """log π_k + log N(x|μ_k,Σ_k) (S6), (K, N), and the prior's part of the objective; NaN if a matrix is singular."""
    (weights, means, covariances), (count, pseudo, pull, centre) = mixture, prior
    factor, inverse = triangles[0], triangles[1]
    columns, rows = x.shape
    penalty = 0.0
    for k in range(len(means)):
        if not _cholesky(covariances[k], factor):
            return np.nan
        _invert(factor, inverse)
        log_det = _log_det(factor)
        penalty += 0.5 * (count * log_det + _trace(inverse, pseudo))
        constant = math.log(weights[k]) - 0.5 * (log_det + columns * math.log(2 * math.pi))
        density = joint[k]
        for r in range(rows):
            density[r] = constant
        for i in range(columns):
            first, offset, away = i if diagonal else 0, 0.0, 0.0
            for j in range(first, i + 1):
                offset += inverse[i, j] * means[k, j]
                away += inverse[i, j] * (centre[j] - means[k, j])
            penalty += 0.5 * pull * away * away
            if first == i:
                for r in range(rows):
                    z = inverse[i, i] * x[i, r] - offset
                    density[r] -= 0.5 * z * z
                continue
            for r in range(rows):
                white[r] = inverse[i, 0] * x[0, r] - offset
            for j in range(1, i):
                for r in range(rows):
                    white[r] += inverse[i, j] * x[j, r]
            for r in range(rows):
                z = white[r] + inverse[i, i] * x[i, r]
                density[r] -= 0.5 * z * z
    return -penalty


@_loops
def _exponentials(x, top, bits, scale, total):
    """e^(x − top) in the place of x, where x ≤ top, and added to the total.

    A polynomial, and a power of two whose bits are written down.
    """
    for r in range(len(x)):
        away = max(x[r] - top[r], LEAST_EXPONENT)
        power = math.floor(away * (1 / math.log(2)) + 0.5)
        rest = away - power * LN_2[0] - power * LN_2[1]
        value = EXP[-1]
        for i in range(2, len(EXP) + 1):
            value = value * rest + EXP[-i]
        x[r] = value
        bits[r] = (np.int64(power) + 1023) << 52
    for r in range(len(x)):
        x[r] *= scale[r]
        total[r] += x[r]


@_loops
def _logarithms(x, bits, part, log):
    """ln x for x ≥ 1, by a polynomial and the power of two in its bits."""
    whole = x.view(np.uint64)
    for r in range(len(x)):
        power = (whole[r] - ROOT_HALF) >> np.uint64(52)
        bits[r] = np.int64(whole[r] - (power << np.uint64(52)))
        log[r] = np.float64(power)
    for r in range(len(x)):
        s = (part[r] - 1.0) / (part[r] + 1.0)
        square = s * s
        value = LOG[-1]
        for i in range(2, len(LOG) + 1):
            value = value * square + LOG[-i]
        log[r] = log[r] * LN_2[0] + (2.0 * s + (log[r] * LN_2[1] + s * square * value)) + 0.0 * x[r]  # NaN stays NaN


@_loops
def _share(joint, w, noise, room, n):
    """Densities → weighted responsibilities (S10), in their place, their sums n, and the log-likelihood (S11).

    The log density of the noise is with its weight.
    """
    total, top, log, bits, scale = room
    components, rows = joint.shape
    for r in range(rows):
        top[r], total[r] = max(noise, joint[0, r]), 0.0
    for k in range(1, components):
        for r in range(rows):
            top[r] = max(top[r], joint[k, r])
    for k in range(components):
        _exponentials(joint[k], top, bits, scale, total)
    if noise > -np.inf:
        for r in range(rows):
            total[r] += math.exp(noise - top[r])
    _logarithms(total, bits, scale, log)
    loglik, counted = 0.0, 0.0
    for r in range(rows):
        loglik += w[r] * (top[r] + log[r])
        total[r] = w[r] / total[r]
    if noise > -np.inf:
        for r in range(rows):
            counted += math.exp(noise - top[r]) * total[r]
    n[components] = counted
    for k in range(components):
        counted = 0.0
        for r in range(rows):
            joint[k, r] *= total[r]
            counted += joint[k, r]
        n[k] = counted
    return loglik


@_loops
def _add(x, share, diagonal, white, sums):
    """The first and second moments under those responsibilities; of second ones only the diagonals if so asked."""
    _, s1, s2 = sums
    columns, rows = x.shape
    for k in range(len(s1)):
        for i in range(columns):
            total, squares = 0.0, 0.0
            for r in range(rows):
                white[r] = share[k, r] * x[i, r]
                total += white[r]
                squares += white[r] * x[i, r]
            s1[k, i], s2[k, i, i] = total, squares
            for j in range(i if diagonal else 0, i):
                total = 0.0
                for r in range(rows):
                    total += white[r] * x[j, r]
                s2[k, i, j] = total


@_plain
def _e_step(x, w, noise, mixture, prior, diagonal, triangles, joint, room, sums):
    """The sums under a mixture, and the objective; NaN where there is none.

    ``diagonal`` says whether the covariances are, and whether those of the next M-step will be.
    """
    penalty = _densities(x, mixture, prior, diagonal[0], triangles, joint, room[0])
    if not math.isfinite(penalty):
        return np.nan
    weighed = noise + math.log(mixture[0][-1]) if noise > -np.inf else noise
    loglik = _share(joint, w, weighed, room, sums[0])
    _add(x, joint, diagonal[1], room[0], sums)
    return loglik + penalty


# ------------------------------------------------------------------------------------------------
# Climbs


@_plain
def _settle(mixture, letters, triangles, size, axes):
    """Where the iterations begin: at the volumes of the covariances, and at axes that are theirs if they share any."""
    weights, _, covariances = mixture
    columns = len(axes)
    for k in range(len(covariances)):
        if not _cholesky(covariances[k], triangles[0]):
            return False
        size[k] = math.exp(_log_det(triangles[0]) / columns)
    if letters[1] == FREE and letters[2] == SAME:
        mixed = triangles[2]
        for i in range(columns):
            for j in range(columns):
                mixed[i, j] = 0.0
                for k in range(len(covariances)):  # in weights without any symmetry
                    mixed[i, j] += weights[k] * (1.0 + 0.1 * k) / size[k] * covariances[k, i, j]
                axes[i, j] = 1.0 if i == j else 0.0
        _eigen(mixed, axes, triangles[1][0])
    return True


@_plain
def _prolonged(now, before, share, ahead, counts):
    """Sums so much further on the way from earlier ones; False if a component would lose most of its rows."""
    for i in range(len(now)):
        ahead[i] = now[i] + share * (now[i] - before[i])
        if i < counts and ahead[i] < LEAST_SHARE * now[i]:
            return False
    return True


@_plain
def _parts(flat, components, columns):
    """What stands one after the other, (K + 1,), (K, D) and (K, D, D)."""
    start, end = components + 1, components + 1 + components * columns
    return (
        flat[:start],
        flat[start:end].reshape(components, columns),
        flat[end:].reshape(components, columns, columns),
    )


@_plain
def _largest(inverse, matrix, half, inside, axes, values):
    """The largest eigenvalue of A M Aᵀ."""
    _along(inverse, matrix, half, inside)
    _eigen(inside, axes, values)
    return values[-1]


@_plain
def _misplaced(n, covariances, prior, standing, diagonal, triangles, more, values):
    """How many components should be elsewhere, as mixtura.diagnosis has it; −1 if a matrix is singular.

    Of ``more`` matrices the first is zero above its diagonal.
    """
    (count, pseudo, _, _), (least, most, only_empty, floor, narrowest) = prior, standing
    (factor, half, axes), (inverse, inside) = triangles, more
    empty, spikes, of_spikes = 0, 0, 0.0
    for k in range(len(covariances)):
        if n[k] <= least:
            empty += 1
            continue
        if only_empty:
            continue
        if not _cholesky(covariances[k], factor):
            return -1
        narrow, leaning = False, 0.0
        for i in range(len(floor)):
            narrow = narrow or covariances[k, i, i] < floor[i]
            if diagonal:
                leaning = max(leaning, pseudo[i, i] / covariances[k, i, i])
        if not diagonal:
            _invert(factor, inverse)
            leaning = _largest(inverse, pseudo, half, inside, axes, values)
            narrow = narrow or _largest(inverse, narrowest, half, inside, axes, values) > 1.0
        if narrow or leaning > most * (n[k] + count):
            spikes += 1
            of_spikes += n[k]
    return empty + (spikes if of_spikes < 0.5 * _sum(n) else 0)


@_plain
def _sifted(heights, before, hope, bar, most):
    """Leave the best, at most so many, that may come above the bar; of the others heights become NaN."""
    for m in range(len(heights)):
        if not heights[m] + hope * (heights[m] - before[m]) >= bar:
            heights[m] = np.nan
    for m in range(len(heights)):
        before[m] = heights[m]
    for m in range(len(heights)):
        ahead = 0
        for other in range(len(heights)):
            ahead += before[other] > before[m] or (before[other] == before[m] and other < m)
        if ahead >= most:
            heights[m] = np.nan


def ascend(x, w, noise, prior, standing, letters, sieve, hope, bar, plain, enough, mixtures, heights, misplaced):
    """Climb from each of the mixtures and leave there where that led; the objective there, or NaN if it led nowhere.

    A row of ``mixtures`` holds the weights, then the means, then the covariances of one. Each row of ``sieve`` says how
    many steps to go and how many of the mixtures then go on, if they are no further below ``bar`` than ``hope`` times
    what those steps gained. The first steps are ``plain``, then with momentum (Nesterov), until ``IDLE`` of them gain
    less than ``enough``. A start of another family is brought into this one by the first. ``misplaced`` says of how
    many of its components that is true, for each that went all the way.
    """
    columns, rows = x.shape
    components = (mixtures.shape[1] - 1) // (1 + columns + columns * columns)
    # one after the other: sums under the present mixture, under the one before, and those that a step is made of
    held = np.zeros((5, mixtures.shape[1]))
    now, before, ahead, here, best = held[0], held[1], held[2], held[3], held[4]
    of_now, of_ahead, mixture = (
        _parts(now, components, columns),
        _parts(ahead, components, columns),
        _parts(here, components, columns),
    )
    places = np.empty((2, components + columns * columns))  # of the iterations, and where they were before a step
    size, axes = places[0, :components], places[0, components:].reshape(columns, columns)
    squares = np.zeros((5, columns, columns))
    triangles, more = (squares[0], squares[1], squares[2]), (squares[3], squares[4])
    scatter, turned = np.empty((components, columns, columns)), np.empty((components, columns, columns))
    n, along, common = np.empty(components), np.empty((components, columns)), np.empty(columns)
    inner = size, axes, scatter, turned, n, along, common, triangles
    joint, bits = np.empty((components, rows)), np.empty(rows, np.int64)
    room = np.empty(rows), np.empty(rows), np.empty(rows), bits, bits.view(np.float64)
    counted, earlier = np.empty((len(heights), components)), np.empty(len(heights))
    heights[:] = -np.inf
    for stage in range(len(sieve)):
        for m in range(len(heights)):
            earlier[m] = heights[m]
            if math.isnan(heights[m]):
                continue
            heights[m] = np.nan
            for k in range(components):
                for i in range(columns):
                    for j in range(columns):
                        turned[k, i, j] = 1.0 if i == j else 0.0
            _copy(mixtures[m], here)
            if not _settle(mixture, letters, triangles, size, axes):
                continue
            height, inertia, later, idle, remembered, prolonged = -np.inf, 1.0, 1.0, 0, False, False
            for step in range(sieve[stage, 0] + 1):
                if step > 0:
                    later = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * inertia * inertia))
                    share = (inertia - 1.0) / later
                    prolonged = remembered and step > plain and _prolonged(now, before, share, ahead, components + 1)
                    if not prolonged:
                        _copy(now, ahead)
                    _copy(places[0], places[1])
                    there = _m_step(of_ahead, prior, letters, inner, mixture)
                    if not (there or prolonged):
                        break
                    _copy(now, ahead)
                    if not there:
                        _copy(places[1], places[0])
                        remembered, inertia = False, 1.0
                        continue
                diagonal = (letters[2] == 0 and step > 0, letters[2] == 0)
                reached = _e_step(x, w, noise, mixture, prior, diagonal, triangles, joint, room, of_now)
                if step == 0:
                    if not math.isfinite(reached):
                        break
                elif prolonged and not reached > height:
                    _copy(ahead, now)
                    _copy(places[1], places[0])
                    remembered, inertia = False, 1.0
                elif not reached >= height:
                    break
                else:
                    idle = idle + 1 if reached - height < enough else 0
                    height, remembered = reached, True
                    inertia = later if step > plain else 1.0
                    _copy(here, best)
                    _copy(of_now[0][:components], counted[m])
                    _copy(ahead, before)
                    if idle >= IDLE:
                        break
            if math.isfinite(height):
                heights[m] = height
                _copy(best, mixtures[m])
        _sifted(heights, earlier, hope, bar, sieve[stage, 1])
    for m in range(len(heights)):
        if not math.isnan(heights[m]):
            covariances = _parts(mixtures[m], components, columns)[2]
            diagonal = letters[2] == 0
            misplaced[m] = _misplaced(counted[m], covariances, prior, standing, diagonal, triangles, more, common)
            if misplaced[m] < 0:
                heights[m] = np.nan
