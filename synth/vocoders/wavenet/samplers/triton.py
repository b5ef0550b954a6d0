"""The WaveNet sampler for a GPU: many streams at once, a whole block in two launches.

The first maps the conditioning of the whole block to all layers' gates. In the second, each
program carries STREAMS streams through all layers and all samples: the matrix products of a
layer are (STREAMS, R) x (R, outputs) on tensor cores, in half precision with float32 sums, and
the weights stream from the L2 cache, which all programs share. Nothing passes between
programs, so neither the batch nor the block can change a class.

The kernel takes any power of two of residual channels from 16 to 128 and of skip channels
from 16 to 512; under TRITON_INTERPRET=1 it runs on the CPU, which is how it is tested without
a GPU. What it should cost, and why there is no second kernel that spreads the layers over
programs, is worked out in benchmarks/measures/gpu_model.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from synth.vocoders.wavenet.linear_triton import linear
from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.network import WaveNetWeights
from synth.vocoders.wavenet.samplers.contract import SamplerState, check_inputs, round_weights

STREAMS = 16
"""Rows of a tensor core's tile: fewer streams cost as much."""
TILE = 16_384
"""Elements of an output matrix taken at a time: 32 KB."""
WARPS = 8
"""With 4, the tiles of a full-size network spill registers."""
SCRATCH_BYTES = 8_192
"""Shared memory for what threads exchange within a layer, beside one tile of skip channels."""

SIGNATURE = {
    **dict.fromkeys(("embedding", "gates", "residual", "skip", "out", "end"), "*fp16"),
    **dict.fromkeys(("residual_bias", "skip_bias", "out_bias", "end_bias"), "*fp32"),
    **dict.fromkeys(("begun", "draws", "history", "logits"), "*fp32"),
    **dict.fromkeys(("position", "last", "forced", "drawn"), "*i64"),
    **dict.fromkeys(("batch", "n", "layers", "slots"), "i32"),
    "rings": "*i32",
}
"""The kernel's run-time arguments, for compiling it ahead of time."""


@dataclass(frozen=True, slots=True)
class TritonWeights:
    """Weights on the device. Matrices are float16, inputs by outputs, one after the other:
    embedding (256, R); gates (L, 4, R, R): tanh and sigmoid halves of the past tap, then of
    the present one; residual (L, R, R); skip (L, R, S); out (S, S); end (S, 256). Biases are
    float32. conditioning (channels, L * 2R) and gate_bias (L * 2R,) float32: from conditioning to
    gates. rings (L, 2) int32: each layer's first slot in the history, and its dilation. stages:
    the launch's, see `stages`."""

    dilations: tuple[int, ...]
    embedding: Tensor
    conditioning: Tensor
    gate_bias: Tensor
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
    stages: int


def device() -> torch.device:
    """Where the sampler runs. Raises ValueError without a GPU, unless it is interpreted."""
    if not isinstance(wide, triton.JITFunction):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError("sampler 'triton' needs an NVIDIA GPU; PyTorch finds none here")
    return torch.device("cuda")


def pack(weights: WaveNetWeights) -> TritonWeights:
    """See the Sampler contract. Raises ValueError for sizes that the kernel cannot take."""
    weights, place = round_weights(weights), device()
    residual, skip = weights.embedding.shape[1], len(weights.out_bias)
    check_sizes(residual, skip, weights.dilations)

    def half(t: Tensor) -> Tensor:
        return t.half().contiguous().to(place)

    past, now = weights.past.mT.unflatten(-1, (2, -1)), weights.now.mT.unflatten(-1, (2, -1))
    gates = torch.stack([past[:, :, 0], past[:, :, 1], now[:, :, 0], now[:, :, 1]], 1)
    starts = [sum(weights.dilations[:layer]) for layer in range(len(weights.dilations))]
    rings = torch.tensor(list(zip(starts, weights.dilations, strict=True)), dtype=torch.int32)
    return TritonWeights(
        weights.dilations,
        half(weights.embedding),
        weights.conditioning.flatten(0, 1).T.contiguous().to(place),
        weights.gate_bias.flatten().to(place),
        half(gates),
        half(weights.residual.mT),
        weights.residual_bias.to(place),
        half(weights.skip.mT),
        weights.skip_bias.to(place),
        half(weights.out.mT),
        weights.out_bias.to(place),
        half(weights.end.mT),
        weights.end_bias.to(place),
        rings.to(place),
        stages(residual, skip, _shared_bytes()) if place.type == "cuda" else 1,
    )


