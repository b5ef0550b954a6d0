"""Keys and pedals become columns as a pianist would expect, however the stream is cut."""

from __future__ import annotations

import random

import numpy as np
import pytest

from common.window import KEYS, LOWEST_KEY, ROLL_CHANNELS
from daw_bridge.events import (
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    AllNotesOff,
    AllSoundOff,
    Event,
    NoteOff,
    NoteOn,
    Pedal,
)
from daw_bridge.piano_roll import SOFT_PEDAL, PianoRoll

HOP = 128
KEY = 60


def on(frame: float, velocity: int = 127, key: int = KEY) -> NoteOn:
    return NoteOn(int(frame * HOP), 1, key, velocity)


def off(frame: float, key: int = KEY) -> NoteOff:
    return NoteOff(int(frame * HOP), 1, key)


def pedal(frame: float, down: bool, number: int = SUSTAIN) -> Pedal:
    return Pedal(int(frame * HOP), 1, number, down)


def keys_off(frame: float) -> AllNotesOff:
    return AllNotesOff(int(frame * HOP), 1)


def sound_off(frame: float) -> AllSoundOff:
    return AllSoundOff(int(frame * HOP), 1)


def play(events: list[Event], frames: int = 8) -> np.ndarray:
    return PianoRoll(HOP).frames(events, 0, frames)


def row(roll: np.ndarray, key: int = KEY) -> tuple[str, str]:
    """A key's channels as text, one character a frame: # full velocity, + less, . none."""
    marks = [
        "".join("." if x == 0 else "#" if x == 1 else "+" for x in roll[:, channel])
        for channel in (key - LOWEST_KEY, KEYS + key - LOWEST_KEY)
    ]
    return marks[0], marks[1]


@pytest.mark.parametrize(
    ("events", "sounding", "onsets"),
    [
        ([on(2), off(5)], "..###...", "..#....."),
        ([on(2.99), off(5.99)], "..###...", "..#....."),
        ([on(2), off(2.5)], "..#.....", "..#....."),
        ([on(2), off(2.5), on(2.6), off(4)], "..##....", "..#....."),
        ([on(1), off(3), on(3), off(5)], ".####...", ".#.#...."),
        ([on(1), on(3, 64), off(5)], ".##++...", ".#.+...."),
        ([on(1, 64), on(1.5, 127), off(3)], ".##.....", ".#......"),
        ([on(1, 127), on(1.5, 64), off(3)], ".##.....", ".#......"),
        ([on(1, 64), off(3), on(3.2), off(3.4)], ".++#....", ".+.#...."),
        ([off(1), on(2), off(3)], "..#.....", "..#....."),
    ],
    ids=[
        "a note",
        "an event acts on its whole frame",
        "on and off in one frame sounds for that frame",
        "struck twice in one frame",
        "released and struck again",
        "struck again while down",
        "the louder of two strikes in a frame",
        "the louder of two strikes, first",
        "a short note right after a long one",
        "a release of nothing",
    ],
)
def test_keys(events, sounding, onsets):
    assert row(play(events)) == (sounding, onsets)


@pytest.mark.parametrize(
    ("events", "sounding"),
    [
        ([pedal(0, True), on(1), off(2), pedal(5, False)], ".####..."),
        ([on(1), pedal(2, True), off(3), pedal(5, False)], ".####..."),
        ([on(1), off(2), pedal(3, True)], ".#......"),
        ([pedal(0, True), on(1), pedal(3, False), off(5)], ".####..."),
        ([pedal(0, True), on(1), off(1.5), pedal(1.7, False)], ".#......"),
        ([pedal(0, True), on(1), off(2), pedal(3, False), pedal(3, True)], ".##....."),
        ([on(1), pedal(2, True, SOSTENUTO), off(3), pedal(5, False, SOSTENUTO)], ".####..."),
        ([pedal(0, True, SOSTENUTO), on(1), off(3), pedal(5, False, SOSTENUTO)], ".##....."),
        ([on(1), pedal(2, True, SOSTENUTO), off(3), on(4, 64), off(5)], ".###++++"),
        (
            [on(1), pedal(2, True, SOSTENUTO), off(3), pedal(4, True, SOSTENUTO), off(5, 64)],
            ".#######",
        ),
        (
            [on(1), pedal(2, True, SOSTENUTO), pedal(2, True), off(3), pedal(4, False)],
            ".#######",
        ),
        (
            [on(1), pedal(2, True, SOSTENUTO), pedal(2, True), off(3), pedal(4, False, SOSTENUTO)],
            ".#######",
        ),
        ([on(1), pedal(2, True, SOFT), off(3)], ".##....."),
    ],
    ids=[
        "sustain holds",
        "sustain pressed late holds",
        "sustain does not raise the dead",
        "the key holds when the pedal goes",
        "all in one frame",
        "a quick change of pedal stops the sound",
        "sostenuto holds what is down",
        "sostenuto does not hold what comes later",
        "a captured key can be struck again",
        "sostenuto pressed twice captures once",
        "sostenuto holds without sustain",
        "sustain holds without sostenuto",
        "soft holds nothing",
    ],
)
def test_pedals(events, sounding):
    assert row(play(events))[0] == sounding


def test_sostenuto_holds_only_the_captured_key():
    events = [on(0), pedal(1, True, SOSTENUTO), on(2, key=64), off(3), off(3, key=64)]
    roll = play(events)
    assert row(roll)[0] == "########"
    assert row(roll, 64)[0] == "..#....."


