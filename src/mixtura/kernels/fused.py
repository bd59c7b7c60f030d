"""Everything that Numba compiles: one fused pass over tiles of rows, with rows in the vector lanes.

A tile holds up to a few hundred rows, column after column. For each component a pass forms
log π_k + log N(x|μ_k,Σ_k) of the whole tile, then turns those into responsibilities, and adds the tile's sums;
nothing larger than the tile is ever stored. The arithmetic of the inner loops is emitted as vectors of ``LANES``
doubles, so that its speed does not hang on what a compiler recognises in a loop; around it stand plain loops.

The element type of the model's arrays is that of the tile: in float32 a vector has twice as many numbers, and what
crosses tiles is float64 still. The tile holds (x − origin) · unit, in which single precision loses nothing that
matters (see ``single``), and the model's arrays are in the same terms. In double precision that changes nothing. The
way back from there is the ``frame``:

======= =====================================================================
origin  (D,) what is subtracted from the rows
unit    (D,) what they are then multiplied by
shift   (K, D) the tile's means less those in force, in terms of the tile
lost    (K,) what the constants c_k − highest lost to rounding
highest the greatest of them
======= =====================================================================

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

# Compiled functions take no keywords, and their types are those of the arguments, or of what is emitted.
# ruff: noqa: PLR0917
# pyright: reportMissingParameterType=false

from __future__ import annotations

import inspect
import math
import platform
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic


def _machine() -> tuple[int, bool]:
    """Doubles in a vector, and whether there are 32 registers for them rather than 16."""
    try:
        features = config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()  # pyright: ignore[reportAttributeAccessIssue]
    except RuntimeError:  # not known for this kind of machine
        features = ""
    if "+avx512f" in features:
        return 8, True
    return (4 if "+avx" in features else 2), platform.machine().lower() in {"arm64", "aarch64"}


LANES, _many_registers = _machine()

#: Rows and columns of a block, and vectors side by side.
BLOCK = ABREAST = 4 if _many_registers else 3

#: Room for the sums of a block; where the sums of x and of 1 begin beside those of products.
SLOT, FIRST_MOMENTS, TOTAL = 16, 10, 14

#: Bytes of the columns of a tile together, so that they stay in the first-level cache; of one column at least (below it
#: the sums over lanes tell) and at most; and of a tile and its densities, which stay in the second-level cache anyway.
TILE_BYTES, CACHE_BYTES = 16_384, 1_048_576
SHORTEST, SHORTEST_DIAGONAL, LONGEST = 1024, 2048, 4096

#: Weights of rows that single precision deals with.
LEAST_WEIGHT, MOST_WEIGHT = 1e-9, 1e9

#: Bytes of a line of the cache; so many lie between the columns of a tile, so that they do not compete for the same.
LINE = 64

_INTEGER, _DOUBLE = ir.IntType(64), ir.DoubleType()


class Precision(NamedTuple):
    """What the emitted arithmetic knows of an element type.

    ``exp`` interpolates e^r on |r| ≤ ½ ln 2, and ``log`` (ln((1 + s)/(1 − s)) − 2s)/s³ in s², for (1 + s)/(1 − s)
    between √½ and √2, both at Chebyshev's points. ln 2 is in two parts, the first with room for an exact product.
    """

    number: ir.Type
    name: str  # in those of LLVM's functions
    bits: int
    mantissa: int
    bias: int
    root_half: int  # the bits of √½
    ln2: tuple[float, float]
    exp: list[float]
    log: list[float]
    least_exponent: float  # e^x is taken for 0 below this x
    lowest: float  # log densities below this ask for the careful edition


DOUBLE = Precision(
    number=_DOUBLE,
    name="f64",
    bits=64,
    mantissa=52,
    bias=1023,
    root_half=0x3FE6A09E667F3BCD,
    ln2=(0.6931471803691238, 1.9082149292705877e-10),
    exp=[
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
    ],
    log=[
        0.666666666666667,
        0.399999999998992,
        0.2857142862611452,
        0.22222211112104948,
        0.1818289077802613,
        0.15331666676597175,
        0.146171283998073,
    ],
    least_exponent=-708.0,
    lowest=-math.inf,
)

#: e^−64 is nothing beside 1, and its products with squares stay clear of the numbers below 10⁻³⁸, which are slow.
SINGLE = Precision(
    number=ir.FloatType(),
    name="f32",
    bits=32,
    mantissa=23,
    bias=127,
    root_half=0x3F3504F3,
    ln2=(0.693359375, -0.00021219444005469057),
    exp=[
        1.0,
        1.0,
        0.5,
        0.16666415333747864,
        0.04166635125875473,
        0.00837512593716383,
        0.0013941108481958508,
    ],
    log=[0.6666668653488159, 0.3998878002166748, 0.29579949378967285],
    least_exponent=-64.0,
    lowest=-1000.0,
)


class Lanes:
    """Emits operations on vectors of LANES doubles, or twice as many numbers in single precision."""

    def __init__(self, builder: ir.IRBuilder, precision: Precision) -> None:
        self.builder, self.precision = builder, precision
        self.lanes = LANES * 64 // precision.bits
        self.chunk = ABREAST * self.lanes
        self.type = ir.VectorType(precision.number, self.lanes)
        self.wide = ir.VectorType(_DOUBLE, self.lanes)
        self.bits = ir.VectorType(ir.IntType(precision.bits), self.lanes)
        self.add, self.sub, self.mul, self.div = builder.fadd, builder.fsub, builder.fmul, builder.fdiv
        self.zero = self.constant(0.0)

    def constant(self, value: float) -> ir.Constant:
        """A number in every lane."""
        return ir.Constant(self.type, [float(value)] * self.lanes)

    def integer(self, value: int) -> ir.Constant:
        """A whole number in every lane, of the same width."""
        return ir.Constant(self.bits, [value] * self.lanes)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, in one rounding where the machine can."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.fmuladd.v{self.lanes}{self.precision.name}"
        )
        return self.builder.call(function, [a, b, c])

    def at(self, pointer: Any, *places: Any) -> Any:
        """The pointer moved on by the sum of the places, each a Python or an emitted integer."""
        for place in places:
            offset = ir.Constant(_INTEGER, place) if isinstance(place, int) else place
            pointer = self.builder.gep(pointer, [offset])
        return pointer

    def plus(self, index: Any, number: int) -> Any:
        """An index moved on by a Python integer."""
        return self.builder.add(index, ir.Constant(_INTEGER, number))

    def times(self, index: Any, number: int) -> Any:
        """An index times a Python integer."""
        return self.builder.mul(index, ir.Constant(_INTEGER, number))

    def load(self, pointer: Any, *places: Any) -> Any:
        """The vector that begins there."""
        place = self.builder.bitcast(self.at(pointer, *places), self.type.as_pointer())
        return self.builder.load(place, align=self.precision.bits // 8)

    def store(self, vector: Any, pointer: Any, *places: Any) -> None:
        """Write a vector there."""
        place = self.builder.bitcast(self.at(pointer, *places), vector.type.as_pointer())
        self.builder.store(vector, place, align=self.precision.bits // 8)

    def widened(self, vector: Any) -> Any:
        """The same numbers as doubles."""
        return vector if self.type == self.wide else self.builder.fpext(vector, self.wide)

    def splat(self, pointer: Any, *places: Any) -> Any:
        """The number there, in every lane."""
        number = self.builder.load(self.at(pointer, *places))
        first = self.builder.insert_element(self.zero, number, ir.Constant(_INTEGER, 0))
        return self.shuffle(first, first, [0] * self.lanes)

    def shuffle(self, a: Any, b: Any, places: list[int]) -> Any:
        """The lanes of a, numbered from 0, and those of b, which follow, at these places."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), places))

    def loop(self, start: int, stop: Any, step: int, state: list[Any], body: Callable[[Any, list[Any]], Any]) -> Any:
        """For index in range(start, stop, step): state = body(index, state); the last state."""
        builder, before = self.builder, self.builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        index, *held = (builder.phi(kind) for kind in (_INTEGER, *(value.type for value in state)))
        builder.cbranch(builder.icmp_signed("<", index, stop), inside, after)
        builder.position_at_end(inside)
        new = [self.plus(index, step), *body(index, held)]
        for phi, first, following in zip([index, *held], [ir.Constant(_INTEGER, start), *state], new, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(following, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return held

    def totals(self, vectors: list[Any]) -> list[Any]:
        """The sum over the lanes of each vector, in the lanes of few vectors, by folding all of them at once."""
        padded = vectors + [ir.Constant(vectors[0].type, None)] * (-len(vectors) % self.lanes)
        folded = []
        for start in range(0, len(padded), self.lanes):
            group, width = padded[start : start + self.lanes], 1
            while len(group) > 1:
                group = [self._fold(a, b, width) for a, b in zip(group[::2], group[1::2], strict=True)]
                width *= 2
            folded += group
        return folded

    def add_totals(self, vectors: dict[int, Any], sums: Any, slot: Any) -> None:
        """The sum over the lanes of each vector added to a number of the slot, whose place is the key."""
        for g, total in enumerate(self.totals([vectors.get(place, self.zero) for place in range(SLOT)])):
            place = self.at(sums, slot, g * self.lanes)
            before = self.builder.load(self.builder.bitcast(place, self.wide.as_pointer()), align=8)
            self.store(self.add(before, self.widened(total)), place)

    def _fold(self, a: Any, b: Any, width: int) -> Any:
        """Neighbouring groups of ``width`` lanes added within a and b, the results interleaved."""
        # those of a lower and of b upper groups stay where they are: a blend, which is cheaper than a shuffle
        upper = [place // width % 2 for place in range(self.lanes)]
        stay = [place + self.lanes * up for place, up in enumerate(upper)]
        move = [place + (self.lanes - width if up else width) for place, up in enumerate(upper)]
        return self.add(self.shuffle(a, b, stay), self.shuffle(a, b, move))

    def polynomial(self, x: Any, coefficients: list[float]) -> Any:
        """By Horner's rule, the constant coefficient first."""
        value = self.constant(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = self.fma(value, x, self.constant(coefficient))
        return value

    def exp(self, x: Any) -> Any:
        """e^x for x ≤ 0, within 1 unit in the last place; 0 below the least exponent; NaN stays NaN."""
        builder, own = self.builder, self.precision
        magic = self.constant(1.5 * 2.0**own.mantissa)
        shifted = self.fma(x, self.constant(1 / math.log(2)), magic)
        power = self.sub(shifted, magic)
        rest = x
        for part in own.ln2:
            rest = self.fma(power, self.constant(-part), rest)
        biased = builder.add(builder.bitcast(shifted, self.bits), self.integer(own.bias))
        scale = builder.bitcast(builder.shl(biased, self.integer(own.mantissa)), self.type)
        value = self.mul(self.polynomial(rest, own.exp), scale)
        return builder.select(builder.fcmp_ordered("<", x, self.constant(own.least_exponent)), self.zero, value)

    def log(self, x: Any) -> Any:
        """ln x for normal x ≥ 1, within a few units in the last place of the larger of ln x and 1; NaN stays NaN."""
        builder, own = self.builder, self.precision
        # x = 2^power · part with √½ < part ≤ √2
        bits = builder.sub(builder.bitcast(x, self.bits), self.integer(own.root_half))
        power = builder.sitofp(builder.ashr(bits, self.integer(own.mantissa)), self.type)
        fraction = builder.and_(bits, self.integer(2**own.mantissa - 1))
        part = builder.bitcast(builder.add(fraction, self.integer(own.root_half)), self.type)
        s = self.div(self.sub(part, self.constant(1.0)), self.add(part, self.constant(1.0)))
        square = self.mul(s, s)
        tail = self.mul(self.mul(s, square), self.polynomial(square, own.log))
        high, low = map(self.constant, own.ln2)
        value = self.fma(power, high, self.fma(s, self.constant(2.0), self.fma(power, low, tail)))
        return self.add(value, self.sub(x, x))


def emitted(emit: Callable[..., None]) -> Any:
    """A function for compiled code whose body is ``emit(lanes, *arguments)``; arrays reach it as pointers.

    It computes in single precision if any of the arrays are of that type.
    """

    def definition(_: Any, *arguments: Any) -> Any:
        single = any(isinstance(a, types.Array) and a.dtype == types.float32 for a in arguments)

        def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            plain = [
                context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, values, strict=True)
            ]
            emit(Lanes(builder, SINGLE if single else DOUBLE), *plain)
            return context.get_dummy_value()

        return types.void(*(a if isinstance(a, types.Array) else types.intp for a in arguments)), code

    definition.__signature__ = inspect.signature(emit)
    return intrinsic(definition)


def emitted_by_height(emit: Callable[..., None]) -> Any:
    """The same for ``emit(lanes, height, first, i, …)``, which knows the height of the block that begins at i.

    Blocks are ``BLOCK`` high, except the first, for which there is a branch for each height from 1 on.
    """

    def choose(v: Lanes, height: Any, i: Any, *arguments: Any) -> None:
        builder, zero = v.builder, ir.Constant(_INTEGER, 0)
        is_first = builder.icmp_signed("==", i, zero)
        for known in range(1, BLOCK + 1):
            here = builder.icmp_signed("==", height, ir.Constant(_INTEGER, known))
            with builder.if_then(builder.and_(is_first, here)):
                emit(v, known, True, zero, *arguments)
        with builder.if_then(builder.not_(is_first)):
            emit(v, BLOCK, False, i, *arguments)

    parameters = inspect.signature(emit).parameters
    choose.__signature__ = inspect.Signature([p for name, p in parameters.items() if name != "first"])
    return emitted(choose)


@numba.njit
def _first_height(columns):
    """Height of the first block row."""
    return columns % BLOCK or BLOCK


@numba.njit
def _chunk(x):
    """Rows in the vectors side by side, for the element type of x."""
    return ABREAST * LANES * 8 // x.itemsize


# ------------------------------------------------------------------------------------------------
# Densities


def _multiply(v: Lanes, coefficients: list[Any], values: list[Any], acc: list[list[Any]]) -> list[list[Any]]:
    """acc + coefficients valuesᵀ."""
    return [
        [v.fma(a, value, total) for value, total in zip(values, row, strict=True)]
        for a, row in zip(coefficients, acc, strict=True)
    ]


def _block_row(keep: bool) -> Any:
    """A block row of A y for a chunk of rows, y = x − μ being formed on the way and kept for the later block rows.

    It goes to ``out`` if it is to be kept; else −½‖·‖² is added to what is there, or to c_k in the first.
    """

    def block_row(v, height, first, i, panel, p, means, m, x, o, stride, y, constants, k, out, q):
        abreast = range(ABREAST)

        def cut(flat):
            return [flat[r * ABREAST : (r + 1) * ABREAST] for r in range(height)]

        def column(j, flat):
            values = [v.load(y, v.times(j, v.chunk), u * v.lanes) for u in abreast]
            coefficients = [v.splat(panel, p, v.times(j, height), r) for r in range(height)]
            return [total for row in _multiply(v, coefficients, values, cut(flat)) for total in row]

        flat = [v.zero] * (height * ABREAST)
        acc = cut(flat if first else v.loop(0, i, 1, flat, column))
        for c in range(height):
            mean = v.splat(means, m, i, c)
            values = [v.sub(v.load(x, o, v.times(stride, c), u * v.lanes), mean) for u in abreast]
            for u in abreast:
                v.store(values[u], y, v.times(i, v.chunk), c * v.chunk + u * v.lanes)
            below = [v.splat(panel, p, v.times(i, height), c * height + r) for r in range(c, height)]
            acc[c:] = _multiply(v, below, values, acc[c:])
        for u in abreast:
            results = [row[u] for row in acc]
            if keep:
                for r, result in enumerate(results):
                    v.store(result, out, q, v.times(stride, r), u * v.lanes)
            else:
                squares = reduce(lambda total, result: v.fma(result, result, total), results, v.zero)
                before = v.splat(constants, k) if first else v.load(out, q, u * v.lanes)
                v.store(v.fma(squares, v.constant(-0.5), before), out, q, u * v.lanes)

    return emitted_by_height(block_row)


_white_block_row, _density_block_row = _block_row(keep=True), _block_row(keep=False)


@numba.njit
def _pack(matrix, panel, p):
    """The block rows of a lower triangle in the order in which they are used, column after column."""
    columns = len(matrix)
    i, height = 0, _first_height(columns)
    while i < columns:
        for j in range(i + height):
            for r in range(height):
                panel[p] = matrix[i + r, j]
                p += 1
        i, height = i + height, BLOCK


@numba.njit
def _panel_size(columns):
    """Numbers that ``_pack`` writes."""
    size = 0
    i, height = 0, _first_height(columns)
    while i < columns:
        size += (i + height) * height
        i, height = i + height, BLOCK
    return size


@numba.njit
def _density(x, columns, stride, rows, panel, p, means, m, y, constants, k, out):
    """c_k − ½‖A (x − μ)‖² of a tile, in row k of ``out``."""
    for s in range(0, rows, _chunk(x)):
        i, height, block = 0, _first_height(columns), p
        while i < columns:
            o, q = i * stride + s, k * stride + s
            _density_block_row(height, i, panel, block, means, m, x, o, stride, y, constants, k, out, q)
            block += (i + height) * height
            i, height = i + height, BLOCK


@numba.njit
def _whiten(x, columns, stride, rows, panel, mean, y, out):
    """A (x − μ) of a tile."""
    for s in range(0, rows, _chunk(x)):
        i, height, block = 0, _first_height(columns), 0
        while i < columns:
            o = i * stride + s
            _white_block_row(height, i, panel, block, mean, 0, x, o, stride, y, mean, 0, out, o)
            block += (i + height) * height
            i, height = i + height, BLOCK


def _distance(scaled: bool) -> Any:
    """c_k − ½ Σ_d (a_d (x_d − μ_d))² of a tile, in row k of ``out``; without a where columns are whitened already."""

    def distance(v, x, columns, stride, rows, scale, means, m, constants, k, out):
        def chunk(s, nothing):
            def column(d, squares):
                mean = v.splat(means, m, d)
                values = [v.sub(v.load(x, v.builder.mul(d, stride), s, u * v.lanes), mean) for u in range(ABREAST)]
                if scaled:
                    a = v.splat(scale, m, d)
                    values = [v.mul(a, value) for value in values]
                return [v.fma(value, value, total) for value, total in zip(values, squares, strict=True)]

            squares = v.loop(0, columns, 1, [v.zero] * ABREAST, column)
            for u, total in enumerate(squares):
                value = v.fma(total, v.constant(-0.5), v.splat(constants, k))
                v.store(value, out, v.builder.mul(k, stride), s, u * v.lanes)
            return nothing

        v.loop(0, rows, v.chunk, [], chunk)

    return emitted(distance)


_scaled_distance, _white_distance = _distance(scaled=True), _distance(scaled=False)


# ------------------------------------------------------------------------------------------------
# Responsibilities


def _normaliser(weighted: bool) -> Any:
    """Log joint densities → e = exp(lp − top), in place, and share = w/Σe; Σ w (top + log Σe) is added to ``loglik``.

    It becomes NaN if a top is too low for the precision. Without weights several Σe, which lie between 1 and K, are
    multiplied before one logarithm is taken.
    """

    def normalise(v, joint, components, stride, rows, weights, share, loglik):
        builder = v.builder

        def chunk(s, state):
            places = [v.at(joint, s, u * v.lanes) for u in range(ABREAST)]

            def highest(k, tops):
                values = [v.load(place, builder.mul(k, stride)) for place in places]
                return [
                    builder.select(builder.fcmp_ordered(">", value, top), value, top)
                    for value, top in zip(values, tops, strict=True)
                ]

            tops = v.loop(1, components, 1, [v.load(place) for place in places], highest)
            if v.precision.lowest > -math.inf:
                lowest, nan = v.constant(v.precision.lowest), v.constant(math.nan)
                tops = [builder.select(builder.fcmp_ordered(">=", top, lowest), top, nan) for top in tops]

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
                    weight = v.load(weights, s, u * v.lanes)
                    v.store(v.div(weight, sums[u]), share, s, u * v.lanes)
                    density = v.add(v.widened(tops[u]), v.widened(v.log(sums[u])))
                    total = v.add(total, v.mul(v.widened(weight), density))
                return [total]
            product = reduce(v.mul, sums)
            inverse = v.div(v.constant(1.0), product)
            for u in range(ABREAST):
                others = reduce(v.mul, sums[:u] + sums[u + 1 :])
                v.store(v.mul(inverse, others), share, s, u * v.lanes)
                total = v.add(total, v.widened(tops[u]))
            return [v.add(total, v.widened(v.log(product)))]

        (total,) = v.totals(v.loop(0, rows, v.chunk, [v.widened(v.zero)], chunk))
        first = builder.extract_element(total, ir.Constant(_INTEGER, 0))
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


def _strip(triangle: bool) -> Any:
    """Sums over a tile of r y and of products r y yᵀ for the columns y = x − μ of a block row, added to a slot.

    The first forms r = e · share, in place of e, and adds Σ r. The products are those of the ``triangle``, and then
    y and r y are kept too, or else of its diagonal.
    """

    def strip(v, height, first, i, x, stride, means, m, r, q, share, y, z, rows, sums, slot):
        pairs = [(c, b) for c in range(height) for b in range(c + 1) if triangle or b == c]
        mean = [v.splat(means, m, i, c) for c in range(height)]
        offset = [v.builder.mul(stride, v.plus(i, c)) for c in range(height)]

        def step(s, totals):
            weight = v.load(r, q, s)
            if first:
                weight = v.mul(weight, v.load(share, s))
                v.store(weight, r, q, s)
            values = [v.sub(v.load(x, offset[c], s), mean[c]) for c in range(height)]
            weighted = [v.mul(weight, value) for value in values]
            if triangle:
                for c in range(height):
                    v.store(values[c], y, offset[c], s)
                    if not first:
                        v.store(weighted[c], z, v.times(stride, c), s)
            second = [v.fma(weighted[c], values[b], totals[n]) for n, (c, b) in enumerate(pairs)]
            moments = [v.add(weighted[c], totals[len(pairs) + c]) for c in range(height)]
            return second + moments + ([v.add(weight, totals[-1])] if first else [])

        totals = v.loop(0, rows, v.lanes, [v.zero] * (len(pairs) + height + first), step)
        places = [*range(len(pairs)), *range(FIRST_MOMENTS, FIRST_MOMENTS + height), TOTAL]
        v.add_totals(dict(zip(places, totals, strict=False)), sums, slot)

    return emitted_by_height(strip)


_triangle_strip, _square_strip = _strip(triangle=True), _strip(triangle=False)


@emitted_by_height
def _mean_strip(v, height, first, i, x, columns, stride, means, m, r, q, share, d, rows, sums, slot, slots):
    """Sums of r y over a tile for the columns y of a block row and two components, and over these two, into d.

    The first forms r = e · share, in place of e, and adds Σ r.
    """
    mean = [[v.splat(means, m, v.times(columns, k), i, c) for c in range(height)] for k in range(2)]
    offset = [v.builder.mul(stride, v.plus(i, c)) for c in range(height)]

    def step(s, totals):
        weights = [v.load(r, q, v.times(stride, k), s) for k in range(2)]
        new = []
        if first:
            weights = [v.mul(weight, v.load(share, s)) for weight in weights]
            for k in range(2):
                v.store(weights[k], r, q, v.times(stride, k), s)
                new.append(v.add(weights[k], totals[k]))
        for c in range(height):
            value, together = v.load(x, offset[c], s), v.load(d, offset[c], s)
            for k in range(2):
                y = v.sub(value, mean[k][c])
                together = v.fma(weights[k], y, together)
                new.append(v.fma(weights[k], y, totals[len(new)]))
            v.store(together, d, offset[c], s)
        return new

    totals = v.loop(0, rows, v.lanes, [v.zero] * (2 * (height + first)), step)
    places = [TOTAL] * first + [FIRST_MOMENTS + c for c in range(height)]
    for k in range(2):
        v.add_totals(dict(zip(places, totals[k::2], strict=True)), sums, v.builder.add(slot, v.times(slots, k)))


@emitted_by_height
def _rectangle(v, height, first, j, z, y, stride, rows, sums, slot):
    """Sums over a tile of (r y) yᵀ for the columns r y in z and those of y from j on, added to a slot."""
    del first
    offset = [v.builder.mul(stride, v.plus(j, b)) for b in range(height)]

    def step(s, totals):
        left = [v.load(z, v.times(stride, c), s) for c in range(BLOCK)]
        right = [v.load(y, offset[b], s) for b in range(height)]
        products = [(a, b) for a in left for b in right]
        return [v.fma(a, b, total) for (a, b), total in zip(products, totals, strict=True)]

    totals = v.loop(0, rows, v.lanes, [v.zero] * (BLOCK * height), step)
    v.add_totals(dict(enumerate(totals)), sums, slot)


@numba.njit
def _add_means(x, columns, stride, rows, means, m, r, q, share, d, sums, slot, slots):
    """Sums of r and r y for two more components, over the tile, and of r y over all components so far."""
    i, height = 0, _first_height(columns)
    while i < columns:
        _mean_strip(height, i, x, columns, stride, means, m, r, q, share, d, rows, sums, slot, slots)
        slot += SLOT
        i, height = i + height, BLOCK


@numba.njit
def _add_squares(x, columns, stride, rows, means, m, r, q, share, sums, slot):
    """Sums of r, r y and r y² of a tile under one component."""
    i, height = 0, _first_height(columns)
    while i < columns:
        _square_strip(height, i, x, stride, means, m, r, q, share, x, x, rows, sums, slot)
        slot += SLOT
        i, height = i + height, BLOCK


@numba.njit
def _add_products(x, columns, stride, rows, means, m, r, q, share, y, z, sums, slot):
    """Sums of r, r y and the lower triangle of r y yᵀ of a tile under one component; z takes BLOCK columns of r y."""
    i, height = 0, _first_height(columns)
    while i < columns:
        _triangle_strip(height, i, x, stride, means, m, r, q, share, y, z, rows, sums, slot)
        slot += SLOT
        j, width = 0, _first_height(columns)
        while j < i:
            _rectangle(width, j, z, y, stride, rows, sums, slot)
            slot += SLOT
            j, width = j + width, BLOCK
        i, height = i + height, BLOCK


@numba.njit
def _slots(columns, products):
    """Numbers that ``_add_products`` adds to, or the other two functions."""
    blocks = (columns + BLOCK - 1) // BLOCK
    return (blocks * (blocks + 1) // 2 if products else blocks) * SLOT


@numba.njit
def _read_means(sums, slot, columns, n, k, s1):
    """What ``_add_means`` has added up."""
    n[k] = sums[slot + TOTAL]
    i, height = 0, _first_height(columns)
    while i < columns:
        for c in range(height):
            s1[k, i + c] = sums[slot + FIRST_MOMENTS + c]
        slot += SLOT
        i, height = i + height, BLOCK


@numba.njit
def _read_squares(sums, slot, columns, k, s2):
    """What ``_add_squares`` has added up, beside what ``_add_means`` does."""
    i, height = 0, _first_height(columns)
    while i < columns:
        for c in range(height):
            s2[k, i + c] = sums[slot + c]
        slot += SLOT
        i, height = i + height, BLOCK


@numba.njit
def _read_products(sums, slot, columns, n, k, s1, s2):
    """What ``_add_products`` has added up; s2 is added to."""
    n[k] = sums[slot + TOTAL]
    i, height = 0, _first_height(columns)
    while i < columns:
        for c in range(height):
            s1[k, i + c] = sums[slot + FIRST_MOMENTS + c]
            for b in range(c + 1):
                s2[i + c, i + b] += sums[slot + c * (c + 1) // 2 + b]
                s2[i + b, i + c] = s2[i + c, i + b]
        slot += SLOT
        j, width = 0, _first_height(columns)
        while j < i:
            for c in range(height):
                for b in range(width):
                    s2[i + c, j + b] += sums[slot + c * width + b]
                    s2[j + b, i + c] = s2[i + c, j + b]
            slot += SLOT
            j, width = j + width, BLOCK
        i, height = i + height, BLOCK


@numba.njit
def _as_it_was(unit, shift):
    """Whether a tile is in the units of the rows, and about the means in force."""
    for d in range(len(unit)):
        if unit[d] != 1.0:
            return False
        for k in range(len(shift)):
            if shift[k, d] != 0.0:
                return False
    return True


@numba.njit
def _restore_products(frame, n, s1, s2):
    """Sums of r y yᵀ about the tile's means and in its units → about the means and in the units of the rows."""
    _, unit, shift, _, _ = frame
    if _as_it_was(unit, shift):
        return
    components, columns = s1.shape
    for k in range(components):
        products = s2[k % len(s2)]  # which is one for all where covariances are tied
        for i in range(columns):
            moved, back = s1[k, i] + n[k] * shift[k, i], shift[k, i]
            for j in range(columns):
                products[i, j] += moved * shift[k, j] + back * s1[k, j]
    per_unit = 1.0 / unit  # exact, for units are powers of two
    for products in s2:
        for i in range(columns):
            for j in range(columns):
                products[i, j] *= per_unit[i] * per_unit[j]


@numba.njit
def _restore_squares(frame, n, s1, s2):
    """The same for sums of r y²."""
    _, unit, shift, _, _ = frame
    components, columns = s1.shape
    for k in range(components):
        for i in range(columns):
            s2[k, i] += (2.0 * s1[k, i] + n[k] * shift[k, i]) * shift[k, i]
            s2[k, i] /= unit[i] * unit[i]


@numba.njit
def _restore_means(frame, place, weights, n, s1):
    """The same for sums of r y; what the log-likelihood lost by the shift and the rounding of the constants."""
    _, unit, shift, lost, highest = frame
    components, columns = s1.shape
    loglik = highest * (weights.sum() if len(weights) > 0 else place[4])
    for k in range(components):
        loglik += n[k] * lost[k]
        for i in range(columns):
            s1[k, i] = (s1[k, i] + n[k] * shift[k, i]) / unit[i]
    return loglik


# ------------------------------------------------------------------------------------------------
# Tiles


def _transposed(v: Lanes, rows: list[Any], width: int) -> list[Any]:
    """Vectors of the columns of as many rows as there are lanes, each a vector of ``width`` numbers (1, 2 or 4)."""

    def shuffled(a: Any, b: Any, places: list[int]) -> Any:
        return v.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))

    vectors = [rows[i::width] for i in range(width)]  # in which every so many-th row follows the other
    while len(vectors[0]) > 1:
        size = vectors[0][0].type.count
        vectors = [[shuffled(a, b, [*range(2 * size)]) for a, b in zip(g[::2], g[1::2], strict=True)] for g in vectors]
    columns, half = [group[0] for group in vectors], width // 2
    for _ in range(width.bit_length() - 1):
        pairs = list(zip(columns[:half], columns[half:], strict=True))
        orders = [
            [start + own + i for start in range(0, v.lanes, width) for i in part for own in (0, v.lanes)]
            for part in (range(half), range(half, width))
        ]
        columns = [shuffled(a, b, order) for a, b in pairs for order in orders]
    return columns


def _read_columns(v, kind, width, address, chosen, s, origin, unit, d, x, stride, o):
    """What ``_read`` does, for a known type of numbers and number of columns."""
    builder, own = v.builder, v.precision.number
    common = own if own == kind else _DOUBLE  # the arithmetic is in the wider one of both types
    wanted, piece = ir.VectorType(common, v.lanes), ir.VectorType(kind, width)

    def constant(array, c):
        number = builder.load(v.at(array, d, c))
        number = number if common == _DOUBLE else builder.fptrunc(number, common)
        one = builder.insert_element(ir.Constant(wanted, None), number, ir.Constant(_INTEGER, 0))
        return v.shuffle(one, one, [0] * v.lanes)

    frame = [(constant(origin, c), constant(unit, c)) for c in range(width)]
    for u in range(ABREAST):
        places = [builder.load(v.at(chosen, s, u * v.lanes + lane)) for lane in range(v.lanes)]
        pointers = [builder.inttoptr(builder.add(address, place), piece.as_pointer()) for place in places]
        rows = [builder.load(pointer, align=1) for pointer in pointers]
        for c, column in enumerate(_transposed(v, rows, width)):
            value = column if kind == common else builder.fpext(column, wanted)
            value = builder.fmul(builder.fsub(value, frame[c][0]), frame[c][1])
            value = value if own == common else builder.fptrunc(value, v.type)
            v.store(value, x, o, v.times(stride, c), u * v.lanes)


#: How many columns may be read at once, if they lie side by side: the most, few, or one.
TOGETHER, FEW = min(4, LANES), 2


@emitted
def _read(v, size, width, address, chosen, s, origin, unit, d, x, stride, o):
    """A chunk of rows of some columns from d on, less the origin, times the unit, to x.

    They lie ``chosen`` distances from an address; the numbers have that size in bytes.
    """
    builder = v.builder
    for kind, bits in ((_DOUBLE, 64), (ir.FloatType(), 32)):
        for known in sorted({TOGETHER, FEW, 1}):
            as_known = builder.icmp_signed("==", width, ir.Constant(_INTEGER, known))
            of_kind = builder.icmp_signed("==", size, ir.Constant(_INTEGER, bits // 8))
            with builder.if_then(builder.and_(as_known, of_kind)):
                _read_columns(v, kind, known, address, chosen, s, origin, unit, d, x, stride, o)


@emitted
def _prefetch(v, address):
    """Ask for the cache line at an address, which need not be valid."""
    pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
    function = cgutils.get_or_insert_function(v.builder.module, kind, "llvm.prefetch.p0")
    v.builder.call(function, [v.builder.inttoptr(address, pointer), *(ir.Constant(number, n) for n in (0, 2, 1))])


@numba.njit
def _aligned(size, like):
    """Numbers of that array's type that begin at the boundary of a cache line."""
    numbers = np.empty(size + LINE // like.itemsize, like.dtype)
    start = (-numbers.ctypes.data % LINE) // like.itemsize
    return numbers[start : start + size]


@numba.njit
def _tile_rows(columns, components, shortest, like):
    """Rows of a tile."""
    chunk = _chunk(like)
    rows = max(shortest, min(LONGEST, TILE_BYTES // columns)) // like.itemsize
    return max(chunk, min(rows, CACHE_BYTES // ((2 * columns + components) * like.itemsize)) // chunk * chunk)


@numba.njit
def _choose(place, weights, start, chosen, w):
    """The next rows that have weight; where it goes on, how many rows there are, and how many are used.

    Rows are used by the chunk: those left over repeat the last one, with weight 0. Weights that single precision may
    not hold become NaN.
    """
    row_step, stop, room, count, chunk = place[1], place[4], len(chosen), 0, _chunk(w)
    while start < stop and count < room:
        weight = weights[start] if len(weights) > 0 else 1.0
        if weight > 0:
            if w.itemsize == 4 and not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
                weight = np.nan
            chosen[count], w[count] = start * row_step, weight
            count += 1
        start += 1
    used = (count + chunk - 1) // chunk * chunk
    for s in range(count, used):
        chosen[s], w[s] = chosen[count - 1], 0.0
    return start, count, used


@numba.njit
def _load(place, weights, start, columns, frame, x, stride, chosen, w):
    """Fill a tile with the next rows that have weight, and say what ``_choose`` says."""
    address, _, column_step, size, _ = place
    origin, unit = frame[:2]
    start, count, used = _choose(place, weights, start, chosen, w)
    width = 1
    if column_step == size:
        width = TOGETHER if columns >= TOGETHER else min(columns, FEW)
    for s in range(0, used, _chunk(x)):
        for begin in range(0, columns, width):
            d = min(begin, columns - width)  # the last ones may be read again
            _read(size, width, address + d * column_step, chosen, s, origin, unit, d, x, stride, d * stride + s)
    return start, count, used


@numba.njit
def _fetch_ahead(place, start, columns, room, k, components):
    """Ask for part k of the rows of the next tile, if each row lies in one piece and few gaps lie between them."""
    address, row_step, column_step, _, stop = place
    if 0 < column_step < row_step <= 2 * columns * column_step:
        size = min(room, stop - start) * row_step
        begin = address + start * row_step
        for line in range(begin + size * k // components, begin + size * (k + 1) // components, 64):
            _prefetch(line)


@numba.njit
def _tile(columns, components, shortest, like):
    """Room for a tile and for the densities of its rows: rows, stride, x, joint, share, w, chosen."""
    room = _tile_rows(columns, components, shortest, like)
    stride = room + LINE // like.itemsize
    x, joint = _aligned(columns * stride, like), _aligned(components * stride, like)
    return room, stride, x, joint, _aligned(room, like), _aligned(room, like), np.empty(room, np.intp)


@numba.njit
def _copy_joint(out, stride, rows, joint, start):
    """The densities of a tile, row by row; what overflowed on the way is −∞."""
    for k in range(joint.shape[1]):
        for s in range(rows):
            value = out[k * stride + s]
            joint[start + s, k] = -np.inf if np.isnan(value) else value


# ------------------------------------------------------------------------------------------------
# Passes over a block of rows: ``place`` says where it lies (address, steps of rows and columns, bytes of a number,
# how many rows). Those called joint_… write joint (B, K), those called sums_… n (K,), s1 (K, D) and s2, and
# return the log-likelihood.


@numba.njit
def _pack_all(whitening):
    """The panels of all components."""
    components, columns = whitening.shape[:2]
    size = _panel_size(columns)
    panel = np.empty(components * size, whitening.dtype)
    for k in range(components):
        _pack(whitening[k], panel, k * size)
    return size, panel


def joint_full(means, whitening, constants, frame, place, joint):
    """``log_joint`` of kind "full"."""
    components, columns = means.shape
    _, stride, x, out, _, w, chosen = _tile(columns, components, SHORTEST, means)
    y, mean, everything = _aligned(columns * _chunk(means), means), means.ravel(), np.empty(0)
    size, panel = _pack_all(whitening)
    start = np.intp(0)
    while start < len(joint):
        begin = start
        start, rows, used = _load(place, everything, start, columns, frame, x, stride, chosen, w)
        for k in range(components):
            _density(x, columns, stride, used, panel, k * size, mean, k * columns, y, constants, k, out)
        _copy_joint(out, stride, rows, joint, begin)


def sums_full(means, whitening, constants, frame, place, weights, n, s1, s2):
    """``accumulate`` of kind "full", s2 being (K, D, D)."""
    components, columns = means.shape
    room, stride, x, joint, share, w, chosen = _tile(columns, components, SHORTEST, means)
    y, z = _aligned(columns * stride, means), _aligned(BLOCK * stride, means)
    mean, loglik = means.ravel(), np.zeros(1)
    size, panel = _pack_all(whitening)
    slots = _slots(columns, True)
    sums = np.zeros(components * slots)
    start = np.intp(0)
    while start < place[4]:
        start, rows, used = _load(place, weights, start, columns, frame, x, stride, chosen, w)
        for k in range(components):
            _fetch_ahead(place, start, columns, room, k, components)
            _density(x, columns, stride, used, panel, k * size, mean, k * columns, y, constants, k, joint)
        _normalise(joint, components, stride, used, len(weights) > 0 or rows < used, w, share, loglik)
        if np.isnan(loglik[0]):
            return np.nan
        for k in range(components):
            m, q, slot = k * columns, k * stride, k * slots
            _add_products(x, columns, stride, used, mean, m, joint, q, share, y, z, sums, slot)
    for k in range(components):
        _read_products(sums, k * slots, columns, n, k, s1, s2[k])
    _restore_products(frame, n, s1, s2)
    return loglik[0] + _restore_means(frame, place, weights, n, s1)


def joint_diagonal(means, whitening, constants, frame, place, joint):
    """``log_joint`` of kind "diagonal"."""
    components, columns = means.shape
    _, stride, x, out, _, w, chosen = _tile(columns, components, SHORTEST_DIAGONAL, means)
    mean, scale, everything = means.ravel(), whitening.ravel(), np.empty(0)
    start = np.intp(0)
    while start < len(joint):
        begin = start
        start, rows, used = _load(place, everything, start, columns, frame, x, stride, chosen, w)
        for k in range(components):
            _scaled_distance(x, columns, stride, used, scale, mean, k * columns, constants, k, out)
        _copy_joint(out, stride, rows, joint, begin)


def sums_diagonal(means, whitening, constants, frame, place, weights, n, s1, s2):
    """``accumulate`` of kind "diagonal", s2 being (K, D)."""
    components, columns = means.shape
    room, stride, x, joint, share, w, chosen = _tile(columns, components, SHORTEST_DIAGONAL, means)
    mean, scale, loglik = means.ravel(), whitening.ravel(), np.zeros(1)
    slots = _slots(columns, False)
    sums = np.zeros(components * slots)
    start = np.intp(0)
    while start < place[4]:
        start, rows, used = _load(place, weights, start, columns, frame, x, stride, chosen, w)
        for k in range(components):
            _fetch_ahead(place, start, columns, room, k, components)
            _scaled_distance(x, columns, stride, used, scale, mean, k * columns, constants, k, joint)
        _normalise(joint, components, stride, used, len(weights) > 0 or rows < used, w, share, loglik)
        if np.isnan(loglik[0]):
            return np.nan
        for k in range(components):
            _add_squares(x, columns, stride, used, mean, k * columns, joint, k * stride, share, sums, k * slots)
    for k in range(components):
        _read_means(sums, k * slots, columns, n, k, s1)
        _read_squares(sums, k * slots, columns, k, s2)
    _restore_squares(frame, n, s1, s2)
    return loglik[0] + _restore_means(frame, place, weights, n, s1)


@numba.njit
def _whitened_means(means, whitening):
    """The mean m of the means, and A (μ_k − m), row after row.

    Distances between A (x − m) and these are exact to rounding beside the distances between the means, not beside
    themselves: for clusters 10⁶ widths apart, log densities to 10⁻¹⁰.
    """
    components, columns = means.shape
    centre, white = np.zeros(columns, means.dtype), np.zeros(components * columns, means.dtype)
    for d in range(columns):
        for k in range(components):
            centre[d] += means[k, d] / components
    for k in range(components):
        for d in range(columns):
            for j in range(d + 1):
                white[k * columns + d] += whitening[d, j] * (means[k, j] - centre[j])
    return centre, white


def joint_tied(means, whitening, constants, frame, place, joint):
    """``log_joint`` of kind "tied"."""
    components, columns = means.shape
    _, stride, x, out, _, w, chosen = _tile(columns, components, SHORTEST, means)
    y, white = _aligned(columns * _chunk(means), means), _aligned(columns * stride, means)
    everything = np.empty(0)
    centre, white_means = _whitened_means(means, whitening)
    panel, origin = np.empty(_panel_size(columns), means.dtype), np.intp(0)
    _pack(whitening, panel, origin)
    start = origin
    while start < len(joint):
        begin = start
        start, rows, used = _load(place, everything, start, columns, frame, x, stride, chosen, w)
        _whiten(x, columns, stride, used, panel, centre, y, white)
        for k in range(components):
            _white_distance(white, columns, stride, used, centre, white_means, k * columns, constants, k, out)
        _copy_joint(out, stride, rows, joint, begin)


def sums_tied(means, whitening, constants, frame, place, weights, n, s1, s2):
    """``accumulate`` of kind "tied", s2 being (D, D).

    Second moments of a row, with d = Σ_k γ_k (x − μ_k), are d dᵀ + Σ_{k<l} γ_k γ_l (μ_k − μ_l)(μ_k − μ_l)ᵀ: a sum of
    squares, and of its second part only Σ_n γ_nk γ_nl is needed. Components are taken two by two; if their number is
    odd, one more has no share of any row.
    """
    components, columns = means.shape
    even = components + components % 2
    room, stride, x, joint, share, w, chosen = _tile(columns, even, SHORTEST, means)
    y, z = _aligned(max(columns, components) * stride, means), _aligned(BLOCK * stride, means)
    white, d, inverse = _aligned(columns * stride, means), _aligned(columns * stride, means), _aligned(room, means)
    zeros, ones = np.zeros(columns + components, means.dtype), np.ones(room, means.dtype)
    loglik, origin = np.zeros(1), np.intp(0)
    centre, white_means = _whitened_means(means, whitening)
    mean, panel = np.zeros(even * columns, means.dtype), np.empty(_panel_size(columns), means.dtype)
    for m, value in enumerate(means.ravel()):
        mean[m] = value
    _pack(whitening, panel, origin)
    slots = _slots(columns, False)
    sums = np.zeros(even * slots)
    within, between = np.zeros(_slots(columns, True)), np.zeros(_slots(components, True))
    start = origin
    while start < place[4]:
        start, rows, used = _load(place, weights, start, columns, frame, x, stride, chosen, w)
        _whiten(x, columns, stride, used, panel, centre, y, white)
        for k in range(components):
            _fetch_ahead(place, start, columns, room, k, components)
            _white_distance(white, columns, stride, used, centre, white_means, k * columns, constants, k, joint)
        _normalise(joint, components, stride, used, len(weights) > 0 or rows < used, w, share, loglik)
        if np.isnan(loglik[0]):
            return np.nan
        for q in range(components * stride, even * stride):
            joint[q] = 0.0
        for q in range(columns * stride):
            d[q] = 0.0
        for k in range(0, components, 2):
            m, q, slot = k * columns, k * stride, k * slots
            _add_means(x, columns, stride, used, mean, m, joint, q, share, d, sums, slot, slots)
        for s in range(used):  # d and joint hold w γ each
            inverse[s] = 1.0 / max(w[s], 1e-300) if w[s] > 0 else 0.0
        _add_products(d, columns, stride, used, zeros, origin, inverse, origin, ones, y, z, within, origin)
        _add_products(joint, components, stride, used, zeros, origin, inverse, origin, ones, y, z, between, origin)
    for k in range(components):
        _read_means(sums, k * slots, columns, n, k, s1)
    unused, together = np.empty((1, columns + components)), np.zeros((components, components))
    _read_products(within, origin, columns, ones, origin, unused, s2)
    _read_products(between, origin, components, ones, origin, unused, together)
    _add_between(together, means.astype(np.float64), s2)
    _restore_products(frame, n, s1, s2.reshape(1, columns, columns))
    return loglik[0] + _restore_means(frame, place, weights, n, s1)


@numba.njit
def _add_between(together, means, s2):
    """Σ_{k<l} g_kl (μ_k − μ_l)(μ_k − μ_l)ᵀ added to s2, by eliminating one mean after the other; g is used up.

    The terms of a mean p are g_p (μ_p − c)(μ_p − c)ᵀ with g_p = Σ_k g_pk and c = Σ_k g_pk μ_k/g_p, and g_pk g_pl/g_p
    more for every pair k, l of the others: nothing is subtracted.
    """
    components, columns = means.shape
    for p in range(components - 1, 0, -1):
        total, shift = 0.0, np.zeros(columns)
        for k in range(p):
            total += together[p, k]
        if not total > 0:
            continue
        for k in range(p):
            part = together[p, k] / total
            for i in range(columns):
                shift[i] += part * (means[k, i] - means[p, i])
            for j in range(p):
                together[k, j] += part * together[p, j]
        for i in range(columns):
            for j in range(columns):
                s2[i, j] += total * shift[i] * shift[j]
