"""MPE: a zone is opened as controllers do it, and heard as one instrument."""

from __future__ import annotations

import mido
import numpy as np
import pytest

from common.window import PARTS, Window
from daw_bridge.desk.zones import Zones
from daw_bridge.events import AllSoundOff, Bend, Level, NoteOn, Pedal, Timbre
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.windows import Windows


@pytest.fixture
def translator(desk, posted) -> MidiTranslator:
    return MidiTranslator(desk, posted.append)


def send(translator: MidiTranslator, *messages: str) -> None:
    for data in messages:
        translator.hear(mido.Message.from_hex(data), 40)


def open_zone(translator: MidiTranslator, channel: int, count: int) -> None:
    status = f"b{channel - 1:x}"
    send(translator, f"{status} 65 00", f"{status} 64 06", f"{status} 06 {count:02x}")


def bent(desk) -> list[float]:
    return [round(desk.settings(part).bent, 2) for part in PARTS]


@pytest.mark.parametrize(
    ("opened", "lower", "upper"),
    [
        ([], [], []),
        ([(1, 15)], range(2, 17), []),
        ([(16, 15)], [], range(1, 16)),
        ([(1, 3), (16, 2)], range(2, 5), range(14, 16)),
        ([(1, 10), (16, 7)], range(2, 9), range(9, 16)),
        ([(16, 7), (1, 15)], range(2, 17), []),
        ([(1, 5), (1, 0)], [], []),
    ],
)
def test_which_channels_belong_to_a_zone(opened, lower, upper):
    zones = Zones()
    for manager, count in opened:
        zones.open(manager, count)
    assert (list(zones.members(1)), list(zones.members(16))) == (list(lower), list(upper))
    managers = [zones.manager(part) for part in PARTS]
    assert managers == [1 if p in lower else 16 if p in upper else None for p in PARTS]


def test_members_bend_by_48_and_the_manager_by_2_for_all(translator, desk, posted):
    open_zone(translator, 1, 3)
    send(translator, "e1 00 60")
    assert bent(desk)[:5] == [0, 24, 0, 0, 0]
    send(translator, "e0 00 60")
    assert bent(desk)[:5] == [1, 25, 1, 1, 0]
    assert posted[-1] == Bend(40, 4, 1.0)
    send(translator, "e1 00 00")
    assert bent(desk)[1] == -47
    send(translator, "b0 79 00")
    assert bent(desk)[:5] == [0, 0, 0, 0, 0]


def test_a_range_told_to_one_member_counts_for_all(translator, desk):
    open_zone(translator, 1, 3)
    send(translator, "b2 65 00", "b2 64 00", "b2 06 18", "e1 00 60", "e3 00 60")
    assert bent(desk)[:5] == [0, 12, 0, 12, 0]
    send(translator, "b0 65 00", "b0 64 00", "b0 06 0c", "e0 00 60")
    assert bent(desk)[:5] == [6, 18, 6, 18, 0]


def test_what_the_manager_says_reaches_every_member(translator, desk, posted):
    open_zone(translator, 16, 2)
    posted.clear()
    send(translator, "cf 13")
    assert {e.part for e in posted if isinstance(e, Timbre)} == {14, 15, 16}
    send(translator, "bf 07 40", "bf 40 7f", "bf 4a 7f", "df 7f", "bf 78 00")
    for part in (14, 15, 16):
        now = desk.settings(part)
        assert (now.patch, now.volume, now.knobs["brightness"]) == ("organ", 64, 1.0)
        assert Pedal(40, part, 64, True) in posted and AllSoundOff(40, part) in posted
    assert {e.part for e in posted} == {14, 15, 16}
    assert desk.settings(13).patch == "piano"


def test_members_take_the_sound_of_the_manager_when_the_zone_opens(translator, desk, posted):
    desk.patch(1, "organ")
    send(translator, "b0 07 20", "b1 4a 00")
    open_zone(translator, 1, 2)
    assert desk.effective(2) == desk.effective(3) == desk.effective(1) != desk.effective(4)
    assert [e.gain_db for e in posted if isinstance(e, Level)][-2:] == 2 * [
        desk.settings(1).level_db
    ]


