"""The queue between listeners and the render thread: events in, in time order out.

Any thread posts; one thread takes, a block at a time. Listeners share a lock; the render thread
takes no lock: what it shares with them are deques and dicts, of which it pops one item at a time.

There is room for what must not wait behind a flood. Settings (timbres, levels, bends) may fill a
quarter, presses and pedals that are scheduled for later a half, their releases three quarters, live
presses seven eighths; the rest is for live releases. If the queue is full, the last release of each
key is still kept: a lost release would be a note that never ends.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, get_args

from common.window import PARTS
from daw_bridge.events import (
    SETTINGS,
    AllNotesOff,
    AllSoundOff,
    Event,
    NoteOff,
    Pedal,
)

LIMIT = 65_536
"""Events that may wait at once: minutes of dense playing, some 10 MB."""

SOON = 16_000
"""Samples ahead, a third of a second at 48 kHz, from which on an event counts as scheduled."""

SORTED_AT_ONCE = 2_048
"""Scheduled events sorted in for each block: a flood of them must not make a block late. All that
may wait are sorted in before the first of them is due, at blocks of up to 500 samples."""

_Waiting = tuple[int, int, Event]
"""Time, number of arrival, event."""

_Key = tuple[type, int, int]
"""Kind, part, and key or pedal of a release."""


_SETTINGS = frozenset(get_args(SETTINGS))
_RELEASES = frozenset({NoteOff, AllNotesOff, AllSoundOff})
"""What ends something, so that losing it would leave it on; and pedals that go up."""


class _Panic(NamedTuple):
    """Stands between events: forget notes and pedals whose number of arrival is lower."""

    number: int


class Inbox:
    """A bounded, time-ordered queue of events.

    hop: samples of a frame. Of settings of one part and kind within a frame, only the last is
    heard, and only it is kept. late: events that came after their block and were moved to the start
    of a later one; dropped: presses, pedals and settings for which there was no room; panics: calls
    of `panic`. The counters only grow.

    A setting carries all of its kind as it stood when it was sent. So one that is sent later, for
    an earlier time, makes those that wait for their time out of date: they are forgotten, and not
    counted as dropped.
    """

    def __init__(self, limit: int = LIMIT, hop: int = 1) -> None:
        self.limit = limit
        self.late = 0
        self.dropped = 0
        self.panics = 0
        self._hop = hop
        self._least_full = limit // (4 * 3 * len(PARTS))
        """Settings that each kind and part may always have: their share of a quarter."""
        self._posting = threading.Lock()
        self._mine = threading.local()
        self._arrivals = 0
        self._soon: deque[_Waiting | _Panic] = deque()
        self._later: deque[_Waiting] = deque()
        self._waiting: list[_Waiting] = []
        """The heap, of the render thread alone."""
        self._settings: dict[tuple[type, int], deque[_Waiting]] = {}
        """Of each kind and part, in time order."""
        self._owed: dict[_Key, _Waiting] = {}
        """Releases that found no room."""
        self._start = 0

    @property
    def dropped_here(self) -> int:
        """How many events of the calling thread were dropped."""
        return getattr(self._mine, "dropped", 0)

    def tell_here(self, note: Callable[[Event], object]) -> None:
        """Tell note what the calling thread posts from now on."""
        self._mine.note = note

    def post(self, event: Event) -> bool:
        """Add an event. If there is no room for it, count it as dropped and return False.

        Without room, a setting takes the place of the one before it in time: what stands in the end
        is right, only the way there is coarser.
        """
        if note := getattr(self._mine, "note", None):
            note(event)
        with self._posting:
            self._arrivals += 1
            one = (event.time, self._arrivals, event)
            kind = type(event)
            if kind in _SETTINGS:
                return self._post_setting(one)
            soon = event.time < self._start + SOON
            frees = kind in _RELEASES or (isinstance(event, Pedal) and not event.down)
            count = len(self._soon) + len(self._later) + len(self._waiting)
            if count >= self._room(soon, frees):
                if not frees:
                    return self._drop()
                self._owe(one)
            elif soon:
                self._soon.append(one)
            else:
                self._later.append(one)
            return True

    def panic(self, time: int) -> None:
        """Drop all waiting notes and pedals, and silence every part at time, even if full.

        Of each part, the last timbre, level and bend that wait for their time stay, since their
        senders rely on them; the way there is dropped.
        """
        with self._posting:
            self.panics += 1
            self._soon.clear()
            self._later.clear()
            self._owed.clear()
            for waiting in self._settings.values():
                while len(waiting) > 1:
                    _pop(waiting)
            self._arrivals += 1
            self._soon.append(_Panic(self._arrivals))
            for part in PARTS:
                self._arrivals += 1
                self._soon.append((time, self._arrivals, AllSoundOff(time, part)))

    def take_until(self, sample: int) -> list[Event]:
        """All events before sample, by time and then by arrival; called by one thread only.

        A block starts where the last call ended (the first one at 0). Older events are moved to
        that start.
        """
        # Counted beforehand, so that a flood of posts cannot keep the render thread here.
        for _ in range(len(self._soon)):
            self._sort_in(self._soon)
        for _ in range(min(len(self._later), SORTED_AT_ONCE)):
            self._sort_in(self._later)
        self._take_owed(sample)
        start, self._start = self._start, sample
        due = self._due_settings(sample)
        while self._waiting and self._waiting[0][0] < sample:
            due.append(heapq.heappop(self._waiting))
        due.sort(key=_order)
        taken = []
        for time, _, event in due:
            if time < start:
                self.late += 1
                event = replace(event, time=start)
            taken.append(event)
        return taken

    def _room(self, soon: bool, frees: bool) -> int:
        """How many events may wait at most for one more of this sort to be taken."""
        if soon:
            return self.limit if frees else self.limit * 7 // 8
        return self.limit * 3 // 4 if frees else self.limit // 2

    def _drop(self) -> bool:
        self.dropped += 1
        self._mine.dropped = self.dropped_here + 1
        return False

    def _owe(self, one: _Waiting) -> None:
        """Keep a release without room: the last of its key."""
        key = _key_of(one[2])
        known = self._owed.get(key)
        if known is None or known[0] <= one[0]:
            self._owed[key] = one

    def _post_setting(self, one: _Waiting) -> bool:
        time, _, event = one
        waiting = self._settings.setdefault((type(event), event.part), deque())
        frame = time // self._hop
        # The render thread pops on the left meanwhile.
        while (last := _peek(waiting, -1)) is not None and last[0] // self._hop >= frame:
            _pop(waiting)
        full = len(waiting) >= self._least_full and (
            sum(map(len, self._settings.values())) >= self.limit // 4
        )
        dropped = full and _pop(waiting) is not None
        waiting.append(one)
        return self._drop() if dropped else True

    def _due_settings(self, sample: int) -> list[_Waiting]:
        due = []
        for waiting in list(self._settings.values()):
            while (first := _peek(waiting, 0)) is not None and first[0] < sample:
                # Another one may have taken its place just now, but only for an earlier time.
                try:
                    due.append(waiting.popleft())
                except IndexError:
                    break
        return due

    def _take_owed(self, sample: int) -> None:
        """Take in releases that found no room: those that are due, and others if there is some."""
        for key, (time, *_) in list(self._owed.items()):
            if time < sample or len(self._waiting) < self._room(soon=False, frees=True):
                one = self._owed.pop(key, None)
                if one is not None:  # a panic took it back meanwhile
                    heapq.heappush(self._waiting, one)

    def _sort_in(self, arrived: deque[_Waiting | _Panic] | deque[_Waiting]) -> None:
        """Move one arrival into the heap."""
        try:
            one = arrived.popleft()
        except IndexError:  # a panic took them back meanwhile
            return
        if isinstance(one, _Panic):
            self._waiting = [w for w in self._waiting if w[1] > one.number]
            heapq.heapify(self._waiting)
        else:
            heapq.heappush(self._waiting, one)


def _key_of(event: Event) -> _Key:
    match event:
        case NoteOff(part=part, key=key):
            return NoteOff, part, key
        case Pedal(part=part, number=number):
            return Pedal, part, number
        case _:
            return type(event), event.part, 0


def _order(one: _Waiting) -> tuple[int, int]:
    return one[0], one[1]


def _peek(waiting: deque[_Waiting], at: int) -> _Waiting | None:
    try:
        return waiting[at]
    except IndexError:
        return None


def _pop(waiting: deque[_Waiting]) -> _Waiting | None:
    """Take the last one away; None where another thread was faster."""
    try:
        return waiting.pop()
    except IndexError:
        return None
