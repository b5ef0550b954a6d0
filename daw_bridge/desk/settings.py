"""The knobs of one part, as a value, and what follows from them.

embedding = base + sum over knobs of (value - 0.5) * direction
level     = gain + volume + expression, in dB
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from common.patch import GAIN_DB

Embedding = tuple[float, ...]

BEND = 24.0
"""Keys are bent by at most this many semitones, up or down."""

BEND_RANGE, NO_PARAMETER = 0, 0x3FFF
"""Numbers of MIDI's registered parameters (RPN): the range of the pitch wheel, and none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The knobs of one part. embedding is the base, before the knobs move it.

    patch, towards: names of the two patches that the mod wheel morphs between; morph: 0..1, where
    the base lies between the two after a morph, None if it does not; knobs: name -> 0..1; pan:
    -1 left to 1 right; volume, expression and wheel: 0..127; bend: semitones; bend_range: semitones
    that the pitch wheel bends at its end; parameter: number of the registered parameter that data
    entry sets.
    """

    patch: str
    towards: str
    embedding: Embedding
    knobs: Mapping[str, float]
    gain_db: float
    pan: float
    morph: float | None = None
    volume: int = 100
    expression: int = 127
    wheel: int = 0
    bend: float = 0.0
    bend_range: float = 2.0
    parameter: int = NO_PARAMETER

    @property
    def level_db(self) -> float:
        """Gain, volume and expression together, -inf..24 dB.

        Volume 100, where MIDI devices start, and expression 127 count as 0 dB; 0 is -inf.
        """
        level = self.gain_db + _decibels(self.volume / 100) + _decibels(self.expression / 127)
        return min(level, GAIN_DB[1])

    def effective(self, directions: Mapping[str, Embedding]) -> Embedding:
        """The base, moved by the knobs. Directions may have more coordinates than the base."""
        size = max(map(len, (self.embedding, *directions.values())))
        moved = [*self.embedding, *[0.0] * (size - len(self.embedding))]
        for name, value in self.knobs.items():
            for i, step in enumerate(directions[name]):
                moved[i] += (value - 0.5) * step
        return tuple(moved)

    def with_knob(self, name: str, value: float) -> Settings:
        """With one knob at a new value."""
        return replace(self, knobs=MappingProxyType({**self.knobs, name: value}))

    def with_base(self, embedding: Embedding) -> Settings:
        """With another base."""
        return replace(self, embedding=embedding, morph=None)

    def with_coordinate(self, i: int, value: float) -> Settings:
        """With another coordinate i of the base."""
        return self.with_base((*self.embedding[:i], value, *self.embedding[i + 1 :]))

    def with_parameter(self, msb: bool, value: int) -> Settings:
        """With other upper (msb) or lower 7 bits in the number of the registered parameter."""
        high, low = divmod(self.parameter, 128)
        high, low = (value, low) if msb else (high, value)
        return replace(self, parameter=128 * high + low)

    def between(self, a: Settings, b: Settings, amount: float) -> Settings:
        """With base, knobs and gain on the line from a to b; the mod wheel then morphs so, too.

        amount: 0 is a, 1 is b.
        """

        def mix(x: float, y: float) -> float:
            return (1 - amount) * x + amount * y

        return replace(
            self,
            patch=a.patch,
            towards=b.patch,
            morph=amount,
            embedding=tuple(map(mix, a.embedding, b.embedding)),
            knobs=MappingProxyType({name: mix(a.knobs[name], b.knobs[name]) for name in a.knobs}),
            gain_db=mix(a.gain_db, b.gain_db),
        )


def _decibels(ratio: float) -> float:
    """Level of a controller: twice the value is four times the amplitude, as MIDI recommends."""
    return 40 * math.log10(ratio) if ratio else -math.inf
