"""The last guard before the ear: too loud becomes full scale, broken becomes silence.

A curve without memory, so the block size cannot change the sound: identity up to the knee,
then a tanh that leaves it with slope one (value, slope and curvature join) and nears full
scale. A chord of many parts is squeezed rather than clipped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KNEE_DB = -3.0
"""Below this level (dB of full scale) sound passes bit for bit."""

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
