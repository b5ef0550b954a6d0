"""The last step before the output: loud sound is limited, broken samples become silence.

A curve without memory, so the block size cannot change the sound. Up to the knee samples pass
unchanged; above it a tanh approaches full scale (value, slope and curvature are continuous at the
knee). A loud chord of many parts is compressed instead of clipped, and what was limited is
counted.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

KNEE_DB = -3.0
"""Up to this level (dB of full scale) samples are unchanged."""

KNEE = np.float32(10 ** (KNEE_DB / 20))
_SPAN = np.float32(1) - KNEE


class Limiter:
    """A master gain, then the limit.

    gain_db: of all sound, before the limit; squeezes: False lets loud sound pass, for a file
    whose level is set afterwards. samples: how many came so far, both channels of a moment
    counted as one; limited: how many of them were turned down; peak: the loudest that came,
    after the gain, 1.0 for full scale.

    >>> Limiter().limit(np.array([[0.5, -0.7], [np.nan, 0.0]], np.float32)).tolist()
    [[0.5, -0.699999988079071], [0.0, 0.0]]
    """

    def __init__(self, gain_db: float = 0.0, squeezes: bool = True) -> None:
        self.samples = self.limited = 0
        self.peak = 0.0
        self._gain, self._squeezes = np.float32(10 ** (gain_db / 20)), squeezes

    @property
    def share(self) -> float:
        """The share of samples that were turned down, 0..1."""
        return self.limited / self.samples if self.samples else 0.0

    @property
    def most_db(self) -> float:
        """By how much the loudest sample was turned down, dB; 0 if none was."""
        if not self._squeezes or self.peak <= KNEE:
            return 0.0
        return 20 * math.log10(self.peak / float(_squeezed(np.float32(self.peak))))

    def limit(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Limit block (samples, channels), float32, in place to -1..1, and return it.

        NaN and infinities, which only a fault of ours can make, become 0.
        """
        if self._gain != 1:
            block *= self._gain
        loudness = np.abs(block)
        peak = loudness.max(initial=0)
        if not np.isfinite(peak):
            broken = ~np.isfinite(block)
            block[broken] = loudness[broken] = 0
            peak = loudness.max()
        self.samples += len(block)
        self.peak = max(self.peak, float(peak))
        if self._squeezes and peak > KNEE:
            loud = loudness > KNEE
            self.limited += int(np.count_nonzero(loud.any(axis=1)))
            block[loud] = np.copysign(_squeezed(loudness[loud]), block[loud])
        return block


def _squeezed(loudness: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    """The curve above the knee."""
    return KNEE + _SPAN * np.tanh((loudness - KNEE) / _SPAN)
