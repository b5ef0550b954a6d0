"""The WaveNet's local conditioning on the GPU, for all rows at once: conditioning.py's twin."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.vocoders.wavenet.conditioning import WaveNetState
from synth.vocoders.wavenet.linear_triton import linear
from synth.vocoders.wavenet.network import Upsampling, WaveNet


class Conditioning:
    """For the triton sampler, on the device given."""

    def __init__(self, wavenet: WaveNet, device: torch.device) -> None:
        self._coarse, self._fine = (_map(u, device) for u in wavenet.upsample)

    @torch.no_grad()
    def __call__(self, frames: Tensor, state: WaveNetState) -> Tensor:
        """See `conditioning.Conditioning`; everything stays on the device, and queued."""
        begun = state.started[:, None, None]
        before = torch.where(begun, state.frame, frames[:, :1])
        steps = _upsample(frames, before, self._coarse)
        # A stream's first substep is its own predecessor, as its first frame is.
        before = torch.where(begun, state.substep, steps[:, :1])
        heard = _upsample(steps, before, self._fine)
        state.frame.copy_(frames[:, -1:])
        state.substep.copy_(steps[:, -1:])
        state.started.fill_(True)
        return heard


def _upsample(frames: Tensor, before: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
    """`Upsampling.forward`: (rows, n, mels) -> (rows, n * stride, mels)."""
    pairs = torch.cat([torch.cat([before, frames[:, :-1]], 1), frames], -1)
    return linear(pairs.flatten(0, 1), *weights).view(len(frames), -1, frames.shape[-1])


def _map(upsampling: Upsampling, device: torch.device) -> tuple[Tensor, Tensor]:
    """Weight (2 * mels, stride * mels) and bias (stride * mels,), on the device."""
    weight, bias = upsampling.linear.weight.detach(), upsampling.linear.bias.detach()
    return weight.T.contiguous().float().to(device), bias.float().to(device)
