"""Notes and timbres for the tests of what hears them."""

from __future__ import annotations

import torch
from torch import Tensor

from common.window import KEYS, ROLL_CHANNELS


def make_roll(batch: int, frames: int, seed: int = 0) -> Tensor:
    """Random notes (batch, frames, 176), some still held at the end."""
    random = torch.Generator().manual_seed(seed)
    roll = torch.zeros(batch, frames, ROLL_CHANNELS)
    for b in range(batch):
        for _ in range(frames // 3):
            key = int(torch.randint(20, 70, (1,), generator=random))
            start = int(torch.randint(0, frames, (1,), generator=random))
            length = int(torch.randint(1, 12, (1,), generator=random))
            level = float(torch.rand(1, generator=random)) * 0.9 + 0.1
            roll[b, start : start + length, key] = level
            roll[b, start, KEYS + key] = level
    return roll


def make_late(roll: Tensor, seed: int = 0) -> Tensor:
    """Where in their frames the onsets of a roll fall: (batch, frames, 88)."""
    random = torch.Generator().manual_seed(seed)
    onsets = roll[..., KEYS:] > 0
    return torch.where(onsets, torch.rand(onsets.shape, generator=random), 0.0)


def make_embedding(batch: int, frames: int, size: int = 2) -> Tensor:
    """A timbre that moves in every frame."""
    random = torch.Generator().manual_seed(7)
    steps = torch.randn(batch, frames, size, generator=random)
    return torch.randn(batch, 1, size, generator=random) + 0.1 * steps.cumsum(1)
