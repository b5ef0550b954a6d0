"""The report's sound examples: a test excerpt as it was rendered, and as we make it.

All sounds of an excerpt have the renderer's own level, so that loudness can be compared too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.measures.embedding import embedding
from benchmarks.rows import make_vocoder
from synth.bank.bank import Bank
from synth.mel import Analysis, log_magnitudes, log_mel
from synth.mel2mel.network import QUIET, Mel2Mel
from synth.vocoders.contract import Vocoder
from trainer.data.dataset import load_excerpt
from trainer.data.manifest import read_manifest

CONDITIONS = {
    "original": "the SoundFont, as FluidSynth renders it",
    "true magnitudes → spectral": "what the spectral vocoder makes of the original's spectrum",
    "true mel → wavenet": "what the WaveNet makes of the original's mel spectrogram",
    "notes → spectral, lookahead 0": "ours, as played by hand",
    "notes → spectral, whole piece": "ours, with the whole piece in sight",
    "notes → wavenet, whole piece": "ours through the WaveNet, with the whole piece in sight",
}
BEFORE_FRAMES = 6
"""Heard before the first onset, whose frames rise early."""
TALLNESS = 128
WIDTH = 500
RANGE_DB = (-90.0, -20.0)


@dataclass(frozen=True, slots=True)
class Sound:
    """One condition, as FLAC of 16 bits, and its spectrogram, as PNG."""

    condition: str
    flac: bytes
    picture: bytes


@dataclass(frozen=True, slots=True)
class Example:
    """An excerpt of a piece, played by one patch under every condition that the bank can."""

    patch: str
    piece: str
    sounds: list[Sound]


def examples(bank: Bank, data: Path, patches: list[str], seconds: float) -> Iterator[Example]:
    """An example for each patch that has a test excerpt in a data set, each of another piece.

    Raises ValueError for a data set of another rate or hop than the bank's, and for a bad file.
    """
    manifest, analysis = read_manifest(data), bank.analysis
    for size in ("rate", "hop"):
        if getattr(manifest, size) != getattr(analysis, size):
            raise ValueError(
                f"{data / 'manifest.yaml'}: {size} is {getattr(manifest, size)}, but the bank "
                f"{bank.path} plays at {getattr(analysis, size)}"
            )
    mel2mel = bank.mel2mel()
    vocoders = {name: make_vocoder(bank, name) for name in _playable(bank)}
    for number, patch in enumerate(tqdm(patches, desc="sounds", unit="patch")):
        paths = sorted((data / "test").glob(f"*-{patch}.npz"))
        if not paths:
            continue
        path = paths[number % len(paths)]
        excerpt = load_excerpt(path, list(manifest.programs))
        struck = np.flatnonzero(excerpt.roll.any(1))
        first = max((int(struck[0]) if len(struck) else 0) - BEFORE_FRAMES, 0)
        frames = min(round(seconds * analysis.frame_rate), len(excerpt.roll) - first)
        samples = slice(first * analysis.hop, (first + frames) * analysis.hop)
        original = torch.from_numpy(excerpt.audio[samples].astype(np.float32) / 32767)
        roll = torch.from_numpy(excerpt.roll[first : first + frames].astype(np.float32) / 127)
        timbre = torch.tensor(embedding(bank, patch))
        made = _made(mel2mel, vocoders, original, roll, timbre, analysis)
        sounds = [_sound(condition, made[condition], analysis) for condition in made]
        yield Example(patch, path.stem.removesuffix(f"-{patch}"), sounds)


def vocode(vocoder: Vocoder, frames: Tensor) -> Tensor:
    """What a vocoder makes of log spectra (frames, bands), aligned with them: (samples,)."""
    after = torch.full((vocoder.lookahead, frames.shape[1]), QUIET)
    frames = torch.cat([frames, after])[None]
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(1, frames.shape[1], vocoder.draws_per_frame, generator=generator)
    heard, _ = vocoder.step(frames, vocoder.initial_state(1), draws)
    return heard[0, vocoder.lookahead * vocoder.hop :]


def spectrogram(audio: Tensor, analysis: Analysis) -> bytes:
    """A small PNG: time to the right, mel scale up to Nyquist, `RANGE_DB` dark to light."""
    # Here, so that what needs no picture needs no library for one.
    from matplotlib import colormaps
    from PIL import Image

    finer = Analysis(analysis.rate, analysis.hop, analysis.window, TALLNESS)
    level_db = 20 / np.log(10) * log_mel(audio, finer).T[None]
    # The loudest of neighbouring frames: an onset stays a line.
    level_db = torch.nn.functional.adaptive_max_pool1d(level_db, min(WIDTH, level_db.shape[2]))[0]
    low, high = RANGE_DB
    shade = ((level_db - low) / (high - low)).clamp(0, 1).mul(63).round().byte().flip(0)
    picture = Image.fromarray(shade.numpy()).convert("P")
    colours = (colormaps["magma"](np.linspace(0, 1, 64))[:, :3] * 255).round()
    picture.putpalette(colours.astype(np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _playable(bank: Bank) -> list[str]:
    return ["spectral", "wavenet"] if bank.wavenet_config else ["spectral"]


@torch.inference_mode()
def _made(
    mel2mel: Mel2Mel,
    vocoders: dict[str, Vocoder],
    original: Tensor,
    roll: Tensor,
    timbre: Tensor,
    analysis: Analysis,
) -> dict[str, Tensor]:
    """Audio (samples,) by condition, in their order; those of vocoders that are there."""
    spectral, wavenet = vocoders["spectral"], vocoders.get("wavenet")
    place = timbre[None, None]
    by_hand, whole = (mel2mel(roll[None], place, ahead) for ahead in (0, None))
    made = [
        original,
        vocode(spectral, log_magnitudes(original, analysis)),
        vocode(wavenet, log_mel(original, analysis)) if wavenet else None,
        vocode(spectral, by_hand.fine[0]),
        vocode(spectral, whole.fine[0]),
        vocode(wavenet, whole.mel[0]) if wavenet else None,
    ]
    pairs = zip(CONDITIONS, made, strict=True)
    return {condition: audio for condition, audio in pairs if audio is not None}


def _sound(condition: str, audio: Tensor, analysis: Analysis) -> Sound:
    file = io.BytesIO()
    soundfile.write(
        file, audio.clamp(-1, 1).numpy(), analysis.rate, format="FLAC", subtype="PCM_16"
    )
    return Sound(condition, file.getvalue(), spectrogram(audio, analysis))
