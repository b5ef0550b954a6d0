"""The WaveNet's local conditioning on the GPU, for all rows at once; see conditioning.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from synth.vocoders.wavenet.conditioning import WaveNetState
from synth.vocoders.wavenet.linear_triton import linear
from synth.vocoders.wavenet.network import Upsampling, WaveNet, hear, upsample

LinearMap = Callable[[Tensor], Tensor]
"""(rows, n, 2 * mels) -> (rows, n, stride * mels); a row's numbers depend on nothing else."""


class TritonConditioning:
    """A `Conditioning` for the triton sampler; everything is on the device."""

    def __init__(self, wavenet: WaveNet, device: torch.device) -> None:
        coarse, fine = wavenet.upsamplings
        self._coarse, self._fine = _on_device(coarse, device), _on_device(fine, device)
        self._reach = wavenet.config.guide
        table = None if wavenet.guide is None else wavenet.guide.weight.detach().clone()
        self._table = None if table is None else table.float().to(device)

    @torch.no_grad()
    def __call__(self, frames: Tensor, state: WaveNetState, guide: Tensor | None = None) -> Tensor:
        """See `Conditioning`."""
        told = self._upsampled(frames, state)
        if self._table is None:
            return told
        assert guide is not None, "a network with a guide was given none"
        return torch.cat([told, hear(guide.long(), self._table, self._reach)], -1)

    def _upsampled(self, frames: Tensor, state: WaveNetState) -> Tensor:
        if not frames.shape[1]:
            return frames.clone()
        begun = state.started[:, None, None]
        before = torch.where(begun, state.frame, frames[:, :1])
        steps = upsample(frames, before, self._coarse)
        before = torch.where(begun, state.substep, steps[:, :1])
        heard = upsample(steps, before, self._fine)
        state.frame.copy_(frames[:, -1:])
        state.substep.copy_(steps[:, -1:])
        state.started.fill_(True)
        return heard


def _on_device(upsampling: Upsampling, device: torch.device) -> LinearMap:
    weight = upsampling.linear.weight.detach().T.contiguous().float().to(device)
    bias = upsampling.linear.bias.detach().float().to(device)

    def mapped(pairs: Tensor) -> Tensor:
        return linear(pairs.flatten(0, 1), weight, bias).view(*pairs.shape[:2], -1)

    return mapped
