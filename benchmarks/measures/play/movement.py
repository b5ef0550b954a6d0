"""Does a held note move as the original does: chorus, tremulant, vibrato, noise?

Movement is the standard deviation over time of log mel bands (`synth.mel`, in dB), from 1 to
3 s into a held note, less a slow trend: a moving average with a Hann window of 1 s. It is the
mean over the bands whose mean in the original lies within 50 dB of its loudest band; ours is
measured in the same bands, and levels below that line count as the line.

Asked: within 30% of the original, or within 0.3 dB, which nobody hears. A note of which
nothing sounds any more at 3 s (60 dB below its loudest 100 ms) is left out.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from benchmarks.measures.play.findings import Finding, key_name
from benchmarks.measures.play.held import SILENT_DB, level_at, loudest_db
from benchmarks.measures.play.stage import Pair
from synth.mel import Analysis, log_mel

START_S, STOP_S = 1.0, 3.0
TREND_S = 1.0
AUDIBLE_DB = 50.0
WITHIN, UNHEARD_DB = 0.3, 0.3
NEPER_DB = 20 / math.log(10)


def findings(patch: str, key: int, pair: Pair, analysis: Analysis) -> list[Finding]:
    """One finding, or none where the original is silent by then."""
    last = level_at(pair.original, pair.rate, STOP_S, 0.1)
    if last < loudest_db(pair.original, pair.rate) - SILENT_DB:
        return []
    ours, original = movement(pair, analysis)
    miss = abs(ours - original) / max(WITHIN * original, UNHEARD_DB)
    played = f"{key_name(key)} held"
    asked = f"within {WITHIN:.0%}"
    return [Finding("movement", patch, played, "sd of bands, dB", ours, original, asked, miss)]


def movement(pair: Pair, analysis: Analysis) -> tuple[float, float]:
    """Of ours and of the original, whose note begins at 0 s, in dB."""
    levels = [_levels(x, analysis) for x in (pair.ours, pair.original)]
    mean = levels[1].mean(axis=0)
    least = mean.max() - AUDIBLE_DB
    moved = [_untrended(np.maximum(x, least), analysis)[:, mean > least] for x in levels]
    ours, original = (float(x.std(axis=0).mean()) for x in moved)
    return ours, original


def _levels(audio: np.ndarray, analysis: Analysis) -> np.ndarray:
    """Mel bands in dB (frames, mels), half a trend's window more on either side."""
    bands = log_mel(torch.from_numpy(np.ascontiguousarray(audio)), analysis).numpy() * NEPER_DB
    start, stop = (round(s * analysis.frame_rate) for s in (START_S, STOP_S))
    side = _trend(analysis).size // 2
    return bands[start - side : stop + side]


def _untrended(levels: np.ndarray, analysis: Analysis) -> np.ndarray:
    trend = _trend(analysis)
    side = trend.size // 2
    slow = [np.convolve(band, trend, "valid") for band in levels.T]
    return levels[side : len(levels) - side] - np.stack(slow, axis=1)


def _trend(analysis: Analysis) -> np.ndarray:
    count = round(TREND_S * analysis.frame_rate) | 1
    window = np.hanning(count + 2)[1:-1]
    return window / window.sum()
