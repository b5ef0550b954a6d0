"""Where listeners leave events and the render thread finds them, in order and on time.

Any thread posts; one thread takes, a block at a time. Listeners share a lock among
themselves; the render thread holds none and only pops from a deque.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from dataclasses import replace

from daw_bridge.events import PARTS, SETTINGS, AllSoundOff, Event

LIMIT = 65_536
"""Events that may wait at once: minutes of dense playing, some 10 MB."""

_PANIC = object()


class Inbox:
    """A bounded, time-ordered queue of events.

    late: events that came after their block and were moved to a later one's start;
    dropped: events refused because `limit` were waiting. Both only grow.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.late = 0
        self.dropped = 0
        self._posting = threading.Lock()
        self._arrived: deque[Event | object] = deque()
        self._waiting: list[tuple[int, int, Event]] = []
        self._arrivals = 0
        self._start = 0

    def post(self, event: Event) -> bool:
        """Leave an event. False, and one more `dropped`, if the inbox is full."""
        with self._posting:
            if len(self._arrived) + len(self._waiting) >= self.limit:
                self.dropped += 1
                return False
            self._arrived.append(event)
            return True

    def panic(self, time: int) -> None:
        """Forget what waits to be played and silence every part at time, full or not.

        Timbres, levels and bends stay: they make no sound, and whoever sent them goes on as if
        they had been heard.
        """
        with self._posting:
            kept = [event for event in self._drain() if isinstance(event, SETTINGS)]
            self._arrived.append(_PANIC)
            self._arrived.extend(kept)
            self._arrived.extend(AllSoundOff(time, part) for part in PARTS)

    def take_until(self, sample: int) -> list[Event]:
        """All events before sample, by time and then by arrival; called by one thread only.

        The block now asked for starts where the last call ended (the first call's block
        starts at 0); what is older is raised to that start.
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
        if event is _PANIC:
            self._waiting = [w for w in self._waiting if isinstance(w[2], SETTINGS)]
            heapq.heapify(self._waiting)
        else:
            self._arrivals += 1
            heapq.heappush(self._waiting, (event.time, self._arrivals, event))

    def _drain(self) -> list[Event]:
        """Take every arrival back; the render thread may be taking them too."""
        arrivals = []
        while True:
            try:
                arrivals.append(self._arrived.popleft())
            except IndexError:
                return arrivals
