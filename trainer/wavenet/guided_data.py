"""Guides in memory, or on a GPU: one long row of hops, to cut sequences from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synth.vocoders.wavenet.mulaw import SILENCE
from trainer.data.dataset import ALL, Shard
from trainer.wavenet.guides import Guided, read_guides


@dataclass(frozen=True, slots=True)
class Cut:
    """Sequences: mel (batch, frames, mels) float32; target (batch, frames * hop) and guide
    (batch, frames * hop + 2 * reach) int64 classes."""

    mel: Tensor
    target: Tensor
    guide: Tensor


class GuidedData:
    """One split of a folder of guides. reach: samples of the guide on either side of a sequence.

    Raises ValueError for a folder without guides, without one for each patch, or with one that is
    shorter than a sequence of so many frames.
    """

    def __init__(
        self, folder: Path, split: str, frames: int, reach: int, device: torch.device
    ) -> None:
        self.told, guides = read_guides(folder, split)
        self.frames, self.reach, self.hop = frames, reach, self.told.hop
        shortest = min(len(guide.mel) for guide in guides)
        if frames > shortest:
            raise ValueError(
                f"--frames: expected at most {shortest}, the shortest excerpt in "
                f"{folder / split}, got {frames}"
            )
        # A silent hop before and after each: a sequence at an excerpt's end sees no other.
        lengths = [1] + [len(guide.mel) + 1 for guide in guides]
        self._starts = np.cumsum(lengths[:-1])
        self._ends = self._starts + [length - 1 for length in lengths[1:]]
        instruments = np.array([guide.instrument for guide in guides])
        patches = self.told.patches
        self._of_instrument = [np.flatnonzero(instruments == i) for i in range(len(patches))]
        for patch, own in zip(patches, self._of_instrument, strict=True):
            if not len(own):
                raise ValueError(f"{folder / split}: no guide of {patch}; let `guides` finish")
        self.levels = np.ones(sum(lengths) + 1, np.float32)
        mel = np.zeros((sum(lengths), self.told.mels), np.float16)
        classes = np.full((2, sum(lengths) * self.hop), SILENCE, np.uint8)
        for start, guide in zip(self._starts, guides, strict=True):
            self._place(guide, int(start), mel, classes)
        self._mel, (self._target, self._guide) = (
            torch.from_numpy(mel).to(device),
            (torch.from_numpy(c).to(device) for c in classes),
        )

    def _place(self, guide: Guided, start: int, mel: np.ndarray, classes: np.ndarray) -> None:
        stop = start + len(guide.mel)
        mel[start:stop] = guide.mel
        self.levels[start : stop + 1] = guide.levels
        classes[0, start * self.hop : stop * self.hop] = guide.target
        classes[1, start * self.hop : stop * self.hop] = guide.guide

    def draw(self, batch: int, random: torch.Generator, shard: Shard = ALL) -> Tensor:
        """First hops (batch,) int64 of random sequences, the instruments in turn."""
        rows = batch * shard.ranks
        first, *pairs = torch.rand(1 + 2 * rows, generator=random, dtype=torch.float64).tolist()
        chosen = []
        for row in range(rows):
            count = len(self._of_instrument)
            own = self._of_instrument[(int(first * count) + row) % count]
            excerpt = own[int(pairs[2 * row] * len(own))]
            room = int(self._ends[excerpt] - self._starts[excerpt]) - self.frames + 1
            chosen.append(int(self._starts[excerpt]) + int(pairs[2 * row + 1] * room))
        return torch.tensor(chosen[shard.rank :: shard.ranks])

    def cut(self, starts: Tensor) -> Cut:
        """The sequences (batch,) that begin at these hops, all on the data's device."""
        starts = starts.to(self._mel.device, non_blocking=True)[:, None]
        hops = starts + torch.arange(self.frames, device=starts.device)
        samples = torch.arange(
            -self.reach, self.frames * self.hop + self.reach, device=starts.device
        )
        samples = starts * self.hop + samples
        target = self._target[samples[:, self.reach : -self.reach]]
        return Cut(self._mel[hops].float(), target.long(), self._guide[samples].long())
