"""MIDI controllers and wheels turn the knobs that MIDI says they turn."""

from __future__ import annotations

import math

import pytest

from common.window import PARTS
from daw_bridge.desk.controllers import Controllers
from daw_bridge.desk.desk import Desk
from daw_bridge.events import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    RESET_CONTROLLERS,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    AllNotesOff,
    AllSoundOff,
    Bend,
    Level,
    Pedal,
)


@pytest.fixture
def controllers(desk, posted) -> Controllers:
    return Controllers(desk, posted.append)


def test_the_wheel_morphs_to_the_next_patch_and_back(controllers, desk):
    controllers.control(1, 1, 127, 0)
    assert desk.effective(1) == (2.0, -2.0)
    controllers.control(1, 1, 0, 0)
    assert desk.effective(1) == (0.0, 1.0)
    desk.morph(1, "harp", "organ", 0)
    controllers.control(1, 1, 127, 0)
    assert desk.settings(1).embedding == (2.0, -1.0)


def test_a_wheel_already_at_rest_does_not_undo_a_timbre(controllers, desk, posted):
    desk.timbre(1, (7, 7))
    posted.clear()
    controllers.control(1, 1, 0, 0)
    controllers.control(1, RESET_CONTROLLERS, 0, 5)
    assert desk.settings(1).embedding == (7.0, 7.0)
    assert [type(event) for event in posted] == [Pedal] * 3


def test_the_last_patch_morphs_to_the_first(controllers, desk):
    desk.patch(1, "harp")
    controllers.control(1, 1, 127, 0)
    assert desk.effective(1) == (0.0, 1.0)


@pytest.mark.parametrize(("value", "pan"), [(0, -1), (1, -1), (64, 0), (127, 1)])
def test_pan_64_is_the_middle(controllers, desk, value, pan):
    controllers.control(1, 10, value, 0)
    assert desk.settings(1).pan == pytest.approx(pan)


def test_volume_0_is_silence(controllers, posted):
    controllers.control(1, 7, 0, 5)
    assert posted == [Level(5, 1, -math.inf, 0.0)]


@pytest.mark.parametrize("number", [SUSTAIN, SOSTENUTO, SOFT])
def test_pedals_are_down_from_half_way(controllers, posted, number):
    for value in (63, 64, 127.0):
        assert controllers.control(2, number, value, 9)
    assert posted == [Pedal(9, 2, number, down) for down in (False, True, True)]


def test_channel_modes(controllers, posted):
    controllers.control(1, 11, 1, 0)
    controllers.control(1, SUSTAIN, 127, 0)
    posted.clear()
    controllers.control(1, RESET_CONTROLLERS, 0, 5)
    controllers.control(1, ALL_NOTES_OFF, 0, 6)
    controllers.control(1, ALL_SOUND_OFF, 0, 7)
    pedals = [Pedal(5, 1, number, False) for number in (SUSTAIN, SOSTENUTO, SOFT)]
    assert posted == [*pedals, Level(5, 1, 0.0, 0.0), AllNotesOff(6, 1), AllSoundOff(7, 1)]


def dial(controllers: Controllers, part: int, *turns: tuple[int, int]) -> list[bool]:
    return [controllers.control(part, number, value, 0) for number, value in turns]


def test_the_pitch_wheel_bends_by_its_range(controllers, desk, posted):
    controllers.pitch_wheel(1, 4096, 1)
    assert all(dial(controllers, 1, (101, 0), (100, 0), (6, 12)))
    controllers.pitch_wheel(1, -8192, 2)
    assert dial(controllers, 1, (38, 50)) == [True]
    controllers.pitch_wheel(1, 4096, 3)
    bends = [1.0, 6.0, -12.0, -12.5, 6.25]
    assert [event.semitones for event in posted] == bends  # a range counts at once
    assert desk.settings(2).bend_range == 2.0


def test_a_bend_that_is_no_wheels_does_not_follow_the_range(controllers, desk):
    controllers.pitch_wheel(1, 4096, 1)
    desk.bend(1, 1.5)
    dial(controllers, 1, (101, 0), (100, 0), (6, 12))
    assert desk.settings(1).bent == 1.5


