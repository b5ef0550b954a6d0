"""Products of weights with few rows at once, for compiled loops.

A matrix lies in the order of use: tiles of 64 outputs, and of each tile the weights of one input
after those of the other. Its sums stay in registers while the inputs go by, and several rows share
each weight that was fetched. Sums are made in the order of the inputs, whatever stands beside a row
and however long a processor's vectors are. Plain loops do neither: they sum along the inputs, in an
order that the compiler chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor
from torch.nn.functional import pad

TILE = 64
"""Outputs summed side by side: four AVX-512 registers, eight of AVX2, sixteen of NEON."""

TOGETHER = 4 if binding.get_host_cpu_features().get("avx512f") else 1
"""Rows that read a weight at once: AVX-512 has registers for the sums of four, others for one."""


def tiled(matrix: Tensor) -> Tensor:
    """Tiles (tiles, inputs, TILE) of a matrix (outputs, inputs), the last one filled up with 0."""
    outputs, inputs = matrix.shape
    tiles = -(-outputs // TILE)
    filled = pad(matrix, (0, 0, 0, tiles * TILE - outputs))
    return filled.view(tiles, TILE, inputs).transpose(1, 2).contiguous()


def _summing(rows: int) -> Callable[..., None]:
    """An intrinsic: sums (rows, TILE) = x (rows, inputs) . tile. It is given weights and x, each
    with the place of its first number, as flat arrays, then sums and inputs."""

    def typed(
        typing: Any, weights: Any, at: Any, x: Any, start: Any, sums: Any, inputs: Any
    ) -> Any:
        signature = types.void(weights, at, x, start, sums, inputs)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            floats, i32 = ir.VectorType(ir.FloatType(), TILE), ir.IntType(32)

            def place(number: int, index: Any) -> Any:
                array = context.make_array(signature.args[number])(context, builder, args[number])
                return builder.gep(array.data, [index])

            def spread(value: Any) -> Any:
                blank = ir.Constant(floats, ir.Undefined)
                one = builder.insert_element(blank, value, ir.Constant(i32, 0))
                zeros = ir.Constant(ir.VectorType(i32, TILE), [0] * TILE)
                return builder.shuffle_vector(one, blank, zeros)

            _, at, _, start, _, inputs = args
            whole = inputs.type
            tile, heard = place(0, at), place(2, start)
            room = place(4, ir.Constant(whole, 0))
            zero = ir.Constant(floats, [0.0] * TILE)
            totals = [cgutils.alloca_once_value(builder, zero) for _ in range(rows)]
            with cgutils.for_range(builder, inputs, intp=whole) as loop:
                step = builder.gep(tile, [builder.mul(loop.index, ir.Constant(whole, TILE))])
                ready = builder.load(builder.bitcast(step, floats.as_pointer()), align=4)
                for row, total in enumerate(totals):
                    ahead = builder.mul(inputs, ir.Constant(whole, row))
                    value = builder.load(builder.gep(heard, [builder.add(ahead, loop.index)]))
                    part = builder.fmul(ready, spread(value), flags=("contract",))
                    made = builder.fadd(builder.load(total), part, flags=("contract",))
                    builder.store(made, total)
            for row, total in enumerate(totals):
                to = builder.gep(room, [ir.Constant(whole, row * TILE)])
                to = builder.bitcast(to, floats.as_pointer())
                builder.store(builder.load(total), to, align=4)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typed)


_sum_row, _sum_rows = _summing(1), _summing(TOGETHER)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_product(tiles, x, sums):
    """sums (batch, outputs) += x (batch, inputs) . matrix, as `tiled` has laid it; all float32,
    and x contiguous."""
    batch, inputs = x.shape
    outputs = sums.shape[1]
    room = np.empty((TOGETHER, TILE), np.float32)
    for tile in range(len(tiles)):
        at, first = tile * inputs * TILE, tile * TILE
        count, b = min(TILE, outputs - first), 0
        while b < batch:
            rows = TOGETHER if b + TOGETHER <= batch else 1
            if rows > 1:
                _sum_rows(tiles, at, x, b * inputs, room, inputs)
            else:
                _sum_row(tiles, at, x, b * inputs, room, inputs)
            for row in range(rows):
                for o in range(count):
                    sums[b + row, first + o] += room[row, o]
            b += rows
