"""The desk's knobs reach the engine as whole timbres and levels, or are refused at once."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest

from common.patch import Patch
from common.window import PARTS
from daw_bridge.desk.desk import Desk
from daw_bridge.events import (
    Level,
    NoteOn,
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
    desk.turn(1, 5, lambda s: replace(s, expression=64))
    desk.patch(1, "organ", 10)
    assert posted[1:] == [
        Timbre(10, 1, (2.0, -2.0)),
        Level(10, 1, pytest.approx(-6 - 11.91, abs=0.01), 0.5),
    ]
    assert desk.settings(1).expression == 64


def test_programs_find_their_patches(desk):
    desk.program(1, 19)
    assert desk.settings(1).patch == "organ"
    with pytest.raises(ValueError, match="program: no patch for 127; this bank has: 0, 19"):
        desk.program(1, 127)
    assert desk.settings(1).patch == "organ"


def test_a_program_without_a_patch_is_the_nearest_one_and_that_is_said_once(desk, caplog):
    for program in (68, 68, 5):  # an oboe and an electric piano, to a piano and an organ
        desk.program(3, program)
    assert desk.settings(3).patch == "piano"
    assert [record.getMessage() for record in caplog.records] == [
        "no patch for program 68 (reed): organ is the nearest",
        "no patch for program 5 (piano): piano is the nearest",
    ]


def test_a_morph_ends_on_its_patches(desk):
    for amount, name in ((0, "piano"), (1.0, "organ")):
        desk.morph(2, "piano", "organ", amount)
        desk.patch(3, name)
        assert desk.effective(2) == desk.effective(3)
        assert desk.settings(2).gain_db == desk.settings(3).gain_db


def test_a_part_stands_on_a_morph_until_its_base_is_moved(desk):
    assert desk.settings(1).morph is None
    desk.morph(1, "piano", "organ", 0.25)
    desk.pan(1, 1)
    assert desk.settings(1).morph == 0.25
    for leave in (
        lambda: desk.timbre(1, (1.0, 2.0)),
        lambda: desk.coordinate(1, 0, 1.0),
        lambda: desk.patch(1, "harp"),
        lambda: desk.save(1, "mine"),
    ):
        desk.morph(1, "piano", "organ", 0.25)
        leave()
        assert desk.settings(1).morph is None


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (lambda d: d.morph(1, "piano", "kazoo", 0.5), "no 'kazoo' in this bank; it has: piano"),
        (lambda d: d.patch(1, "../../etc/passwd"), "patch: no '../../etc/passwd'"),
        (lambda d: d.program(1, 127), "program: no patch for 127; this bank has: 0, 19"),
        (lambda d: d.save(1, "../x"), "patch name '../x'"),
        (lambda d: d.save(1, "organ"), "taken"),
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


def test_a_part_whose_patch_is_gone_sounds_on_under_another_name(desk, posted):
    desk.morph(1, "organ", "harp", 0.25)
    desk.patch(2, "harp")
    sound = [desk.effective(1), desk.effective(2)]
    del posted[:]
    desk.delete("harp")
    now = [desk.settings(1), desk.settings(2)]
    assert [(s.patch, s.towards) for s in now] == [("organ", "piano"), ("piano", "piano")]
    assert [desk.effective(1), desk.effective(2)] == sound and posted == []
    assert desk.undo() == ["harp"] and "harp" in desk.names


def test_a_part_follows_when_its_patch_is_renamed(desk):
    desk.patch(1, "harp")
    desk.rename("harp", "lyre")
    assert desk.settings(1).patch == "lyre" and desk.names == ["piano", "organ", "lyre"]
    assert desk.reload() == ["spoilt.yaml: not a patch"]


FAR = Patch("far", (50.0, -12.5), {"breath": 1.0})


@pytest.mark.parametrize(
    "turn",
    [
        lambda d: d.timbre(1, (1e30, -1e30)),
        lambda d: (d.coordinate(1, 0, 13.0), d.coordinate(1, 1, float("-inf"))),
        lambda d: d.patch(1, "far"),
        lambda d: d.morph(1, "harp", "far", 1),
        lambda d: (d.patch(1, "far"), d.save(1, "mine"), d.patch(1, "mine")),
    ],
    ids=["timbre", "coordinate", "patch", "morph", "saved"],
)
def test_nothing_gets_beyond_the_reach_of_the_bank(book, posted, turn):
    """A quarter of -8..8 more at each end, whatever moves the base, and the knobs on top."""
    book.add(FAR)
    desk = Desk(book, posted.append, lambda: 0)
    assert desk.reach == ((-12.0, 12.0), (-12.0, 12.0))
    turn(desk)
    assert desk.settings(1).embedding == (12.0, -12.0)
    desk.knob(1, "brightness", 1.0)
    desk.knob(1, "breath", 1.0)
    assert desk.effective(1) == (12.0, -12.0)
    played = [event.embedding for event in posted if isinstance(event, Timbre)]
    assert played[-1] == (12.0, -12.0)
    assert all(-12 <= x <= 12 for embedding in played for x in embedding)


def test_a_patch_out_of_reach_is_told_once(book, posted, caplog):
    book.add(FAR)
    desk = Desk(book, posted.append, lambda: 0)
    desk.patch(1, "far")
    assert [record.getMessage() for record in caplog.records] == [
        "patch far: embedding: 0: 50 is out of reach, and taken as 12 (-12 to 12)",
        "patch far: embedding: 1: -12.5 is out of reach, and taken as -12 (-12 to 12)",
    ]


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
    inbox.post(NoteOn(1, 1, 60, 100))
    desk.knob(1, "breath", 1.0, time=1280)
    desk.pan(1, 1.0, time=1280)
    desk.patch(1, "harp", time=0)
    for start in range(20):
        (window,) = windows.frames(inbox.take_until((start + 1) * 128), start, 1)
    assert desk.settings(1).patch == "harp"
    assert window.embedding[0].tolist() == pytest.approx(desk.effective(1))
    assert window.gain[0] == pytest.approx(stereo_gain(0, desk.settings(1).pan))


def test_a_muted_part_is_silent_and_a_patch_leaves_it_so(desk, posted):
    desk.mute(2, True, 10)
    desk.patch(2, "organ", 20)
    desk.mute(2, False, 30)
    levels = [event for event in posted if isinstance(event, Level)]
    assert levels == [
        Level(10, 2, -math.inf, 0.0),
        Level(20, 2, -math.inf, 0.5),
        Level(30, 2, -6.0, 0.5),
    ]


def test_while_parts_are_soloed_only_they_are_heard(desk, posted):
    def heard() -> set[int]:
        """The parts that a listener who took all events would hear."""
        latest = {event.part: event.gain_db for event in posted if isinstance(event, Level)}
        return {part for part in PARTS if latest.get(part, 0.0) > -math.inf}

    desk.mute(4, True)
    desk.solo(2, True)
    assert heard() == {2}
    desk.solo(3, True)
    desk.solo(4, True)  # mute is stronger
    assert heard() == {2, 3}
    desk.patch(2, "harp")
    desk.patch(5, "harp")
    assert heard() == {2, 3}
    desk.solo(2, False)
    assert heard() == {3}
    for part in (3, 4):
        desk.solo(part, False)
    assert heard() == {*PARTS} - {4}
    serials = [event.serial for event in posted]
    assert serials == sorted(serials)


def test_deep_patches_play_and_morph_by_their_amounts(desk, book, posted):
    book.add(Patch("flute", (0.0, 0.0), {}, deep="F"))
    book.add(Patch("oboe", (1.0, 0.0), {}, deep="O"))
    desk.patch(1, "flute", 10)
    assert posted[0] == Timbre(10, 1, (0.0, 0.0, 1.0)) and desk.effective(1) == (0.0, 0.0)
    desk.morph(1, "flute", "oboe", 0.25)
    assert desk.settings(1).deep == {"F": 0.75, "O": 0.25}
    # The knobs of its point may be turned, and it stays what it is.
    desk.timbre(1, (3.0, 0.0), 20)
    assert posted[-1] == Timbre(20, 1, (3.0, 0.0, 0.75, 0.25))
    desk.save(1, "both")
    assert book.patch("both").deep == "0.75 F+0.25 O"
    assert desk.settings(1).deep == {"0.75 F+0.25 O": 1.0}
    desk.patch(1, "organ")
    assert desk.settings(1).deep == {}


def test_a_deep_patch_that_is_deleted_plays_on(desk, book):
    book.add(Patch("flute", (0.0, 0.0), {}, deep="F"))
    desk.patch(1, "flute")
    desk.delete("flute")
    assert desk.settings(1).patch == "piano" and desk.settings(1).deep == {"F": 1.0}
