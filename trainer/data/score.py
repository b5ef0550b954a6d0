"""Notes to learn from: pieces of music and generated etudes, as timed messages.

A score is a list of strikes and pedal moves for one instrument. Etudes (scales, held notes,
chords over the whole keyboard) teach the isolated, long and extreme notes that people play by
hand and that a corpus of pieces hardly holds.
"""

from __future__ import annotations

from collections.abc import Callable

import mido
import numpy as np

from daw_bridge.events import SUSTAIN, Event, NoteOff, NoteOn, Pedal
from daw_bridge.midi.file import TimedMessage
from trainer.data.programs import KEYS

PART = 1
Strike = tuple[float, float, int, int]
"""Start and end in seconds, key, velocity."""


def score_events(messages: list[TimedMessage], rate: int) -> list[Event]:
    """Notes and sustain pedal of a file as events of one part, timed in samples of rate.

    Channels are merged, all but the drums; programs, volumes and everything else in the file
    is ignored.
    """
    events: list[Event] = []
    for timed in messages:
        time, message = round(timed.seconds * rate), timed.message
        if timed.drums:
            continue
        if message.type == "note_on" and message.velocity:
            events.append(NoteOn(time, PART, message.note, message.velocity))
        elif message.type in ("note_on", "note_off"):
            events.append(NoteOff(time, PART, message.note))
        elif message.type == "control_change" and message.control == SUSTAIN:
            events.append(Pedal(time, PART, SUSTAIN, message.value >= 64))
    return events


def within(events: list[Event], keys: tuple[int, int]) -> list[Event]:
    """The same events without the notes below the first or above the second of keys."""
    low, high = keys
    return [e for e in events if not isinstance(e, NoteOn | NoteOff) or low <= e.key <= high]


def excerpt(events: list[Event], start: int, stop: int) -> list[Event]:
    """What happens from sample start to stop, timed from start; the last keys are let go.

    Keys already down at start are left out; a pedal already down is put down at 0.
    """
    pedal = [e for e in events if isinstance(e, Pedal) and e.time < start]
    cut: list[Event] = [Pedal(0, PART, SUSTAIN, True)] if pedal and pedal[-1].down else []
    down: set[int] = set()
    for event in events:
        if not start <= event.time < stop:
            continue
        time = event.time - start
        match event:
            case NoteOn(key=key, velocity=velocity):
                down.add(key)
                cut.append(NoteOn(time, PART, key, velocity))
            case NoteOff(key=key) if key in down:
                down.discard(key)
                cut.append(NoteOff(time, PART, key))
            case Pedal(down=is_down):
                cut.append(Pedal(time, PART, SUSTAIN, is_down))
    cut += [NoteOff(stop - start, PART, key) for key in sorted(down)]
    return [*cut, Pedal(stop - start, PART, SUSTAIN, False)]


KINDS = ("run", "held", "long", "repeated", "chords")
KIND_SHARES = (0.15, 0.15, 0.35, 0.2, 0.15)
"""Long ones are held for most of the etude: no piece tells what a tone does after four seconds."""
REGISTERS = ((21, 46), (48, 85), (21, 109))
"""Low keys, the middle, all: an etude keeps to one of them."""
REGISTER_SHARES = (0.3, 0.35, 0.35)
VELOCITIES = (10, 127)
KEY_ONSET_S, KEY_VELOCITY = 0.2, 80
"""Of a key that is played alone."""
STEPS = {"chromatic": range(12), "major": (0, 2, 4, 5, 7, 9, 11), "random": range(12)}


