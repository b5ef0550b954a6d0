"""OSC messages are run as commands, at the time of their bundle."""

from __future__ import annotations

import time

import pytest

from daw_bridge.clock import NTP_EPOCH_S, AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.desk.desk import Desk
from daw_bridge.events import Bend, NoteOff, NoteOn
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
    session = Session(desk, inbox, lambda: {"load": 0.5, "patch": "x"}, "1.2")
    addresses = Addresses(session, clock)

    def said(address: str, *args, timetag=None):
        return addresses.act(Message(timetag, address, args), 50)

    return said


def test_a_message_without_a_timetag_acts_on_arrival(say, inbox):
    assert say("/part/1/note", 60, 100) is None
    say("/part/2/bend", -1.5)
    assert inbox.take_until(END) == [NoteOn(50, 1, 60, 100), Bend(50, 2, -1.5)]


def timetag(ahead: float) -> int:
    return round((time.time() + NTP_EPOCH_S + ahead) * 2**32)


def test_timetags_become_stamps(say, inbox, clock):
    before = time.perf_counter()
    say("/part/1/note", 60, 100, timetag=timetag(30.0))
    after = time.perf_counter()
    (event,) = inbox.take_until(END)
    assert clock.samples_at(before + 30) - 1 <= event.time <= clock.samples_at(after + 30) + 1


def test_a_bundle_lands_on_one_sample(desk, inbox, clock):
    addresses = Addresses(Session(desk, inbox, dict, ""), clock)
    tag = timetag(30.0)
    for key in range(21, 109):
        addresses.act(Message(tag, "/part/1/note", (key, 100)), 50)
    chord = inbox.take_until(END)
    assert [event.key for event in chord] == list(range(21, 109))
    assert len({event.time for event in chord}) == 1


def test_one_moment_in_many_packets_keeps_its_order(say, inbox, clock):
    """Legato by one bundle an event: the clock's line sinks between the two."""
    clock.tick(128, time.perf_counter())
    tags = [timetag(20.0 + n / 200) for n in range(REMEMBERED + 50)]
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


@pytest.mark.parametrize("seconds", [0.0, 7.9e8, 1.76e9, 2_208_988_800, 2_208_988_800 + 9.8e8])
def test_senders_that_count_from_another_year_are_late_not_refused(say, inbox, seconds):
    """0 is 1900; the next two count from 2001 and from 1970; the last two are 1970 and 2001."""
    inbox.take_until(100)
    say("/part/1/note", 60, 100, timetag=round(seconds * 2**32) + 2)
    assert inbox.take_until(200) == [NoteOn(100, 1, 60, 100)]


def test_questions_and_asked_values_wait_for_no_timetag(say):
    assert say("/part/1/pan", timetag=timetag(1000.0)) == ("/part/1/pan", (0.0,))
    assert say("/version", timetag=timetag(1000.0)) == ("/version.reply", ("1.2",))


def test_a_message_that_was_refused_by_its_reader_does_nothing(desk, inbox, clock):
    addresses = Addresses(Session(desk, inbox, dict, ""), clock)
    with pytest.raises(ValueError, match="no such type"):
        addresses.act(Message(None, "/panic", (), "no such type"), 50)
    assert inbox.take_until(END) == []


def test_a_timetag_too_far_ahead_is_refused(say, inbox):
    with pytest.raises(ValueError, match=r"timetag: \d+\.\d s ahead; at most 60 s"):
        say("/part/1/pan", 1, timetag=timetag(100.0))
    assert inbox.take_until(END) == []


@pytest.mark.parametrize("wrong", [30.0, -30.0])
def test_a_clock_that_differs_is_told_once(say, caplog, wrong):
    for k in range(40):
        say("/part/1/note", 60, 100, timetag=timetag(wrong + k / 100))
    (line,) = caplog.messages
    assert "does the sender's clock differ from this machine's?" in line
    say("/part/1/note", 60, 100, timetag=timetag(0.1))
    assert len(caplog.messages) == 1


def test_plausible_timetags_are_passed_over_in_silence(say, caplog):
    for k in range(40):
        say("/part/1/note", 60, 100, timetag=timetag(0.2 + k))
    assert not caplog.messages
