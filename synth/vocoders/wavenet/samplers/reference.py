"""The readable WaveNet sampler: one sample of one row at a time. Faster ones must match it.

Rows are computed one by one, because a matrix library may round a row differently beside others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.network import WaveNetWeights
from synth.vocoders.wavenet.samplers.contract import (
    SamplerState,
    check_inputs,
    draw_class,
    round_weights,
)


def pack(weights: WaveNetWeights) -> WaveNetWeights:
    """See the Sampler contract."""
    return round_weights(weights)


def sample(
    packed: WaveNetWeights, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """See the Sampler contract."""
    _, drawn = _walk(packed, conditioning, state, draws, None)
    return drawn, state


def follow(
    packed: WaveNetWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    classes: Tensor,
) -> tuple[Tensor, Tensor, SamplerState]:
    """See the Sampler contract."""
    logits, drawn = _walk(packed, conditioning, state, draws, classes)
    return logits, drawn, state


@torch.no_grad()
def _walk(
    weights: WaveNetWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    forced: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Logits and drawn classes; forced: what to go on with instead of the classes drawn."""
    channels, residual = weights.conditioning.shape[2], weights.embedding.shape[1]
    check_inputs(conditioning, state, draws, channels, weights.dilations, residual, forced)
    logits = torch.empty(*draws.shape, CLASSES)
    drawn = torch.empty(draws.shape, dtype=torch.long)
    for row in range(draws.shape[0]):
        for n in range(draws.shape[1]):
            logits[row, n] = _next_logits(weights, conditioning[row, n], state, row)
            drawn[row, n] = draw_class(logits[row, n][None], draws[row, n][None])[0]
            state.last[row] = drawn[row, n] if forced is None else forced[row, n]
            state.position[row] += 1
    return logits, drawn


def _next_logits(w: WaveNetWeights, conditioning: Tensor, state: SamplerState, row: int) -> Tensor:
    """Logits (256,) of one row's next sample; conditioning (channels,). Turns its history on."""
    position = int(state.position[row])
    x = w.embedding[state.last[row]]
    skip, ring = w.skip_bias, 0
    for layer, dilation in enumerate(w.dilations):
        slot = ring + position % dilation
        past = state.history[row, slot].clone()
        state.history[row, slot] = x
        gates = w.gate_bias[layer] + w.conditioning[layer] @ conditioning
        gates = gates + w.past[layer] @ past + w.now[layer] @ x
        tanh, sigmoid = gates.chunk(2)
        z = tanh.tanh() * sigmoid.sigmoid()
        skip = skip + w.skip[layer] @ z
        x = x + w.residual_bias[layer] + w.residual[layer] @ z
        ring += dilation
    return w.end_bias + w.end @ (w.out_bias + w.out @ skip.relu()).relu()
