"""What is played: notes of one part, as strikes (onset s, release s, key, velocity).

Onsets lie on multiples of 8 ms, where frames begin at every bank's rate: a note acts on the
whole frame that it falls into, and the original shall not come later for that.
"""

from __future__ import annotations

from collections.abc import Sequence

from daw_bridge.events import Event, NoteOff, NoteOn

PART = 1
Strike = tuple[float, float, int, int]
VELOCITY = 90

HELD_KEYS = (60, 48, 33)
HELD_S, RELEASE_S = 12.0, 2.5
"""How long a key is held, and how much is heard after it."""

BASS_KEYS = (21, 26, 33, 38, 45)
BASS_S = 1.6

CHORD = (48, 52, 55, 60, 64, 67, 72, 76, 79, 84)
"""C major from C3 to C6, ten notes."""
HANDFUL = (48, 55, 60, 64, 67, 72)
CHORD_S = 1.5

VELOCITIES = (20, 40, 60, 80, 100, 120, 127)
DYNAMIC_KEYS = (48, 60, 72)
DYNAMIC_STEP_S = 0.6


def held(key: int) -> list[Strike]:
    """One key, held for 12 s."""
    return [(0.0, HELD_S, key, VELOCITY)]


def bass(key: int) -> list[Strike]:
    """One key, held for as long as its partials are looked at."""
    return [(0.0, BASS_S, key, VELOCITY)]


def chord(keys: Sequence[int], velocity: int) -> list[Strike]:
    """Keys struck at once."""
    return [(0.0, CHORD_S, key, velocity) for key in keys]


def dynamics(velocity: int) -> list[Strike]:
    """Three notes, an octave apart, one after the other."""
    return [
        (i * DYNAMIC_STEP_S, i * DYNAMIC_STEP_S + 0.56, key, velocity)
        for i, key in enumerate(DYNAMIC_KEYS)
    ]


def phrase() -> list[Strike]:
    """Eight seconds of music: a tune over broken chords and a bass, repeated notes, a run."""
    beat = 0.48
    strikes: list[Strike] = []
    for bar, (root, third) in enumerate(((48, 4), (45, 3), (41, 4), (43, 4))):
        at = bar * 4 * beat
        strikes.append((at, at + 3.6 * beat, root - 12, 85))
        for i, step in enumerate((0, 7, 12, 12 + third)):
            strikes.append((at + i * beat, at + (i + 0.9) * beat, root + step, 70))
    tune = (76, 79, 84, 83, 81, 81, 81, 76, 77, 81, 84, 86, 83, 79, 74, 71)
    for i, key in enumerate(tune):
        strikes.append((i * beat, (i + 0.8) * beat, key, 75 + 5 * (i % 6)))
    end = 16 * beat
    strikes += [(end, end + 1.2, key, 95) for key in (36, 48, 55, 64, 72)]
    return strikes


PHRASE_S = 9.6


def events(strikes: Sequence[Strike], rate: int, at: float = 0.0) -> list[Event]:
    """Strikes as events in samples of rate, moved by `at` seconds.

    >>> [e.time for e in events([(0.0, 0.5, 60, 90)], 16_000, at=0.25)]
    [4000, 12000]
    """
    timed: list[Event] = []
    for onset, release, key, velocity in strikes:
        timed.append(NoteOn(round((at + onset) * rate), PART, key, velocity))
        timed.append(NoteOff(round((at + release) * rate), PART, key))
    # A key that is struck again as it is let go is let go first.
    return sorted(timed, key=lambda e: (e.time, isinstance(e, NoteOn)))
