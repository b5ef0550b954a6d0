"""The queue between listeners and the render thread: events in, in time order out.

Any thread posts; one thread takes, a block at a time. Listeners share a lock; the render thread
takes no lock and only pops from a deque.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from dataclasses import replace
from enum import Enum

from common.window import PARTS
from daw_bridge.events import SETTINGS, AllSoundOff, Event

LIMIT = 65_536
"""Events that may wait at once: minutes of dense playing, some 10 MB."""


class _Mark(Enum):
    """What may stand between events in the queue."""

    PANIC = "forget what came before, except settings"


class Inbox:
    """A bounded, time-ordered queue of events.

    late: events that came after their block and were moved to the start of a later one;
    dropped: events refused because `limit` were waiting; panics: calls of `panic`. The counters
    only grow.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.late = 0
        self.dropped = 0
        self.panics = 0
        self._posting = threading.Lock()
        self._arrived: deque[Event | _Mark] = deque()
        self._waiting: list[tuple[int, int, Event]] = []
        self._arrivals = 0
        self._start = 0

    def post(self, event: Event) -> bool:
        """Add an event. If the inbox is full, count it as dropped and return False."""
        with self._posting:
            if len(self._arrived) + len(self._waiting) >= self.limit:
                self.dropped += 1
                return False
            self._arrived.append(event)
            return True

    def panic(self, time: int) -> None:
        """Drop all waiting notes and pedals, and silence every part at time, even if full.

        Timbres, levels and bends stay: they make no sound, and their senders rely on them.
        """
        with self._posting:
            self.panics += 1
            kept = [event for event in self._drain() if isinstance(event, SETTINGS)]
            self._arrived.append(_Mark.PANIC)
            self._arrived.extend(kept)
            self._arrived.extend(AllSoundOff(time, part) for part in PARTS)

    def take_until(self, sample: int) -> list[Event]:
        """All events before sample, by time and then by arrival; called by one thread only.

        A block starts where the last call ended (the first one at 0). Older events are moved to
        that start.
        """
        # Counted beforehand, so that a flood of posts cannot keep the render thread here.
        for _ in range(len(self._arrived)):
            self._sort_in()
        start, self._start = self._start, sample
        taken = []
        while self._waiting and self._waiting[0][0] < sample:
            time, _, event = heapq.heappop(self._waiting)
            if time < start:
                self.late += 1
                event = replace(event, time=start)
            taken.append(event)
        return taken

    def _sort_in(self) -> None:
        """Move one arrival into the heap."""
        try:
            event = self._arrived.popleft()
        except IndexError:  # a panic took them back meanwhile
            return
        if event is _Mark.PANIC:
            self._waiting = [w for w in self._waiting if isinstance(w[2], SETTINGS)]
            heapq.heapify(self._waiting)
        else:
            self._arrivals += 1
            heapq.heappush(self._waiting, (event.time, self._arrivals, event))

    def _drain(self) -> list[Event | _Mark]:
        """Remove and return all arrivals; the render thread may be removing some as well."""
        arrivals: list[Event | _Mark] = []
        while True:
            try:
                arrivals.append(self._arrived.popleft())
            except IndexError:
                return arrivals
