"""MIDI files: right times, channel messages only, and one clear line for a bad file."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import mido
import pytest

from daw_bridge.midi.file import TimedMessage, read_midi_file, sounding_end

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
    found = read_midi_file(path)
    heard = [(m.seconds, m.message.channel, m.message.note) for m in found if notes_on(m)]
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


def test_only_channel_messages_and_sysex_come_through(path):
    named = bytes([48, 0xFF, 0x03, 1, 120])
    prefix = bytes([0, 0xFF, 0x20, 1, 2])
    sysex = bytes([0, 0xF0, 2, 1, 0xF7])
    clock = bytes([48, 0xF8])
    pedal = bytes([0, 0xB0, 64, 127])
    path.write_bytes(midi_bytes(named + prefix + sysex + clock + pedal + bytes([0, 0xFF, 0x2F, 0])))
    found = read_midi_file(path)
    assert [m.message.type for m in found] == ["sysex", "control_change"]
    assert [m.seconds for m in found] == pytest.approx([0.25, 0.5])


def test_data_bytes_over_127_are_clipped(path):
    path.write_bytes(midi_bytes(bytes([0, 0x90, 60, 200, 0, 0xFF, 0x2F, 0])))
    struck = read_midi_file(path)[0]
    assert struck.message.velocity == 127


@pytest.mark.parametrize("more", [4, 160])
def test_a_number_of_too_many_bytes_ends_its_track(path, more):
    """Of 161 bytes, it would be a time that is too great for a float."""
    late = bytes.fromhex("00 90 30 64") + more * b"\xff" + bytes.fromhex("7f 80 30 40")
    path.write_bytes(midi_bytes(late, bytes.fromhex(MELODY)))
    said: list[str] = []
    found = notes(read_midi_file(path, said.append))
    assert found == [(0.0, 0.0, 48), *PLAYED] and said == ["1 broken event passed over"]


GOOD = midi_bytes(TRACK)

MELODY = "00 90 3c 64 60 80 3c 40 00 90 40 64 60 80 40 40 00 ff 2f 00"
PLAYED = [(0.0, 0.5, 60), (0.5, 1.0, 64)]
"""What MELODY plays at 96 ticks a beat: start and end in seconds, key."""


def notes(messages: list[TimedMessage]) -> list[tuple[float, float, int]]:
    """Start and end in seconds and key of each note, as a roll would take them."""
    down: dict[tuple[int, int], float] = {}
    found = []
    for timed in messages:
        if timed.message.type not in ("note_on", "note_off"):
            continue
        key = timed.message.channel, timed.message.note
        if timed.message.type == "note_on" and timed.message.velocity:
            down.setdefault(key, timed.seconds)
        elif key in down:
            found.append((down.pop(key), timed.seconds, key[1]))
    assert not down, "a key is never let go"
    return sorted(found)


@pytest.mark.parametrize(
    "before",
    [
        "00 ff 59 02 fe ff",
        "00 ff 54 05 e0 00 00 00 00",
        "00 ff 58 02 04 02",
        "00 ff 58 04 04 c8 18 08",
        "00 ff 03 04 83 65 83 58",
        "00 ff 7f 00",
        "00 ff 51 02 07 a1",
        "00 ff 21 00",
        "00 f4",
        "00 f2 01 02 00 fd 00 f8",
        "00 f0 03 43 12 00 00 f7 03 43 12 00 00 f7 02 43 f7",
        "00 f7 03 90 30 64",
    ],
    ids=lambda track: track[3:8],
)
def test_what_no_ear_hears_or_is_broken_costs_no_more_than_itself(path, before):
    path.write_bytes(midi_bytes(bytes.fromhex(before + MELODY)))
    assert notes(read_midi_file(path)) == PLAYED


@pytest.mark.parametrize("between", ["f0 05 7e 7f 09 01 f7", "f0 03 43 10 f7", "ff 01 02 68 69"])
def test_running_status_lasts_over_sysex_and_meta_events(path, between):
    track = f"00 90 3c 64 30 {between} 30 3c 00 00 40 64 60 40 00 00 ff 2f 00"
    path.write_bytes(midi_bytes(bytes.fromhex(track)))
    assert notes(read_midi_file(path)) == PLAYED


def test_other_chunks_are_passed_over(path):
    content = midi_bytes(bytes.fromhex("00 ff 2f 00"), bytes.fromhex(MELODY))
    alien, second = chunk(b"XTRA", b"hello!"), content.rindex(b"MTrk")
    path.write_bytes(content[:14] + alien + content[14:second] + alien + content[second:])
    assert notes(read_midi_file(path)) == PLAYED


def test_a_file_wrapped_as_rmid(path):
    content = midi_bytes(bytes.fromhex(MELODY))
    odd = b"LIST" + struct.pack("<I", 3) + b"odd\0"
    data = b"data" + struct.pack("<I", len(content)) + content
    path.write_bytes(b"RIFF" + struct.pack("<I", len(odd + data) + 4) + b"RMID" + odd + data)
    assert notes(read_midi_file(path)) == PLAYED
    path.write_bytes(b"RIFF" + struct.pack("<I", len(odd) + 4) + b"RMID" + odd)
    with pytest.raises(ValueError, match="the file is empty"):
        read_midi_file(path)


@pytest.mark.parametrize(
    ("frames", "ticks", "seconds"), [(25, 40, 0.096), (30, 80, 0.04), (29, 100, 0.032032)]
)
def test_smpte_time_needs_no_tempo(path, frames, ticks, seconds):
    track = bytes.fromhex("00 ff 51 03 01 00 00" + MELODY)
    path.write_bytes(midi_bytes(track, division=-frames << 8 | ticks))
    found = [time for note in notes(read_midi_file(path)) for time in note[:2]]
    assert found == pytest.approx([0, seconds, seconds, 2 * seconds])


def test_a_key_that_is_never_let_go_is_released_at_the_end_of_its_track(path):
    long = bytes.fromhex("00 90 3c 64 83 00 ff 01 01 78 00 ff 2f 00")
    other = bytes.fromhex("00 91 40 64 60 91 43 64 00 81 40 40 60 ff 2f 00")
    path.write_bytes(midi_bytes(long, other))
    assert notes(read_midi_file(path)) == [(0.0, 0.5, 64), (0.0, 2.0, 60), (0.5, 1.0, 67)]


def test_a_release_at_the_tick_of_the_next_strike_ends_the_strike_before(path):
    """As notation programs write repeated notes."""
    again = "60 90 3c 64 00 80 3c 40"
    track = f"00 90 3c 64 {again} {again} 60 80 3c 40 00 ff 2f 00"
    path.write_bytes(midi_bytes(bytes.fromhex(track)))
    assert notes(read_midi_file(path)) == [(0.0, 0.5, 60), (0.5, 1.0, 60), (1.0, 1.5, 60)]


def test_a_note_of_no_length_stays_one(path):
    track = "00 90 3c 64 60 90 3c 64 00 80 3c 40 60 ff 2f 00"
    path.write_bytes(midi_bytes(bytes.fromhex(track)))
    assert notes(read_midi_file(path)) == [(0.0, 0.5, 60)]


def test_two_ports_on_one_channel_are_kept_apart(path):
    first = bytes.fromhex("00 ff 21 01 00 00 c0 13 00 90 30 64 81 40 80 30 40 00 ff 2f 00")
    second = bytes.fromhex(
        "00 ff 21 01 01 00 c0 38 00 b0 07 00 60 90 30 64 60 80 30 40 00 ff 2f 00"
    )
    silent = bytes.fromhex("00 ff 21 01 02 00 b0 07 01 00 ff 2f 00")
    path.write_bytes(midi_bytes(first, second, silent))
    said: list[str] = []
    found = read_midi_file(path, said.append)
    assert notes(found) == [(0.0, 1.0, 48), (0.5, 1.0, 48)]
    programs = {m.message.channel: m.message.program for m in found if m.message.type[0] == "p"}
    assert programs == {0: 19, 1: 56}
    assert {m.message.channel for m in found if m.message.type == "control_change"} == {1}
    assert said == ["port 2, channel 1 plays as part 2"]


def test_ports_share_parts_only_where_no_channel_is_free(path):
    def track(port: int) -> bytes:
        strikes = "".join(f"00 9{c:x} 40 64 01 8{c:x} 40 40" for c in range(16) if c != 9)
        return bytes.fromhex(f"00 ff 21 01 {port:02x} {strikes} 00 ff 2f 00")

    path.write_bytes(midi_bytes(track(0), track(1)))
    said: list[str] = []
    read_midi_file(path, said.append)
    assert (
        len(said) == 15 and said[0] == "port 2, channel 1: no channel is free, it shares its part"
    )


GS = "00 f0 0a 41 10 42 12 40 00 7f 00 41 f7"
XG = "00 f0 08 43 10 4c 00 00 7e 00 f7"
GM2 = "00 f0 05 7e 7f 09 03 f7"


def strikes(channel: int) -> str:
    return f"00 9{channel - 1:x} 40 64 01 8{channel - 1:x} 40 40"


def bank(channel: int, upper: int) -> str:
    return f"00 b{channel - 1:x} 00 {upper:02x} 00 c{channel - 1:x} 00"


@pytest.mark.parametrize(
    ("messages", "drums"),
    [
        ("", [10]),
        (f"{GS} 00 f0 0a 41 10 42 12 40 11 15 01 19 f7", [1, 10]),
        (f"{GS} 00 f0 0a 41 10 42 12 40 10 15 00 1b f7", []),
        ("00 f0 0a 41 10 42 12 40 1a 15 02 0f f7", [10, 11]),
        (f"{XG} {bank(11, 127)}", [10, 11]),
        (f"{XG} {bank(10, 0)}", []),
        (f"{XG} 00 f0 08 43 10 4c 08 02 07 02 f7", [3, 10]),
        (f"{GM2} {bank(11, 120)}", [10, 11]),
        (f"{XG} {bank(11, 127)} 00 f0 05 7e 7f 09 01 f7", [10]),
        (bank(11, 127), [10]),
        (f"{GS} {bank(11, 127)}", [10]),
    ],
)
def test_channels_are_drums_as_gs_xg_and_gm2_say(path, messages, drums):
    track = messages + "".join(map(strikes, (1, 3, 10, 11))) + "00 ff 2f 00"
    path.write_bytes(midi_bytes(bytes.fromhex(track)))
    found = {m.message.channel + 1 for m in read_midi_file(path) if m.drums and notes_on(m)}
    assert sorted(found) == drums


def notes_on(timed: TimedMessage) -> bool:
    return timed.message.type == "note_on"


@pytest.mark.parametrize(
    ("track", "end"),
    [
        (MELODY, 1.0),
        ("00 90 3c 64 60 80 3c 40 ff ff ff 7f b0 07 64 00 ff 2f 00", 0.5),
        ("00 90 3c 64 60 80 3c 40 ff ff ff 7f ff 2f 00", 0.5),
        ("00 b0 40 7f 00 90 3c 64 60 80 3c 40 60 b0 40 00 60 b0 07 64 00 ff 2f 00", 1.0),
        ("00 b0 40 7f 00 90 3c 64 60 80 3c 40 60 b0 79 00 60 b0 07 64 00 ff 2f 00", 1.0),
        ("00 90 3c 64 60 b0 7b 00 60 80 3c 40 00 ff 2f 00", 0.5),
        ("00 90 3c 64 60 b0 78 00 60 b0 07 40 00 ff 2f 00", 0.5),
    ],
)
def test_a_piece_ends_where_nothing_is_held_any_more(path, track, end):
    path.write_bytes(midi_bytes(bytes.fromhex(track)))
    assert sounding_end(read_midi_file(path)) == pytest.approx(end)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"RIFF....WAVEfmt ", "does not start with MThd"),
        (bytes(128) + GOOD, "does not start with MThd"),
        (GOOD[:-6], "ends too early"),
        (GOOD[:14] + b"nope" + GOOD[18:], "states 1 tracks and holds 0"),
        (midi_bytes(TRACK, kind=2), "type 2"),
        (midi_bytes(TRACK, division=0), "division 0: must be 1 to 32767"),
        (midi_bytes(TRACK, division=-26 << 8 | 40), "division 26 frames a second of 40 ticks"),
        (midi_bytes(TRACK, division=-25 << 8), "division 25 frames a second of 0 ticks"),
        (midi_bytes(bytes([0, 60, 64])), "data byte 0x3c before any status byte"),
        (chunk(b"MThd", b"\0\1"), "header of 6 bytes, got 2"),
        (b"MThd", "header"),
    ],
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
