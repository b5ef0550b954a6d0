"""Scores of the toy bank's frames, for the tests of what plays them."""

from __future__ import annotations

import math

from daw_bridge.events import (
    SUSTAIN,
    AllSoundOff,
    Bend,
    Event,
    Level,
    NoteOff,
    NoteOn,
    Pedal,
    Timbre,
)
from tests.toy_bank import ANALYSIS


def at(frame: float) -> int:
    """The sample at which a frame begins, or so much of it has passed."""
    return int(frame * ANALYSIS.hop)


def note(part: int, key: int, start: float, end: float, velocity: int = 100) -> list[Event]:
    """A key held from one frame to another."""
    return [NoteOn(at(start), part, key, velocity), NoteOff(at(end), part, key)]


def busy_score() -> list[Event]:
    """Three parts that wake, sleep, are cut, restart and move their knobs, within 80 frames."""
    score = [
        *note(1, 57, 2, 9),
        *note(1, 64, 5, 9),
        *note(1, 45, 40.5, 47),  # wakes again after sleep
        *note(2, 50, 4.3, 12),
        *note(2, 52, 33, 36),
        *note(3, 69, 7, 30),
        *note(3, 71, 22.9, 23),  # begun in the frame of a cut
        *note(3, 60, 58, 60),
        AllSoundOff(at(10.2), 2),
        NoteOn(at(10.3), 2, 40, 90),
        NoteOff(at(14), 2, 40),
        AllSoundOff(at(22), 3),
        AllSoundOff(at(44), 1),
        AllSoundOff(at(50), 2),  # asleep already
        Pedal(at(56), 3, SUSTAIN, True),
        Pedal(at(63), 3, SUSTAIN, False),
    ]
    for frame in range(3, 64):
        bend = math.sin(frame)
        score.append(Timbre(at(frame + 0.5), 1 + frame % 3, (bend, 0.5 - bend)))
        score.append(Level(at(frame + 0.7), 1 + (frame + 1) % 3, -6 * bend * bend, bend))
        if frame % 4 == 1:  # and sometimes the wheel rests
            score.append(Bend(at(frame + 0.1), 1 + (frame + 2) % 3, round(bend) * bend))
    score.append(Level(at(6), 2, -math.inf, 0.0))
    return sorted(score, key=lambda e: e.time)
