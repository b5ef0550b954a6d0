"""Transcription: the score as notes, the score of notes, and the real listener where it is."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.measures.transcription import INSTALL, Notes, score_notes
from daw_bridge.events import NoteOff, NoteOn
from daw_bridge.piano_roll import PianoRoll
from tests.benchmarks.tiny_takes import make_data

RATE = 16_000


def notes(*each: tuple[float, int]) -> Notes:
    onset = np.array([at for at, _ in each], float)
    return Notes(onset, onset + 0.2, np.array([key for _, key in each], int))


def test_a_roll_is_read_as_the_notes_that_were_played():
    events = [
        NoteOn(1_000, 1, 60, 100),
        NoteOn(4_000, 1, 67, 80),
        NoteOn(8_000, 1, 60, 50),
        NoteOff(9_000, 1, 60),
    ]
    roll = PianoRoll(128).frames(events, 0, 100)
    heard = score_notes(roll, 125.0)
    order = np.argsort(heard.onset)
    assert heard.key[order].tolist() == [60, 67, 60]
    np.testing.assert_allclose(heard.onset[order], [1 / 16, 1 / 4, 1 / 2], atol=0.004)
    # Struck again, never let go, let go.
    np.testing.assert_allclose(heard.end[order], [1 / 2, 0.8, 9 / 16], atol=0.0041)


def test_an_empty_roll_has_no_notes():
    heard = score_notes(np.zeros((10, 176), np.float32), 125.0)
    assert len(heard.onset) == len(heard.end) == len(heard.key) == 0


def test_f1_counts_right_keys_within_50_ms_over_all_pieces():
    pytest.importorskip("mir_eval")
    from benchmarks.measures.transcription import f1

    score = notes((0.0, 60), (0.5, 64), (1.0, 67))
    assert f1([score], [score]) == 1
    near = notes((0.04, 60), (0.56, 64), (1.0, 68))
    assert f1([score], [near]) == pytest.approx(1 / 3)
    assert f1([score, score], [score, notes()]) == pytest.approx(2 * 3 / 9)
    assert f1([score], [notes()]) == f1([notes()], [notes()]) == 0


def test_a_missing_listener_is_told_with_what_to_install(monkeypatch, capsys, toy_bank):
    monkeypatch.setitem(sys.modules, "basic_pitch", None)
    assert main(["transcription", "--bank", str(toy_bank)]) == 2
    told = capsys.readouterr().err
    assert "basic-pitch cannot be loaded" in told and INSTALL in told


def test_a_bad_lookahead_is_told(capsys, toy_bank):
    assert main(["transcription", "--bank", str(toy_bank), "--lookahead", "much"]) == 2
    assert "--lookahead: expected 0..125 or full, got 'much'" in capsys.readouterr().err


def test_the_listener_writes_down_plain_notes():
    pytest.importorskip("basic_pitch")
    from benchmarks.measures.transcription import Listener, f1

    score, audio = notes((0.2, 60), (0.8, 69), (1.4, 64)), np.zeros(2 * RATE)
    for onset, key in zip(score.onset, score.key, strict=True):
        time = np.arange(round(0.4 * RATE)) / RATE
        pitch = 440 * 2 ** ((key - 69) / 12)
        tone = sum(np.sin(2 * np.pi * n * pitch * time) / n**2 for n in (1, 2, 3))
        audio[round(onset * RATE) :][: len(time)] = 0.2 * np.exp(-4 * time) * tone
    listener = Listener()
    assert f1([score], [listener.hear(audio, RATE)]) == 1
    assert len(listener.hear(np.zeros(RATE), RATE).key) == 0


def test_every_instrument_has_its_row(toy_bank, tmp_path):
    pytest.importorskip("basic_pitch")
    told = ["--bank", str(toy_bank), "--data", str(make_data(tmp_path / "data"))]
    told += ["--pieces", "1", "--seconds", "3", "--json", str(tmp_path / "rows.json")]
    assert main(["transcription", *told]) == 0
    *each, overall = json.loads((tmp_path / "rows.json").read_text())
    assert [row["instrument"] for row in each] == ["piano", "organ", "bright-lead"]
    # The original's notes are plain tones: the listener hears most of them.
    assert all(row["f1_original"] > 0.6 and row["notes"] == 7 for row in each)
    assert overall["f1_ours"] == pytest.approx(np.mean([row["f1_ours"] for row in each]), abs=1e-3)
    assert overall["ratio"] == pytest.approx(overall["f1_ours"] / overall["f1_original"], abs=1e-3)
