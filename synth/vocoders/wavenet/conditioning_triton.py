"""The WaveNet's local conditioning on the GPU: conditioning.py with maps for all rows at once."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.vocoders.wavenet.conditioning import Conditioning, LinearMap
from synth.vocoders.wavenet.linear_triton import linear
from synth.vocoders.wavenet.network import Upsampling, WaveNet


def triton_conditioning(wavenet: WaveNet, device: torch.device) -> Conditioning:
    """For the triton sampler; everything stays on the device, and queued."""
    coarse, fine = wavenet.upsamplings
    return Conditioning(_on_device(coarse, device), _on_device(fine, device))


def _on_device(upsampling: Upsampling, device: torch.device) -> LinearMap:
    weight = upsampling.linear.weight.detach().T.contiguous().float().to(device)
    bias = upsampling.linear.bias.detach().float().to(device)

    def mapped(pairs: Tensor) -> Tensor:
        return linear(pairs.flatten(0, 1), weight, bias).view(*pairs.shape[:2], -1)

    return mapped