def test_the_soft_pedal_softens_what_is_struck_while_it_is_down():
    events = [on(0, 100, 50), pedal(1, True, SOFT), on(2, 100, 51), pedal(3, False, SOFT)]
    roll = play([*events, on(4, 100, 52)])
    assert roll[5, 50 - LOWEST_KEY] == np.float32(100 / 127)
    assert roll[5, 51 - LOWEST_KEY] == np.float32(100 / 127 * SOFT_PEDAL)
    assert roll[2, KEYS + 51 - LOWEST_KEY] == roll[5, 51 - LOWEST_KEY]
    assert roll[5, 52 - LOWEST_KEY] == np.float32(100 / 127)


@pytest.mark.parametrize("velocity", [1, 64, 127])
def test_velocity_over_127_fills_both_halves(velocity):
    roll = play([on(1, velocity), off(4)])
    assert roll.shape == (8, ROLL_CHANNELS) and roll.dtype == np.float32
    wanted = np.zeros((8, ROLL_CHANNELS), np.float32)
    wanted[1:4, KEY - LOWEST_KEY] = velocity / 127
    wanted[1, KEYS + KEY - LOWEST_KEY] = velocity / 127
    assert np.array_equal(roll, wanted)


def test_all_notes_off_leaves_what_a_pedal_holds():
    held = [pedal(0, True), on(1), keys_off(3), pedal(5, False)]
    assert row(play(held))[0] == ".####..."
    captured = [on(1), pedal(2, True, SOSTENUTO), on(2, key=64), keys_off(3)]
    assert row(play(captured))[0] == ".#######"
    assert row(play(captured), 64)[0] == "..#....."
    assert row(play([on(1), on(1, key=64), keys_off(3)]))[0] == ".##....."
    assert row(play([on(1), keys_off(1.5)]))[0] == ".#......"


def test_all_sound_off_ends_keys_and_pedals():
    events = [pedal(0, True), pedal(0, True, SOFT), on(1), off(2), sound_off(3)]
    assert row(play([*events, on(4), off(6)])) == (".++.##..", ".+..#...")
    assert row(play([on(1), pedal(1, True, SOSTENUTO), sound_off(1.5)])) == ("." * 8, "." * 8)


@pytest.mark.parametrize("key", [0, 20, 109, 127])
def test_keys_a_piano_does_not_have_are_ignored(key):
    roll = PianoRoll(HOP)
    assert not roll.frames([on(0, key=key), off(1, key=key)], 0, 3).any()
    assert roll.silent


@pytest.mark.parametrize("key", [21, 108])
def test_the_outermost_keys_sound(key):
    assert row(play([on(1, key=key), off(3, key=key)]), key)[0] == ".##....."


def test_late_events_act_on_the_first_frame():
    roll = PianoRoll(HOP)
    roll.frames([], 0, 10)
    assert row(roll.frames([on(3), off(12)], 10, 4)) == ("##..", "#...")
    assert roll.silent
    # Both late: the note is still heard, for one frame.
    assert row(roll.frames([on(4), off(5)], 14, 4)) == ("#...", "#...")


def test_where_in_its_frame_an_onset_fell_is_known():
    """Of two in one frame, the first counts; one from before the frames came with the first."""
    events = [on(0.5, key=50), on(3.25), on(3.75, 90), off(4.5), on(5, key=61)]
    roll, late = PianoRoll(HOP).play(events, 2, 6)
    at = {LOWEST_KEY + int(key): float(late[t, key]) for t, key in np.argwhere(late)}
    assert late.shape == (6, KEYS) and late.dtype == np.float32
    assert at == {KEY: 0.25} and late[1, KEY - LOWEST_KEY] == 0.25
    onsets = np.argwhere(roll[:, KEYS:])
    assert onsets.tolist() == [[0, 50 - LOWEST_KEY], [1, KEY - LOWEST_KEY], [3, 61 - LOWEST_KEY]]


def test_silent_is_true_when_no_key_sounds():
    roll = PianoRoll(HOP)
    assert roll.silent
    roll.frames([pedal(0, True), on(0), off(1)], 0, 2)
    assert not roll.silent
    roll.frames([pedal(2, False)], 2, 1)
    assert roll.silent


def storm(frames: int, seed: int) -> list[Event]:
    """Everything at random, densely, on few keys: many events share a frame."""
    chance = random.Random(seed)
    events: list[Event] = []
    for time in sorted(chance.randrange(frames * HOP) for _ in range(4 * frames)):
        key, number = chance.randrange(58, 63), chance.choice((SUSTAIN, SOSTENUTO, SOFT))
        kinds = [
            NoteOn(time, 1, key, chance.randrange(1, 128)),
            NoteOff(time, 1, key),
            Pedal(time, 1, number, chance.random() < 0.5),
            AllNotesOff(time, 1),
            AllSoundOff(time, 1),
        ]
        events += chance.choices(kinds, [8, 8, 4, 1, 1])
    return events


@pytest.mark.parametrize("block", [1, 3, 16])
def test_block_size_does_not_change_the_roll(block):
    frames = 200
    events = storm(frames, seed=5)
    whole, late = PianoRoll(HOP).play(events, 0, frames)
    assert whole[:, :KEYS].any() and not whole.any(axis=1).all() and late.any()
    assert not late[whole[:, KEYS:] == 0].any()
    roll, cut = PianoRoll(HOP), []
    for start in range(0, frames, block):
        count = min(block, frames - start)
        due = [e for e in events if start * HOP <= e.time < (start + count) * HOP]
        cut.append(roll.play(due, start, count))
    for pieces, one in zip(zip(*cut, strict=True), (whole, late), strict=True):
        assert np.array_equal(np.concatenate(pieces), one)


def test_an_onset_always_comes_with_a_sounding_key():
    roll = play(storm(300, seed=6), 300)
    sounding, onsets = roll[:, :KEYS], roll[:, KEYS:]
    struck = onsets > 0
    assert struck.any()
    assert np.array_equal(sounding[struck], onsets[struck])
