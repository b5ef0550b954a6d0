"""Live MIDI inputs: ports opened through rtmidi, messages stamped as they arrive.

rtmidi receives in threads of its own, with whole messages: running status and interleaved
clock bytes are sorted out there. On Linux it speaks ALSA or, where ALSA is not there, JACK.
Its queues are emptied by a thread of ours. Its callbacks would be sooner by half a
millisecond, but a port cannot be closed safely while one runs: python-rtmidi 1.5 frees the
callback under it, then waits for it with the interpreter's lock held.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from mido import Message

VIRTUAL = "melstream"
"""The name that a DAW sees when the server opens a port of its own."""

APIS = ("UNSPECIFIED", "UNIX_JACK")
"""rtmidi's, in the order tried: the system's own MIDI, then a JACK server."""

POLL_S = 0.001
"""Between two looks at the queues: 1/8 of a frame, in 2% of a core."""

_NO_VIRTUAL = "Windows has no virtual MIDI ports: create one with loopMIDI and name it"


class MidiInput:
    """Open inputs, and one line for the user that says which, or why none."""

    def __init__(
        self,
        ports: Sequence[Any],
        summary: str,
        hear: Callable[[Message, int], object],
        now: Callable[[], int],
    ) -> None:
        self.ports = tuple(ports)
        self.summary = summary
        self._hear, self._now = hear, now
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
            for port in self.ports:
                while received := port.get_message():
                    data, _ = received
                    try:
                        message = Message.from_bytes(data)
                    except ValueError:  # not MIDI: a driver's own
                        continue
                    self._hear(message, self._now())


def open_input(
    name: str,
    hear: Callable[[Message, int], object],
    now: Callable[[], int],
    apis: Sequence[str] = APIS,
) -> MidiInput:
    """Open inputs that call hear(message, time), in one thread; time is now() on arrival.

    name: "none"; "auto": every hardware input, or else a virtual port named melstream, or
    else nothing, said in the summary; anything else: the port of that name, or the only
    one whose name contains it. apis: rtmidi's, in the order tried. ValueError lists the
    ports if there is no such one; OSError if there is no MIDI on this machine or the port
    cannot be opened.
    """
    if name == "none":
        return MidiInput((), "MIDI: off", hear, now)
    try:
        rtmidi, api, found = _working_api(apis)
    except OSError as error:
        if name == "auto":
            return MidiInput((), str(error), hear, now)
        raise
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


def _working_api(apis: Sequence[str]) -> tuple[ModuleType, str, list[str]]:
    """rtmidi, the first API that answers, and its inputs; OSError says why none does."""
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
    """An rtmidi input that queues notes and controllers; sysex, clock and sensing are dropped."""
    return rtmidi.MidiIn(rtapi=_number(rtmidi, api), name=VIRTUAL)


def _named(name: str, found: list[str]) -> str:
    """The port meant by name."""
    if name in found:
        return name
    matches = [port for port in found if name.lower() in port.lower()]
    if len(matches) == 1:
        return matches[0]
    listed = ", ".join(map(repr, matches or found)) or "none"
    problem = "fits several inputs" if matches else "is no input; there are"
    hint = f". {_NO_VIRTUAL}" if sys.platform == "win32" and not matches else ""
    raise ValueError(f"MIDI: {name!r} {problem}: {listed}{hint}")


def _is_hardware(port: str, api: str) -> bool:
    """Whether 'auto' should connect to it.

    JACK calls what the sound system provides system:..., and leaves wiring software to the
    user; elsewhere only loops back to ourselves and the kernel's own can be told apart.
    """
    if api == "UNIX_JACK":
        return port.startswith("system:")
    return not port.startswith(("Midi Through", VIRTUAL, "RtMidi"))


def _opened(rtmidi: ModuleType, api: str, names: list[str]) -> list[Any]:
    """All names, open; on a failure none stays open."""
    ports = []
    for name in names:
        port = _new_input(rtmidi, api)
        ports.append(port)
        try:
            port.open_port(port.get_ports().index(name), name=VIRTUAL)
        except (OSError, RuntimeError, ValueError) as error:  # ValueError: unplugged since
            _close(ports)
            raise OSError(f"MIDI: {name!r} cannot be opened: {error}") from error
    return ports


def _close(ports: Sequence[Any]) -> None:
    for port in ports:
        port.close_port()
        port.delete()
