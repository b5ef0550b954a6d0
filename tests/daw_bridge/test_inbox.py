"""Events come out in time order, once, not early, and within bounds."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from time import perf_counter

import pytest

from common.window import PARTS
from daw_bridge.events import (
    SUSTAIN,
    AllSoundOff,
    Bend,
    Level,
    NoteOff,
    NoteOn,
    Pedal,
    Timbre,
)
from daw_bridge.inbox import LIMIT, Inbox


def note(time: int, key: int = 60) -> NoteOn:
    return NoteOn(time, 1, key, 100)


def test_a_block_gets_its_events_in_time_order():
    inbox = Inbox()
    for time in (300, 100, 200, 128, 127):
        inbox.post(note(time))
    assert [e.time for e in inbox.take_until(128)] == [100, 127]
    assert [e.time for e in inbox.take_until(256)] == [128, 200]
    assert [e.time for e in inbox.take_until(384)] == [300]
    assert inbox.take_until(512) == []
    assert inbox.late == 0


def test_ties_keep_the_order_of_arrival():
    inbox = Inbox()
    keys = random.Random(3).sample(range(128), 128)
    for key in keys:
        inbox.post(note(50, key))
    assert [e.key for e in inbox.take_until(51)] == keys


def test_late_events_move_to_the_blocks_start_and_are_counted():
    inbox = Inbox()
    inbox.take_until(1000)
    inbox.post(NoteOff(950, 1, 60))
    inbox.post(note(1000))
    inbox.post(note(900))
    taken = inbox.take_until(1128)
    # The press at 900 stays before its release at 950.
    assert taken == [note(1000), NoteOff(1000, 1, 60), note(1000)]
    assert inbox.late == 2


def test_a_full_inbox_drops_the_newest_press_and_says_so():
    inbox = Inbox(limit=8)
    assert [inbox.post(note(t)) for t in range(9)] == [True] * 7 + [False] * 2
    assert inbox.dropped == inbox.dropped_here == 2
    assert [e.time for e in inbox.take_until(10)] == list(range(7))
    assert inbox.post(note(11))


def test_waiting_events_count_towards_the_limit():
    inbox = Inbox(limit=4)
    inbox.post(note(10**6))
    inbox.post(note(10**6))
    assert inbox.take_until(128) == []
    assert not inbox.post(note(10**6))
    assert inbox.post(note(200)) and not inbox.post(note(200))


def test_a_flood_of_settings_leaves_room_for_notes():
    inbox = Inbox(hop=128)
    for n in range(80_000):
        inbox.post(Level(20_000 + 128 * n, 1 + n % 16, -float(n % 90), 0.0, n))
    assert inbox.dropped == 80_000 - LIMIT // 4
    assert inbox.post(note(100)) and inbox.post(NoteOff(110, 1, 60))
    assert inbox.take_until(128) == [note(100), NoteOff(110, 1, 60)]
    # The last one of each part has come through.
    last = {event.part: event.serial for event in inbox.take_until(10**8)}
    assert last == {1 + n % 16: n for n in range(80_000 - 16, 80_000)}


def test_settings_of_one_frame_are_one_and_earlier_ones_sent_later_replace_all():
    inbox = Inbox(hop=128)
    sent = [Level(128, 1, -1.0, 0.0, 1), Level(255, 1, -2.0, 0.0, 2), Level(256, 1, -3.0, 0.0, 3)]
    other = Timbre(255, 1, (0.0,), 4)
    for event in (*sent, other, Level(256, 2, -4.0, 0.0, 5)):
        inbox.post(event)
    inbox.post(Level(256, 2, -5.0, 0.0, 6))
    assert inbox.take_until(1000) == [sent[1], other, sent[2], Level(256, 2, -5.0, 0.0)]
    for event in sent:
        inbox.post(replace(event, time=event.time + 1000))
    inbox.post(Level(1010, 1, -9.0, 0.0, 7))
    assert inbox.take_until(3000) == [Level(1010, 1, -9.0, 0.0)]
    assert inbox.dropped == 0


@pytest.mark.parametrize("soon", [True, False])
def test_no_release_is_ever_lost(soon):
    first = 100 if soon else 10**6
    inbox = Inbox(limit=64)
    taken = [inbox.post(note(first + n, n % 128)) for n in range(100)]
    assert 0 < sum(taken) < 64
    for n in range(1000):
        assert inbox.post(NoteOff(first + 200 + n, 1, n % 128))
        assert inbox.post(Pedal(first + 200 + n, 1, SUSTAIN, False))
    assert inbox.dropped == 100 - sum(taken)
    heard = inbox.take_until(2 * 10**6)
    for _ in range(3):  # owed ones come when there is room
        heard += inbox.take_until(3 * 10**6)
    down = set()
    for event in heard:
        if isinstance(event, NoteOn):
            down.add(event.key)
        elif isinstance(event, NoteOff):
            down.discard(event.key)
    assert down == set() and heard[-1] == Pedal(heard[-1].time, 1, SUSTAIN, False)


def test_live_notes_have_room_beside_a_flood_of_scheduled_ones():
    inbox = Inbox()
    for n in range(LIMIT):
        inbox.post(note(10**6 + n, n % 128))
        inbox.post(NoteOff(10**6 + n, 1, n % 128))
    assert inbox.post(note(100)) and inbox.post(NoteOff(101, 1, 60))
    began = perf_counter()
    assert inbox.take_until(128) == [note(100), NoteOff(101, 1, 60)]
    inbox.panic(200)
    assert inbox.take_until(256) == [AllSoundOff(200, part) for part in PARTS]
    assert perf_counter() - began < 1.0
    assert inbox.take_until(10**7) == []


def test_a_panic_forgets_no_setting():
    inbox = Inbox()
    settings = [Timbre(30, 1, (1.0, 2.0)), Level(40, 1, -3.0, 0.0), Bend(50, 1, 1.5)]
    for event in settings[:2]:
        inbox.post(event)
    inbox.take_until(10)
    for event in (settings[2], NoteOn(60, 1, 60, 100)):
        inbox.post(event)
    inbox.panic(20)
    assert [e for e in inbox.take_until(100) if not isinstance(e, AllSoundOff)] == settings


def test_panic_silences_all_and_forgets_what_was_to_sound():
    inbox = Inbox(limit=4)
    inbox.post(note(5000))
    inbox.take_until(128)  # now it waits inside
    timbre, level = Timbre(6000, 2, (0.5,)), Level(200, 2, -6.0, 0.0)
    inbox.post(timbre)
    inbox.post(note(7000))
    inbox.post(level)
    inbox.panic(130)  # although full
    inbox.panic(130)
    taken = inbox.take_until(10_000)
    assert taken == [AllSoundOff(130, part) for part in PARTS] + [level, timbre]
    inbox.post(note(10_001))
    assert inbox.take_until(20_000) == [note(10_001)]


def test_many_threads_lose_nothing_and_keep_each_ones_order():
    inbox = Inbox()
    threads, each = 8, 2000

    def play(part: int) -> None:
        for k in range(each):
            inbox.post(NoteOn(k, part, k % 128, 1 + k // 128))

    players = [threading.Thread(target=play, args=(p + 1,)) for p in range(threads)]
    for player in players:
        player.start()
    taken, block = [], 0
    while any(player.is_alive() for player in players):
        taken += inbox.take_until(block)
        block += 16
    taken += inbox.take_until(max(block, each))
    assert len(taken) == threads * each
    for part in range(1, threads + 1):
        heard = [(e.velocity - 1) * 128 + e.key for e in taken if e.part == part]
        assert heard == list(range(each))
    assert inbox.dropped == 0
