"""`trainer render` on any folder: what it finds, what it leaves out, and how it survives."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import yaml

from benchmarks.rigs.batches import raylets
from common.tasks.on_ray import has_ray
from tests.trainer.tiny_soundfont import PROGRAMS
from trainer.__main__ import main
from trainer.data.dataset import load_excerpt
from trainer.data.manifest import read_manifest
from trainer.data.words import read_programs

REPOSITORY = Path(__file__).parents[3]
TWO = [f"{name}={program}" for name, program in PROGRAMS.items()]
SHORT = ["--minutes=0.2", "--val-minutes=0.1", "--seconds=3", "--workers=2", "--key-seconds=0"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pieces of four seconds in two folders, none of them listed anywhere."""
    for number in range(8):
        path = tmp_path / "songs" / "ab"[number % 2] / f"piece {number}.MID"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_notes(path, [48 + number + 6 * step for step in range(8)])
    return tmp_path / "songs"


def write_notes(path: Path, keys: list[int], channel: int = 0) -> None:
    """Half a second of each key."""
    file, track = mido.MidiFile(ticks_per_beat=500), mido.MidiTrack()
    for key in keys:
        track.append(mido.Message("note_on", note=key, velocity=90, channel=channel))
        track.append(mido.Message("note_off", note=key, time=500, channel=channel))
    file.tracks.append(track)
    file.save(path)


def flags(midi: Path, soundfont: Path, out: Path, *more: str) -> list[str]:
    paths = [f"--midi={midi}", f"--soundfont={soundfont}", f"--out={out}"]
    return ["render", *paths, "--programs", *TWO, *SHORT, *more]


def rendered(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def pieces_of(out: Path) -> dict[str, str]:
    """Path -> its split or its problem, from pieces.csv."""
    lines = (out / "pieces.csv").read_text().splitlines()[1:]
    return {line.split(",")[0]: line.split(",")[2] or line.split(",", 4)[4] for line in lines}


def test_any_folder_becomes_a_data_set(folder, soundfont, tmp_path, capsys):
    assert main(flags(folder, soundfont, tmp_path / "data")) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "data" / "manifest.yaml")
    pieces = pieces_of(tmp_path / "data")
    assert len(pieces) == 8 and set(pieces.values()) == {"train", "val", "test"}
    manifest = read_manifest(tmp_path / "data")
    assert (manifest.rate, manifest.hop, manifest.rendered_at) == (16_000, 128, 48_000)
    names = [path.name for path in sorted((tmp_path / "data").glob("*/*"))]
    assert len(names) == 2 * (4 + 2 + list(pieces.values()).count("test"))


def test_a_cluster_makes_the_same_bytes_as_this_machine(folder, soundfont, tmp_path, capsys):
    if not has_ray():
        pytest.skip("Ray is not installed")
    assert main(flags(folder, soundfont, tmp_path / "here")) == 0
    with raylets(1) as cluster:
        shared = flags(folder, soundfont, tmp_path / "there", f"--address={cluster.address}")
        assert main(shared) == 0
        assert rendered(tmp_path / "there") == rendered(tmp_path / "here")
        lost = next((tmp_path / "there" / "train").glob("*.npz"))
        whole = lost.read_bytes()
        lost.unlink()
        assert main(shared) == 0
        assert lost.read_bytes() == whole


def test_a_piece_stays_in_its_split_as_others_come(folder, soundfont, tmp_path):
    shares = ["--val-fraction=0.3", "--test-fraction=0"]
    main(flags(folder, soundfont, tmp_path / "before", *shares))
    write_notes(folder / "new.midi", [70] * 8)
    main(flags(folder, soundfont, tmp_path / "after", *shares))
    before, after = pieces_of(tmp_path / "before"), pieces_of(tmp_path / "after")
    assert len(after) == 9 and "val" in before.values()
    assert {path: after[path] for path in before} == before


def test_broken_files_are_left_out_by_name(folder, soundfont, tmp_path, capsys):
    (folder / "noise.mid").write_bytes(b"noise")
    (folder / "half.mid").write_bytes((folder / "a" / "piece 0.MID").read_bytes()[:40])
    shutil.copy(folder / "a" / "piece 0.MID", folder / "copy.mid")
    write_notes(folder / "drums.mid", [36, 38], channel=9)
    (folder / "notes.txt").write_text("no music")
    assert main(flags(folder, soundfont, tmp_path / "data")) == 0
    skipped = [line for line in capsys.readouterr().err.splitlines() if line.startswith("skipped")]
    assert skipped[-1] == "skipped 4 of 12 MIDI files" and len(skipped) == 5
    for name, reason in {
        "noise.mid": "not a MIDI file",
        "half.mid": "not a MIDI file",
        "a/piece 0.MID": "the same file as",  # copy.mid comes later in the order of names
        "drums.mid": "holds no notes",
    }.items():
        name = "copy.mid" if reason.startswith("the same") else name
        assert any(name in line and reason in line for line in skipped), name
        assert reason in pieces_of(tmp_path / "data")[name]


