"""What lies between the instruments: brightness and loudness over the embedding space.

At every point asked for, Mel2Mel plays a middle C and then a C major chord (velocity 90, the
whole phrase in sight), and its predicted spectrum is measured: the fine one where the bank
has it, else the mel bands; no vocoder, no patch's gain. The centroid is the mean frequency,
weighted by the phrase's mean magnitudes; the energy is the mean power of a frame, in dB
against a full-scale sine.

A morph is the straight line between two patches, in 11 points. A curve along it is monotone
to the degree |net change| / total variation: 1 when it never turns back, 0 when it ends
where it began. Centroids are compared in octaves. centroid_octaves and energy_db are how far
apart the two ends are. Below stand the mean and the least of the columns, and the sum of
all net changes over the sum of all variations, in which a small bump on a short way weighs
no more than it is heard.

With --plots, a picture of both measures over the space. More than two coordinates are cut by
the plane of the patches' two main principal components, through their mean.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.rows import Row
from daw_bridge.desk.settings import Settings
from daw_bridge.events import NoteOff, NoteOn
from daw_bridge.piano_roll import PianoRoll
from player.flags import DEFAULT_BANK
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
"""The squared magnitudes of a full-scale sine, summed: 1 at its bin, 1/4 on either side."""
BATCH = 32


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which bank, and how fine a map."""
    parser.add_argument("--bank", type=Path, default=DEFAULT_BANK, help="folder of a bank")
    parser.add_argument("--plots", type=Path, help="also draw embedding.png in this folder")
    parser.add_argument("--grid", type=int, default=49, help="points along each side of the map")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for every two patches, then the mean, the least and the pooled figures.

    Raises ValueError for a bank with a single patch, and for a map of less than 2 x 2 points
    or of a space with one coordinate.
    """
    bank = load_bank(options.bank)
    if len(bank.names) < 2:
        raise ValueError(f"{bank.path}: has a single patch; a morph needs two")
    mel2mel = bank.mel2mel()
    places = np.array([embedding(bank, name) for name in bank.names])
    if options.plots:
        # Here, because it needs a library that the figures do not.
        from benchmarks.report.embedding_map import draw_map

        draw_map(options.plots, bank, mel2mel, places, options.grid)
    pairs = list(combinations(range(len(places)), 2))
    amounts = np.linspace(0, 1, POINTS)[:, None]
    lines = [(1 - amounts) * places[a] + amounts * places[b] for a, b in pairs]
    centroid, energy = hear(mel2mel, np.concatenate(lines), "morphs")
    octaves = np.log2(centroid).reshape(-1, POINTS)
    level = energy.reshape(-1, POINTS)
    rows: list[Row] = [
        {
            "from": bank.names[a],
            "to": bank.names[b],
            "centroid_octaves": float(abs(path[-1] - path[0])),
            "centroid_monotone": monotone(path),
            "energy_db": float(abs(loud[-1] - loud[0])),
            "energy_monotone": monotone(loud),
        }
        for (a, b), path, loud in zip(pairs, octaves, level, strict=True)
    ]
    return [*rows, *_summary(rows, octaves, level)]


def embedding(bank: Bank, name: str) -> tuple[float, ...]:
    """Where a patch plays: its point, moved by its own knobs."""
    patch = bank.patch(name)
    settings = Settings(name, name, patch.embedding, patch.knobs, patch.gain_db, patch.pan)
    return settings.effective(bank.knobs)


def monotone(curve: np.ndarray) -> float:
    """|net change| / total variation of a curve (points,), 0..1; a level one is 1.

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
    events = []
    for onset, release, keys in PHRASE:
        at, end = (round(s * analysis.rate) for s in (onset, release))
        events += [NoteOn(at, 1, key, VELOCITY) for key in keys]
        events += [NoteOff(end, 1, key) for key in keys]
    frames = round(PHRASE_S * analysis.frame_rate)
    return PianoRoll(analysis.hop).frames(events, 0, frames)


def _frequencies(analysis: Analysis, bands: int) -> Tensor:
    """Of every fine band, or, of the mel bands, their centres of weight."""
    bins = torch.linspace(0, analysis.rate / 2, analysis.bins, dtype=torch.float64)
    if bands == analysis.bands:
        return fold(bins, analysis)
    filters = mel_filters(analysis).double()
    return (bins @ filters) / filters.sum(0)


def _summary(rows: list[Row], octaves: np.ndarray, level: np.ndarray) -> list[Row]:
    figures = [key for key in rows[0] if key not in ("from", "to")]
    taken = {key: [row[key] for row in rows] for key in figures}
    mean = {"from": "all", "to": "mean"} | {k: float(np.mean(v)) for k, v in taken.items()}
    least = {"from": "all", "to": "min"} | {k: float(min(v)) for k, v in taken.items()}
    pooled = {
        f"{name}_monotone": float(
            np.abs(paths[:, -1] - paths[:, 0]).sum() / np.abs(np.diff(paths)).sum()
        )
        for name, paths in (("centroid", octaves), ("energy", level))
    }
    return [mean, least, mean | {"to": "pooled"} | pooled]
