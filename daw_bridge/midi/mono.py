"""A part that plays one key at a time, as mode message 126 asks: the last key struck sounds."""

from __future__ import annotations

from collections.abc import Iterator

from daw_bridge.events import NoteOff, NoteOn


class OneKey:
    """The keys of one part that are down, of which only the last one struck sounds."""

    def __init__(self) -> None:
        self._down: list[NoteOn] = []
        """In the order they were struck; the last one sounds."""

    def strike(self, note: NoteOn) -> Iterator[NoteOn | NoteOff]:
        """What is played when a key is struck: the one before ends."""
        if self._down:
            yield NoteOff(note.time, note.part, self._down[-1].key)
        self._down = [other for other in self._down if other.key != note.key]
        self._down.append(note)
        yield note

    def release(self, note: NoteOff) -> Iterator[NoteOn | NoteOff]:
        """What is played when a key is let go: the one before it sounds again, if still down."""
        sounding = self._down[-1].key if self._down else None
        self._down = [other for other in self._down if other.key != note.key]
        if note.key == sounding or sounding is None:
            yield note
            if self._down:
                before = self._down[-1]
                yield NoteOn(note.time, note.part, before.key, before.velocity)
