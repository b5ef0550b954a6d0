"""OSC address patterns: which addresses they reach, and that none takes long or reaches too far."""

from __future__ import annotations

import time

import pytest

from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.commands.table import COMMANDS
from daw_bridge.desk.desk import Desk
from daw_bridge.events import NoteOn
from daw_bridge.osc.addresses import MOST_MATCHES, MOST_PATTERNS, Addresses
from daw_bridge.osc.packet import Message
from daw_bridge.osc.patterns import LONGEST, _pieces, is_pattern, matches

END = 10**9


@pytest.fixture
def commands(desk):
    return [command.for_bank(list(desk.book.knobs), desk.reach) for command in COMMANDS]


@pytest.fixture
def addresses(book, inbox) -> Addresses:
    clock = AudioClock(16_000)
    clock.tick(0, time.perf_counter())
    return Addresses(Session(Desk(book, inbox.post, clock.now), inbox, dict, ""), clock)


@pytest.mark.parametrize(
    ("pattern", "reached"),
    [
        ("/part/{1,12}/note", ["/part/1/note", "/part/12/note"]),
        ("/part/[1-3]/pan", ["/part/1/pan", "/part/2/pan", "/part/3/pan"]),
        ("/part/?/pan", [f"/part/{n}/pan" for n in range(1, 10)]),
        ("/part/1[!0-4]/pan", ["/part/15/pan", "/part/16/pan"]),
        ("/part/*/note", [f"/part/{n}/note" for n in range(1, 17)]),
        ("/part/4/knob/br*", ["/part/4/knob/brightness", "/part/4/knob/breath"]),
        ("/part/4/knob/b*th", ["/part/4/knob/breath"]),
        ("/part/4/timbre/*", ["/part/4/timbre/0", "/part/4/timbre/1"]),
        ("/p*/4/ben?", ["/part/4/bend"]),
        ("/*/4/note", ["/part/4/note"]),
        ("/vkb_midi/[01]/note/60", ["/vkb_midi/0/note/60", "/vkb_midi/1/note/60"]),
        ("/part/{1,1}/pan", ["/part/1/pan"]),
        ("/part/1/{gain_db,p*}", ["/part/1/gain_db"]),
        ("/part/0*/pan", []),
        ("/patch/*", []),
        ("/*", []),
        ("/part/*", []),
    ],
)
def test_what_a_pattern_reaches(commands, pattern, reached):
    assert is_pattern(pattern)
    assert list(matches(pattern, commands)) == reached


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("/part/[1-3/pan", r"'\[' without '\]'"),
        ("/part/{1,2/pan", "'{' without '}'"),
        ("/part/[]/pan", "nothing between"),
        ("/part/" + "*" * LONGEST + "/pan", f"at most {LONGEST} characters"),
    ],
)
def test_what_is_no_pattern_is_refused_in_one_line(commands, pattern, reason):
    with pytest.raises(ValueError, match=reason):
        list(matches(pattern, commands))


@pytest.mark.parametrize("unit", ["*", "*?", "*[!z]", "*{,1}"])
def test_no_pattern_takes_long(commands, unit):
    pattern = ("/part/" + unit * LONGEST)[: LONGEST - 20].rpartition("*")[0] + "zz/knob/b*"
    began = time.thread_time()
    assert list(matches(pattern, commands)) == []
    assert time.thread_time() - began < 0.5


def test_a_range_of_characters_holds_only_those_of_addresses(commands):
    assert _pieces("[#-\U000e01ef]") == [frozenset(map(chr, range(ord("#"), 127)))]
    assert list(matches("/part/[2-\U000e01ef]/pan", commands))[0] == "/part/2/pan"


def test_a_pattern_acts_on_every_part_at_one_time(addresses, inbox):
    for message in addresses.spread([Message(None, "/part/[23]/note", (60, 100))]):
        addresses.act(message, 50)
    assert inbox.take_until(END) == [NoteOn(50, 2, 60, 100), NoteOn(50, 3, 60, 100)]


def test_a_question_is_answered_by_each_address(addresses):
    packet = [Message(None, "/part/{1,2}/pan", ()), Message(None, "/version", ())]
    answers = [addresses.act(message, 50) for message in addresses.spread(packet)]
    assert [answer[0] for answer in answers] == ["/part/1/pan", "/part/2/pan", "/version.reply"]


def test_addresses_that_do_not_take_the_arguments_are_left_out(addresses):
    reached = [m.address for m in addresses.spread([Message(None, "/part/1/*", (0.5,))])]
    assert reached == ["/part/1/gain_db", "/part/1/pan", "/part/1/bend"]


@pytest.mark.parametrize(
    ("address", "args", "problem"),
    [
        ("/part/*/gain_db", (99,), "/part/16/gain_db: gain_db: "),
        ("/patch/*", ("harp",), "fits no address of a part"),
        ("/vkb_midi/*/note/*", (0,), "one packet may reach 1024 addresses"),
        ("/part/[/pan", (0,), "without"),
    ],
)
def test_a_pattern_that_reaches_nothing_is_one_message_with_its_reason(
    addresses, address, args, problem
):
    (message,) = addresses.spread([Message(None, address, args)])
    assert message.address == address and problem in message.problem


def test_one_packet_causes_no_more_than_its_limit(addresses):
    whole = Message(None, "/vkb_midi/{1,2,3,4}/note/*", (0,))
    spread = list(addresses.spread([whole] * 3))
    assert len(spread) == MOST_MATCHES + 1 and spread[-1].problem
    small = Message(None, "/part/[1]/pan", (0,))
    spread = list(addresses.spread([small] * (MOST_PATTERNS + 2)))
    assert [bool(m.problem) for m in spread] == [False] * MOST_PATTERNS + [True] * 2
