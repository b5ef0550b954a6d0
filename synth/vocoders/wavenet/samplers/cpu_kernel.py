"""The compiled half of cpu.py: the full-size WaveNet several times faster than real time.

What limits a core is fetching every weight anew for every sample and making it a number that it
can multiply. So weights are integers of 8 or 16 bits and activations of 16: processors multiply
those in pairs, twice as many at once as floats. Each row of a block of at most 64 inputs has a
scale of its own, chosen so that no sum can leave 32 bits; sums of blocks are float32.

Matrices lie in the order of use, pairs of inputs by tiles of 64 outputs: one pair is spread over
a vector of 64 sums, which stay in registers while the inputs go by. Rows share each tile while
it is near; neither they nor the block size can change a bit. What the conditioning adds,
and past taps of dilations of 16 and more, are known 16 samples ahead, and share their weights
likewise.

All in one file, because Numba's cache on disk heeds changes only in the outermost function's.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from synth.vocoders.wavenet.mulaw import CLASSES

TILE = 64
"""Outputs summed side by side: four AVX-512 registers, eight of AVX2, sixteen of NEON."""

AHEAD = 16
"""Samples for which past taps are summed at once, where the dilation allows."""

BESIDE = platform.machine() in ("x86_64", "AMD64")
"""Whether the two weights of a pair lie side by side: x86 has an instruction that multiplies
both and adds them. Others multiply one input by a row of weights and add that in place."""

TOGETHER = 4 if binding.get_host_cpu_features().get("avx512bw") else 1
"""Rows that read a tile at once where there are enough: AVX-512 has registers for the sums of four,
others for those of one."""

PEAK = 8191
"""The largest of the activations of a product as an integer; weights get the other bits."""

SMALLEST = np.float32(1e-20).view(np.int32)
"""Bits of the smallest that the largest activation is taken to be: silence has none."""

FETCHED_AHEAD = 2048
"""Bytes of weights asked for before their turn: a processor's own guess stops at each 4 KB."""

f32 = np.float32
# tanh as a ratio of odd over even powers, right to a few units in the last place (Eigen's
# coefficients), of a number clipped to where float32's tanh is 1.
TOP = f32(7.90531110763549805)
P1, P3, P5 = f32(4.89352455891786e-03), f32(6.37261928875436e-04), f32(1.48572235717979e-05)
P7, P9 = f32(5.12229709037114e-08), f32(-8.60467152213735e-11)
P11, P13 = f32(2.00018790482477e-13), f32(-2.76076847742355e-16)
Q0, Q2 = f32(4.89352518554385e-03), f32(2.26843463243900e-03)
Q4, Q6 = f32(1.18534705686654e-04), f32(1.19825839466702e-06)

# The Taylor series of 2 ** x.
LOG2_E = f32(1.4426950408889634)
E1, E2, E3 = f32(0.693147180559945), f32(0.240226506959101), f32(0.0555041086648216)
E4, E5, E6 = f32(0.00961812910762848), f32(0.00133335581464284), f32(0.000154035303933816)


class Matrix(NamedTuple):
    """Matrices of one size: weight * scale is meant.

    weights (count, tiles, blocks, pairs, TILE, 2) int16 or int8, or 2, TILE where not BESIDE;
    scales (count, tiles, blocks, TILE) float32.
    """

    weights: np.ndarray
    scales: np.ndarray


class PackedWeights(NamedTuple):
    """`WaveNetWeights`, its matrices as integers. mels (1,): channels of the conditioning that mel
    reads; guide reads the rest. They have scales of their own: a log mel is ten times as large."""

    dilations: np.ndarray
    embedding: np.ndarray
    past: Matrix
    now: Matrix
    mels: np.ndarray
    mel: Matrix
    guide: Matrix
    gate_bias: np.ndarray
    residual: Matrix
    residual_bias: np.ndarray
    skip: Matrix
    skip_bias: np.ndarray
    out: Matrix
    out_bias: np.ndarray
    end: Matrix
    end_bias: np.ndarray


class Block(NamedTuple):
    """Some rows' next n samples. conditioning (rows, n, channels); history, position and last as in
    `SamplerState`, moved on; draws (rows, n); forced (rows, n): what to go on with instead of
    the classes drawn, or (0, 0); drawn (rows, n): filled; logits (rows, n, 256): filled, unless
    (0, 0, 0)."""

    conditioning: np.ndarray
    history: np.ndarray
    position: np.ndarray
    last: np.ndarray
    draws: np.ndarray
    forced: np.ndarray
    drawn: np.ndarray
    logits: np.ndarray


