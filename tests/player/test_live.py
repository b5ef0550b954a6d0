"""The live server as a musician meets it: a real process, real OSC, a real recording."""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import mido
import numpy as np
import pytest
import soundfile
from mido import Message

from benchmarks.rigs.live import ROOT
from player.flags import DEFAULT_BANK
from tests.page.test_server import midi_file
from tests.server import Server, run_each
from tests.waiting import PROCESS_S, wait_until, wait_until_equal
from trainer.bank.check import in_tune

RATE = 48_000


@pytest.mark.skipif(not shutil.which("oscsend"), reason="needs oscsend (apt: liblo-tools)")
def test_a_note_from_another_program_is_heard_in_the_recording(tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    with Server("--record", str(take), "--patch", "church-organ") as server:
        before = server.status()["seconds"]
        note = ["oscsend", "127.0.0.1", str(server.port), "/part/1/note", "ii", "69", "100"]
        subprocess.run(note, check=True)
        server.play_on(1.0)
        subprocess.run([*note[:-1], "0"], check=True)
        server.play_on(0.2)
        code, said = server.stop(signal.SIGTERM)
    assert code == 0 and "stopped" in said
    audio, rate = soundfile.read(take, dtype="float32")
    assert rate == RATE and audio.shape[1] == 2
    silent, played = audio[: int(before * RATE), 0], audio[:, 0]
    assert not silent.any()
    loud = np.flatnonzero(np.abs(played) > 0.01)
    assert len(loud)
    assert in_tune(played[loud[0] + 3000 : loud[0] + 27000], 69, RATE)


def test_a_terminal_that_is_closed_ends_it_well_and_the_take_is_whole(tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    with Server("--record", str(take)) as server:
        server.play_on(0.1)
        code, said = server.stop(signal.SIGHUP)
    assert code == 0 and "stopped" in said
    assert [path.name for path in tmp_path.iterdir()] == ["take.wav"]
    assert soundfile.info(take).duration > 0.1


def test_a_recording_that_fails_is_told_in_the_status(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    take = tmp_path / "take.wav"
    with Server("--record", str(take)) as server:
        assert server.status()["fault"] == ""
        # As if the disk were full.
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        stopped = f"recording {take}: stopped: "
        wait_until(lambda: server.status()["fault"].startswith(stopped), server.status)
        code, _ = server.stop()
    assert code == 2


def test_flags_are_heard_a_gain_with_what_the_limiter_does_and_a_zone_for_patterns() -> None:
    with Server("--gain", "24", "--patch", "trumpet", "--mpe", "upper") as server:
        server.send("/part/16/pan", 0.5)
        server.send("/part/[1-9]/pan")
        assert [server.reply() for _ in range(9)] == [
            (f"/part/{n}/pan", [0.5]) for n in range(1, 10)
        ]
        assert server.status()["limited_s"] == server.status()["limited_db"] == 0
        for key in (60, 64, 67):
            server.send("/part/1/note", key, 127)
        wait_until(lambda: server.status()["limited_s"] > 0.1, server.status)
        status = server.status()
        assert status["limited_s"] < status["seconds"] and status["limited_db"] > 3
        code, said = server.stop()
    assert code == 0 and "limiter on " in said and "limiter on 0.0%" not in said


def test_a_saved_patch_survives_a_restart(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    shutil.copytree(DEFAULT_BANK, bank)
    with Server("--bank", str(bank)) as server:
        server.send("/part/2/patch", "trumpet")
        server.send("/part/2/knob/brightness", 0.8)
        server.send("/part/2/timbre/0", 0.25)
        assert server.ask("/patch/save", 2, "bright one") == [2, "bright one"]
        server.send("/patch/save", 2, "bright one")
        address, (about, reason) = server.reply()
        assert (address, about) == ("/error", "/patch/save") and "exists" in reason
        server.send("/patch/save", 2, "../x")
        assert server.reply()[0] == "/error"
        server.stop()
    assert not (tmp_path / "x.yaml").exists()
    with Server("--bank", str(bank), "--patch", "bright one") as server:
        assert "bright one" in server.ask("/patch/list")
        assert server.ask("/patch/save", 1, "again") == [1, "again"]
        server.stop()
    assert (bank / "again.yaml").read_text() == (bank / "bright one.yaml").read_text()


def test_the_desk_that_is_kept_is_that_before_a_song_and_the_demo(tmp_path: Path) -> None:
    flags = ("--desk", str(tmp_path), "--http", "127.0.0.1:0")
    last = tmp_path / ".last.yaml"
    with Server(*flags) as server:
        server.tell("/part/1/patch", "trumpet")
        server.tell("/part/2/patch", "trumpet")
        server.stop()
    before = last.read_text()
    song = midi_file((0.0, 60), (100.0, 64), channel=1, says=[Message("program_change", channel=1)])
    with Server(*flags, "--demo") as server:
        page = next(line for line in server.lines if line.startswith("page ")).split()[1]
        urlopen(Request(f"{page}song?name=long.mid", song), timeout=PROCESS_S).close()
        for part in (1, 2):
            wait_until_equal(lambda n=part: server.ask(f"/part/{n}/patch"), ["grand-piano"])
        server.stop(signal.SIGINT)
    assert last.read_text() == before


def test_a_desk_that_cannot_be_read_is_told_and_kept(tmp_path: Path) -> None:
    last, kept = tmp_path / ".last.yaml", tmp_path / ".last.yaml~"
    last.write_text("parts: none")
    with Server("--desk", str(tmp_path)) as server:
        server.stop()
    assert "the desk starts anew, that file is kept with a ~ at its end" in "\n".join(server.lines)
    assert kept.read_text() == "parts: none"
    # Nothing can be kept under a name that a folder has.
    kept.unlink()
    kept.mkdir()
    with Server("--desk", str(tmp_path)) as server:
        server.stop()
    assert "the desk starts anew, and that file cannot be kept: " in "\n".join(server.lines)


def test_it_says_what_it_found_answers_or_counts_bad_packets_and_stops_on_ctrl_c() -> None:
    with Server() as server:
        found = "\n".join(server.lines)
        for word in ("bank", "vocoder", "sound", "midi", "osc", "latency", "no device"):
            assert word in found
        for packet in (
            b"",
            b"garbage",
            b"/part/1/note\0\0\0\0,ii\0\0\0",
            b"#bundle\0" + bytes(8) + struct.pack(">i", -4),
            bytes(60_000),
        ):
            server.send_bytes(packet)
        for address, arguments, reason in (
            ("/part/1/note", ("sixty", 100), "sixty"),
            ("/part/17/note", (60, 100), "17"),
            ("/part/1/knob/loudness", (0.5,), "brightness"),
            ("/part/1/patch", ("kazoo",), "kazoo"),
            ("/part/1/timbre", (0.1, 0.2, 0.3), "2"),
            ("/nonsense", (), "address"),
        ):
            server.send(address, *arguments)
            name, (about, told) = server.reply()
            assert (name, about) == ("/error", address) and reason in told
        assert server.ask("/sync", 7) == [7]
        server.send("/part/1/note", 60, 100)
        server.play_on(0.2)
        assert server.status()["parts"] == 1
        code, said = server.stop(signal.SIGINT)
    assert code == 0 and "underruns" in said
    assert "malformed packets 5" in said and "refused messages 6" in said


def test_without_standard_streams_it_lists_devices_all_the_same() -> None:
    command = f"exec {sys.executable} run_server.py --list-devices <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, timeout=PROCESS_S).returncode == 0


def test_bad_flags_and_banks_are_told_in_one_line(tmp_path: Path) -> None:
    broken, torn = tmp_path / "broken", tmp_path / "torn"
    shutil.copytree(DEFAULT_BANK, broken)
    for patch in set(broken.glob("*.yaml")) - {broken / "bank.yaml"}:
        patch.write_text("embedding: [0.1, 0.2]\nloudness: 3\n")
    shutil.copytree(DEFAULT_BANK, torn)
    with (torn / "mel2mel.safetensors").open("r+b") as file:
        file.truncate(1000)
    noise, still = tmp_path / "noise.mid", tmp_path / "still.mid"
    noise.write_bytes(b"this is no MIDI file")
    silent = [mido.Message("note_on", note=60, velocity=0), mido.Message("note_on", note=15)]
    mido.MidiFile(tracks=[mido.MidiTrack(silent)]).save(still)
    century, folder = tmp_path / "century.mid", tmp_path / "folder.wav"
    late = [mido.MetaMessage("set_tempo", tempo=2**24 - 1)]
    late += [mido.Message("note_on", note=60, velocity=80, time=2**28 - 1)]
    mido.MidiFile(tracks=[mido.MidiTrack(late)], ticks_per_beat=960).save(century)
    folder.mkdir()
    out = str(tmp_path / "out.wav")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        told = (
            (["--bank", str(tmp_path / "none")], "none"),
            (["--bank", str(broken)], "loudness"),
            (["--bank", str(torn)], "mel2mel.safetensors"),
            (["--patch", "kazoo"], "kazoo"),
            (["--audio", "no such device"], "no such device"),
            (["--audio", "none", "--midi", "none", "--osc", f"127.0.0.1:{port}"], port),
            (["--lookahead", "-1"], "--lookahead"),
            (["--buffer", "501"], "--buffer: expected at most 500, got 501"),
            (["--buffer", "soon"], "--buffer: expected a number, got 'soon'"),
            (["--midi-map", str(noise)], "noise.mid"),
            (["render", str(noise), out], "noise.mid"),
            (["render", str(tmp_path / "gone.mid"), out], "gone.mid"),
            (["render", str(still), out], "still.mid: no note to play (of keys 21..108)"),
            (["render", str(still), str(noise)], "noise.mid: expected the name of a WAV"),
            (["render", str(still), str(folder)], "is not a file that can be replaced"),
            (["render", str(century), out], "century.mid: expected at most 24 hours, got 1,"),
            (["--patch", ""], "no patch ''"),
        )
        for ended, (_, named) in zip(run_each([a for a, _ in told]), told, strict=True):
            assert ended.returncode == 2, ended
            lines = ended.stderr.strip().splitlines()
            assert lines and named in lines[-1], ended
            assert "Traceback" not in ended.stderr
    assert not Path(out).exists()
