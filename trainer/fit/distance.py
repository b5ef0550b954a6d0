"""How far a predicted sound is from a recorded one: decibels, the mean over mel bands and frames.

    level    = 10 log10(magnitude^2 + quiet^2)
    distance = mean |level of ours - level of theirs|

quiet lies 50 dB below the recording's loudest band, so that what is softer hardly counts. Ours gets
the noise that the recording has where nothing is played. Only frames count in which the recording
or the score is heard, and only bands that the file can hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from common.window import KEYS
from synth.mel import Analysis, band_centres
from trainer.encoder.levels import BELOW_DB, DB
from trainer.fit.recording import Recording
from trainer.fit.score import Score

FILLED = 0.9
"""Of half a file's rate: from there on its sound may be filtered away."""
STILL_FRAMES = 12
"""Without any key and long after the last one, at least: then the noise is known."""
STILL_AFTER = 125
"""Frames after the last key until nothing is taken to ring."""


@dataclass(frozen=True, slots=True)
class Ear:
    """What counts in a recording. quiet: power; noise (mels,): powers of what is heard where
    nothing is played; bands (mels,): bool, those that the file can hold."""

    quiet: float
    noise: Tensor
    bands: Tensor

    def theirs(self, mel: Tensor) -> Tensor:
        """Levels of the recording's log mel bands (..., mels): (..., bands), dB."""
        power = (2 * mel[..., self.bands]).exp()
        return DB / 2 * (power + self.quiet).log()

    def ours(self, mel: Tensor, gain_db: Tensor | float = 0.0) -> Tensor:
        """Levels of predicted log mel bands (..., mels), some dB louder: (..., bands), dB."""
        power = (2 * (mel[..., self.bands] + gain_db / DB)).exp()
        return DB / 2 * (power + self.noise[self.bands] + self.quiet).log()

    def counts(self, mel: Tensor, sounding: Tensor) -> Tensor:
        """Which frames count: (...,) of the recording's mel (..., mels) and whether a key sounds
        (...,)."""
        loud = (2 * mel[..., self.bands]).amax(-1).exp() > 2 * self.quiet
        return loud | sounding


def listen(mel: Tensor, recording: Recording, analysis: Analysis) -> Ear:
    """The ear for a recording of log mel bands (frames, mels); its noise is not known yet."""
    centres = torch.from_numpy(band_centres(analysis, "mel"))
    bands = centres < FILLED * min(recording.top, analysis.rate / 2)
    loudest = float(mel[:, bands].max())
    quiet = math.exp(2 * (loudest - BELOW_DB / DB))
    return Ear(quiet, torch.zeros(mel.shape[1]), bands)


def with_noise(ear: Ear, mel: Tensor, score: Score, lag: int) -> Ear:
    """The same ear, which knows the noise if there are frames in which nothing is played."""
    roll, keys = score.tensors(lag, len(mel))
    resting = (keys.rest[0] > STILL_AFTER) | (keys.velocity[0] == 0)
    still = resting.all(1) & ~(roll[0, :, :KEYS] > 0).any(1)
    # An onset reaches into the frames before it.
    still[:-STILL_FRAMES] &= still[STILL_FRAMES:].clone()
    if int(still.sum()) < STILL_FRAMES:
        return ear
    return Ear(ear.quiet, (2 * mel[still]).exp().median(0).values, ear.bands)


def sounding(roll: Tensor) -> Tensor:
    """Whether a key sounds in each frame of a roll (..., 176)."""
    return (roll[..., :KEYS] > 0).any(-1)


def mean_distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean difference of levels (frames, bands) of the frames that count, dB."""
    return (ours - theirs).abs().mean() if len(ours) else ours.new_zeros(())