def test_a_range_beyond_what_can_be_bent_keeps_its_scale(controllers, posted):
    dial(controllers, 1, (101, 0), (100, 0), (6, 48))
    for value in (8192 // 48, 8191, -8192):
        controllers.pitch_wheel(1, value, 0)
    near = Bend(0, 1, pytest.approx(1.0, abs=0.01))
    far = Bend(0, 1, pytest.approx(48.0, abs=0.01))
    assert posted == [near, far, Bend(0, 1, -48.0)]
    dial(controllers, 1, (6, 96))
    controllers.pitch_wheel(1, 2048, 0)
    controllers.pitch_wheel(1, 8191, 0)
    assert [event.semitones for event in posted[3:]] == [24.0, 48.0]


@pytest.mark.parametrize(
    ("turns", "semitones"),
    [
        ([(100, 1), (6, 96), (38, 0)], 0.5),
        ([(100, 1), (6, 0), (38, 0)], -1.0),
        ([(100, 1), (6, 127), (38, 127)], 8191 / 8192),
        ([(100, 1), (6, 64), (38, 0)], 0.0),
        ([(100, 2), (6, 69), (38, 0)], 5.0),
        ([(100, 2), (6, 52)], -12.0),
        ([(100, 2), (6, 52), (38, 99), (100, 1), (6, 96)], -11.5),
        ([(100, 2), (6, 0)], -48.0),
    ],
)
def test_a_part_is_tuned_by_cents_and_semitones(controllers, desk, posted, turns, semitones):
    assert all(dial(controllers, 3, (101, 0), *turns))
    assert desk.settings(3).bent == pytest.approx(semitones)
    if semitones:
        assert posted[-1] == Bend(0, 3, pytest.approx(semitones))


@pytest.mark.parametrize(
    ("parameter", "steps", "stands"),
    [
        (0, (96, 96, 97, 96), lambda s: s.bend_range == 4.0),
        (0, (97,) * 5, lambda s: s.bend_range == 0.0),
        (1, (96, 96, 97), lambda s: s.cents == 1.0),
        (1, (97,) * 120, lambda s: s.cents == -100.0),
        (2, (96, 96), lambda s: s.semitones == 2),
        (2, (97,) * 80, lambda s: s.semitones == -64),
    ],
)
def test_parameters_go_up_and_down_by_steps(controllers, desk, parameter, steps, stands):
    turns = [(101, 0), (100, parameter), *((step, 0) for step in steps)]
    assert all(dial(controllers, 3, *turns))
    assert stands(desk.settings(3))


def test_a_makers_own_parameter_goes_by_steps_where_it_has_learnt_something(controllers, desk):
    dial(controllers, 3, (99, 2), (98, 44))
    assert dial(controllers, 3, (96, 0)) == [False]
    desk.learnt.bind("nrpn/300", "breath")
    dial(controllers, 3, *[(96, 0)] * 63)
    assert desk.settings(3).knobs["breath"] == 1.0
    dial(controllers, 3, (6, 0), (96, 0), (96, 0))
    assert desk.settings(3).knobs["breath"] == pytest.approx(2 / 128)
    assert dial(controllers, 3, (101, 127), (100, 127), (96, 0))[-1] is False


def test_tuning_and_wheel_add_up_and_only_the_wheel_is_reset(controllers, desk, posted):
    dial(controllers, 1, (101, 0), (100, 2), (6, 67))
    controllers.pitch_wheel(1, 4096, 0)
    assert posted[-1] == Bend(0, 1, 4.0)
    desk.patch(1, "organ", 0)
    controllers.control(1, RESET_CONTROLLERS, 0, 5)
    assert posted[-1] == Bend(5, 1, 3.0)


def test_a_reset_of_the_device_leaves_patches_and_notes(controllers, desk, posted):
    desk.patch(2, "organ")
    dial(controllers, 2, (7, 20), (10, 0), (11, 3), (101, 0), (100, 2), (6, 70), (126, 1))
    controllers.pitch_wheel(2, 8191, 0)
    posted.clear()
    controllers.reset_device(9)
    now = desk.settings(2)
    assert (now.patch, now.volume, now.pan, now.expression, now.bent) == ("organ", 100, 0.5, 127, 0)
    assert controllers.mono == set()
    assert not [e for e in posted if isinstance(e, AllNotesOff | AllSoundOff)]
    assert [e.part for e in posted if isinstance(e, Pedal) and e.number == SUSTAIN] == [*PARTS]


@pytest.mark.parametrize("mode", [123, 124, 125, 126, 127])
def test_every_mode_lets_the_keys_go(controllers, posted, mode):
    assert controllers.control(4, mode, 0, 8)
    assert posted == [AllNotesOff(8, 4)]


def test_pressure_turns_a_knob_upwards_from_where_it_is_at_home(controllers, desk, book):
    desk.knob(1, "brightness", 0.25)
    heard = []
    for value in (0, 127, 0):
        assert controllers.pressure(1, value, 0)
        heard.append(desk.settings(1).knobs["brightness"])
    assert heard == [0.25, 1.0, 0.25]


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [(101, 0), (100, 5)],
        [(101, 0), (100, 0), (101, 127), (100, 127)],
        [(101, 0), (100, 0), (99, 0), (98, 0)],
        [(101, 0), (100, 0), (RESET_CONTROLLERS, 0)],
    ],
)
def test_data_for_other_parameters_is_not_the_wheels(controllers, desk, turns):
    dial(controllers, 1, *turns)
    assert dial(controllers, 1, (6, 12), (38, 3)) == [False, False]
    assert desk.settings(1).bend_range == 2.0


