"""What the sound of single keys tells of an instrument, measured.

A data set may hold every key of every instrument alone, held for many seconds (`render` makes
them). What a key template says can be read off there: its spectrum at each moment, how fast each
octave decays, and how a tone fills the first frames.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from synth.mel import FLOOR, Analysis, band_centres, fold
from synth.mel2mel.keys import KEYS
from synth.mel2mel.network import Mel2Mel
from synth.mel2mel.templates import FASTEST_DECAY, FILL_FRAMES, KeyTemplates
from trainer.data.dataset import audio_around, framed_magnitudes, load_excerpt
from trainer.data.plan import KEYS_ALONE

DECAY_FROM_S = 2.0
"""Seconds after the onset from where on a decay is measured, if the tone lasts so long."""
STEADY_DB = 3.0
"""A tone that loses less than that is one that sustains."""
DEAD = 3e-5
"""Magnitude below which a band is silent: 10 dB above the floor."""
SLOWEST_DECAY, QUICKEST_DECAY = 1e-3, 0.97 * FASTEST_DECAY
"""Nepers a second: what a logit can say well."""
FILLS = (-4.0, 2.0)
"""Natural log of the least and the most that a fill is taken for."""
MIDDLE = range(27, 64)
"""Keys, from the lowest, whose sound says how bright and loud an instrument is: C3 to C6."""


@dataclass(frozen=True, slots=True)
class KeySounds:
    """Of each instrument and key. velocity: at which they were struck, 0..1; spectra (instruments,
    88, moments, bands): log magnitudes, decays taken out; decay (instruments, 88, decay bands):
    nepers a second; fill (instruments, 88, FILL_FRAMES): natural log; centroid, level
    (instruments,): mean of the middle keys, octaves and dB."""

    velocity: float
    spectra: Tensor
    decay: Tensor
    fill: Tensor
    centroid: Tensor
    level: Tensor


@dataclass(frozen=True, slots=True)
class HeldKey:
    """One excerpt: linear magnitudes (frames, bands) from the onset to the release; key from the
    lowest."""

    instrument: int
    key: int
    velocity: float
    linear: Tensor


def has_keys(folder: Path) -> bool:
    """Whether a data set holds single keys."""
    return any((folder / KEYS_ALONE).glob("*.npz"))


def measure_keys(folder: Path, patches: list[str], network: Mel2Mel) -> KeySounds:
    """All single keys of a data set; a key that an instrument lacks takes after the next one.

    Raises ValueError when an instrument has none.
    """
    templates, analysis = network.templates, network.config.analysis
    count, bands = len(patches), analysis.bands
    spectra = torch.zeros(count, KEYS, len(templates.moments_s), bands)
    decay = torch.zeros(count, KEYS, len(templates.decay_edges) - 1)
    fill = torch.zeros(count, KEYS, FILL_FRAMES)
    heard: list[dict[int, tuple[float, float]]] = [{} for _ in patches]
    velocity = 0.0
    for held in held_keys(folder, patches, analysis):
        place, velocity = (held.instrument, held.key), held.velocity
        spectra[place], decay[place], fill[place] = _measure(held.linear, templates)
        heard[held.instrument][held.key] = _impression(held.linear, analysis)
    for i, nearest in enumerate(nearest_keys(folder, patches, heard)):
        for table in (spectra, decay, fill):
            table[i] = table[i, nearest]
    middle = [[v for k, v in keys.items() if k in MIDDLE] or list(keys.values()) for keys in heard]
    impressions = np.array([np.mean(each, 0) for each in middle], np.float32)
    centroid, level = torch.from_numpy(impressions).T
    return KeySounds(velocity, spectra, decay, fill, centroid, level)


def nearest_keys(
    folder: Path, patches: list[str], heard: Sequence[Collection[int]]
) -> list[Tensor]:
    """Of each instrument, for each of the 88 keys the nearest that was heard: (88,).

    Raises ValueError when an instrument has none.
    """
    nearest = []
    for patch, keys in zip(patches, heard, strict=True):
        there = torch.tensor(sorted(keys))
        if not len(there):
            raise ValueError(f"{folder / KEYS_ALONE}: no key of {patch}; let `render` finish")
        nearest.append(there[(torch.arange(KEYS)[:, None] - there).abs().argmin(1)])
    return nearest


def held_keys(
    folder: Path, patches: list[str], analysis: Analysis, longest_s: float = math.inf
) -> Iterator[HeldKey]:
    """Every single key of a data set, or so many seconds of each."""
    hop, half = analysis.hop, analysis.window // 2
    for path in tqdm(sorted((folder / KEYS_ALONE).glob("*.npz")), "keys", unit="key"):
        excerpt = load_excerpt(path, patches)
        onset, key = map(int, np.argwhere(excerpt.roll[:, KEYS:])[0])
        frames = int(np.flatnonzero(excerpt.roll[:, key])[-1]) + 1 - onset
        frames = int(min(frames, longest_s * analysis.frame_rate))
        audio = audio_around(excerpt.audio, onset * hop, frames * hop, half)
        linear = fold(framed_magnitudes(audio[None], analysis)[0], analysis)
        yield HeldKey(excerpt.instrument, key, excerpt.roll[onset, key] / 127, linear)


def _measure(linear: Tensor, templates: KeyTemplates) -> tuple[Tensor, Tensor, Tensor]:
    """Of one held key, frames from its onset on (frames, bands): spectra (moments, bands), decay
    (decay bands,) and fill (FILL_FRAMES,)."""
    edges = templates.decay_edges
    seconds = torch.arange(len(linear)) * templates.frame_s
    decay = torch.stack(
        [_decay_of(linear[:, low:high], templates.frame_s) for low, high in pairwise(edges)]
    )
    kept = (-seconds[:, None] * decay).exp().repeat_interleave(torch.tensor(np.diff(edges)), 1)
    hats = templates.share(torch.arange(len(linear)))
    weights = hats.square() / hats.square().sum(0).clamp(min=1e-9)[None]
    log = linear.clamp(min=FLOOR).log()
    spectra = weights.T @ (log - kept.log())
    quiet = weights.T @ log < np.log(DEAD)
    for moment in range(1, len(spectra)):
        # What is silent must not grow again by the decay that is taken out of it, and a moment
        # after the key's release is as the one before.
        before = spectra[moment - 1]
        now = spectra[moment] if hats[:, moment].any() else before
        spectra[moment] = torch.where(quiet[moment], torch.minimum(now, before), now)
    made = (hats[:FILL_FRAMES] @ (2 * spectra).exp()) * kept[:FILL_FRAMES].square()
    true = linear[:FILL_FRAMES].square() @ templates.widths
    fill = (true.clamp(min=FLOOR**2) / (made @ templates.widths).clamp(min=FLOOR**2)).log() / 2
    return spectra, decay, fill.clamp(*FILLS)


def _decay_of(linear: Tensor, frame_s: float) -> Tensor:
    """Nepers a second that a held tone's bands (frames, bands) lose together, 0 if it stays."""
    power = linear.square().mean(1)
    level = power.unfold(0, 25, 5).mean(1).clamp(min=1e-12).log() / 2
    seconds = (torch.arange(len(level)) * 5 + 12) * frame_s
    alive = level > np.log(DEAD)
    last = int(alive.nonzero()[-1]) + 1 if alive.any() else 0
    first = min(int(DECAY_FROM_S / frame_s / 5), last // 2)
    if last - first < 5:
        return torch.tensor(QUICKEST_DECAY if last < len(level) else SLOWEST_DECAY)
    time, level = seconds[first:last], level[first:last]
    time, mean = time - time.mean(), level.mean()
    rate = -(time @ (level - mean)) / (time @ time)
    lost_db = float(rate) * float(time[-1] - time[0]) * 20 / np.log(10)
    steady = torch.tensor(SLOWEST_DECAY)
    return rate.clamp(SLOWEST_DECAY, QUICKEST_DECAY) if lost_db > STEADY_DB else steady


def _impression(linear: Tensor, analysis: Analysis) -> tuple[float, float]:
    """Octaves of the centroid and dB of the first second of a tone."""
    hertz = torch.from_numpy(band_centres(analysis, "fine")).float()
    first = linear[: round(analysis.frame_rate)]
    mean = first.mean(0)
    centroid = float((mean @ hertz) / mean.sum())
    return float(np.log2(centroid)), 10 * float(first.square().sum(1).mean().log10())
