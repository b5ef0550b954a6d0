"""The simplest WaveNet sampler: a plain float32 PyTorch loop over samples.

The sampler benchmark compares the others with it. All rows go through each matrix product
together, and nothing is compiled or rounded to half precision. Signatures as in the Sampler
contract.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from synth.vocoders.wavenet.network import WaveNetWeights
from synth.vocoders.wavenet.samplers.contract import SamplerState, draw_class


def pack(weights: WaveNetWeights) -> WaveNetWeights:
    """The weights unchanged."""
    return weights


@torch.inference_mode()
def sample(
    weights: WaveNetWeights, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """Draw the next n classes (batch, n) of rows that are all equally old."""
    position, rows = int(state.position[0]), []
    added = linear(conditioning, weights.conditioning.flatten(0, 1), weights.gate_bias.flatten())
    added = added.unflatten(2, weights.gate_bias.shape)
    for n in range(draws.shape[1]):
        logits = _next_logits(weights, added[:, n], state, position + n)
        state.last = draw_class(logits, draws[:, n])
        rows.append(state.last)
    state.position += len(rows)
    return torch.stack(rows, 1), state


def _next_logits(w: WaveNetWeights, added: Tensor, state: SamplerState, position: int) -> Tensor:
    """Logits (batch, 256) of the next sample; added (batch, layers, 2R). Advances the history."""
    x, skip, ring = w.embedding[state.last], w.skip_bias, 0
    for layer, dilation in enumerate(w.dilations):
        slot = ring + position % dilation
        gates = added[:, layer] + linear(state.history[:, slot], w.past[layer])
        gates = gates + linear(x, w.now[layer])
        state.history[:, slot] = x
        tanh, sigmoid = gates.chunk(2, -1)
        z = tanh.tanh() * sigmoid.sigmoid()
        skip = skip + linear(z, w.skip[layer])
        x = x + linear(z, w.residual[layer], w.residual_bias[layer])
        ring += dilation
    return linear(linear(skip.relu(), w.out, w.out_bias).relu(), w.end, w.end_bias)
