"""The engine's clock for listeners: wall time in, samples out.

The render thread ticks once a block; listeners ask at which sample an event of a wall time
belongs. The answer lies on a straight line through the earliest ticks, one block ahead of the
block that is being rendered: an event of now belongs to the next block, and every event waits
equally long. An early tick raises the line at once, so that no event is late; after late ticks it
sinks slowly. The delay is constant and jitter is not passed on: what is heard has the rhythm that
was played.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

SETTLE_S = 2.0
"""Time constant with which the line sinks. Between two bursts of blocks, 32 ms apart, it sinks by a
quarter of a millisecond; the delay that is left after a short stall is gone within seconds."""

JUMP_S = 0.2
"""A tick this far behind the line (or two blocks, if more) means that rendering stalled, and
the line starts again. Also how far `now` goes on without a tick."""

NEAR_S = 86_400
"""How far ahead a timetag may be that has started again from 0."""

NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 (NTP) to 1970 (Unix)."""


class _Line(NamedTuple):
    """At wall (seconds) an event belongs at position (samples), which then grows by slope a second.

    limit: wall time after which `now` stops; earliest: `now` is never before this sample.
    """

    wall: float
    position: float
    slope: float
    limit: float
    earliest: int


class AudioClock:
    """Maps `time.perf_counter()` seconds to samples at a rate in Hz.

    One thread ticks; any thread asks. They share one immutable tuple, so the render thread never
    waits. Before the first tick every answer is 0. A clock is for one run of the engine.
    lead_s: how many seconds before its timetag an event is to be taken, so that its sound is heard
    at the timetag; none unless it is set.
    ValueError for a rate that is not positive.
    """

    def __init__(self, rate: float) -> None:
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"rate: {rate!r} is not a positive number of Hz")
        self.rate = rate
        self.lead_s: Callable[[], float] = float
        self._line: _Line | None = None
        self._ticked = 0
        self._stalled = False
        self._last = 0
        self._asking = threading.Lock()

    def tick(self, samples: int, wall: float) -> None:
        """Report that rendering of the block that starts at `samples` begins at this wall time.

        The length of a block is the distance between ticks; before the second tick it is 0.
        """
        block = max(samples - self._ticked, 0) if self._line else 0
        self._ticked = samples
        early_edge = samples + block
        slack = max(JUMP_S, 2 * block / self.rate)
        position, slope = float(early_edge), self.rate
        if self._line and not self._stalled:
            expected = self._line.position + self._line.slope * (wall - self._line.wall)
            excess = expected - early_edge
            if 0 < excess <= slack * self.rate:
                # It sinks by a smaller slope, without a step: no later answer is less.
                position = expected
                slope = max(self.rate - excess / SETTLE_S, self.rate / 2)
        self._stalled = False
        self._line = _Line(wall, position, slope, wall + slack, early_edge)

    def stall(self) -> None:
        """Report a dropout: the next tick starts the line again.

        The lost time does not come back, so a line that sinks slowly would only delay every note
        for seconds. Called by the thread that ticks.
        """
        self._stalled = True

    def samples_at(self, wall: float) -> int:
        """The sample at which an event of this wall time belongs: about one block later."""
        line = self._line
        return round(line.position + line.slope * (wall - line.wall)) if line else 0

    def samples_at_ntp(self, timetag: int) -> int:
        """The sample of an OSC timetag (64-bit NTP, in 2**-32 s), by the system's clock now.

        It is earlier by the lead, but no earlier than now because of it.
        """
        ahead = seconds_until(timetag)
        if ahead > 0:
            ahead = max(ahead - self.lead_s(), 0.0)
        return self.samples_at(time.perf_counter() + ahead)

    def now(self) -> int:
        """The sample at which an event that has just arrived belongs; no later answer is less.

        While rendering stalls, the answer stops growing after `JUMP_S`: what is played meanwhile
        sounds at once when rendering goes on.
        """
        with self._asking:
            wall, line = time.perf_counter(), self._line
            if line is not None:
                asked = line.position + line.slope * (min(wall, line.limit) - line.wall)
                self._last = max(self._last, line.earliest, round(asked))
            return self._last

    def ahead(self, seconds: float) -> int:
        """The sample at which an event belongs that is due so many seconds from now."""
        return self.now() + round(seconds * self.rate)


def seconds_until(timetag: int) -> float:
    """Seconds from now until an NTP timetag, negative if it has passed.

    The 64 bits start again after 136 years, in 2036: a small number is a moment after that only if
    that is near. Otherwise it has passed: there are senders that count from 1970 or from 2001.
    """
    now = round((time.time() + NTP_EPOCH_S) * 2**32)
    ahead = (timetag - now + 2**63) % 2**64 - 2**63
    if ahead > NEAR_S * 2**32 and timetag < now:
        ahead = timetag - now
    return ahead / 2**32
