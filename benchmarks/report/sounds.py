"""The report's sound examples: an excerpt of a test piece, as rendered and as we make it.

All sounds of an excerpt have the renderer's own level, so that loudness can be compared too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from tqdm import tqdm

from benchmarks.measures.conditions import (
    MAGNITUDES_SPECTRAL,
    MEL_WAVENET,
    NETWORKS,
    NOTES_SPECTRAL,
    NOTES_WAVENET,
    Remake,
    make_remake,
)
from benchmarks.measures.takes import instruments, load_takes, paths_of
from player.bounce import Lookahead
from synth.bank.bank import Bank
from synth.mel import Analysis, log_mel

ORIGINAL = "original"
BEFORE_FRAMES = 6
"""Heard before the first onset, because spectral frames begin early."""
TALLNESS = 128
WIDTH = 500
RANGE_DB = (-90.0, -20.0)
SHADES = 64


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to make an example's sound. condition: of `conditions`, None for the original."""

    title: str
    meaning: str
    condition: str | None
    lookahead: Lookahead = "full"


KINDS = (
    Kind(ORIGINAL, "the SoundFont, as FluidSynth renders it", None),
    Kind(
        "true magnitudes → spectral",
        "what the spectral vocoder makes of the original's spectrum",
        MAGNITUDES_SPECTRAL,
    ),
    Kind(
        "true mel → wavenet",
        "what the WaveNet makes of the original's mel spectrogram",
        MEL_WAVENET,
    ),
    Kind("notes → spectral, lookahead 0", "ours, as played by hand", NOTES_SPECTRAL, 0),
    Kind("notes → spectral, whole piece", "ours, with the whole piece known", NOTES_SPECTRAL),
    Kind(
        "notes → wavenet, whole piece",
        "ours through the WaveNet, with the whole piece known",
        NOTES_WAVENET,
    ),
)
"""In the order of the page."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One kind's sound, as FLAC of 16 bits, and its spectrogram, as PNG."""

    title: str
    flac: bytes
    picture: bytes


@dataclass(frozen=True, slots=True)
class Example:
    """An excerpt of a piece, played by one patch in every way that the bank allows."""

    patch: str
    piece: str
    sounds: list[Sound]


def examples(bank: Bank, data: Path, patches: Sequence[str], seconds: float) -> Iterator[Example]:
    """An example for each patch that has a test piece in a data set, each of another piece.

    Raises ValueError for a data set of another rate or hop than the bank's, and for a bad file.
    """
    known = instruments(bank, data)
    ways = {kind.title: _remake(kind, bank) for kind in KINDS if _possible(kind, bank)}
    for number, patch in enumerate(tqdm(patches, desc="sounds", unit="patch")):
        paths = paths_of(data, patch) if patch in known else []
        if not paths:
            continue
        path = paths[number % len(paths)]
        (take,) = load_takes(bank, [path], patch, seconds, BEFORE_FRAMES)
        sounds = [_sound(title, remake(take), bank.analysis) for title, remake in ways.items()]
        yield Example(patch, path.stem.removesuffix(f"-{patch}"), sounds)


def spectrogram(audio: np.ndarray, analysis: Analysis) -> bytes:
    """A small PNG: time to the right, mel scale up to Nyquist, `RANGE_DB` from dark to light."""
    # Here, so that a page without sounds needs no library for pictures.
    from matplotlib import colormaps
    from PIL import Image

    finer = Analysis(analysis.rate, analysis.hop, analysis.window, TALLNESS)
    level_db = 20 / np.log(10) * log_mel(torch.from_numpy(audio), finer).T[None]
    # The loudest of neighbouring frames, so that an onset stays a line.
    level_db = torch.nn.functional.adaptive_max_pool1d(level_db, min(WIDTH, level_db.shape[2]))[0]
    low, high = RANGE_DB
    shade = ((level_db - low) / (high - low)).clamp(0, 1).mul(SHADES - 1).round().byte().flip(0)
    picture = Image.fromarray(shade.numpy()).convert("P")
    colours = (colormaps["magma"](np.linspace(0, 1, SHADES))[:, :3] * 255).round()
    picture.putpalette(colours.astype(np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _possible(kind: Kind, bank: Bank) -> bool:
    needed = NETWORKS[kind.condition] if kind.condition else ()
    return "wavenet" not in needed or bank.wavenet_config is not None


def _remake(kind: Kind, bank: Bank) -> Remake:
    if kind.condition is None:
        return lambda take: take.original
    return make_remake(kind.condition, bank, kind.lookahead)


def _sound(title: str, audio: np.ndarray, analysis: Analysis) -> Sound:
    file = io.BytesIO()
    soundfile.write(file, audio.clip(-1, 1), analysis.rate, format="FLAC", subtype="PCM_16")
    return Sound(title, file.getvalue(), spectrogram(audio, analysis))
