"""A key held for 12 s: does the sound keep its shape, and does it end?

A level is the median, in dB, of the RMS of each 100 ms within 0.2 s to either side of the moment,
and of 1 s from 3 s on: a single one would judge what beats, as strings and leads do, by where
in a beat it was caught. It is relative to the same sound's level at 0.5 s after the onset. 2 s
after the release ours must be silent, or as loud as the original.

A level more than 60 dB below the original's loudest 100 ms counts as that: both are silent.
Asked: within 6 dB of the original.
"""

from __future__ import annotations

import numpy as np

from benchmarks.measures.play.findings import Finding, key_name
from benchmarks.measures.play.scores import HELD_S
from benchmarks.measures.play.stage import Pair
from common.loudness import decibels

REFERENCE_S = 0.5
MOMENTS_S = {1.0: 0.2, 3.0: 1.0, 6.0: 1.0, 11.0: 1.0}
"""When, and how far to either side."""
AFTER_S = 2.0
NEAR_S = 0.2
SILENT_DB, WITHIN_DB = 60.0, 6.0
LOUDEST_S = 0.1


def findings(patch: str, key: int, pair: Pair) -> list[Finding]:
    """A finding for each moment, and one for after the release."""
    played = f"{key_name(key)} held"
    asked = f"within {WITHIN_DB:g}"
    moments = {f"dB at {at:g} s": (at, side) for at, side in MOMENTS_S.items()}
    moments[f"dB {AFTER_S:g} s after"] = (HELD_S + AFTER_S, NEAR_S)
    reference = [level_at(x, pair.rate, REFERENCE_S, NEAR_S) for x in (pair.ours, pair.original)]
    floor = loudest_db(pair.original, pair.rate) - SILENT_DB - reference[1]
    found = []
    for figure, (at, side) in moments.items():
        ours, original = (
            max(level_at(x, pair.rate, at, side) - level, floor)
            for x, level in zip((pair.ours, pair.original), reference, strict=True)
        )
        miss = abs(ours - original) / WITHIN_DB
        found.append(Finding("held", patch, played, figure, ours, original, asked, miss))
    return found


def level_at(audio: np.ndarray, rate: int, at: float, side: float) -> float:
    """The level in dB of audio (samples,) around a moment, so many seconds to either side."""
    near = audio[round((at - side) * rate) : round((at + side) * rate)]
    return float(np.median(envelope_db(near, rate)))


def loudest_db(audio: np.ndarray, rate: int) -> float:
    """The loudest 100 ms of audio (samples,)."""
    return float(envelope_db(audio, rate).max())


def envelope_db(audio: np.ndarray, rate: int) -> np.ndarray:
    """RMS in dB of each 100 ms of audio, one after the other."""
    step = round(LOUDEST_S * rate)
    parts = audio[: len(audio) // step * step].reshape(-1, step)
    return np.asarray(decibels(np.sqrt(np.square(parts, dtype=np.float64).mean(axis=1))))
