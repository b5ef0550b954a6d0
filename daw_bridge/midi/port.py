"""Live MIDI inputs: ports opened through rtmidi, messages with the time of their arrival.

rtmidi receives in threads of its own and delivers whole messages, without running status or clock
bytes in between. On Linux it uses ALSA or, where there is no ALSA, JACK. A thread of ours empties
its queues. rtmidi's callbacks would be half a millisecond earlier, but a port cannot be closed
safely while one runs: python-rtmidi 1.5 frees the callback that is running, then waits for it
while it holds the interpreter's lock.
"""

from __future__ import annotations

import importlib
import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Protocol

from daw_bridge.midi.stream import Hands, whole_messages

VIRTUAL = "melstream"
"""The name that a DAW sees when the server opens a port of its own."""

APIS = ("UNSPECIFIED", "UNIX_JACK")
"""rtmidi's, in the order tried: the system's own MIDI, then a JACK server."""

POLL_S = 0.001
"""How often the queues are emptied: 1/8 of a frame, at a cost of 2% of a core."""

QUEUE = 65_536
"""Messages that a port holds while nobody looks: as many as the inbox takes."""

LOG_EVERY_S = 10.0
"""A fault may come with every message: they are all counted, and logged so often."""

Hear = Callable[[Sequence[int], int], object]
"""Acts on the bytes of one message and its time in samples."""

_NO_VIRTUAL = "Windows has no virtual MIDI ports: create one with loopMIDI and name it"

_log = logging.getLogger(__name__)


class Port(Protocol):
    """An open input of rtmidi."""

    def get_message(self) -> tuple[Sequence[int], float] | None:
        """The oldest message and the seconds since the one before it; None if none waits."""
        ...

    def close_port(self) -> None:
        """Receive no more."""
        ...

    def delete(self) -> None:
        """Free it."""
        ...


class MidiInput:
    """Open inputs, and one line for the user that says which, or why there are none.

    hear: called for every message, in one thread; if it raises, the message is dropped and the
    thread goes on. faults: so many times that happened, or that a port could not be read; lost: so
    many times a port's queue had been full, so that messages may be missing: all its keys are then
    let go. Both counters only grow.
    """

    def __init__(
        self,
        ports: Sequence[Port],
        summary: str,
        hear: Hear,
        now: Callable[[], int],
    ) -> None:
        self.ports: tuple[Port, ...] = tuple(ports)
        self.summary = summary
        self.faults = 0
        self.lost = 0
        self._hear, self._now = hear, now
        self._hands = [Hands() for _ in self.ports]
        self._logged_at = -math.inf
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="midi", daemon=True)
        if self.ports:
            self._thread.start()

    def close(self) -> None:
        """Close every port; no message is heard afterwards. May be called again."""
        self._closing.set()
        if self.ports:
            self._thread.join()
        _close(self.ports)
        self.ports = ()

    def _listen(self) -> None:
        while not self._closing.wait(POLL_S):
            for port, hands in zip(self.ports, self._hands, strict=True):
                try:
                    self._empty(port, hands)
                except Exception:
                    self._count_fault("a MIDI port could not be read")

    def _empty(self, port: Port, hands: Hands) -> None:
        """Hear all that waits at a port."""
        count = 0
        while received := port.get_message():
            count += 1
            for message in whole_messages(received[0]):
                hands.note(message)
                self._guarded(message)
            if count >= QUEUE - 1:
                # It was full; rtmidi does not tell what it has dropped since.
                self.lost += 1
                count = 0
                for message in hands.let_go():
                    self._guarded(message)

    def _guarded(self, message: Sequence[int]) -> None:
        """Hear one message. A mistake of ours in it must not end all MIDI input."""
        try:
            self._hear(message, self._now())
        except Exception:
            self._count_fault(f"a MIDI message was dropped: {bytes(message[:12]).hex(' ')}")

    def _count_fault(self, what: str) -> None:
        self.faults += 1
        now = time.monotonic()
        if now - self._logged_at > LOG_EVERY_S:
            self._logged_at = now
            _log.exception("%s (faults so far: %d)", what, self.faults)


