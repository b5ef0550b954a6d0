"""Does what has been learnt: where a controller puts a knob, and whether it has hold of it.

Values are in a knob's own unit: 0..1 for knobs of the bank, the morph and switches, coordinates of
the timbre space, dB for the gain, -1..1 for pan.

Without ends of its own, a controller at 64 leaves a knob or a coordinate as the patch, a morph or
OSC set it last, and reaches its ends at 0 and 127; the gain goes from -36 dB to +12 dB over the
patch's; pan and morph are as controller 10 and the mod wheel. With ends, the way from 0 to 127 is
straight between them. Switches are on from 64 on.
"""

from __future__ import annotations

from dataclasses import replace

from common.patch import GAIN_DB
from daw_bridge.desk.binding import (
    COORDINATE,
    GAIN,
    MORPH,
    MUTE,
    NEXT,
    PAN,
    PREVIOUS,
    SOLO,
    Binding,
)
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.settings import Range, Settings, around

GAIN_DOWN_DB, GAIN_UP_DB = 36.0, 12.0
"""How far a controller turns the gain, below and above the patch's."""

PRESSED = 64
"""From this value on a switch is on, and a button is pressed."""


def act(
    desk: Desk, part: int, binding: Binding, before: float | None, value: float, time: int
) -> None:
    """Let a controller that has learnt something do it, at a value 0..127; before: the last one.

    part: the one whose channel it came on.
    """
    part = binding.part or part
    step = {NEXT: 1, PREVIOUS: -1}.get(binding.knob)
    if step is not None:
        if value >= PRESSED:
            desk.step(part, step, time)
        return
    if binding.takeover and not _holds(desk, desk.settings(part), binding, before, value):
        return
    desk.turn(part, time, lambda s: _put(desk, s, binding.knob, _place(desk, s, binding, value)))


def limits(desk: Desk, knob: str) -> Range | None:
    """Between which values a knob may stand; None for switches and buttons."""
    if knob in desk.book.knobs or knob == MORPH:
        return 0.0, 1.0
    if knob.startswith(COORDINATE):
        return desk.reach[int(knob.removeprefix(COORDINATE))]
    return {GAIN: GAIN_DB, PAN: (-1.0, 1.0)}.get(knob)


def panned(value: float) -> float:
    """The place that a controller at 0..127 means.

    As MIDI defines it: 0 and 1 are both hard left, so that 64 is the middle.
    """
    return max(value - 1, 0) / 63 - 1


def _holds(desk: Desk, s: Settings, binding: Binding, before: float | None, value: float) -> bool:
    """Whether a controller has hold of its knob: that stands between where the last value puts it
    and where this one does. The first value has to be the nearest one."""
    beside = (value - 1, value + 1) if before is None else (before, value)
    places = [_place(desk, s, binding, min(max(v, 0), 127)) for v in beside]
    return min(places) <= _stands(s, desk, binding.knob) <= max(places)


def _place(desk: Desk, s: Settings, binding: Binding, value: float) -> float:
    """Where a controller at a value 0..127 puts its knob."""
    knob, shaped = binding.knob, binding.shaped(value)
    if knob in (MUTE, SOLO):
        return float(value >= PRESSED)
    if binding.ends is not None:
        start, end = binding.ends
        least, most = limits(desk, knob) or binding.ends
        return min(max(start + (end - start) * shaped / 127, least), most)
    if knob in desk.book.knobs:
        return around(0.0, s.home_knobs[knob], 1.0, shaped)
    if knob == GAIN:
        home = desk.fresh(s.patch).gain_db
        low, high = max(home - GAIN_DOWN_DB, GAIN_DB[0]), min(home + GAIN_UP_DB, GAIN_DB[1])
        return around(low, home, high, shaped)
    if knob == PAN:
        return panned(shaped)
    if knob == MORPH:
        return shaped / 127
    i = int(knob.removeprefix(COORDINATE))
    return s.turned_coordinate(i, shaped, desk.book.span[i])


def _stands(s: Settings, desk: Desk, knob: str) -> float:
    """Where a knob stands."""
    if knob in desk.book.knobs:
        return s.knobs[knob]
    if knob.startswith(COORDINATE):
        return s.embedding[int(knob.removeprefix(COORDINATE))]
    # A part on no morph plays the first of its two patches.
    told = {GAIN: s.gain_db, PAN: s.pan, MORPH: s.morph or 0.0, MUTE: s.muted, SOLO: s.soloed}
    return float(told[knob])


def _put(desk: Desk, s: Settings, knob: str, place: float) -> Settings:
    """With a knob somewhere else; where it is at home stays."""
    if knob in desk.book.knobs:
        return s.with_knob_at(knob, place)
    if knob == GAIN:
        return replace(s, gain_db=place)
    if knob == PAN:
        return replace(s, pan=place)
    if knob == MUTE:
        return replace(s, muted=place > 0)
    if knob == SOLO:
        return replace(s, soloed=place > 0)
    if knob == MORPH:
        return s.between(desk.fresh(s.patch), desk.fresh(s.towards), place)
    return s.with_coordinate_at(int(knob.removeprefix(COORDINATE)), place)