def test_a_bend_outlives_the_patch_and_ends_with_a_reset(controllers, desk, posted):
    desk.bend(1, 7, 0)
    desk.patch(1, "organ", 1)
    assert desk.settings(1).bend == 7
    posted.clear()
    desk.announce(2)
    assert [e for e in posted if isinstance(e, Bend)] == [Bend(2, 1, 7)]
    controllers.control(1, RESET_CONTROLLERS, 0, 3)
    assert posted[-1] == Bend(3, 1, 0.0)


def test_74_is_brightness_and_71_the_first_coordinate(controllers, desk):
    assert controllers.control(1, 74, 127, 0)
    assert desk.settings(1).knobs["brightness"] == 1.0
    for value, expected in ((0, -8.0), (127, 8.0)):  # what the bank was trained on
        assert controllers.control(1, 71, value, 0)
        assert desk.settings(1).embedding == (expected, 1.0)


def test_without_brightness_74_and_71_are_coordinates(book, posted):
    book.knobs = {}
    desk = Desk(book, posted.append, now=lambda: 0)
    controllers = Controllers(desk, posted.append)
    assert controllers.control(1, 74, 127, 0) and controllers.control(1, 71, 0, 0)
    assert desk.settings(1).embedding == (8.0, -8.0)


def turned(controllers: Controllers, desk: Desk, number: int) -> list[float]:
    """Where a coordinate or brightness is with a controller at 0, 32, 64, 96 and 127."""
    found = []
    for value in (0, 32, 64, 96, 127):
        assert controllers.control(1, number, value, 0)
        settings = desk.settings(1)
        found.append(settings.knobs["brightness"] if number == 74 else settings.embedding[0])
    return found


@pytest.mark.parametrize("patch", ["piano", "organ", "harp"])
def test_timbre_controllers_in_the_middle_leave_any_patch_as_saved(controllers, desk, patch):
    desk.patch(1, patch)
    saved = desk.settings(1)
    for number, low, high in ((71, -8.0, 8.0), (74, 0.0, 1.0)):
        ways = turned(controllers, desk, number)
        assert ways == sorted(ways) and (ways[0], ways[-1]) == (low, high)
        assert ways[1] == pytest.approx((low + ways[2]) / 2)
        controllers.control(1, number, 64, 0)
    assert desk.settings(1) == saved


def test_the_middle_is_where_a_morph_osc_or_a_save_has_been_last(controllers, desk):
    desk.morph(1, "piano", "organ", 0.25)
    controllers.control(1, 71, 64, 0)
    assert desk.settings(1).morph == 0.25
    controllers.control(1, 71, 100, 0)
    controllers.control(1, 71, 64, 0)
    assert desk.settings(1).embedding == (0.5, 0.5)
    desk.coordinate(1, 1, -0.75)
    desk.knob(1, "brightness", 0.75)
    for number in (71, 74):
        controllers.control(1, number, 100, 0)
        controllers.control(1, number, 64, 0)
    assert desk.settings(1).embedding == (0.5, -0.75)
    assert desk.settings(1).knobs["brightness"] == 0.75
    controllers.control(1, 71, 127, 0)
    desk.save(1, "mine")
    controllers.control(1, 71, 64, 0)
    assert desk.settings(1).embedding == (8.0, -0.75)


def test_an_end_gives_way_to_a_patch_beyond_it(controllers, desk):
    desk.timbre(1, (9.0, 0.0))
    assert turned(controllers, desk, 71) == [-8.0, pytest.approx(0.5), 9.0, 9.0, 9.0]


def test_unknown_controllers_mean_nothing(controllers, posted):
    assert not any(controllers.control(1, number, 64, 0) for number in (0, 2, 32, 91, 119))
    assert posted == []