class Scratch(NamedTuple):
    """A sample's sums, of every row; gates (layers, AHEAD, rows, outputs) of those ahead too;
    rounded (AHEAD * rows, inputs) int16 and unit (AHEAD * rows,): activations of products."""

    gates: np.ndarray
    x: np.ndarray
    skip: np.ndarray
    out: np.ndarray
    end: np.ndarray
    rounded: np.ndarray
    unit: np.ndarray


class Row(NamedTuple):
    """What `write_block` is given of a row: pointers to x (i16), unit and sums (float)."""

    x: Any
    unit: Any
    sums: Any


def write_block(
    builder: ir.IRBuilder,
    weights: Any,
    scales: Any,
    pairs: Any,
    rows: Sequence[Row],
    beside: bool = BESIDE,
) -> None:
    """Of each row, sums[j] += unit * scales[j] * (exact sum over pairs of weights * x), j < TILE.

    Pointers to weights (i16 or i8) and scales (float); pairs i64. Vectors of any processor, since
    plain loops neither keep their sums in registers nor multiply pairs. A row's sums do not depend
    on the others.
    """
    narrow = weights.type.pointee
    i16, i32, i64 = (ir.IntType(bits) for bits in (16, 32, 64))
    floats, whole = ir.VectorType(ir.FloatType(), TILE), ir.VectorType(i32, TILE)

    def load(pointer: Any, kind: Any, align: int) -> Any:
        return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=align)

    def spread(value: Any) -> Any:
        blank = ir.Constant(ir.VectorType(value.type, TILE), ir.Undefined)
        one = builder.insert_element(blank, value, ir.Constant(i32, 0))
        return builder.shuffle_vector(one, blank, ir.Constant(whole, [0] * TILE))

    def multiplied(one: Any, other: Any) -> Any:
        wide = ir.VectorType(i32, one.type.count)
        return builder.mul(builder.sext(one, wide), builder.sext(other, wide))

    def row_of_weights(pointer: Any, count: int) -> Any:
        loaded = load(pointer, ir.VectorType(narrow, count), narrow.width // 8)
        return loaded if narrow == i16 else builder.sext(loaded, ir.VectorType(i16, count))

    def loaded_beside(weights: Any) -> list[Any]:
        return [row_of_weights(weights, 2 * TILE)]

    def added_beside(loaded: list[Any], x: Any, total: Any) -> Any:
        couples = ir.VectorType(i16, 2 * TILE)
        pair = builder.bitcast(spread(load(x, i32, 2)), couples)
        product = multiplied(loaded[0], pair)
        halves = [ir.Constant(whole, list(range(n, 2 * TILE, 2))) for n in (0, 1)]
        one, other = (builder.shuffle_vector(product, product, half) for half in halves)
        return builder.add(total, builder.add(one, other))

    def loaded_in_turn(weights: Any) -> list[Any]:
        starts = [builder.gep(weights, [ir.Constant(i64, n * TILE)]) for n in (0, 1)]
        return [row_of_weights(start, TILE) for start in starts]

    def added_in_turn(loaded: list[Any], x: Any, total: Any) -> Any:
        for number, row in enumerate(loaded):
            value = spread(builder.load(builder.gep(x, [ir.Constant(i64, number)])))
            total = builder.add(total, multiplied(row, value))
        return total

    loaded, added = (loaded_beside, added_beside) if beside else (loaded_in_turn, added_in_turn)
    zero = ir.Constant(whole, [0] * TILE)
    totals = [cgutils.alloca_once_value(builder, zero) for _ in rows]
    with cgutils.for_range(builder, pairs, intp=i64) as loop:
        tile = builder.gep(weights, [builder.mul(loop.index, ir.Constant(i64, 2 * TILE))])
        _fetch(builder, tile, 2 * TILE)
        ready = loaded(tile)
        for row, total in zip(rows, totals, strict=True):
            pair = builder.gep(row.x, [builder.add(loop.index, loop.index)])
            builder.store(added(ready, pair, builder.load(total)), total)
    for row, total in zip(rows, totals, strict=True):
        summed = builder.sitofp(builder.load(total), floats)
        scale = builder.fmul(load(scales, floats, 4), spread(builder.load(row.unit)))
        summed = builder.fmul(summed, scale, flags=("contract",))
        summed = builder.fadd(summed, load(row.sums, floats, 4), flags=("contract",))
        builder.store(summed, builder.bitcast(row.sums, floats.as_pointer()), align=4)


def _fetch(builder: ir.IRBuilder, pointer: Any, weights: int) -> None:
    """Ask for as many weights as one step reads, FETCHED_AHEAD bytes later."""
    size = pointer.type.pointee.width // 8
    byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    for line in range(0, weights * size, 64):
        ahead = ir.Constant(ir.IntType(64), FETCHED_AHEAD + line)
        address = builder.gep(builder.bitcast(pointer, byte), [ahead])
        # To be read; kept in all caches; data.
        builder.call(prefetch, [address, *(ir.Constant(i32, n) for n in (0, 3, 1))])


def _adding(count: int) -> Callable[..., None]:
    """`write_block` of so many rows at places of arrays, which are contiguous and read as flat;
    rows of x begin `inputs` apart, and those of sums `width`."""

    def typed(
        typing: Any,
        weights: Any,
        at: Any,
        scales: Any,
        scale_at: Any,
        x: Any,
        start: Any,
        unit: Any,
        unit_at: Any,
        sums: Any,
        to: Any,
        pairs: Any,
        inputs: Any,
        width: Any,
    ) -> Any:
        arrays = (weights, at, scales, scale_at, x, start, unit, unit_at, sums, to)
        signature = types.void(*arrays, pairs, inputs, width)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def place(number: int, stride: Any = None, row: int = 0) -> Any:
                array = context.make_array(signature.args[number])(context, builder, args[number])
                index = args[number + 1]
                if row:
                    ahead = builder.mul(stride, ir.Constant(index.type, row))
                    index = builder.add(index, ahead)
                return builder.gep(array.data, [index])

            pairs, inputs, width = args[10:]
            one = ir.Constant(pairs.type, 1)
            rows = [
                Row(place(4, inputs, row), place(6, one, row), place(8, width, row))
                for row in range(count)
            ]
            write_block(builder, place(0), place(2), pairs, rows)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typed)


