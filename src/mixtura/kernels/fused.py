"""Everything that Numba compiles: one fused pass over tiles of rows, with rows in the vector lanes.

A tile holds up to a few hundred rows, column after column, in float64. For each component a pass forms
log π_k + log N(x|μ_k,Σ_k) of the whole tile, then turns those into responsibilities, and adds the tile's sums;
nothing larger than the tile is ever stored. The arithmetic of the inner loops is emitted as vectors of ``LANES``
doubles, so that its speed does not hang on what a compiler recognises in a loop; around it stand plain loops.

Triangles (A_k, and the sums of products, which are symmetric) are cut into blocks of ``BLOCK`` × ``BLOCK``, the
blocks on the diagonal being triangles again: no product is formed twice or multiplied by a known zero. Where D is
no multiple of ``BLOCK`` the first block row is the lower one; it alone remains for D ≤ ``BLOCK``.

What the functions below hand on to each other:

========================= ==========================================================================================
x, y, d, white, joint, …  columns of a tile, ``stride`` numbers apart, of which ``rows`` are in use
r, share, w, inverse      one number a row of a tile
means, panel, sums, …     one after the other: those of a component begin at m, p, slot, those of a column of a tile
                          at o (of what is read) or q (of what is written)
========================= ==========================================================================================

All of it stands in one file because Numba's cache notices changes of the file of the compiled function only.
"""

# ruff: noqa: PLR0917 — compiled functions take no keywords
# pyright: reportMissingParameterType=false — their types are those of the arguments, or of what is emitted

from __future__ import annotations

import inspect
import math
import pickle
from collections.abc import Callable
from functools import reduce
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_FEATURES = numba.config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()
_MANY_REGISTERS = "+avx512f" in _FEATURES or "+neon" in _FEATURES

#: Doubles in a vector, rows and columns of a block, vectors side by side: as registers allow.
LANES = 8 if "+avx512f" in _FEATURES else 4 if "+avx" in _FEATURES else 2
BLOCK = 4 if _MANY_REGISTERS else 3
ABREAST = 4 if _MANY_REGISTERS else 3
CHUNK = ABREAST * LANES

#: Room for the sums of a block; where the sums of x and of 1 begin beside those of products.
SLOT, FIRST_MOMENTS, TOTAL = 16, 10, 14

#: A tile has as many rows as let its numbers stay in the first-level cache, but no fewer than the least (below it the
#: sums over lanes tell) and no more than the most; in any case it stays in the second-level cache, densities included.
TILE_NUMBERS, CACHE_NUMBERS = 2048, 131_072
LEAST_ROWS, LEAST_ROWS_DIAGONAL, MOST_ROWS = 128, 256, 512

#: Numbers between the columns of a tile, so that they do not compete for the same lines of the cache.
PAD = 8

#: What the loading of a damaged cache may raise.
DAMAGED = (AttributeError, EOFError, ImportError, IndexError, pickle.UnpicklingError)

_INTEGER, _DOUBLE = ir.IntType(64), ir.DoubleType()

#: ln 2 in two parts, the first with room for an exact product; polynomials that interpolate e^r on |r| ≤ ½ ln 2, and
#: (ln((1 + s)/(1 − s)) − 2s)/s³ in s², for (1 + s)/(1 − s) between √½ and √2, at Chebyshev's points; the bits of √½.
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
EXP = [
    1.0,
    1.0,
    0.5000000000000001,
    0.16666666666666669,
    0.04166666666662399,
    0.008333333333330051,
    0.0013888888917281794,
    0.00019841269863105968,
    2.480152119021773e-05,
    2.7557268378684192e-06,
    2.7620138719733994e-07,
    2.5100424157005067e-08,
]
LOG = [
    0.666666666666667,
    0.399999999998992,
    0.2857142862611452,
    0.22222211112104948,
    0.1818289077802613,
    0.15331666676597175,
    0.146171283998073,
]
ROOT_HALF = 0x3FE6A09E667F3BCD


