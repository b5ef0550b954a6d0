"""The writing side of a playout: puts blocks into the ring as the device makes room.

The ring is filled up to the playout's reserve: the largest buffer that the device has asked for,
and a spare. The reserve limits how late the renderer may be, but it is not exactly the latency. A
device takes whole buffers, and the room they leave seldom matches a block: with blocks of 384
samples and buffers of 256, one block's last piece goes in with room for 96 more, the next one's
with room for 224. In general the room left varies over a buffer in steps of gcd(buffer, block),
and changes with every gap. Notes do not wait for the mean of these: the engine's clock follows the
earliest blocks, so each note waits as long as the block that left the ring fullest. Therefore the
latency is measured: how far each block reached ahead of what the device was playing, and the
largest value of the last few blocks.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from synth.output.playout import Playout
from synth.output.ring import Samples

LATELY = 32
"""Blocks looked back on. At any usual size, the one that leaves the ring fullest is among them."""


class Feed:
    """Fills a playout's ring. All but `latency_s` belongs to the thread that writes.

    spare: samples to hold beyond one buffer of the device: how long a block may take to render. A
    block longer than that goes in piece by piece.
    """

    def __init__(self, playout: Playout, spare: int) -> None:
        self._playout, self._ring = playout, playout.ring
        self._spare = spare
        self._rest = np.zeros((0, playout.ring.channels), np.float32)
        self._reached: deque[float] = deque(maxlen=LATELY)

    @property
    def latency_s(self) -> float:
        """Seconds from when a block is all in to when the device plays what follows it.

        Until blocks were played, what it is at most: a full ring just after a buffer was taken.
        """
        # One call, and of floats: no other thread can come in between.
        reached = list(self._reached)
        if reached:
            return max(reached)
        return (self._playout.reserve + self._playout.largest) / self._playout.rate

    def begin(self, block: Samples) -> None:
        """The next block (samples, channels); kept, not copied, until `go_on` has it all in."""
        self._rest = block

    def go_on(self) -> bool:
        """Write what there is room for now; returns whether all of the block is in."""
        # The device's buffer is known from its first call on.
        self._playout.reserve = min(self._playout.largest + self._spare, self._ring.capacity)
        free = self._playout.reserve - self._ring.filled
        self._rest = self._rest[self._ring.write(self._rest[: max(free, 0)]) :]
        if len(self._rest):
            return False
        ahead_s = self._playout.ahead_s
        if ahead_s is not None:
            self._reached.append(ahead_s)
        return True
