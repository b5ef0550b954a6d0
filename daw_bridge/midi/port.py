"""Live MIDI: ports that come and go, read in one thread; messages with the time of their arrival.

A port that goes (a keyboard unplugged, a sound server stopped) lets its keys and pedals go, and is
taken again when one of its name comes back. How ports are found and read is the business of a
system: the machine's own MIDI (system.py), or JACK's (jack.py).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from daw_bridge.midi.stream import Hands, whole_messages

VIRTUAL = "melstream"
"""The name that a DAW sees of the port that the server opens itself."""

AUTO = "auto"
"""Stands for all hardware among the names of ports."""

POLL_S = 0.001
"""How often the queues are emptied: 1/8 of a frame, at a cost of 2% of a core."""

LOOK_S = 0.2
"""How often it is looked which ports have come and gone."""

QUEUE = 65_536
"""Messages that a port holds while nobody looks: as many as the inbox takes."""

LEFT = b""
"""In place of a message: who sent the ones before has gone."""

LOG_EVERY_S = 10.0
"""A fault may come with every message: they are all counted, and logged so often."""

Hear = Callable[[Sequence[int], int], object]
"""Acts on the bytes of one message and its time in samples."""

Stamp = Callable[[float], int]
"""The sample to which a message belongs that lies so many seconds ahead of now, 0 or more."""

_log = logging.getLogger(__name__)


class Port(Protocol):
    """An open input. lost: how often it had no room for messages, so that some are missing; gone:
    whether it will never give any more."""

    @property
    def lost(self) -> int: ...

    @property
    def gone(self) -> bool: ...

    def read(self) -> tuple[Sequence[int], float] | None:
        """The oldest message, and how many seconds it lies ahead; None if none waits. `LEFT`
        among the messages stands for a sender that has left the port."""

    def close(self) -> None:
        """Give it back."""


class System(Protocol):
    """Where inputs come from. label: what its virtual port is called."""

    @property
    def label(self) -> str: ...

    def names(self) -> list[str]:
        """The inputs that there are now. OSError if that cannot be told."""

    def is_hardware(self, name: str) -> bool:
        """Whether "auto" takes this input."""

    def open(self, name: str) -> Port:
        """OSError if it cannot be opened."""

    def open_virtual(self) -> Port | None:
        """The port that others connect to, None where there is no such thing; OSError if it
        cannot be opened."""

    def close(self) -> None:
        """Nothing more is asked."""


@dataclass(slots=True)
class _Open:
    """A port in use. system, name: None for the system's virtual port, which stays."""

    port: Port
    system: System
    name: str | None
    hands: Hands = field(default_factory=Hands)
    lost: int = 0


