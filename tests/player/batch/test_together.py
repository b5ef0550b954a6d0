"""Pieces rendered at once by one process, with one batch of the WaveNet's rows: the same files."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import mido
import pytest

from common.flags import read_flags
from common.tasks.side_by_side import side_by_side
from player.batch import batch as batches
from player.batch.batch import batch
from player.batch.flags import BatchFlags
from player.batch.settings import read_settings
from player.batch.tasks import find_scores, list_tasks, with_content
from player.batch.worker import MakeWorker
from synth.bank.bank import load_bank
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


def asked(bank: Path, out: Path, *arguments: object) -> BatchFlags:
    given = [str(a) for a in (*arguments, "--bank", bank, "--out", out, *FLAGS)]
    return read_flags(BatchFlags, [*given, "--sampler", "cpu"], "batch")


def run(bank: Path, out: Path, *arguments: object) -> bool:
    return batch(asked(bank, out, *arguments))


def threads() -> list[str]:
    """Those that render pieces."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("task")]


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
    assert not threads()
    assert contents(together) == contents(alone)
    assert len((together / "manifest.jsonl").read_text().splitlines()) == 6


def test_when_it_is_interrupted_no_thread_goes_on_and_nothing_half_done_stays(toy_bank, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    short = write_score(tmp_path / "short.mid", 60)
    minutes = write_score(tmp_path / "minutes.mid", *[64, 67] * 300, ticks=1_000)
    flags = asked(toy_bank, out, short, minutes, "--patch", "piano", "organ")
    bank = load_bank(toy_bank, None)
    settings, _ = read_settings(flags, bank)
    tasks, _ = list_tasks(find_scores(flags.scores), flags.patch, settings, bank)
    make = MakeWorker(settings, out, alone=True, together=True)
    with closing(side_by_side(make, with_content(tasks), 4)) as outcomes:
        done = [next(outcomes), next(outcomes)]
        assert len(threads()) == 4
    assert {outcome.task.score for outcome in done} == {short} and not threads()
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{outcome.task.name}.wav" for outcome in done
    )
