"""MIDI of an LV2 plug-in, with the place of each message in the host's cycle."""

from __future__ import annotations

import time

from common.plugin.link import PluginLink
from common.plugin.memory import PluginMemory
from daw_bridge.midi.port import LEFT


class PluginMidi:
    """The one input that a plug-in is, as a `System` that has no others."""

    label = "of the plug-in"

    def __init__(self, link: PluginLink) -> None:
        self._link = link

    def names(self) -> list[str]:
        return []

    def is_hardware(self, name: str) -> bool:
        return False

    def open(self, name: str) -> PluginPort:
        raise OSError("a plug-in has no such input")

    def open_virtual(self) -> PluginPort:
        return PluginPort(self._link)

    def close(self) -> None:
        """The link belongs to whoever opened it."""


class PluginPort:
    """What comes from the plug-in that there is; `LEFT` when one has gone."""

    gone = False

    def __init__(self, link: PluginLink) -> None:
        self._link = link
        self._memory: PluginMemory | None = None
        self._lost = 0
        """Messages without room, of the plug-ins before."""

    @property
    def lost(self) -> int:
        return self._lost + (self._memory.lost if self._memory else 0)

    def read(self) -> tuple[bytes, float] | None:
        memory, before = self._link.memory, self._memory
        if memory is not before:
            self._lost = self.lost - (memory.lost if memory else 0)
            self._memory = memory
            if before is not None:
                return LEFT, 0.0
        received = memory.read_midi() if memory else None
        if received is None:
            return None
        message, due = received
        return message, max(due - time.perf_counter(), 0.0)

    def close(self) -> None:
        """The link belongs to whoever opened it."""
