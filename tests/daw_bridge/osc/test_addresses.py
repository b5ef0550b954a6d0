"""What each address means, without a socket; and what is said about mistakes."""

from __future__ import annotations

import time

import pytest

from daw_bridge.clock import NTP_EPOCH_S, AudioClock
from daw_bridge.desk.desk import Desk
from daw_bridge.events import PARTS, AllSoundOff, Bend, Level, NoteOff, NoteOn, Pedal, Timbre
from daw_bridge.osc.addresses import REMEMBERED, Addresses
from daw_bridge.osc.packet import Message

RATE = 16_000
END = 10**9


@pytest.fixture
def clock() -> AudioClock:
    clock = AudioClock(RATE)
    clock.tick(0, time.perf_counter())
    return clock


@pytest.fixture
def say(book, inbox, clock):
    """Say an address with arguments at sample 50; returns the reply."""
    desk = Desk(book, inbox.post, clock.now)
    addresses = Addresses(desk, inbox, clock, lambda: {"load": 0.5, "patch": "x"}, "1.2")

    def said(address: str, *args, timetag=None):
        return addresses.act(Message(timetag, address, args), 50)

    return said


@pytest.mark.parametrize(
    ("address", "args", "event"),
    [
        ("/part/1/note", (60, 100), NoteOn(50, 1, 60, 100)),
        ("/part/16/note", (60.0, 99.6), NoteOn(50, 16, 60, 100)),
        ("/part/2/note", (60, 0), NoteOff(50, 2, 60)),
        ("/part/2/cc", (64, 127), Pedal(50, 2, 64, True)),
        ("/part/2/timbre", (3, 4.5), Timbre(50, 2, (3.0, 4.5))),
        ("/part/2/timbre/1", (4,), Timbre(50, 2, (0.0, 4.0))),
        ("/part/2/knob/breath", (1,), Timbre(50, 2, (0.0, 0.0))),
        ("/part/2/morph", ("piano", "harp", 0.5), Timbre(50, 2, (-0.5, 0.5))),
        ("/part/2/gain_db", (-6,), Level(50, 2, -6.0, 0.0)),
        ("/part/2/pan", (0.5,), Level(50, 2, 0.0, 0.5)),
        ("/part/2/bend", (-1.5,), Bend(50, 2, -1.5)),
        ("/vkb_midi/3/pitch", (16383,), Bend(50, 3, pytest.approx(2, abs=1e-3))),
        ("/vkb_midi/3/note/64", (90.0,), NoteOn(50, 3, 64, 90)),
        ("/vkb_midi/0/note/64", (0,), NoteOff(50, 1, 64)),
        ("/vkb_midi/3/note", (64, 90), NoteOn(50, 3, 64, 90)),
        ("/vkb_midi/3/cc/64", (0,), Pedal(50, 3, 64, False)),
        ("/mnote", (60.0, 80.0), NoteOn(50, 1, 60, 80)),
        ("/mnote", (60.0, 80.0, 1234.0), NoteOn(50, 1, 60, 80)),
        ("/mnote", (60.0, 0.0), NoteOff(50, 1, 60)),
        ("/mnote/rel", (60.0, 80.0), NoteOff(50, 1, 60)),
    ],
)
def test_each_address_says_its_event(say, inbox, address, args, event):
    assert say(address, *args) is None
    assert inbox.take_until(END) == [event]


def test_a_patch_is_heard_whole(say, inbox):
    say("/part/5/patch", "organ")
    assert inbox.take_until(END) == [Timbre(50, 5, (2.0, -2.0)), Level(50, 5, -6.0, 0.5)]


def test_questions_are_answered(say):
    assert say("/patch/list") == ("/patch/list.reply", ("piano", "organ", "harp"))
    assert say("/status") == ("/status.reply", ("load", 0.5, "patch", "x"))
    assert say("/version") == ("/version.reply", ("1.2",))
    assert say("/sync", 42) == ("/synced", (42,))


def test_saving_needs_leave_to_overwrite(say):
    assert say("/patch/save", 1, "mine") == ("/patch/save.reply", (1, "mine"))
    with pytest.raises(ValueError, match="taken"):
        say("/patch/save", 1, "mine")
    assert say("/patch/save", 1, "mine", 1) == ("/patch/save.reply", (1, "mine"))
    assert say("/patch/list")[1][-1] == "mine"


def test_controllers_are_learnt_and_forgotten(say):
    assert say("/midi/map") == ("/midi/map.reply", ())
    assert say("/midi/learn", "breath") is None
    for value in (64, 65):
        assert say("/part/1/cc", 21, value) is None
    assert say("/midi/learn", "timbre/1", 22.0) is None
    assert say("/midi/map") == ("/midi/map.reply", (21, "breath", 22, "timbre/1"))
    assert say("/midi/forget", 21) is None
    assert say("/midi/learn", "breath") is say("/midi/learn") is None
    for value in (64, 65):
        say("/part/1/cc", 23, value)
    assert say("/midi/map") == ("/midi/map.reply", (22, "timbre/1"))


def test_panic_silences_every_part_now(say, inbox):
    say("/part/1/note", 60, 100)
    say("/panic")
    assert inbox.take_until(END) == [AllSoundOff(50, part) for part in PARTS]


