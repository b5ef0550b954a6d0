"""A WaveNet to test with: random, but with something to say."""

from __future__ import annotations

import torch

from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig

SMALL = WaveNetConfig(mels=6, layers=4, cycle=3, residual=8, skip=12)
"""Quick. No dilation reaches the 16 samples that some samplers work ahead by."""

ODD = WaveNetConfig(mels=5, layers=7, cycle=6, residual=24, skip=70)
"""Sizes that fill no vector, dilations on both sides of 16, a cycle begun again."""

WIDE = WaveNetConfig(mels=4, layers=3, cycle=5, residual=72, skip=16)
"""More channels than one tile of outputs."""

FULL = WaveNetConfig()
"""The method's own."""

GUIDED = WaveNetConfig(mels=6, layers=4, cycle=3, residual=8, skip=12, guide=5, emphasis=0.7)
"""Quick, with a guide."""

FULL_GUIDED = WaveNetConfig(guide=16, sharpness=2.0, emphasis=0.85)
"""The method's own with a guide."""


def lively(config: WaveNetConfig, seed: int = 0) -> WaveNet:
    """Weights that half precision holds, as a bank's, with gates and logits far from rest."""
    torch.manual_seed(seed)
    net = WaveNet(config).eval()
    with torch.no_grad():
        for upsampling in net.upsamplings:
            # Away from interpolation, of which each step knows its neighbours.
            upsampling.linear.weight.add_(torch.randn_like(upsampling.linear.weight) / 10)
            upsampling.linear.bias.add_(torch.randn_like(upsampling.linear.bias) / 10)
        for layer in net.gated_layers:
            layer.gate.weight.mul_(2)
        if net.guide is not None:
            net.guide.weight.add_(torch.randn_like(net.guide.weight) / 4)
        net.skip.weight.mul_(5)
        net.out.weight.mul_(3)
        net.end.weight.mul_(10 / config.sharpness)
    return net.half().float().requires_grad_(False)
