"""Movement: levels that waver about what a network predicts, as those of many voices do.

A network says the mean of many possible sounds, and a mean stands still. Here every three
neighbouring bands take a Gaussian walk of first order, for each part its own: with a spread s and
a memory of m frames

    x[t] = a x[t - 1] + sqrt(1 - a^2) n[t],   a = exp(-1 / m),   level[t] += s x[t] - s^2

in natural logs of magnitudes. x has a variance of 1 from a part's first frame on, and s^2 is what a
log-normal adds to the mean power: taken away, the power stays what it was. Three bands together,
because a partial is about as wide: bands that waver alone tear it apart, and the vocoder reads
its phase from its shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import torch
from torch import Tensor

TOGETHER = 3
"""Neighbouring bands that move as one."""


@dataclass(slots=True)
class MovementState:
    """Of each part: walk (batch, groups) float32; begun (batch,): whether it has a place yet."""

    walk: Tensor
    begun: Tensor


class Movement:
    """Moves log magnitudes of so many bands. draws_per_frame: uniform numbers for each part."""

    def __init__(self, bands: int) -> None:
        self._groups = -(-bands // TOGETHER)
        # Normal numbers are made in pairs.
        self.draws_per_frame = self._groups + self._groups % 2

    def initial_state(self, batch: int) -> MovementState:
        """The state of `batch` parts that have not begun."""
        walk = torch.zeros(batch, self.draws_per_frame)
        return MovementState(walk, torch.zeros(batch, dtype=torch.bool))

    def step(
        self, spectra: Tensor, spread: Tensor, memory: Tensor, state: MovementState, draws: Tensor
    ) -> tuple[Tensor, MovementState]:
        """The same spectra, moved: (batch, n, bands) natural-log magnitudes.

        spread (batch, n, bands): standard deviations in natural log, 0 where a band stands still;
        memory (batch, n): frames, above 0; draws (batch, n, draws_per_frame) in (0, 1). The state
        is moved on in place.
        """
        moved = spectra.clone(memory_format=torch.contiguous_format)
        walk, begun = state.walk.numpy(), state.begun.numpy()
        spreads, memories, drawn = (x.contiguous().numpy() for x in (spread, memory, draws))
        _move(moved.numpy(), spreads, memories, drawn, walk, begun)
        return moved, state


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _move(levels, spread, memory, draws, walk, begun):
    batch, frames, bands = levels.shape
    for b in range(batch):
        for t in range(frames):
            kept = math.exp(-1.0 / memory[b, t]) if begun[b] else 0.0
            fresh = math.sqrt(1.0 - kept * kept)
            begun[b] = True
            for i in range(0, walk.shape[1], 2):
                # Box and Muller: two uniform numbers make two normal ones.
                far = fresh * math.sqrt(-2.0 * math.log(draws[b, t, i]))
                way = 2.0 * math.pi * draws[b, t, i + 1]
                walk[b, i] = kept * walk[b, i] + far * math.cos(way)
                walk[b, i + 1] = kept * walk[b, i + 1] + far * math.sin(way)
            for f in range(bands):
                s = spread[b, t, f]
                levels[b, t, f] += s * (walk[b, f // TOGETHER] - s)
