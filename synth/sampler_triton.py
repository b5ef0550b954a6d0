"""The WaveNet sampler for a GPU: many streams at once, a whole block in one launch.

Each program carries STREAMS streams through all layers and all samples of the block: the
matrix products of a layer are (STREAMS, R) x (R, outputs) on tensor cores, in half precision
with float32 sums, and the weights stream from the L2 cache, which all programs share. Nothing
passes between programs, so neither the batch nor the block can change a class.

The kernel is written for any power of two of residual channels from 16 and skip channels from
16; under TRITON_INTERPRET=1 it runs on the CPU, which is how it is tested without a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from synth.mulaw import CLASSES
from synth.sampler import SamplerState, check_inputs, round_weights
from synth.wavenet import WaveNetWeights

STREAMS = 16
"""Rows of a tensor core's tile: fewer streams cost as much."""
COLUMNS = 64
"""Columns of an output matrix taken at a time: 32 KB of it at 256 rows."""
WARPS = 8
"""With 4, the tiles of a full-size network spill registers."""

SIGNATURE = {
    **dict.fromkeys(("embedding", "gates", "residual", "skip", "out", "end"), "*fp16"),
    **dict.fromkeys(("residual_bias", "skip_bias", "out_bias", "end_bias"), "*fp32"),
    **dict.fromkeys(("conditioning", "draws", "history", "logits", "scores"), "*fp32"),
    **dict.fromkeys(("position", "last", "forced", "drawn"), "*i64"),
    **dict.fromkeys(("batch", "n", "layers", "slots"), "i32"),
    "rings": "*i32",
    "hiddens": "*fp16",
}
"""The kernel's run-time arguments, for compiling it ahead of time."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Weights on the device. Matrices are float16, inputs by outputs, one after the other:
    embedding (256, R); gates (L, 4, R, R): tanh and sigmoid halves of the past tap, then of
    the present one; residual (L, R, R); skip (L, R, S); out (S, S); end (S, 256). Biases are
    float32. rings (L, 2) int32: each layer's first slot in the history, and its dilation."""

    dilations: tuple[int, ...]
    embedding: Tensor
    gates: Tensor
    residual: Tensor
    residual_bias: Tensor
    skip: Tensor
    skip_bias: Tensor
    out: Tensor
    out_bias: Tensor
    end: Tensor
    end_bias: Tensor
    rings: Tensor


def pack(weights: WaveNetWeights, device: str = "cuda") -> Packed:
    """See synth.sampler.Sampler. Raises ValueError for sizes that the kernel cannot take."""
    weights = round_weights(weights)
    residual, skip = weights.embedding.shape[1], len(weights.out_bias)
    for name, size in (("residual", residual), ("skip", skip)):
        if size < 16 or size & (size - 1):
            raise ValueError(f"{name} is {size}; the triton sampler needs a power of two from 16")

    def half(t: Tensor) -> Tensor:
        return t.half().contiguous().to(device)

    past, now = weights.past.mT.unflatten(-1, (2, -1)), weights.now.mT.unflatten(-1, (2, -1))
    gates = torch.stack([past[:, :, 0], past[:, :, 1], now[:, :, 0], now[:, :, 1]], 1)
    starts = [sum(weights.dilations[:layer]) for layer in range(len(weights.dilations))]
    rings = torch.tensor(list(zip(starts, weights.dilations, strict=True)), dtype=torch.int32)
    return Packed(
        weights.dilations,
        half(weights.embedding),
        half(gates),
        half(weights.residual.mT),
        weights.residual_bias.to(device),
        half(weights.skip.mT),
        weights.skip_bias.to(device),
        half(weights.out.mT),
        weights.out_bias.to(device),
        half(weights.end.mT),
        weights.end_bias.to(device),
        rings.to(device),
    )


