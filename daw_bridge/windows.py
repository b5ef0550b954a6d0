"""Events into windows: what every part plays during the next frames, as arrays.

This is the last step of the bridge. A part gets windows from its first note on; a part that never
played costs nothing. It has two voices: when a patch is chosen, notes that sound keep theirs, and
the next notes are played by the other voice. So are they when a channel of MPE is bent for its next
note: those that ring out keep their bend.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from common.patch import GAIN_DB
from common.window import VOICES, Window
from daw_bridge.desk.settings import BEND
from daw_bridge.events import (
    SETTINGS,
    AllNotesOff,
    AllSoundOff,
    Bend,
    Event,
    Level,
    NoteOff,
    NoteOn,
    Timbre,
)
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
        """Windows of frames start .. start + count, in the order of parts and voices.

        events: in time order, all before the end of these frames; those from before `start` act
        on the first frame.
        """
        by_part: dict[int, list[Event]] = {}
        for event in events:
            by_part.setdefault(event.part, []).append(event)
        for part in by_part.keys() - self._parts.keys():
            self._parts[part] = _Part(part, self._hop, self._start)
        return [
            window
            for part in sorted(self._parts)
            for window in self._parts[part].frames(by_part.get(part, []), start, count)
        ]


class _Part:
    """Hands the events of a part on to its voices."""

    def __init__(self, part: int, hop: int, embedding: np.ndarray) -> None:
        self._voices = [_Voice(part, voice, hop, embedding) for voice in range(VOICES)]
        self._now = 0
        """The voice that plays the next note."""
        self._struck = False
        """Whether it has played a note since its patch was chosen."""
        self._chosen: dict[type, int] = {}
        """Numbers of the patches that the latest timbre and level belong to."""
        self._level = Level(0, part, 0.0, 0.0)
        self._timbre = Timbre(0, part, tuple(embedding.tolist()))
        self._bends = [0.0] * VOICES
        """Of each voice, in semitones."""
        self._down: set[int] = set()
        """Keys that are down."""
        self._own = [(0.0, 0.0)] * VOICES
        """Gain in dB and pan by which each voice's patch differs from the one chosen now."""
        self._serials: dict[type, int] = {}
        """Serial numbers of the latest setting of each kind."""

    def frames(self, events: list[Event], start: int, count: int) -> list[Window]:
        """The windows of those voices that have played a note yet."""
        scores: list[list[Event]] = [[] for _ in self._voices]
        for event in events:
            if not self._is_outdated(event):
                self._hand_on(event, scores)
        return [
            voice.frames(score, start, count)
            for voice, score in zip(self._voices, scores, strict=True)
            if voice.begins(score)
        ]

    def _hand_on(self, event: Event, scores: list[list[Event]]) -> None:
        """Add an event to the scores of the voices that it is for."""
        match event:
            case NoteOn(time=time, part=part, key=key):
                self._struck = True
                self._down.add(key)
                for voice, score in enumerate(scores):
                    # A key that is struck again is no longer held under the other patch.
                    score.append(event if voice == self._now else NoteOff(time, part, key))
            case Timbre():
                if (self._is_of_new_patch(event) or self._rings_out(event)) and self._struck:
                    self._change_voice(event.time, scores)
                self._timbre = event
                scores[self._now].append(event)
            case Level():
                if self._is_of_new_patch(event):
                    self._keep_levels(event)
                self._level = event
                for score, own in zip(scores, self._own, strict=True):
                    score.append(_shifted(event, *own))
            case Bend():
                self._bend(event, scores)
            case _:
                if isinstance(event, NoteOff):
                    self._down.discard(event.key)
                elif isinstance(event, AllNotesOff | AllSoundOff):
                    self._down.clear()
                for score in scores:
                    score.append(event)

    def _bend(self, event: Bend, scores: list[list[Event]]) -> None:
        """Bend the voice that plays now, and the other one by as much if that is to follow."""
        if self._rings_out(event) and self._struck:
            self._change_voice(event.time, scores)
        by = event.semitones - self._bends[self._now]
        for voice, score in enumerate(scores):
            if voice == self._now or not event.held:
                self._bends[voice] = bent = min(max(self._bends[voice] + by, -BEND), BEND)
                score.append(replace(event, semitones=bent))

    def _rings_out(self, event: Timbre | Bend) -> bool:
        """Whether what has been played so far is not to hear of a setting."""
        return event.held and not self._down

    def _is_outdated(self, event: Event) -> bool:
        if not isinstance(event, SETTINGS):
            return False
        latest = self._serials.get(type(event), 0)
        self._serials[type(event)] = max(latest, event.serial)
        return event.serial < latest

    def _is_of_new_patch(self, event: Timbre | Level) -> bool:
        before = self._chosen.get(type(event), 0)
        self._chosen[type(event)] = max(before, event.chosen)
        return event.chosen > before

    def _change_voice(self, time: int, scores: list[list[Event]]) -> None:
        """Let the other voice play what comes, as this one would. What it still plays itself takes
        the patch and the bend of now."""
        bend = self._bends[self._now]
        self._now = (self._now + 1) % VOICES
        self._own[self._now] = 0.0, 0.0
        self._bends[self._now] = bend
        self._struck = False
        now = (self._level, self._timbre, Bend(0, self._level.part, bend))
        scores[self._now] += [replace(setting, time=time) for setting in now]

    def _keep_levels(self, new: Level) -> None:
        """Keep the other voice as loud and where it is, now that the new patch has its own."""
        louder, aside = self._level.gain_db - new.gain_db, self._level.pan - new.pan
        # A part that is muted says nothing of its patch's gain.
        louder = louder if math.isfinite(louder) else 0.0
        for voice, (gain_db, pan) in enumerate(self._own):
            if voice != self._now:
                self._own[voice] = gain_db + louder, pan + aside


