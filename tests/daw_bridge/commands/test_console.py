"""What each address does, whoever sends it; and what is said about mistakes."""

from __future__ import annotations

import math

import pytest

from common.window import PARTS
from daw_bridge.commands.actions import Session
from daw_bridge.commands.console import Console
from daw_bridge.commands.table import COMMANDS
from daw_bridge.desk.desk import Desk
from daw_bridge.events import AllSoundOff, Bend, Level, NoteOff, NoteOn, Pedal, Timbre

END = 10**9
NOW = 50


@pytest.fixture
def console(book, inbox) -> Console:
    desk = Desk(book, inbox.post, lambda: 777)
    return Console(Session(desk, inbox, lambda: {"load": 0.5, "patch": "x"}, "1.2"))


@pytest.fixture
def say(console):
    """Say an address with arguments at sample 50; returns the answer."""
    return lambda address, *args: console.run(console.read(address, args), NOW)


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


def test_patches_are_renamed_deleted_and_brought_back(say):
    say("/patch/save", 1, "mine")
    assert say("/patch/rename", "mine", "ours") == ("/patch/rename.reply", ("mine", "ours"))
    assert say("/patch/delete", "ours") == ("/patch/delete.reply", ("ours",))
    assert say("/patch/undo", 0) is None
    assert say("/patch/undo") == ("/patch/undo.reply", ("ours",))
    assert say("/patch/list")[1][-1] == "ours"
    assert say("/patch/reload") == ("/patch/reload.reply", ("spoilt.yaml: not a patch",))
    with pytest.raises(ValueError, match="not one of your own"):
        say("/patch/delete", "kazoo")


def test_controllers_are_learnt_and_forgotten(say):
    assert say("/midi/map") == ("/midi/map.reply", ())
    assert say("/midi/learn", "breath") == ("/midi/learn.reply", ("breath", "next"))
    for value in (64, 65):
        assert say("/part/1/cc", 21, value) is None
    assert say("/midi/learn", "timbre/1", 22.0) == ("/midi/learn.reply", ("timbre/1", 22))
    assert say("/midi/map") == ("/midi/map.reply", (21, "breath", 22, "timbre/1"))
    assert say("/midi/forget", 21) == ("/midi/forget.reply", (21,))
    say("/midi/learn", "breath")
    assert say("/midi/learn") == ("/midi/learn.reply", ("", ""))
    for value in (64, 65):
        say("/part/1/cc", 23, value)
    assert say("/midi/map") == ("/midi/map.reply", (22, "timbre/1"))


def test_a_controller_of_one_channel_turns_a_knob_of_another_part_in_its_own_way(say):
    learn = say("/midi/learn", "gain_db", "channel/3/21", 5)
    assert learn == ("/midi/learn.reply", ("gain_db", "channel/3/21"))
    say("/midi/range", "channel/3/21", 0, -24)
    say("/midi/curve", "channel/3/21", 1)
    told = say("/midi/takeover", "channel/3/21", 1)
    ends = ("from", 0.0, "to", -24.0)
    way = ("curve", 1.0, "takeover", 1)
    binding = ("channel/3/21", "knob", "gain_db", "part", 5, *ends, *way)
    assert told == say("/midi/binding", "channel/3/21") == ("/midi/binding.reply", binding)
    say("/part/3/cc", 21, 0)
    say("/part/3/cc", 21, 127)
    say("/part/2/cc", 21, 0)
    assert say("/part/5/gain_db")[1] == (-24.0,)
    assert say("/part/3/gain_db")[1] == (0.0,)
    assert say("/midi/range", "channel/3/21")[1][4:6] == (5, "curve")