def test_many_broken_files_are_counted_not_all_told(folder, soundfont, tmp_path, capsys):
    for number in range(30):
        (folder / f"noise{number}.mid").write_bytes(b"noise%d" % number)
    assert main(flags(folder, soundfont, tmp_path / "data")) == 0
    skipped = [line for line in capsys.readouterr().err.splitlines() if line.startswith("skipped")]
    assert len(skipped) == 11 and skipped[-1] == "skipped 30 of 38 MIDI files"


def test_one_piece_is_not_enough(soundfont, tmp_path, capsys):
    (tmp_path / "songs").mkdir()
    write_notes(tmp_path / "songs" / "one.mid", [60] * 8)
    assert main(flags(tmp_path / "songs", soundfont, tmp_path / "data")) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == f"trainer: {tmp_path / 'songs'}: no piece has split val (of 1 in all)"
    assert not (tmp_path / "data").exists()


def test_notes_outside_a_programs_keys_are_neither_heard_nor_in_the_roll(
    folder, soundfont, tmp_path
):
    shutil.rmtree(folder)
    folder.mkdir()
    for number in range(3):
        write_notes(folder / f"{number}.mid", [12, 50, 60 + number, 100, 115] * 2)
    more = ["--keys=40-108", "--program-keys", "80=21-96", "--etudes=0.5"]
    assert main(flags(folder, soundfont, tmp_path / "data", *more)) == 0
    manifest = read_manifest(tmp_path / "data")
    assert manifest.keys == {"soft-wave": [40, 108], "bright-wave": [40, 96]}
    highest = {}
    for path in (tmp_path / "data").glob("*/*.npz"):
        found = load_excerpt(path, list(PROGRAMS))
        keys = np.flatnonzero(found.roll[:, :88].any(0)) + 21
        assert keys.min(initial=108) >= 40
        highest[found.instrument] = max(highest.get(found.instrument, 0), keys.max(initial=0))
        # Sound comes of the roll alone: silence lies where it has rung out.
        silent = ~found.roll.any(1)
        before = silent[: int((~silent).argmax())]
        assert np.abs(found.audio[: max(len(before) - 1, 0) * 128]).max(initial=0) < 30
    assert highest[0] >= 100 and highest[1] <= 96


def test_a_ringing_program_is_kept_for_longer(folder, soundfont, tmp_path):
    assert main(flags(folder, soundfont, tmp_path / "data", "--release", "0.5", "80=2")) == 0
    assert read_manifest(tmp_path / "data").release_s == {"soft-wave": 0.5, "bright-wave": 2}
    for path in (tmp_path / "data" / "train").glob("*.npz"):
        found = load_excerpt(path, list(PROGRAMS))
        assert len(found.audio) == 48_000
        sounding = np.flatnonzero(found.roll.any(1))
        assert sounding.max() <= (2.5 if found.instrument == 0 else 1.0) * 125


@pytest.mark.parametrize(("rate", "hop"), [(16_000, 128), (48_000, 384)])
def test_a_frame_is_8_ms_at_any_rate(folder, soundfont, tmp_path, rate, hop):
    assert main(flags(folder, soundfont, tmp_path / "data", f"--rate={rate}")) == 0
    assert read_manifest(tmp_path / "data").hop == hop
    path = next((tmp_path / "data" / "train").glob("*.npz"))
    found = load_excerpt(path, list(PROGRAMS))
    assert len(found.audio) == 3 * rate and len(found.roll) == 375
    with zipfile.ZipFile(path) as archive:
        archive.extract("audio.flac", tmp_path)
    heard, stated = soundfile.read(tmp_path / "audio.flac", dtype="int16")
    assert stated == rate and np.array_equal(heard, found.audio)


def test_rendered_directly_it_sounds_nearly_the_same(folder, soundfont, tmp_path):
    for name, more in {"resampled": (), "direct": ("--direct",)}.items():
        gains = tmp_path / "gains.yaml"
        gains.write_text("{soft-wave: 3.0, bright-wave: -2.5}")
        chosen = [*more, f"--gains={gains}", "--etudes=0"]
        assert main(flags(folder, soundfont, tmp_path / name, *chosen)) == 0
    assert read_manifest(tmp_path / "direct").rendered_at == 16_000
    assert read_manifest(tmp_path / "direct").gains_db == {"soft-wave": 3, "bright-wave": -2.5}
    path = Path("train", "0000-soft-wave.npz")
    one, other = (
        load_excerpt(tmp_path / n / path, list(PROGRAMS)) for n in ("resampled", "direct")
    )
    assert np.array_equal(one.roll, other.roll)
    loud = [float(np.abs(e.audio.astype(float)).mean()) for e in (one, other)]
    assert abs(loud[0] / loud[1] - 1) < 0.02


