"""A rendered data set in memory: random sequences of audio and roll to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor
from tqdm import tqdm

from synth.mel import Analysis, windowed_magnitudes
from synth.templates import initial_keys, play_keys

KEY_HISTORY = 500
"""Frames of roll before a sequence that its key drives are started from: four seconds."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """audio (samples,) int16; roll (frames, 176) uint8, 0..127; instrument: index in the bank."""

    audio: np.ndarray
    roll: np.ndarray
    instrument: int


@dataclass(frozen=True, slots=True)
class Sequences:
    """A batch. audio (batch, half window + frames * hop + half window) in -1..1, roll (batch,
    frames, 176) in 0..1, velocity and drives as `play_keys` gives, instrument (batch,)."""

    audio: Tensor
    roll: Tensor
    velocity: Tensor
    drives: Tensor
    instrument: Tensor


class DataSet:
    """One split of a data set folder. Raises ValueError when there is none."""

    def __init__(self, folder: Path, split: str) -> None:
        manifest = folder / "manifest.yaml"
        if not manifest.is_file():
            raise ValueError(f"{manifest}: no data set here; make one with `render`")
        self.manifest = yaml.safe_load(manifest.read_text())
        self.patches = list(self.manifest["programs"])
        self.hop, self.rate = self.manifest["hop"], self.manifest["rate"]
        paths = sorted((folder / split).glob("*.npz"))
        if not paths:
            raise ValueError(f"{folder / split}: no excerpts; make some with `render`")
        self.excerpts = [
            load_excerpt(path, self.patches)
            for path in tqdm(paths, desc=f"load {split}", unit="excerpt")
        ]
        self.by_instrument = [
            [e for e in self.excerpts if e.instrument == i] for i in range(len(self.patches))
        ]

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return sum(len(e.audio) for e in self.excerpts) / self.rate / 3600

    def draw(self, batch: int, frames: int, window: int, random: torch.Generator) -> Sequences:
        """Random sequences, the instruments in turn so that each has the same share."""
        drawn = []
        first = _below(len(self.patches), random)
        instrument = [(first + row) % len(self.patches) for row in range(batch)]
        for row in range(batch):
            choices = self.by_instrument[instrument[row]]
            excerpt = choices[_below(len(choices), random)]
            start = _below(len(excerpt.roll) - frames + 1, random)
            drawn.append(self._cut(excerpt, start, frames, window))
        columns = [torch.cat(parts) for parts in zip(*drawn, strict=True)]
        return Sequences(*columns, torch.tensor(instrument))

    def _cut(self, excerpt: Excerpt, start: int, frames: int, window: int) -> tuple[Tensor, ...]:
        before = max(start - KEY_HISTORY, 0)
        history = torch.from_numpy(excerpt.roll[before : start + frames]).float()[None] / 127
        velocity, drives, _ = play_keys(history, initial_keys(1), self.rate / self.hop)
        return (
            audio_around(excerpt.audio, start * self.hop, frames * self.hop, window // 2)[None],
            history[:, -frames:],
            velocity[:, -frames:],
            drives[:, -frames:],
        )


def load_excerpt(path: Path, patches: list[str]) -> Excerpt:
    """Read one excerpt; its instrument is counted in patches."""
    with np.load(path) as file:
        return Excerpt(file["audio"], file["roll"], patches.index(str(file["patch"])))


def framed_magnitudes(audio: Tensor, analysis: Analysis) -> Tensor:
    """Linear magnitudes (batch, frames, bins) of `Sequences.audio`, its margins used up."""
    framed = audio.unfold(-1, analysis.window, analysis.hop)[:, :-1]
    return windowed_magnitudes(framed)


def audio_around(audio: np.ndarray, start: int, samples: int, margin: int) -> Tensor:
    """audio[start - margin : start + samples + margin] in -1..1, silence beyond the ends."""
    low, high = start - margin, start + samples + margin
    cut = np.zeros(high - low, np.float32)
    inside = audio[max(low, 0) : min(high, len(audio))]
    at = max(-low, 0)
    cut[at : at + len(inside)] = inside
    return torch.from_numpy(cut) / 32767


def _below(limit: int, random: torch.Generator) -> int:
    return int(torch.randint(max(limit, 1), (), generator=random))