_add_row, _add_rows = _adding(1), _adding(TOGETHER)

compiled = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nnan", "nsz"}
)


@compiled
def walk(w, block):
    """Draw a block's samples."""
    conditioning, history, position, last, draws, forced, drawn, logits = block
    rows, n = draws.shape
    scratch = _new_scratch(w, rows)
    for begin in range(0, n, AHEAD):
        steps = min(AHEAD, n - begin)
        _start_gates(w, conditioning, begin, steps, scratch)
        _sum_past_ahead(w, history, position, steps, scratch)
        for s in range(steps):
            t = begin + s
            _next_logits(w, history, position, last, s, scratch)
            for b in range(rows):
                if logits.size:
                    logits[b, t] = scratch.end[b, :CLASSES]
                drawn[b, t] = _draw(scratch.end[b], draws[b, t])
                last[b] = forced[b, t] if forced.size else drawn[b, t]
                position[b] += 1


@compiled
def _new_scratch(w, rows):
    layers = len(w.residual_bias)
    widest = max(_inputs(w.skip), _inputs(w.now), _inputs(w.out), _inputs(w.end))
    widest = max(widest, _inputs(w.mel), _inputs(w.guide))
    return Scratch(
        np.zeros((layers, AHEAD, rows, _outputs(w.now)), np.float32),
        np.zeros((rows, _outputs(w.residual)), np.float32),
        np.zeros((rows, _outputs(w.skip)), np.float32),
        np.zeros((rows, _outputs(w.out)), np.float32),
        np.zeros((rows, _outputs(w.end)), np.float32),
        np.zeros((AHEAD * rows, widest), np.int16),
        np.zeros(AHEAD * rows, np.float32),
    )


@compiled
def _inputs(matrix):
    """Of a matrix, filled up to whole blocks."""
    return matrix.weights.shape[2] * matrix.weights.shape[3] * 2


@compiled
def _outputs(matrix):
    """Of a matrix, filled up to whole tiles."""
    return matrix.weights.shape[1] * TILE


