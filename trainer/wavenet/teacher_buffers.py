"""Buffers of the WaveNet's hand-written training step, and pairs of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from synth.vocoders.wavenet.network import WaveNetConfig

CHUNK = 4_096
"""Rows at a time on a processor, found by trial: with fewer, calls cost more than caches save."""


@dataclass(slots=True)
class Buffers:
    """N rows; R residual, S skip channels; L layers; D = dilation * batch of each layer.

    inputs: of each layer, (D + N, R), of which the first D rows are the silence before it all;
    gates (L, N, 2R): tanh and sigmoid as they came out; owed: of each layer, the gradient for
    the rows D before, (N + D, R), of which the last D rows are zero; d_skip (N, S), d_x (N,
    R), d_told (N, conditioning).
    """

    made_for: tuple[int, int, torch.dtype, torch.device]
    config: WaveNetConfig
    inputs: list[Tensor]
    gates: Tensor
    owed: list[Tensor]
    d_skip: Tensor
    d_x: Tensor
    d_told: Tensor

    def rows(self) -> list[slice]:
        """Slices to work on one after the other, in the order of time."""
        count, on_cpu = len(self.d_x), self.d_x.device.type == "cpu"
        step = CHUNK if on_cpu else count
        return [slice(a, min(a + step, count)) for a in range(0, count, step)]


def make_buffers(
    config: WaveNetConfig, batch: int, rows: int, dtype: torch.dtype, device: torch.device
) -> Buffers:
    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=device)

    r, depths = config.residual, [dilation * batch for dilation in config.dilations]
    inputs, owed = ([empty(depth + rows, r) for depth in depths] for _ in range(2))
    for depth, x, wanted in zip(depths, inputs, owed, strict=True):
        x[:depth].zero_()
        wanted[rows:].zero_()
    return Buffers(
        (batch, rows, dtype, device),
        config,
        inputs,
        empty(config.layers, rows, 2 * r),
        owed,
        empty(rows, config.skip),
        empty(rows, r),
        empty(rows, config.conditioning),
    )


class Linear(NamedTuple):
    """A weight (out, in) and its bias (out,), or the sums of their gradients so far."""

    weight: Tensor
    bias: Tensor

    def of(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight.t())

    def learn(self, d_out: Tensor, x: Tensor) -> None:
        """Add the gradients of `of(x)`, in single precision."""
        self.weight.add_(d_out.t() @ x)
        self.bias.add_(d_out.sum(0))


def linears(weights: tuple[Tensor, ...], dtype: torch.dtype) -> list[Linear]:
    """Pairs of parameters in another precision: gate, residual of each layer, skip, out, end."""
    cast = [w.detach().to(dtype) for w in weights]
    return [Linear(w, b) for w, b in zip(cast[::2], cast[1::2], strict=True)]