def sample(
    packed: Packed, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """See synth.sampler.Sampler."""
    _, drawn = _launch(packed, conditioning, state, draws, None)
    return drawn, state


def follow(
    packed: Packed, conditioning: Tensor, state: SamplerState, draws: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor, SamplerState]:
    """See synth.sampler.Sampler."""
    logits, drawn = _launch(packed, conditioning, state, draws, classes)
    return logits, drawn, state


def sizes(residual: int, skip: int, forced: bool) -> dict[str, int | bool]:
    """The kernel's compile-time constants for a network's channels."""
    columns = min(COLUMNS, skip)
    return {"R": residual, "S": skip, "A": CLASSES, "M": STREAMS, "C": columns, "FORCED": forced}


def _launch(
    packed: Packed,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    forced: Tensor | None,
) -> tuple[Tensor, Tensor]:
    residual, skip = packed.embedding.shape[1], len(packed.out_bias)
    check_inputs(conditioning, state, draws, packed.dilations, residual, forced)
    batch, n = draws.shape
    drawn = torch.empty(batch, n, dtype=torch.int64, device=draws.device)
    logits = draws.new_empty((batch, n, CLASSES) if forced is not None else (1,))
    programs = triton.cdiv(batch, STREAMS)
    rows = programs * STREAMS
    wide[(programs,)](
        packed.embedding,
        packed.gates,
        packed.residual,
        packed.residual_bias,
        packed.skip,
        packed.skip_bias,
        packed.out,
        packed.out_bias,
        packed.end,
        packed.end_bias,
        packed.rings,
        conditioning.contiguous(),
        draws.contiguous(),
        state.history,
        state.position,
        state.last,
        drawn if forced is None else forced.contiguous(),
        drawn,
        logits,
        torch.empty(rows, skip, dtype=torch.float16, device=draws.device),
        torch.empty(rows, CLASSES, device=draws.device),
        batch,
        n,
        len(packed.dilations),
        sum(packed.dilations),
        **sizes(residual, skip, forced is not None),
        num_warps=WARPS,
    )
    return logits, drawn


@triton.jit
def wide(
    embedding,  # (A, R) float16
    gates,  # (layers, 4, R, R) float16
    residual,  # (layers, R, R) float16
    residual_bias,  # (layers, R) float32
    skip,  # (layers, R, S) float16
    skip_bias,  # (S,) float32
    out,  # (S, S) float16
    out_bias,  # (S,) float32
    end,  # (S, A) float16
    end_bias,  # (A,) float32
    rings,  # (layers, 2) int32
    conditioning,  # (batch, n, layers, 2R) float32
    draws,  # (batch, n) float32
    history,  # (batch, slots, R) float32, turned on in place
    position,  # (batch,) int64, moved on in place
    last,  # (batch,) int64, overwritten
    forced,  # (batch, n) int64, read if FORCED
    drawn,  # (batch, n) int64, written
    logits,  # (batch, n, A) float32, written if FORCED
    hiddens,  # (programs * M, S) float16, passes a layer's output from thread to thread
    scores,  # (programs * M, A) float32, likewise
    batch,
    n,
    layers,
    slots,
    R: tl.constexpr,
    S: tl.constexpr,
    A: tl.constexpr,
    M: tl.constexpr,
    C: tl.constexpr,
    FORCED: tl.constexpr,
):
    """All layers of n samples for M rows of the batch."""
    row = tl.program_id(0) * M + tl.arange(0, M)
    live = row < batch
    r, s, a, c = tl.arange(0, R), tl.arange(0, S), tl.arange(0, A), tl.arange(0, C)
    square = r[:, None] * R + r[None, :]
    tile = r[:, None] * S + s[None, :]
    wide_row = row.to(tl.int64)
    own = wide_row[:, None] * slots * R + r[None, :]
    start = tl.load(position + row, mask=live, other=0)
    now = tl.load(last + row, mask=live, other=0)
    for t in range(n):
        x = tl.load(embedding + now[:, None] * R + r[None, :]).to(tl.float32)
        total = tl.zeros((M, S), tl.float32) + tl.load(skip_bias + s)[None, :]
        for layer in range(layers):
            first = tl.load(rings + 2 * layer)
            dilation = tl.load(rings + 2 * layer + 1)
            slot = first + ((start + t) % dilation)
            place = history + own + slot[:, None] * R
            past = tl.load(place, mask=live[:, None], other=0.0).to(tl.float16)
            tl.store(place, x, mask=live[:, None])
            added = conditioning + ((wide_row * n + t) * layers + layer)[:, None] * (2 * R)
            half = x.to(tl.float16)
            matrix = gates + layer * 4 * R * R + square
            tanh = tl.load(added + r[None, :], mask=live[:, None], other=0.0)
            tanh = tl.dot(past, tl.load(matrix), acc=tanh)
            tanh = tl.dot(half, tl.load(matrix + 2 * R * R), acc=tanh)
            sigmoid = tl.load(added + R + r[None, :], mask=live[:, None], other=0.0)
            sigmoid = tl.dot(past, tl.load(matrix + R * R), acc=sigmoid)
            sigmoid = tl.dot(half, tl.load(matrix + 3 * R * R), acc=sigmoid)
            # tanh by way of sigmoid: one exponential each, and none can overflow to NaN.
            z = ((2 * tl.sigmoid(2 * tanh) - 1) * tl.sigmoid(sigmoid)).to(tl.float16)
            total = tl.dot(z, tl.load(skip + layer * R * S + tile), acc=total)
            x += tl.load(residual_bias + layer * R + r)[None, :]
            x = tl.dot(z, tl.load(residual + layer * R * R + square), acc=x)
        hidden = tl.maximum(total, 0.0).to(tl.float16)
        # A whole output matrix would not fit the shared memory of smaller chips.
        for column in range(0, S, C):
            part = tl.zeros((M, C), tl.float32) + tl.load(out_bias + column + c)[None, :]
            part = tl.dot(hidden, tl.load(out + column + s[:, None] * S + c[None, :]), acc=part)
            half = tl.maximum(part, 0.0).to(tl.float16)
            tl.store(hiddens + wide_row[:, None] * S + column + c[None, :], half)
        tl.debug_barrier()
        hidden = tl.load(hiddens + wide_row[:, None] * S + s[None, :])
        for column in range(0, A, C):
            part = tl.zeros((M, C), tl.float32) + tl.load(end_bias + column + c)[None, :]
            part = tl.dot(hidden, tl.load(end + column + s[:, None] * A + c[None, :]), acc=part)
            tl.store(scores + wide_row[:, None] * A + column + c[None, :], part)
        tl.debug_barrier()
        score = tl.load(scores + wide_row[:, None] * A + a[None, :])
        chance = tl.exp(score - tl.max(score, 1)[:, None])
        u = tl.load(draws + wide_row * n + t, mask=live, other=0.0) * tl.sum(chance, 1)
        passed = (tl.cumsum(chance, 1) <= u[:, None]).to(tl.int32)
        choice = tl.minimum(tl.sum(passed, 1), A - 1).to(tl.int64)
        tl.store(drawn + wide_row * n + t, choice, mask=live)
        if FORCED:
            place = logits + (wide_row * n + t)[:, None] * A + a[None, :]
            tl.store(place, score, mask=live[:, None])
            now = tl.load(forced + wide_row * n + t, mask=live, other=0)
        else:
            now = choice
        # What this sample put into memory, the next may read through other threads.
        tl.debug_barrier()
    tl.store(position + row, start + n, mask=live)
    tl.store(last + row, now, mask=live)