@compiled
def _start_gates(w, conditioning, begin, steps, scratch):
    """Biases and what the conditioning of the next steps adds."""
    gates = scratch.gates
    layers, ahead, rows, _ = gates.shape
    width, mels = w.gate_bias.shape[1], w.mels[0]
    for s in range(steps):
        for b in range(rows):
            _round(conditioning[b, begin + s, :mels], scratch, s * rows + b)
    for layer in range(layers):
        for s in range(steps):
            for b in range(rows):
                gates[layer, s, b, :width] = w.gate_bias[layer]
        _add_ahead(w.mel, layer, scratch, 0, steps * rows, gates, layer * ahead * rows)
    if conditioning.shape[2] == mels:
        return
    for s in range(steps):
        for b in range(rows):
            _round(conditioning[b, begin + s, mels:], scratch, s * rows + b)
    for layer in range(layers):
        _add_ahead(w.guide, layer, scratch, 0, steps * rows, gates, layer * ahead * rows)


@compiled
def _sum_past_ahead(w, history, position, steps, scratch):
    """Add the past taps of the next steps, for all layers that know them already."""
    layers, ahead, rows, _ = scratch.gates.shape
    ring = 0
    for layer in range(layers):
        dilation = w.dilations[layer]
        if dilation >= AHEAD:
            for s in range(steps):
                for b in range(rows):
                    slot = ring + (position[b] + s) % dilation
                    _round(history[b, slot], scratch, s * rows + b)
            _add_ahead(w.past, layer, scratch, 0, steps * rows, scratch.gates, layer * ahead * rows)
        ring += dilation


@compiled
def _next_logits(w, history, position, last, s, scratch):
    """Fill scratch.end with the logits of sample s of those ahead; turns history on."""
    gates, x, skip, out, end, rounded, unit = scratch
    layers, ahead, rows, _ = gates.shape
    r = w.embedding.shape[1]
    ring = 0
    for b in range(rows):
        x[b, :r] = w.embedding[last[b]]
        skip[b, : len(w.skip_bias)] = w.skip_bias
        out[b, : len(w.out_bias)] = w.out_bias
        end[b, : len(w.end_bias)] = w.end_bias
    for layer in range(layers):
        dilation = w.dilations[layer]
        to = (layer * ahead + s) * rows
        if dilation < AHEAD:
            for b in range(rows):
                _round(history[b, ring + position[b] % dilation], scratch, b)
            _add(w.past, layer, scratch, 0, rows, gates, to)
        for b in range(rows):
            _round(x[b, :r], scratch, b)
            slot = ring + position[b] % dilation
            for i in range(r):
                history[b, slot, i] = x[b, i]
                x[b, i] += w.residual_bias[layer, i]
        _add(w.now, layer, scratch, 0, rows, gates, to)
        z, z_before = rows * (1 + layer % 2), rows * (2 - layer % 2)
        for b in range(rows):
            unit[z + b] = f32(1 / PEAK)
            for i in range(r):
                gated = _gated(gates[layer, s, b, i], gates[layer, s, b, r + i])
                rounded[z + b, i] = np.int16(np.floor(gated * f32(PEAK) + f32(0.5)))
        if layer:
            # One layer late: nothing waits for it, and it fills the wait for the gates.
            _add(w.skip, layer - 1, scratch, z_before, rows, skip, 0)
        _add(w.residual, layer, scratch, z, rows, x, 0)
        ring += dilation
    _add(w.skip, layers - 1, scratch, rows * (1 + (layers - 1) % 2), rows, skip, 0)
    for b in range(rows):
        _rectify(skip[b])
        _round(skip[b, : len(w.skip_bias)], scratch, b)
    _add(w.out, 0, scratch, 0, rows, out, 0)
    for b in range(rows):
        _rectify(out[b])
        _round(out[b, : len(w.out_bias)], scratch, b)
    _add(w.end, 0, scratch, 0, rows, end, 0)


@compiled
def _round(x, scratch, b):
    """scratch.rounded[b] * scratch.unit[b] = x, to 1 / PEAK of its largest number."""
    rounded = scratch.rounded[b]
    # Of positive floats the bits rise as they do, and a maximum of integers is made in vectors.
    bits = np.int32(SMALLEST)
    for i in range(len(x)):
        size = np.int32(np.float32(x[i]).view(np.int32) & np.int32(0x7FFFFFFF))
        bits = np.int32(max(bits, size))
    largest = np.int32(bits).view(np.float32)
    scratch.unit[b] = largest * f32(1 / PEAK)
    many = f32(PEAK) / largest
    for i in range(len(x)):
        rounded[i] = np.int16(np.floor(x[i] * many + f32(0.5)))