@pytest.mark.parametrize(
    ("knob", "args", "message"),
    [
        ("breath", (0, 1.5), "to: expected a number from 0 to 1, got 1.5"),
        ("gain_db", (-200, 0), "from: expected a number from -120 to 24"),
        ("timbre/0", (0, 13), "to: expected a number from -12 to 12"),
        ("pan", (0,), "to: expected a number, got none"),
        ("mute", (0, 1), "range: mute has none"),
        ("patch/next", (), "range: patch/next has none"),
    ],
)
def test_ranges_lie_within_what_the_knob_has(say, knob, args, message):
    say("/midi/learn", knob, 21)
    before = say("/midi/binding", 21)
    with pytest.raises(ValueError, match=message):
        say("/midi/range", 21, *args)
    assert say("/midi/binding", 21) == before


def test_patches_are_copied_described_sent_and_liked(say, book):
    assert say("/patch/duplicate", "organ", "mine") == ("/patch/duplicate.reply", ("organ", "mine"))
    say("/patch/describe", "mine", " Ann ", "warm, pad,, warm")
    assert (book.patch("mine").author, book.patch("mine").tags) == ("Ann", ("warm", "pad"))
    assert say("/patch/export", "mine") == ("/patch/export.reply", ("mine", "2.0 -1.0"))
    say("/patch/import", "sent", "3 4")
    assert book.patch("sent").embedding == (3.0, 4.0)
    say("/patch/favourite", "piano", 1)
    assert book.favourites == {"piano"}


def test_push_buttons_step_through_the_patches(say):
    assert say("/part/3/patch/next") == ("/part/3/patch/next", ("organ",))
    assert say("/part/3/patch/next", 0) is None
    assert say("/part/3/patch/previous", 1) == ("/part/3/patch/previous", ("piano",))
    assert say("/part/3/patch") == ("/part/3/patch", ("piano",))


def test_panic_silences_every_part_now(say, inbox):
    say("/part/1/note", 60, 100)
    say("/panic")
    assert inbox.take_until(END) == [AllSoundOff(50, part) for part in PARTS]


@pytest.mark.parametrize(
    ("address", "given"),
    [
        ("/part/2/patch", ("organ",)),
        ("/part/2/timbre", (3.0, 4.5)),
        ("/part/2/timbre/1", (-2.0,)),
        ("/part/2/knob/breath", (0.25,)),
        ("/part/2/morph", ("piano", "harp", 0.25)),
        ("/part/2/gain_db", (-6.5,)),
        ("/part/2/pan", (0.5,)),
        ("/part/2/bend", (-1.5,)),
        ("/part/2/mute", (1,)),
        ("/part/2/solo", (1,)),
    ],
)
def test_a_setting_without_arguments_answers_its_value(say, inbox, address, given):
    assert say(address, *given) is None
    inbox.take_until(END)
    assert say(address) == (address, given)
    assert inbox.take_until(2 * END) == []


def test_every_setting_can_be_asked_for(say):
    """Those that stand on a morph say so; the others say what they are."""
    say("/part/1/morph", "piano", "harp", 0)
    settings = [c for c in COMMANDS if c.ask and c.address.startswith("/part/")]
    assert len(settings) == 10
    for command in settings:
        address = command.address.replace("<channel>", "1").replace("<coordinate>", "0")
        assert say(address.replace("<knob>", "breath"))


def test_a_part_that_is_on_no_morph_says_so(say):
    with pytest.raises(ValueError, match="^part 1 is not on a morph; its patch is piano$"):
        say("/part/1/morph")


@pytest.mark.parametrize("release", [0, 0.0, False])
@pytest.mark.parametrize("press", [(), (1,), (0.5,), (True,), (60, 0)])
def test_a_push_button_acts_when_it_is_pressed(say, inbox, press, release):
    assert say("/panic", release) is None
    assert inbox.take_until(END) == []
    say("/panic", *press)
    assert len(inbox.take_until(END)) == 16
    assert say("/version", release) is None
    assert say("/version", *press) == ("/version.reply", ("1.2",))


def test_help_lists_all_addresses(say):
    address, listed = say("/help")
    assert address == "/help.reply"
    assert listed == tuple(command.address for command in COMMANDS)


