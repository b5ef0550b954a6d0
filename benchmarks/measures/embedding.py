"""How do brightness and loudness change between the instruments?

At each point of the embedding space Mel2Mel plays a middle C and then a C major chord (velocity
90, the whole phrase known in advance), and its predicted spectrum is measured: the fine one if
the bank has it, else the mel bands; without vocoder and without the patch's gain. The centroid
is the mean frequency, weighted by the phrase's mean magnitudes; the energy is the mean power of
a frame, in dB relative to a full-scale sine.

A morph is the straight line between two patches, in 11 points. How monotone a curve along it is:
|net change| / total variation, which is 1 when it never turns back and 0 when it ends where it
began. Centroids are compared in octaves. centroid_octaves and energy_db are how far apart the two
ends are. The last rows are the mean and the minimum of each column, and the pooled figures: the
sum of all net changes over the sum of all variations. In those a small bump between two similar
patches counts only as much as it is heard.

`python -m benchmarks embedding-map` draws both measures over the space.
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.flags import add_bank_flag
from benchmarks.rows import Row
from daw_bridge.desk.settings import Settings
from daw_bridge.events import Event, NoteOff, NoteOn
from daw_bridge.piano_roll import PianoRoll
from synth.bank.bank import Bank, load_bank
from synth.mel import Analysis, fold, mel_filters
from synth.mel2mel.network import Mel2Mel

SUMMARY = "how do brightness and loudness change between the instruments?"
PHRASE = ((0.0, 0.5, (60,)), (0.6, 1.1, (60, 64, 67)))
"""Onset and release in seconds, and keys."""
PHRASE_S = 1.5
VELOCITY = 90
POINTS = 11
SINE_POWER = 1.5
"""Sum of the squared magnitudes of a full-scale sine: 1 at its bin, 1/4 on either side."""
BATCH = 32


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which bank."""
    add_bank_flag(parser)


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for every two patches, then the mean, the minimum and the pooled figures.

    Raises ValueError for a bank with a single patch.
    """
    bank = load_bank(options.bank)
    if len(bank.names) < 2:
        raise ValueError(f"{bank.path}: has a single patch; a morph needs two")
    places = np.array([embedding(bank, name) for name in bank.names])
    pairs = list(combinations(range(len(places)), 2))
    amounts = np.linspace(0, 1, POINTS)[:, None]
    lines = [(1 - amounts) * places[a] + amounts * places[b] for a, b in pairs]
    centroid, energy = hear(bank.mel2mel(), np.concatenate(lines), "morphs")
    octaves = np.log2(centroid).reshape(-1, POINTS)
    level = energy.reshape(-1, POINTS)
    figures = [
        {
            "centroid_octaves": float(abs(bright[-1] - bright[0])),
            "centroid_monotone": monotone(bright),
            "energy_db": float(abs(loud[-1] - loud[0])),
            "energy_monotone": monotone(loud),
        }
        for bright, loud in zip(octaves, level, strict=True)
    ]
    rows: list[Row] = [
        {"from": bank.names[a], "to": bank.names[b], **each}
        for (a, b), each in zip(pairs, figures, strict=True)
    ]
    return [*rows, *_summary(figures, octaves, level)]


def embedding(bank: Bank, name: str) -> tuple[float, ...]:
    """Where a patch plays in the embedding space: its own point, moved by its own knobs."""
    patch = bank.patch(name)
    base, knobs = patch.embedding, patch.knobs
    settings = Settings(name, name, base, knobs, patch.gain_db, patch.pan, base, knobs)
    return settings.effective(bank.knobs)


def monotone(curve: np.ndarray) -> float:
    """|net change| / total variation of a curve (points,), 0..1; 1 if it never changes.

    >>> monotone(np.array([0.0, 1.0, 3.0])), monotone(np.array([0.0, 3.0, 1.0]))
    (1.0, 0.2)
    """
    variation = np.abs(np.diff(curve)).sum()
    return float(abs(curve[-1] - curve[0]) / variation) if variation > 0 else 1.0


@torch.inference_mode()
def hear(mel2mel: Mel2Mel, points: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Spectral centroid in Hz and mean energy in dB at points (n, size): two arrays (n,).

    what: the progress bar's name.
    """
    analysis = mel2mel.config.analysis
    roll = torch.from_numpy(phrase(analysis))[None]
    places = torch.from_numpy(points.astype(np.float32))[:, None]
    centroid, energy = [], []
    for some in tqdm(places.split(BATCH), desc=f"embedding, {what}", unit="batch"):
        spectra = mel2mel(roll.expand(len(some), -1, -1), some, None)
        made = spectra.mel if spectra.fine is None else spectra.fine
        bright, loud = centroid_and_energy(made, _frequencies(analysis, made.shape[2]))
        centroid.append(bright)
        energy.append(loud)
    return torch.cat(centroid).numpy(), torch.cat(energy).numpy()


def centroid_and_energy(spectra: Tensor, hertz: Tensor) -> tuple[Tensor, Tensor]:
    """Hz and dB of log magnitudes (batch, frames, bands) at hertz (bands,): two of (batch,)."""
    linear = spectra.double().exp()
    mean = linear.mean(1)
    power = linear.square().sum(2).mean(1) / SINE_POWER
    return (mean @ hertz) / mean.sum(1), 10 * power.clamp(min=1e-12).log10()


def phrase(analysis: Analysis) -> np.ndarray:
    """The roll that is played at every point: (frames, 176) in 0..1."""
    events: list[Event] = []
    for onset, release, keys in PHRASE:
        at, end = (round(s * analysis.rate) for s in (onset, release))
        events += [NoteOn(at, 1, key, VELOCITY) for key in keys]
        events += [NoteOff(end, 1, key) for key in keys]
    frames = round(PHRASE_S * analysis.frame_rate)
    return PianoRoll(analysis.hop).frames(events, 0, frames)


def _frequencies(analysis: Analysis, bands: int) -> Tensor:
    """Hz of every band: of fine bands their centres, of mel bands their centres of weight."""
    bins = torch.linspace(0, analysis.rate / 2, analysis.bins, dtype=torch.float64)
    if bands == analysis.bands:
        return fold(bins, analysis)
    filters = mel_filters(analysis).double()
    return (bins @ filters) / filters.sum(0)


def _summary(figures: list[dict[str, float]], octaves: np.ndarray, level: np.ndarray) -> list[Row]:
    columns = {key: [each[key] for each in figures] for key in figures[0]}
    mean = {key: float(np.mean(values)) for key, values in columns.items()}
    least = {key: min(values) for key, values in columns.items()}
    pooled = {
        f"{name}_monotone": float(
            np.abs(paths[:, -1] - paths[:, 0]).sum() / np.abs(np.diff(paths)).sum()
        )
        for name, paths in (("centroid", octaves), ("energy", level))
    }
    return [
        {"from": "all", "to": "mean", **mean},
        {"from": "all", "to": "min", **least},
        {"from": "all", "to": "pooled", **mean, **pooled},
    ]
