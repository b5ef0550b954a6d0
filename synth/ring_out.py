"""When a part that no key holds can be given up: how it has sounded lately tells.

Decided frame by frame from the frames before, so the block size cannot change it.
"""

from __future__ import annotations

from collections import deque

import numpy as np

SPAN = 32
"""Frames, 0.26 s, by which sound is judged: more than any vocoder's window or memory."""
SILENT = 1e-5
"""Peak, -100 dB of full scale: nothing quieter can be heard."""
QUIET = 1e-3
"""Peak, -60 dB of full scale. Below it, sound that falls no more is a network's own noise, which
never ends: from -60 to -80 dB in the first banks."""
FALLING = 0.8
"""A span that peaks at less than this share of the one before, 2 dB, is still falling."""


class RingOut:
    """A part that sounds, from its first key until it is over.

    delay: frames that its sound runs behind the score; longest: frames after its last key at
    which it is over in any case.
    """

    def __init__(self, delay: int, longest: int) -> None:
        self._delay, self._longest = delay, longest
        self._rest = 0
        """Frames since the last with a key."""
        self._peaks: deque[float] = deque(maxlen=2 * SPAN)
        """Of the latest frames of sound that belong to frames without a key."""

    def goes_on(self, sounding: bool) -> bool:
        """Whether the next frame is to be heard; sounding: whether a key sounds in it."""
        if sounding:
            self._rest = 0
            self._peaks.clear()
            return True
        self._rest += 1
        return self._rest < self._longest and not self._faded()

    def heard(self, sounding: np.ndarray, sound: np.ndarray) -> int:
        """How many frames of sound (frames, hop) are to be heard before it is over.

        sounding (frames,) bool. The first one is: `goes_on` has said so.
        """
        for t, keys in enumerate(sounding):
            if t and not self.goes_on(bool(keys)):
                return t
            if self._rest > self._delay:
                self._peaks.append(float(np.abs(sound[t]).max()))
        return len(sound)

    def _faded(self) -> bool:
        peaks = list(self._peaks)
        lately, before = peaks[-SPAN:], peaks[:-SPAN]
        if len(lately) < SPAN:
            return False
        peak = max(lately)
        still = len(before) == SPAN and peak > FALLING * max(before)
        return peak < (QUIET if still else SILENT)