class MidiInput:
    """All inputs, from `start` to `close`.

    systems: where they come from. wanted: names or parts of names, each of which stands for one
    port; "auto" among them stands for all hardware. Ports that are not there are awaited. hear:
    called for every message, in one thread; if it raises, the message is dropped and the thread
    goes on. missing: the summary where nothing is open. faults: so many times `hear` raised, or a
    port could not be read; lost: so many times a port had no room, so that messages may be missing:
    all its keys are then let go. Both counters only grow.
    """

    def __init__(
        self,
        systems: Sequence[System],
        wanted: Sequence[str],
        hear: Hear,
        stamp: Stamp,
        missing: str = "off",
    ) -> None:
        self.faults = 0
        self.lost = 0
        self._systems, self._missing = systems, missing
        self._wanted = [name for name in wanted if name != AUTO]
        self._auto = AUTO in wanted
        self._hear, self._stamp = hear, stamp
        self._open: list[_Open] = []
        self._refused: dict[str, str] = {}
        """Ports that could not be opened, and why: told once, until they have gone."""
        self._logged_at = -math.inf
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="midi", daemon=True)

    @property
    def names(self) -> list[str]:
        """The ports in use, without our own."""
        return [one.name for one in list(self._open) if one.name is not None]

    @property
    def waiting(self) -> list[str]:
        """What was asked for and is not there."""
        names = self.names
        return [w for w in self._wanted if not any(_fits(w, name) for name in names)]

    @property
    def summary(self) -> str:
        """One line for the user: what is open, and what is awaited."""
        virtual = [one.system.label for one in self._open if one.name is None]
        parts = [*self.names, *(f"waiting for {name!r}" for name in self.waiting)]
        parts += [f"virtual port {label}" for label in virtual]
        return ", ".join(parts) or self._missing

    def start(self) -> None:
        """Open what there is, and listen. ValueError for a name that fits several ports."""
        if not self._systems:
            return
        for wanted in self._wanted:
            self._refuse_several(wanted)
        for system in self._systems:
            try:
                port = system.open_virtual()
            except OSError as error:
                _log.warning("MIDI: no virtual port %s: %s", system.label, error)
                continue
            if port is not None:
                self._open.append(_Open(port, system, None))
        self._look(told=False)
        self._thread.start()

    def close(self) -> None:
        """Close every port; no message is heard afterwards. May be called again."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        for one in self._open:
            one.port.close()
        self._open.clear()
        for system in self._systems:
            system.close()

    def _refuse_several(self, wanted: str) -> None:
        for system in self._systems:
            names = _names(system)
            fits = [name for name in names if _fits(wanted, name)]
            if len(fits) > 1 and wanted not in names:
                raise ValueError(f"MIDI: {wanted!r} fits several inputs: {', '.join(fits)}")

    def _listen(self) -> None:
        looked = time.monotonic()
        while not self._closing.wait(POLL_S):
            for one in self._open:
                try:
                    self._empty(one)
                except Exception:
                    self._count_fault("a MIDI port could not be read")
            if time.monotonic() - looked > LOOK_S:
                try:
                    self._look(told=True)
                except Exception:
                    self._count_fault("MIDI ports cannot be looked for")
                looked = time.monotonic()

    def _look(self, told: bool) -> None:
        """Take what has come, let go of what has gone. told: whether to say so."""
        there = {id(system): _names(system) for system in self._systems}
        for one in list(self._open):
            if one.name is not None and (one.port.gone or one.name not in there[id(one.system)]):
                self._let_go(one)
                one.port.close()
                self._open.remove(one)
                _log.warning("MIDI: %s has gone; waiting for it", one.name)
        present = {name for names in there.values() for name in names}
        self._refused = {name: why for name, why in self._refused.items() if name in present}
        for system in self._systems:
            for name in self._missed(system, there[id(system)]):
                self._take(system, name, told)

    def _missed(self, system: System, names: list[str]) -> list[str]:
        """Names of inputs that are to be opened."""
        taken = set(self.names)
        free = [name for name in names if name not in taken]
        missed = [name for name in free if self._auto and system.is_hardware(name)]
        for wanted in self.waiting:
            fits = [name for name in free if _fits(wanted, name)]
            missed += [wanted] if wanted in fits else fits[:1]
        return list(dict.fromkeys(missed))

    def _take(self, system: System, name: str, told: bool) -> None:
        try:
            self._open.append(_Open(system.open(name), system, name))
        except OSError as error:
            if self._refused.get(name) != str(error):
                self._refused[name] = str(error)
                _log.warning("MIDI: %s cannot be opened: %s", name, error)
            return
        if told:
            _log.warning("MIDI: %s has come", name)

    def _empty(self, one: _Open) -> None:
        """Hear all that waits at a port; let its keys go if something is missing."""
        while (received := one.port.read()) is not None:
            message, ahead_s = received
            if message == LEFT:
                self._let_go(one)
                continue
            for whole in whole_messages(message):
                one.hands.note(whole)
                self._guarded(whole, ahead_s)
        lost, one.lost = one.lost, one.port.lost
        if one.lost > lost:
            self.lost += one.lost - lost
            self._let_go(one)

    def _let_go(self, one: _Open) -> None:
        for message in one.hands.let_go():
            self._guarded(message, 0.0)

    def _guarded(self, message: Sequence[int], ahead_s: float) -> None:
        """Hear one message. A mistake of ours in it must not end all MIDI input."""
        try:
            self._hear(message, self._stamp(ahead_s))
        except Exception:
            self._count_fault(f"a MIDI message was dropped: {bytes(message[:12]).hex(' ')}")

    def _count_fault(self, what: str) -> None:
        self.faults += 1
        now = time.monotonic()
        if now - self._logged_at > LOG_EVERY_S:
            self._logged_at = now
            _log.exception("%s (faults so far: %d)", what, self.faults)


def _names(system: System) -> list[str]:
    try:
        return system.names()
    except OSError:
        return []


def _fits(wanted: str, name: str) -> bool:
    return wanted == name or wanted.lower() in name.lower()
