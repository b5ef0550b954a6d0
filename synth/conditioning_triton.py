"""What mel frames add to the WaveNet's gates, on the GPU and for all rows at once.

The twin of synth.conditioning. A matrix library chooses its method by the number of rows and
may round a row differently beside others; the product here takes rows in tiles of one size,
so each is summed in the same order however many there are.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from synth.conditioning import WaveNetState, gate_map
from synth.wavenet import Upsampling, WaveNet

ROWS, COLUMNS, STEP = 64, 64, 16
"""A program's tile of outputs, and how many inputs it takes at a time."""
WARPS = 4
SIGNATURE = {
    **dict.fromkeys(("x", "weight", "bias", "y"), "*fp32"),
    **dict.fromkeys(("count", "inputs", "outputs"), "i32"),
}
"""The kernel's run-time arguments, for compiling it ahead of time."""
SIZES = {"ROWS": ROWS, "COLUMNS": COLUMNS, "STEP": STEP}


class Conditioning:
    """For the triton sampler, on the device given. frames_at_once is None: any number."""

    frames_at_once = None

    def __init__(self, wavenet: WaveNet, device: torch.device) -> None:
        self._config = wavenet.config
        self._coarse, self._fine = (_to(device, *_map(u)) for u in wavenet.upsample)
        self._gates = _to(device, *gate_map(wavenet))

    @torch.no_grad()
    def __call__(self, frames: Tensor, state: WaveNetState) -> Tensor:
        """See synth.conditioning.Conditioning; everything stays on the device, and queued."""
        config, rows = self._config, len(frames)
        begun = state.started[:, None, None]
        before = torch.where(begun, state.frame, frames[:, :1])
        steps = _upsample(frames, before, self._coarse)
        # A stream's first substep is its own predecessor, as its first frame is.
        before = torch.where(begun, state.substep, steps[:, :1])
        heard = _upsample(steps, before, self._fine)
        added = linear(heard.flatten(0, 1), *self._gates)
        state.frame.copy_(frames[:, -1:])
        state.substep.copy_(steps[:, -1:])
        state.started.fill_(True)
        return added.view(rows, -1, config.layers, 2 * config.residual)


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


def _upsample(frames: Tensor, before: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
    """`Upsampling.forward`: (rows, n, mels) -> (rows, n * stride, mels)."""
    pairs = torch.cat([torch.cat([before, frames[:, :-1]], 1), frames], -1)
    return linear(pairs.flatten(0, 1), *weights).view(len(frames), -1, frames.shape[-1])


def _map(upsampling: Upsampling) -> tuple[Tensor, Tensor]:
    """Weight (2 * mels, stride * mels) and bias (stride * mels,)."""
    return upsampling.linear.weight.detach().T.contiguous(), upsampling.linear.bias.detach()


def _to(device: torch.device, *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(t.float().to(device) for t in tensors)
