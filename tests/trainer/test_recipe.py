"""The recipe for a lent machine, rehearsed: a pack in, a bank and small files out, and on again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from synth.bank import load_bank
from tests.trainer.tiny_soundfont import PROGRAMS
from trainer.__main__ import main

REPOSITORY = Path(__file__).parents[2]
TINY = {
    "render": f"--programs {' '.join(f'{n}={p}' for n, p in PROGRAMS.items())} --minutes=0.2 "
    "--val-minutes=0.1 --seconds=3 --workers=2 --direct",
    "mel2mel": "--frames=24 --hidden=8 --timbre-features=1 --batch=2",
    "wavenet": "--frames=4 --layers=4 --cycle=2 --residual=8 --skip=8 --batch=2",
    "bank": "--midi-credit mine",
}
LIBRARIES = ("fluidsynth", "sndfile", "ogg", "vorbis", "vorbisenc", "FLAC", "opus", "mpg123")


@pytest.fixture
def pack(corpus: Path, soundfont: Path, tmp_path: Path) -> Path:
    """Three pieces with their manifest in a .zip, the two-wave SoundFont, FluidSynth's wheel."""
    folder = tmp_path / "pack"
    folder.mkdir()
    shutil.copy(soundfont, folder)
    with zipfile.ZipFile(folder / "midi.zip", "w") as archive:
        for path in corpus.iterdir():
            archive.write(path, f"songs/{path.name}")
    found = [p for entry in sys.path for p in Path(entry).glob("pygame_ce.libs/lib*.so*")]
    with zipfile.ZipFile(folder / "pygame_ce-2.5.8-py3-none-any.whl", "w") as wheel:
        for path in found:
            if path.name[3:].split("-")[0].split(".")[0] in LIBRARIES:
                wheel.write(path, f"pygame_ce.libs/{path.name}")
    return folder


def command(tmp_path: Path, *more: str, **iterations: int) -> list[str]:
    """The recipe with tiny sizes; each network is done after so many iterations."""
    words = ["recipe", f"--out={tmp_path / 'out'}", f"--work={tmp_path / 'work'}", *more]
    for name, flags in TINY.items():
        count = f" --iterations={iterations[name]}" if name in iterations else ""
        words.append(f"--{name}={flags}{count}")
    return words


def follow(words: Sequence[str]) -> subprocess.CompletedProcess:
    call = [sys.executable, "-m", "trainer", *words]
    return subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


def iterations_of(run: Path) -> list[int]:
    """Of each checkpoint in a run's log."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line["iteration"] for line in lines if "validation" in line]


def test_from_a_pack_to_a_bank_and_on_from_what_came_back(pack, tmp_path):
    limits = [f"--pack={pack}", "--total-minutes=4", "--max-minutes=0.01"]
    done = follow(command(tmp_path, *limits))
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    states = {f"{name}.state.0" for name in ("mel2mel", "wavenet")}
    assert names == states | {"mel2mel.safetensors", "wavenet.safetensors", "notes.zip"}
    assert load_bank(tmp_path / "work" / "bank").about["credits"]["midi"] == "mine"
    assert list((tmp_path / "work" / "site").glob("pygame_ce.libs/libfluidsynth*"))
    back = shutil.move(tmp_path / "out", tmp_path / "came-back")
    shutil.rmtree(tmp_path / "work")

    assert main(["recipe", f"--resume={back}", f"--work={tmp_path / 'home'}"]) == 0
    bank = load_bank(tmp_path / "home" / "bank")
    (first,) = iterations_of(tmp_path / "home" / "mel2mel")
    assert bank.about["mel2mel"]["iterations"] == first
    assert bank.about["data"]["train_excerpts"] == 8
    assert 0 < min(first, *iterations_of(tmp_path / "home" / "wavenet")) < 1_000_000

    # One network goes on with its whole state, the other begins anew from weights alone.
    (back / "wavenet.state.0").unlink()
    more = [f"--pack={pack}", f"--resume={back}", "--at-once", "--total-minutes=4"]
    again = follow(command(tmp_path, *more, mel2mel=first + 2, wavenet=3))
    assert again.returncode == 0, again.stderr
    assert "mel2mel: whole to go on with" in again.stdout
    assert f"--init={back / 'wavenet.safetensors'}" in again.stdout
    assert iterations_of(tmp_path / "work" / "mel2mel") == [first, first + 2]
    assert iterations_of(tmp_path / "work" / "wavenet") == [3]
    assert load_bank(tmp_path / "work" / "bank").about["mel2mel"]["iterations"] == first + 2


def test_ended_from_outside_it_keeps_what_stands(pack, tmp_path):
    words = command(tmp_path, f"--pack={pack}", "--total-minutes=30")
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", *words],
        cwd=REPOSITORY,
        env=os.environ | {"TQDM_MININTERVAL": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    heard = b""
    while not re.search(rb" [1-9]\d*/1000000 ", heard):  # the first network is at work
        read = os.read(process.stderr.fileno(), 4096)
        assert read, heard
        heard += read
    process.send_signal(signal.SIGTERM)
    process.stderr.read()
    assert process.wait() == 130
    assert len(iterations_of(tmp_path / "work" / "mel2mel")) == 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"mel2mel.safetensors", "mel2mel.state.0", "notes.zip"}


def test_without_time_nothing_begins(pack, tmp_path):
    done = follow(command(tmp_path, f"--pack={pack}", "--total-minutes=0"))
    assert done.returncode == 2 and done.stderr == ""
    assert "render: no time left" in done.stdout and "wavenet: has no weights yet" in done.stdout


def test_a_render_that_fails_ends_it(pack, tmp_path):
    (pack / "tiny.sf2").write_bytes(b"no SoundFont")
    done = follow(command(tmp_path, f"--pack={pack}", "--total-minutes=4"))
    assert done.returncode == 2
    assert "tiny.sf2: not a SoundFont that FluidSynth can read" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--pack: is needed, unless there is a --resume to lay out"),
        (["--pack=absent"], "absent: no such folder"),
        (["--resume=absent"], "absent: no such folder"),
    ],
)
def test_what_is_missing_is_told_in_one_line(words, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["recipe", *words]) == 2
    assert capsys.readouterr().err.splitlines() == [f"trainer: {told}"]
    assert not list(tmp_path.iterdir())


def test_damaged_notes_are_named(tmp_path, capsys):
    (tmp_path / "notes.zip").write_bytes(b"no archive")
    assert main(["recipe", f"--resume={tmp_path}", f"--work={tmp_path / 'work'}"]) == 2
    assert "notes.zip: cannot be unpacked" in capsys.readouterr().err
