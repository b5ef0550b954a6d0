"""What one part's knobs say, as a value, and what they come to.

embedding = base + sum over knobs of (value - 0.5) * direction
level     = gain + volume + expression, in dB
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

Embedding = tuple[float, ...]

GAIN_DB = (-120.0, 24.0)
"""A part's gain: from inaudible to what a mixer strip gives. The level as a whole is cut
off at the same top and goes down to -inf (volume or expression 0)."""

BEND_RANGE, NO_PARAMETER = 0, 0x3FFF
"""Numbers of registered parameters (MIDI's RPN): the pitch wheel's range, and none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One part's knobs. embedding is the base, before the knobs move it.

    patch, towards: the two names that the mod wheel morphs between; knobs: name -> 0..1;
    volume, expression and wheel: 0..127. bend: semitones; bend_range: what the pitch wheel turned
    all the way bends; parameter: the number of the registered parameter that data entry sets.
    """

    patch: str
    towards: str
    embedding: Embedding
    knobs: Mapping[str, float]
    gain_db: float
    pan: float
    volume: int = 100
    expression: int = 127
    wheel: int = 0
    bend: float = 0.0
    bend_range: float = 2.0
    parameter: int = NO_PARAMETER

    @property
    def level_db(self) -> float:
        """Gain, volume and expression together, -inf..24 dB.

        Volume 100, where MIDI devices start, and expression 127 are 0 dB.
        """
        level = self.gain_db + _decibels(self.volume / 100) + _decibels(self.expression / 127)
        return min(level, GAIN_DB[1])

    def effective(self, directions: Mapping[str, Embedding]) -> Embedding:
        """The base, moved along each knob's direction, which may have coordinates of its own."""
        size = max(map(len, (self.embedding, *directions.values())))
        moved = [*self.embedding, *[0.0] * (size - len(self.embedding))]
        for name, value in self.knobs.items():
            for i, step in enumerate(directions[name]):
                moved[i] += (value - 0.5) * step
        return tuple(moved)

    def turned(self, name: str, value: float) -> Settings:
        """With one knob turned."""
        return replace(self, knobs=MappingProxyType({**self.knobs, name: value}))

    def moved(self, i: int, value: float) -> Settings:
        """With coordinate i of the base replaced."""
        base = (*self.embedding[:i], value, *self.embedding[i + 1 :])
        return replace(self, embedding=base)

    def choosing(self, msb: bool, value: int) -> Settings:
        """With the upper or lower 7 bits of the registered parameter's number set."""
        high, low = divmod(self.parameter, 128)
        high, low = (value, low) if msb else (high, value)
        return replace(self, parameter=128 * high + low)

    def between(self, a: Settings, b: Settings, amount: float) -> Settings:
        """With base, knobs and gain on the line from a to b, and the wheel bound to the two."""

        def mix(x: float, y: float) -> float:
            return (1 - amount) * x + amount * y

        return replace(
            self,
            patch=a.patch,
            towards=b.patch,
            embedding=tuple(map(mix, a.embedding, b.embedding)),
            knobs=MappingProxyType({name: mix(a.knobs[name], b.knobs[name]) for name in a.knobs}),
            gain_db=mix(a.gain_db, b.gain_db),
        )


def _decibels(ratio: float) -> float:
    """A controller's loudness: twice the value is four times the amplitude, as MIDI advises."""
    return 40 * math.log10(ratio) if ratio else -math.inf
