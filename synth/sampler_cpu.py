"""The WaveNet sampler for one CPU core, compiled by Numba; same classes as the reference.

Here the weights are laid out and the arrays handed over; sampler_cpu_kernel.py does the work.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synth.mulaw import CLASSES
from synth.sampler import SamplerState, check_inputs, round_weights
from synth.sampler_cpu_kernel import TILE, PackedWeights, walk
from synth.wavenet import WaveNetWeights

NO_CLASSES = np.empty((0, 0), np.int64)
NO_LOGITS = np.empty((0, 0, 0), np.float32)


def pack(weights: WaveNetWeights) -> PackedWeights:
    """See synth.sampler.Sampler."""
    weights = round_weights(weights)
    return PackedWeights(
        np.array(weights.dilations, np.int64),
        weights.embedding.numpy(),
        _tiled(weights.past),
        _tiled(weights.now),
        _tiled(weights.residual),
        weights.residual_bias.numpy(),
        _tiled(weights.skip.permute(1, 0, 2).flatten(1)),
        weights.skip_bias.numpy(),
        _tiled(weights.out),
        weights.out_bias.numpy(),
        _tiled(weights.end),
        weights.end_bias.numpy(),
    )


def sample(
    packed: PackedWeights, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """See synth.sampler.Sampler."""
    return _run(packed, conditioning, state, draws, None, NO_LOGITS), state


def follow(
    packed: PackedWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    classes: Tensor,
) -> tuple[Tensor, Tensor, SamplerState]:
    """See synth.sampler.Sampler."""
    logits = np.empty((*draws.shape, CLASSES), np.float32)
    drawn = _run(packed, conditioning, state, draws, classes, logits)
    return torch.from_numpy(logits), drawn, state


def _run(
    packed: PackedWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    forced: Tensor | None,
    logits: np.ndarray,
) -> Tensor:
    dilations, residual = tuple(packed.dilations.tolist()), packed.embedding.shape[1]
    check_inputs(conditioning, state, draws, dilations, residual, forced)
    drawn = np.empty(draws.shape, np.int64)
    walk(
        packed,
        conditioning.contiguous().numpy(),
        state.history.numpy(),
        state.position.numpy(),
        state.last.numpy(),
        draws.contiguous().numpy(),
        NO_CLASSES if forced is None else forced.contiguous().numpy(),
        drawn,
        logits,
    )
    return torch.from_numpy(drawn)


def _tiled(matrices: Tensor) -> np.ndarray:
    """(..., outputs, inputs) -> bits (..., tiles, inputs, TILE); zeros fill the last tile."""
    padded = torch.nn.functional.pad(matrices.half(), (0, 0, 0, -matrices.shape[-2] % TILE))
    return padded.unflatten(-2, (-1, TILE)).transpose(-1, -2).contiguous().numpy().view(np.int16)
