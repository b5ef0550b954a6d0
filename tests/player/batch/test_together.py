"""Pieces rendered at once by one process, with one batch of the WaveNet's rows: the same files."""

from __future__ import annotations

import threading
from pathlib import Path

import mido
import pytest

from common.flags import read_flags
from player.batch import batch as batches
from player.batch.batch import batch
from player.batch.flags import BatchFlags
from tests.player.batch.scores import contents, write_score

FLAGS = ("--workers", "1", "--midi-map", "none", "--patches", "none", "--vocoder", "wavenet")


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """Four short scores of different lengths, one of them silent, which is a fault."""
    folder = tmp_path / "scores"
    folder.mkdir()
    write_score(folder / "long.mid", 60, 64, 67, 72)
    write_score(folder / "short.mid", 48, ticks=30)
    write_score(folder / "other.mid", 55, 59, channel=3, ticks=130)
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(folder / "silent.mid")
    return folder


def run(bank: Path, out: Path, *arguments: object) -> bool:
    given = [str(a) for a in (*arguments, "--bank", bank, "--out", out, *FLAGS)]
    return batch(read_flags(BatchFlags, [*given, "--sampler", "cpu"], "batch"))


def test_files_have_the_bytes_of_pieces_that_were_rendered_alone(
    scores, toy_bank, tmp_path, monkeypatch, capsys
):
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert not run(toy_bank, alone, scores, "--patch", "piano", "organ")
    assert "6 made, 0 were there, 2 failed" in capsys.readouterr().out
    monkeypatch.setitem(batches.TOGETHER, "cpu", 3)
    assert not run(toy_bank, together, scores, "--patch", "piano", "organ")
    told = capsys.readouterr()
    assert "6 made, 0 were there, 2 failed" in told.out
    assert told.err.count(f"{scores / 'silent.mid'}: no note to play") == 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("task")]
    assert contents(together) == contents(alone)
    assert len((together / "manifest.jsonl").read_text().splitlines()) == 6