class Lanes:
    """Emits operations on vectors of LANES doubles."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder
        self.type = ir.VectorType(_DOUBLE, LANES)
        self.bits = ir.VectorType(_INTEGER, LANES)
        self.add, self.sub, self.mul, self.div = builder.fadd, builder.fsub, builder.fmul, builder.fdiv
        self.zero = self.constant(0.0)

    def constant(self, value: float) -> ir.Constant:
        return ir.Constant(self.type, [float(value)] * LANES)

    def integer(self, value: int) -> ir.Constant:
        return ir.Constant(self.bits, [value] * LANES)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, in one rounding where the machine can."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fmuladd.v{LANES}f64")
        return self.builder.call(function, [a, b, c])

    def at(self, pointer: Any, *places: Any) -> Any:
        """The pointer moved on by the sum of the places, each a Python or an emitted integer."""
        for place in places:
            offset = ir.Constant(_INTEGER, place) if isinstance(place, int) else place
            pointer = self.builder.gep(pointer, [offset])
        return pointer

    def times(self, index: Any, factor: int) -> Any:
        return self.builder.mul(index, ir.Constant(_INTEGER, factor))

    def load(self, pointer: Any, *places: Any) -> Any:
        place = self.builder.bitcast(self.at(pointer, *places), self.type.as_pointer())
        return self.builder.load(place, align=8)

    def store(self, vector: Any, pointer: Any, *places: Any) -> None:
        place = self.builder.bitcast(self.at(pointer, *places), self.type.as_pointer())
        self.builder.store(vector, place, align=8)

    def splat(self, pointer: Any, *places: Any) -> Any:
        """One number in every lane."""
        number = self.builder.load(self.at(pointer, *places))
        first = self.builder.insert_element(self.zero, number, ir.Constant(_INTEGER, 0))
        return self.shuffle(first, first, [0] * LANES)

    def shuffle(self, a: Any, b: Any, places: list[int]) -> Any:
        """The lanes of a, numbered from 0, and b, from LANES, at these places."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), LANES), places))

    def loop(self, start: int, stop: Any, step: int, state: list[Any], body: Callable[[Any, list[Any]], Any]) -> Any:
        """For index in range(start, stop, step): state = body(index, state); the last state."""
        builder, before = self.builder, self.builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        index, *held = (builder.phi(kind) for kind in (_INTEGER, *(value.type for value in state)))
        builder.cbranch(builder.icmp_signed("<", index, stop), inside, after)
        builder.position_at_end(inside)
        new = [builder.add(index, ir.Constant(_INTEGER, step)), *body(index, held)]
        for phi, first, following in zip([index, *held], [ir.Constant(_INTEGER, start), *state], new, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(following, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return held

    def totals(self, vectors: list[Any]) -> list[Any]:
        """The sum over the lanes of each vector, in the lanes of few vectors, by folding all of them at once."""
        padded = vectors + [self.zero] * (-len(vectors) % LANES)
        folded = []
        for start in range(0, len(padded), LANES):
            group, width = padded[start : start + LANES], 1
            while len(group) > 1:
                group = [self._fold(a, b, width) for a, b in zip(group[::2], group[1::2], strict=True)]
                width *= 2
            folded += group
        return folded

    def add_totals(self, vectors: list[Any], sums: Any, slot: Any) -> None:
        """The sum over the lanes of each vector added to the numbers from ``slot`` on."""
        for g, total in enumerate(self.totals(vectors)):
            self.store(self.add(self.load(sums, slot, g * LANES), total), sums, slot, g * LANES)

    def _fold(self, a: Any, b: Any, width: int) -> Any:
        """Neighbouring groups of ``width`` lanes added within a and b, the results interleaved."""
        starts = range(0, LANES, 2 * width)
        lower = [start + own + i for start in starts for own in (0, LANES) for i in range(width)]
        upper = [place + width for place in lower]
        return self.add(self.shuffle(a, b, lower), self.shuffle(a, b, upper))

    def polynomial(self, x: Any, coefficients: list[float]) -> Any:
        """By Horner's rule, the constant coefficient first."""
        value = self.constant(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = self.fma(value, x, self.constant(coefficient))
        return value

    def exp(self, x: Any) -> Any:
        """e^x for x ≤ 0, within 1 unit in the last place; 0 below −708; NaN stays NaN."""
        builder, magic = self.builder, self.constant(1.5 * 2.0**52)
        shifted = self.fma(x, self.constant(1 / math.log(2)), magic)
        power = self.sub(shifted, magic)
        rest = self.fma(power, self.constant(-LN2_HIGH), x)
        rest = self.fma(power, self.constant(-LN2_LOW), rest)
        biased = builder.add(builder.bitcast(shifted, self.bits), self.integer(1023))
        scale = builder.bitcast(builder.shl(biased, self.integer(52)), self.type)
        value = self.mul(self.polynomial(rest, EXP), scale)
        return builder.select(builder.fcmp_ordered("<", x, self.constant(-708.0)), self.zero, value)

    def log(self, x: Any) -> Any:
        """ln x for normal x ≥ 1, within a few units in the last place of the larger of ln x and 1; NaN stays NaN."""
        builder = self.builder
        # x = 2^power · part with √½ < part ≤ √2
        bits = builder.sub(builder.bitcast(x, self.bits), self.integer(ROOT_HALF))
        power = builder.sitofp(builder.ashr(bits, self.integer(52)), self.type)
        fraction = builder.and_(bits, self.integer(2**52 - 1))
        part = builder.bitcast(builder.add(fraction, self.integer(ROOT_HALF)), self.type)
        s = self.div(self.sub(part, self.constant(1.0)), self.add(part, self.constant(1.0)))
        square = self.mul(s, s)
        tail = self.mul(self.mul(s, square), self.polynomial(square, LOG))
        tail = self.fma(power, self.constant(LN2_LOW), tail)
        value = self.fma(power, self.constant(LN2_HIGH), self.fma(s, self.constant(2.0), tail))
        return self.add(value, self.sub(x, x))


def emitted(emit: Callable[..., None]) -> Any:
    """A function for compiled code whose body is ``emit(lanes, *arguments)``; arrays reach it as pointers."""

    def definition(_: Any, *arguments: Any) -> Any:
        def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            plain = [
                context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, values, strict=True)
            ]
            emit(Lanes(builder), *plain)
            return context.get_dummy_value()

        return types.void(*(a if isinstance(a, types.Array) else types.intp for a in arguments)), code

    names = list(inspect.signature(emit).parameters.values())[1:]
    own = inspect.Parameter("_", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    definition.__signature__ = inspect.Signature([own, *names])
    definition.__name__ = emit.__name__
    return intrinsic(definition)


# ------------------------------------------------------------------------------------------------
# Triangles in blocks


@numba.njit
def _first_block(columns):
    """Height of the first block row."""
    return columns % BLOCK if columns % BLOCK else BLOCK


@numba.njit
def _panel_size(columns):
    """Numbers that ``_pack`` writes."""
    first = _first_block(columns)
    size = first * first
    for i in range(first, columns, BLOCK):
        size += (i + BLOCK) * BLOCK
    return size


@numba.njit
def _pack(matrix, panel, p):
    """The block rows of a lower triangle in the order in which they are used, column after column."""
    columns = len(matrix)
    i, height = 0, _first_block(columns)
    while i < columns:
        for j in range(i + height):
            for r in range(height):
                panel[p] = matrix[i + r, j]
                p += 1
        i, height = i + height, BLOCK


# ------------------------------------------------------------------------------------------------
# Densities


def _block_row(height: int, first: bool, keep: bool) -> Any:
    """A block row of A y for a chunk of rows, y = x − μ being formed on the way and kept for the later block rows.

    It goes to ``out`` if it is to be kept; else −½‖·‖² is added to what is there, or to c_k in the first.
    """

    def block_row(v, panel, p, means, m, i, x, o, stride, y, constants, k, out, q):
        def multiply(coefficients, values, acc):
            return [
                [v.fma(a, value, total) for value, total in zip(values, row, strict=True)]
                for a, row in zip(coefficients, acc, strict=True)
            ]

        def cut(flat):
            return [flat[r * ABREAST : (r + 1) * ABREAST] for r in range(height)]

        def column(j, flat):
            values = [v.load(y, v.times(j, CHUNK), u * LANES) for u in range(ABREAST)]
            coefficients = [v.splat(panel, p, v.times(j, height), r) for r in range(height)]
            return sum(multiply(coefficients, values, cut(flat)), [])

        flat = [v.zero] * (height * ABREAST)
        acc = cut(flat if first else v.loop(0, i, 1, flat, column))
        for c in range(height):
            mean = v.splat(means, m, i, c)
            values = [v.sub(v.load(x, o, v.times(stride, c), u * LANES), mean) for u in range(ABREAST)]
            for u, value in enumerate(values):
                v.store(value, y, v.times(i, CHUNK), c * CHUNK + u * LANES)
            below = [v.splat(panel, p, v.times(i, height), c * height + r) for r in range(c, height)]
            acc[c:] = multiply(below, values, acc[c:])
        if keep:
            for r, row in enumerate(acc):
                for u, value in enumerate(row):
                    v.store(value, out, q, v.times(stride, r), u * LANES)
            return
        for u in range(ABREAST):
            squares = v.zero
            for row in acc:
                squares = v.fma(row[u], row[u], squares)
            before = v.splat(constants, k) if first else v.load(out, q, u * LANES)
            v.store(v.fma(squares, v.constant(-0.5), before), out, q, u * LANES)

    return emitted(block_row)


def _whitener(keep: bool) -> Any:
    """A (x − μ) of a tile, or c_k − ½‖A (x − μ)‖² in row k of ``out``, with the panel of A at p and the mean at m."""
    one, two, three, four = (_block_row(height, True, keep) for height in (1, 2, 3, 4))
    more = _block_row(BLOCK, False, keep)

    @numba.njit
    def whiten(x, columns, stride, rows, panel, p, means, m, y, constants, k, out):
        first = _first_block(columns)
        for s in range(0, rows, CHUNK):
            q = k * stride + s
            if first == 1:
                one(panel, p, means, m, 0, x, s, stride, y, constants, k, out, q)
            elif first == 2:
                two(panel, p, means, m, 0, x, s, stride, y, constants, k, out, q)
            elif first == 3:
                three(panel, p, means, m, 0, x, s, stride, y, constants, k, out, q)
            else:
                four(panel, p, means, m, 0, x, s, stride, y, constants, k, out, q)
            block = p + first * first
            for i in range(first, columns, BLOCK):
                o = i * stride + s
                more(panel, block, means, m, i, x, o, stride, y, constants, k, out, o if keep else q)
                block += (i + BLOCK) * BLOCK

    return whiten


_whiten, _density = _whitener(keep=True), _whitener(keep=False)


def _distance(scaled: bool) -> Any:
    """c_k − ½ Σ_d (a_d (x_d − μ_d))² of a tile, in row k of ``out``; without a where columns are whitened already."""

    def distance(v, x, columns, stride, rows, scale, means, m, constants, k, out):
        def chunk(s, nothing):
            def column(d, squares):
                mean = v.splat(means, m, d)
                values = [v.sub(v.load(x, v.builder.mul(d, stride), s, u * LANES), mean) for u in range(ABREAST)]
                if scaled:
                    a = v.splat(scale, m, d)
                    values = [v.mul(a, value) for value in values]
                return [v.fma(value, value, total) for value, total in zip(values, squares, strict=True)]

            squares = v.loop(0, columns, 1, [v.zero] * ABREAST, column)
            for u, total in enumerate(squares):
                value = v.fma(total, v.constant(-0.5), v.splat(constants, k))
                v.store(value, out, v.builder.mul(k, stride), s, u * LANES)
            return nothing

        v.loop(0, rows, CHUNK, [], chunk)

    return emitted(distance)


_scaled_distance, _white_distance = _distance(scaled=True), _distance(scaled=False)


# ------------------------------------------------------------------------------------------------
# Responsibilities


def _normaliser(weighted: bool) -> Any:
    """Log joint densities → e = exp(lp − top), in place, and share = w/Σe; Σ w (top + log Σe) is added to ``loglik``.

    Without weights several Σe, which lie between 1 and K, are multiplied before one logarithm is taken.
    """

    def normalise(v, joint, components, stride, rows, weights, share, loglik):
        builder = v.builder

        def chunk(s, state):
            places = [v.at(joint, s, u * LANES) for u in range(ABREAST)]

            def highest(k, tops):
                values = [v.load(place, builder.mul(k, stride)) for place in places]
                return [
                    builder.select(builder.fcmp_ordered(">", value, top), value, top)
                    for value, top in zip(values, tops, strict=True)
                ]

            tops = v.loop(1, components, 1, [v.load(place) for place in places], highest)

            def exponentials(k, sums):
                here = [v.at(place, builder.mul(k, stride)) for place in places]
                values = [v.exp(v.sub(v.load(place), top)) for place, top in zip(here, tops, strict=True)]
                for place, value in zip(here, values, strict=True):
                    v.store(value, place)
                return [v.add(value, sum_) for value, sum_ in zip(values, sums, strict=True)]

            sums = v.loop(0, components, 1, [v.zero] * ABREAST, exponentials)
            total = state[0]
            if weighted:
                for u in range(ABREAST):
                    weight = v.load(weights, s, u * LANES)
                    v.store(v.div(weight, sums[u]), share, s, u * LANES)
                    total = v.fma(weight, v.add(tops[u], v.log(sums[u])), total)
                return [total]
            product = reduce(v.mul, sums)
            inverse = v.div(v.constant(1.0), product)
            for u in range(ABREAST):
                others = reduce(v.mul, sums[:u] + sums[u + 1 :])
                v.store(v.mul(inverse, others), share, s, u * LANES)
                total = v.add(total, tops[u])
            return [v.add(total, v.log(product))]

        (total,) = v.loop(0, rows, CHUNK, [v.zero], chunk)
        (sum_,) = v.totals([total])
        first = builder.extract_element(sum_, ir.Constant(_INTEGER, 0))
        builder.store(builder.fadd(builder.load(loglik), first), loglik)

    return emitted(normalise)


_normalise_weighted, _normalise_plain = _normaliser(weighted=True), _normaliser(weighted=False)


@numba.njit
def _normalise(joint, components, stride, rows, weighted, weights, share, loglik):
    if weighted:
        _normalise_weighted(joint, components, stride, rows, weights, share, loglik)
    else:
        _normalise_plain(joint, components, stride, rows, weights, share, loglik)


# ------------------------------------------------------------------------------------------------
# Sums


def _strip(height: int, first: bool, products: str) -> Any:
    """Sums over a tile of r y and of products r y yᵀ for ``height`` columns of y = x − μ, added to a slot.

    ``first`` forms r = e · share, in place of e, and adds Σ r. The products are those of the "triangle", for which
    y and r y are kept too, or of its "diagonal".
    """

    def strip(v, x, o, stride, means, m, r, q, share, y, z, rows, sums, slot):
        pairs = [(c, b) for c in range(height) for b in range(c + 1) if products == "triangle" or b == c]
        mean = [v.splat(means, m, c) for c in range(height)]
        offset = [v.times(stride, c) for c in range(height)]

        def step(s, totals):
            weight = v.load(r, q, s)
            if first:
                weight = v.mul(weight, v.load(share, s))
                v.store(weight, r, q, s)
            values = [v.sub(v.load(x, o, offset[c], s), mean[c]) for c in range(height)]
            weighted = [v.mul(weight, value) for value in values]
            if products == "triangle":
                for c in range(height):
                    v.store(values[c], y, o, offset[c], s)
                    if not first:
                        v.store(weighted[c], z, offset[c], s)
            second = [v.fma(weighted[c], values[b], totals[i]) for i, (c, b) in enumerate(pairs)]
            moments = [v.add(weighted[c], totals[len(pairs) + c]) for c in range(height)]
            return second + moments + ([v.add(weight, totals[-1])] if first else [])

        totals = v.loop(0, rows, LANES, [v.zero] * (len(pairs) + height + first), step)
        places = [*range(len(pairs)), *range(FIRST_MOMENTS, FIRST_MOMENTS + height), TOTAL]
        ordered = dict(zip(places, totals, strict=False))
        v.add_totals([ordered.get(place, v.zero) for place in range(SLOT)], sums, slot)

    return emitted(strip)


def _rectangle(height: int, width: int) -> Any:
    """Sums over a tile of (r y) yᵀ for ``height`` columns of r y and ``width`` of y, added to a slot."""

    def rectangle(v, z, y, o, stride, rows, sums, slot):
        offset = [v.times(stride, c) for c in range(max(height, width))]

        def step(s, totals):
            left = [v.load(z, offset[c], s) for c in range(height)]
            right = [v.load(y, o, offset[b], s) for b in range(width)]
            products = [(a, b) for a in left for b in right]
            return [v.fma(a, b, total) for (a, b), total in zip(products, totals, strict=True)]

        v.add_totals(v.loop(0, rows, LANES, [v.zero] * (height * width), step), sums, slot)

    return emitted(rectangle)


def _mean_strip(height: int, first: bool) -> Any:
    """Sums of r y over a tile for ``height`` columns and two components, and over these components, into ``d``.

    ``first`` forms r = e · share, in place of e, and adds Σ r.
    """

    def strip(v, x, o, stride, means, m, columns, r, q, share, d, rows, sums, slot, slots):
        mean = [[v.splat(means, m, v.times(columns, k), c) for c in range(height)] for k in range(2)]
        offset = [v.times(stride, c) for c in range(height)]

        def step(s, totals):
            weights = [v.load(r, q, v.times(stride, k), s) for k in range(2)]
            if first:
                weights = [v.mul(weight, v.load(share, s)) for weight in weights]
                for k in range(2):
                    v.store(weights[k], r, q, v.times(stride, k), s)
            new = [v.add(weights[k], totals[k]) for k in range(2)] if first else []
            for c in range(height):
                value, together = v.load(x, o, offset[c], s), v.load(d, o, offset[c], s)
                for k in range(2):
                    y = v.sub(value, mean[k][c])
                    together = v.fma(weights[k], y, together)
                    new.append(v.fma(weights[k], y, totals[len(new)]))
                v.store(together, d, o, offset[c], s)
            return new

        totals = v.loop(0, rows, LANES, [v.zero] * (2 * (height + first)), step)
        for k in range(2):
            mine, moments = totals[k::2], [v.zero] * SLOT
            if first:
                moments[TOTAL] = mine.pop(0)
            moments[FIRST_MOMENTS : FIRST_MOMENTS + height] = mine
            v.add_totals(moments, sums, v.builder.add(slot, v.times(slots, k)))

    return emitted(strip)


def _strips(products: str) -> tuple[Any, Any]:
    """The first strip, whatever its height, and any later one."""
    one, two, three, four = (_strip(height, True, products) for height in (1, 2, 3, 4))

    @numba.njit
    def first_strip(x, height, stride, means, m, r, q, share, y, z, rows, sums, slot):
        if height == 1:
            one(x, 0, stride, means, m, r, q, share, y, z, rows, sums, slot)
        elif height == 2:
            two(x, 0, stride, means, m, r, q, share, y, z, rows, sums, slot)
        elif height == 3:
            three(x, 0, stride, means, m, r, q, share, y, z, rows, sums, slot)
        else:
            four(x, 0, stride, means, m, r, q, share, y, z, rows, sums, slot)

    return first_strip, _strip(BLOCK, False, products)


_first_triangle, _triangle = _strips("triangle")
_first_squares, _squares = _strips("diagonal")
_mean_strip_1, _mean_strip_2, _mean_strip_3, _mean_strip_4 = (_mean_strip(height, True) for height in (1, 2, 3, 4))
_mean_strip_more = _mean_strip(BLOCK, False)
_rectangle_1, _rectangle_2, _rectangle_3, _rectangle_4 = (_rectangle(BLOCK, width) for width in (1, 2, 3, 4))


@numba.njit
def _add_means(x, columns, stride, rows, means, m, r, q, share, d, sums, slot, slots):
    """Sums of r and r y for two more components, over the tile, and of r y over all components so far."""
    first = _first_block(columns)
    if first == 1:
        _mean_strip_1(x, 0, stride, means, m, columns, r, q, share, d, rows, sums, slot, slots)
    elif first == 2:
        _mean_strip_2(x, 0, stride, means, m, columns, r, q, share, d, rows, sums, slot, slots)
    elif first == 3:
        _mean_strip_3(x, 0, stride, means, m, columns, r, q, share, d, rows, sums, slot, slots)
    else:
        _mean_strip_4(x, 0, stride, means, m, columns, r, q, share, d, rows, sums, slot, slots)
    for i in range(first, columns, BLOCK):
        slot += SLOT
        _mean_strip_more(x, i * stride, stride, means, m + i, columns, r, q, share, d, rows, sums, slot, slots)


@numba.njit
def _add_squares(x, columns, stride, rows, means, m, r, q, share, sums, slot):
    """Sums of r, r y and r y² of a tile under one component."""
    first = _first_block(columns)
    _first_squares(x, first, stride, means, m, r, q, share, x, x, rows, sums, slot)
    for i in range(first, columns, BLOCK):
        slot += SLOT
        _squares(x, i * stride, stride, means, m + i, r, q, share, x, x, rows, sums, slot)


@numba.njit
def _add_products(x, columns, stride, rows, means, m, r, q, share, y, z, sums, slot):
    """Sums of r, r y and the lower triangle of r y yᵀ of a tile under one component; z takes BLOCK columns of r y."""
    first = _first_block(columns)
    _first_triangle(x, first, stride, means, m, r, q, share, y, z, rows, sums, slot)
    slot += SLOT
    for i in range(first, columns, BLOCK):
        _triangle(x, i * stride, stride, means, m + i, r, q, share, y, z, rows, sums, slot)
        slot += SLOT
        if first == 1:
            _rectangle_1(z, y, 0, stride, rows, sums, slot)
        elif first == 2:
            _rectangle_2(z, y, 0, stride, rows, sums, slot)
        elif first == 3:
            _rectangle_3(z, y, 0, stride, rows, sums, slot)
        else:
            _rectangle_4(z, y, 0, stride, rows, sums, slot)
        slot += SLOT
        for j in range(first, i, BLOCK):
            if BLOCK == 3:
                _rectangle_3(z, y, j * stride, stride, rows, sums, slot)
            else:
                _rectangle_4(z, y, j * stride, stride, rows, sums, slot)
            slot += SLOT


@numba.njit
def _slots(columns, products):
    """Numbers that ``_add_products`` adds to, or the other two functions."""
    blocks = (columns + BLOCK - 1) // BLOCK
    return (blocks * (blocks + 1) // 2 if products else blocks) * SLOT


@numba.njit
def _read_means(sums, slot, columns, n, k, s1, squares, s2):
    """What ``_add_means`` has added up, and ``_add_squares`` where there are squares."""
    n[k] = sums[slot + TOTAL]
    i, height = 0, _first_block(columns)
    while i < columns:
        for c in range(height):
            s1[k, i + c] = sums[slot + FIRST_MOMENTS + c]
            if squares:
                s2[k, i + c] = sums[slot + c]
        slot += SLOT
        i, height = i + height, BLOCK


@numba.njit
def _read_products(sums, slot, columns, n, k, s1, s2):
    """What ``_add_products`` has added up; s2 is added to."""
    n[k] = sums[slot + TOTAL]
    first = _first_block(columns)
    i, height = 0, first
    while i < columns:
        for c in range(height):
            s1[k, i + c] = sums[slot + FIRST_MOMENTS + c]
            for b in range(c + 1):
                s2[i + c, i + b] += sums[slot + c * (c + 1) // 2 + b]
                s2[i + b, i + c] = s2[i + c, i + b]
        slot += SLOT
        j, width = 0, first
        while j < i:
            for c in range(height):
                for b in range(width):
                    s2[i + c, j + b] += sums[slot + c * width + b]
                    s2[j + b, i + c] = s2[i + c, j + b]
            slot += SLOT
            j, width = j + width, BLOCK
        i, height = i + height, BLOCK


# ------------------------------------------------------------------------------------------------
# Tiles and passes


def _reader(kind: ir.Type) -> Any:
    """The number of that type at an address, as a double."""

    @intrinsic
    def read(_: Any, address: Any) -> Any:
        def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            number = builder.load(builder.inttoptr(values[0], kind.as_pointer()), align=1)
            return number if kind is _DOUBLE else builder.fpext(number, _DOUBLE)

        return types.float64(types.intp), code

    return read


_read_double, _read_single = _reader(_DOUBLE), _reader(ir.FloatType())


@numba.njit
def _workspace(size):
    """Numbers that begin at the boundary of a cache line."""
    numbers = np.empty(size + 8)
    start = (-numbers.ctypes.data % 64) // 8
    return numbers[start : start + size]


@numba.njit
def _tile_rows(columns, components, least):
    """Rows of a tile."""
    rows = max(least, min(MOST_ROWS, TILE_NUMBERS // columns))
    return max(CHUNK, min(rows, JOINT_NUMBERS // components) // CHUNK * CHUNK)


@numba.njit
def _load(address, row_step, column_step, single, weights, start, stop, columns, x, stride, chosen, w):
    """Fill a tile with the next rows that have weight; where it goes on, and how many lanes are in use.

    Lanes are used by the chunk: those left over repeat the last row, with weight 0.
    """
    room = len(chosen)
    count = 0
    if len(weights) == 0:
        count = min(room, stop - start)
        for s in range(count):
            chosen[s] = (start + s) * row_step
            w[s] = 1.0
        start += count
    else:
        while start < stop and count < room:
            if weights[start] > 0:
                chosen[count] = start * row_step
                w[count] = weights[start]
                count += 1
            start += 1
    if count == 0:
        return start, 0, 0
    used = (count + CHUNK - 1) // CHUNK * CHUNK
    for s in range(count, used):
        chosen[s] = chosen[count - 1]
        w[s] = 0.0
    for s0 in range(0, used, CHUNK):
        for d in range(columns):
            place, o = address + d * column_step, d * stride
            if single:
                for s in range(s0, s0 + CHUNK):
                    x[o + s] = _read_single(place + chosen[s])
            else:
                for s in range(s0, s0 + CHUNK):
                    x[o + s] = _read_double(place + chosen[s])
    return start, count, used


@intrinsic
def _prefetch(_: Any, address: Any) -> Any:
    """Ask for the cache line at an address, which need not be valid."""

    def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [builder.inttoptr(values[0], pointer), *(ir.Constant(number, n) for n in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(types.intp), code


@numba.njit
def _fetch_ahead(address, row_step, column_step, columns, start, stop, room, k, components):
    """Ask for part k of the rows of the next tile, if each row lies in one piece and few gaps lie between them."""
    if 0 < column_step < row_step <= 2 * columns * column_step:
        size = min(room, stop - start) * row_step
        begin = address + start * row_step
        for place in range(begin + size * k // components, begin + size * (k + 1) // components, 64):
            _prefetch(place)


@numba.njit
def _copy_joint(out, stride, rows, joint, start):
    """The densities of a tile, row by row; what overflowed on the way is −∞."""
    for k in range(joint.shape[1]):
        for s in range(rows):
            value = out[k * stride + s]
            joint[start + s, k] = value if value == value else -np.inf


def joint_full(address, row_step, column_step, single, count, means, whitening, constants, joint):
    """``log_joint`` of "full" into joint (B, K)."""
    components, columns = means.shape
    room = _tile_rows(columns, components, LEAST_ROWS)
    stride = room + PAD
    x, y, out = _workspace(columns * stride), _workspace(columns * CHUNK), _workspace(components * stride)
    chosen, w, everything = np.empty(room, np.intp), np.empty(room), np.empty(0)
    size, mean = _panel_size(columns), means.ravel()
    panel = np.empty(components * size)
    for k in range(components):
        _pack(whitening[k], panel, k * size)
    start = 0
    while start < count:
        begin = start
        start, rows, used = _load(
            address, row_step, column_step, single, everything, start, count, columns, x, stride, chosen, w
        )
        for k in range(components):
            _density(x, columns, stride, used, panel, k * size, mean, k * columns, y, constants, k, out)
        _copy_joint(out, stride, rows, joint, begin)


def sums_full(address, row_step, column_step, single, count, weights, means, whitening, constants, n, s1, s2):
    """``accumulate`` of "full" into n (K,), s1 (K, D), s2 (K, D, D); the log-likelihood."""
    components, columns = means.shape
    room = _tile_rows(columns, components, LEAST_ROWS)
    stride = room + PAD
    x, y, z = _workspace(columns * stride), _workspace(columns * stride), _workspace(BLOCK * stride)
    joint, share, w = _workspace(components * stride), _workspace(room), _workspace(room)
    chosen, loglik = np.empty(room, np.intp), np.zeros(1)
    size, slots, mean = _panel_size(columns), _slots(columns, True), means.ravel()
    panel, sums = np.empty(components * size), np.zeros(components * slots)
    for k in range(components):
        _pack(whitening[k], panel, k * size)
    start = 0
    while start < count:
        start, rows, used = _load(
            address, row_step, column_step, single, weights, start, count, columns, x, stride, chosen, w
        )
        for k in range(components):
            _fetch_ahead(address, row_step, column_step, columns, start, count, room, k, components)
            _density(x, columns, stride, used, panel, k * size, mean, k * columns, y, constants, k, joint)
        _normalise(joint, components, stride, used, len(weights) > 0 or rows < used, w, share, loglik)
        for k in range(components):
            _add_products(
                x, columns, stride, used, mean, k * columns, joint, k * stride, share, y, z, sums, k * slots
            )
    for k in range(components):
        _read_products(sums, k * slots, columns, n, k, s1, s2[k])
    return loglik[0]


def joint_diagonal(address, row_step, column_step, single, count, means, whitening, constants, joint):
    """``log_joint`` of "diagonal" into joint (B, K)."""
    components, columns = means.shape
    room = _tile_rows(columns, components, LEAST_ROWS_DIAGONAL)
    stride = room + PAD
    x, out = _workspace(columns * stride), _workspace(components * stride)
    chosen, w, everything = np.empty(room, np.intp), np.empty(room), np.empty(0)
    mean, scale = means.ravel(), whitening.ravel()
    start = 0
    while start < count:
        begin = start
        start, rows, used = _load(
            address, row_step, column_step, single, everything, start, count, columns, x, stride, chosen, w
        )
        for k in range(components):
            _scaled_distance(x, columns, stride, used, scale, mean, k * columns, constants, k, out)
        _copy_joint(out, stride, rows, joint, begin)


def sums_diagonal(address, row_step, column_step, single, count, weights, means, whitening, constants, n, s1, s2):
    """``accumulate`` of "diagonal" into n (K,), s1 (K, D), s2 (K, D); the log-likelihood."""
    components, columns = means.shape
    room = _tile_rows(columns, components, LEAST_ROWS_DIAGONAL)
    stride = room + PAD
    x, joint = _workspace(columns * stride), _workspace(components * stride)
    share, w = _workspace(room), _workspace(room)
    chosen, loglik = np.empty(room, np.intp), np.zeros(1)
    mean, scale, slots = means.ravel(), whitening.ravel(), _slots(columns, False)
    sums = np.zeros(components * slots)
    start = 0
    while start < count:
        start, rows, used = _load(
            address, row_step, column_step, single, weights, start, count, columns, x, stride, chosen, w
        )
        for k in range(components):
            _fetch_ahead(address, row_step, column_step, columns, start, count, room, k, components)
            _scaled_distance(x, columns, stride, used, scale, mean, k * columns, constants, k, joint)
        _normalise(joint, components, stride, used, len(weights) > 0 or rows < used, w, share, loglik)
        for k in range(components):
            _add_squares(
                x, columns, stride, used, mean, k * columns, joint, k * stride, share, sums, k * slots
            )
    for k in range(components):
        _read_means(sums, k * slots, columns, n, k, s1, True, s2)
    return loglik[0]


@numba.njit
def _whitened_means(means, whitening):
    """The mean m of the means, and A (μ_k − m), row after row."""
    components, columns = means.shape
    centre, white = np.zeros(columns), np.zeros(components * columns)
    for d in range(columns):
        for k in range(components):
            centre[d] += means[k, d] / components
    for k in range(components):
        for d in range(columns):
            for j in range(d + 1):
                white[k * columns + d] += whitening[d, j] * (means[k, j] - centre[j])
    return centre, white


def joint_tied(address, row_step, column_step, single, count, means, whitening, constants, joint):
    """``log_joint`` of "tied" into joint (B, K)."""
    components, columns = means.shape
    room = _tile_rows(columns, components, LEAST_ROWS)
    stride = room + PAD
    x, y, out = _workspace(columns * stride), _workspace(columns * CHUNK), _workspace(components * stride)
    chosen, w, everything = np.empty(room, np.intp), np.empty(room), np.empty(0)
    white, panel = _workspace(columns * stride), np.empty(_panel_size(columns))
    centre, white_means = _whitened_means(means, whitening)
    _pack(whitening, panel, 0)
    start = 0
    while start < count:
        begin = start
        start, rows, used = _load(
            address, row_step, column_step, single, everything, start, count, columns, x, stride, chosen, w
        )
        _whiten(x, columns, stride, used, panel, 0, centre, 0, y, constants, 0, white)
        for k in range(components):
            _white_distance(white, columns, stride, used, centre, white_means, k * columns, constants, k, out)
        _copy_joint(out, stride, rows, joint, begin)


def sums_tied(address, row_step, column_step, single, count, weights, means, whitening, constants, n, s1, s2):
    """``accumulate`` of "tied" into n (K,), s1 (K, D), s2 (D, D); the log-likelihood.

    With d_n = Σ_k γ_nk (x_n − μ_k), the second moments of a row are d dᵀ + Σ_{k<l} γ_k γ_l (μ_k − μ_l)(μ_k − μ_l)ᵀ: a
    sum of squares, whose second part needs only Σ_n γ_nk γ_nl. Where components are many beside the columns that is
    more work than the second moments of each component.
    """
    components, columns = means.shape
    pooled = columns > 2 * BLOCK and components <= 4 * columns
    even = components + components % 2
    room = _tile_rows(columns, components, LEAST_ROWS)
    stride = room + PAD
    kept = max(columns, components) if pooled else columns
    x, y, z = _workspace(columns * stride), _workspace(kept * stride), _workspace(BLOCK * stride)
    joint, share, w = _workspace(even * stride), _workspace(room), _workspace(room)
    white, d, inverse, ones = _workspace(columns * stride), _workspace(columns * stride), _workspace(room), np.ones(room)
    chosen, loglik, zeros = np.empty(room, np.intp), np.zeros(1), np.zeros(kept)
    mean, panel = np.zeros(even * columns), np.empty(_panel_size(columns))
    mean[: components * columns] = means.ravel()
    joint[components * stride :] = 0.0
    centre, white_means = _whitened_means(means, whitening)
    _pack(whitening, panel, 0)
    slots = _slots(columns, not pooled)
    sums = np.zeros(even * slots)
    within, between = np.zeros(_slots(columns, True)), np.zeros(_slots(components, True) if pooled else 0)
    start = 0
    while start < count:
        start, rows, used = _load(
            address, row_step, column_step, single, weights, start, count, columns, x, stride, chosen, w
        )
        _whiten(x, columns, stride, used, panel, 0, centre, 0, y, constants, 0, white)
        for k in range(components):
            _fetch_ahead(address, row_step, column_step, columns, start, count, room, k, components)
            _white_distance(white, columns, stride, used, centre, white_means, k * columns, constants, k, joint)
        _normalise(joint, components, stride, used, len(weights) > 0 or rows < used, w, share, loglik)
        if pooled:
            d[:] = 0.0
            for k in range(0, components, 2):
                _add_means(
                    x, columns, stride, used, mean, k * columns, joint, k * stride, share, d, sums, k * slots, slots
                )
            for s in range(used):
                inverse[s] = 1.0 / max(w[s], 1e-300) if w[s] > 0 else 0.0
            _add_products(d, columns, stride, used, zeros, 0, inverse, 0, ones, y, z, within, 0)
            _add_products(joint, components, stride, used, zeros, 0, inverse, 0, ones, y, z, between, 0)
        else:
            for k in range(components):
                _add_products(
                    x, columns, stride, used, mean, k * columns, joint, k * stride, share, y, z, sums, k * slots
                )
    if not pooled:
        for k in range(components):
            _read_products(sums, k * slots, columns, n, k, s1, s2)
        return loglik[0]
    for k in range(components):
        _read_means(sums, k * slots, columns, n, k, s1, False, s1)
    nowhere = np.empty((1, kept))
    _read_products(within, 0, columns, np.empty(1), 0, nowhere, s2)
    together = np.zeros((components, components))
    _read_products(between, 0, components, np.empty(1), 0, nowhere, together)
    _add_between(together, means, s2)
    return loglik[0]


@numba.njit
def _add_between(together, means, s2):
    """Σ_{k<l} g_kl (μ_k − μ_l)(μ_k − μ_l)ᵀ added to s2, by eliminating one mean after the other; g is used up.

    The terms of a mean p are g_p (μ_p − c)(μ_p − c)ᵀ with g_p = Σ_l g_pl and c = Σ_l g_pl μ_l/g_p, and g_pk g_pl/g_p more
    for every pair of the others: nothing is subtracted.
    """
    components, columns = means.shape
    for p in range(components - 1, 0, -1):
        total = together[p, :p].sum()
        if not total > 0:
            continue
        shift = np.zeros(columns)
        for k in range(p):
            for i in range(columns):
                shift[i] += together[p, k] / total * (means[k, i] - means[p, i])
        for i in range(columns):
            for j in range(columns):
                s2[i, j] += total * shift[i] * shift[j]
        for k in range(p):
            for l in range(p):
                together[k, l] += together[p, k] / total * together[p, l]


def build(name: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Machine code for one of the passes, for arguments of these types, from the cache where there is one."""
    function = globals()[name]
    signature = tuple(numba.typeof(argument) for argument in arguments)
    compile_ = numba.njit(nogil=True, error_model="numpy")
    cached = compile_(function)
    try:
        cached.enable_caching()
        cached.compile(signature)
    except (RuntimeError, OSError, *DAMAGED):  # nowhere to write, or what was written is damaged
        if not cached.signatures:
            plain = compile_(function)
            plain.compile(signature)
            return plain
    return cached
