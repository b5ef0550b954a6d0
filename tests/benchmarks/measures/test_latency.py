"""Latency on real servers, with the toy bank; what it comes to is the machine's affair."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.rigs.jack_rig import missing

TERMS = ("block_ms", "lookahead_ms", "vocoder_ms", "output_ms")


def rows(tmp_path: Path, *flags: str) -> list[dict]:
    kept = tmp_path / "rows.json"
    assert main(["latency", *flags, "--json", str(kept)]) == 0
    return json.loads(kept.read_text())


def check(row: dict, lookahead: int) -> None:
    """What holds on any machine: all was heard, and the sums are sums."""
    assert (row["notes"], row["heard"], row["lookahead"]) == (3, 3, lookahead)
    assert row["lookahead_ms"] == 8 * lookahead
    assert sum(row[term] for term in TERMS) == pytest.approx(row["stated_ms"], abs=0.05)
    assert 0 < row["median_ms"] <= row["p95_ms"] <= row["p99_ms"]
    held = row["median_ms"] - row["onset_ms"] - row["stated_ms"]
    # Kept figures are rounded.
    assert row["difference_ms"] == pytest.approx(held, abs=0.05)


def test_osc_without_a_device(toy_bank, tmp_path, capsys):
    flags = ["--bank", str(toy_bank), "--paths", "osc", "--notes", "3", "--lookahead", "2"]
    bare, tagged = rows(tmp_path, *flags)
    assert [r["path"] for r in (bare, tagged)] == ["osc", "osc"]
    assert [r["timing"] for r in (bare, tagged)] == ["now", "timetag"]
    check(bare, 2)
    check(tagged, 2)
    assert bare["xruns"] == 0
    assert "difference_ms" in capsys.readouterr().out


@pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}")
def test_osc_and_midi_on_jack(toy_bank, tmp_path):
    flags = ["--bank", str(toy_bank), "--paths", "jack", "--notes", "3", "--lookahead", "0"]
    found = rows(tmp_path, *flags, "--period", "512")
    assert [row["path"] for row in found] == ["osc-jack", "osc-jack", "midi-jack"]
    for row in found:
        check(row, 0)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--notes", "1"], "--notes: expected a whole number, 2 or more, got '1'"),
        (["--lookahead", "-2"], "--lookahead: expected a whole number, 0..125, got '-2'"),
        (["--patch", "kazoo"], "kazoo"),
    ],
)
def test_bad_flags_are_told_in_one_line(toy_bank, capsys, flags, named):
    assert main(["latency", "--bank", str(toy_bank), *flags]) == 2
    told = capsys.readouterr().err.strip()
    assert named in told and "\n" not in told
