"""The plain float32 PyTorch loop, with each sample a replay of one CUDA graph.

What CUDA graphs alone would gain: the same few hundred kernels for each sample, without the
processor's launching them. Signatures as in the Sampler contract.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import linear

from synth.vocoders.wavenet.network import WaveNetWeights
from synth.vocoders.wavenet.samplers.contract import SamplerState, draw_class


@dataclass(slots=True)
class Packed:
    """The weights as they are, and the graph of one sample with the tensors it is bound to."""

    weights: WaveNetWeights
    graph: torch.cuda.CUDAGraph | None = None
    bound: tuple = field(default=())


def pack(weights: WaveNetWeights) -> Packed:
    """The weights as they are."""
    return Packed(weights)


@torch.inference_mode()
def sample(
    packed: Packed, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """Draw the next n classes (batch, n) of rows that are all equally old, on a CUDA device.

    The graph is captured anew for tensors other than the last call's.
    """
    inputs = (conditioning, draws, state.history, state.position, state.last)
    if not packed.bound or any(a is not b for a, b in zip(packed.bound, inputs, strict=False)):
        drawn, at = torch.empty_like(draws, dtype=torch.long), draws.new_zeros(1, dtype=torch.long)
        packed.graph = _capture(packed.weights, conditioning, state, draws, drawn, at)
        packed.bound = (*inputs, drawn, at)
    drawn, at = packed.bound[-2:]
    at.zero_()
    for _ in range(draws.shape[1]):
        packed.graph.replay()
    return drawn.clone(), state


def step(
    w: WaveNetWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    drawn: Tensor,
    at: Tensor,
) -> None:
    """Draw sample `at` (1,) of the block into drawn (batch, n), and move `at` and state on.

    Everything in place, nothing decided on the processor, so that it can be captured.
    """
    x, skip, ring = w.embedding[state.last], w.skip_bias, 0
    heard = conditioning.index_select(1, at)[:, 0]
    added = linear(heard, w.mel.flatten(0, 1), w.gate_bias.flatten())
    added = added.unflatten(1, w.gate_bias.shape)
    for layer, dilation in enumerate(w.dilations):
        slot = ring + state.position[:1] % dilation
        past = state.history.index_select(1, slot)[:, 0]
        gates = added[:, layer] + linear(past, w.past[layer]) + linear(x, w.now[layer])
        state.history.index_copy_(1, slot, x[:, None])
        tanh, sigmoid = gates.chunk(2, -1)
        z = tanh.tanh() * sigmoid.sigmoid()
        skip = skip + linear(z, w.skip[layer])
        x = x + linear(z, w.residual[layer], w.residual_bias[layer])
        ring += dilation
    logits = linear(linear(skip.relu(), w.out, w.out_bias).relu(), w.end, w.end_bias)
    state.last.copy_(draw_class(logits, draws.index_select(1, at)[:, 0]))
    drawn.index_copy_(1, at, state.last[:, None])
    state.position += 1
    at += 1


def _capture(
    weights: WaveNetWeights,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    drawn: Tensor,
    at: Tensor,
) -> torch.cuda.CUDAGraph:
    """The graph of `step`; the state is as it was."""
    before = [t.clone() for t in (state.history, state.position, state.last)]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        # Libraries allocate on their first calls, which a graph must not contain.
        for _ in range(3):
            at.zero_()
            step(weights, conditioning, state, draws, drawn, at)
    torch.cuda.current_stream().wait_stream(aside)
    at.zero_()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(weights, conditioning, state, draws, drawn, at)
    for tensor, was in zip((state.history, state.position, state.last), before, strict=True):
        tensor.copy_(was)
    return graph
