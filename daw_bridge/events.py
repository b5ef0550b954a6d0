"""What a player can do, as data: every input becomes one of these, with a time set once.

`time` is always in samples of the engine's clock, `part` a channel 1..16. Names (of patches and
knobs) have been looked up before an event is made: the engine sees only notes, pedals,
embeddings, levels and bends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SUSTAIN, SOSTENUTO, SOFT = 64, 66, 67
PEDALS = (SUSTAIN, SOSTENUTO, SOFT)
ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 120, 121, 123
OMNI_OFF, OMNI_ON, MONO, POLY = 124, 125, 126, 127


@dataclass(frozen=True, slots=True)
class NoteOn:
    """A key press. key 0..127; velocity 1..127."""

    time: int
    part: int
    key: int
    velocity: int


@dataclass(frozen=True, slots=True)
class NoteOff:
    """A key release; the note sounds on while a pedal holds it."""

    time: int
    part: int
    key: int


@dataclass(frozen=True, slots=True)
class Pedal:
    """A pedal moved. number: the controller, one of PEDALS; down: half way or more."""

    time: int
    part: int
    number: int
    down: bool


@dataclass(frozen=True, slots=True)
class AllNotesOff:
    """Every key is released; notes that a pedal holds sound on."""

    time: int
    part: int


@dataclass(frozen=True, slots=True)
class AllSoundOff:
    """Silence at once: keys and pedals go up, and notes that still ring are cut off."""

    time: int
    part: int


@dataclass(frozen=True, slots=True)
class Timbre:
    """The part's new point in the bank's embedding space.

    serial and chosen: see `SETTINGS`; held: see `Bend`.
    """

    time: int
    part: int
    embedding: tuple[float, ...]
    serial: int = field(default=0, compare=False)
    chosen: int = field(default=0, compare=False)
    held: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Level:
    """How loud and where. gain_db: decibels over the patch as trained; pan: -1 left to 1 right.

    serial and chosen: see `SETTINGS`.
    """

    time: int
    part: int
    gain_db: float
    pan: float
    serial: int = field(default=0, compare=False)
    chosen: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Bend:
    """How far the part's keys are bent. semitones: up is positive. serial: see `SETTINGS`.

    held: whether it is for keys that are down alone, as in MPE, where the channel of a note that
    rings out may be bent for the next one already.
    """

    time: int
    part: int
    semitones: float
    serial: int = field(default=0, compare=False)
    held: bool = field(default=False, compare=False)


SETTINGS = Timbre | Level | Bend
"""Events that make no sound themselves: they set how a part's notes sound.

Each carries the whole setting as it stood when it was sent, and a serial number that grows. A
setting that falls due after another of its kind with a higher serial number is out of date: the
other was sent later, for an earlier time, and includes it.

Timbres and levels also say which patch they belong to: chosen counts how often the part has been
given one. Notes that sound keep the patch they were struck with.
"""

Event = NoteOn | NoteOff | Pedal | AllNotesOff | AllSoundOff | Timbre | Level | Bend