def etude(
    random: np.random.Generator, rate: int, seconds: float, keys: tuple[int, int] = KEYS
) -> list[Event]:
    """A made-up study of some seconds: a run, held notes, repeated notes or chords.

    keys: the lowest and the highest one in it.
    """
    kind = random.choice(KINDS, p=KIND_SHARES)
    velocity = _velocities(random)
    low, high = keys[0], keys[1] + 1
    bottom, top = REGISTERS[random.choice(len(REGISTERS), p=REGISTER_SHARES)]
    if max(low, bottom) < min(high, top):
        low, high = max(low, bottom), min(high, top)
    if kind == "long":
        return _events_of(_long_strikes(random, seconds, range(low, high), velocity), rate)
    steps = random.choice(list(STEPS))
    # A narrow range may lie between the steps of a scale.
    allowed = [key for key in range(low, high) if key % 12 in STEPS[steps]]
    allowed = allowed or list(range(low, high))
    at, going, place = 0.1, 1, int(random.integers(len(allowed)))
    strikes: list[Strike] = []
    pace = {"run": 0.25, "held": 1.6, "repeated": 0.3, "chords": 1.0}[kind]
    pace *= float(np.exp(random.normal(0, 0.4)))
    while at < seconds - 0.3:
        length = pace * float(random.uniform(0.3, 1.1))
        if kind == "held":
            length *= float(random.uniform(0.5, 2.0))
        count = min(int(random.integers(2, 6)), high - low) if kind == "chords" else 1
        if steps == "random" or kind in ("held", "chords"):
            place = int(random.integers(len(allowed)))
        elif kind == "run" or random.random() < 0.25:
            going = -going if not 0 <= place + going < len(allowed) else going
            place = min(max(place + going, 0), len(allowed) - 1)
        struck = {allowed[place]}
        while len(struck) < count:
            struck.add(int(np.clip(allowed[place] + random.integers(-12, 13), low, high - 1)))
        strikes += [(at, min(at + length, seconds), key, velocity()) for key in struck]
        at += pace
    return _events_of(strikes, rate)


def key_alone(rate: int, seconds: float, key: int) -> list[Event]:
    """One key, struck at `KEY_ONSET_S` and held to the end."""
    return _events_of([(KEY_ONSET_S, seconds, key, KEY_VELOCITY)], rate)


def _velocities(random: np.random.Generator) -> Callable[[], int]:
    """How hard an etude's keys are struck: each anyhow, or all about as hard as one another."""
    softest, hardest = VELOCITIES
    if random.random() < 0.5:
        return lambda: int(random.integers(softest, hardest + 1))
    usual = random.uniform(softest, hardest)
    return lambda: int(np.clip(random.normal(usual, 12), softest, hardest))


def _long_strikes(
    random: np.random.Generator, seconds: float, keys: range, velocity: Callable[[], int]
) -> list[Strike]:
    """One to five keys, struck within a second or one after the other, held almost to the end."""
    count = min(int(random.integers(1, 6)), len(keys))
    chosen = random.choice(keys, count, replace=False)
    latest = random.choice([0.1, 1.0, seconds / 3])
    starts = random.uniform(0.1, max(latest, 0.1), count)
    ends = np.maximum(random.uniform(0.65, 1.0, count) * seconds, starts + 0.2)
    return [
        (float(start), min(float(end), seconds), int(key), velocity())
        for start, end, key in zip(starts, ends, chosen, strict=True)
    ]


def _events_of(strikes: list[Strike], rate: int) -> list[Event]:
    """Strikes (start s, end s, key, velocity) as events; a key ends before it starts again."""
    events: list[Event] = []
    again: dict[int, int] = {}
    for start, end, key, velocity in sorted(strikes, reverse=True):
        on, off = round(start * rate), round(end * rate)
        # Without its own end, an earlier strike would cut the later one short.
        events.append(NoteOff(min(off, again.get(key, off + 1) - 1), PART, key))
        events.append(NoteOn(on, PART, key, velocity))
        again[key] = on
    return sorted(events, key=lambda e: (e.time, isinstance(e, NoteOn)))


def to_message(event: Event) -> mido.Message:
    """The MIDI message of an event of `score_events`, for a renderer or a file."""
    match event:
        case NoteOn(key=key, velocity=velocity):
            return mido.Message("note_on", note=key, velocity=velocity)
        case NoteOff(key=key):
            return mido.Message("note_off", note=key)
        case Pedal(number=number, down=down):
            return mido.Message("control_change", control=number, value=127 if down else 0)
    raise TypeError(f"no MIDI message for {event}")
