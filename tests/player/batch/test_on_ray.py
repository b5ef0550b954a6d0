"""A real batch on a local Ray, killed and interrupted: the folder becomes the undisturbed one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from benchmarks.rigs.batches import BatchRun, write_scores
from common.flags import read_flags
from common.tasks.on_ray import has_ray
from player.batch.batch import batch
from player.batch.flags import BatchFlags
from tests.player.batch.scores import contents
from tests.waiting import wait_until

SCORES = 18
"""Enough that a batch can be caught in the middle."""


def in_one_process(flags: list[str], out: Path) -> dict[str, bytes]:
    """The folder, once one process has made what is not there."""
    alone = ["--workers", "1", "--out", str(out), "--midi-map", "none", "--patches", "none"]
    assert batch(read_flags(BatchFlags, [*flags, *alone], "batch"))
    return contents(out)


def test_a_batch_that_was_killed_and_interrupted_goes_on_to_the_same_files(toy_bank, tmp_path):
    if not has_ray():
        pytest.skip("Ray is not installed")
    scores, out = write_scores(tmp_path / "scores", SCORES, seconds=1.0), tmp_path / "out"
    flags = [str(scores), "--bank", str(toy_bank), "--patch", "piano"]
    with BatchRun(out, [*flags, "--workers", "2"]) as run:
        run.wait_for(SCORES // 6)
        # Between two tasks a worker is called idle.
        killed, *_ = wait_until(run.workers)
        os.kill(killed, signal.SIGKILL)
        run.wait_for(SCORES // 3)
        run.process.send_signal(signal.SIGTERM)
        said = run.end()
    assert run.process.returncode == 130, said
    assert said.splitlines()[-1] == "melstream: interrupted" and "Traceback" not in said
    made = contents(out)
    assert SCORES // 3 <= len(made) < SCORES and not [n for n in made if n.startswith(".")]
    whole = in_one_process(flags, tmp_path / "whole")
    assert len(whole) == SCORES and made.items() <= whole.items()
    assert in_one_process(flags, out) == whole
    lines = (out / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["file"] for line in lines] == sorted(whole)
