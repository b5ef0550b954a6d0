"""The bytes of one track of a MIDI file: events with their ticks, and what is broken passed over.

Read are channel messages, whole system exclusive messages, tempo, port and the end. Other meta
events are not looked into: whatever stands in them, no ear hears it. (The Complete MIDI 1.0
Detailed Specification, Standard MIDI Files 1.0.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mido import Message

TEMPO, PORT, END = 0x51, 0x21, 0x2F
"""Types of meta events."""

MOST_BYTES = 4
"""Of a number of variable length."""

SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
"""Data bytes of system messages, which do not belong into files; of all others none."""


@dataclass(frozen=True, slots=True)
class Event:
    """A message at a tick, counted from the start. port: as the file numbers them, first 0."""

    tick: int
    port: int
    message: Message


@dataclass(slots=True)
class Track:
    """One track. tempi: (tick, microseconds for a beat). end: the tick where it ends.

    broken: events that were passed over, because they are none or have the wrong size.
    """

    events: list[Event] = field(default_factory=list)
    tempi: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0
    broken: int = 0


def read_track(data: bytes) -> Track:
    """Read the content of an MTrk chunk.

    Running status lasts over meta and system exclusive events. Data bytes over 127 are taken as
    127. ValueError for a data byte where no status has been: from there on nothing could be read.
    """
    track, at, status, port = Track(), 0, 0, 0
    sysex: bytes | None = None
    try:
        while at < len(data):
            delta, at = _variable(data, at)
            track.end += delta
            first = data[at]
            if first < 0x80 or first < 0xF0:
                if first >= 0x80:
                    status, at = first, at + 1
                if not status:
                    raise ValueError(f"data byte {first:#04x} before any status byte")
                size = 1 if 0xC0 <= status < 0xE0 else 2
                if at + size > len(data):
                    raise IndexError
                message = [status, *(min(x, 127) for x in data[at : at + size])]
                track.events.append(Event(track.end, port, Message.from_bytes(message)))
                at += size
            elif first == 0xFF:
                kind = data[at + 1]
                content, at = _sized(data, at + 2)
                if kind == END:
                    break
                if kind == TEMPO and len(content) == 3:
                    track.tempi.append((track.end, int.from_bytes(content, "big")))
                elif kind == PORT and len(content) == 1:
                    port = content[0]
                elif kind in (TEMPO, PORT):
                    track.broken += 1
            elif first in (0xF0, 0xF7):
                content, at = _sized(data, at + 1)
                # A long message may come in pieces, of which the last ends with F7.
                sysex = content if first == 0xF0 else None if sysex is None else sysex + content
                if sysex is not None and sysex.endswith(b"\xf7"):
                    if max(sysex[:-1], default=0) < 0x80:
                        message = Message("sysex", data=tuple(sysex[:-1]))
                        track.events.append(Event(track.end, port, message))
                    sysex = None
            else:
                at += 1 + SYSTEM_BYTES.get(first, 0)
                track.broken += 1
    except IndexError:  # an event, mostly the last one, has more bytes than there are or may be
        track.broken += 1
    return track


def _variable(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends. IndexError if that is not in sight."""
    value = 0
    for place in range(at, at + MOST_BYTES):
        value = value << 7 | data[place] & 127
        if data[place] < 0x80:
            return value, place + 1
    raise IndexError  # it has too many bytes


def _sized(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes with their number before them, and where they end. IndexError if there are fewer."""
    size, at = _variable(data, at)
    if at + size > len(data):
        raise IndexError
    return data[at : at + size], at + size
