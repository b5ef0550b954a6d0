"""How close to the original: the published reconstruction measure on the held-out test pieces.

Pearson's correlation between our sound and the renderer's, for each of 84 semitone bins C1..B7
(constant-Q transform, linear magnitudes, hop 512), taken over the concatenated pieces of an
instrument; bins in which the original is silent are left out. mean_r is the mean over bins.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import librosa
import numpy as np
from tqdm import tqdm

from benchmarks.results import Row, add_bank_flags, make_vocoder
from daw_bridge.windows import Window, stereo_gain
from synth.bank import Bank, load_bank
from synth.engine import Engine, cut_window
from synth.predictor import Foreseen, Streaming
from synth.vocoder import Vocoder
from trainer.dataset import Excerpt, load_excerpt

SUMMARY = "how close is the sound to the original, bin by bin?"
BINS = 84
CQT_HOP = 512
BLOCK = 64
PUBLISHED = {
    "grand-piano": 0.713,
    "electric-piano": 0.714,
    "vibraphone": 0.760,
    "church-organ": 0.646,
    "acoustic-guitar": 0.748,
    "pizzicato-strings": 0.816,
    "orchestral-harp": 0.732,
    "string-ensemble": 0.664,
    "trumpet": 0.668,
    "synth-lead": 0.690,
}
"""The paper's mean r from notes through the WaveNet, by instrument."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play, and with what."""
    add_bank_flags(parser)
    parser.add_argument("--lookahead", default="0", help="frames, or full")
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="data set folder")
    parser.add_argument("--pieces", type=int, default=14, help="how many test pieces")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each, at most 60")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each instrument and one for their mean.

    Raises ValueError when the data set has no test pieces.
    """
    bank, lookahead = load_bank(options.bank), options.lookahead
    name, vocoder = options.vocoder, make_vocoder(bank, options.vocoder)
    data, pieces, seconds = options.data, options.pieces, options.seconds
    found = sorted((data / "test").glob("*.npz"))
    if not found:
        raise ValueError(f"{data / 'test'}: no test pieces; make some with the trainer's render")
    patches = list(bank.programs.values())
    rows: list[Row] = []
    for patch in tqdm(patches, desc=f"fidelity, {name}", unit="instrument"):
        paths = [p for p in found if p.stem.endswith(f"-{patch}")][:pieces]
        ours, theirs = [], []
        for path in paths:
            excerpt = load_excerpt(path, patches)
            original = excerpt.audio[: round(seconds * bank.analysis.rate)] / 32767
            made = _played(bank, vocoder, patch, lookahead, excerpt, len(original))
            ours.append(_cqt(made, bank.analysis.rate))
            theirs.append(_cqt(original.astype(np.float32), bank.analysis.rate))
        r = correlation(np.concatenate(ours, 1), np.concatenate(theirs, 1))
        rows.append(
            {
                "condition": f"notes -> {name}",
                "lookahead": lookahead,
                "instrument": patch,
                "mean_r": float(np.nanmean(r)),
                "published": PUBLISHED.get(patch, float("nan")),
            }
        )
    mean = {k: float(np.mean([row[k] for row in rows])) for k in ("mean_r", "published")}
    return [*rows, rows[0] | {"instrument": "mean"} | mean]


def correlation(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Pearson's r of each bin (bins, time) -> (bins,); NaN where the original is constant."""
    a, b = ours - ours.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True)
    spread = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    silent = (b**2).sum(1) < 1e-12
    return np.where(silent, np.nan, (a * b).sum(1) / np.maximum(spread, 1e-12))


def _cqt(audio: np.ndarray, rate: int) -> np.ndarray:
    return np.abs(librosa.cqt(audio, sr=rate, hop_length=CQT_HOP, n_bins=BINS))


def _played(
    bank: Bank, vocoder: Vocoder, patch: str, lookahead: str, excerpt: Excerpt, samples: int
) -> np.ndarray:
    """Our rendering of an excerpt's roll by one patch, aligned with it: (samples,)."""
    hop = bank.analysis.hop
    frames = -(-samples // hop)
    behind = vocoder.lookahead + (0 if lookahead == "full" else int(lookahead))
    roll = np.zeros((frames + behind, excerpt.roll.shape[1]), np.float32)
    roll[:frames] = excerpt.roll[:frames] / 127
    count = len(roll)
    embedding = np.tile(np.array(bank.patch(patch).embedding, np.float32), (count, 1))
    gain = np.tile(stereo_gain(0.0, -1.0), (count, 1))
    window = Window(1, roll, embedding, gain, np.zeros(count, bool))
    mel2mel = bank.mel2mel()
    if lookahead == "full":
        predictor = Foreseen(mel2mel, vocoder.head, [window])
    else:
        predictor = Streaming(mel2mel, vocoder.head, int(lookahead))
    engine = Engine(predictor, vocoder, ring_out=frames, seed=0)
    blocks = [
        engine.render([cut_window(window, at, min(BLOCK, count - at))], min(BLOCK, count - at))
        for at in range(0, count, BLOCK)
    ]
    return np.concatenate(blocks)[behind * hop :, 0][:samples]