class _Voice:
    """One roll, with the timbre, level and bend of each frame."""

    def __init__(self, part: int, voice: int, hop: int, embedding: np.ndarray) -> None:
        self._part, self._voice = part, voice
        self._hop = hop
        self._roll = PianoRoll(hop)
        self._embedding = embedding
        self._gain = stereo_gain(0.0, 0.0)
        self._bend = 0.0
        self._has_played = False
        self._still: Window | None = None
        """The last window, if no key sounded in it and nothing has happened since."""

    def begins(self, events: list[Event]) -> bool:
        """Whether the voice has played a note yet; if not, take in its settings and pedals only."""
        self._has_played |= any(isinstance(e, NoteOn) for e in events)
        if not self._has_played:
            for event in events:
                self._set(event)
            self._roll.frames([e for e in events if not isinstance(e, SETTINGS)], 0, 0)
        return self._has_played

    def frames(self, events: list[Event], start: int, count: int) -> Window:
        """The voice's window; arguments as in `Windows.frames`."""
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
        roll, late = self._roll.play(events, start, count)
        window = Window(self._part, roll, embedding, gain, bend, cut, self._voice, late)
        self._still = None if events or roll.any() or not self._roll.silent else window
        return window

    def _set(self, event: Event) -> None:
        match event:
            case Timbre(embedding=embedding):
                self._embedding = np.array(embedding, np.float32)
            case Level(gain_db=gain_db, pan=pan):
                self._gain = stereo_gain(gain_db, pan)
            case Bend(semitones=semitones):
                self._bend = semitones


def _shifted(level: Level, gain_db: float, pan: float) -> Level:
    """A level so much louder and further right, within what levels may be."""
    louder = min(level.gain_db + gain_db, GAIN_DB[1])
    return replace(level, gain_db=louder, pan=min(max(level.pan + pan, -1.0), 1.0))


def stereo_gain(gain_db: float, pan: float) -> np.ndarray:
    """Left and right factors of constant power, float32; pan: -1 left, 0 both at -3 dB, 1 right.

    >>> stereo_gain(0.0, -1.0).round(3).tolist()
    [1.0, 0.0]
    """
    angle = (pan + 1) * math.pi / 4
    gain = 10 ** (gain_db / 20)
    return np.array([gain * math.cos(angle), gain * math.sin(angle)], np.float32)
