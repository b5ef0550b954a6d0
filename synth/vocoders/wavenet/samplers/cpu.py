"""The WaveNet sampler for CPUs, compiled by Numba; rows are shared among the processor's cores.

Here weights become integers and the arrays are handed over; cpu_kernel.py does the work.
What it draws differs from the reference only where the draw falls within a rounding of the edge
between two classes: `python -m benchmarks divergence` says how often.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from common.threads import cores_here
from synth.vocoders.wavenet.mulaw import CLASSES, SILENCE
from synth.vocoders.wavenet.network import WaveNetWeights
from synth.vocoders.wavenet.samplers.contract import SamplerState, check_inputs, round_weights
from synth.vocoders.wavenet.samplers.cpu_kernel import (
    BESIDE,
    PEAK,
    TILE,
    Block,
    Matrix,
    PackedWeights,
    walk,
)
from synth.vocoders.wavenet.samplers.placement import Arrays, fastest_place

BLOCK = 64
"""Inputs that share a scale and an exact sum, at most."""
MOST_SUM = 2**31 - 1
INNER, OUTER = torch.int8, torch.int16
"""Weights of the layers, and of the two matrices behind them, which in 8 bits would move the
distribution five times as far as all others together (`python -m benchmarks divergence`)."""

PLAYED = 64
"""Samples drawn to see how fast weights can be read."""

NO_CLASSES = np.empty((0, 0), np.int64)
NO_LOGITS = np.empty((0, 0, 0), np.float32)


@dataclass(frozen=True, slots=True)
class CpuWeights:
    """Weights, and threads that help: one for each core but the caller's; they are started when
    there are enough rows. channels: of the conditioning; dilations, residual: of the network."""

    weights: PackedWeights
    channels: int
    dilations: tuple[int, ...]
    residual: int
    cores: int
    helpers: ThreadPoolExecutor


def pack(weights: WaveNetWeights) -> CpuWeights:
    """See the Sampler contract. To be played on all cores that this thread may use now."""
    cores = cores_here()
    channels = weights.conditioning.shape[2]
    packed = _place(_pack(round_weights(weights)), channels)
    # A pool must have room for one, and starts it only when it is asked for.
    sizes = channels, weights.dilations, packed.embedding.shape[1]
    return CpuWeights(packed, *sizes, cores, ThreadPoolExecutor(max(cores - 1, 1)))


def _place(weights: PackedWeights, channels: int) -> PackedWeights:
    """The same weights where they can be read fastest: they fill most of a core's cache."""

    def structured(arrays: Arrays) -> PackedWeights:
        waiting = iter(arrays)
        return PackedWeights._make(
            Matrix(next(waiting), next(waiting)) if isinstance(w, Matrix) else next(waiting)
            for w in weights
        )

    def play(arrays: Arrays) -> None:
        walk(structured(arrays), silence)

    residual, past = weights.residual_bias.shape[1], int(weights.dilations.sum())
    silence = Block(
        np.zeros((1, PLAYED, channels), np.float32),
        np.zeros((1, past, residual), np.float32),
        np.zeros(1, np.int64),
        np.full(1, SILENCE),
        np.full((1, PLAYED), 0.5, np.float32),
        NO_CLASSES,
        np.empty((1, PLAYED), np.int64),
        NO_LOGITS,
    )
    flat = [a for w in weights for a in (w if isinstance(w, Matrix) else (w,))]
    return structured(fastest_place(flat, play))


def _pack(weights: WaveNetWeights) -> PackedWeights:
    return PackedWeights(
        np.array(weights.dilations, np.int64),
        weights.embedding.numpy(),
        as_integers(weights.past, INNER),
        as_integers(weights.now, INNER),
        np.array([weights.mels]),
        as_integers(weights.conditioning[:, :, : weights.mels], INNER),
        as_integers(weights.conditioning[:, :, weights.mels :], INNER),
        weights.gate_bias.numpy(),
        as_integers(weights.residual, INNER),
        weights.residual_bias.numpy(),
        as_integers(weights.skip, INNER),
        weights.skip_bias.numpy(),
        as_integers(weights.out[None], OUTER),
        weights.out_bias.numpy(),
        as_integers(weights.end[None], OUTER),
        weights.end_bias.numpy(),
    )


def as_integers(matrices: Tensor, kind: torch.dtype, beside: bool = BESIDE) -> Matrix:
    """Matrices (count, outputs, inputs) as integers, with a scale for each row of each block.

    kind: torch.int16 or torch.int8. As large as that and sums of products with activations up
    to PEAK allow; filled up with zeros. Without inputs, one pair of zeros.
    """
    inputs = matrices.shape[2]
    blocks = max(-(-inputs // BLOCK), 1)
    pairs = max(-(-inputs // (2 * blocks)), 1)
    room = (0, 2 * blocks * pairs - inputs, 0, -matrices.shape[1] % TILE)
    split = nn.functional.pad(matrices, room).unflatten(2, (blocks, 2 * pairs))
    # Rounding may add a half to each weight.
    most = MOST_SUM // PEAK - pairs
    largest = split.abs().amax(3) / torch.iinfo(kind).max
    scales = torch.maximum(split.abs().sum(3) / most, largest)
    scales = scales.clamp(min=1e-20)
    weights = (split / scales[..., None]).round().to(kind)
    split = weights.unflatten(3, (pairs, 2)).unflatten(1, (-1, TILE))
    tiled = split.permute(0, 1, 3, 4, *((2, 5) if beside else (5, 2)))
    scales = scales.unflatten(1, (-1, TILE)).transpose(2, 3)
    return Matrix(tiled.contiguous().numpy(), scales.contiguous().numpy())


def sample(
    packed: CpuWeights, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """See the Sampler contract."""
    return _run(packed, conditioning, state, draws, None, NO_LOGITS), state


def follow(
    packed: CpuWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    classes: Tensor,
) -> tuple[Tensor, Tensor, SamplerState]:
    """See the Sampler contract."""
    logits = np.empty((*draws.shape, CLASSES), np.float32)
    drawn = _run(packed, conditioning, state, draws, classes, logits)
    return torch.from_numpy(logits), drawn, state


def _run(
    packed: CpuWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    forced: Tensor | None,
    logits: np.ndarray,
) -> Tensor:
    weights, sizes = packed.weights, (packed.channels, packed.dilations, packed.residual)
    check_inputs(conditioning, state, draws, *sizes, forced)
    drawn, rows = np.empty(draws.shape, np.int64), len(draws)
    block = Block(
        conditioning.contiguous().numpy(),
        state.history.numpy(),
        state.position.numpy(),
        state.last.numpy(),
        draws.contiguous().numpy(),
        NO_CLASSES if forced is None else forced.contiguous().numpy(),
        drawn,
        logits,
    )
    groups = min(packed.cores, rows)
    if groups < 2:
        walk(weights, block)
        return torch.from_numpy(drawn)
    edges = [rows * group // groups for group in range(groups + 1)]
    # Arrays without rows, of what is not wanted, stay as they are.
    shares = [Block(*(a[start:stop] for a in block)) for start, stop in pairwise(edges)]
    others = [packed.helpers.submit(walk, weights, share) for share in shares[1:]]
    walk(weights, shares[0])
    for other in others:
        other.result()
    return torch.from_numpy(drawn)
