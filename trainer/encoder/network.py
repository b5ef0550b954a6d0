"""The encoder: convolutions over time, and the mean and the most of what they say.

    levels (frames, mels) -> layers, each half as many frames -> mean and maximum over frames
                          -> two linear layers -> a point

It hears levels below the loudest (levels.py), so that neither gain nor faint noise matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

WIDTH = 5
"""Frames that a layer sees at once."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """mels: bands; low, high: of each coordinate; bank: sha256 of the weights that it was taught
    by, in hexadecimal digits."""

    mels: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    bank: str
    channels: int = 64
    layers: int = 4


class Encoder(nn.Module):
    """Levels (batch, frames, mels) in 0..1 -> points (batch, size), within the bank's span.

    frames: 1 or more; it was taught with about a second.
    """

    low: Tensor
    high: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.mels, *[config.channels] * config.layers]
        self.layers = nn.ModuleList(
            nn.Conv1d(a, b, WIDTH, stride=2, padding=WIDTH // 2)
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, config.channels) for _ in self.layers)
        self.inner = nn.Linear(2 * config.channels, config.channels)
        self.outer = nn.Linear(config.channels, len(config.low))
        for name in ("low", "high"):
            self.register_buffer(name, torch.tensor(getattr(config, name)), persistent=False)

    def forward(self, levels: Tensor) -> Tensor:
        x = levels.transpose(1, 2)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = gelu(norm(layer(x)))
        pooled = torch.cat([x.mean(-1), x.amax(-1)], -1)
        place = torch.sigmoid(self.outer(gelu(self.inner(pooled))))
        return self.low + (self.high - self.low) * place

    @property
    def diameter(self) -> float:
        """Of the space, from the least to the greatest value of all coordinates."""
        return float((self.high - self.low).norm())
