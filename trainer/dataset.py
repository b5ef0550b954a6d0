"""A rendered data set in memory: random sequences of audio and roll to learn from."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from synth.mel import Analysis, windowed_magnitudes
from synth.templates import KEYS, initial_keys, play_keys
from trainer.manifest import read_manifest
from trainer.storage import read_audio


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
    """One split of a data set folder, to draw sequences of so many frames from.

    Raises ValueError when there is none, no excerpt of one of its instruments, or an excerpt
    shorter than that.
    """

    def __init__(self, folder: Path, split: str, frames: int) -> None:
        self.manifest, self.frames = read_manifest(folder), frames
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
        for patch, excerpts in zip(self.patches, self.by_instrument, strict=True):
            if not excerpts:
                raise ValueError(f"{folder / split}: no excerpt of {patch}; let `render` finish")
        shortest = min(len(e.roll) for e in self.excerpts)
        if frames > shortest:
            raise ValueError(
                f"frames is {frames}, but an excerpt in {folder / split} has only {shortest}"
            )

    def draw(self, batch: int, window: int, random: torch.Generator) -> Sequences:
        """Random sequences, the instruments in turn so that each has the same share."""
        drawn = []
        first = _below(len(self.patches), random)
        instrument = [(first + row) % len(self.patches) for row in range(batch)]
        for row in range(batch):
            choices = self.by_instrument[instrument[row]]
            excerpt = choices[_below(len(choices), random)]
            start = _below(len(excerpt.roll) - self.frames + 1, random)
            drawn.append(self._cut(excerpt, start, window))
        columns = [torch.cat(parts) for parts in zip(*drawn, strict=True)]
        return Sequences(*columns, torch.tensor(instrument))

    def _cut(self, excerpt: Excerpt, start: int, window: int) -> tuple[Tensor, ...]:
        frames = self.frames
        # From the excerpt's start, as a player hears it: a key may have been held for long.
        history = torch.from_numpy(excerpt.roll[: start + frames]).float()[None] / 127
        velocity, drives, _ = play_keys(history, initial_keys(1), self.rate / self.hop)
        return (
            audio_around(excerpt.audio, start * self.hop, frames * self.hop, window // 2)[None],
            history[:, -frames:],
            velocity[:, -frames:],
            drives[:, -frames:],
        )


def load_excerpt(path: Path, patches: list[str]) -> Excerpt:
    """Read one excerpt; its instrument is counted in patches. ValueError names a bad file."""
    try:
        with np.load(path) as file:
            audio, roll, patch = read_audio(file), file["roll"], str(file["patch"])
    except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: not an excerpt ({error})") from None
    if roll.ndim != 2 or roll.shape[1] != 2 * KEYS or audio.ndim != 1:
        raise ValueError(f"{path}: not an excerpt (audio {audio.shape}, roll {roll.shape})")
    if patch not in patches:
        raise ValueError(f"{path}: patch {patch!r} is not one of {', '.join(patches)}")
    return Excerpt(audio, roll, patches.index(patch))


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
    return int(torch.randint(limit, (), generator=random))
