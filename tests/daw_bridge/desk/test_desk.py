"""The desk's knobs reach the engine as whole timbres and levels, or are refused at once."""

from __future__ import annotations

import math
import threading

import pytest

from daw_bridge.desk.desk import Desk
from daw_bridge.events import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    PARTS,
    RESET_CONTROLLERS,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    AllNotesOff,
    AllSoundOff,
    Bend,
    Level,
    NoteOn,
    Pedal,
    Timbre,
)
from daw_bridge.inbox import Inbox
from daw_bridge.windows import Windows, stereo_gain


def test_all_parts_start_on_the_first_patch(desk, posted):
    desk.announce(0)
    assert posted == [
        event for part in PARTS for event in (Timbre(0, part, (0.0, 1.0)), Level(0, part, 0, 0))
    ]


def test_without_a_time_it_is_now(desk, posted):
    desk.pan(1, 1)
    assert posted == [Level(777, 1, 0.0, 1.0)]


def test_timbre_and_coordinate_move_the_base_under_the_knobs(desk, posted):
    desk.knob(3, "brightness", 1, 10)
    desk.timbre(3, (5, 6.0), 20)
    desk.coordinate(3, 1, -1, 30)
    assert posted == [
        Timbre(10, 3, (0.5, 1.0)),
        Timbre(20, 3, (5.5, 6.0)),
        Timbre(30, 3, (5.5, -1.0)),
    ]
    assert desk.settings(3).embedding == (5.0, -1.0)
    assert desk.effective(3) == (5.5, -1.0)
    assert desk.settings(4).embedding == (0.0, 1.0)


def test_a_patch_brings_knobs_gain_and_pan_but_not_the_mixers_level(desk, posted):
    desk.expression(1, 64, 5)
    desk.patch(1, "organ", 10)
    assert posted[1:] == [
        Timbre(10, 1, (2.0, -2.0)),
        Level(10, 1, pytest.approx(-6 - 11.91, abs=0.01), 0.5),
    ]
    assert desk.settings(1).expression == 64


def test_programs_find_their_patches(desk):
    desk.program(1, 19)
    assert desk.settings(1).patch == "organ"
    with pytest.raises(ValueError, match="program: no patch for 7; this bank has: 0, 19"):
        desk.program(1, 7)
    assert desk.settings(1).patch == "organ"


def test_a_morph_ends_on_its_patches(desk):
    for amount, name in ((0, "piano"), (1.0, "organ")):
        desk.morph(2, "piano", "organ", amount)
        desk.patch(3, name)
        assert desk.effective(2) == desk.effective(3)
        assert desk.settings(2).gain_db == desk.settings(3).gain_db


def test_the_wheel_morphs_to_the_next_patch_and_back(desk):
    desk.control(1, 1, 127)
    assert desk.effective(1) == (2.0, -2.0)
    desk.control(1, 1, 0)
    assert desk.effective(1) == (0.0, 1.0)
    desk.morph(1, "harp", "organ", 0)
    desk.control(1, 1, 127)
    assert desk.settings(1).embedding == (2.0, -1.0)


def test_a_wheel_already_at_rest_does_not_undo_a_timbre(desk, posted):
    desk.timbre(1, (7, 7))
    posted.clear()
    desk.control(1, 1, 0)
    desk.control(1, RESET_CONTROLLERS, 0, 5)
    assert desk.settings(1).embedding == (7.0, 7.0)
    assert [type(event) for event in posted] == [Pedal] * 3


def test_the_last_patch_morphs_to_the_first(desk):
    desk.patch(1, "harp")
    desk.control(1, 1, 127)
    assert desk.effective(1) == (0.0, 1.0)


@pytest.mark.parametrize(("value", "pan"), [(0, -1), (1, -1), (64, 0), (127, 1)])
def test_pan_64_is_the_middle(desk, value, pan):
    desk.control(1, 10, value)
    assert desk.settings(1).pan == pytest.approx(pan)


def test_volume_0_is_silence(desk, posted):
    desk.control(1, 7, 0, 5)
    assert posted == [Level(5, 1, -math.inf, 0.0)]


@pytest.mark.parametrize("number", [SUSTAIN, SOSTENUTO, SOFT])
def test_pedals_are_down_from_half_way(desk, posted, number):
    for value in (63, 64, 127.0):
        assert desk.control(2, number, value, 9)
    assert posted == [Pedal(9, 2, number, down) for down in (False, True, True)]


