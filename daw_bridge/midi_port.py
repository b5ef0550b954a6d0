"""Live MIDI inputs: ports opened through mido and rtmidi, messages stamped as they arrive.

rtmidi calls in a thread of its own, with whole messages: running status and interleaved
clock bytes are sorted out there. On Linux it speaks ALSA or, where ALSA is not there, JACK.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mido

VIRTUAL = "melstream"
"""The name that a DAW sees when the server opens a port of its own."""

BACKENDS = ("mido.backends.rtmidi", "mido.backends.rtmidi/UNIX_JACK")
"""In the order tried: the system's own MIDI, then a JACK server."""

_NO_VIRTUAL = "Windows has no virtual MIDI ports: create one with loopMIDI and name it"


@dataclass(frozen=True, slots=True)
class MidiInput:
    """Open inputs, and one line for the user that says which, or why none."""

    ports: tuple[mido.ports.BaseInput, ...]
    summary: str

    def close(self) -> None:
        """Close every port; no message is heard afterwards."""
        for port in self.ports:
            port.close()


def open_input(
    name: str,
    hear: Callable[[mido.Message, int], object],
    now: Callable[[], int],
    backends: Sequence[str] = BACKENDS,
) -> MidiInput:
    """Open inputs that call hear(message, time), in rtmidi's thread; time is now() on arrival.

    name: "none"; "auto": every hardware input, or else a virtual port named melstream, or
    else nothing, said in the summary; anything else: the port of that name, or the only
    one whose name contains it. backends: mido's, in the order tried. ValueError lists the
    ports if there is no such one; OSError if there is no MIDI on this machine or the port
    cannot be opened.
    """
    if name == "none":
        return MidiInput((), "MIDI: off")

    def stamped(message: mido.Message) -> None:
        hear(message, now())

    try:
        backend, found = _working_backend(backends)
    except OSError as error:
        if name == "auto":
            return MidiInput((), str(error))
        raise
    if name != "auto":
        return _opened(backend, [_named(name, found)], stamped)
    hardware = [port for port in found if _is_hardware(port, backend)]
    if hardware:
        return _opened(backend, hardware, stamped)
    if sys.platform == "win32":
        return MidiInput((), f"MIDI: no inputs. {_NO_VIRTUAL} with --midi")
    port = backend.open_input(VIRTUAL, virtual=True, client_name=VIRTUAL, callback=stamped)
    return MidiInput((port,), f"MIDI: virtual port {VIRTUAL!r} ({backend.api or 'system'})")


def _working_backend(backends: Sequence[str]) -> tuple[mido.Backend, list[str]]:
    """The first backend that answers, and its inputs; OSError says why none does."""
    try:
        rtmidi = importlib.import_module("rtmidi")
    except ImportError as error:
        raise OSError(f"MIDI: python-rtmidi cannot be loaded ({error})") from error
    reasons = []
    for full_name in backends:
        api = full_name.partition("/")[2]
        if api and getattr(rtmidi, f"API_{api}") not in rtmidi.get_compiled_api():
            continue
        backend = mido.Backend(full_name)
        try:
            return backend, backend.get_input_names()
        except OSError as error:  # rtmidi's SystemError is one
            reasons.append(str(error).rstrip("."))
    raise OSError(f"MIDI: none on this machine ({'; '.join(reasons)})")


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


def _is_hardware(port: str, backend: mido.Backend) -> bool:
    """Whether 'auto' should connect to it.

    JACK calls what the sound system provides system:..., and leaves wiring software to the
    user; elsewhere only loops back to ourselves and the kernel's own can be told apart.
    """
    if backend.api:
        return port.startswith("system:")
    return not port.startswith(("Midi Through", VIRTUAL, "RtMidi"))


def _opened(
    backend: mido.Backend, names: list[str], stamped: Callable[[mido.Message], None]
) -> MidiInput:
    """Open all names; on a failure none stays open."""
    ports = []
    try:
        for name in names:
            ports.append(backend.open_input(name, callback=stamped))
    except OSError as error:
        for port in ports:
            port.close()
        raise OSError(f"MIDI: {name!r} cannot be opened: {error}") from error
    return MidiInput(tuple(ports), f"MIDI: {', '.join(names)}")
