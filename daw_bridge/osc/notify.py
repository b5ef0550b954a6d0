"""Changes told to who has subscribed: a control surface then shows how the desk stands.

A thread looks every `LOOK_S` at what has changed, whoever changed it, and tells the last value of
each address: automation at any rate becomes so many messages a second. A new subscriber is told
everything once. Nobody is told anything for longer than `LASTS_S` without a sign of life, and only
machines that have subscribed themselves are, within the limits of answers (replies.py).
"""

from __future__ import annotations

import logging
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from daw_bridge.commands.actions import Answer, Session
from daw_bridge.commands.query import addresses
from daw_bridge.commands.table import SOUND
from daw_bridge.desk.settings import Settings
from daw_bridge.osc.packet import encode

LOOK_S = 0.05
LASTS_S = 600.0
MOST = 16
"""Subscribers at once."""

COUNTERS = ("underruns", "late", "dropped", "fault")
"""Of the status, what a player must know of."""

PACKET_BYTES = 1_400
"""A bundle of so many fits a packet of any network."""

Told = dict[str, Answer]
"""Address -> values."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Subscriber:
    """until: when it is forgotten, by a monotonic clock; is_new: it has been told nothing yet."""

    until: float
    is_new: bool = True


class Notifier:
    """Tells subscribers what changes, from the first `subscribe` to `close`.

    send: takes a socket address and a packet, in the notifier's thread; must not raise. clock:
    seconds from a monotonic clock.
    """

    def __init__(
        self,
        session: Session,
        send: Callable[[tuple, bytes], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._send, self._clock = session, send, clock
        self._subscribers: dict[tuple, _Subscriber] = {}
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._settings: dict[int, Settings] = {}
        self._told: Told = {}

    def subscribe(self, address: tuple) -> None:
        """Tell a socket address what changes, from now on. ValueError if there are too many."""
        with self._changing:
            self._forget_late()
            if address not in self._subscribers and len(self._subscribers) == MOST:
                raise ValueError(f"there are {MOST} subscribers already")
            self._subscribers[address] = _Subscriber(self._clock() + LASTS_S)
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
        if not new and not known:
            return
        changes = {a: v for a, v in self._stands().items() if self._told.get(a) != v}
        self._told |= changes
        for receivers, content in ((known, changes), (new, self._told)):
            if receivers and content:
                for packet in bundles(content):
                    for address in receivers:
                        self._send(address, packet)

    def _forget_late(self) -> None:
        now = self._clock()
        for address in [a for a, s in self._subscribers.items() if s.until < now]:
            del self._subscribers[address]

    def _stands(self) -> Told:
        """How everything stands that may have changed since the last time."""
        desk = self._session.desk
        told: Told = {}
        for part, settings in desk.parts().items():
            if self._settings.get(part) is not settings:
                self._settings[part] = settings
                now = dict(self._of_part(part))
                # What a part has no value of any more, such as its morph, is told to nobody.
                for gone in [a for a in self._told if a.startswith(f"/part/{part}/")]:
                    if gone not in now:
                        del self._told[gone]
                told |= now
        status = self._session.status()
        told |= {f"/status/{name}": (status[name],) for name in COUNTERS if name in status}
        learnt = [str(x) for pair in desk.learnt.bound.items() for x in pair]
        told["/midi/map.reply"] = tuple(learnt)
        told["/midi/learn"] = (desk.learnt.waiting or "",)
        told["/patch/list.reply"] = tuple(desk.names)
        return told

    def _of_part(self, part: int) -> Iterator[tuple[str, Answer]]:
        """Every address of a part that has a value now, with it."""
        book = self._session.desk.book
        for command in SOUND.commands:
            if command.ask is None:
                continue
            of_bank = command.for_bank(list(book.knobs), self._session.desk.reach)
            of_part = replace(
                of_bank,
                address=of_bank.address.replace("<channel>", str(part)),
                place=of_bank.place[1:],
            )
            for address, place in addresses(of_part):
                try:
                    yield address, command.ask(self._session, part, *place)
                except ValueError:
                    continue  # such as the morph of a part that is on none


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
