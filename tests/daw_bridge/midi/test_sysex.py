"""System exclusive messages: which ones are known, and that any other is no harm."""

from __future__ import annotations

import random

import pytest

from daw_bridge.midi.sysex import (
    DrumChannels,
    DrumSwitch,
    MasterTuning,
    MasterVolume,
    Reset,
    read_sysex,
)


@pytest.mark.parametrize(
    ("data", "meaning"),
    [
        ("7e 7f 09 01", Reset.GM),
        ("7e 10 09 03", Reset.GM2),
        ("7e 7f 09 02", None),
        ("41 10 42 12 40 00 7f 00 41", Reset.GS),
        ("41 10 42 12 00 00 7f 01 00", Reset.GS),
        ("43 10 4c 00 00 7e 00", Reset.XG),
        ("43 12 4c 00 00 7f 00", Reset.XG),
        ("43 30 4c 00 00 7e 00", None),
        ("41 10 42 12 40 11 15 01 19", DrumSwitch(1, True)),
        ("41 10 42 12 40 10 15 00 1b", DrumSwitch(10, False)),
        ("41 10 42 12 40 1f 15 02 0a", DrumSwitch(16, True)),
        ("43 10 4c 08 0a 07 01", DrumSwitch(11, True)),
        ("43 10 4c 08 7f 07 01", None),
        ("7f 7f 04 01 7f 7f", MasterVolume(1.0)),
        ("7f 7f 04 01 7f", None),
        ("41 10 42 12 40 00 04 00 3c", MasterVolume(0.0)),
        ("43 10 4c 00 00 04 7f", MasterVolume(1.0)),
        ("7f 7f 04 03 00 00", MasterTuning(cents=-100.0)),
        ("7f 7f 04 04 00 3f", MasterTuning(semitones=-1)),
        ("", None),
    ],
)
def test_what_a_message_means(data, meaning):
    assert read_sysex(bytes.fromhex(data)) == meaning


def test_any_message_is_survived():
    draw, channels = random.Random(3), DrumChannels()
    for _ in range(5000):
        start = draw.choice(((0x7E, 0x7F), (0x41, 0x10, 0x42, 0x12), (0x43, 0x10, 0x4C), ()))
        channels.hear_sysex([*start, *(draw.randrange(128) for _ in range(draw.randrange(8)))])
    channels.hear_sysex(bytes.fromhex("7e 7f 09 01"))
    assert [channel for channel in range(1, 17) if channel in channels] == [10]
