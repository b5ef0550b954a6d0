"""The machine's own MIDI (ALSA, Core MIDI, Windows), through rtmidi.

rtmidi receives in threads of its own and delivers whole messages, without running status or clock
bytes in between. Its callbacks would be half a millisecond earlier than reading its queues, but a
port cannot be closed safely while one runs: python-rtmidi 1.5 frees the callback that is running,
then waits for it while it holds the interpreter's lock.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from daw_bridge.midi.port import QUEUE, VIRTUAL

NO_VIRTUAL = "Windows has no virtual MIDI ports: create one with loopMIDI and name it with --midi"


class SystemMidi:
    """Inputs by one of rtmidi's APIs. OSError says why this machine has none.

    api: UNSPECIFIED for the system's own.
    """

    def __init__(self, api: str = "UNSPECIFIED") -> None:
        try:
            self._rtmidi: ModuleType = importlib.import_module("rtmidi")
        except ImportError as error:
            raise OSError(f"python-rtmidi cannot be loaded ({error})") from error
        self._api = getattr(self._rtmidi, f"API_{api}")
        try:
            self._probe = self._new_input()
        except OSError as error:  # rtmidi's SystemError is one
            raise OSError(f"none on this machine ({str(error).rstrip('.')})") from None
        self.label = repr(VIRTUAL)
        self._numbers: dict[str, str] = {}
        """The name of each input without the numbers that ALSA gave it -> its name now."""

    def names(self) -> list[str]:
        """Inputs, without the numbers that ALSA puts behind names: they change with each plug."""
        self._numbers = {}
        for name in self._probe.get_ports():
            plain = re.sub(r" \d+:\d+$", "", name)
            # Two of the same make keep theirs.
            self._numbers[name if plain in self._numbers else plain] = name
        return list(self._numbers)

    def is_hardware(self, name: str) -> bool:
        """Only our own ports and the kernel's loopback can be recognised as none."""
        return not name.startswith(("Midi Through", VIRTUAL, "RtMidi"))

    def open(self, name: str) -> SystemPort:
        port = self._new_input()
        try:
            port.open_port(port.get_ports().index(self._numbers.get(name, name)), name=VIRTUAL)
        except (OSError, RuntimeError, ValueError) as error:  # ValueError: it was unplugged
            port.delete()
            raise OSError(str(error)) from None
        return SystemPort(port)

    def open_virtual(self) -> SystemPort | None:
        if sys.platform == "win32":
            return None
        port = self._new_input()
        try:
            port.open_virtual_port(VIRTUAL)
        except (OSError, RuntimeError) as error:
            port.delete()
            raise OSError(str(error)) from None
        return SystemPort(port)

    def close(self) -> None:
        self._probe.delete()

    def _new_input(self) -> Any:
        """An rtmidi input. It queues notes, controllers and sysex, and drops clock and sensing."""
        port = self._rtmidi.MidiIn(rtapi=self._api, name=VIRTUAL, queue_size_limit=QUEUE)
        port.ignore_types(sysex=False, timing=True, active_sense=True)
        return port


class SystemPort:
    """An open input of rtmidi."""

    gone = False

    def __init__(self, port: Any) -> None:
        self._port = port
        self._in_a_row = 0
        self.lost = 0

    def read(self) -> tuple[Sequence[int], float] | None:
        received = self._port.get_message()
        if received is None:
            self._in_a_row = 0
            return None
        self._in_a_row += 1
        if self._in_a_row == QUEUE - 1:
            # It was full; rtmidi does not tell what it has dropped since.
            self.lost += 1
            self._in_a_row = 0
        return received[0], 0.0

    def close(self) -> None:
        self._port.close_port()
        self._port.delete()
