"""Inputs that broke something once do not any more, and some seconds of new ones break nothing.

`python -m benchmarks fuzz` tries millions, led by coverage. The corpus holds a file for each that
found a fault, in a folder named after its target.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.fuzzing.targets import TARGETS, allowed, changed

CORPUS = Path(__file__).with_name("corpus")
FOUND = sorted(path for path in CORPUS.rglob("*") if path.is_file())
NEW = 4_000
"""Inputs of all targets: some seconds."""


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_broke_something_once_does_so_no_more(path, tmp_path):
    TARGETS[path.parent.name.replace("-", " ")].make(tmp_path)(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs_are_taken_or_refused(name, tmp_path):
    fuzzed, rng = TARGETS[name], random.Random(7)
    folder = tmp_path / "files"
    folder.mkdir()
    target, seeds = fuzzed.make(folder), list(fuzzed.seeds())
    for data in [*seeds, *(changed(seeds, rng) for _ in range(round(NEW * fuzzed.share)))]:
        target(data)
    assert [path.name for path in tmp_path.iterdir()] == ["files"], "nothing is written elsewhere"


def test_the_shares_are_of_a_whole():
    assert sum(fuzzed.share for fuzzed in TARGETS.values()) == pytest.approx(1)


@pytest.mark.parametrize("wrong", [KeyError("x"), ValueError("two\nlines"), ValueError("")])
def test_a_fault_is_found(wrong):
    def broken(data: bytes) -> None:
        raise wrong

    with pytest.raises((KeyError, AssertionError)):
        allowed(broken)(b"")