def open_input(
    name: str,
    hear: Hear,
    now: Callable[[], int],
    apis: Sequence[str] = APIS,
) -> MidiInput:
    """Open inputs that call hear(data, time) in one thread; time is now() on arrival.

    name: "none"; "auto": every hardware input, or else a virtual port named melstream, or else
    none, and the summary says why; anything else: the port of that name, or the only one whose
    name contains it. apis: names of rtmidi's APIs, in the order tried. ValueError lists the ports
    if there is no such port; OSError if this machine has no MIDI or the port cannot be opened.
    """
    if name == "none":
        return MidiInput((), "MIDI: off", hear, now)
    try:
        rtmidi, api, found = _working_api(apis)
    except OSError as error:
        if name == "auto":
            return MidiInput((), str(error), hear, now)
        raise OSError(f"--midi {name}: {error}") from error
    if name == "auto":
        wanted = [port for port in found if _is_hardware(port, api)]
    else:
        wanted = [_named(name, found)]
    if wanted:
        ports = _opened(rtmidi, api, wanted)
        return MidiInput(ports, f"MIDI: {', '.join(wanted)}", hear, now)
    if sys.platform == "win32":
        return MidiInput((), f"MIDI: no inputs. {_NO_VIRTUAL} with --midi", hear, now)
    port = _new_input(rtmidi, api)
    try:
        port.open_virtual_port(VIRTUAL)
    except (OSError, RuntimeError) as error:
        port.delete()
        return MidiInput((), f"MIDI: no inputs, and no virtual port: {error}", hear, now)
    kind = "system" if api == "UNSPECIFIED" else api
    return MidiInput((port,), f"MIDI: virtual port {VIRTUAL!r} ({kind})", hear, now)


def input_names(apis: Sequence[str] = APIS) -> list[str]:
    """The inputs that there are to choose from. OSError where this machine has no MIDI."""
    return _working_api(apis)[2]


def _working_api(apis: Sequence[str]) -> tuple[ModuleType, str, list[str]]:
    """rtmidi, the first API that works, and its inputs; OSError says why none works."""
    try:
        rtmidi = importlib.import_module("rtmidi")
    except ImportError as error:
        raise OSError(f"MIDI: python-rtmidi cannot be loaded ({error})") from error
    reasons = []
    for api in apis:
        if api != "UNSPECIFIED" and _number(rtmidi, api) not in rtmidi.get_compiled_api():
            continue
        try:
            probe = _new_input(rtmidi, api)
        except OSError as error:  # rtmidi's SystemError is one
            reasons.append(str(error).rstrip("."))
            continue
        try:
            return rtmidi, api, probe.get_ports()
        except OSError as error:
            reasons.append(str(error).rstrip("."))
        finally:
            probe.delete()
    raise OSError(f"MIDI: none on this machine ({'; '.join(reasons)})")


def _number(rtmidi: ModuleType, api: str) -> int:
    return getattr(rtmidi, f"API_{api}")


def _new_input(rtmidi: ModuleType, api: str) -> Any:
    """An rtmidi input. It queues notes, controllers and sysex, and drops clock and sensing."""
    port = rtmidi.MidiIn(rtapi=_number(rtmidi, api), name=VIRTUAL, queue_size_limit=QUEUE)
    port.ignore_types(sysex=False, timing=True, active_sense=True)
    return port


def _named(name: str, found: list[str]) -> str:
    """The port that a name means: itself, or the only one that contains it."""
    if name in found:
        return name
    matches = [port for port in found if name.lower() in port.lower()]
    if len(matches) == 1:
        return matches[0]
    listed = ", ".join(map(repr, matches or found)) or "none"
    problem = "fits several inputs" if matches else "is not an input; there are"
    hint = f". {_NO_VIRTUAL}" if sys.platform == "win32" and not matches else ""
    raise ValueError(f"MIDI: {name!r} {problem}: {listed}{hint}")


def _is_hardware(port: str, api: str) -> bool:
    """Whether 'auto' should connect to this port.

    JACK names hardware ports system:..., and users connect software themselves. Elsewhere only our
    own ports and the kernel's loopback can be recognised.
    """
    if api == "UNIX_JACK":
        return port.startswith("system:")
    return not port.startswith(("Midi Through", VIRTUAL, "RtMidi"))


def _opened(rtmidi: ModuleType, api: str, names: list[str]) -> list[Port]:
    """The ports of these names, open. If one cannot be opened, none stays open."""
    ports: list[Port] = []
    for name in names:
        port = _new_input(rtmidi, api)
        ports.append(port)
        try:
            port.open_port(port.get_ports().index(name), name=VIRTUAL)
        except (OSError, RuntimeError, ValueError) as error:  # ValueError: it was unplugged
            _close(ports)
            raise OSError(f"MIDI: {name!r} cannot be opened: {error}") from error
    return ports


def _close(ports: Sequence[Port]) -> None:
    for port in ports:
        port.close_port()
        port.delete()