def test_pressure_and_timbre_of_one_member_are_its_own(translator, desk):
    open_zone(translator, 1, 3)
    send(translator, "d1 7f", "b2 4a 00")
    assert [desk.settings(part).knobs["brightness"] for part in (1, 2, 3, 4)] == [0.5, 1, 0, 0.5]


def test_a_closed_zone_leaves_parts_of_their_own(translator, desk):
    open_zone(translator, 1, 3)
    send(translator, "e0 00 60", "e1 00 60")
    open_zone(translator, 1, 0)
    assert bent(desk) == 16 * [0]
    send(translator, "e1 00 60", "c0 13")
    assert bent(desk)[1] == 1 and desk.settings(2).patch == "piano"


def test_a_zone_that_is_closed_or_smaller_leaves_no_pedal_down(translator, posted):
    open_zone(translator, 1, 3)
    send(translator, "b0 40 7f", "b0 42 7f", "b0 43 7f")
    for count, left in ((2, {4}), (0, {2, 3})):
        posted.clear()
        open_zone(translator, 1, count)
        lifted = {(e.part, e.number) for e in posted if isinstance(e, Pedal) and not e.down}
        assert lifted == {(part, pedal) for part in left for pedal in (64, 66, 67)}


def test_a_zone_costs_what_sounds(translator, desk, posted):
    """Members that have not played have no windows."""
    open_zone(translator, 1, 15)
    send(translator, "91 3c 64", "92 40 64", "b0 4a 20")
    windows = Windows(128, (0.0, 0.0))
    events = sorted(posted, key=lambda event: event.time)
    assert [w.part for w in windows.frames(events, 0, 2)] == [2, 3]
    assert len([e for e in posted if isinstance(e, NoteOn)]) == 2


def frames_of(events: list) -> dict[tuple[int, int], Window]:
    """Part and voice -> the windows of ten frames, from the first in which it plays."""
    windows, found = Windows(128, (0.0, 1.0)), {}
    for frame in range(10):
        now = [event for event in events if event.time // 128 == frame]
        for window in windows.frames(now, frame, 1):
            found.setdefault((window.part, window.voice), []).append(window)
    return found


def at(translator: MidiTranslator, frame: int, *messages: str) -> None:
    for data in messages:
        translator.hear(mido.Message.from_hex(data), frame * 128)


def test_a_note_that_rings_out_does_not_bend_with_the_next_one(translator, posted):
    open_zone(translator, 1, 2)
    at(translator, 0, "e1 00 60", "b1 4a 7f", "91 3c 64")
    at(translator, 2, "e1 00 68")  # while it is held it follows
    at(translator, 3, "81 3c 00", "e1 00 40")  # the wheel springs back
    at(translator, 4, "b1 4a 00", "e1 00 20", "91 40 64")
    at(translator, 6, "e1 00 10")
    first, second = (frames_of(posted)[2, voice] for voice in (0, 1))
    assert [float(w.bend[0]) for w in first] == [24.0, 24.0, *[30.0] * 8]
    assert len({w.embedding[0, 0] for w in first}) == 1
    assert [float(w.bend[0]) for w in second] == [-24.0, -24.0, *[-36.0] * 4]
    assert second[0].embedding[0, 0] < first[0].embedding[0, 0]
    assert [np.flatnonzero(w.roll[0, :88]).tolist() for w in first][2:5] == [[39], [], []]


def test_a_note_that_rings_out_follows_the_wheel_of_the_manager(translator, posted):
    open_zone(translator, 1, 2)
    at(translator, 0, "e1 00 60", "91 3c 64")
    at(translator, 1, "81 3c 00")
    at(translator, 2, "e1 00 20", "91 40 64")
    at(translator, 4, "e0 00 60")
    first, second = (frames_of(posted)[2, voice] for voice in (0, 1))
    assert [float(w.bend[0]) for w in first] == [*[24.0] * 4, *[25.0] * 6]
    assert [float(w.bend[0]) for w in second] == [-24.0, -24.0, *[-23.0] * 6]


def test_outside_of_a_zone_the_wheel_bends_what_rings_out(translator, posted):
    at(translator, 0, "90 3c 64")
    at(translator, 1, "80 3c 00", "e0 00 60")
    (voice,) = frames_of(posted).values()
    assert [float(w.bend[0]) for w in voice] == [0.0, *[1.0] * 9]