@compiled
def _add_ahead(matrix, number, scratch, start, rows, sums, first):
    """`_add` of many rows."""
    many = rows - rows % TOGETHER
    _add_many(matrix, number, scratch, start, many, sums, first)
    _add(matrix, number, scratch, start + many, rows - many, sums, first + many)


@compiled
def _add(matrix, number, scratch, start, rows, sums, first):
    """Add the matrix of that number times rounded[start + b] to row first + b of sums, b < rows."""
    weights, scales = matrix
    _, tiles, blocks, pairs, _, _ = weights.shape
    width, inputs = sums.shape[-1], scratch.rounded.shape[1]
    for tile in range(tiles):
        for block in range(blocks):
            at = (number * tiles + tile) * blocks + block
            for b in range(rows):
                _add_row(
                    weights,
                    at * pairs * 2 * TILE,
                    scales,
                    at * TILE,
                    scratch.rounded,
                    (start + b) * inputs + block * 2 * pairs,
                    scratch.unit,
                    start + b,
                    sums,
                    (first + b) * width + tile * TILE,
                    pairs,
                    inputs,
                    width,
                )


@compiled
def _add_many(matrix, number, scratch, start, rows, sums, first):
    """`_add` of a multiple of TOGETHER rows."""
    weights, scales = matrix
    _, tiles, blocks, pairs, _, _ = weights.shape
    width, inputs = sums.shape[-1], scratch.rounded.shape[1]
    for tile in range(tiles):
        for block in range(blocks):
            at = (number * tiles + tile) * blocks + block
            for b in range(0, rows, TOGETHER):
                _add_rows(
                    weights,
                    at * pairs * 2 * TILE,
                    scales,
                    at * TILE,
                    scratch.rounded,
                    (start + b) * inputs + block * 2 * pairs,
                    scratch.unit,
                    start + b,
                    sums,
                    (first + b) * width + tile * TILE,
                    pairs,
                    inputs,
                    width,
                )


@compiled
def _rectify(sums):
    for i in range(len(sums)):
        sums[i] = max(sums[i], np.float32(0))


@compiled
def _tanh_ratio(x):
    """Numerator and denominator of tanh(x)."""
    x = min(max(x, -TOP), TOP)
    s = x * x
    p = P1 + s * (P3 + s * (P5 + s * (P7 + s * (P9 + s * (P11 + s * P13)))))
    return x * p, Q0 + s * (Q2 + s * (Q4 + s * Q6))


@compiled
def _gated(a, b):
    """tanh(a) * sigmoid(b), at the price of one division."""
    p, q = _tanh_ratio(a)
    # sigmoid(b) = (1 + tanh(b / 2)) / 2
    v, w = _tanh_ratio(f32(0.5) * b)
    return f32(0.5) * p * (w + v) / (q * w)


@compiled
def _exp(x):
    """exp of x <= 0: 2 ** whole by its bits, times the Taylor series of 2 ** fraction."""
    y = max(x * LOG2_E, f32(-126))
    whole = np.floor(y + f32(0.5))
    f = y - whole
    power = f32(1) + f * (E1 + f * (E2 + f * (E3 + f * (E4 + f * (E5 + f * E6)))))
    return power * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@compiled
def _ranked(x):
    """Bits of a float as an integer that rises as the float does: maxima of these are made in
    vectors."""
    bits = np.int32(np.float32(x).view(np.int32))
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@compiled
def _unranked(bits):
    """The float that `_ranked` was given."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)


@compiled
def _draw(logits, u):
    """The class where the CDF first exceeds u; overwrites the logits."""
    most = _ranked(logits[0])
    for i in range(1, CLASSES):
        most = np.int32(max(most, _ranked(logits[i])))
    top = _unranked(most)
    for i in range(CLASSES):
        logits[i] = _exp(logits[i] - top)
    total = f32(0)
    for i in range(CLASSES):
        total += logits[i]
        logits[i] = total
    chosen = 0
    for i in range(CLASSES):
        chosen += logits[i] <= u * total
    return min(chosen, CLASSES - 1)
