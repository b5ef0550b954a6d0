"""Above 8 kHz, where a bank has it: is the mean spectrum the original's?

The power of a phrase in third-octaves from 8 kHz up to Nyquist, or as far as 20 kHz, in dB of
full scale, at the level of the bank's data. What lies more than 70 dB below the original's
whole phrase counts as that: nobody hears it. Asked: within 3 dB.
"""

from __future__ import annotations

import numpy as np

from benchmarks.measures.play.findings import Finding
from benchmarks.measures.play.stage import Pair

EDGES_HZ = 8_000 * 2 ** (np.arange(5) / 3)
SILENT_DB, WITHIN_DB = 70.0, 3.0


def findings(patch: str, phrase: Pair) -> list[Finding]:
    """A finding for each third-octave below Nyquist; none at 16 kHz."""
    ours, original = (bands_db(x, phrase.rate) for x in (phrase.ours, phrase.original))
    least = 10 * np.log10(max(np.mean(np.square(phrase.original, dtype=np.float64)), 1e-12))
    least -= SILENT_DB
    found = []
    for low, a, b in zip(EDGES_HZ, ours, original, strict=False):
        figure = f"dB in {low / 1000:.1f}-{low * 2 ** (1 / 3) / 1000:.1f} kHz"
        a, b = float(max(a, least)), float(max(b, least))
        miss = abs(a - b) / WITHIN_DB
        asked = f"within {WITHIN_DB:g}"
        found.append(Finding("treble", patch, "phrase", figure, a, b, asked, miss))
    return found


def bands_db(audio: np.ndarray, rate: int) -> np.ndarray:
    """Mean power of audio (samples,) in each third-octave below Nyquist, dB of full scale."""
    power = np.abs(np.fft.rfft(audio)) ** 2 * (2 / len(audio) ** 2)
    hertz = np.fft.rfftfreq(len(audio), 1 / rate)
    edges = EDGES_HZ[: np.searchsorted(EDGES_HZ, rate / 2, "right")]
    bands = zip(edges[:-1], edges[1:], strict=True)
    sums = np.array([power[(hertz >= low) & (hertz < high)].sum() for low, high in bands])
    return 10 * np.log10(np.maximum(sums, 1e-12))
