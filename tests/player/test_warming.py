"""A first start: what is compiled, by which process, and that a second start compiles nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.rigs.live import ROOT, LiveServer


def test_two_processes_compile_once_for_all_starts(toy_bank: Path, tmp_path: Path) -> None:
    kept = {"NUMBA_CACHE_DIR": str(tmp_path)}
    vocoder = [sys.executable, "-m", "player.warming", str(toy_bank), "spectral", "auto", "0"]

    def compiled() -> int:
        """Functions that the process which compiles vocoders has compiled."""
        environment = {**os.environ, **kept}
        made = subprocess.run(vocoder, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        return len(made.stdout.splitlines())

    assert compiled() > 10
    flags = ("--bank", str(toy_bank), "--vocoder", "spectral")
    with LiveServer(flags, kept) as first:
        said = " / ".join(first.lines)
        assert "preparing once" in said and "functions)" in said
        first.stop()
    with LiveServer(flags, kept) as second:
        assert not any("once" in line for line in second.lines)
        second.stop()
