"""The last step before the output: loud sound is limited, broken samples become silence.

A curve without memory, so the block size cannot change the sound. Up to the knee samples pass
unchanged; above it a tanh approaches full scale (value, slope and curvature are continuous at the
knee). A loud chord of many parts is compressed instead of clipped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KNEE_DB = -3.0
"""Up to this level (dB of full scale) samples are unchanged."""

KNEE = np.float32(10 ** (KNEE_DB / 20))
_SPAN = np.float32(1) - KNEE


def limit(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Limit block (any shape, float32) in place to -1..1, and return it.

    NaN and infinities, which only a fault of ours can make, become 0.

    >>> limit(np.array([0.5, -0.7, np.nan], np.float32))
    array([ 0.5, -0.7,  0. ], dtype=float32)
    """
    loudness = np.abs(block)
    if (loudness <= KNEE).all():
        return block
    broken = ~np.isfinite(block)
    block[broken] = loudness[broken] = 0
    loud = loudness > KNEE
    squeezed = KNEE + _SPAN * np.tanh((loudness[loud] - KNEE) / _SPAN)
    block[loud] = np.copysign(squeezed, block[loud])
    return block