def test_channel_modes(desk, posted):
    desk.expression(1, 1, 0)
    desk.control(1, SUSTAIN, 127, 0)
    posted.clear()
    desk.control(1, RESET_CONTROLLERS, 0, 5)
    desk.control(1, ALL_NOTES_OFF, 0, 6)
    desk.control(1, ALL_SOUND_OFF, 0, 7)
    pedals = [Pedal(5, 1, number, False) for number in (SUSTAIN, SOSTENUTO, SOFT)]
    assert posted == [*pedals, Level(5, 1, 0.0, 0.0), AllNotesOff(6, 1), AllSoundOff(7, 1)]


def dial(desk: Desk, part: int, *turns: tuple[int, int]) -> list[bool]:
    return [desk.control(part, number, value, 0) for number, value in turns]


def test_the_pitch_wheel_bends_by_its_range(desk, posted):
    desk.pitch_wheel(1, 4096, 1)
    assert all(dial(desk, 1, (101, 0), (100, 0), (6, 12)))
    desk.pitch_wheel(1, -8192, 2)
    assert dial(desk, 1, (38, 50)) == [True]
    desk.pitch_wheel(1, 4096, 3)
    assert posted == [Bend(1, 1, 1.0), Bend(2, 1, -12.0), Bend(3, 1, 6.25)]
    assert desk.settings(2).bend_range == 2.0


def test_a_range_beyond_what_can_be_bent_keeps_its_scale(desk, posted):
    dial(desk, 1, (101, 0), (100, 0), (6, 48))
    for value in (8192 // 48, 8191, -8192):
        desk.pitch_wheel(1, value, 0)
    near = Bend(0, 1, pytest.approx(1.0, abs=0.01))
    assert posted == [near, Bend(0, 1, 24.0), Bend(0, 1, -24.0)]


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [(101, 0), (100, 1)],
        [(101, 0), (100, 0), (101, 127), (100, 127)],
        [(101, 0), (100, 0), (99, 0), (98, 0)],
        [(101, 0), (100, 0), (RESET_CONTROLLERS, 0)],
    ],
)
def test_data_for_other_parameters_is_not_the_wheels(desk, turns):
    dial(desk, 1, *turns)
    assert dial(desk, 1, (6, 12), (38, 3)) == [False, False]
    assert desk.settings(1).bend_range == 2.0


def test_a_bend_outlives_the_patch_and_ends_with_a_reset(desk, posted):
    desk.bend(1, 7, 0)
    desk.patch(1, "organ", 1)
    assert desk.settings(1).bend == 7
    posted.clear()
    desk.announce(2)
    assert [e for e in posted if isinstance(e, Bend)] == [Bend(2, 1, 7)]
    desk.control(1, RESET_CONTROLLERS, 0, 3)
    assert posted[-1] == Bend(3, 1, 0.0)


def test_74_is_brightness_and_71_the_first_coordinate(desk):
    assert desk.control(1, 74, 127)
    assert desk.settings(1).knobs["brightness"] == 1.0
    for value, expected in ((0, -1.0), (127, 2.0)):  # from the harp's to the organ's
        assert desk.control(1, 71, value)
        assert desk.settings(1).embedding == (expected, 1.0)


def test_without_brightness_74_and_71_are_coordinates(book, posted):
    book.knobs = {}
    desk = Desk(book, posted.append, now=lambda: 0)
    assert desk.control(1, 74, 127) and desk.control(1, 71, 0)
    assert desk.settings(1).embedding == (2.0, -1.0)


def test_unknown_controllers_mean_nothing(desk, posted):
    assert not any(desk.control(1, number, 64) for number in (0, 2, 32, 91, 127))
    assert posted == []


