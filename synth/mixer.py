"""The mixer: sounds of rows in, one stereo block out, at their levels and places, limited.

Each frame of sound goes with the gain that the score gave to that frame, however late the sound
is. A gain that changes does so along a ramp of one hop. A sound that is cut off fades.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from common.window import part_of
from synth.limiter import Limiter

DECLICK_SAMPLES = 64
"""How long the last sample of a sound that was cut off fades: 4 ms at 16 kHz."""


@dataclass(slots=True)
class _Strip:
    """A row between blocks. gains: those whose frames have not sounded yet, oldest first, after
    that of the frame before; none before its first frame. last: its latest sample, left and
    right."""

    gains: list[np.ndarray] = field(default_factory=list)
    last: np.ndarray | None = None


class Mixer:
    """Mixes block after block: `open` one, `add` to it and `fade_out`, then `close` it.

    hop: samples for each frame. delay: frames that sounds run behind their gains. limiter: what
    the sum goes through. stems: what each part added to the last block, frame by frame, each
    (hop, 2); of its voices one after the other.
    """

    def __init__(self, hop: int, delay: int, limiter: Limiter) -> None:
        self.stems: dict[int, list[np.ndarray]] = {}
        self._hop, self._delay, self._limiter = hop, delay, limiter
        self._ramp = np.linspace(0, 1, hop, endpoint=False, dtype=np.float32)
        count = min(DECLICK_SAMPLES, hop)
        self._fall = np.linspace(1, 0, count, dtype=np.float32)[:, None]
        self._strips: dict[int, _Strip] = {}
        self._block = self._fades = np.zeros((0, 2), np.float32)

    def open(self, frames: int) -> None:
        """Begin a block of silence."""
        self.stems = {}
        self._block = np.zeros((frames * self._hop, 2), np.float32)
        self._fades = np.zeros_like(self._block)

    def begin(self, row: int) -> None:
        """A row starts anew: its next sound is at its next gain from the first sample on."""
        self._strips[row] = _Strip()

    def add(self, row: int, samples: np.ndarray, gains: np.ndarray, frame: int) -> None:
        """Add a row's next frames to the block, the first of them at the block's `frame`.

        samples (n * hop,) float32; gains (n, 2) float32, of the frames that the score has
        reached: `delay` later than those that sound.
        """
        strip = self._strips[row]
        stems = self.stems.setdefault(part_of(row), [])
        sounds = samples.reshape(len(gains), self._hop)
        for t, (sound, gain) in enumerate(zip(sounds, gains, strict=True), frame):
            if not strip.gains:
                strip.gains = [gain] * (self._delay + 1)
            strip.gains.append(gain)
            before, now = strip.gains[:2]
            del strip.gains[0]
            heard = np.empty((self._hop, 2), np.float32)
            _add(sound, before, now, self._ramp, heard, self._block[t * self._hop :])
            strip.last = heard[-1]
            stems.append(heard)

    def fade_out(self, row: int, frame: int) -> None:
        """From the block's `frame` on, let the last sample of a row that has ended fade.

        Without it, the sound would end in a click.
        """
        strip = self._strips.get(row)
        if strip is not None and strip.last is not None:
            start = frame * self._hop
            # Apart from the sounds: the order of a sum must not depend on when it was decided.
            self._fades[start : start + len(self._fall)] += strip.last * self._fall
            strip.last = None

    def close(self) -> np.ndarray:
        """The block (frames * hop, 2), float32, as the limiter leaves it."""
        return self._limiter.limit(self._block + self._fades)


@njit(cache=True, nogil=True, error_model="numpy")
def _add(sound, before, now, ramp, heard, block):
    """heard (hop, 2) = sound (hop,) along a ramp from one gain (2,) to another, added to block."""
    for side in range(2):
        step = now[side] - before[side]
        for i in range(sound.size):
            heard[i, side] = sound[i] * (before[side] + ramp[i] * step)
            block[i, side] += heard[i, side]
