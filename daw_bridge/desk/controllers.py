"""What MIDI controllers and wheels mean: they turn the knobs of a desk, and move pedals.

- 1, the mod wheel: morphs from the patch to the next one of the bank; after a morph, between its
  two patches.
- 7, volume: 40 log10(value / 100) dB; 11, expression: 40 log10(value / 127) dB.
- 10, pan: 64 is the middle.
- 64, 66, 67, pedals: sustain, sostenuto, soft; down from 64 on.
- 74 and 71, timbre: 74 is the knob "brightness" if the bank has one, and 71 the first coordinate
  of the embedding; otherwise they are its first two. At 64 they leave them as the patch, a morph or
  OSC set them, at 0 and 127 at the ends: of a knob, or of what the bank was trained on.
- 100 and 101 choose a registered parameter, 6 and 38 set it. Known is number 0, the range of the
  pitch wheel: semitones (6) and cents (38).
- 120, all sound off. 123, all notes off: a pedal still holds them.
- 121, reset: pedals up, expression full, wheels at rest, no parameter chosen.

A controller that has learnt something (learn.py) does that instead. It turns a knob or a coordinate
in the same way. The gain goes from -36 dB over that of the patch (64) to +12 dB, pan as controller
10, a morph as the mod wheel. The next and the previous patch are taken at each value of 64 or more,
as buttons send it when they are pressed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from daw_bridge import events
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.learn import COORDINATE_KNOB, GAIN, MORPH, NEXT, PAN, PREVIOUS
from daw_bridge.desk.settings import BEND, BEND_RANGE, NO_PARAMETER, Settings, around
from daw_bridge.events import Event, Pedal

BRIGHTNESS = "brightness"
"""The knob that controller 74 turns, if the bank has one of that name, as MIDI calls it."""


GAIN_DOWN_DB, GAIN_UP_DB = 36.0, 12.0
"""How far a learnt controller turns the gain, below and above the patch's."""


