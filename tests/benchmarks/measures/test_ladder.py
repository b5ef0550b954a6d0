"""The ladder benchmark, with a run as the trainer leaves it."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import main
from tests.benchmarks.tiny_takes import make_data
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


def test_a_folder_that_is_no_run_is_told_in_one_line(data, tmp_path, capsys):
    assert main(["ladder", "--data", str(data), "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path) in said and said.count("\n") == 1
