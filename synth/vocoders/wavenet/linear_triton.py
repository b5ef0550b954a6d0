"""A linear map on the GPU that rounds a row the same way whatever the other rows are.

A matrix library chooses its method by the number of rows and may round a row differently
beside others; the product here takes rows in tiles of one size, so each is summed in the same
order however many there are.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

ROWS, COLUMNS, STEP = 64, 64, 16
"""A program's tile of outputs, and how many inputs it takes at a time."""
WARPS = 4
SIGNATURE = {
    **dict.fromkeys(("x", "weight", "bias", "y"), "*fp32"),
    **dict.fromkeys(("count", "inputs", "outputs"), "i32"),
}
"""The kernel's run-time arguments, for compiling it ahead of time."""
SIZES = {"ROWS": ROWS, "COLUMNS": COLUMNS, "STEP": STEP}


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (count, inputs) -> x @ weight + bias (count, outputs), float32, row by row the same.

    weight (inputs, outputs); bias (outputs,).
    """
    count, outputs = len(x), weight.shape[1]
    y = x.new_empty(count, outputs)
    grid = (triton.cdiv(count, ROWS), triton.cdiv(outputs, COLUMNS))
    linear_tile[grid](
        x.contiguous(), weight, bias, y, count, len(weight), outputs, **SIZES, num_warps=WARPS
    )
    return y


@triton.jit(do_not_specialize=["count"])
def linear_tile(
    x,  # (count, inputs) float32
    weight,  # (inputs, outputs) float32
    bias,  # (outputs,) float32
    y,  # (count, outputs) float32, written
    count,
    inputs,
    outputs,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
):
    """One tile of outputs."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    step = tl.arange(0, STEP)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, inputs, STEP):
        across, down = (start + step)[None, :], (start + step)[:, None]
        part = tl.load(x + row * inputs + across, mask=(row < count) & (across < inputs), other=0.0)
        fits = (down < inputs) & (column < outputs)
        matrix = tl.load(weight + down * outputs + column, mask=fits, other=0.0)
        # Three products of 11-bit halves on tensor cores: within a few units of float32.
        total = tl.dot(part, matrix, acc=total, input_precision="tf32x3")
    total += tl.load(bias + column, mask=column < outputs, other=0.0)
    tl.store(y + row * outputs + column, total, mask=(row < count) & (column < outputs))
