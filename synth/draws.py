"""Uniform random numbers that depend on seed, part and frame alone.

Philox is a counter-based generator: the numbers of any frame can be computed directly. One
generator is set to each frame in turn, in a third of the time that a new one would take.
"""

from __future__ import annotations

import numpy as np

SMALLEST_DRAW = np.float32(2**-25)
"""Half the step between uniform draws in single precision."""


class Draws:
    """seed: 0..2^64 - 1, ValueError else. Used by one thread."""

    def __init__(self, seed: int) -> None:
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed: expected 0 to 2^64 - 1, got {seed}")
        self._philox = np.random.Philox(key=np.array([seed, 0], np.uint64))
        self._generator = np.random.Generator(self._philox)
        self._start = self._philox.state

    def fill(self, part: int, frame: int, out: np.ndarray) -> None:
        """Fill out (count,), float32 and contiguous, with numbers in (0, 1)."""
        at = self._start["state"]
        at["key"][1], at["counter"][1] = part, frame
        self._philox.state = self._start
        self._generator.random(out=out, dtype=np.float32)
        # An exact 0 would pick a class however unlikely it is.
        np.maximum(out, SMALLEST_DRAW, out=out)
