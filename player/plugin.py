"""What an LV2 plug-in and the desk tell each other: knobs, latency, and the state of a session."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from common.plugin.link import PluginLink
from common.plugin.memory import KNOBS, PluginMemory
from common.steady import steadied
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.snapshots import parts_of, text_of

LOOK_S = 0.02
"""How often knobs are looked at, and the plug-in is shown that somebody is there."""
TEXT_LOOKS = 10
"""Every how many looks the session's text is brought up to date."""
PART = 1
"""Whose knobs the plug-in turns."""
AT_REST = 0.5
"""Where its knobs are until the host moves them."""

_log = logging.getLogger(__name__)


class PluginDesk:
    """Keeps a desk and the plug-in of a link in step, in a thread, from construction to `close`.

    latency_s: seconds from a MIDI message to its sound where the plug-in gives it out.
    """

    def __init__(self, link: PluginLink, desk: Desk, latency_s: Callable[[], float]) -> None:
        self._link, self._desk, self._latency_s = link, desk, latency_s
        self._memory: PluginMemory | None = None
        self._knobs = [AT_REST] * len(KNOBS)
        self._told: object = None
        self._latency = 0
        self._looks = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="plug-in", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell it nothing more."""
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_S):
            memory = self._link.memory
            try:
                if memory is not None:
                    self._look(memory)
            except ValueError as error:
                _log.warning("the plug-in's session: %s", error)
            except Exception:  # a mistake of ours must not end it
                _log.exception("the plug-in cannot be spoken to")

    def _look(self, memory: PluginMemory) -> None:
        wanted = memory.read_wanted()
        if memory is not self._memory:
            self._memory, self._told, self._latency = memory, None, 0
            self._knobs = [AT_REST] * len(KNOBS)
            # Under a server that has ended, the desk may have moved on since.
            wanted = wanted or memory.read_now()
        self._looks += 1
        memory.say("looks", self._looks)
        self._latency = steadied(self._latency, round(self._latency_s() * memory.rate), memory.rate)
        memory.say("latency", self._latency)
        if wanted:
            self._desk.recall(parts_of("the plug-in's session", wanted))
        self._turn(memory)
        if self._looks % TEXT_LOOKS == 0 or wanted:
            parts = self._desk.parts()
            if parts != self._told:
                self._told = parts
                memory.write_now(text_of(parts))

    def _turn(self, memory: PluginMemory) -> None:
        """Turn those knobs that the host has moved and the bank has."""
        now = memory.field("knobs")[: len(KNOBS)].tolist()
        for i, (name, value) in enumerate(zip(KNOBS, now, strict=True)):
            if value != self._knobs[i]:
                self._knobs[i] = value
                if name in self._desk.book.knobs and 0 <= value <= 1:
                    self._desk.knob(PART, name, value)