def test_programs_from_a_file(folder, soundfont, tmp_path):
    names = tmp_path / "programs.yaml"
    names.write_text("{wave 1: 0, wave 2: 80, again: 80}")
    command = flags(folder, soundfont, tmp_path / "data", "--programs", str(names))
    assert main(command) == 0
    assert read_manifest(tmp_path / "data").programs == {"wave 1": 0, "wave 2": 80, "again": 80}


def test_hours_are_shared_by_the_programs(folder, soundfont, tmp_path):
    command = [f for f in flags(folder, soundfont, tmp_path / "data") if "--minutes" not in f]
    assert main([*command, "--hours=0.01"]) == 0
    assert len(list((tmp_path / "data" / "train").glob("*.npz"))) == 12


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--programs", "a=300"], "--programs: a=300: a: expected at most 127, got 300"),
        (["--programs", "a=0", "a=1"], "--programs: a=1: a is there twice"),
        (["--programs", "a=0", "b"], "--programs: expected NAME=PROGRAM or one YAML file, got 'b'"),
        (["--programs", "../a=0"], "--programs: ../a=0: patch name '../a'"),
        (["--programs", "absent.yaml"], "absent.yaml: no such file"),
        (["--programs", "a=12"], "tiny.sf2: has no program 12"),
        (["--gains", "absent.yaml"], "absent.yaml: no such file"),
        (["--release", "3"], "--seconds: expected more than 3, the release of soft-wave, got 3"),
        (["--keys=21-30", "--program-keys", "0=60-70"], "--keys 21-30: leaves no key to program 0"),
    ],
)
def test_what_cannot_be_rendered_is_told_in_one_line(
    folder, soundfont, tmp_path, capfd, more, message
):
    assert main(flags(folder, soundfont, tmp_path / "data", *more)) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("trainer: ") and message in last
    assert not list(tmp_path.glob("data/*/*"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--keys", "60"], "--keys: expected LOW-HIGH within 21-108, got '60'"),
        (["--keys", "60-50"], "--keys: expected LOW-HIGH within 21-108, got '60-50'"),
        (["--program-keys", "x=21-30"], "--program-keys: program: expected a whole number from"),
        (["--program-keys", "19=21-"], "--program-keys: expected LOW-HIGH within 21-108, got '21"),
        (["--release", "46="], "--release: expected SECONDS or PROGRAM=SECONDS, 0 to 3600 s, got"),
        (["--release", "nan"], "--release: expected SECONDS or PROGRAM=SECONDS"),
        (["--minutes=1", "--hours=1"], "--hours: expected alone, got --minutes too"),
        (["--rate=44100"], "--rate: expected one of '16000', '48000', got '44100'"),
    ],
)
def test_flags_that_make_no_sense(folder, more, message, capsys):
    assert main(["render", f"--midi={folder}", *more]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"trainer: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "expected"),
        ("[a, b]", "expected"),
        ("{a: true}", "a: expected a whole number, got True"),
        ("{a: 1.5}", "a: expected a whole number, got 1.5"),
        ("{a: -1}", "a: expected at least 0, got -1"),
        ("{'a/b': 1}", "patch name 'a/b'"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_file_of_programs_that_cannot_be(tmp_path, content, message):
    path = tmp_path / "programs.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {message}")):
        read_programs([str(path)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{soft-wave: 3}", "--gains: bright-wave is missing"),
        ("{soft-wave: 3, bright-wave: 0, flute: 1}", "--gains: expected one of soft-wave, bri"),
        ("{soft-wave: 90, bright-wave: 0}", "soft-wave: expected at most 60, got 90"),
        ("{soft-wave: loud, bright-wave: 0}", "soft-wave: expected a number, got 'loud'"),
    ],
)
def test_a_file_of_gains_that_cannot_be(folder, soundfont, tmp_path, content, message, capfd):
    gains = tmp_path / "gains.yaml"
    gains.write_text(content)
    assert main(flags(folder, soundfont, tmp_path / "data", f"--gains={gains}")) == 2
    assert message in capfd.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "data").exists()


def test_a_time_limit_leaves_a_balanced_part_that_is_gone_on_with(folder, soundfont, tmp_path):
    part = flags(folder, soundfont, tmp_path / "part", "--max-minutes=0")
    assert main(part) == 0
    assert not list((tmp_path / "part").glob("*/*"))
    assert main(part[:-1]) == 0 and main(flags(folder, soundfont, tmp_path / "whole")) == 0
    assert rendered(tmp_path / "part") == rendered(tmp_path / "whole")


