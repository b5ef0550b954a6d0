"""The plain float32 PyTorch loop, with each sample a replay of one CUDA graph.

What CUDA graphs alone would gain: each sample takes the same few hundred kernels, but the
processor need not launch them one by one. Signatures as in the Sampler contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from synth.vocoders.wavenet.network import WaveNetWeights
from synth.vocoders.wavenet.samplers.contract import SamplerState, draw_class


@dataclass(slots=True)
class GraphWeights:
    """The weights unchanged, and the graph of one sample with the tensors that it is bound to."""

    weights: WaveNetWeights
    graph: torch.cuda.CUDAGraph | None = None
    bound: tuple[Tensor, ...] = ()


def pack(weights: WaveNetWeights) -> GraphWeights:
    """The weights unchanged."""
    return GraphWeights(weights)


@torch.inference_mode()
def sample(
    packed: GraphWeights, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """Draw the next n classes (batch, n) of rows that are all equally old, on a CUDA device.

    The graph is captured again when the tensors are not those of the last call.
    """
    inputs = (conditioning, draws, state.history, state.position, state.last)
    graph = packed.graph
    if graph is None or any(a is not b for a, b in zip(packed.bound, inputs, strict=False)):
        drawn, at = torch.empty_like(draws, dtype=torch.long), draws.new_zeros(1, dtype=torch.long)
        graph = _capture(packed.weights, conditioning, state, draws, drawn, at)
        packed.graph = graph
        packed.bound = (*inputs, drawn, at)
    drawn, at = packed.bound[-2:]
    at.zero_()
    for _ in range(draws.shape[1]):
        graph.replay()
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

    Everything is done in place and nothing is decided on the processor, so that it can be
    captured.
    """
    x, skip, ring = w.embedding[state.last], w.skip_bias, 0
    heard = conditioning.index_select(1, at)[:, 0]
    added = linear(heard, w.conditioning.flatten(0, 1), w.gate_bias.flatten())
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
    """The graph of `step`; the state is left as it was."""
    before = [t.clone() for t in (state.history, state.position, state.last)]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        # Libraries allocate memory on their first calls, which a graph must not contain.
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
