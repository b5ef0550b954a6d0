"""MIDI learn: a controller that moves while a knob waits for one turns it from then on."""

from __future__ import annotations

import pytest
from mido import Message

from common.patch import Patch
from daw_bridge.desk.binding import Binding
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.learn import MidiMap
from daw_bridge.desk.sources import TAKEN, read_source
from daw_bridge.events import Level, Timbre
from daw_bridge.midi.messages import MidiTranslator


@pytest.fixture
def file(tmp_path):
    return tmp_path / "new" / "map.yaml"


@pytest.fixture
def learning(book, posted, file):
    """A desk that keeps what it learns."""
    return Desk(book, posted.append, lambda: 777, file)


def move(desk: Desk, controller: int, value: int, channel: int = 0) -> MidiTranslator:
    translator = MidiTranslator(desk, print)
    change = Message("control_change", channel=channel, control=controller, value=value)
    translator.hear(change, 40)
    return translator


def test_the_next_controller_is_learnt_kept_and_heard_on_every_channel(
    learning, book, posted, file, capsys
):
    learning.learnt.learn("breath")
    assert [move(learning, 22, 0).ignored, move(learning, 21, 64).ignored] == [1, 1]
    assert move(learning, 21, 127).ignored == 0
    assert posted == [Timbre(40, 1, (0.0, 0.0))]
    assert move(learning, 22, 0).ignored == 1
    move(learning, 21, 0, channel=4)
    assert posted[1:] == [Timbre(40, 5, (0.0, 2.0))]
    assert capsys.readouterr().out == "controller 21 turns breath\n"
    assert file.read_text() == "21: breath\n"
    again = Desk(book, posted.append, lambda: 777, file)
    assert again.learnt.bound == {21: "breath"}


def test_a_coordinate_runs_over_what_the_bank_was_trained_on(learning):
    learning.learnt.bind(30, "timbre/0")
    for value, expected in ((0, -8.0), (64, 0.0), (127, 8.0)):
        move(learning, 30, value)
        assert learning.settings(1).embedding == (expected, 1.0)


def test_what_is_learnt_comes_before_what_midi_says_until_it_is_forgotten(learning, posted, file):
    learning.learnt.bind(7, "breath")
    move(learning, 7, 127)
    learning.learnt.forget(7)
    move(learning, 7, 127)
    assert [type(event) for event in posted] == [Timbre, Level]
    assert file.read_text() == "{}\n"


@pytest.mark.parametrize("controller", sorted(TAKEN))
def test_pedals_modes_and_parameters_are_never_learnt(learning, controller):
    learning.learnt.learn("breath")
    for number in (controller, 21):
        assert not learning.learnt.bound
        for value in (0, 127):
            move(learning, number, value)
    assert learning.learnt.bound == {21: "breath"}


def test_where_controllers_stand_when_a_song_starts_is_not_a_move(learning):
    learning.learnt.learn("breath")
    for channel in range(16):
        move(learning, 7, 100, channel)
    assert not learning.learnt.bound
    move(learning, 30, 5)
    move(learning, 30, 6)
    assert learning.learnt.bound == {30: "breath"}


def test_a_knob_waits_no_more_when_told_so(learning):
    learning.learnt.learn("breath")
    learning.learnt.learn(None)
    for value in (0, 127):
        move(learning, 21, value)
    assert not learning.learnt.bound


def test_what_two_servers_learn_is_kept(learning, book, posted, file):
    other = Desk(book, posted.append, lambda: 777, file)
    learning.learnt.bind(21, "breath")
    other.learnt.bind(22, "brightness")
    learning.learnt.bind(23, "timbre/0")
    assert file.read_text() == "21: breath\n22: brightness\n23: timbre/0\n"


