"""The last messages that came in, for every player's first question: does my DAW reach it?"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from common.checks import brief
from daw_bridge.midi.port import Hear
from daw_bridge.osc.packet import Message

KEPT = 100
SHOWN = 10
"""Arguments of a message that are shown."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message. number: counted from 1; at: seconds since 1970; source: "osc", "midi" or "page";
    sender: who sent it, "" where that is not known; what: its address, or the bytes of a MIDI
    message; problem: "", or why it was refused."""

    number: int
    at: float
    source: str
    sender: str
    what: str | bytes
    arguments: tuple[object, ...]
    problem: str

    def text(self) -> str:
        """In one line, as a user would write it."""
        if isinstance(self.what, bytes):
            return _midi_in_words(self.what)
        shown = [a if isinstance(a, str) else _short(a) for a in self.arguments[:SHOWN]]
        more = ["..."] if len(self.arguments) > SHOWN else []
        return brief_text(" ".join([self.what, *shown, *more]))


class MessageLog:
    """Keeps the last messages. Any thread notes and reads. count: messages so far."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: deque[Heard] = deque(maxlen=KEPT)
        self._noting = threading.Lock()

    def note(
        self,
        source: str,
        sender: str,
        what: str | bytes,
        arguments: tuple[object, ...] = (),
        problem: str = "",
    ) -> None:
        """Add a message. Quick: its words are made when somebody reads it."""
        at = time.time()
        with self._noting:
            self.count += 1
            self._kept.append(Heard(self.count, at, source, sender, what, arguments, problem))

    def note_osc(self, message: Message, sender: str, problem: str) -> None:
        """Add a message of the OSC server's."""
        self.note("osc", sender, message.address, message.args, problem)

    def around_midi(self, hear: Hear) -> Hear:
        """Does what hear does, and adds the message."""

        def heard(data: Sequence[int], time: int) -> None:
            hear(data, time)
            self.note("midi", "", bytes(data))

        return heard

    def after(self, number: int) -> list[Heard]:
        """The messages after this number, oldest first, as far as they are kept."""
        with self._noting:
            return [heard for heard in self._kept if heard.number > number]


def brief_text(text: str) -> str:
    """Text that fits a line."""
    return text if len(text) <= 200 else text[:197] + "..."


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else brief(value)


def _midi_in_words(data: bytes) -> str:
    """A MIDI message in words, then its bytes.

    >>> _midi_in_words(bytes([0x90, 60, 100]))
    'channel 1 note on 60 velocity 100'
    >>> _midi_in_words(b"")
    'no bytes'
    """
    if not data:
        return "no bytes"
    kind, channel = data[0] & 0xF0, (data[0] & 0x0F) + 1
    match kind, *data[1:]:
        case 0x90, key, velocity if velocity:
            return f"channel {channel} note on {key} velocity {velocity}"
        case ((0x80 | 0x90), key, _):
            return f"channel {channel} note off {key}"
        case 0xB0, controller, value:
            return f"channel {channel} controller {controller} value {value}"
        case 0xC0, program:
            return f"channel {channel} program {program}"
        case 0xE0, low, high:
            return f"channel {channel} pitch wheel {low + 128 * high - 8192}"
        case _:
            return f"bytes {data[:12].hex(' ')}"
