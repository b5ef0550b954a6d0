"""Have low notes the partials that make them that note?

One key at a time is held; from 0.3 to 1.5 s after the onset, the level of each of its partials
1 to 8: the power (Hann window) within half a semitone of the partial's frequency, or within
2 Hz where that is more, in dB relative to the loudest of the eight. So what is out of tune
counts for nothing.

Asked: every partial that lies above -30 dB in the original within 6 dB. A row tells of the
partial that is furthest off, and how many fit.
"""

from __future__ import annotations

import numpy as np

from benchmarks.measures.play.findings import Finding, key_name
from benchmarks.measures.play.stage import Pair

PARTIALS = np.arange(1, 9)
START_S, STOP_S = 0.3, 1.5
HALF_SEMITONE = 2 ** (1 / 24) - 1
NARROWEST_HZ = 2.0
HEARD_DB, WITHIN_DB = -30.0, 6.0
LOWEST_DB = -90.0
FINER = 4
"""Bins of the spectrum for each that a stretch would give by itself."""


def findings(patch: str, key: int, pair: Pair) -> list[Finding]:
    """One finding: the worst partial of a key."""
    ours, original = levels(pair, key)
    heard = original > HEARD_DB
    missed = np.where(heard, np.abs(ours - original), -1)
    worst = int(missed.argmax())
    fit = int((missed[heard] <= WITHIN_DB).sum())
    return [
        Finding(
            "bass",
            patch,
            f"{key_name(key)} (key {key})",
            f"partial {worst + 1}, dB; {fit} of {heard.sum()} fit",
            float(ours[worst]),
            float(original[worst]),
            f"within {WITHIN_DB:g}",
            float(missed[worst]) / WITHIN_DB,
        )
    ]


def levels(pair: Pair, key: int) -> tuple[np.ndarray, np.ndarray]:
    """Partials 1..8 of both, in dB relative to the loudest: two arrays (8,)."""
    stretch = pair.cut(START_S, STOP_S)
    ours, original = (partials_db(x, pair.rate, key) for x in (stretch.ours, stretch.original))
    return ours, original


def partials_db(audio: np.ndarray, rate: int, key: int) -> np.ndarray:
    """Levels of a key's partials in audio (samples,), dB relative to the loudest: (8,)."""
    size = FINER * len(audio)
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / rate)
    places = 440 * 2 ** ((key - 69) / 12) * PARTIALS
    reach = np.maximum(HALF_SEMITONE * places, NARROWEST_HZ)
    sums = [power[np.abs(hertz - f) < r].sum() for f, r in zip(places, reach, strict=True)]
    relative = np.array(sums) / max(max(sums), 1e-30)
    return 10 * np.log10(np.maximum(relative, 10 ** (LOWEST_DB / 10)))
