"""The compiled half of sampler_cpu.py: one stream of the full-size WaveNet in real time.

What limits a core is fetching every weight anew for every sample, so they stay the half
precision numbers that a bank holds: 1.7 MB, which fit a cache of 2 MB. Sums are float32.

Matrices lie input-major in tiles of 64 outputs: one input is spread over a vector of 64 sums,
which stay in registers while the inputs go by. The order of each sum is fixed, so neither the
block size nor other rows can change a bit. Past taps of dilations of 16 and more are known 16
samples ahead: their products are made for 16 samples while the weights are near. The skip
paths are one long product over all layers' z.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from synth.mulaw import CLASSES

TILE = 64
"""Outputs summed side by side: four AVX-512 registers, eight of AVX2."""

AHEAD = 16
"""Samples for which past taps are summed at once, where the dilation allows."""

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


class PackedWeights(NamedTuple):
    """Matrices as the bits of float16 (..., tiles, inputs, TILE), the rest float32.

    int16 stands for float16, which Numba does not take on a CPU.
    """

    dilations: np.ndarray
    embedding: np.ndarray
    past: np.ndarray
    now: np.ndarray
    residual: np.ndarray
    residual_bias: np.ndarray
    skip: np.ndarray
    skip_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray
    end: np.ndarray
    end_bias: np.ndarray


class Scratch(NamedTuple):
    """Sums and inputs of one sample; gates (layers, AHEAD, outputs) of those ahead too."""

    gates: np.ndarray
    x: np.ndarray
    z: np.ndarray
    skip: np.ndarray
    out: np.ndarray
    end: np.ndarray


@intrinsic
def _add_tile(
    typing: Any, tiles: Any, at: Any, x: Any, start: Any, count: Any, sums: Any, to: Any
) -> Any:
    """sums[to + j] += sum over k < count of tiles[at + k * TILE + j] * x[start + k], j < TILE.

    The arrays, contiguous, are read as flat. Written as vector code because plain loops do
    not keep their sums in registers.
    """
    signature = types.void(tiles, at, x, start, count, sums, to)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(number: int) -> Any:
            array = context.make_array(signature.args[number])(context, builder, args[number])
            return array.data

        def vector(number: int, index: Any, element: Any) -> Any:
            start = builder.gep(pointer(number), [index])
            return builder.bitcast(start, ir.VectorType(element, TILE).as_pointer())

        _, at, _, start, count, _, to = args
        floats = ir.VectorType(ir.FloatType(), TILE)
        blank = ir.Constant(floats, ir.Undefined)
        first = ir.Constant(ir.VectorType(ir.IntType(32), TILE), [0] * TILE)
        target = vector(5, to, ir.FloatType())
        total = cgutils.alloca_once_value(builder, builder.load(target, align=4))
        with cgutils.for_range(builder, count) as loop:
            value = builder.load(builder.gep(pointer(2), [builder.add(start, loop.index)]))
            spread = builder.insert_element(blank, value, ir.Constant(ir.IntType(32), 0))
            spread = builder.shuffle_vector(spread, blank, first)
            row = builder.add(at, builder.mul(loop.index, ir.Constant(at.type, TILE)))
            weights = builder.load(vector(0, row, ir.HalfType()), align=2)
            weights = builder.fpext(weights, floats)
            product = builder.fmul(weights, spread, flags=("contract",))
            summed = builder.fadd(product, builder.load(total), flags=("contract",))
            builder.store(summed, total)
        builder.store(builder.load(total), target, align=4)
        return context.get_dummy_value()

    return signature, generate


compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})


@compiled
def walk(w, conditioning, history, position, last, draws, forced, drawn, logits):
    """Fill drawn (batch, n), and logits where it has room; forced (batch, n) or empty."""
    scratch = _new_scratch(w)
    batch, n = draws.shape
    for b in range(batch):
        for begin in range(0, n, AHEAD):
            steps = min(AHEAD, n - begin)
            for s in range(steps):
                _start_gates(conditioning[b, begin + s], scratch.gates, s)
            _sum_past_ahead(w, history[b], position[b], steps, scratch.gates)
            for s in range(steps):
                t = begin + s
                _next_logits(w, history[b], position[b], last[b], s, scratch)
                if logits.size:
                    logits[b, t] = scratch.end[:CLASSES]
                drawn[b, t] = _draw(scratch.end, draws[b, t])
                last[b] = forced[b, t] if forced.size else drawn[b, t]
                position[b] += 1


@compiled
def _new_scratch(w):
    layers, r = w.residual_bias.shape
    return Scratch(
        np.zeros((layers, AHEAD, w.now.shape[1] * TILE), np.float32),
        np.zeros(w.residual.shape[1] * TILE, np.float32),
        np.zeros(layers * r, np.float32),
        np.zeros(w.skip.shape[0] * TILE, np.float32),
        np.zeros(w.out.shape[0] * TILE, np.float32),
        np.zeros(w.end.shape[0] * TILE, np.float32),
    )


@compiled
def _start_gates(added, gates, s):
    layers, width = added.shape
    for layer in range(layers):
        for i in range(width):
            gates[layer, s, i] = added[layer, i]


@compiled
def _sum_past_ahead(w, history, position, steps, gates):
    """Add the past taps of the next steps, for all layers that know them already."""
    layers, ahead, width = gates.shape
    ring = 0
    for layer in range(layers):
        dilation = w.dilations[layer]
        if dilation >= AHEAD:
            for s in range(steps):
                slot = ring + (position + s) % dilation
                to = (layer * ahead + s) * width
                _add(w.past, layer, history, slot * history.shape[1], gates, to, width)
        ring += dilation


@compiled
def _next_logits(w, history, position, last, s, scratch):
    """Fill scratch.end with the logits of sample s of those ahead; turns history on."""
    gates, x, z, skip, out, end = scratch
    layers, ahead, width = gates.shape
    r = history.shape[1]
    ring = 0
    for i in range(r):
        x[i] = w.embedding[last, i]
    for layer in range(layers):
        dilation = w.dilations[layer]
        slot = ring + position % dilation
        to = (layer * ahead + s) * width
        if dilation < AHEAD:
            _add(w.past, layer, history, slot * r, gates, to, width)
        _add(w.now, layer, x, 0, gates, to, width)
        for i in range(r):
            history[slot, i] = x[i]
            x[i] += w.residual_bias[layer, i]
            z[layer * r + i] = _gated(gates[layer, s, i], gates[layer, s, r + i])
        _add(w.residual, layer, z, layer * r, x, 0, len(x))
        ring += dilation
    _linear(w.skip, w.skip_bias, z, skip)
    _rectify(skip)
    _linear(w.out, w.out_bias, skip, out)
    _rectify(out)
    _linear(w.end, w.end_bias, out, end)


@compiled
def _add(matrices, number, x, start, sums, to, width):
    """sums[to : to + width] += the matrix of that number (tiles, inputs, TILE) @ x[start:]."""
    inputs = matrices.shape[2]
    for tile in range(0, width, TILE):
        at = (number * width + tile) * inputs
        _add_tile(matrices, at, x, start, inputs, sums, to + tile)


@compiled
def _linear(matrix, bias, x, sums):
    """sums = matrix @ x + bias."""
    sums[: len(bias)] = bias
    inputs = matrix.shape[1]
    for tile in range(0, len(sums), TILE):
        _add_tile(matrix, tile * inputs, x, 0, inputs, sums, tile)


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
def _draw(logits, u):
    """The class where the CDF first exceeds u; overwrites the logits."""
    top = logits[0]
    for i in range(1, CLASSES):
        top = max(top, logits[i])
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
