"""The ladder benchmark, with a run as the trainer leaves it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors.torch import save_file

from benchmarks.__main__ import main
from tests.benchmarks.tiny_takes import make_data
from tests.toy_bank import GUIDED, make_wavenet
from tests.trainer.tiny_data import write_manifest
from trainer.__main__ import main as train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = make_data(tmp_path_factory.mktemp("data"))
    for split in ("train", "val"):
        (folder / split).mkdir()
        for piece in (folder / "test").iterdir():
            (folder / split / piece.name).write_bytes(piece.read_bytes())
    return folder


def test_a_row_for_each_run(data, tmp_path):
    for skip in (8, 16):
        run = ["--data", str(data), "--run", str(tmp_path / str(skip)), "--device", "cpu"]
        sizes = ["--layers", "2", "--cycle", "2", "--residual", "6", "--skip", str(skip)]
        steps = ["--iterations", "2", "--batch", "2", "--frames", "8"]
        assert not train(["wavenet", *run, *sizes, *steps])
    kept, runs = tmp_path / "rows.json", [str(tmp_path / "8"), str(tmp_path / "16")]
    flags = ["--data", str(data), "--least-s", "0", "--json", str(kept)]
    assert main(["ladder", "--runs", *runs, *flags]) == 0
    small, large = json.loads(kept.read_text())
    assert (small["residual"], small["skip"], large["skip"]) == (6, 8, 16)
    assert small["parameters"] < large["parameters"]
    for row in (small, large):
        assert row["iterations"] == 2 and 0 < row["validation_nats"] < 10
        assert row["real_time_factor"] > 0 and row["vocoder_real_time"] > 0
        assert row["layers"] == 2 and row["mean_r"] is None


def make_run(folder: Path) -> Path:
    """A run of the toy's WaveNet with a guide, as if it had been trained."""
    folder.mkdir()
    said = {"config": json.dumps(asdict(GUIDED))}
    save_file(make_wavenet(GUIDED).state_dict(), folder / "best.safetensors", said)
    line = {"iteration": 3, "samples": 7, "validation": 4.5}
    (folder / "log.jsonl").write_text(json.dumps(line) + "\n")
    return folder


def test_with_a_bank_the_run_plays_from_notes(data, toy_bank, tmp_path, capsys):
    kept, run = tmp_path / "rows.json", make_run(tmp_path / "guided")
    flags = ["ladder", "--data", str(data), "--runs", str(run), "--bank", str(toy_bank)]
    short = ["--least-s", "0", "--pieces", "1", "--seconds", "1.5", "--json", str(kept)]
    assert main([*flags, *short]) == 0
    (row,) = json.loads(kept.read_text())
    assert (row["guide"], row["validation_nats"]) == (GUIDED.guide, 4.5)
    assert -1 < row["mean_r"] < 1 and row["stft"] > 0 and row["log_mel_l1"] > 0

    assert not train(
        ["wavenet", "--data", str(data), "--run", str(tmp_path / "wide"), "--layers", "2"]
        + ["--cycle", "2", "--iterations", "1", "--batch", "1", "--frames", "8", "--device", "cpu"]
    )
    flags[flags.index(str(run))] = str(tmp_path / "wide")
    assert main([*flags, *short]) == 2
    assert "mels: expected 80, as the run has, got 24" in capsys.readouterr().err


def test_the_line_of_the_log_is_that_of_the_weights(data, tmp_path):
    """A run that went on on other data may have had a lower loss before."""
    run, kept = make_run(tmp_path / "run"), tmp_path / "rows.json"
    said = {"config": json.dumps(asdict(GUIDED)), "taught": json.dumps({"iteration": 9})}
    save_file(make_wavenet(GUIDED).state_dict(), run / "best.safetensors", said)
    with (run / "log.jsonl").open("a") as file:
        for iteration, validation in ((9, 5.5), (12, 6.5)):
            line = {"iteration": iteration, "samples": 8, "validation": validation}
            file.write(json.dumps(line) + "\n")
    flags = ["ladder", "--data", str(data), "--runs", str(run), "--least-s", "0"]
    assert main([*flags, "--json", str(kept)]) == 0
    (row,) = json.loads(kept.read_text())
    assert (row["iterations"], row["validation_nats"]) == (9, 5.5)


def test_speeds_at_48_khz(tmp_path):
    kept, run, data = tmp_path / "rows.json", make_run(tmp_path / "run"), tmp_path / "data"
    data.mkdir()
    write_manifest(data, {"reed": 20}, 48_000)
    flags = ["ladder", "--data", str(data), "--runs", str(run), "--least-s", "0"]
    assert main([*flags, "--json", str(kept)]) == 0
    (row,) = json.loads(kept.read_text())
    assert row["real_time_factor"] > 0 and row["vocoder_real_time"] > 0


def test_a_run_of_another_network_is_told_in_one_line(data, tmp_path, capsys):
    run = make_run(tmp_path / "run")
    said = {"config": json.dumps({"instruments": 3})}
    save_file(make_wavenet(GUIDED).state_dict(), run / "best.safetensors", said)
    assert main(["ladder", "--data", str(data), "--runs", str(run)]) == 2
    said = capsys.readouterr().err
    assert f"{run}: is no run of `trainer wavenet`" in said and said.count("\n") == 1


def test_a_folder_that_is_no_run_is_told_in_one_line(data, tmp_path, capsys):
    assert main(["ladder", "--data", str(data), "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path) in said and said.count("\n") == 1