@pytest.mark.parametrize(
    ("about", "lines"),
    [
        (
            "/part/1/pan",
            (
                "/part/<channel>/pan",
                "Sets the place: -1 is left, 0 the middle, 1 right.",
                "channel: whole number, 1 to 16",
                "pan: number, -1 to 1",
                "without arguments: answers its value",
            ),
        ),
        (
            "/part/<channel>/knob/<knob>",
            (
                "/part/<channel>/knob/<knob>",
                "Turns a knob of the bank, e.g. brightness; 0.5 leaves the timbre as it is.",
                "channel: whole number, 1 to 16",
                "knob: text, one of: brightness, breath",
                "value: number, 0 to 1",
                "without arguments: answers its value",
            ),
        ),
        (
            "/status",
            (
                "/status",
                "Answers counters and loads, as name value name value ...",
                "press: push button, may be left out; 0 does nothing",
                "answers on /status.reply",
            ),
        ),
    ],
)
def test_help_tells_what_an_address_takes(say, about, lines):
    assert say("/help", about) == ("/help.reply", lines)


def test_a_timbre_out_of_reach_is_taken_at_the_edge_and_answered(say, inbox):
    assert say("/part/2/timbre", -1e9, 4.5) == ("/part/2/timbre", (-12.0, 4.5))
    assert say("/part/2/timbre/1", math.inf) == ("/part/2/timbre/1", (12.0,))
    assert say("/part/2/timbre", -12, 12) is None
    assert say("/part/2/timbre") == ("/part/2/timbre", (-12.0, 12.0))
    played = [event.embedding for event in inbox.take_until(END)]
    assert played == [(-12.0, 12.0)]  # the last of one moment


def test_help_counts_the_coordinates_of_the_bank(say):
    _, lines = say("/help", "/part/1/timbre")
    assert [line for line in lines if line.startswith("timbre")] == [
        "timbre 0 (brightness): number, -12 to 12; beyond it, the nearest is taken and answered",
        "timbre 1 (sustain): number, -12 to 12; beyond it, the nearest is taken and answered",
    ]
    counted = "coordinate: whole number, 0 to 1 (0 is brightness, 1 is sustain)"
    assert counted in say("/help", "/part/1/timbre/0")[1]


