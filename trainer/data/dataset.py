"""A rendered data set in memory: random sequences of audio and roll to learn from."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from common.window import ROLL_CHANNELS
from synth.mel import SINGLE_HZ, Analysis, windowed_magnitudes
from synth.mel2mel.keys import KeyTracks, initial_keys, play_keys
from trainer.data.manifest import Manifest, read_manifest
from trainer.data.storage import read_audio

WINDOW_HOPS = 8
WIDE_BANDS = 48
"""Above 8 kHz: 190 Hz wide there and 550 Hz at 24 kHz, 560 fine bands in all and not 1,537."""
KEYS_EVERY = 200
"""Frames between the moments at which an excerpt's keyboard is remembered."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """audio (samples,) int16; roll (frames, 176) uint8, 0..127; instrument: index in the bank."""

    audio: np.ndarray
    roll: np.ndarray
    instrument: int


@dataclass(frozen=True, slots=True)
class Sequences:
    """A batch. audio (batch, half window + frames * hop + half window) in -1..1, roll (batch,
    context and frames, 176) in 0..1, velocity, age and rest as `play_keys` gives, instrument
    (batch,)."""

    audio: Tensor
    roll: Tensor
    velocity: Tensor
    age: Tensor
    rest: Tensor
    instrument: Tensor

    @property
    def keys(self) -> KeyTracks:
        """The three as the network takes them."""
        return KeyTracks(self.velocity, self.age, self.rest)

    def at(self, rows: slice) -> Sequences:
        """Some of them."""
        return Sequences(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Shard:
    """Which rows of a batch are drawn: every `ranks`-th from `rank` on, so that processes which
    draw with the same generator get different rows of one batch."""

    rank: int = 0
    ranks: int = 1


ALL = Shard()


class DataSet:
    """One split of a data set folder, to draw sequences of a number of frames from.

    context: frames before and after a sequence for which the roll is given, too. share: of its
    excerpts, each instrument's divided by turns, so that processes read a part each. Raises
    ValueError when there is no data set, no excerpt of one of its instruments, or an excerpt is
    shorter than a sequence.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        frames: int,
        context: tuple[int, int] = (0, 0),
        share: Shard = ALL,
    ) -> None:
        self.context = context
        self._keys: dict[tuple[int, int], KeyTracks] = {}
        self.manifest, self.frames = read_manifest(folder), frames
        self.patches = list(self.manifest.programs)
        self.analysis = analysis_of(self.manifest)
        self.hop, self.rate = self.analysis.hop, self.analysis.rate
        paths = sorted((folder / split).glob("*.npz"))
        if not paths:
            raise ValueError(f"{folder / split}: no excerpts; make some with `render`")
        shared = _shared(paths, self.patches, share)
        self.excerpts = [
            load_excerpt(path, self.patches)
            for path in tqdm(shared, desc=f"load {split}", unit="excerpt", disable=share.rank > 0)
        ]
        self.by_instrument = [
            [e for e in self.excerpts if e.instrument == i] for i in range(len(self.patches))
        ]
        for patch, excerpts in zip(self.patches, self.by_instrument, strict=True):
            if not excerpts:
                too_many = f", or for {share.ranks} processes" if share.ranks > 1 else ""
                raise ValueError(
                    f"{folder / split}: no excerpt of {patch}{too_many}; let `render` finish"
                )
        self.shortest = min(len(e.roll) for e in self.excerpts)
        if frames > self.shortest:
            raise ValueError(
                f"--frames: expected at most {self.shortest}, the shortest excerpt in "
                f"{folder / split}, got {frames}"
            )

    def draw(
        self,
        batch: int,
        window: int,
        random: torch.Generator,
        shard: Shard = ALL,
        frames: int | None = None,
    ) -> Sequences:
        """Random sequences, the instruments in turn so that each has the same share.

        batch: sequences of each process; frames: another length than the data set's, no longer
        than `shortest`; may be called from many threads.
        """
        frames = frames or self.frames
        rows = batch * shard.ranks
        first = _below(len(self.patches), random)
        chosen = []
        for row in range(rows):
            instrument = (first + row) % len(self.patches)
            choices = self.by_instrument[instrument]
            excerpt = choices[_below(len(choices), random)]
            start = _below(len(excerpt.roll) - frames + 1, random)
            chosen.append((excerpt, start))
        own = chosen[shard.rank :: shard.ranks]
        drawn = [self._cut(excerpt, start, frames, window) for excerpt, start in own]
        audio, roll, velocity, age, rest = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        instruments = torch.tensor([excerpt.instrument for excerpt, _ in own])
        return Sequences(audio, roll, velocity, age, rest, instruments)

    def _cut(self, excerpt: Excerpt, start: int, frames: int, window: int) -> tuple[Tensor, ...]:
        hop = self.hop
        audio = audio_around(excerpt.audio, start * hop, frames * hop, window // 2)
        before, after = self.context
        first, stop = start - before, start + frames + after
        roll = _roll_between(excerpt.roll, max(first, 0), stop)
        # Keys are followed from the excerpt's start: one may have been held for long.
        keys = self._keys_at(excerpt, max(first, 0))
        tracks, _ = play_keys(roll, keys)
        untouched = (0, 0, max(-first, 0), 0)
        tensors = (roll, tracks.velocity, tracks.age, tracks.rest)
        return (audio[None], *(pad(tensor, untouched) for tensor in tensors))

    def _keys_at(self, excerpt: Excerpt, frame: int) -> KeyTracks:
        """The keyboard before a frame: from the nearest one that is known already."""
        known = frame // KEYS_EVERY
        for step in range(known + 1):
            place = (id(excerpt), step)
            if step == 0:
                keys = initial_keys(1)
            elif place in self._keys:
                keys = self._keys[place]
            else:
                keys = self._play(excerpt, (step - 1) * KEYS_EVERY, step * KEYS_EVERY, keys)
                self._keys[place] = keys
        return self._play(excerpt, known * KEYS_EVERY, frame, keys)

    def _play(self, excerpt: Excerpt, start: int, stop: int, keys: KeyTracks) -> KeyTracks:
        return play_keys(_roll_between(excerpt.roll, start, stop), keys)[1]


def _shared(paths: list[Path], patches: list[str], share: Shard) -> list[Path]:
    """The share of excerpts, by their names, which end with their patch's."""
    if share.ranks == 1:
        return paths
    turns: dict[str, list[Path]] = {}
    for path in paths:
        # The longest: electric-piano ends with piano, too.
        fitting = [patch for patch in patches if path.stem.endswith(f"-{patch}")]
        turns.setdefault(max(fitting, key=len, default=""), []).append(path)
    return sorted(p for own in turns.values() for p in own[share.rank :: share.ranks])


def _roll_between(roll: np.ndarray, start: int, stop: int) -> Tensor:
    """Frames of a roll as (1, frames, 176) in 0..1, nothing played after its end."""
    part = torch.from_numpy(roll[start:stop]).float()[None] / 127
    return pad(part, (0, 0, 0, stop - start - part.shape[1]))


def analysis_of(manifest: Manifest) -> Analysis:
    """What networks see of a data set: windows of eight hops, 64 ms at any rate, and wide bands
    above 8 kHz if it goes so far."""
    wide = WIDE_BANDS if manifest.rate > 2 * SINGLE_HZ else 0
    window = WINDOW_HOPS * manifest.hop
    return Analysis(rate=manifest.rate, hop=manifest.hop, window=window, wide_bands=wide)


def load_excerpt(path: Path, patches: list[str]) -> Excerpt:
    """Read one excerpt; patches: in the order that its instrument counts. ValueError names a bad
    file."""
    try:
        with np.load(path) as file:
            audio, roll, patch = read_audio(file), file["roll"], str(file["patch"])
    except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: not an excerpt ({error})") from None
    if roll.ndim != 2 or roll.shape[1] != ROLL_CHANNELS or audio.ndim != 1:
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
