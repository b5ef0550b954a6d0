"""What a player can say, as data: every input becomes one of these, stamped once.

`time` is always in samples of the engine's clock, `part` a channel 1..16. Whatever needs a
name looked up (patches, knobs) has been resolved at the edge: the engine sees only notes,
pedals, embeddings, levels and bends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PARTS = range(1, 17)
"""Part numbers: MIDI channels as a DAW counts them."""

SUSTAIN, SOSTENUTO, SOFT = 64, 66, 67
ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 120, 121, 123


@dataclass(frozen=True, slots=True)
class NoteOn:
    """A key press. key 0..127; velocity 1..127."""

    time: int
    part: int
    key: int
    velocity: int


@dataclass(frozen=True, slots=True)
class NoteOff:
    """A key release; the sound lasts while a pedal holds it."""

    time: int
    part: int
    key: int


@dataclass(frozen=True, slots=True)
class Pedal:
    """A pedal moved. number: SUSTAIN, SOSTENUTO or SOFT; down: at or beyond half way."""

    time: int
    part: int
    number: int
    down: bool


@dataclass(frozen=True, slots=True)
class AllNotesOff:
    """Every key is released; what a pedal holds sounds on."""

    time: int
    part: int


@dataclass(frozen=True, slots=True)
class AllSoundOff:
    """Silence at once: keys, pedals and what still rings."""

    time: int
    part: int


@dataclass(frozen=True, slots=True)
class Timbre:
    """Where the part now stands in the bank's embedding space. number: see `SETTINGS`."""

    time: int
    part: int
    embedding: tuple[float, ...]
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Level:
    """How loud and where. gain_db: decibels over the patch as trained; pan -1 left..1.
    number: see `SETTINGS`."""

    time: int
    part: int
    gain_db: float
    pan: float
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Bend:
    """How far the part's keys are bent. semitones: up is positive. number: see `SETTINGS`."""

    time: int
    part: int
    semitones: float
    number: int = field(default=0, compare=False)


SETTINGS = Timbre | Level | Bend
"""What makes no sound by itself: how a part's notes are to be heard.

Each says it whole, as it stood when it was sent. So one that falls due after another with a
higher number, which was sent later for an earlier time and builds on it, is out of date.
"""

Event = NoteOn | NoteOff | Pedal | AllNotesOff | AllSoundOff | Timbre | Level | Bend
