"""MIDI messages, as mido reads them from bytes, become events."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import mido
import pytest

from common.window import PARTS
from daw_bridge.events import (
    AllNotesOff,
    AllSoundOff,
    Bend,
    Level,
    NoteOff,
    NoteOn,
    Pedal,
    Timbre,
)
from daw_bridge.midi.messages import MidiTranslator


@pytest.fixture
def translator(desk, posted) -> MidiTranslator:
    return MidiTranslator(desk, posted.append)


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ("90 3c 64", NoteOn(40, 1, 60, 100)),
        ("9f 15 01", NoteOn(40, 16, 21, 1)),
        ("8f 00 00", NoteOff(40, 16, 0)),
        ("90 3c 00", NoteOff(40, 1, 60)),
        ("81 3c 40", NoteOff(40, 2, 60)),
        ("b2 40 7f", Pedal(40, 3, 64, True)),
        ("b2 42 3f", Pedal(40, 3, 66, False)),
        ("b2 07 7f", Level(40, 3, pytest.approx(4.15, abs=0.01), 0.0)),
        ("b2 0a 7f", Level(40, 3, 0.0, 1.0)),
        ("b2 0b 00", Level(40, 3, -float("inf"), 0.0)),
        ("b2 4a 7f", Timbre(40, 3, (0.5, 1.0))),
        ("e2 00 00", Bend(40, 3, -2.0)),
        ("e2 00 60", Bend(40, 3, 1.0)),
        ("b2 78 00", AllSoundOff(40, 3)),
        ("b2 7b 00", AllNotesOff(40, 3)),
    ],
)
def test_each_message_says_its_event(translator, posted, data, event):
    translator.hear(mido.Message.from_hex(data), 40)
    assert posted == [event]
    assert translator.ignored == 0


def test_a_program_change_loads_a_patch_whatever_the_bank(translator, desk, posted):
    for data in ("b4 00 01", "b4 20 05", "c4 13"):
        translator.hear(mido.Message.from_hex(data), 40)
    assert desk.settings(5).patch == "organ"
    assert posted == [Timbre(40, 5, (2.0, -2.0)), Level(40, 5, -6.0, 0.5)]
    assert translator.ignored == 2  # the two bank selects


@pytest.mark.parametrize("data", ["a0 3c 40", "c0 7f", "b0 5b 40", "b0 06 01", "b0 60 00"])
def test_what_the_roll_cannot_say_is_counted(translator, posted, data):
    translator.hear(mido.Message.from_hex(data), 40)
    assert posted == []
    assert translator.ignored == 1


@pytest.mark.parametrize("data", ["f8", "fe", "fa", "ff", "f0 43 10 4c f7"])
def test_system_messages_are_passed_over(translator, posted, data):
    translator.hear(mido.Message.from_hex(data), 40)
    assert posted == []
    assert translator.ignored == 0


def test_what_an_ear_would_miss_is_told_once(desk, posted):
    said: list[str] = []
    translator = MidiTranslator(desk, posted.append, said.append)
    for data in (
        *["a0 3c 00", "a0 3c 40", "a3 3c 41", "b0 5b 00", "b0 5b 28", "b0 41 7f", "b0 70 01"],
        *["b0 65 00", "b0 64 05", "b0 06 01", "b0 26 01", "f0 7f 7f 08 02 00 01 3c 3c 00 00 f7"],
        *["b0 64 03", "b0 06 01", "b0 64 04", "b0 26 01", "b0 64 09", "b0 60 00", "f0 43 10 f7"],
    ):
        translator.hear(mido.Message.from_hex(data), 40)
    assert said == [
        "MIDI: aftertouch of single keys has no effect here",
        "MIDI: controller 91 (reverb) has no effect here",
        "MIDI: controller 65 (portamento) has no effect here",
        "MIDI: the depth of the wheel (RPN 5) has no effect here",
        "MIDI: tuning of single keys (MTS) has no effect here",
        "MIDI: a tuning program (RPN 3 and 4) has no effect here",
        "MIDI: a parameter (RPN or NRPN) not known has no effect here",
    ]
    assert translator.ignored == 13 and posted == []


@pytest.mark.parametrize(
    ("data", "level_db"),
    [
        ("7f 7f 04 01 7f 7f", 0.0),
        ("7f 00 04 01 00 40", -12.04),
        ("7f 7f 04 01 00 00", -math.inf),
        ("41 10 42 12 40 00 04 40 7c", -11.9),
        ("43 10 4c 00 00 04 40", -11.9),
    ],
    ids=["full", "half", "silence", "GS", "XG"],
)
def test_master_volume_turns_all_parts_down_and_is_told_once(desk, posted, data, level_db):
    said: list[str] = []
    translator = MidiTranslator(desk, posted.append, said.append)
    desk.gain_db(2, -3.0)
    translator.hear(mido.Message.from_hex("b4 07 00"), 40)  # it is silent anyway
    posted.clear()
    for _ in range(2):
        translator.hear(mido.Message.from_hex(f"f0 {data} f7"), 50)
    levels = {e.part: e.gain_db for e in posted[:16] if isinstance(e, Level) and e.time == 50}
    assert levels == {part: pytest.approx(level_db, abs=0.01) for part in PARTS} | {
        2: pytest.approx(level_db - 3, abs=0.01),
        5: -math.inf,
    }
    assert len(said) == (level_db < 0)
    # What is turned now is as much softer, until a reset.
    desk.gain_db(1, 6.0)
    assert posted[-1].gain_db == pytest.approx(level_db + 6, abs=0.01)
    translator.hear(mido.Message.from_hex("f0 7e 7f 09 01 f7"), 60)
    desk.gain_db(1, 0.0)
    assert posted[-1].gain_db == 0.0


def test_master_tuning_bends_all_parts_within_what_can_be_bent(translator, desk, posted):
    for data in ("b0 65 00", "b0 64 02", "b0 06 7f", "f0 7f 7f 04 03 00 60 f7"):
        translator.hear(mido.Message.from_hex(data), 40)
    bends = {e.part: e.semitones for e in posted if isinstance(e, Bend) and e.time == 40}
    assert bends == dict.fromkeys(PARTS, 0.5) | {1: 48.0}
    translator.hear(mido.Message.from_hex("f0 7f 7f 04 04 00 3d f7"), 41)
    assert posted[-1] == Bend(41, 16, -2.5)
    translator.hear(mido.Message.from_hex("e1 7f 7f"), 42)
    assert posted[-1] == Bend(42, 2, pytest.approx(-0.5, abs=0.001))
    translator.hear(mido.Message.from_hex("f0 7e 7f 09 01 f7"), 43)
    assert [e.semitones for e in posted if isinstance(e, Bend)][-16:] == [0.0] * 16


def test_aftertouch_without_a_knob_is_told(desk, book, posted):
    said: list[str] = []
    translator = MidiTranslator(desk, posted.append, said.append)
    del book.knobs["brightness"]
    translator.hear(mido.Message.from_hex("d0 40"), 40)
    assert said == ["MIDI: aftertouch has no effect here"]


@pytest.mark.parametrize(
    "data",
    ["7e 7f 09 01", "7e 7f 09 03", "41 10 42 12 40 00 7f 00 41", "43 10 4c 00 00 7e 00"],
    ids=["GM", "GM2", "GS", "XG"],
)
def test_a_reset_puts_controllers_back_and_cuts_no_note(translator, desk, posted, data):
    for before in ("b3 07 20", "b3 40 7f", "e3 00 00", "93 3c 64"):
        translator.hear(mido.Message.from_hex(before), 40)
    posted.clear()
    translator.hear(mido.Message.from_hex(f"f0 {data} f7"), 50)
    assert desk.settings(4).volume == 100 and desk.settings(4).bent == 0
    assert Pedal(50, 4, 64, False) in posted and Level(50, 4, 0.0, 0.0) in posted
    assert not [e for e in posted if isinstance(e, NoteOff | AllNotesOff | AllSoundOff)]


def test_a_mono_part_plays_the_last_key_and_goes_back(translator, posted):
    for data in (
        *["b0 7e 01", "90 3c 64", "90 40 50", "90 43 40", "80 40 00", "80 43 00", "80 3c 00"],
        *["b0 7f 00", "90 3c 64", "90 40 64"],
    ):
        translator.hear(mido.Message.from_hex(data), 9)
    notes = [e for e in posted if isinstance(e, NoteOn | NoteOff)]
    assert notes == [
        NoteOn(9, 1, 60, 100),
        NoteOff(9, 1, 60),
        NoteOn(9, 1, 64, 80),
        NoteOff(9, 1, 64),
        NoteOn(9, 1, 67, 64),
        NoteOff(9, 1, 67),
        NoteOn(9, 1, 60, 100),
        NoteOff(9, 1, 60),
        NoteOn(9, 1, 60, 100),
        NoteOn(9, 1, 64, 100),
    ]


def test_after_a_panic_a_mono_part_goes_back_to_no_key_from_before(desk, inbox):
    translator = MidiTranslator(desk, inbox.post, panics=lambda: inbox.panics)
    for data in ("b0 7e 01", "90 3c 64", "90 40 64"):
        translator.hear(mido.Message.from_hex(data), 9)
    inbox.panic(9)
    for data in ("90 43 64", "80 43 00"):
        translator.hear(mido.Message.from_hex(data), 9)
    notes = [e for e in inbox.take_until(10) if isinstance(e, NoteOn | NoteOff)]
    assert notes == [NoteOn(9, 1, 67, 100), NoteOff(9, 1, 67)]


def test_notes_of_keys_that_a_piano_does_not_have_are_counted(translator, posted):
    for key in (20, 21, 108, 109, 127):
        translator.hear(mido.Message("note_on", note=key, velocity=1), 40)
        translator.hear(mido.Message("note_off", note=key), 41)
    assert [e.key for e in posted if isinstance(e, NoteOn)] == [21, 108]
    assert (translator.outside, translator.ignored) == (3, 0)


def test_notes_of_keys_that_a_patch_does_not_have_are_counted_and_told_once(desk, posted, book):
    told: list[str] = []
    translator = MidiTranslator(desk, posted.append, told.append)
    book.add(replace(book.patch(book.names[0]), name="organ", keys=(36, 96)))
    desk.patch(1, "organ")
    posted.clear()
    for key in (35, 36, 96, 97, 120):
        translator.hear(mido.Message("note_on", note=key, velocity=9), 40)
    assert [e.key for e in posted] == [36, 96] and translator.outside == 3
    assert told == ["MIDI: organ has keys 36 to 96 only, others do not sound"]
    desk.morph(1, "organ", book.names[0], 0.6)
    translator.hear(mido.Message("note_on", note=97, velocity=9), 41)
    assert posted[-1] == NoteOn(41, 1, 97, 9)
    desk.patch(1, "organ")
    assert desk.book.patch(desk.save(1, "mine").patch).keys == (36, 96)


@pytest.mark.parametrize("data", ["", "e0", "e0 00", "f2", "c0", "90 3c", "90 80 00", "3c", "f4"])
def test_bytes_that_are_no_message_are_counted(translator, posted, data):
    translator.hear_bytes(list(bytes.fromhex(data)), 40)
    assert posted == []
    assert (translator.malformed, translator.ignored) == (1, 0)
    translator.hear_bytes([0x90, 60, 100], 41)
    assert posted == [NoteOn(41, 1, 60, 100)]


def test_any_bytes_are_survived(translator):
    draw = random.Random(7)
    for time in range(20_000):
        translator.hear_bytes([draw.randrange(256) for _ in range(draw.randrange(5))], time)
    assert translator.malformed > 1000


def test_any_stream_of_messages_is_survived(translator, posted, desk):
    desk.announce(0)
    draw = random.Random(6)
    for time in range(5000):
        status = draw.randrange(0x80, 0xF0)
        data = [draw.randrange(128) for _ in range(1 if 0xC0 <= status < 0xE0 else 2)]
        translator.hear(mido.Message.from_bytes([status, *data]), time)
    assert [event.time for event in posted] == sorted(event.time for event in posted)
    assert {type(event) for event in posted} >= {NoteOn, NoteOff, Timbre, Level, Pedal}
    last = {e.part: e.embedding for e in posted if isinstance(e, Timbre)}
    assert last == {part: desk.effective(part) for part in PARTS}
