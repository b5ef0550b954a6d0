"""What does input that nobody means do to the server?

Everything that reads bytes of others is given changed inputs, led by coverage (atheris): OSC
packets and commands, MIDI messages and files, patches, banks, desks, learnt controllers, and a
page's messages and bodies. Each must be refused in one line, or do what it says; nothing else may
be raised, nor take ten seconds. `benchmarks/fuzzing/targets.py` has them all.

    inputs        how many were tried
    faults        how many broke it: a target ends at its first, which FOLDER/TARGET/faults keeps
    kept          inputs that reached code which no other had
    seconds       what it took, on one core
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.flags import whole
from benchmarks.rows import Row

SUMMARY = "what does input that nobody means do to the server?"
ROOT = Path(__file__).resolve().parents[2]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """How many, and where they are kept."""
    add = parser.add_argument
    add("--inputs", type=whole(100, 10**9), default=100_000, help="in all")
    add("--seed", type=int, default=1, help="random seed")
    add("--folder", type=Path, help="keeps what it tries; without it, nothing is kept")
    add("--target", help="one target alone, by its name")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each target. ValueError for one that there is not, or without atheris."""
    from benchmarks.fuzzing.targets import TARGETS

    if options.target and options.target not in TARGETS:
        raise ValueError(f"--target: expected one of {', '.join(TARGETS)}, got {options.target!r}")
    names = [options.target] if options.target else list(TARGETS)
    shares = {name: TARGETS[name].share for name in names}
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = (options.folder or Path(place)).resolve()
        for name in tqdm(names, desc="fuzz"):
            inputs = round(options.inputs * shares[name] / sum(shares.values()))
            rows.append(_row(name, folder / name.replace(" ", "-"), inputs, options.seed))
    return rows


def _row(name: str, folder: Path, inputs: int, seed: int) -> Row:
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.fuzzing.run", name, str(folder)]
    ended = subprocess.run(
        [*command, str(inputs), str(seed)], cwd=ROOT, capture_output=True, text=True
    )
    done = re.search(r"number_of_executed_units: (\d+)", ended.stderr)
    if done is None:
        last = (ended.stderr.strip() or "nothing was said").splitlines()[-1]
        raise ValueError(f"{name}: the fuzzer did not run (pip install atheris?): {last}")
    return {
        "target": name,
        "inputs": int(done[1]),
        "faults": len(list((folder / "faults").iterdir())),
        "kept": len(list((folder / "corpus").iterdir())),
        "seconds": time.perf_counter() - began,
    }
