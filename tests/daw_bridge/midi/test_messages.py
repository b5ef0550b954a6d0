"""MIDI messages, as mido reads them from bytes, become events."""

from __future__ import annotations

import random

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


@pytest.mark.parametrize("data", ["d0 40", "a0 3c 40", "c0 7f", "b0 5b 40"])
def test_what_the_roll_cannot_say_is_counted(translator, posted, data):
    translator.hear(mido.Message.from_hex(data), 40)
    assert posted == []
    assert translator.ignored == 1


@pytest.mark.parametrize("data", ["f8", "fe", "fa", "ff", "f0 7e 7f 09 01 f7"])
def test_system_messages_are_passed_over(translator, posted, data):
    translator.hear(mido.Message.from_hex(data), 40)
    assert posted == []
    assert translator.ignored == 0


def test_notes_of_keys_that_a_piano_does_not_have_are_counted(translator, posted):
    for key in (20, 21, 108, 109, 127):
        translator.hear(mido.Message("note_on", note=key, velocity=1), 40)
        translator.hear(mido.Message("note_off", note=key), 41)
    assert [e.key for e in posted if isinstance(e, NoteOn)] == [21, 108]
    assert (translator.outside, translator.ignored) == (3, 0)


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
