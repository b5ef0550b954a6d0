"""Scores to learn from: whole notes only, in order, and the same for the same seed."""

from __future__ import annotations

import mido
import numpy as np
import pytest

from daw_bridge.events import SUSTAIN, Event, NoteOff, NoteOn, Pedal
from daw_bridge.midi.file import TimedMessage
from daw_bridge.piano_roll import PianoRoll
from trainer.data.score import PART, etude, excerpt, score_events, to_message, within

RATE = 16_000


def check_whole(events: list[Event], length: int) -> None:
    """Every key goes down, then up, and the keyboard is left untouched within length."""
    assert [e.time for e in events] == sorted(e.time for e in events)
    down: dict[int, int] = {}
    for event in events:
        assert 0 <= event.time <= length
        match event:
            case NoteOn(time=time, key=key, velocity=velocity):
                assert key not in down and 21 <= key <= 108 and 1 <= velocity <= 127
                down[key] = time
            case NoteOff(time=time, key=key):
                assert time > down.pop(key)
    assert not down


@pytest.mark.parametrize("seed", range(60))
def test_an_etude_is_whole_notes_in_order(seed):
    events = etude(np.random.default_rng(seed), RATE, 18.5)
    assert any(isinstance(e, NoteOn) for e in events)
    check_whole(events, round(18.5 * RATE))


def test_an_etude_follows_from_its_seed():
    def made(seed: int) -> list[Event]:
        return etude(np.random.default_rng(seed), RATE, 10.0)

    assert made(3) == made(3)
    assert len({tuple(made(seed)) for seed in range(20)}) == 20


def test_etudes_reach_both_ends_of_the_keyboard():
    keys = {
        event.key
        for seed in range(60)
        for event in etude(np.random.default_rng(seed), RATE, 18.5)
        if isinstance(event, NoteOn)
    }
    assert min(keys) < 24 and max(keys) > 105


def test_etudes_hold_keys_long_strike_softly_and_hard_and_play_the_bass():
    held, velocities, low, total = [], set(), 0, 0
    for seed in range(120):
        down: dict[int, int] = {}
        for event in etude(np.random.default_rng(seed), RATE, 18.5):
            match event:
                case NoteOn(time=time, key=key, velocity=velocity):
                    down[key] = time
                    velocities.add(velocity)
                    low, total = low + (key <= 45), total + 1
                case NoteOff(time=time, key=key):
                    held.append((time - down.pop(key)) / RATE)
    assert sum(seconds > 10 for seconds in held) >= 60 and max(held) > 17
    assert {10, 127} <= velocities and len(velocities) > 100
    assert 0.25 < low / total < 0.6


@pytest.mark.parametrize("keys", [(21, 96), (60, 60), (61, 63), (30, 40), (90, 108)])
def test_etudes_keep_to_the_keys_of_an_instrument(keys):
    for seed in range(60):
        events = etude(np.random.default_rng(seed), RATE, 18.5, keys)
        check_whole(events, round(18.5 * RATE))
        played = {event.key for event in events if isinstance(event, NoteOn)}
        assert played and keys[0] <= min(played) and max(played) <= keys[1]


def test_notes_outside_a_range_are_left_out_and_the_pedal_is_not():
    pedal = Pedal(5, PART, SUSTAIN, True)
    kept = [NoteOn(0, PART, 60, 80), pedal, NoteOff(9, PART, 60)]
    events = [NoteOn(0, PART, 59, 80), kept[0], pedal, NoteOn(6, PART, 62, 9), kept[2]]
    assert within([*events, NoteOff(9, PART, 59)], (60, 61)) == kept


def test_drums_are_no_notes():
    messages = [
        TimedMessage(0.0, mido.Message("note_on", channel=9, note=36, velocity=90), True),
        TimedMessage(0.0, mido.Message("control_change", channel=9, control=64, value=127), True),
        TimedMessage(0.5, mido.Message("note_off", channel=9, note=36), True),
    ]
    assert score_events(messages, RATE) == []


