"""`python -m trainer`: one line and exit code 2 for what cannot be, a bank for what can."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.flags import read_flags
from synth.bank.bank import load_bank
from tests.waiting import PROCESS_S
from trainer.__main__ import main
from trainer.commands.bank import BankCommand
from trainer.commands.render import RenderCommand
from trainer.commands.training import Mel2MelCommand
from trainer.mel2mel.settings import LossSettings

REPOSITORY = Path(__file__).parents[2]
TINY = {
    "mel2mel": ["--frames=24", "--hidden=8", "--timbre-features=2"],
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
    more = ["--fidelity", "spectral=0.71", "wavenet=0.2", "--midi-credit", "mine"]
    more += ["--weights=best", "--check"]
    assert main(["bank", *runs, f"--data={data}", f"--out={tmp_path / 'bank'}", *more]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == str(tmp_path / "bank" / "bank.yaml")
    assert shown[1:] == ["bell: plays", "reed: plays", "string: plays"]
    bank = load_bank(tmp_path / "bank")
    assert bank.fidelity == {"spectral": 0.71, "wavenet": 0.2}
    assert bank.about["credits"]["midi"] == "mine"


COMMANDS = "expected a command (render, mel2mel, guides, wavenet, bank, encoder, fit)"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("corpus", "nowhere: no such folder"),
        ("soundfont", "nowhere.sf2: no such SoundFont"),
        ("noise", "noise.sf2: not a SoundFont that FluidSynth can read"),
    ],
)
def test_a_render_of_what_is_not_there(broken, message, corpus, soundfont, tmp_path, capsys):
    noise = tmp_path / "noise.sf2"
    noise.write_bytes(b"noise" * 100)
    flags = {
        "--midi": tmp_path / "nowhere" if broken == "corpus" else corpus,
        "--soundfont": {"corpus": soundfont, "noise": noise}.get(broken, tmp_path / "nowhere.sf2"),
        "--out": tmp_path / "data",
    }
    flat = [str(part) for pair in flags.items() for part in pair]
    assert message in complaint(capsys, "render", *flat)
    assert not (tmp_path / "data").exists()


def test_the_module_itself_exits_with_2_and_one_line(tmp_path):
    command = [sys.executable, "-m", "trainer", "render", "--midi", str(tmp_path)]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PROCESS_S
    )
    assert done.returncode == 2 and done.stdout == ""
    message = f"trainer: {tmp_path}: no MIDI files (.mid, .midi, .kar, .rmi) in it or below"
    assert done.stderr.splitlines() == [message]


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mel2mel", "--batch", "0"], "--batch: expected at least 1, got 0"),
        (["wavenet", "--threads", "0"], "--threads: expected at least 1, got 0"),
        (["wavenet", "--frames", "-3"], "--frames: expected at least 1, got -3"),
        (["mel2mel", "--iterations", "1e6"], "--iterations: expected a whole number, got '1e6'"),
        (["mel2mel", "--max-minutes", "-1"], "--max-minutes: expected at least 0, got -1.0"),
        (["mel2mel", "--max-minutes", "nan"], "--max-minutes: expected at least 0, got nan"),
        (["mel2mel", "--layers", "3"], "not understood: --layers, 3"),
        (["mel2mel", "--device", "tpu"], "--device: expected one of 'auto', 'cpu', 'cuda', got"),
        (["mel2mel", "--loss", "squares"], "--loss: expected one of 'tanh-log-abs', 'log-abs'"),
        (["wavenet", "--predicted-share", "2"], "--predicted-share: expected at most 1, got 2.0"),
        (["render", "--midi", ".", "--etudes", "1.5"], "--etudes: expected at most 1, got 1.5"),
        (["render", "--midi", ".", "--seconds", "0"], "--seconds: expected at least 2, got 0.0"),
        (["render", "--midi", ".", "--minutes", "inf"], "--minutes: expected at most 1000000"),
        (["render", "--midi", ".", "--workers", "0"], "--workers: expected at least 1, got 0"),
        (
            ["render", "--midi", ".", "--key-seconds", "0.1"],
            "--key-seconds: expected 0 or at least 0.5, got 0.1",
        ),
        (["wavenet", "--own-share", "0.5"], "--own-share: needs --guides"),
        (["wavenet", "--own-after", "9"], "--own-after: needs --guides"),
        (["wavenet", "--own-every", "9"], "--own-every: needs --guides"),
        (["wavenet", "--sharpness", "9"], "--sharpness: needs --guides"),
        (["render"], "--midi is missing"),
        (["bank", "--fidelity", "spectral"], "--fidelity: expected NAME=R with R from -1 to 1"),
        (["bank", "--fidelity", "a=0.7", "a=0.8"], "--fidelity: a is there twice"),
        (["bank", "--weights", "first"], "--weights: expected one of 'last', 'best', got 'first'"),
        (["cook"], f"{COMMANDS}, got 'cook'"),
        ([], f"{COMMANDS}, got ''"),
    ],
)
def test_flags_that_make_no_sense_are_named(arguments, message, capsys):
    assert complaint(capsys, *arguments).startswith(f"trainer: {message}")


def test_help_shows_the_commands(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {command} " in shown for command in ("render", *TINY, "bank"))


@pytest.mark.parametrize("command", ["render", "mel2mel", "wavenet", "bank"])
def test_help_explains_every_flag_with_its_default(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert shown.isascii()
    flags = re.split(r"^  (?=--[a-z])", shown, flags=re.MULTILINE)[1:]
    assert len(flags) >= 10
    for text in flags:
        words = " ".join(text.split("\n\n")[0].split())
        explained, default, _ = words.partition(" (default: ")
        assert default or words.startswith("--midi ")
        assert len(explained.split()) >= 4, words


def test_the_help_comes_without_torch():
    code = (
        "import sys; from trainer.__main__ import main\n"
        "try: main(['mel2mel', '--help'])\n"
        "except SystemExit: assert 'torch' not in sys.modules, 'torch is loaded'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True)


def test_a_run_begins_with_one_network_only(data, tmp_path, capsys):
    weights = [f"--{flag}={tmp_path / 'other.safetensors'}" for flag in ("init", "grow")]
    assert "--grow: expected alone" in complaint(capsys, "mel2mel", f"--data={data}", *weights)


def test_many_flags_reach_what_they_fill():
    made = read_flags(
        Mel2MelCommand,
        [
            "--batch=7",
            "--timbre-features=0",
            "--loss=abs",
            "--log-weight=2",
            "--grow=x",
            "--seed=3",
        ],
        "trainer",
    )
    assert (made.training.batch, made.training.frames) == (7, 256)
    assert made.mel2mel.loss == LossSettings("abs", log_weight=2.0)
    assert made.mel2mel.sizes.config()["timbre_features"] == 0
    assert made.mel2mel.grow == Path("x")
    words = ["--midi=m", "--release", "3", "19=0.5", "--program-keys", "--hours=5", "--keys=30-60"]
    plan = read_flags(RenderCommand, words, "trainer").data_set
    assert plan.release == {None: 3.0, 46: 4.5, 19: 0.5} and plan.program_keys == {}
    assert plan.train_minutes == 30 and plan.keys_of(19) == (30, 60)
    assert read_flags(BankCommand, ["--wavenet=none"], "trainer").bank.wavenet is None
