"""The benchmark of fits, on a toy bank and a SoundFont of two waves."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import main
from tests.benchmarks.tiny_takes import make_data
from tests.trainer.tiny_soundfont import write_soundfont


def test_known_points_and_programs_become_rows(toy_bank, tmp_path):
    data, path = make_data(tmp_path / "data"), tmp_path / "rows.json"
    soundfont = write_soundfont(tmp_path / "tiny.sf2")
    flags = ["--points", "1", "--programs", "80", "--soundfont", str(soundfont)]
    done = main(["fit", "--bank", str(toy_bank), "--data", str(data), *flags, f"--json={path}"])
    if done:
        pytest.skip("FluidSynth is not installed")
    known, median, unheard = json.loads(path.read_text())
    assert known["task"] == median["task"] == "known point" and median["sound"] == "median"
    # The toy's random network says little of what its vocoder then plays.
    assert 0 <= known["error"] == median["error"] < 0.25
    assert known["distance_db"] <= known["nearest_db"]
    assert (unheard["sound"], unheard["error"]) == ("program 80", None)
    assert unheard["distance_db"] <= unheard["nearest_db"]


def test_no_test_pieces(toy_bank, tmp_path, capsys):
    data = make_data(tmp_path / "data")
    for piece in (data / "test").iterdir():
        piece.unlink()
    assert main(["fit", "--bank", str(toy_bank), "--data", str(data)]) == 2
    assert "no test piece of piano" in capsys.readouterr().err