def timetag(ahead: float) -> int:
    return round((time.time() + NTP_EPOCH_S + ahead) * 2**32)


def test_timetags_become_stamps(say, inbox, clock):
    before = time.perf_counter()
    say("/part/1/note", 60, 100, timetag=timetag(30.0))
    after = time.perf_counter()
    (event,) = inbox.take_until(END)
    assert clock.samples_at(before + 30) - 1 <= event.time <= clock.samples_at(after + 30) + 1


def test_a_bundle_lands_on_one_sample(desk, inbox, clock):
    addresses = Addresses(desk, inbox, clock, dict, "")
    tag = timetag(1.0)
    for key in range(21, 109):
        addresses.act(Message(tag, "/part/1/note", (key, 100)), 50)
    chord = inbox.take_until(END)
    assert [event.key for event in chord] == list(range(21, 109))
    assert len({event.time for event in chord}) == 1


def test_one_moment_in_many_packets_keeps_its_order(say, inbox, clock):
    """Legato by one bundle an event: the clock's line sinks between the two."""
    clock.tick(128, time.perf_counter())
    tags = [timetag(1.0 + n / 100) for n in range(REMEMBERED + 50)]
    for tag in tags[:50]:
        say("/part/1/note", 60, 0, timetag=tag)
        clock.tick(256, time.perf_counter() + 0.1)
        say("/part/1/note", 60, 100, timetag=tag)
    heard = inbox.take_until(END)
    assert [type(event) for event in heard] == 50 * [NoteOff, NoteOn]
    assert all(off.time == on.time for off, on in zip(heard[::2], heard[1::2], strict=True))
    # Stamps do not pile up.
    for tag in tags:
        say("/part/1/note", 60, 0, timetag=tag)
    assert len(inbox.take_until(END)) == len(tags)


def test_a_timetag_gone_by_is_late_not_lost(say, inbox):
    inbox.take_until(100)
    say("/part/1/note", 60, 100, timetag=timetag(-3600.0))
    assert inbox.take_until(200) == [NoteOn(100, 1, 60, 100)]
    assert inbox.late == 1


@pytest.mark.parametrize(
    ("address", "args", "message"),
    [
        ("/", (), "no such address"),
        ("/part", (), "no such address"),
        ("/part/1", (), "no such address"),
        ("/part/1/not", (60, 1), "no such address"),
        ("/part/*/note", (60, 1), r"channel: '\*' is not a whole number from 1 to 16"),
        ("/part/0/note", (60, 1), "channel: 0 "),
        ("/part/17/note", (60, 1), "channel: 17"),
        ("/part/-1/note", (60, 1), "channel: '-1'"),
        ("/vkb_midi/17/note/60", (1,), "channel: 17"),
        ("/vkb_midi/1/note/128", (1,), "key: 128"),
        ("/part/1/note", (20, 100), "key: 20 is not a whole number from 21 to 108"),
        ("/mnote", (109, 100), "key: 109 is not a whole number from 21 to 108"),
        ("/vkb_midi/1/drum/36", (1,), "no such address"),
        ("/part/1/note", (60,), "1 arguments given where it takes: key velocity"),
        ("/part/1/note", (60, 1, 1), "3 arguments"),
        ("/part/1/note", (60.5, 1), "key: 60.5"),
        ("/part/1/note", (60, 128), "velocity: 128"),
        ("/part/1/note", (60, "loud"), "velocity: 'loud'"),
        ("/part/1/note", (60, None), "velocity: None"),
        ("/part/1/note", (True, 1), "key: True"),
        ("/mnote", (60,), "1 arguments"),
        ("/mnote/rel", (-1.0, 0.0, 5.0), "key: -1"),
        ("/mnote/on", (60, 1), "no such address"),
        ("/part/1/timbre", (1,), "timbre: 1 numbers given"),
        ("/part/1/timbre/2", (1,), "timbre coordinate: 2"),
        ("/part/1/timbre/x", (1,), "timbre coordinate: 'x'"),
        ("/part/1/knob/bite", (1,), "no 'bite'"),
        ("/part/1/patch", (3,), "name: 3 is not a string"),
        ("/part/1/morph", ("piano", 2, 0.5), "patch: 2 is not a string"),
        ("/patch/save", (1,), "2 arguments|takes: ch name"),
        ("/patch/save", (1, "../x"), "patch name '../x'"),
        ("/patch/save", (1, "x", 2), "overwrite: 2"),
        ("/patch/save", (1, "x", 0, 0), "arguments given"),
        ("/sync", (), "takes: id"),
        ("/sync", ("x",), "id: 'x'"),
    ],
)
def test_mistakes_are_named_and_nothing_happens(say, inbox, address, args, message):
    with pytest.raises(ValueError, match=message) as refused:
        say(address, *args)
    assert "\n" not in str(refused.value)
    assert inbox.take_until(END) == []


def test_a_timetag_too_far_ahead_is_refused(say, inbox):
    with pytest.raises(ValueError, match=r"timetag: \d+\.\d s ahead; at most 60 s"):
        say("/part/1/pan", 1, timetag=timetag(100.0))
    assert inbox.take_until(END) == []
