"""A recording from a sound file: any rate, any channels, brought to a bank's rate in mono."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from common.files import check_file

MOST_BYTES = 2**30
LONGEST_S = 180.0
"""Of what is used: a minute says all that a point of timbre can hold."""
SILENT = 1e-3
"""-60 dB: of the loudest sample, what counts as silence before the first sound."""
QUIETEST = 1e-4
"""-80 dB of full scale: a recording that never gets above it is taken for silence."""
LEAD_S = 0.5
"""Kept of the silence before the first sound."""
SHORTEST_S = 0.25


@dataclass(frozen=True, slots=True)
class Recording:
    """audio (samples,) float32 at rate, Hz; top: Hz, up to where the file can hold sound; name: of
    the file; sha256: of its bytes; start: seconds of the file that were cut off before audio."""

    audio: np.ndarray
    rate: int
    top: float
    name: str
    sha256: str
    start: float

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.rate


def read_recording(path: Path, rate: int) -> Recording:
    """A sound file at another rate, its channels' mean, from just before its first sound on and
    `LONGEST_S` at most. ValueError, in one line, for what is no such file or holds no sound."""
    check_file(path, MOST_BYTES)
    try:
        # Twice as much: silence before the first sound does not count.
        with soundfile.SoundFile(path) as file:
            own, most = file.samplerate, round(2 * LONGEST_S * file.samplerate)
            sound = file.read(most, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(f"{path}: not a sound file that can be read ({error})") from None
    mono = sound.mean(axis=1)
    if not np.isfinite(mono).all():
        raise ValueError(f"{path}: expected numbers in every sample, got NaN or infinity")
    loudest = float(np.abs(mono).max(initial=0))
    if loudest < QUIETEST:
        raise ValueError(f"{path}: expected sound above -80 dB, got silence")
    heard = int((np.abs(mono) > SILENT * loudest).argmax())
    start = max(heard - round(LEAD_S * own), 0)
    mono = mono[start : start + round(LONGEST_S * own)]
    if len(mono) < SHORTEST_S * own:
        raise ValueError(
            f"{path}: expected at least {SHORTEST_S} s of sound, got {len(mono) / own:.2f} s"
        )
    audio = mono if own == rate else soxr.resample(mono, own, rate, quality="VHQ")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Recording(
        np.ascontiguousarray(audio, np.float32), rate, own / 2, path.name, digest, start / own
    )
