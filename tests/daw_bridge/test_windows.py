"""Windows: what each part plays, frame by frame, and nothing for parts that never played."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.window import KEYS, LOWEST_KEY, ROLL_CHANNELS, Window, row_of
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
from daw_bridge.windows import Windows, stereo_gain

HOP = 128
START = (0.5, -1.0)
MIDDLE = stereo_gain(0, 0)


def at(frame: float) -> int:
    return int(frame * HOP)


def play(events: list[Event], frames: int, block: int | None = None) -> dict[int, Window]:
    """Whole windows by row; block by block, what a voice does before it appears is left out."""
    windows, found = Windows(HOP, START), {}
    for start in range(0, frames, block or frames):
        count = min(block or frames, frames - start)
        due = [e for e in events if e.time < at(start + count) and not e.time < at(start)]
        for window in windows.frames(due, start, count):
            found.setdefault(window.row, []).append(window)
    return {row: joined(pieces) for row, pieces in found.items()}


def joined(pieces: list[Window]) -> Window:
    names = ("roll", "embedding", "gain", "bend", "cut")
    arrays = [np.concatenate([getattr(p, name) for p in pieces]) for name in names]
    late = np.concatenate([p.lateness for p in pieces])
    return Window(pieces[0].part, *arrays, pieces[0].voice, late)


def test_a_part_appears_with_its_first_note_and_stays():
    windows = Windows(HOP, START)
    assert windows.frames([], 0, 4) == []
    settings = [Timbre(at(4), 3, (9.0, 9.0)), Pedal(at(4), 3, SUSTAIN, True), Level(at(4), 3, 0, 0)]
    assert windows.frames(settings, 4, 4) == []
    assert [w.part for w in windows.frames([NoteOn(at(8), 2, 60, 100)], 8, 4)] == [2]
    assert [w.part for w in windows.frames([NoteOn(at(12), 1, 60, 100)], 12, 4)] == [1, 2]
    assert [w.part for w in windows.frames([NoteOff(at(16), 5, 60)], 16, 4)] == [1, 2]


def test_a_part_that_is_still_goes_on_as_it_last_was():
    """Its window is not made anew, until something happens to it."""
    windows = Windows(HOP, START)
    windows.frames([NoteOn(at(0), 2, 60, 100), NoteOff(at(1), 2, 60)], 0, 2)
    (still,), (again,) = (windows.frames([], start, 1) for start in (2, 3))
    assert again is still and not still.roll.any()
    (moved,) = windows.frames([Level(at(4), 2, 0, -1)], 4, 1)
    assert moved.gain.tolist() == [stereo_gain(0, -1).tolist()]
    (struck,) = windows.frames([NoteOn(at(5), 2, 62, 100)], 5, 1)
    assert struck.roll.any()
    (longer,) = windows.frames([], 6, 3)
    assert longer.roll.shape == (3, ROLL_CHANNELS) and longer.roll[:, 62 - LOWEST_KEY].all()


def test_shapes_and_starting_values():
    window = play([NoteOn(0, 1, 60, 127)], 5)[1]
    assert window.roll.shape == (5, ROLL_CHANNELS) and window.roll.dtype == np.float32
    assert np.array_equal(window.embedding, np.tile(np.float32(START), (5, 1)))
    assert np.array_equal(window.gain, np.tile(MIDDLE, (5, 1)))
    assert window.gain.dtype == window.embedding.dtype == np.float32
    assert window.cut.tolist() == [False] * 5


def test_onsets_are_told_to_the_sample():
    window = play([NoteOn(37, 1, 60, 127), NoteOn(at(2.5), 1, 64, 127)], 5, block=2)[1]
    found = {(t, k + LOWEST_KEY): window.late[t, k] for t, k in np.argwhere(window.late)}
    assert found == {(0, 60): np.float32(37 / HOP), (2, 64): 0.5}


def test_what_is_set_before_the_first_note_holds_for_it():
    events = [
        Timbre(at(1), 1, (2.0, 3.0)),
        Level(at(2), 1, -6.0, 1.0),
        Pedal(at(3), 1, SUSTAIN, True),
        NoteOn(at(20), 1, 60, 127),
        NoteOff(at(21), 1, 60),
    ]
    window = play(events, 32, block=8)[1]
    assert (window.embedding == (2.0, 3.0)).all()
    assert np.array_equal(window.gain, np.tile(stereo_gain(-6.0, 1.0), (16, 1)))
    assert window.roll[:, 60 - LOWEST_KEY].tolist() == [0] * 4 + [1] * 12


def test_settings_change_on_the_frame_of_their_time():
    events = [
        NoteOn(0, 1, 60, 100),
        Timbre(at(2.9), 1, (1.0, 1.0)),
        Level(at(3), 1, 0.0, -1.0),
        Bend(at(3.5), 1, 2.0),
        AllSoundOff(at(4.5), 1),
        Timbre(at(5), 1, (2.0, 2.0)),
        Timbre(at(5.5), 1, (3.0, 3.0)),
        Bend(at(6), 1, -0.5),
    ]
    window = play(events, 7)[1]
    assert window.embedding[:, 0].tolist() == [0.5, 0.5, 1, 1, 1, 3, 3]
    assert np.array_equal(window.gain[:3], np.tile(MIDDLE, (3, 1)))
    assert np.allclose(window.gain[3:], [1, 0], atol=1e-7)
    assert window.bend.tolist() == [0, 0, 0, 2, 2, 2, -0.5]
    assert window.cut.tolist() == [False] * 4 + [True] + [False] * 2
    assert window.roll.any(axis=1).tolist() == [True] * 4 + [False] * 3


def test_a_setting_that_a_later_one_built_on_does_not_undo_it():
    events = [
        NoteOn(0, 1, 60, 100),
        Timbre(at(1), 1, (2.0, 0.0), serial=2),
        Level(at(1), 1, 0.0, 1.0, serial=3),
        Level(at(2), 1, 0.0, -1.0, serial=1),
        Timbre(at(3), 1, (1.0, 0.0), serial=1),
        Timbre(at(4), 1, (4.0, 0.0), serial=4),
    ]
    window = play(events, 5)[1]
    assert window.embedding[:, 0].tolist() == [0.5, 2, 2, 2, 4]
    assert np.allclose(window.gain[1:], [0, 1], atol=1e-7)


def sounding(window: Window) -> list[set[int]]:
    """The keys that sound in each frame."""
    return [{int(k) + LOWEST_KEY for k in np.flatnonzero(f[:KEYS])} for f in window.roll]


def patch_chosen(frame: float, number: int, x: float, gain_db: float, pan: float) -> list[Event]:
    """What a desk says when a part is given its so many-th patch."""
    settings = {"serial": 10 * number, "chosen": number}
    return [
        Timbre(at(frame), 1, (x, 0.0), **settings),
        Level(at(frame), 1, gain_db, pan, **settings),
    ]


@pytest.mark.parametrize("block", [1, 3, 12])
def test_notes_that_sound_keep_their_patch_and_the_next_take_the_new_one(block):
    events = [
        *patch_chosen(0, 1, 1.0, -6.0, -0.5),
        NoteOn(at(1), 1, 60, 100),
        *patch_chosen(3, 2, 2.0, 0.0, 0.5),
        Timbre(at(4), 1, (3.0, 0.0), serial=21, chosen=2),  # a knob
        NoteOn(at(5), 1, 64, 100),
        Bend(at(6), 1, 1.0),
        Level(at(7), 1, -10.0, 0.5, serial=21, chosen=2),  # the volume, for all that sounds
        NoteOff(at(8), 1, 60),
        NoteOff(at(10), 1, 64),
    ]
    found = play(events, 12, block)
    assert list(found) == [1, row_of(1, 1)]
    held, struck = found.values()
    assert (held.part, held.voice, struck.part, struck.voice) == (1, 0, 1, 1)
    rest = 12 - len(struck.roll)
    assert sounding(held)[-11:] == [{60}] * 7 + [set()] * 4
    assert [set()] * rest + sounding(struck) == [set()] * 5 + [{64}] * 5 + [set()] * 2
    assert (held.embedding[:, 0] == 1).all() and (struck.embedding[-7:, 0] == 3).all()
    louder = [stereo_gain(gain_db, pan) for gain_db, pan in ((-6, -0.5), (-16, -0.5))]
    np.testing.assert_allclose(held.gain[-11:], [louder[0]] * 6 + [louder[1]] * 5)
    assert np.array_equal(struck.gain[-7:], [stereo_gain(0, 0.5)] * 2 + [stereo_gain(-10, 0.5)] * 5)
    assert held.bend[-6:].tolist() == struck.bend[-6:].tolist() == [1] * 6


def test_a_patch_chosen_while_nothing_has_been_struck_takes_the_same_voice():
    events = [*patch_chosen(0, 1, 1.0, 0, 0), *patch_chosen(1, 2, 2.0, -3, 0)]
    events += [NoteOn(at(2), 1, 60, 100), *patch_chosen(3, 3, 3.0, 0, 0)]
    events += [*patch_chosen(4, 4, 4.0, 0, 1), NoteOn(at(5), 1, 64, 100)]
    # Two patches sound at most: the third one takes the voice of the first.
    events += [*patch_chosen(6, 5, 5.0, 0, 0), NoteOn(at(7), 1, 67, 100)]
    first, second = play(events, 9).values()
    assert first.embedding[2:, 0].tolist() == [2] * 4 + [5] * 3
    assert second.embedding[5:, 0].tolist() == [4] * 4
    assert sounding(first)[7] == {60, 67} and sounding(second)[7] == {64}
    assert np.array_equal(second.gain[5:], [stereo_gain(0, 1)] * 4)


def test_pedals_and_the_end_of_all_sound_count_for_both_patches():
    events = [
        NoteOn(0, 1, 60, 100),
        Pedal(at(1), 1, SUSTAIN, True),
        *patch_chosen(2, 1, 2.0, 0, 0),
        NoteOff(at(3), 1, 60),
        NoteOn(at(3), 1, 64, 100),
        NoteOn(at(4), 1, 67, 100),
        NoteOff(at(4), 1, 64),
        Pedal(at(5), 1, SUSTAIN, False),
        *patch_chosen(6, 2, 3.0, 0, 0),
        NoteOn(at(6), 1, 67, 100),  # the same key, which the patch before then lets go
        AllSoundOff(at(7), 1),
    ]
    first, second = play(events, 8).values()
    assert sounding(first) == [{60}] * 5 + [set(), {67}, set()]
    assert sounding(second) == [set()] * 3 + [{64}, {64, 67}, {67}, set(), set()]
    assert first.cut.tolist() == second.cut.tolist() == [False] * 7 + [True]


def test_a_muted_part_forgets_no_patch():
    """Of a level of nothing no difference can be told: both patches are at the new one then."""
    events = [NoteOn(0, 1, 60, 100), *patch_chosen(1, 1, 2.0, -math.inf, 0)]
    events += [Level(at(2), 1, -6.0, 0.0, serial=11, chosen=1)]
    (window,) = play(events, 3).values()
    assert np.array_equal(window.gain, [MIDDLE, stereo_gain(-math.inf, 0), stereo_gain(-6, 0)])


def test_late_events_act_on_the_first_frame():
    windows = Windows(HOP, START)
    windows.frames([NoteOn(0, 1, 60, 100)], 0, 8)
    late = [Timbre(at(2), 1, (4.0, 4.0)), AllSoundOff(at(3), 1), NoteOn(at(4), 1, 64, 127)]
    (window,) = windows.frames(late, 8, 2)
    assert (window.embedding == 4).all()
    assert window.cut.tolist() == [True, False]
    assert window.roll[:, 64 - LOWEST_KEY].tolist() == [1, 1]
    assert not window.roll[:, 60 - LOWEST_KEY].any()


def test_parts_do_not_touch_each_other():
    first = [NoteOn(0, 1, 60, 100), Timbre(at(1), 1, (1.0, 1.0)), NoteOff(at(4), 1, 60)]
    second = [NoteOn(at(1), 2, 64, 50), Level(at(2), 2, -3, 0.5), AllSoundOff(at(3), 2)]
    both = play(sorted(first + second, key=lambda e: e.time), 6)
    for part, events in ((1, first), (2, second)):
        alone = play(events, 6)[part]
        for name in ("roll", "embedding", "gain", "bend", "cut"):
            assert np.array_equal(getattr(both[part], name), getattr(alone, name)), name


@pytest.mark.parametrize("block", [1, 3, 16])
def test_block_size_changes_nothing(block):
    random = np.random.default_rng(1)
    events: list[Event] = [NoteOn(0, 1, 60, 99), NoteOn(0, 2, 50, 99)]
    for time in sorted(random.integers(0, at(90), 400).tolist()):
        part, key = int(random.integers(1, 3)), int(random.integers(50, 70))
        events.append(
            [
                NoteOn(time, part, key, int(random.integers(1, 128))),
                NoteOff(time, part, key),
                Timbre(time, part, tuple(random.normal(size=2).tolist())),
                Level(time, part, float(random.uniform(-60, 0)), float(random.uniform(-1, 1))),
                Bend(time, part, float(random.uniform(-2, 2))),
                AllSoundOff(time, part),
            ][random.choice(6, p=[0.3, 0.3, 0.12, 0.12, 0.12, 0.04])]
        )
    whole, cut = play(events, 90), play(events, 90, block)
    assert whole.keys() == cut.keys() == {1, 2}
    for part in whole:
        for name in ("roll", "embedding", "gain", "bend", "cut"):
            assert np.array_equal(getattr(whole[part], name), getattr(cut[part], name)), name
        assert whole[part].cut.any()


@pytest.mark.parametrize("pan", [-1.0, -0.3, 0.0, 0.7, 1.0])
def test_a_pan_keeps_the_power(pan):
    left, right = stereo_gain(-6.0, pan)
    assert math.hypot(left, right) == pytest.approx(10 ** (-6 / 20), rel=1e-6)
    assert (left > right) == (pan < 0) or pan == 0


def test_volume_0_is_silence():
    assert stereo_gain(-math.inf, 0.3).tolist() == [0.0, 0.0]