class Controllers:
    """Turns controllers and wheels into changes of a desk, and pedals into posts.

    It keeps nothing itself. part is 1..16, time is in samples.
    """

    def __init__(self, desk: Desk, post: Callable[[Event], object]) -> None:
        self._desk = desk
        self._post = post

    def control(self, part: int, controller: int, value: float, time: int) -> bool:
        """Act on a controller 0..127 at a value 0..127. False if it has no meaning here."""
        knob = self._desk.learnt.knob_for(controller, value)
        if knob is not None:
            self._turn_learnt(part, knob, value, time)
            return True
        match controller:
            case 1:
                self._wheel(part, round(value), time)
            case 7:
                self._desk.turn(part, time, lambda s: replace(s, volume=round(value)))
            case 10:
                self._desk.pan(part, _panned(value), time)
            case 11:
                self._desk.turn(part, time, lambda s: replace(s, expression=round(value)))
            case events.SUSTAIN | events.SOSTENUTO | events.SOFT:
                self._post(Pedal(time, part, controller, value >= 64))
            case 6 | 38:
                return self._enter(part, controller, round(value), time)
            case 98 | 99:  # a parameter of some maker: none is known here
                self._desk.turn(part, time, lambda s: replace(s, parameter=NO_PARAMETER))
                return False
            case 100 | 101:
                msb = controller == 101
                self._desk.turn(part, time, lambda s: s.with_parameter(msb, round(value)))
            case 71 | 74:
                return self._turn_timbre(part, controller, value, time)
            case events.ALL_SOUND_OFF:
                self._post(events.AllSoundOff(time, part))
            case events.RESET_CONTROLLERS:
                self._reset(part, time)
            case events.ALL_NOTES_OFF:
                self._post(events.AllNotesOff(time, part))
            case _:
                return False
        return True

    def pitch_wheel(self, part: int, value: float, time: int) -> None:
        """Bend by the range of the part (2 semitones unless set); value: -8192..8191.

        A new range counts from the next move of the wheel on.
        """
        way = value / 8192

        def bent(s: Settings) -> Settings:
            return replace(s, bend=min(max(way * s.bend_range, -BEND), BEND))

        self._desk.turn(part, time, bent)

    def _wheel(self, part: int, value: int, time: int) -> None:
        """Morph by the mod wheel.

        A value equal to the last one changes nothing: DAWs send a 0 at every start, and it must
        not undo a timbre that was set by hand.
        """

        def morphed(s: Settings) -> Settings:
            if value == s.wheel or s.patch == s.towards:
                return s
            start, end = self._desk.fresh(s.patch), self._desk.fresh(s.towards)
            return replace(s.between(start, end, value / 127), wheel=value)

        self._desk.turn(part, time, morphed)

    def _reset(self, part: int, time: int) -> None:
        for pedal in (events.SUSTAIN, events.SOSTENUTO, events.SOFT):
            self._post(Pedal(time, part, pedal, False))
        self._desk.turn(part, time, lambda s: replace(s, expression=127))
        self._wheel(part, 0, time)
        self._desk.turn(part, time, lambda s: replace(s, bend=0.0, parameter=NO_PARAMETER))

    def _enter(self, part: int, controller: int, value: int, time: int) -> bool:
        """Data entry; False if the parameter that was chosen is not known here."""
        if self._desk.settings(part).parameter != BEND_RANGE:
            return False

        def entered(s: Settings) -> Settings:
            semitones = value if controller == 6 else int(s.bend_range)
            cents = min(value, 99) if controller == 38 else 0
            return replace(s, bend_range=semitones + cents / 100)

        self._desk.turn(part, time, entered)
        return True

    def _turn_timbre(self, part: int, controller: int, value: float, time: int) -> bool:
        """Controllers 71 and 74. False if the embedding has no such coordinate."""
        bright = BRIGHTNESS in self._desk.book.knobs
        if bright and controller == 74:
            self._turn_knob(part, BRIGHTNESS, value, time)
            return True
        i = 0 if bright or controller == 74 else 1
        if i >= self._desk.book.embedding_size:
            return False
        self._turn_coordinate(part, i, value, time)
        return True

    def _turn_learnt(self, part: int, knob: str, value: float, time: int) -> None:
        if knob in self._desk.book.knobs:
            self._turn_knob(part, knob, value, time)
        elif knob == GAIN:
            self._turn_gain(part, value, time)
        elif knob == PAN:
            self._desk.pan(part, _panned(value), time)
        elif knob == MORPH:
            self._morph(part, value / 127, time)
        elif knob in (NEXT, PREVIOUS):
            if value >= 64:
                self._desk.step(part, 1 if knob == NEXT else -1, time)
        else:
            self._turn_coordinate(part, int(knob.removeprefix(COORDINATE_KNOB)), value, time)

    def _turn_gain(self, part: int, value: float, time: int) -> None:
        def turned(s: Settings) -> Settings:
            home = self._desk.fresh(s.patch).gain_db
            return replace(s, gain_db=around(home - GAIN_DOWN_DB, home, home + GAIN_UP_DB, value))

        self._desk.turn(part, time, turned)

    def _morph(self, part: int, amount: float, time: int) -> None:
        """Morph between the two patches of a part, as its mod wheel would."""

        def morphed(s: Settings) -> Settings:
            start, end = self._desk.fresh(s.patch), self._desk.fresh(s.towards)
            return s.between(start, end, amount)

        self._desk.turn(part, time, morphed)

    def _turn_knob(self, part: int, knob: str, value: float, time: int) -> None:
        self._desk.turn(part, time, lambda s: s.with_knob_turned(knob, value))

    def _turn_coordinate(self, part: int, i: int, value: float, time: int) -> None:
        ends = self._desk.book.span[i]
        self._desk.turn(part, time, lambda s: s.with_coordinate_turned(i, value, ends))


def _panned(value: float) -> float:
    """The place that a controller at 0..127 means.

    As MIDI defines it: 0 and 1 are both hard left, so that 64 is the middle.
    """
    return max(value - 1, 0) / 63 - 1
