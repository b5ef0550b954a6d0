"""What gives way when blocks take longer than they last, and comes back when there is time again.

In this order: pages are told less often; the WaveNet is left out, and its guide is heard, which the
spectral vocoder plays; parts fade out one by one, the one that is heard least first. So there is
less to hear, but what is heard is whole: no bursts, and no delay that grows.

The renderer is also kept from taking a whole core at a real-time priority, which would stop the
rest of the machine: if it computes for more than `MOST_SHARE` of a span of time, it goes on as any
program does until there is time again.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from statistics import median

from common.threads import be_scheduled, scheduling
from page.tap import Tap
from synth.engine import FADE_OUT_FRAMES, Engine

BLOCKS = 6
"""A load is the median of so many blocks: a single late one is nobody's fault."""
FULL, BUSY = 0.9, 0.8
"""Loads from which the sound gives way, and before it the pages."""
HASTE = 1.1
"""A load from which what comes after the pages does not wait."""
GAPS, GAPS_S = 4, 0.5
"""So many gaps in so many seconds are too much to do, whatever the load."""
ROOM, CALM = 0.75, 0.6
"""Loads that a part that comes back may lead to, and below which the WaveNet does."""
WAIT_S, STEP_S = 1.0, 0.25
"""How long there must have been time before the first comes back, and from one to the next."""
LONGEST_WAIT_S = 32.0
"""The wait doubles up to this if what came back was too much, within `RELAPSE_S`."""
RELAPSE_S = 10.0
MOST_SHARE, SPAN_S = 0.9, 0.8
"""Of a core's time, in each span. Linux by itself stops real-time threads, the sound card's among
them, that take 0.95 of a second."""
LESS_SHARE = 0.7
"""The share below which the renderer has its priority back."""

PAGES, VOCODER, PARTS = 1, 2, 3

_log = logging.getLogger(__name__)


class Overload:
    """Looks after one engine, in the thread that renders with it.

    level: 0 while all is well, else the last of `PAGES`, `VOCODER` and `PARTS` that gives way.
    times: how often it has begun; ordinary: how often the renderer has lost its real-time priority;
    both only grow. clock: seconds of a monotonic clock; used: seconds that this thread has
    computed.
    """

    def __init__(
        self,
        engine: Engine,
        tap: Tap,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self.times = 0
        self.ordinary = 0
        self._engine, self._tap, self._clock, self._used = engine, tap, clock, used
        self._loads: deque[float] = deque(maxlen=BLOCKS)
        self._underruns = 0
        self._gaps: deque[float] = deque(maxlen=GAPS)
        """When the last ones were."""
        self._unsettled = 0
        """Blocks whose loads say nothing yet."""
        self._wait_s = WAIT_S
        self._calm_since = self._returned = clock()
        self._span = clock(), used()
        self._priority: tuple[int, int] | None = None
        """What the renderer had before it lost it; None while it has it."""

    @property
    def level(self) -> int:
        if self._engine.given_up:
            return PARTS
        if self._engine.spared:
            return VOCODER
        return PAGES if self._tap.scarce else 0

    def after(self, load: float, underruns: int = 0) -> None:
        """Take in how long a block took, over how long it lasts, and act on it.

        underruns: gaps in the sound so far. Other programs may take the processor between blocks,
        which no load shows.
        """
        now = self._clock()
        if underruns != self._underruns:
            self._gaps += [now] * min(underruns - self._underruns, GAPS)
            self._underruns = underruns
            self._calm_since = now
        self._keep_share(now)
        if self._unsettled:
            self._unsettled -= 1
        else:
            self._loads.append(load)
        if len(self._loads) < BLOCKS:
            self._calm_since = now
            return
        usual = median(self._loads)
        if len(self._gaps) == GAPS and now - self._gaps[0] < GAPS_S:
            self._gaps.clear()
            usual = max(usual, HASTE)
        if usual > (FULL if self._tap.scarce else BUSY):
            self._calm_since = now
            self._give_way(usual, now)
        elif self.level and now - self._calm_since > self._wait_s:
            self._come_back(usual, now)

    def _give_way(self, load: float, now: float) -> None:
        engine = self._engine
        if now - self._returned < RELAPSE_S:
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
            self._returned = now - RELAPSE_S
        if not self._tap.scarce:
            self.times += 1
            self._tap.scarce = True
            _log.warning(
                "overload: there is too little time for blocks (%.0f%%); pages are told less",
                100 * load,
            )
        elif engine.can_be_spared and not engine.spared:
            engine.spared = True
            _log.warning("overload: the spectral vocoder plays for the WaveNet")
        else:
            self._give_up_parts(load)
        self._settle()

    def _settle(self) -> None:
        """Wait for the loads to come: of parts, when they have faded."""
        self._loads.clear()
        self._unsettled = FADE_OUT_FRAMES + 1 if self._engine.given_up else 1

    def _give_up_parts(self, load: float) -> None:
        """As many as are too many."""
        engine = self._engine
        awake = max(engine.awake, 1)
        for count in range(1, awake + 1):
            part = engine.give_up()
            if part is None:
                return
            _log.warning("overload: part %d fades out", part)
            if load * (awake - count) / awake < ROOM:
                return

    def _come_back(self, load: float, now: float) -> None:
        engine = self._engine
        if engine.given_up:
            awake = max(engine.awake, 1)
            if load * (awake + 1) / awake > ROOM:
                return
            _log.warning("overload: part %d is back", engine.take_back())
        elif engine.spared:
            if load > CALM:
                return
            engine.spared = False
            _log.warning("overload: the WaveNet plays again")
        else:
            self._tap.scarce = False
            self._wait_s = max(self._wait_s / 2, WAIT_S)
            _log.warning("overload: over")
        self._returned = now
        self._calm_since = now - self._wait_s + STEP_S
        self._settle()

    def _keep_share(self, now: float) -> None:
        """Give the real-time priority up, or take it back, at the end of a span."""
        began, used = self._span
        if now - began < SPAN_S:
            return
        share = (self._used() - used) / (now - began)
        self._span = now, self._used()
        if self._priority is None:
            way = scheduling()
            if share > MOST_SHARE and way[1]:
                self._priority = way
                self.ordinary += 1
                be_scheduled((os.SCHED_OTHER, 0))
                _log.warning("overload: the renderer goes on at an ordinary priority")
        elif share < LESS_SHARE:
            be_scheduled(self._priority)
            self._priority = None