def test_a_map_for_another_bank_is_kept_but_does_nothing(learning, book, posted, file):
    learning.learnt.bind(21, "breath")
    del book.knobs["breath"]
    other = Desk(book, posted.append, lambda: 777, file)
    assert move(other, 21, 127).ignored == 1 and not posted
    other.learnt.bind(22, "brightness")
    assert file.read_text() == "21: breath\n22: brightness\n"


def test_without_a_file_it_is_learnt_for_now(desk):
    desk.learnt.bind(21, "breath")
    assert move(desk, 21, 127).ignored == 0


def send(desk: Desk, *changes: tuple[int, int], channel: int = 0) -> None:
    """Controllers and their values, through one translator."""
    translator = MidiTranslator(desk, lambda event: None)
    for controller, value in changes:
        message = Message("control_change", channel=channel, control=controller, value=value)
        translator.hear(message, 40)


@pytest.mark.parametrize(
    "changes",
    [
        [(20, 64), (52, 0), (20, 64), (52, 1)],
        [(20, 64), (52, 0), (52, 1)],
        [(20, 64), (52, 0), (20, 65), (52, 0)],
        [(52, 0), (20, 64), (52, 0), (20, 64), (52, 1)],
    ],
)
def test_a_controller_of_14_bits_is_learnt_as_one(learning, changes):
    learning.learnt.learn("brightness")
    send(learning, *changes)
    assert learning.learnt.bound == {20: "brightness"} and learning.learnt.waiting is None


def test_a_controller_above_31_that_moves_alone_is_learnt_itself(learning):
    """A DAW has sent where all controllers stand, the one below by 32 among them."""
    learning.learnt.learn("brightness")
    send(learning, *((controller, 0) for controller in range(120)), (52, 5), (52, 6))
    assert learning.learnt.bound == {52: "brightness"}


def test_both_halves_turn_a_knob_finer_than_one(learning):
    learning.learnt.bind(20, "brightness")
    translator, heard = MidiTranslator(learning, print), []
    for value in range(0, 16_384, 50):
        for controller, half in ((20, value >> 7), (52, value & 127)):
            translator.hear(Message("control_change", control=controller, value=half), 40)
        heard.append(learning.settings(1).knobs["brightness"])
    assert len(set(heard)) == len(heard) and heard == sorted(heard)
    assert translator.ignored == 0
    send(learning, (20, 127), (52, 127))
    assert learning.settings(1).knobs["brightness"] == 1.0
    send(learning, (20, 0), (52, 0))
    assert learning.settings(1).knobs["brightness"] == 0.0


def test_an_upper_half_alone_reaches_both_ends(learning):
    learning.learnt.bind(20, "brightness")
    for value, place in ((127, 1.0), (64, 0.5), (0, 0.0)):
        send(learning, (20, value))
        assert learning.settings(1).knobs["brightness"] == place


def test_a_makers_own_parameter_is_learnt_kept_heard_and_forgotten(learning, file, book, posted):
    learning.learnt.learn("breath")
    chosen = [(99, 2), (98, 44)]
    send(learning, *chosen, (6, 10), (38, 0), (6, 10), (38, 1))
    assert learning.learnt.bound == {"nrpn/300": "breath"}
    assert file.read_text() == "nrpn/300: breath\n"
    again = Desk(book, posted.append, lambda: 777, file)
    send(again, *chosen, (6, 127), (38, 127), channel=3)
    assert again.settings(4).knobs["breath"] == 1.0
    # Another parameter, or a registered one, does not turn it.
    send(again, (99, 2), (98, 45), (6, 0), (101, 0), (100, 0), (6, 12), channel=3)
    assert again.settings(4).knobs["breath"] == 1.0
    assert again.settings(4).bend_range == 12.0
    again.learnt.bind(21, "breath")
    assert list(again.learnt.bound) == [21, "nrpn/300"]
    again.learnt.forget("nrpn/300")
    assert again.learnt.bound == {21: "breath"}