def check_sizes(residual: int, skip: int, dilations: tuple[int, ...]) -> None:
    """Refuse, by ValueError, a network that the kernel cannot take."""
    for name, size, most in (("residual", residual, 128), ("skip", skip, 512)):
        if not 16 <= size <= most or size & (size - 1):
            fitting = f"a power of two from 16 to {most}"
            raise ValueError(f"{name} is {size}; the triton sampler needs {fitting}")
    if any(d & (d - 1) for d in dilations):
        raise ValueError(f"dilations are {dilations}; the triton sampler needs powers of two")


def sample(
    packed: TritonWeights, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """See the Sampler contract."""
    _, drawn = _launch(packed, conditioning, state, draws, None)
    return drawn, state


def follow(
    packed: TritonWeights, conditioning: Tensor, state: SamplerState, draws: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor, SamplerState]:
    """See the Sampler contract."""
    logits, drawn = _launch(packed, conditioning, state, draws, classes)
    return logits, drawn, state


def sizes(residual: int, skip: int, forced: bool) -> dict[str, int | bool]:
    """The kernel's compile-time constants for a network's channels."""
    columns = min(64, skip, TILE // skip)
    return {"R": residual, "S": skip, "A": CLASSES, "M": STREAMS, "C": columns, "FORCED": forced}


def stages(residual: int, skip: int, shared_bytes: int) -> int:
    """How far ahead the compiler may have matrices copied: 3 for two layers' in shared memory,
    2 for one, 1 for none."""
    layer = 2 * (5 * residual * residual + residual * skip)
    outputs = 2 * sizes(residual, skip, False)["C"] * (skip + CLASSES)
    left = shared_bytes - 2 * STREAMS * skip - SCRATCH_BYTES
    return 1 + min(2, left // max(layer, outputs))


def _shared_bytes() -> int:
    """Shared memory that one program may have on this GPU."""
    index = torch.cuda.current_device()
    return triton.runtime.driver.active.utils.get_device_properties(index)["max_shared_mem"]


def _launch(
    packed: TritonWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    forced: Tensor | None,
) -> tuple[Tensor, Tensor]:
    residual, skip = packed.embedding.shape[1], len(packed.out_bias)
    channels = len(packed.conditioning)
    check_inputs(conditioning, state, draws, channels, packed.dilations, residual, forced)
    batch, n = draws.shape
    drawn = torch.empty(batch, n, dtype=torch.int64, device=draws.device)
    logits = draws.new_empty((batch, n, CLASSES) if forced is not None else (1,))
    if not batch:
        return logits, drawn
    begun = linear(conditioning.flatten(0, 1), packed.conditioning, packed.gate_bias)
    wide[(triton.cdiv(batch, STREAMS),)](
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
        begun,
        draws.contiguous(),
        state.history,
        state.position,
        state.last,
        drawn if forced is None else forced.contiguous(),
        drawn,
        logits,
        batch,
        n,
        len(packed.dilations),
        sum(packed.dilations),
        **sizes(residual, skip, forced is not None),
        num_warps=WARPS,
        num_stages=packed.stages,
    )
    return logits, drawn


@triton.jit(do_not_specialize=["batch", "n"])
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
    begun,  # (batch, n, layers, 2R) float32: what the conditioning adds to the gates
    draws,  # (batch, n) float32
    history,  # (batch, slots, R) float32, turned on in place
    position,  # (batch,) int64, moved on in place
    last,  # (batch,) int64, overwritten
    forced,  # (batch, n) int64, read if FORCED
    drawn,  # (batch, n) int64, written
    logits,  # (batch, n, A) float32, written if FORCED
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
    """All layers of n samples for M rows of the batch.

    The compiler has the next layers' matrices copied while one layer is computed. What else a
    layer reads (its past, its conditioning, which ring) is read one or two layers ahead by
    hand, so that nobody waits for it. disable_licm: addresses kept from layer to layer would
    fill the registers.
    """
    row = tl.program_id(0) * M + tl.arange(0, M)
    live = row < batch
    r, s, a, c = tl.arange(0, R), tl.arange(0, S), tl.arange(0, A), tl.arange(0, C)
    # In 64 bits neighbouring addresses are a constant apart, and fewer registers hold them.
    r64, s64, a64, c64 = r.to(tl.int64), s.to(tl.int64), a.to(tl.int64), c.to(tl.int64)
    square = r64[:, None] * R + r64[None, :]
    tile = r64[:, None] * S + s64[None, :]
    wide_row = row.to(tl.int64)
    own = history + wide_row[:, None] * slots * R + r[None, :]
    start = tl.load(position + row, mask=live, other=0)
    # Dilations are powers of two, far below 2^30.
    phase = (start & 0x3FFFFFFF).to(tl.int32)
    now = tl.load(last + row, mask=live, other=0)
    skip_start = tl.load(skip_bias + s)
    final = layers - 1
    for t in tl.range(n, disable_licm=True):
        x = tl.load(embedding + now[:, None] * R + r[None, :]).to(tl.float32)
        total = tl.zeros((M, S), tl.float32) + skip_start[None, :]
        added = begun + (wide_row * n + t)[:, None] * (layers * 2 * R) + r[None, :]
        tanh_ahead = tl.load(added, mask=live[:, None], other=0.0)
        sigmoid_ahead = tl.load(added + R, mask=live[:, None], other=0.0)
        slot_ahead = tl.load(rings) + (phase & (tl.load(rings + 1) - 1))
        past_ahead = tl.load(own + slot_ahead[:, None] * R, mask=live[:, None], other=0.0)
        first = tl.load(rings + 2 * tl.minimum(1, final))
        dilation = tl.load(rings + 2 * tl.minimum(1, final) + 1)
        for layer in tl.range(layers, disable_licm=True):
            tanh, sigmoid, slot = tanh_ahead, sigmoid_ahead, slot_ahead
            past = past_ahead.to(tl.float16)
            following = tl.minimum(layer + 1, final)
            tanh_ahead = tl.load(added + following * 2 * R, mask=live[:, None], other=0.0)
            sigmoid_ahead = tl.load(added + following * 2 * R + R, mask=live[:, None], other=0.0)
            slot_ahead = first + (phase & (dilation - 1))
            past_ahead = tl.load(own + slot_ahead[:, None] * R, mask=live[:, None], other=0.0)
            first = tl.load(rings + 2 * tl.minimum(layer + 2, final))
            dilation = tl.load(rings + 2 * tl.minimum(layer + 2, final) + 1)
            bias = tl.load(residual_bias + layer * R + r)
            half = x.to(tl.float16)
            matrix = gates + layer * 4 * R * R + square
            tanh = tl.dot(past, tl.load(matrix), acc=tanh)
            tanh = tl.dot(half, tl.load(matrix + 2 * R * R), acc=tanh)
            sigmoid = tl.dot(past, tl.load(matrix + R * R), acc=sigmoid)
            sigmoid = tl.dot(half, tl.load(matrix + 3 * R * R), acc=sigmoid)
            # tanh by way of sigmoid: one exponential each, and none can overflow to NaN.
            z = ((2 * tl.sigmoid(2 * tanh) - 1) * tl.sigmoid(sigmoid)).to(tl.float16)
            tl.store(own + slot[:, None] * R, x, mask=live[:, None])
            # The next layer waits for this product, nobody for the other.
            x = tl.dot(z, tl.load(residual + layer * R * R + square), acc=x + bias[None, :])
            total = tl.dot(z, tl.load(skip + layer * R * S + tile), acc=total)
        hidden = tl.maximum(total, 0.0).to(tl.float16)
        # Whole output matrices would not fit the shared memory of smaller chips: C columns of
        # the first give C rows of the second their input.
        score = tl.zeros((M, A), tl.float32) + tl.load(end_bias + a)[None, :]
        for column in tl.range(0, S, C, disable_licm=True):
            part = tl.zeros((M, C), tl.float32) + tl.load(out_bias + column + c)[None, :]
            part = tl.dot(hidden, tl.load(out + column + s64[:, None] * S + c64[None, :]), acc=part)
            half = tl.maximum(part, 0.0).to(tl.float16)
            rows = tl.load(end + column * A + (c64[:, None] * A + a64[None, :]))
            score = tl.dot(half, rows, acc=score)
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
        phase += 1
        # What this sample put into the history, the next may read through other threads.
        tl.debug_barrier()
    tl.store(position + row, start + n, mask=live)
    tl.store(last + row, now, mask=live)