def test_an_excerpt_is_timed_from_its_start_and_lets_the_last_keys_go():
    events = [NoteOn(100, PART, 60, 80), NoteOn(150, PART, 64, 70), NoteOff(170, PART, 60)]
    assert excerpt(events, 90, 160) == [
        NoteOn(10, PART, 60, 80),
        NoteOn(60, PART, 64, 70),
        NoteOff(70, PART, 60),
        NoteOff(70, PART, 64),
        Pedal(70, PART, SUSTAIN, False),
    ]


def test_an_excerpt_leaves_out_keys_that_were_down_before_it():
    events = [NoteOn(0, PART, 60, 80), NoteOff(150, PART, 60), NoteOn(160, PART, 60, 50)]
    assert excerpt(events, 100, 200) == [
        NoteOn(60, PART, 60, 50),
        NoteOff(100, PART, 60),
        Pedal(100, PART, SUSTAIN, False),
    ]


@pytest.mark.parametrize(
    ("moves", "begins_down"),
    [([(10, True)], True), ([(10, True), (90, False)], False), ([], False)],
)
def test_an_excerpt_begins_with_the_pedal_as_it_stands(moves, begins_down):
    pedal = [Pedal(time, PART, SUSTAIN, down) for time, down in moves]
    cut = excerpt([*pedal, NoteOn(120, PART, 60, 80)], 100, 200)
    assert (cut[0] == Pedal(0, PART, SUSTAIN, True)) is begins_down


def test_a_start_belongs_to_the_excerpt_and_a_stop_to_the_next():
    events = [NoteOn(time, PART, key, 80) for time, key in ((100, 60), (200, 62))]
    first, second = excerpt(events, 100, 200), excerpt(events, 200, 300)
    assert [e.key for e in first if isinstance(e, NoteOn)] == [60]
    assert [e.key for e in second if isinstance(e, NoteOn)] == [62]


@pytest.mark.parametrize("start", [0.0, 3.3, 9.9])
def test_an_excerpt_of_whole_notes_is_whole_and_ends_in_silence(start):
    events = etude(np.random.default_rng(4), RATE, 18.5)
    cut = excerpt(events, round(start * RATE), round((start + 5) * RATE))
    check_whole(cut, 5 * RATE)
    roll = PianoRoll(128).frames(cut, 0, 5 * 125 + 10)
    assert roll[:-10].any() and not roll[-9:].any()


def test_a_file_becomes_notes_and_pedal_of_one_part():
    def timed(seconds: float, kind: str, **fields: int) -> TimedMessage:
        return TimedMessage(seconds, mido.Message(kind, **fields))

    messages = [
        timed(0.0, "program_change", program=5),
        timed(0.5, "note_on", channel=0, note=60, velocity=90),
        timed(0.5, "control_change", control=7, value=10),
        timed(0.75, "note_on", channel=1, note=64, velocity=70),
        timed(1.0, "control_change", control=64, value=64),
        timed(1.25, "note_on", channel=0, note=60, velocity=0),
        timed(1.5, "note_off", channel=1, note=64),
        timed(1.75, "control_change", control=64, value=63),
    ]
    assert score_events(messages, RATE) == [
        NoteOn(8_000, PART, 60, 90),
        NoteOn(12_000, PART, 64, 70),
        Pedal(16_000, PART, SUSTAIN, True),
        NoteOff(20_000, PART, 60),
        NoteOff(24_000, PART, 64),
        Pedal(28_000, PART, SUSTAIN, False),
    ]


def test_events_survive_the_way_to_messages_and_back():
    events = [*etude(np.random.default_rng(1), RATE, 4.0), Pedal(4 * RATE, PART, SUSTAIN, True)]
    messages = [TimedMessage(event.time / RATE, to_message(event)) for event in events]
    assert score_events(messages, RATE) == events
