"""A ring of samples between two threads: one writes, one reads, and neither waits.

Two counters only ever grow: the writer owns `written`, the reader owns `read`. Each
publishes its counter after it has touched the samples, so the other side can at worst see
less room or less sound than there is, never a sample half written. No lock is needed, and
the audio callback can be the reader.

Waiting for room is not the ring's business: the reader rings for the writer (playout.py),
who then looks how much room there is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.jack.playing import READ, RING_COUNTS, WRITTEN

Samples = NDArray[np.float32]


class Ring:
    """Holds up to `capacity` samples of `channels` channels, float32.

    Raises ValueError unless both are at least 1.

    >>> ring = Ring(capacity=4)
    >>> ring.write(np.ones((3, 2), np.float32)), ring.write(np.ones((3, 2), np.float32))
    (3, 1)
    >>> ring.filled, ring.room
    (4, 0)
    """

    def __init__(self, capacity: int, channels: int = 2) -> None:
        if capacity < 1 or channels < 1:
            raise ValueError(
                f"ring: capacity {capacity} and channels {channels} must be at least 1"
            )
        self.capacity = capacity
        self.channels = channels
        self.counts = np.zeros(RING_COUNTS, np.int64)
        """`written` and `read`, where compiled code finds them."""
        self.samples = np.zeros((capacity, channels), np.float32)

    @property
    def written(self) -> int:
        """Samples ever written; only the writer moves it."""
        return int(self.counts[WRITTEN])

    @property
    def read(self) -> int:
        """Samples ever read; only the reader moves it."""
        return int(self.counts[READ])

    @property
    def filled(self) -> int:
        """Samples waiting to be read: exact for the reader, an upper bound for the writer."""
        return self.written - self.read

    @property
    def room(self) -> int:
        """Samples that fit now: exact for the writer, an upper bound for the reader."""
        return self.capacity - self.filled

    def write(self, block: Samples) -> int:
        """Take as much of block (samples, channels) as fits; returns how many samples.

        Called by one thread only. Never overwrites what has not been read.
        """
        count = min(len(block), self.room)
        start = self.written % self.capacity
        straight = min(count, self.capacity - start)
        self.samples[start : start + straight] = block[:straight]
        self.samples[: count - straight] = block[straight:count]
        self.counts[WRITTEN] += count
        return count

    def read_into(self, out: Samples) -> int:
        """Fill out (samples, channels) from its start; returns how many samples there were.

        Called by one thread only. The rest of `out` is left as it was. Creates no array
        but views.
        """
        count = min(len(out), self.filled)
        start = self.read % self.capacity
        straight = min(count, self.capacity - start)
        out[:straight] = self.samples[start : start + straight]
        out[straight:count] = self.samples[: count - straight]
        self.counts[READ] += count
        return count