@pytest.mark.parametrize(
    ("address", "args", "message"),
    [
        ("/", (), "no such address; /help lists them all"),
        ("/part/1", (), "no such address"),
        ("/part/1/not", (60, 1), "no such address"),
        ("/vkb_midi/1/drum/36", (1,), "no such address"),
        ("/mnote/on", (60, 1), "no such address"),
        ("/help", ("/part/1/not",), "no such address"),
        ("/help", (1,), "address: expected text, got 1"),
        ("/part/*/note", (60, 1), r"channel: expected a whole number from 1 to 16, got '\*'"),
        ("/part/0/note", (60, 1), "channel: .* got 0"),
        ("/part/17/note", (60, 1), "channel: .* got 17"),
        ("/part/-1/note", (60, 1), "channel: .* got '-1'"),
        ("/part/17/pan", (), "channel: .* got 17"),
        ("/vkb_midi/17/note/60", (1,), "channel: .* got 17"),
        ("/vkb_midi/1/note/128", (1,), "key: .* from 0 to 127, got 128"),
        ("/vkb_midi/1/pitch", (16384,), "pitch: .* from 0 to 16383, got 16384"),
        ("/part/1/note", (20, 100), "key: expected a whole number from 21 to 108, got 20"),
        ("/mnote", (109, 100), "key: expected a whole number from 21 to 108, got 109"),
        ("/part/1/note", (), r"^expected 2 arguments \(key, velocity\), got 0$"),
        ("/part/1/note", (60,), r"^expected 2 arguments \(key, velocity\), got 1$"),
        ("/part/1/note", (60, 1, 1), "expected 2 arguments .* got 3"),
        ("/part/1/note", (60.5, 1), "key: .* got 60.5"),
        ("/part/1/note", (60, 128), "velocity: expected a number from 0 to 127, got 128"),
        ("/part/1/note", (60, "loud"), "velocity: .* got 'loud'"),
        ("/part/1/note", (60, None), "velocity: .* got None"),
        ("/part/1/note", (True, 1), "key: .* got True"),
        ("/part/1/note", (b"\0" * 1000, 1), "key: .* got b'"),
        ("/mnote", (60,), "expected 2 to 3 arguments"),
        ("/mnote/rel", (-1.0, 0.0, 5.0), "key: .* got -1"),
        ("/part/1/cc", (128, 0), "controller: expected a whole number from 0 to 127, got 128"),
        ("/part/1/cc", (7, -1), "value: expected a number from 0 to 127, got -1"),
        ("/part/1/timbre", (1,), r"expected 2 arguments \(timbre 0, timbre 1\), got 1"),
        (
            "/part/1/timbre",
            (1.0, math.nan),
            "timbre 1: expected a number, got nan",
        ),
        ("/part/1/timbre/2", (1,), "coordinate: expected a whole number from 0 to 1, got 2"),
        ("/part/1/timbre/x", (1,), "coordinate: .* got 'x'"),
        ("/part/1/timbre/0", (math.nan,), "value: expected a number, got nan"),
        ("/part/1/knob/bite", (1,), "knob: no 'bite' in this bank; it has: brightness, breath"),
        ("/part/1/knob/breath", (1.1,), "value: expected a number from 0 to 1, got 1.1"),
        ("/part/1/patch", (3,), "patch: expected text, got 3"),
        ("/part/1/patch", ("../../etc/passwd",), "patch: no '../../etc/passwd' in this bank"),
        ("/part/1/morph", ("piano", 2, 0.5), "to: expected text, got 2"),
        ("/part/1/morph", ("piano", "kazoo", 0.5), "no 'kazoo' in this bank; it has: piano, organ"),
        ("/part/1/morph", ("piano", "harp", 1.01), "amount: expected a number from 0 to 1"),
        ("/part/1/pan", ("left",), "pan: expected a number from -1 to 1, got 'left'"),
        ("/part/1/pan", (1.5,), "pan: expected a number from -1 to 1, got 1.5"),
        ("/part/1/pan", (True,), "pan: .* got True"),
        ("/part/1/bend", (48.1,), "bend: expected a number from -48 to 48, got 48.1"),
        ("/part/1/gain_db", (24.1,), "gain_db: expected a number from -120 to 24, got 24.1"),
        ("/part/1/gain_db", (-math.inf,), "gain_db: .* got -inf"),
        ("/patch/save", (1,), r"expected 2 to 3 arguments \(channel, name, \[overwrite\]\), got 1"),
        ("/patch/save", (1, "../x"), "patch name '../x'"),
        ("/patch/save", (1, "x", 2), "overwrite: .* got 2"),
        ("/patch/save", (1, "x", 0, 0), "expected 2 to 3 arguments"),
        ("/patch/save", (99, "fresh"), "channel: .* got 99"),
        ("/sync", (), r"expected 1 argument \(id\), got 0"),
        ("/sync", ("x",), "id: .* got 'x'"),
        ("/midi/learn", ("bite",), "knob: no 'bite' in this bank"),
        ("/midi/learn", ("timbre/2",), "knob: no 'timbre/2' in this bank"),
        ("/midi/learn", ("breath", 128), "controller: .* from 0 to 127, got 128"),
        ("/midi/learn", ("breath", 64), "controller: 64 keeps its meaning; free are 1-5, 7-31, 33"),
        ("/midi/forget", (9,), "controller: 9 is not bound; bound are: none"),
    ],
)
def test_mistakes_are_named_and_nothing_happens(say, book, inbox, address, args, message):
    names = book.names
    with pytest.raises(ValueError, match=message) as refused:
        say(address, *args)
    text = str(refused.value)
    assert "\n" not in text and len(text) < 200
    assert inbox.take_until(END) == [] and book.names == names
    assert say("/part/1/patch") == ("/part/1/patch", ("piano",))
    assert say("/part/1/timbre") == ("/part/1/timbre", (0.0, 1.0))
    assert say("/midi/map") == ("/midi/map.reply", ())