@pytest.mark.parametrize("source", ["nrpn/16383", "nrpn/-1", "nrpn/", "nrpn/x", "cc/7"])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(ValueError, match="controller: expected"):
        read_source(source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.learn("bite"), "knob: no 'bite' in this bank"),
        (lambda m: m.learn("timbre/2"), "knob: no 'timbre/2'"),
        (
            lambda m: m.bind(64, "breath"),
            "controller: 64 keeps its meaning; free are 1-5, 7-31, 33",
        ),
        (lambda m: m.forget(9), "controller: 9 is not bound; bound are: 21"),
    ],
)
def test_mistakes_are_named_and_change_nothing(learning, file, change, message):
    learning.learnt.bind(21, "breath")
    with pytest.raises(ValueError, match=message):
        change(learning.learnt)
    assert learning.learnt.bound == {21: "breath"} and file.read_text() == "21: breath\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 21", "expected a mapping of controllers to knobs"),
        ("[]", "expected a mapping of controllers to knobs"),
        ("21: [", "not valid YAML"),
        ("200: breath", "controller: expected a whole number from 0 to 127, got 200"),
        ("64: breath", "controller: 64 keeps its meaning"),
        ("21: 3", "21: expected a knob's name, got 3"),
        ("21: {part: 3}", "21: knob: expected a name, got None"),
        ("21: {knob: pan, form: 1}", "21: no field 'form'; there are knob, part, from, to"),
        ("21: {knob: pan, from: 1}", "21: from and to: expected both or neither"),
        ("21: {knob: pan, from: a, to: 1}", "21: from: expected a number"),
        ("21: {knob: pan, curve: 2}", "21: curve: expected a number from -1 to 1, got 2"),
        ("21: {knob: pan, part: 17}", "21: part: expected a whole number from 0 to 16"),
        ("21: {knob: pan, takeover: 1}", "21: takeover: expected true or false, got 1"),
        ("channel/17/21: pan", "controller: expected channel/1/... to channel/16/..., got"),
    ],
)
def test_a_file_that_is_no_map_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        MidiMap(path, lambda knob: True)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_map_that_cannot_be_reached_is_not_taken_for_none(tmp_path):
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(ValueError, match=r"folder/map.yaml: cannot be read \("):
        MidiMap(tmp_path / "folder" / "map.yaml", lambda knob: True)


def test_what_cannot_be_kept_is_told_and_not_bound(tmp_path):
    said: list[str] = []
    folder = tmp_path / "folder"
    learnt = MidiMap(folder / "map.yaml", lambda knob: True, said.append)
    learnt.learn("breath")
    folder.write_text("in the way")
    assert [learnt.binding_for(1, 21, value) for value in (1, 2)] == [None, None]
    assert len(said) == 1 and "controller 21 was not learnt" in said[0] and str(folder) in said[0]
    assert learnt.bound == {}


def test_a_terminal_that_is_gone_stops_nobody(desk):
    def gone(line: str) -> None:
        raise BrokenPipeError

    learnt = MidiMap(None, lambda knob: True, gone)
    learnt.learn("breath")
    assert [learnt.binding_for(1, 21, value) for value in (1, 2)] == [None, Binding("breath")]


def test_gain_pan_and_morph_are_learnt_like_knobs(learning):
    for controller, target in ((20, "gain_db"), (21, "pan"), (22, "morph")):
        learning.learnt.bind(controller, target)
    learning.patch(1, "organ")  # its gain is -6 dB, and the next patch is harp
    for value, gain_db, pan, morph in ((0, -42, -1, 0), (64, -6, 0, 64 / 127), (127, 6, 1, 1)):
        move(learning, 20, value)
        move(learning, 21, value)
        now = learning.settings(1)
        assert (now.gain_db, now.pan) == (gain_db, pan)
        move(learning, 22, value)
        assert learning.settings(1).morph == pytest.approx(morph)
        learning.patch(1, "organ")


