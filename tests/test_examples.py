"""The examples run as they stand, but for the server's port: against a real server, or with one
that they start."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import mido
import numpy as np
import soundfile

from player.flags import DEFAULT_BANK
from tests.server import Server
from tests.waiting import PROCESS_S

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ALONE = {"render_a_folder.py", "render_to_an_array.py", "test_with_it.py", "train_on_ray.py"}
"""Those that need no server."""
PORT = "play_by_midi.py"
"""Needs a virtual MIDI port, which this machine may not have."""


def start(name: str, *arguments: str, folder: Path = EXAMPLES) -> subprocess.Popen:
    command = [sys.executable, str(folder / name), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=EXAMPLES.parent, text=True, **pipes)


def test_a_server_understands_every_example(tmp_path: Path) -> None:
    bank, take, folder = (tmp_path / name for name in ("bank", "take.wav", "examples"))
    shutil.copytree(DEFAULT_BANK, bank)
    folder.mkdir()
    names = sorted({path.name for path in EXAMPLES.glob("*.py")} - ALONE - {PORT})
    flags = ("--bank", str(bank), "--record", str(take))
    with Server(*flags, "--midi-map", str(tmp_path / "map.yaml")) as server:
        for name in names:
            text = (EXAMPLES / name).read_text()
            assert text.count('127.0.0.1", 9000)') == 1
            (folder / name).write_text(text.replace("9000", str(server.port)))
        running = {name: start(name, folder=folder) for name in names}
        said = {name: each.communicate(timeout=PROCESS_S)[0] for name, each in running.items()}
        status = server.status()
        server.stop()
    assert {name: each.returncode for name, each in running.items()} == dict.fromkeys(names, 0)
    assert status["refused"] == status["malformed"] == 0
    assert (bank / "glass guitar.yaml").exists() and "glass guitar" in said["save_a_patch.py"]
    assert "controller 21 turns brightness" in said["learn_a_controller.py"]
    assert "load " in said["watch_the_server.py"]
    assert "-1 to 1" in said["ask_for_commands.py"]
    sound, _ = soundfile.read(take)
    assert np.abs(sound).max() > 0.05


def test_sound_comes_without_a_server(tmp_path: Path) -> None:
    song = mido.MidiTrack([mido.Message("note_on", note=60, velocity=80)])
    song.append(mido.Message("note_off", note=60, time=200))
    mido.MidiFile(tracks=[song]).save(tmp_path / "a.mid")
    running = [start("render_to_an_array.py"), start("test_with_it.py")]
    running.append(start("render_a_folder.py", str(tmp_path), str(tmp_path / "out")))
    said = [each.communicate(timeout=PROCESS_S)[0] for each in running]
    assert [each.returncode for each in running] == [0, 0, 0], said
    assert "stereo samples" in said[0] and "peak" in said[1]
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["a - grand-piano.wav", "a - vibraphone.wav"]


def test_the_list_names_every_example() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    assert [path.name for path in EXAMPLES.glob("*.py") if f"`{path.name}`" not in listed] == []