NAN = math.nan


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (lambda d: d.pan(1, 1.5), r"^pan: 1.5 is not a number from -1 to 1$"),
        (lambda d: d.pan(1, "left"), "pan: 'left'"),
        (lambda d: d.pan(1, True), "pan: True"),
        (lambda d: d.pan(0, 0), "part: 0 is not a whole number from 1 to 16"),
        (lambda d: d.pan(17, 0), "part: 17"),
        (lambda d: d.bend(1, 24.1), "bend: 24.1 is not a number from -24 to 24"),
        (lambda d: d.pitch_wheel(1, 8192), "pitch wheel: 8192 is not a number from -8192 to 8191"),
        (lambda d: d.gain_db(1, 24.1), "gain_db: 24.1 is not a number from -120 to 24"),
        (lambda d: d.gain_db(1, -math.inf), "gain_db: -inf"),
        (lambda d: d.volume(1, 128), "volume: 128"),
        (lambda d: d.expression(1, NAN), "expression: nan"),
        (lambda d: d.knob(1, "bite", 0.5), "no 'bite' in this bank; it has: brightness, breath"),
        (lambda d: d.knob(1, "breath", 1.1), "knob breath: 1.1"),
        (lambda d: d.timbre(1, (1.0,)), "timbre: 1 numbers given, this bank has 2"),
        (lambda d: d.timbre(1, (1.0, NAN)), "timbre coordinate 1: nan"),
        (lambda d: d.coordinate(1, 2, 0.0), "timbre coordinate: 2 is not a whole number from 0 to"),
        (lambda d: d.coordinate(1, 0, 1e9), "timbre coordinate 0: 1000000000.0"),
        (lambda d: d.morph(1, "piano", "kazoo", 0.5), "no 'kazoo' in this bank; it has: piano"),
        (lambda d: d.morph(1, "piano", "harp", 1.01), "morph: 1.01"),
        (lambda d: d.patch(1, "../../etc/passwd"), "patch: no '../../etc/passwd'"),
        (lambda d: d.program(1, 128), "program: 128"),
        (lambda d: d.control(1, 128, 0), "controller: 128"),
        (lambda d: d.control(1, 7, -1), "controller 7: -1"),
        (lambda d: d.save(1, "../x"), "patch name '../x'"),
        (lambda d: d.save(1, "organ"), "taken"),
        (lambda d: d.save(99, "fresh"), "part: 99"),
    ],
)
def test_mistakes_are_named_and_change_nothing(desk, posted, book, turn, message):
    before = [desk.settings(part) for part in PARTS]
    names = book.names
    with pytest.raises(ValueError, match=message) as refused:
        turn(desk)
    assert "\n" not in str(refused.value)
    assert [desk.settings(part) for part in PARTS] == before
    assert posted == []
    assert book.names == names


def test_a_saved_patch_sounds_the_same_wherever_it_is_loaded(desk):
    desk.morph(1, "piano", "organ", 0.3)
    desk.knob(1, "brightness", 0.9)
    desk.pan(1, -0.25)
    assert desk.save(1, "mine").patch == "mine"
    desk.patch(2, "mine")
    assert desk.effective(2) == desk.effective(1)
    assert desk.settings(2) == desk.settings(1)
    assert desk.names[-1] == "mine"


def test_saving_over_a_patch_must_be_asked_for(desk):
    desk.timbre(1, (9, 9))
    desk.save(1, "harp", overwrite=True)
    desk.patch(2, "harp")
    assert desk.settings(2).embedding == (9.0, 9.0)


def test_a_snapshot_is_not_changed_by_later_turns(desk):
    before = desk.settings(1)
    desk.knob(1, "breath", 0.0)
    assert before.knobs["breath"] == 0.5
    with pytest.raises(TypeError):
        before.knobs["breath"] = 1.0


def test_what_was_posted_last_is_how_the_knobs_stand(desk, posted):
    """Two threads turning at once: state and events agree on who was last."""

    def turn(name: str) -> None:
        for k in range(500):
            desk.knob(1, name, (k % 100) / 100)

    turners = [threading.Thread(target=turn, args=(name,)) for name in ("brightness", "breath")]
    for turner in turners:
        turner.start()
    for turner in turners:
        turner.join()
    assert posted[-1].embedding == desk.effective(1)


def test_what_is_scheduled_does_not_bring_back_what_was(desk, book):
    """A patch chosen while a knob's bundle waits: the engine ends where the desk stands."""
    inbox, windows = Inbox(), Windows(128, (0.0, 0.0))
    desk = Desk(book, inbox.post, lambda: 0)
    inbox.post(NoteOn(0, 1, 60, 100))
    desk.knob(1, "breath", 1.0, time=1280)
    desk.pan(1, 1.0, time=1280)
    desk.patch(1, "harp", time=0)
    for start in range(20):
        (window,) = windows.frames(inbox.take_until((start + 1) * 128), start, 1)
    assert desk.settings(1).patch == "harp"
    assert window.embedding[0].tolist() == pytest.approx(desk.effective(1))
    assert window.gain[0] == pytest.approx(stereo_gain(0, desk.settings(1).pan))