@pytest.mark.parametrize(("home", "ends"), [(20.0, (-16.0, 24.0)), (-100.0, (-120.0, -88.0))])
def test_a_learnt_gain_stays_within_what_a_patch_may_have(learning, book, home, ends):
    book.add(Patch("mine", (0.0, 0.0), {}, gain_db=home))
    learning.patch(1, "mine")
    learning.learnt.bind(20, "gain_db")
    for value, gain_db in ((0, ends[0]), (64, home), (127, ends[1])):
        move(learning, 20, value)
        assert learning.settings(1).gain_db == gain_db


def test_buttons_step_through_the_patches_when_they_are_pressed(learning):
    learning.learnt.bind(20, "patch/next")
    learning.learnt.bind(21, "patch/previous")
    seen = []
    for controller in (20, 20, 20, 21):
        for value in (127, 0):
            move(learning, controller, value, channel=1)
            seen.append(learning.settings(2).patch)
    assert seen == ["organ", "organ", "harp", "harp", "piano", "piano", "harp", "harp"]


def test_a_controller_is_learnt_for_one_channel_which_comes_first(learning, file):
    learning.learnt.bind(21, "breath")
    learning.learnt.learn("brightness", channel=3)
    for channel in (1, 3):  # MIDI's channel 2 is part 3
        for value in (0, 127):
            move(learning, 22, value, channel - 1)
    learning.learnt.learn("brightness", channel=None)
    for value in (64, 0):
        move(learning, 21, value, channel=4)
    assert learning.learnt.bound == {
        21: "breath",
        "channel/3/22": "brightness",
        "channel/5/21": "brightness",
    }
    assert "channel/5/21: brightness\n" in file.read_text()
    move(learning, 21, 0, channel=6)
    assert learning.settings(5).knobs == {"brightness": 0.0, "breath": 0.5}
    assert learning.settings(7).knobs == {"brightness": 0.5, "breath": 0.0}


def test_controllers_that_stand_differently_on_two_channels_have_not_moved(learning):
    learning.learnt.learn("breath")
    for channel in range(16):
        move(learning, 7, 100 - channel, channel)
    assert not learning.learnt.bound


def test_one_channels_controllers_turn_knobs_of_many_parts(learning):
    for part in range(1, 17):
        learning.learnt.bind(70 + part, "gain_db", part)
        move(learning, 70 + part, 127)
    assert {learning.settings(part).gain_db for part in range(1, 17)} == {12.0}


@pytest.mark.parametrize(
    ("knob", "ends", "value", "stands"),
    [
        ("breath", (0.2, 0.6), 0, lambda s: s.knobs["breath"] == 0.2),
        ("breath", (0.6, 0.2), 127, lambda s: s.knobs["breath"] == pytest.approx(0.2)),
        ("timbre/1", (-4.0, 4.0), 127, lambda s: s.embedding[1] == 4.0),
        ("gain_db", (-24.0, 0.0), 127, lambda s: s.gain_db == 0.0),
        ("pan", (1.0, -1.0), 0, lambda s: s.pan == 1.0),
        ("morph", (0.0, 0.5), 127, lambda s: s.morph == 0.5),
    ],
)
def test_a_range_is_in_the_knobs_own_unit_and_may_be_upside_down(
    learning, knob, ends, value, stands
):
    learning.learnt.bind(21, knob)
    learning.learnt.change(21, ends=ends)
    learning.patch(1, "organ")
    move(learning, 21, value)
    assert stands(learning.settings(1))


def test_a_range_in_a_file_that_a_knob_has_not_stops_at_its_ends(book, posted, file):
    file.parent.mkdir()
    file.write_text("21: {knob: breath, from: -5, to: 9}\n22: {knob: timbre/0, from: 0, to: 99}")
    desk = Desk(book, posted.append, lambda: 777, file)
    move(desk, 21, 127)
    move(desk, 22, 127)
    assert desk.settings(1).knobs["breath"] == 1.0
    assert desk.settings(1).embedding[0] == desk.reach[0][1]


