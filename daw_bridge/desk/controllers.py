"""What MIDI controllers and wheels mean: they turn the knobs of a desk, and move pedals.

- 1, the mod wheel: morphs from the patch to the next one of the bank; after a morph, between its
  two patches.
- 7, volume: 40 log10(value / 100) dB; 11, expression: 40 log10(value / 127) dB.
- 10, pan: 64 is the middle.
- 64, 66, 67, pedals: sustain, sostenuto, soft; down from 64 on.
- 74 and 71, timbre: 74 is the knob "brightness" if the bank has one, and 71 the first coordinate
  of the embedding; otherwise they are its first two. At 64 they leave them as the patch, a morph or
  OSC set them, at 0 and 127 at the ends: of a knob, or of what the bank was trained on.
- 100 and 101 choose a registered parameter, 6 and 38 set it: 0 the range of the pitch wheel in
  semitones (6) and cents (38), which counts at once; 1 tuning by cents, 2 by semitones; 6 on
  channel 1 or 16 the number of members of an MPE zone (zones.py). 98 and 99 choose one that a maker
  has of its own, which can be learnt. 96 and 97 move it up and down by a step: a semitone, for 1 a
  cent, for what has been learnt 1 of 127.
- 120, all sound off. 123 to 127, all notes off: a pedal still holds them. 126 makes the part play
  one key at a time, as far as notes come by MIDI; 127 ends that.
- 121, reset: pedals up, expression full, wheels at rest, no parameter chosen.
- Pressure turns the knob "movement" upwards, or "brightness" where the bank has no such knob.

A controller that has learnt something (learn.py) does that instead (targets.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from common.window import PARTS
from daw_bridge import events
from daw_bridge.desk import settings, targets
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.halves import Halves
from daw_bridge.desk.settings import CENTRE, NO_PARAMETER, OWN_PARAMETERS, Settings
from daw_bridge.desk.sources import NRPN, Source
from daw_bridge.desk.zones import LOWER, MOST_MEMBERS, UPPER
from daw_bridge.events import Event, Pedal

BRIGHTNESS = "brightness"
"""The knob that controller 74 turns, if the bank has one of that name, as MIDI calls it."""

PRESSED = ("movement", BRIGHTNESS)
"""Knobs that pressure turns: the first that the bank has."""

Number = TypeVar("Number", int, float)


class Controllers:
    """Turns controllers and wheels into changes of a desk, and pedals into posts.

    part is 1..16, time is in samples. One thread calls it. mono: the parts that are to play one key
    at a time.
    """

    def __init__(self, desk: Desk, post: Callable[[Event], object]) -> None:
        self._desk = desk
        self._post = post
        self.mono: set[int] = set()
        self._halves = Halves()
        self._stood: dict[tuple[int, Source], float] = {}
        """Part and source -> where a controller that has learnt something stood last."""

    def control(self, part: int, controller: int, value: float, time: int) -> bool:
        """Act on a controller 0..127 at a value 0..127. False if it has no meaning here."""
        if self._learnt(part, controller, value, time):
            return True
        match controller:
            case 1:
                self._wheel(part, round(value), time)
            case 7:
                self._desk.turn(part, time, lambda s: replace(s, volume=round(value)))
            case 10:
                self._desk.pan(part, targets.panned(value), time)
            case 11:
                self._desk.turn(part, time, lambda s: replace(s, expression=round(value)))
            case events.SUSTAIN | events.SOSTENUTO | events.SOFT:
                for each in self._desk.reached(part):
                    self._post(Pedal(time, each, controller, value >= 64))
            case 6 | 38:
                return self._enter(part, controller, round(value), time)
            case 96 | 97:
                return self._step(part, 1 if controller == 96 else -1, time)
            case 98 | 99:
                msb = controller == 99
                self._choose(part, msb, round(value), time, own=True)
            case 100 | 101:
                msb = controller == 101
                self._choose(part, msb, round(value), time)
            case 71 | 74:
                return self._turn_timbre(part, controller, value, time)
            case events.ALL_SOUND_OFF:
                for each in self._desk.reached(part):
                    self._post(events.AllSoundOff(time, each))
            case events.RESET_CONTROLLERS:
                for each in self._desk.reached(part):
                    self._reset(each, time)
            case (
                events.ALL_NOTES_OFF | events.OMNI_OFF | events.OMNI_ON | events.MONO | events.POLY
            ):
                for each in self._desk.reached(part):
                    self._post(events.AllNotesOff(time, each))
                    if controller == events.MONO:
                        self.mono.add(each)
                    elif controller == events.POLY:
                        self.mono.discard(each)
            case _:
                return False
        return True

    def pitch_wheel(self, part: int, value: float, time: int) -> None:
        """Bend by the range of the part (2 semitones unless set); value: -8192..8191."""
        self._desk.bend_by(part, lambda s: s.with_pitch_wheel(value / 8192), time)

    def pressure(self, part: int, value: float, time: int) -> bool:
        """Aftertouch of a whole channel, 0..127. False if the bank has no knob for it."""
        knob = next((name for name in PRESSED if name in self._desk.book.knobs), None)
        if knob is not None:
            self._turn_knob(part, knob, CENTRE + value * (127 - CENTRE) / 127, time)
        return knob is not None

    def reset_device(self, time: int) -> None:
        """Put every part back as a reset of GM, GS or XG says; notes and patches stay."""

        def fresh(s: Settings) -> Settings:
            pan = self._desk.fresh(s.patch).pan
            return replace(s, volume=100, pan=pan, cents=0.0, semitones=0).with_bend_range(2.0)

        for part in PARTS:
            self._reset(part, time)
            self.mono.discard(part)
            if self._desk.zones.manager(part) is None:
                self._desk.turn(part, time, fresh, alone=True)
        self._desk.reset_master(time)

    def _choose(self, part: int, msb: bool, value: int, time: int, own: bool = False) -> None:
        """Choose the parameter that data entry sets."""
        change = partial(Settings.with_parameter, msb=msb, value=value, own=own)
        self._desk.turn(part, time, change, alone=True)

    def _wheel(self, part: int, value: int, time: int, alone: bool = False) -> None:
        """Morph by the mod wheel.

        A value equal to the last one changes nothing: DAWs send a 0 at every start, and it must
        not undo a timbre that was set by hand.
        """

        def morphed(s: Settings) -> Settings:
            if value == s.wheel or s.patch == s.towards:
                return s
            start, end = self._desk.fresh(s.patch), self._desk.fresh(s.towards)
            return replace(s.between(start, end, value / 127), wheel=value)

        self._desk.turn(part, time, morphed, alone=alone)

    def _reset(self, part: int, time: int) -> None:
        for pedal in events.PEDALS:
            self._post(Pedal(time, part, pedal, False))
        self._desk.turn(part, time, lambda s: replace(s, expression=127), alone=True)
        self._wheel(part, 0, time, alone=True)
        self._desk.bend_by(
            part, lambda s: replace(s, bend=0.0, way=0.0, parameter=NO_PARAMETER), time
        )

    def _enter(self, part: int, controller: int, value: int, time: int) -> bool:
        """Data entry; False if the parameter that was chosen is not known here."""
        upper, zones = controller == 6, self._desk.zones
        match self._desk.settings(part).parameter:
            case settings.BEND_RANGE:
                # What one member is told counts for all of its zone.
                manager = zones.manager(part)
                for each in (part,) if manager is None else zones.members(manager):
                    self._desk.bend_by(each, partial(_with_range, upper=upper, value=value), time)
            case settings.FINE_TUNING:
                self._desk.turn(part, time, partial(_tuned, upper=upper, value=value))
            case settings.COARSE_TUNING:
                if upper:
                    self._desk.turn(part, time, lambda s: replace(s, semitones=value - CENTRE))
            case settings.ZONE if part in (LOWER, UPPER):
                if upper:
                    self._desk.open_zone(part, min(value, MOST_MEMBERS), time)
            case _:
                return False
        return True

    def _step(self, part: int, by: int, time: int) -> bool:
        """Data increment or decrement; False if the parameter that was chosen has no steps here."""
        zone = self._desk.zones.manager(part)
        match self._desk.settings(part).parameter:
            case settings.BEND_RANGE:
                for each in (part,) if zone is None else self._desk.zones.members(zone):
                    self._desk.bend_by(each, partial(_with_wider_range, by=by), time)
            case settings.FINE_TUNING:
                self._desk.turn(part, time, lambda s: replace(s, cents=_within(s.cents + by, 100)))
            case settings.COARSE_TUNING:
                self._desk.turn(
                    part, time, lambda s: replace(s, semitones=_within(s.semitones + by, 64))
                )
            case _:
                return self._step_learnt(part, by, time)
        return True

    def _step_learnt(self, part: int, by: int, time: int) -> bool:
        """A step of a maker's own parameter that has learnt something: 1 of 127."""
        parameter = self._own_parameter(part)
        source = f"{NRPN}{parameter}"
        if parameter is None or not self._desk.learnt.has(part, source):
            return False
        value = min(max(self._stood.get((part, source), CENTRE) + by, 0), 127)
        return self._turn_source(part, source, value, value, False, time)

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

    def _learnt(self, part: int, controller: int, value: float, time: int) -> bool:
        """Do what has been learnt; False if this controller has learnt nothing."""
        source: Source = controller
        upper, parameter = self._halves.upper_of(part, controller), self._own_parameter(part)
        lower = controller == 38
        learnt = self._desk.learnt
        if controller in (6, 38) and parameter is not None:
            source = f"{NRPN}{parameter}"
        elif upper is not None and not learnt.has(part, controller):
            source, lower = upper, True
        both = self._halves.take(part, source, value, lower)
        return self._turn_source(part, source, value, both, lower, time)

    def _turn_source(
        self, part: int, source: Source, value: float, both: float, lower: bool, time: int
    ) -> bool:
        """Do what a source has learnt; both: its value with both halves. False if nothing."""
        binding = self._desk.learnt.binding_for(part, source, value, lower)
        if binding is None:
            return False
        before, self._stood[part, source] = self._stood.get((part, source)), both
        targets.act(self._desk, part, binding, before, both, time)
        return True

    def _own_parameter(self, part: int) -> int | None:
        """The number of the maker's own parameter that is chosen, None if none is."""
        number = self._desk.settings(part).parameter - OWN_PARAMETERS
        return number if 0 <= number < NO_PARAMETER else None

    def _turn_knob(self, part: int, knob: str, value: float, time: int) -> None:
        self._desk.turn(part, time, lambda s: s.with_knob_turned(knob, value))

    def _turn_coordinate(self, part: int, i: int, value: float, time: int) -> None:
        ends = self._desk.book.span[i]
        self._desk.turn(part, time, lambda s: s.with_coordinate_turned(i, value, ends))


def _with_wider_range(s: Settings, by: int) -> Settings:
    """With so many semitones more or less in the range of the pitch wheel."""
    return s.with_bend_range(min(max(s.bend_range + by, 0.0), 127.0))


def _within(value: Number, most: Number) -> Number:
    return min(max(value, -most), most)


def _with_range(s: Settings, upper: bool, value: int) -> Settings:
    """With other semitones (upper) or cents in the range of the pitch wheel."""
    semitones = value if upper else int(s.bend_range)
    cents = 0 if upper else min(value, 99)
    return s.with_bend_range(semitones + cents / 100)


def _tuned(s: Settings, upper: bool, value: int) -> Settings:
    """With another half of the tuning by cents: 14 bits for -100..100, of which 8192 is 0."""
    now = round(s.cents / 100 * 8192) + 8192
    number = 128 * value if upper else now // 128 * 128 + value
    return replace(s, cents=(number - 8192) / 8192 * 100)
