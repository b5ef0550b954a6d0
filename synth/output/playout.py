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
        self.reserve = reserve
        self.underruns = 0
        self.device_gaps = 0
        self.faults = 0
        self.asked = 0
        self.largest = 0
        self.muted = False
        length = max(1, round(rate * FADE_MS / 1000))
        turn = np.cos(np.pi * np.arange(1, length + 1) / length)
        self._fall = np.repeat((0.5 + 0.5 * turn)[:, None], ring.channels, 1).astype(np.float32)
        self._rise = 1 - self._fall
        self._scratch = np.zeros_like(self._fall)
        self._held = np.zeros(ring.channels, np.float32)
        self._last = np.zeros(ring.channels, np.float32)
        self._fallen = length
        self._risen = 0
        self._flowing = False
        self._clock = clock
        self._taken: tuple[float, int] | None = None
        """When the device came for its last buffer, and which sample of the ring that began
        with; None while no sound flows. One object, so that another thread reads both as one."""
        self._bell = threading.Lock()
        """Unlocked: a buffer was taken since the writer last waited. Only `callback` unlocks."""
        self._bell.acquire()

    @property
    def ahead_s(self) -> float | None:
        """Seconds until the device, playing on evenly, begins with what is written next.

        Counted as if it played a buffer's first sample when it takes it; None while no sound
        flows. For the writer's thread.
        """
        taken = self._taken
        if taken is None:
            return None
        at, first = taken
        return (self.ring.written - first) / self.rate - (self._clock() - at)

    def wait(self, timeout: float) -> bool:
        """Wait until the device takes a buffer, or has since the last wait; False after timeout s.

        Called by one thread only, which then looks for itself how much room there is.
        """
        return self._bell.acquire(timeout=timeout)

    @property
    def silent(self) -> bool:
        """Whether nothing sounds: no stream flows, and the last gap's fall has ended."""
        return not self._flowing and self._fallen == len(self._fall)

    def mute(self) -> None:
        """Ask for silence from the next buffer on, for good; not counted as a gap."""
        self.muted = True

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

        Neither blocks nor creates arrays other than views.
        """
        samples, taken = len(out), (self._clock(), self.ring.read)
        self.asked += samples
        self.largest = max(self.largest, samples)
        if self.muted:
            self._stop_flow()
        elif not self._flowing:
            # The writer learns of a larger buffer only from `largest`, after this.
            enough = min(max(self.reserve, samples), self.ring.capacity)
            self._flowing = self.ring.filled >= enough
        count = self.ring.read_into(out) if self._flowing else 0
        sound, rest = out[:count], out[count:]
        rest[:] = 0
        self._fade_in(sound)
        if self._flowing and count < samples:
            self._add_fall(sound)
            if count:
                self._last[:] = sound[-1]
            self.underruns += 1
            self._stop_flow()
            self._add_fall(rest)
        else:
            self._add_fall(out)
        self._last[:] = out[-1]
        self._taken = taken if self._flowing else None

    def _stop_flow(self) -> None:
        """Let the last sample fall to zero; a fall still under way is part of it."""
        if self._flowing:
            self._flowing = False
            self._risen = 0
            self._held[:] = self._last
            self._fallen = 0

    def _fade_in(self, sound: NDArray[np.float32]) -> None:
        count = min(len(sound), len(self._rise) - self._risen)
        if count > 0:
            sound[:count] *= self._rise[self._risen : self._risen + count]
            self._risen += count

    def _add_fall(self, out: NDArray[np.float32]) -> None:
        """Add what is left of the last sample's fall to out, from its start."""
        count = min(len(out), len(self._fall) - self._fallen)
        if count > 0:
            tail = self._scratch[:count]
            np.multiply(self._fall[self._fallen : self._fallen + count], self._held, out=tail)
            out[:count] += tail
            self._fallen += count