def test_a_curve_bends_the_way_but_not_its_ends(learning):
    learning.learnt.bind(21, "breath")
    learning.learnt.change(21, ends=(0.0, 1.0))
    heard = {}
    for curve in (-1.0, 0.0, 1.0):
        learning.learnt.change(21, curve=curve)
        heard[curve] = []
        for value in (0, 32, 64, 96, 127):
            move(learning, 21, value)
            heard[curve].append(learning.settings(1).knobs["breath"])
    for way in heard.values():
        assert (way[0], way[-1]) == (0.0, 1.0) and way == sorted(way)
    assert all(a > b > c for a, b, c in zip(*(way[1:4] for way in heard.values()), strict=True))


def test_switches_follow_a_controller(learning):
    learning.learnt.bind(20, "mute")
    learning.learnt.bind(21, "solo")
    for value, on in ((127, True), (0, False), (64, True), (63, False)):
        move(learning, 20, value)
        move(learning, 21, value)
        assert (learning.settings(1).muted, learning.settings(1).soloed) == (on, on)


def sweep(desk: Desk, translator: MidiTranslator, *values: int) -> list[float]:
    """Where a knob stands after each value of controller 21."""
    stood = []
    for value in values:
        translator.hear(Message("control_change", control=21, value=value), 40)
        stood.append(round(desk.settings(1).knobs["breath"], 3))
    return stood


def test_soft_takeover_waits_until_the_controller_passes_where_the_knob_stands(learning):
    translator = MidiTranslator(learning, print)
    learning.learnt.bind(21, "breath")
    learning.learnt.change(21, takeover=True, ends=(0.0, 1.0))
    learning.knob(1, "breath", 0.5)
    # From below, over it in one leap, and then wherever it goes.
    assert sweep(learning, translator, 0, 30, 50, 80, 20) == [0.5, 0.5, 0.5, 0.63, 0.157]
    # Something else has moved it: it waits again, from above.
    learning.knob(1, "breath", 0.1)
    assert sweep(learning, translator, 100, 21, 13, 12) == [0.1, 0.1, 0.1, 0.094]
    assert translator.ignored == 0


def test_a_controller_that_stands_where_its_knob_does_takes_hold_at_once(learning):
    translator = MidiTranslator(learning, print)
    learning.learnt.bind(21, "breath")
    learning.learnt.change(21, takeover=True)
    assert sweep(learning, translator, 64, 65, 127) == [0.5, 0.508, 1.0]
    # The patch that is chosen has it elsewhere.
    learning.patch(1, "organ")
    learning.patch(1, "piano")
    assert sweep(learning, translator, 126, 100, 64, 63) == [0.5, 0.5, 0.5, 0.492]


def test_bindings_are_kept_whole(learning, book, posted, file):
    file.parent.mkdir()
    file.write_text("22: brightness\n")  # as it was written before there was more
    learning.learnt.bind("channel/3/nrpn/300", "gain_db", part=5)
    learning.learnt.change("channel/3/nrpn/300", ends=(0.0, -24.0), curve=0.5, takeover=True)
    again = Desk(book, posted.append, lambda: 777, file)
    assert again.learnt.bindings == learning.learnt.bindings
    assert again.learnt.bindings == {
        22: Binding("brightness"),
        "channel/3/nrpn/300": Binding("gain_db", 5, (0.0, -24.0), 0.5, True),
    }


def test_a_part_that_a_controller_of_14_bits_of_one_channel_turns(learning):
    learning.learnt.learn("brightness", channel=2)
    send(learning, (20, 64), (52, 0), (52, 1), channel=1)
    assert learning.learnt.bound == {"channel/2/20": "brightness"}
    learning.learnt.bind("channel/2/52", "breath")
    send(learning, (20, 64), (52, 127), channel=1)
    assert learning.settings(2).knobs["breath"] == 1.0