def test_without_fluidsynth_the_line_that_installs_it():
    # A Python that sees everything but the library: as if the wheel had never been installed.
    code = (
        "import sys, ctypes.util, trainer.data.fluidsynth as f\n"
        "f.sys.path[:] = []; f.ctypes.util.find_library = lambda name: None\n"
        "f.FluidSynth('x')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
    last = done.stderr.decode().splitlines()[-1]
    assert last == "ValueError: FluidSynth is not installed: pip install pygame-ce==2.5.8"


class Begun:
    """A render of some hundred excerpts in a process of its own, of which one is done."""

    def __init__(self, arguments: list[str], **more: object) -> None:
        command = [sys.executable, "-m", "trainer", *arguments, "--minutes=20"]
        environment = os.environ | {"TQDM_MININTERVAL": "0"}
        self.process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, **more
        )
        self.shown = b""
        while not re.search(rb"[1-9]\d*/8\d\d ", self.shown):
            read = os.read(self.process.stderr.fileno(), 4096)
            assert read, self.shown
            self.shown += read

    def end(self) -> str:
        """Wait for it and its workers, who hold the other ends of its pipe; its last line."""
        self.shown += self.process.stderr.read()
        self.process.wait()
        return self.shown.decode().replace("\r", "\n").rstrip().splitlines()[-1]


def check_whole(out: Path) -> int:
    paths = list(out.glob("*/*.npz"))
    for path in paths:
        load_excerpt(path, list(PROGRAMS))
    return len(paths)


def test_ctrl_c_ends_it_cleanly(folder, soundfont, tmp_path):
    begun = Begun(flags(folder, soundfont, tmp_path / "data"), start_new_session=True)
    os.killpg(begun.process.pid, signal.SIGINT)
    assert begun.end() == "trainer: interrupted; run it again to go on"
    assert begun.process.returncode == 130
    assert b"Traceback" not in begun.shown
    assert 0 < check_whole(tmp_path / "data") < 800
    assert not list((tmp_path / "data").rglob("*.part"))


def test_a_killed_render_takes_its_workers_along_and_is_gone_on_with(folder, soundfont, tmp_path):
    begun = Begun(flags(folder, soundfont, tmp_path / "data"))
    begun.process.kill()
    begun.end()
    done = check_whole(tmp_path / "data")
    assert 0 < done < 800
    for name in ("train", "val"):
        (tmp_path / "data" / name / ".0399-soft-wave.npz.1234.part").write_bytes(b"half")
    whole = flags(folder, soundfont, tmp_path / "data", "--minutes=20", "--max-minutes=0.01")
    assert main(whole) == 0
    assert check_whole(tmp_path / "data") > done
    assert not list((tmp_path / "data").rglob("*.part"))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds workers in /proc")
def test_a_worker_killed_from_outside_is_told_in_one_line(folder, soundfont, tmp_path):
    begun = Begun(flags(folder, soundfont, tmp_path / "data"))
    pid = begun.process.pid
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(workers[0]), signal.SIGKILL)
    assert "a worker was ended from outside (out of memory?); run it again" in begun.end()
    assert begun.process.returncode == 2 and b"Traceback" not in begun.shown
    assert check_whole(tmp_path / "data") > 0


def test_a_file_size_limit_is_told_in_one_line(folder, soundfont, tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))

    command = [sys.executable, "-m", "trainer", *flags(folder, soundfont, tmp_path / "data")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, preexec_fn=limit, text=True)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(r"trainer: .*\.npz: cannot be written: File too large", last)
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "data").rglob("*.part"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 KB, where this machine lets one be made."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(path)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_is_told_in_one_line_and_a_wider_one_gone_on_with(
    folder, soundfont, small_disk, capfd
):
    out = small_disk / "data"
    assert main(flags(folder, soundfont, out)) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"trainer: .*\.npz: cannot be written: No space left on device", last)
    kept = check_whole(out)
    assert kept > 0 and not list(out.rglob("*.part"))
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    assert main(flags(folder, soundfont, out)) == 0
    assert check_whole(out) > kept


def test_the_manifest_says_what_the_data_set_is(folder, soundfont, tmp_path):
    main(flags(folder, soundfont, tmp_path / "data", "--seed=3"))
    stated = yaml.safe_load((tmp_path / "data" / "manifest.yaml").read_text())
    assert stated["seed"] == 3 and stated["val_fraction"] == 0.05
    assert len(stated["soundfont_sha256"]) == len(stated["corpus_sha256"]) == 64
    assert stated["fluidsynth"].count(".") == 2 and stated["gains_db"].keys() == PROGRAMS.keys()
