"""What the audio callback does: fill the device's buffer, and never let it click.

Sound that comes late is replaced by silence, but not abruptly. The last sample falls to
zero along half a cosine, and sound rises the same way when it returns; the two add where
they meet, so the output has no jump wherever the gap begins or ends and however the device
cuts its buffers. After a gap, and at the start, it waits until the ring holds the writer's
whole reserve again: sound that starts with none would break at once.

Each buffer taken wakes the writer, which would otherwise have to guess when there is room. The
bell is a bare lock, released when rung. Releasing one is posting a semaphore where Python has
them (Linux) and a few instructions under a mutex elsewhere, as when the callback gives back the
interpreter; an event or a condition would do more, in Python, with a lock of its own held.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.jack.playing import (
    ASKED,
    FALLEN,
    FLOWING,
    LARGEST,
    MUTED,
    PLAYOUT_COUNTS,
    RESERVE,
    TAKEN,
    TIMES,
    UNDERRUNS,
    fill,
)
from synth.output.ring import Ring

FADE_MS = 4.0
"""Long enough not to click, short enough to be heard as a gap and not as a tremolo."""


class CallbackStatus(Protocol):
    """What is used of sounddevice's flags. output_underflow: the last buffer came too late."""

    @property
    def output_underflow(self) -> bool: ...


class Playout:
    """Reads a ring for a device at `rate` Hz. `callback` and `fill` belong to its thread.

    clock: seconds from a monotonic clock; tests give their own.
    reserve: samples the ring must hold before sound starts; the writer may move it.
    underruns: gaps in the sound, each counted once, however long.
    device_gaps: buffers that PortAudio says reached the device too late.
    faults: buffers that became silence because `fill` failed, which is our own mistake.
    asked: samples the device has asked for so far: a clock that proves it alive.
    largest: the largest buffer it has asked for.
    """

    def __init__(
        self,
        ring: Ring,
        rate: int,
        reserve: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.ring = ring
        self.rate = rate
        self._clock = clock
        self.device_gaps = 0
        self.faults = 0
        length = max(1, round(rate * FADE_MS / 1000))
        turn = np.cos(np.pi * np.arange(1, length + 1) / length)
        self.fall = (0.5 + 0.5 * turn).astype(np.float32)
        self.held = np.zeros(ring.channels, np.float32)
        self.last = np.zeros(ring.channels, np.float32)
        self.counts = np.zeros(PLAYOUT_COUNTS, np.int64)
        """What `common.jack.playing` counts; compiled callbacks find it and the arrays above."""
        self.counts[FALLEN] = length
        self.reserve = reserve
        # Compiled, or loaded, now and not in the callback.
        self.fill(np.zeros((0, ring.channels), np.float32))
        self._bell = threading.Lock()
        """Unlocked: a buffer was taken since the writer last waited. Only `callback` unlocks."""
        self._bell.acquire()

    @property
    def reserve(self) -> int:
        return int(self.counts[RESERVE])

    @reserve.setter
    def reserve(self, samples: int) -> None:
        self.counts[RESERVE] = samples

    @property
    def underruns(self) -> int:
        return int(self.counts[UNDERRUNS])

    @property
    def asked(self) -> int:
        return int(self.counts[ASKED])

    @property
    def largest(self) -> int:
        return int(self.counts[LARGEST])

    @property
    def ahead_s(self) -> float | None:
        """Seconds until the device, playing on evenly, begins with what is written next.

        Counted as if it played a buffer's first sample when it takes it; None while no sound
        flows. For the writer's thread.
        """
        while True:
            taken = int(self.counts[TAKEN])
            at, first = self.counts[TIMES + 2 * (taken % 2) :][:2].tolist()
            if int(self.counts[TAKEN]) == taken:  # the callback has not come in between
                break
        if not taken or first < 0:
            return None
        return (self.ring.written - first) / self.rate - (self._clock() - at / 1e9)

    def wait(self, timeout: float) -> bool:
        """Wait until the device takes a buffer, or has since the last wait; False after timeout s.

        Called by one thread only, which then looks for itself how much room there is.
        """
        return self._bell.acquire(timeout=timeout)

    @property
    def silent(self) -> bool:
        """Whether nothing sounds: no stream flows, and the last gap's fall has ended."""
        return not self.counts[FLOWING] and self.counts[FALLEN] == len(self.fall)

    def mute(self) -> None:
        """Ask for silence from the next buffer on, for good; not counted as a gap."""
        self.counts[MUTED] = 1

    def callback(
        self, out: NDArray[np.float32], samples: int, time: object, status: CallbackStatus
    ) -> None:
        """PortAudio's: as `fill`, and wakes the writer; raises nothing: that would end the stream.

        samples: len(out), PortAudio's "frames"; time is not used; status: sounddevice's flags.
        """
        try:
            self.device_gaps += bool(status.output_underflow)
            self.fill(out)
        except Exception:
            out.fill(0)
            self.faults += 1
        # Nobody else unlocks it, so it cannot have been unlocked in between.
        if self._bell.locked():
            self._bell.release()

    def fill(self, out: NDArray[np.float32]) -> None:
        """Fill out (samples, channels) with sound, or with a faded edge and silence.

        ValueError for another number of channels than the ring's.
        """
        if out.shape[1] != self.ring.channels:
            raise ValueError(f"expected {self.ring.channels} channels, got {out.shape[1]}")
        now, ring = round(self._clock() * 1e9), self.ring
        fill(ring.counts, ring.samples, self.counts, self.fall, self.held, self.last, now, out)
