"""What comes from a MIDI port: told apart into messages, and what it holds down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daw_bridge.events import SOFT, SOSTENUTO, SUSTAIN

SYSEX, SYSEX_END, REAL_TIME = 0xF0, 0xF7, 0xF8

_LENGTHS = {0xC0: 2, 0xD0: 2}
"""Bytes of channel messages by status, where they are not 3."""

_SYSTEM_LENGTHS = {0xF1: 2, 0xF2: 3, 0xF3: 2}


def whole_messages(data: Sequence[int]) -> Iterator[Sequence[int]]:
    """The messages in what a port delivers at once.

    That is one message, as it is. But what begins as a sysex may hold others: if its end was never
    sent, rtmidi takes all that follows as a part of it. MIDI 1.0: any status byte but those of
    real time ends a sysex. One without its end is left out.

    >>> [bytes(m).hex(" ") for m in whole_messages([0xF0, 1, 2, 0x80, 60, 0, 0xC1, 5, 0xF7])]
    ['80 3c 00', 'c1 05']
    """
    if not data or data[0] != SYSEX:
        yield data
        return
    message: list[int] = []
    """The one being collected."""
    for byte in data:
        if byte >= REAL_TIME:
            continue
        within = message[:1] == [SYSEX]
        if byte == SYSEX_END and within:
            yield [*message, SYSEX_END]
            message = []
        elif byte >= 0x80:
            if message and not within:  # it was cut short, and whoever hears it counts that
                yield message
            message = [] if byte == SYSEX_END else [byte]
        elif message:
            message.append(byte)
        if message and message[0] != SYSEX and len(message) == _length(message[0]):
            yield message
            message = []
    if message and message[0] != SYSEX:
        yield message


class Hands:
    """The keys and pedals that a port holds down."""

    def __init__(self) -> None:
        self._keys: set[tuple[int, int]] = set()
        self._pedals: set[tuple[int, int]] = set()

    def note(self, message: Sequence[int]) -> None:
        """Take in a message; those that are cut short hold nothing."""
        if len(message) != 3:
            return
        status, number, value = message
        kind, channel = status & 0xF0, status & 0x0F
        if kind == 0x90 and value:
            self._keys.add((channel, number))
        elif kind in (0x80, 0x90):
            self._keys.discard((channel, number))
        elif kind == 0xB0 and number in (SUSTAIN, SOSTENUTO, SOFT):
            if value >= 64:
                self._pedals.add((channel, number))
            else:
                self._pedals.discard((channel, number))

    def let_go(self) -> list[list[int]]:
        """The messages that lift all of it; it then holds nothing."""
        keys = [[0x80 | channel, key, 0] for channel, key in sorted(self._keys)]
        pedals = [[0xB0 | channel, number, 0] for channel, number in sorted(self._pedals)]
        self._keys.clear()
        self._pedals.clear()
        return keys + pedals


def _length(status: int) -> int:
    """Bytes of a message that begins with this status byte."""
    return _LENGTHS.get(status & 0xF0, 3) if status < SYSEX else _SYSTEM_LENGTHS.get(status, 1)
