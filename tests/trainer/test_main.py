"""`python -m trainer`: one line and exit code 2 for what cannot be, a bank for what can."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synth.bank.bank import load_bank
from trainer.__main__ import main

REPOSITORY = Path(__file__).parents[2]
TINY = {
    "mel2mel": ["--frames=24", "--hidden=8", "--timbre-features=1"],
    "wavenet": ["--frames=4", "--layers=4", "--cycle=2", "--residual=8", "--skip=8"],
}


def complaint(capsys: pytest.CaptureFixture, *arguments: object) -> str:
    """The line that a command which cannot be done prints."""
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("trainer: ")
    return lines[0]


def test_from_data_to_a_bank_by_commands_alone(data, tmp_path, capsys):
    for network, sizes in TINY.items():
        flags = [f"--data={data}", f"--run={tmp_path / network}", "--batch=3", "--iterations=2"]
        assert main([network, *flags, *sizes]) == 0
    runs = [f"--mel2mel={tmp_path / 'mel2mel'}", f"--wavenet={tmp_path / 'wavenet'}"]
    told = ["--fidelity", "spectral=0.71", "wavenet=0.2", "--midi-credit", "mine"]
    told += ["--weights=best", "--check"]
    assert main(["bank", *runs, f"--data={data}", f"--out={tmp_path / 'bank'}", *told]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == str(tmp_path / "bank" / "bank.yaml")
    assert shown[1:] == ["bell: plays", "reed: plays", "string: plays"]
    bank = load_bank(tmp_path / "bank")
    assert bank.fidelity == {"spectral": 0.71, "wavenet": 0.2}
    assert bank.about["credits"]["midi"] == "mine"


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("corpus", "nowhere: no such folder"),
        ("soundfont", "nowhere.sf2: no such SoundFont"),
        ("noise", "noise.sf2: not a SoundFont that FluidSynth can read"),
    ],
)
def test_a_render_of_what_is_not_there(broken, told, corpus, soundfont, tmp_path, capsys):
    noise = tmp_path / "noise.sf2"
    noise.write_bytes(b"noise" * 100)
    flags = {
        "--midi": tmp_path / "nowhere" if broken == "corpus" else corpus,
        "--soundfont": {"corpus": soundfont, "noise": noise}.get(broken, tmp_path / "nowhere.sf2"),
        "--out": tmp_path / "data",
    }
    flat = [str(part) for pair in flags.items() for part in pair]
    assert told in complaint(capsys, "render", *flat)
    assert not (tmp_path / "data").exists()


def test_the_module_itself_exits_with_2_and_one_line(tmp_path):
    command = [sys.executable, "-m", "trainer", "render", "--midi", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    told = f"trainer: {tmp_path}: no MIDI files (.mid, .midi) in it or below"
    assert done.stderr.splitlines() == [told]


@pytest.mark.parametrize("network", TINY)
def test_training_without_data(network, tmp_path, capsys):
    line = complaint(capsys, network, "--data", tmp_path, "--run", tmp_path / "run")
    assert "manifest.yaml: no data set here; make one with `render`" in line
    assert not (tmp_path / "run").exists()


def test_training_on_with_a_broken_checkpoint(data, tmp_path, capfd):
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.pt").write_bytes(b"broken")
    flags = [f"--data={data}", f"--run={run}", *TINY["wavenet"]]
    assert main(["wavenet", *flags]) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith(f"trainer: {run / 'last.pt'}: not a whole checkpoint")
    assert (run / "last.pt").read_bytes() == b"broken"


def test_a_wavenet_on_a_data_set_of_another_hop(data, tmp_path, capfd):
    other = shutil.copytree(data, tmp_path / "data")
    manifest = (other / "manifest.yaml").read_text()
    (other / "manifest.yaml").write_text(manifest.replace("hop: 128", "hop: 256"))
    assert main(["wavenet", f"--data={other}", f"--run={tmp_path / 'run'}"]) == 2
    assert "its hop is 256, but a wavenet needs 128" in capfd.readouterr().err.splitlines()[-1]


def test_a_bank_whose_fidelity_is_told_twice(data, tmp_path, capsys):
    line = complaint(capsys, "bank", "--fidelity", "spectral=0.7", "spectral=0.8")
    assert line == "trainer: --fidelity: a vocoder is named twice"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mel2mel", "--batch", "0"], "argument --batch: is '0', but must be a whole number of at"),
        (["wavenet", "--threads", "0"], "argument --threads: is '0', but must be"),
        (["wavenet", "--frames", "-3"], "argument --frames: is '-3', but must be"),
        (["mel2mel", "--iterations", "1e6"], "argument --iterations: is '1e6', but must be"),
        (["mel2mel", "--max-minutes", "-1"], "argument --max-minutes: is '-1', but must be a num"),
        (["mel2mel", "--max-minutes", "nan"], "argument --max-minutes: is 'nan', but must be"),
        (["mel2mel", "--layers", "3"], "unrecognized arguments: --layers 3"),
        (["render", "--midi", ".", "--etudes", "1.5"], "argument --etudes: is '1.5', but must be"),
        (["render", "--midi", ".", "--seconds", "0"], "argument --seconds: is '0', but must be a"),
        (["render", "--midi", ".", "--minutes", "inf"], "argument --minutes: is 'inf', but must"),
        (["render", "--midi", ".", "--workers", "0"], "argument --workers: is '0', but must be"),
        (["bank", "--fidelity", "spectral"], "argument --fidelity: is '', but must be a number"),
        (["bank", "--fidelity", "spectral=2"], "argument --fidelity: is '2', but must be a number"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_flags_that_make_no_sense_are_named(arguments, told, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", ["render", "mel2mel", "wavenet", "bank"])
def test_help_explains_every_flag_with_its_default(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out.split("options:\n")[1]
    flags = [line for line in shown.splitlines() if line.lstrip().startswith("--")]
    assert len(flags) >= 7
    explained = " ".join(shown.split())
    for line in flags:
        flag = line.split()[0]
        told = explained.split(f"{flag} ")[1].split(" --")[0]
        assert "default:" in told or flag in ("--midi", "--init", "--fidelity")


def test_a_run_begins_with_one_network_only(data, tmp_path, capsys):
    weights = [f"--{flag}={tmp_path / 'other.safetensors'}" for flag in ("init", "grow")]
    assert "--grow: not with --init" in complaint(capsys, "mel2mel", f"--data={data}", *weights)
