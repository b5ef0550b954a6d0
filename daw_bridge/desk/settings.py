"""The knobs of one part, as a value, and what follows from them.

embedding = base + sum over knobs of (value - 0.5) * direction
level     = gain + volume + expression, in dB
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from common.patch import GAIN_DB

Embedding = tuple[float, ...]
Range = tuple[float, float]
"""The least and the greatest value of something."""

BEND = 48.0
"""Keys are bent by at most this many semitones, up or down: as far as MPE asks."""

CENTRE = 64
"""The middle of a controller."""

BEND_RANGE, FINE_TUNING, COARSE_TUNING, ZONE, NO_PARAMETER = 0, 1, 2, 6, 0x3FFF
"""Numbers of MIDI's registered parameters (RPN): the range of the pitch wheel, tuning by cents and
by semitones, the members of an MPE zone, and none."""

OWN_PARAMETERS = 0x4000
"""What is added to the numbers of parameters that each maker has of its own (NRPN)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The knobs of one part. embedding is the base, before the knobs move it.

    patch, towards: names of the two patches that the mod wheel morphs between; morph: 0..1, where
    the base lies between the two after a morph, None if it does not; knobs: name -> 0..1; home,
    home_knobs: base and knobs as a patch, a morph or OSC set them last, where a controller at 64
    leaves them; pan: -1 left to 1 right; volume, expression and wheel: 0..127; bend: semitones;
    bend_range: semitones that the pitch wheel bends at its end; parameter: number of the parameter
    that data entry sets, see `OWN_PARAMETERS`; muted, soloed: switches of the mixer, which patches
    leave alone; way: -1..1, where the pitch wheel stands, 0 if the bend was set otherwise; cents,
    semitones: tuning; zone_bend: semitones that the manager of the part's MPE zone bends it by;
    chosen: how often the part has been given a patch; deep: what the patch, or both of a morph, add
    to the bank's key templates, as `Patch` has it -> amount 0..1.
    """

    patch: str
    towards: str
    embedding: Embedding
    knobs: Mapping[str, float]
    gain_db: float
    pan: float
    home: Embedding
    home_knobs: Mapping[str, float]
    morph: float | None = None
    volume: int = 100
    expression: int = 127
    wheel: int = 0
    bend: float = 0.0
    bend_range: float = 2.0
    parameter: int = NO_PARAMETER
    muted: bool = False
    soloed: bool = False
    way: float = 0.0
    cents: float = 0.0
    semitones: int = 0
    zone_bend: float = 0.0
    chosen: int = field(default=0, compare=False)
    deep: Mapping[str, float] = field(default_factory=dict)

    @property
    def level_db(self) -> float:
        """Gain, volume and expression together, -inf..24 dB.

        Volume 100, where MIDI devices start, and expression 127 count as 0 dB; 0 is -inf.
        """
        level = self.gain_db + decibels(self.volume / 100) + decibels(self.expression / 127)
        return min(level, GAIN_DB[1])

    @property
    def bent(self) -> float:
        """Bend, tuning and the bend of the zone together, -48..48 semitones."""
        return _within(self.bend + self.semitones + self.cents / 100 + self.zone_bend)

    def effective(self, directions: Mapping[str, Embedding]) -> Embedding:
        """The base, moved by the knobs. Directions may have more coordinates than the base."""
        size = max(map(len, (self.embedding, *directions.values())))
        moved = [*self.embedding, *[0.0] * (size - len(self.embedding))]
        for name, value in self.knobs.items():
            for i, step in enumerate(directions[name]):
                moved[i] += (value - 0.5) * step
        return tuple(moved)

    def with_sound_of(self, other: Settings) -> Settings:
        """With the patch and timbre of other settings; what belongs to the song stays."""
        return replace(
            self,
            patch=other.patch,
            towards=other.towards,
            embedding=other.embedding,
            knobs=other.knobs,
            gain_db=other.gain_db,
            pan=other.pan,
            home=other.home,
            home_knobs=other.home_knobs,
            morph=other.morph,
            wheel=other.wheel,
            chosen=self.chosen + 1,
            deep=other.deep,
        )

    def unbent(self, bend_range: float) -> Settings:
        """With the pitch wheel at rest and another range."""
        return replace(self, bend=0.0, way=0.0, zone_bend=0.0, bend_range=bend_range)

    def with_pitch_wheel(self, way: float) -> Settings:
        """With the pitch wheel somewhere else, -1..1."""
        return replace(self, way=way, bend=_within(way * self.bend_range))

    def with_bend_range(self, semitones: float) -> Settings:
        """With another range of the pitch wheel, which counts at once where the wheel is moved."""
        new = replace(self, bend_range=semitones)
        return new.with_pitch_wheel(self.way) if self.way else new

    def with_knob(self, name: str, value: float) -> Settings:
        """With one knob at a new value, and at home there."""
        home = _with(self.home_knobs, name, value)
        return replace(self, knobs=_with(self.knobs, name, value), home_knobs=home)

    def with_base(self, embedding: Embedding) -> Settings:
        """With another base, and at home there."""
        return replace(self, embedding=embedding, home=embedding, morph=None)

    def with_coordinate(self, i: int, value: float) -> Settings:
        """With another coordinate i of the base, and at home there."""
        home = (*self.home[:i], value, *self.home[i + 1 :])
        return replace(self.with_base(self._moved(i, value)), home=home)

    def with_knob_turned(self, name: str, value: float) -> Settings:
        """With one knob where a controller at a value 0..127 puts it."""
        return self.with_knob_at(name, around(0.0, self.home_knobs[name], 1.0, value))

    def with_knob_at(self, name: str, value: float) -> Settings:
        """With one knob at a new value, but at home where it was."""
        return replace(self, knobs=_with(self.knobs, name, value))

    def with_coordinate_turned(self, i: int, value: float, ends: Range) -> Settings:
        """With coordinate i where a controller at a value 0..127 puts it, between the ends."""
        return self.with_coordinate_at(i, self.turned_coordinate(i, value, ends))

    def turned_coordinate(self, i: int, value: float, ends: Range) -> float:
        """Where a controller at a value 0..127 puts coordinate i, between the ends.

        An end beyond which home lies moves there.
        """
        home = self.home[i]
        return around(min(ends[0], home), home, max(ends[1], home), value)

    def with_coordinate_at(self, i: int, value: float) -> Settings:
        """With another coordinate i of the base, but at home where it was."""
        moved = self._moved(i, value)
        return self if moved == self.embedding else replace(self, embedding=moved, morph=None)

    def with_parameter(self, msb: bool, value: int, own: bool = False) -> Settings:
        """With other upper (msb) or lower 7 bits in the number of the parameter.

        own: whether it is one of a maker's own.
        """
        first = OWN_PARAMETERS if own else 0
        number = self.parameter - first
        high, low = divmod(number if 0 <= number <= NO_PARAMETER else NO_PARAMETER, 128)
        high, low = (value, low) if msb else (high, value)
        return replace(self, parameter=first + 128 * high + low)

    def between(self, a: Settings, b: Settings, amount: float) -> Settings:
        """With base, knobs and gain on the line from a to b; the mod wheel then morphs so, too.

        amount: 0 is a, 1 is b.
        """

        def mix(x: float, y: float) -> float:
            return (1 - amount) * x + amount * y

        embedding = tuple(map(mix, a.embedding, b.embedding))
        knobs = MappingProxyType({name: mix(a.knobs[name], b.knobs[name]) for name in a.knobs})
        deep = {one: mix(a.deep.get(one, 0.0), b.deep.get(one, 0.0)) for one in a.deep | b.deep}
        return replace(
            self,
            patch=a.patch,
            towards=b.patch,
            morph=amount,
            embedding=embedding,
            home=embedding,
            knobs=knobs,
            home_knobs=knobs,
            gain_db=mix(a.gain_db, b.gain_db),
            deep=deep,
        )

    def _moved(self, i: int, value: float) -> Embedding:
        """The base with another coordinate i."""
        return (*self.embedding[:i], value, *self.embedding[i + 1 :])


@dataclass(frozen=True, slots=True)
class Tuning:
    """How all parts are tuned: cents, -100..100, and semitones, -64..63."""

    cents: float = 0.0
    semitones: int = 0

    @property
    def together(self) -> float:
        """In semitones."""
        return self.semitones + self.cents / 100


def around(low: float, home: float, high: float, value: float) -> float:
    """Where a controller at a value 0..127 puts something: 0 is low, 64 home, 127 high.

    >>> [around(-1.0, 0.25, 1.0, value) for value in (0, 32, 64, 127)]
    [-1.0, -0.375, 0.25, 1.0]
    """
    if value <= CENTRE:
        way = value / CENTRE
        return (1 - way) * low + way * home
    way = (value - CENTRE) / (127 - CENTRE)
    return (1 - way) * home + way * high


def _within(semitones: float) -> float:
    return min(max(semitones, -BEND), BEND)


def _with(knobs: Mapping[str, float], name: str, value: float) -> Mapping[str, float]:
    return MappingProxyType({**knobs, name: value})


def decibels(ratio: float) -> float:
    """Level of a controller: twice the value is four times the amplitude, as MIDI recommends."""
    return 40 * math.log10(ratio) if ratio else -math.inf
