"""The parts of a recording that a timbre is searched on: short, with the loudest notes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from common.window import KEYS
from synth.mel2mel.keys import KeyTracks
from synth.mel2mel.network import QUIET
from trainer.fit.score import Score

FRAMES = 256
"""Of an excerpt, two seconds: as long as a sequence in training."""
CONTEXT = 32
"""Frames, the first, that let the network find into the music and are not compared."""
STRUCK = 3 / 4
"""Of an excerpt: notes struck in this first part of it can be heard for a while."""
EVERY = 16
"""Frames between places that are tried."""
SHIFTS = 12
"""Frames, 96 ms, by which an excerpt may lie earlier or later than the score says: onsets of slow
tones are found late, and nobody keeps time exactly."""


@dataclass(frozen=True, slots=True)
class Excerpts:
    """A few excerpts of a score, and what the recording has there.

    starts: their frames in the recording; roll (n, frames, 176), keys: likewise; target (n,
    frames + 2 * SHIFTS, mels): log mel bands of the recording, with so many more at both ends.
    """

    starts: list[int]
    roll: Tensor
    keys: KeyTracks
    target: Tensor

    def __len__(self) -> int:
        return len(self.starts)

    def shifted(self, shifts: Tensor) -> Tensor:
        """The target (n, frames, mels) if the recording is so many frames (n,) late."""
        frames = self.roll.shape[1]
        at = [int(shift) + SHIFTS for shift in shifts]
        return torch.stack([x[i : i + frames] for x, i in zip(self.target, at, strict=True)])

    def first(self, count: int) -> Excerpts:
        """The best of them."""
        return Excerpts(
            self.starts[:count],
            self.roll[:count],
            self.keys.at(slice(count)),
            self.target[:count],
        )


def choose_excerpts(score: Score, lag: int, heard: Tensor, count: int) -> Excerpts:
    """The excerpts, `count` at most, in which most is played, most of it first.

    lag: as in `Place`; heard (frames, mels): the recording's log mel bands. What counts is how
    hard each key is struck, once for each key. They do not overlap.
    """
    total = len(heard)
    struck = torch.from_numpy(score.roll[:, KEYS:])
    weights: list[tuple[float, int]] = []
    for start in range(-CONTEXT, max(total - FRAMES, -CONTEXT) + 1, EVERY):
        first = max(start + CONTEXT + lag, 0)
        last = max(start + lag + round(CONTEXT + (FRAMES - CONTEXT) * STRUCK), 0)
        loudest = struck[first:last].amax(0) if last > first < len(struck) else struck.new_zeros(1)
        weights.append((float(loudest.sum()), start))
    chosen: list[int] = []
    for weight, start in sorted(weights, key=lambda w: (-w[0], w[1])):
        free = all(abs(start - other) >= FRAMES - CONTEXT for other in chosen)
        if len(chosen) < count and free and (weight > 0 or not chosen):
            chosen.append(start)
    return cut_excerpts(score, lag, heard, chosen)


def cut_excerpts(score: Score, lag: int, heard: Tensor, starts: list[int]) -> Excerpts:
    """The excerpts that begin at these frames of the recording."""
    told = [score.tensors(start + lag, FRAMES) for start in starts]
    tracks = ([getattr(keys, name) for _, keys in told] for name in ("velocity", "age", "rest"))
    margin = FRAMES + SHIFTS
    padded = pad(heard, (0, 0, margin, 2 * margin), value=QUIET)
    targets = [padded[start + FRAMES :][: FRAMES + 2 * SHIFTS] for start in starts]
    return Excerpts(
        starts,
        torch.cat([roll for roll, _ in told]),
        KeyTracks(*map(torch.cat, tracks)),
        torch.stack(targets),
    )
