"""Room above the loudest, and loudness by velocity and by patch.

Peaks are those of the louder channel at the patch's own gain and pan, before the limiter, in
dB of full scale: above 0 it would clip. Asked of ten notes at velocity 127 and of six at 110:
below -3 dB, where the limiter begins.

The curve of velocities: three notes (C3, C4, C5), mean power K-weighted, in dB relative to the
same at velocity 80. Asked: within 3 dB of the original's curve.

A patch's loudness is that of a phrase (integrated, LUFS), at the patch's own gain; the
original's is at that gain, too. Nothing is asked of it; the last row is how far patches lie apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.measures.play.findings import Finding
from benchmarks.measures.play.stage import Pair
from common.loudness import decibels, k_weighted, level_db, loudness
from common.patch import Patch
from daw_bridge.windows import stereo_gain

PEAK_DB, PEAK_STEP_DB = -3.0, 3.0
WITHIN_DB = 3.0
SAME_VELOCITY = 80
LOUDNESS = "LUFS"


def peaks(patch: Patch, played: str, pair: Pair) -> list[Finding]:
    """How near a chord comes to full scale."""
    factor = float(stereo_gain(patch.gain_db, patch.pan).max())
    ours, original = (float(decibels(factor * np.abs(x).max())) for x in (pair.ours, pair.original))
    miss = 1 + (ours - PEAK_DB) / PEAK_STEP_DB
    return [
        Finding("levels", patch.name, played, "peak, dB", ours, original, f"< {PEAK_DB:g}", miss)
    ]


def curve(patch: str, pairs: Mapping[int, Pair]) -> list[Finding]:
    """Loudness by velocity (velocity -> its notes), relative to velocity 80."""
    weighed = {
        velocity: [level_db(k_weighted(x, pair.rate)) for x in (pair.ours, pair.original)]
        for velocity, pair in pairs.items()
    }
    same = weighed[SAME_VELOCITY]
    found = []
    for velocity, both in weighed.items():
        if velocity == SAME_VELOCITY:
            continue
        ours, original = (level - reference for level, reference in zip(both, same, strict=True))
        miss = abs(ours - original) / WITHIN_DB
        found.append(
            Finding(
                "levels",
                patch,
                f"velocity {velocity}",
                f"dB to that of {SAME_VELOCITY}",
                ours,
                original,
                f"within {WITHIN_DB:g}",
                miss,
            )
        )
    return found


def patch_loudness(patch: Patch, phrase: Pair) -> Finding:
    """How loud a phrase is."""
    ours, original = (
        loudness(x, phrase.rate) + patch.gain_db for x in (phrase.ours, phrase.original)
    )
    return Finding("levels", patch.name, "phrase", LOUDNESS, ours, original)


def spread(found: Sequence[Finding]) -> Finding:
    """How far patches lie apart, of this section's findings of all of them."""
    loud = [f for f in found if f.figure == LOUDNESS]
    ours = [f.ours for f in loud]
    original = [f.original for f in loud if f.original is not None]
    apart = max(ours) - min(ours), max(original) - min(original)
    return Finding("levels", "all", "phrase", "loudest less quietest, LU", *apart)
