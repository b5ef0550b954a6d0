"""The engine's clock as listeners see it: wall time in, samples out.

The render thread ticks once a block; listeners ask where an event of a given wall time
belongs. The answer is a straight line laid along the early edge of the ticks: it lies one
block ahead of the block being rendered, so an event stamped now falls into the next one,
and every event waits equally long. Early ticks lift the line at once, so that no stamp is
late; when ticks come later than the line, it sinks slowly. Delay is constant, jitter is
not passed on, and a player hears the rhythm that was played.
"""

from __future__ import annotations

import math
import threading
import time
from typing import NamedTuple

SETTLE_S = 2.0
"""Time constant of the line's sinking. Between two bursts of blocks, 32 ms apart, it sags
by a quarter of a millisecond; the delay that a short stall leaves is gone within seconds."""

JUMP_S = 0.2
"""A tick this far behind the line (or two blocks, if more) means that rendering stalled:
the line starts anew. Also how far `now` runs on with no tick."""

NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 (NTP) to 1970 (Unix)."""


class _Line(NamedTuple):
    """At wall seconds, an event belongs at position samples; then slope samples a second."""

    wall: float
    position: float
    slope: float
    limit: float
    earliest: int


class AudioClock:
    """Maps `time.perf_counter()` seconds to samples at a rate in Hz.

    One thread ticks; any thread asks. The two share one immutable tuple, so the render
    thread never waits. Before the first tick every answer is 0. A clock serves one run of
    the engine. ValueError on a rate that is not positive.
    """

    def __init__(self, rate: float) -> None:
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"rate: {rate!r} is not a positive number of Hz")
        self.rate = rate
        self._line: _Line | None = None
        self._ticked = 0
        self._stalled = False
        self._last = 0
        self._asking = threading.Lock()

    def tick(self, samples: int, wall: float) -> None:
        """Say that at this wall time rendering of the block that starts at samples begins.

        The block's length is learnt from the ticks: until the second one it counts as 0.
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
                # Sinking is a gentler slope, not a step: a later ask never gets less.
                position = expected
                slope = max(self.rate - excess / SETTLE_S, self.rate / 2)
        self._stalled = False
        self._line = _Line(wall, position, slope, wall + slack, early_edge)

    def stall(self) -> None:
        """Say that the sound has broken: the next tick starts the line anew.

        What was lost will not be caught up with, so sinking slowly would only delay every
        note for seconds. Called by the thread that ticks.
        """
        self._stalled = True

    def samples_at(self, wall: float) -> int:
        """Where an event of this wall time belongs: about one block after it, in samples."""
        line = self._line
        return round(line.position + line.slope * (wall - line.wall)) if line else 0

    def samples_at_ntp(self, timetag: int) -> int:
        """Where an OSC timetag (64-bit NTP, in 2**-32 s) belongs, by the system's clock now."""
        ahead = seconds_until(timetag)
        return self.samples_at(time.perf_counter() + ahead)

    def now(self) -> int:
        """Where an event that has just arrived belongs; no later answer is less.

        While rendering stalls the answer stops after `JUMP_S`, so that what was played
        meanwhile sounds at once when it goes on.
        """
        with self._asking:
            wall, line = time.perf_counter(), self._line
            if line is not None:
                asked = line.position + line.slope * (min(wall, line.limit) - line.wall)
                self._last = max(self._last, line.earliest, round(asked))
            return self._last


def seconds_until(timetag: int) -> float:
    """Seconds from now until an NTP timetag, negative if it has passed.

    The nearer way round the 136 years after which the 64 bits begin again.
    """
    now = round((time.time() + NTP_EPOCH_S) * 2**32)
    return ((timetag - now + 2**63) % 2**64 - 2**63) / 2**32
