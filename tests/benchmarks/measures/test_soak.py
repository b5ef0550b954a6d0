"""A soak of a few seconds, with the toy bank, in a real server."""

from __future__ import annotations

import argparse
import json
import mmap
import os

import numpy as np
import pytest
from matplotlib.image import imread
from pythonosc.osc_message import OscMessage

from benchmarks.__main__ import main
from benchmarks.measures.soak import random_packets, resident_mb


def take(seconds: float, **flags: object) -> list:
    options = argparse.Namespace(**{"parts": 3, "density": 20.0, "seed": 0} | flags)
    return random_packets(["a", "b"], ["brightness"], seconds, options)


def test_a_take_is_dense_ordered_within_its_time_and_moves_everything():
    packets = take(60.0)
    times = np.array([at for at, _ in packets])
    assert (np.diff(times) >= 0).all() and times[0] == 0 and times[-1] < 60
    sent = [OscMessage(packet) for _, packet in packets]
    pressed = [m for m in sent if m.address.endswith("/note") and m.params[1] > 0]
    assert len(pressed) == 1_200
    assert {m.address.split("/")[2] for m in sent} == {"1", "2", "3"}
    ends = {m.address.partition("/part/")[2].partition("/")[2] for m in sent}
    assert ends == {"note", "patch", "timbre/0", "pan", "gain_db", "cc", "knob/brightness"}


def test_a_take_is_its_seed():
    assert take(2.0) == take(2.0) != take(2.0, seed=1)


def test_it_plays_on_and_says_how(toy_bank, tmp_path):
    kept = tmp_path / "rows.json"
    flags = ["--bank", str(toy_bank), "--minutes", "0.05", "--density", "30", "--parts", "2"]
    flags += ["--buffer", "25", "--picture", str(tmp_path / "soak.png")]
    assert main(["soak", *flags, "--json", str(kept)]) == 0
    (row,) = json.loads(kept.read_text())
    assert (row["parts"], row["minutes"]) == (2, 0.05)
    assert (row["dropped"], row["malformed"], row["refused"]) == (0, 0, 0)
    assert row["load"] > 0 and row["peak_load"] > 0
    assert row["buffer_ms"] == 25 and (row["stalls"] is None) == (row["most_stalled_ms"] is None)
    assert imread(tmp_path / "soak.png").shape[0] > 500
    assert row["memory_start_mb"] > 0 and row["memory_end_mb"] > 0


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_memory_that_is_taken_is_seen():
    before = resident_mb(os.getpid())
    # Fresh from the system: what has been freed before would be given again.
    with mmap.mmap(-1, 80_000_000) as taken:
        taken.write(b"1" * len(taken))
        assert resident_mb(os.getpid()) - before > 60


@pytest.mark.parametrize(
    "flags", [["--core", "4096"], ["--parts", "17"], ["--minutes", "0"], ["--density", "-1"]]
)
def test_bad_flags_are_told_in_one_line(toy_bank, capsys, flags):
    assert main(["soak", "--bank", str(toy_bank), *flags]) == 2
    said = capsys.readouterr().err.strip()
    assert flags[0] in said and flags[1] in said and "\n" not in said
