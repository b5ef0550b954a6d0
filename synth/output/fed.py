"""What all sinks with a device share: blocks in, resampled, through a ring that the device empties.

The render thread writes (feed.py); the device's callback (playout.py) only copies, and wakes the
writer. How much the ring is let fill decides both the latency and how late the renderer may be.
"""

from __future__ import annotations

import time
from abc import abstractmethod

import numpy as np

from synth.output.feed import Feed
from synth.output.playout import FADE_MS, Playout
from synth.output.resample import Resampler
from synth.output.ring import Ring, Samples
from synth.output.sinks import SPARE_MS, Sink

RING_MS = 1_000
"""Storage, not latency: more than any device asks for at once."""

STALLED_S = 2.0
"""A device that asks for nothing for so long is gone, though it may claim to be active. The writer
must have looked all the while: if this program has stood still, the device may be well."""

LOOK_S = 0.02
"""How often a writer whom no buffer wakes looks whether it is to stop, or the device gone."""


class FedSink(Sink):
    """A sink whose device takes `channels` channels at `rate` Hz out of a ring.

    spare_ms: how late the renderer may be before the sound breaks.
    """

    def __init__(
        self, engine_rate: int, rate: int, channels: int, spare_ms: float = SPARE_MS
    ) -> None:
        self.engine_rate = engine_rate
        self._rate, self._channels = rate, channels
        self._resampler = Resampler(engine_rate, rate, channels)
        spare = round(rate * spare_ms / 1000)
        ring = Ring(rate * RING_MS // 1000, channels)
        self._playout = Playout(ring, rate, reserve=max(1, spare), clock=self._now)
        self._feed = Feed(self._playout, spare)
        self._fault: str | None = None
        self._started = self._stopped = False

    @property
    def rate(self) -> int:
        return self._rate

    @property
    def port_ms(self) -> float:
        return self._resampler.latency_ms + 1000 * self._feed.latency_s

    @property
    def latency_ms(self) -> float:
        """Resampler, ring, the device's buffer and what lies behind it.

        At most so much before sound was played, then as the last blocks went (feed.py).
        """
        return self.port_ms + 1000 * self._behind_s()

    @property
    def underruns(self) -> int:
        """Gaps because the renderer was late, or the system was, or the callback failed."""
        return self._playout.underruns + self._playout.device_gaps + self._playout.faults

    @property
    def fault(self) -> str | None:
        return self._fault

    @property
    def active(self) -> bool:
        return not self._stopped and self.fault is None and self._runs()

    def write(self, block: Samples) -> bool:
        # Resampling can overshoot full scale between two limited samples.
        self._feed.begin(np.clip(self._resampler.step(self._taken(block)), -1, 1))
        asked, since, looks = self._playout.asked, time.monotonic(), 0
        while self.active:
            if self._feed.go_on():
                return True
            self._wait(LOOK_S)
            looks += 1
            if self._playout.asked != asked:
                asked, since, looks = self._playout.asked, time.monotonic(), 0
            elif min(time.monotonic() - since, looks * LOOK_S) > STALLED_S:
                self._report("asks for no more sound")
        if self._started and not self._stopped:
            self._report("has stopped")
        return False

    def stop(self) -> None:
        self._stopped = True

    @abstractmethod
    def _runs(self) -> bool:
        """Whether the device asks for sound."""

    @abstractmethod
    def _behind_s(self) -> float:
        """Seconds from when the device takes a buffer until its first sample is heard."""

    @abstractmethod
    def _called(self) -> str:
        """What the device is called in messages."""

    def _now(self) -> float:
        """Seconds, by the clock that buffers are taken by."""
        return time.perf_counter()

    def _wait(self, timeout: float) -> object:
        """Wait until the device takes a buffer, at most timeout seconds."""
        return self._playout.wait(timeout)

    def _taken(self, block: Samples) -> Samples:
        """A block as the device's channels take it."""
        return block

    def _fade_out(self) -> None:
        """Wait for the fade to be played: two buffers, at most a fifth of a second."""
        self._playout.mute()
        buffers_s = (2 * self._playout.largest + self._rate * FADE_MS / 1000) / self._rate
        deadline = time.monotonic() + min(buffers_s, 0.2)
        while not self._playout.silent and time.monotonic() < deadline:
            time.sleep(0.001)

    def _report(self, what: str) -> None:
        """State the first fault."""
        self._fault = self._fault or f"{self._called()} {what}"
