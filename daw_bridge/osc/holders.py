"""Who holds keys and pedals down by OSC, and which of them cannot release them any more.

UDP does not say when a sender is gone. On this machine it is gone when nobody has its port any
more: the program that opened it has ended. Only a sender that has spoken from one port for a while
is looked at. A program that opens a new port for each message, such as oscsend, ends all the time,
and its keys stay down until somebody releases them. So may those of a sender that lives and says
nothing: a key may be held for ever, unless the user states after how long it may not.
"""

from __future__ import annotations

import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from daw_bridge.events import AllNotesOff, AllSoundOff, Event, NoteOff, NoteOn, Pedal
from daw_bridge.osc.replies import is_this_machine

LASTING_S = 2.0
"""A sender has spoken from one port for so long at least before its end means anything."""
CLOSED_S = 5.0
"""So long it has been silent before it is looked for."""
REMEMBERED = 2_048
"""Senders that are remembered; all that hold a key fit in."""

Sender = tuple
"""Host, port, and what else a socket says of it."""


@dataclass(slots=True)
class _Spoken:
    """When a sender spoke first and last, in seconds of a monotonic clock."""

    first: float
    last: float


class Holders:
    """Keeps what each sender holds. One thread at a time.

    silence_s: seconds without a message after which a sender's keys are released; None for never.
    closed: whether those of a program on this machine are released that has ended.
    clock: seconds from a monotonic clock.
    """

    def __init__(
        self,
        silence_s: float | None = None,
        closed: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._silence_s, self._closed, self._clock = silence_s, closed, clock
        self._spoken: OrderedDict[Sender, _Spoken] = OrderedDict()
        """Of each sender, the one that spoke last at the end."""
        self._held: dict[NoteOff | Pedal, tuple[Sender, int]] = {}
        """What would release it (at time 0) -> who holds it, and since which sample."""

    def heard(self, sender: Sender) -> None:
        """Take in that a sender has spoken just now."""
        now = self._clock()
        spoken = self._spoken.setdefault(sender, _Spoken(now, now))
        spoken.last = now
        self._spoken.move_to_end(sender)
        if len(self._spoken) > REMEMBERED:
            holding = {holder for holder, _ in self._held.values()}
            del self._spoken[next(s for s in self._spoken if s not in holding)]

    def note(self, sender: Sender, event: Event) -> None:
        """Take in what a sender has done, after `heard`."""
        match event:
            case NoteOn(time=at, part=part, key=key):
                self._held[NoteOff(0, part, key)] = sender, at
            case Pedal(time=at, part=part, number=number, down=True):
                self._held[Pedal(0, part, number, False)] = sender, at
            case NoteOff(time=at, part=part, key=key):
                self._release(at, lambda e: e == NoteOff(0, part, key))
            case Pedal(time=at, part=part, number=number):
                self._release(at, lambda e: e == Pedal(0, part, number, False))
            case AllNotesOff(time=at, part=part):
                self._release(at, lambda e: isinstance(e, NoteOff) and e.part == part)
            case AllSoundOff(time=at, part=part):
                self._release(at, lambda e: e.part == part)

    def forget(self) -> None:
        """Take in that nothing is held any more."""
        self._held.clear()

    def gone(self, now: int) -> dict[Sender, list[NoteOff | Pedal]]:
        """What releases the keys and pedals of each sender that is gone; they are then forgotten.

        now: in samples.
        """
        holding = {sender for sender, _ in self._held.values()}
        found: dict[Sender, list[NoteOff | Pedal]] = {}
        for sender in holding:
            if self._is_gone(sender):
                mine = {e: at for e, (holder, at) in self._held.items() if holder == sender}
                # What it has scheduled for later is released then.
                found[sender] = [_at(event, max(now, at)) for event, at in mine.items()]
                for event in mine:
                    del self._held[event]
        return found

    def _is_gone(self, sender: Sender) -> bool:
        spoken = self._spoken[sender]
        silent_s = self._clock() - spoken.last
        if self._silence_s is not None and silent_s > self._silence_s:
            return True
        lasting = spoken.last - spoken.first > LASTING_S
        return self._closed and lasting and silent_s > CLOSED_S and is_closed(*sender[:2])

    def _release(self, at: int, released: Callable[[NoteOff | Pedal], bool]) -> None:
        """Forget what a release at that time ends: not what is to be pressed after it."""
        for event in [e for e, (_, since) in self._held.items() if since <= at and released(e)]:
            del self._held[event]


def is_closed(host: str, port: int) -> bool:
    """Whether nobody on this machine has a UDP port, by its numeric loopback address.

    It counts as closed if we can bind it ourselves for a moment. False for other machines, which
    cannot be known.
    """
    if not is_this_machine(host):
        return False
    mapped = host.lower().startswith("::ffff:")
    own, every = (host, "::") if ":" in host and not mapped else (host.rpartition(":")[2], "")
    family = socket.AF_INET6 if every else socket.AF_INET
    # Its socket may be bound to this address or to all; on Windows either could be had beside it.
    for address in (own, every):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def _at(event: NoteOff | Pedal, time: int) -> NoteOff | Pedal:
    if isinstance(event, NoteOff):
        return NoteOff(time, event.part, event.key)
    return Pedal(time, event.part, event.number, event.down)
