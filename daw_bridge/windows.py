"""Events into windows: what every part plays during the next frames, as arrays.

This is the last step of the bridge. A part gets windows from its first note on; a part that never
played costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from common.window import Window
from daw_bridge.events import SETTINGS, AllSoundOff, Bend, Event, Level, NoteOn, Timbre
from daw_bridge.piano_roll import PianoRoll


class Windows:
    """All parts' rolls, timbres, levels and bends, moved on block by block.

    hop: samples for each frame; embedding: the point of every part until a `Timbre` moves it.
    """

    def __init__(self, hop: int, embedding: tuple[float, ...]) -> None:
        self._hop = hop
        self._start = np.array(embedding, np.float32)
        self._parts: dict[int, _Part] = {}

    def frames(self, events: Iterable[Event], start: int, count: int) -> list[Window]:
        """Windows of frames start .. start + count, in the order of parts.

        events: in time order, all before the end of these frames; those from before `start` act
        on the first frame.
        """
        by_part: dict[int, list[Event]] = {}
        for event in events:
            by_part.setdefault(event.part, []).append(event)
        for part in by_part.keys() - self._parts.keys():
            self._parts[part] = _Part(self._hop, self._start)
        return [
            self._parts[part].frames(part, by_part.get(part, []), start, count)
            for part in sorted(self._parts)
            if self._parts[part].begins(by_part.get(part, []))
        ]


class _Part:
    def __init__(self, hop: int, embedding: np.ndarray) -> None:
        self._hop = hop
        self._roll = PianoRoll(hop)
        self._embedding = embedding
        self._gain = stereo_gain(0.0, 0.0)
        self._bend = 0.0
        self._serials: dict[type, int] = {}
        """Serial numbers of the latest setting of each kind."""
        self._has_played = False
        self._still: Window | None = None
        """The last window, if no key sounded in it and nothing has happened since."""

    def begins(self, events: list[Event]) -> bool:
        """Whether the part has played a note yet; if not, take in its settings and pedals only."""
        self._has_played |= any(isinstance(e, NoteOn) for e in events)
        if not self._has_played:
            for event in events:
                self._set(event)
            self._roll.frames([e for e in events if not isinstance(e, SETTINGS)], 0, 0)
        return self._has_played

    def frames(self, part: int, events: list[Event], start: int, count: int) -> Window:
        if not events and self._still is not None and len(self._still.cut) == count:
            return self._still
        embedding = np.empty((count, len(self._embedding)), np.float32)
        gain = np.empty((count, 2), np.float32)
        bend = np.empty(count, np.float32)
        cut = np.zeros(count, bool)
        done = 0
        for event in events:
            frame = max(event.time // self._hop - start, done)
            embedding[done:frame], gain[done:frame] = self._embedding, self._gain
            bend[done:frame] = self._bend
            done = frame
            self._set(event)
            cut[frame] |= isinstance(event, AllSoundOff)
        embedding[done:], gain[done:], bend[done:] = self._embedding, self._gain, self._bend
        roll = self._roll.frames(events, start, count)
        window = Window(part, roll, embedding, gain, bend, cut)
        self._still = None if events or roll.any() or not self._roll.silent else window
        return window

    def _set(self, event: Event) -> None:
        if isinstance(event, SETTINGS):
            if event.serial < self._serials.get(type(event), 0):
                return
            self._serials[type(event)] = event.serial
        match event:
            case Timbre(embedding=embedding):
                self._embedding = np.array(embedding, np.float32)
            case Level(gain_db=gain_db, pan=pan):
                self._gain = stereo_gain(gain_db, pan)
            case Bend(semitones=semitones):
                self._bend = semitones


def stereo_gain(gain_db: float, pan: float) -> np.ndarray:
    """Left and right factors of constant power, float32; pan: -1 left, 0 both at -3 dB, 1 right.

    >>> stereo_gain(0.0, -1.0).round(3).tolist()
    [1.0, 0.0]
    """
    angle = (pan + 1) * math.pi / 4
    gain = 10 ** (gain_db / 20)
    return np.array([gain * math.cos(angle), gain * math.sin(angle)], np.float32)
