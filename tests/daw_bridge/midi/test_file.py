"""MIDI files: right times, channel messages only, and one clear line for a bad file."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import mido
import pytest

from daw_bridge.midi.file import read_midi_file

TRACK = bytes([0x10, 0x90, 60, 64, 0x10, 0x80, 60, 0, 0, 0xFF, 0x2F, 0])


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack(">I", len(data)) + data


def midi_bytes(*tracks: bytes, kind: int = 1, division: int = 96) -> bytes:
    header = struct.pack(">HHh", kind, len(tracks), division)
    return chunk(b"MThd", header) + b"".join(chunk(b"MTrk", track) for track in tracks)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "song.mid"


def save(path: Path, *tracks: list[mido.Message | mido.MetaMessage], kind: int = 1) -> None:
    file = mido.MidiFile(type=kind, ticks_per_beat=100)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    file.save(path)


def test_tracks_are_merged_in_time_by_the_tempo_map(path):
    tempi = [
        mido.MetaMessage("set_tempo", tempo=500_000, time=0),
        mido.MetaMessage("set_tempo", tempo=250_000, time=200),
    ]
    high = [mido.Message("note_on", note=72, velocity=1, time=ticks) for ticks in (100, 200)]
    low = [mido.Message("note_on", channel=3, note=40, velocity=1, time=150)]
    save(path, tempi, high, low)
    heard = [(m.seconds, m.message.channel, m.message.note) for m in read_midi_file(path)]
    # Beats of 0.5 s up to beat 2, then of 0.25 s; the second high note is on beat 3.
    assert heard == [
        (pytest.approx(0.5), 0, 72),
        (pytest.approx(0.75), 3, 40),
        (pytest.approx(1.25), 0, 72),
    ]


def test_type_0_and_the_default_tempo(path):
    save(path, [mido.Message("program_change", program=5, time=100)], kind=0)
    (only,) = read_midi_file(str(path))
    assert only.seconds == pytest.approx(0.5)
    assert only.message.program == 5


def test_only_channel_messages_come_through(path):
    named = bytes([48, 0xFF, 0x03, 1, 120])
    prefix = bytes([0, 0xFF, 0x20, 1, 2])
    sysex = bytes([0, 0xF0, 2, 1, 0xF7])
    clock = bytes([48, 0xF8])
    pedal = bytes([0, 0xB0, 64, 127])
    path.write_bytes(midi_bytes(named + prefix + sysex + clock + pedal + bytes([0, 0xFF, 0x2F, 0])))
    (only,) = read_midi_file(path)
    assert only.message.type == "control_change"
    assert only.seconds == pytest.approx(0.5)


def test_data_bytes_over_127_are_clipped(path):
    path.write_bytes(midi_bytes(bytes([0, 0x90, 60, 200, 0, 0xFF, 0x2F, 0])))
    (only,) = read_midi_file(path)
    assert only.message.velocity == 127


GOOD = midi_bytes(TRACK)
KEY_OF_73_FLATS = bytes([0, 0xFF, 0x59, 2, 183, 0]) + TRACK


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends too early"),
        (b"RIFF....WAVEfmt ", "MThd not found"),
        (GOOD[:-6], "ends too early"),
        (GOOD[:14] + b"nope" + GOOD[18:], "no MTrk header"),
        (midi_bytes(TRACK, kind=2), "type 2"),
        (midi_bytes(TRACK, division=0), "division 0: must be 1 to 32767"),
        (midi_bytes(TRACK, division=-25 << 8 | 40), "division -6360: must be 1 to 32767"),
        (midi_bytes(KEY_OF_73_FLATS), "73 flats"),
        (midi_bytes(bytes([0, 60, 64])), "running status"),
    ],
    ids=["empty", "wav", "cut", "track", "type 2", "zero", "smpte", "key", "status"],
)
def test_a_bad_file_is_told_in_one_line(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as told:
        read_midi_file(path)
    assert str(told.value).startswith(f"{path}: not a MIDI file of type 0 or 1 (")
    assert "\n" not in str(told.value)


def test_a_missing_file_and_a_folder(path, tmp_path):
    with pytest.raises(ValueError, match="song.mid: no such file"):
        read_midi_file(path)
    with pytest.raises(ValueError, match="expected a file, got a folder"):
        read_midi_file(tmp_path)


def test_no_damage_raises_anything_else(path):
    chance = random.Random(0)
    meta = bytes([0, 0xFF, 0x51, 3, 7, 161, 32, 0, 0xFF, 0x58, 4, 4, 2, 24, 8])
    meta += bytes([0, 0xFF, 0x59, 2, 0, 0, 0, 0xFF, 0x54, 5, 96, 0, 0, 0, 0])
    good = midi_bytes(meta + TRACK, TRACK)
    read = refused = 0
    for _ in range(400):
        damaged = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.choice((None, chance.randrange(len(damaged))))])
        try:
            messages = read_midi_file(path)
            times = [m.seconds for m in messages]
            assert times == sorted(times) and all(t >= 0 for t in times)
            read += 1
        except ValueError:
            refused += 1
    assert read > 30 and refused > 30
