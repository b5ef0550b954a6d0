"""Real batches on a local Ray: killed and interrupted, the folder becomes the undisturbed one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from benchmarks.rigs.batches import BatchRun, sounds, write_scores
from common.flags import read_flags
from common.tasks.on_ray import has_ray
from player.batch.batch import batch
from player.batch.flags import BatchFlags
from tests.player.batch.scores import contents

SCORES = 60


@pytest.fixture
def flags(toy_bank: Path, tmp_path: Path) -> list[str]:
    """Enough scores that a batch can be caught in the middle."""
    if not has_ray():
        pytest.skip("Ray is not installed")
    scores = write_scores(tmp_path / "scores", SCORES, seconds=3.0)
    return [str(scores), "--bank", str(toy_bank), "--patch", "piano"]


def undisturbed(flags: list[str], out: Path) -> dict[str, bytes]:
    """The folder that one process makes."""
    alone = ["--workers", "1", "--out", str(out), "--midi-map", "none", "--patches", "none"]
    assert batch(read_flags(BatchFlags, [*flags, *alone], "batch"))
    return contents(out)


def test_a_worker_that_is_killed_costs_nothing_but_time(flags, tmp_path):
    with BatchRun(tmp_path / "out", [*flags, "--workers", "2"]) as run:
        run.wait_for(SCORES // 4)
        killed, *_ = run.workers()
        os.kill(killed, signal.SIGKILL)
        assert len(sounds(tmp_path / "out")) < SCORES
        said = run.end()
    assert run.process.returncode == 0, said
    assert f"{SCORES} made, 0 were there, 0 failed" in said
    assert contents(tmp_path / "out") == undisturbed(flags, tmp_path / "whole")
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["file"] for line in lines] == sorted(sounds(tmp_path / "out"))


def test_a_batch_that_is_interrupted_leaves_whole_files_and_goes_on(flags, tmp_path):
    out = tmp_path / "out"
    with BatchRun(out, [*flags, "--workers", "2"]) as run:
        run.wait_for(SCORES // 4)
        run.process.send_signal(signal.SIGTERM)
        said = run.end()
    assert run.process.returncode == 130, said
    assert said.splitlines()[-1] == "melstream: interrupted" and "Traceback" not in said
    made = contents(out)
    assert SCORES // 4 <= len(made) < SCORES and not [n for n in made if n.startswith(".")]
    whole = undisturbed(flags, tmp_path / "whole")
    assert made.items() <= whole.items()
    assert undisturbed(flags, out) == whole
