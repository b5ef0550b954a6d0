"""Changes told to who has subscribed: a control surface then shows how the desk stands.

A thread looks every `LOOK_S` at what has changed, whoever changed it, and tells the last value of
each address: automation at any rate becomes so many messages a second. A new subscriber is told
everything once. Peak levels are told to those who ask for them, half as often. Nobody is told
anything for longer than `LASTS_S` without a sign of life, and only machines that have subscribed
themselves are, within the limits of answers (replies.py).
"""

from __future__ import annotations

import logging
import math
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from daw_bridge.commands.actions import Answer, Session
from daw_bridge.osc.changes import Changes, Told
from daw_bridge.osc.packet import encode

LOOK_S = 0.05
LEVEL_LOOKS = 2
"""Every how many looks levels are told."""
SILENCE_DB = -120.0
LASTS_S = 600.0
MOST = 16
"""Subscribers at once."""

PACKET_BYTES = 1_400
"""A bundle of so many fits a packet of any network."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Subscriber:
    """until: when it is forgotten, by a monotonic clock; levels: whether it is told those, too;
    is_new: it has been told nothing yet."""

    until: float
    levels: bool
    is_new: bool = True


class Meter(Protocol):
    """Peak levels of what is played, for somebody who looks now and then."""

    def peaks(self) -> Mapping[int, float]:
        """Part -> its peak since the last call, and 0 -> that of the mix; parts that cost nothing
        are left out. The first call begins."""

    def rest(self) -> None:
        """Nobody looks any more."""


class Notifier:
    """Tells subscribers what changes, from the first `subscribe` to `close`.

    send: takes a socket address and a packet, in the notifier's thread; must not raise. meter: the
    levels, None where there are none. clock: seconds from a monotonic clock.
    """

    def __init__(
        self,
        session: Session,
        send: Callable[[tuple, bytes], object],
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send, self._meter, self._clock = send, meter, clock
        self._subscribers: dict[tuple, _Subscriber] = {}
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._changes = Changes(session)
        self._looks = 0
        self._shown: dict[int, float] = {}
        """Part -> the level in dB that was told last."""

    def subscribe(self, address: tuple, levels: bool = False) -> None:
        """Tell a socket address what changes, from now on. ValueError if there are too many."""
        with self._changing:
            self._forget_late()
            if address not in self._subscribers and len(self._subscribers) == MOST:
                raise ValueError(f"there are {MOST} subscribers already")
            self._subscribers[address] = _Subscriber(self._clock() + LASTS_S, levels)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
                self._thread.start()

    def end(self, host: str) -> None:
        """Tell a machine nothing more."""
        with self._changing:
            for address in [a for a in self._subscribers if a[0] == host]:
                del self._subscribers[address]

    def hear(self, host: str) -> None:
        """Note that a machine has sent something: its subscriptions are renewed."""
        if self._subscribers:
            with self._changing:
                for address, subscriber in self._subscribers.items():
                    if address[0] == host:
                        subscriber.until = self._clock() + LASTS_S

    def close(self) -> None:
        """Tell nobody anything any more."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        if self._meter is not None:
            self._meter.rest()

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                self._look()
            except Exception as error:  # a mistake of ours must not end what is told
                _log.warning("subscribers of OSC were told nothing for a moment: %r", error)

    def _look(self) -> None:
        with self._changing:
            self._forget_late()
            new = [a for a, s in self._subscribers.items() if s.is_new]
            known = [a for a, s in self._subscribers.items() if not s.is_new]
            for address in new:
                self._subscribers[address].is_new = False
            levels = [a for a, s in self._subscribers.items() if s.levels]
        if new or known:
            changes = self._changes.look()
            self._tell(known, changes)
            self._tell(new, self._changes.told)
        self._looks += 1
        if self._meter is not None and self._looks % LEVEL_LOOKS == 0:
            if levels:
                self._tell(levels, self._levels(self._meter))
            else:
                self._meter.rest()
                self._shown.clear()

    def _tell(self, receivers: list[tuple], content: Told) -> None:
        if receivers and content:
            for packet in bundles(content):
                for address in receivers:
                    self._send(address, packet)

    def _levels(self, meter: Meter) -> Told:
        """The levels that have changed; a part that is silent now is told so once."""
        peaks = meter.peaks()
        now = {part: _decibels(peaks.get(part, 0.0)) for part in {*peaks, *self._shown}}
        was = self._shown
        changed = {part: x for part, x in now.items() if x != was.get(part, SILENCE_DB)}
        self._shown = {part: level for part, level in now.items() if level > SILENCE_DB}
        return {f"/part/{p}/level" if p else "/level": (level,) for p, level in changed.items()}

    def _forget_late(self) -> None:
        now = self._clock()
        for address in [a for a, s in self._subscribers.items() if s.until < now]:
            del self._subscribers[address]


def _decibels(peak: float) -> float:
    """Of full scale, in tenths."""
    return round(max(20 * math.log10(peak), SILENCE_DB), 1) if peak else SILENCE_DB


def bundles(content: Told) -> Iterator[bytes]:
    """Packets that say all of this: bundles to be acted on at once."""
    packet = b""
    for message in _encoded(content.items()):
        element = struct.pack(">i", len(message)) + message
        if packet and len(packet) + len(element) > PACKET_BYTES:
            yield _HEAD + packet
            packet = b""
        packet += element
    if packet:
        yield _HEAD + packet


_HEAD = b"#bundle\0" + struct.pack(">Q", 1)


def _encoded(content: Iterable[tuple[str, Answer]]) -> Iterator[bytes]:
    for address, values in content:
        yield encode(address, *values)
