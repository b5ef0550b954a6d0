"""A corpus, a SoundFont and a data set small enough to make anew, and plans to train on them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest

from tests.trainer.tiny_data import (
    FRAMES,
    HALVE_EVERY,
    INSTRUMENTS,
    RATE,
    make_take,
    write_excerpt,
    write_manifest,
)
from tests.trainer.tiny_soundfont import write_soundfont
from trainer.data.fluidsynth import FluidSynth
from trainer.run.plan import TrainingPlan


@pytest.fixture(scope="session")
def soundfont(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two-wave SoundFont; skips where there is no FluidSynth to play it."""
    path = write_soundfont(tmp_path_factory.mktemp("soundfont") / "tiny.sf2")
    try:
        FluidSynth(path)
    except ValueError as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        raise
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three pieces of six seconds, one for each split, with their manifest.csv."""
    folder = tmp_path / "midi"
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "title", "seconds", "split"])
        for number, split in enumerate(["train", "val", "test"]):
            _write_piece(folder / f"{split}-piece.mid", key=60 + number)
            rows.writerow([f"{split}-piece.mid", "Piece", 6.0, split])
    return folder


def _write_piece(path: Path, key: int) -> None:
    file = mido.MidiFile(ticks_per_beat=500)
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)])
    for step in range(12):
        track.append(mido.Message("note_on", note=key + step, velocity=60 + 5 * step, time=100))
        track.append(mido.Message("note_off", note=key + step, time=400))
    file.tracks.append(track)
    file.save(path)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three instruments: harmonic notes of four seconds, and their rolls."""
    return _write_data(tmp_path_factory.mktemp("data"), RATE)


@pytest.fixture(scope="session")
def data48(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same at 48 kHz."""
    return _write_data(tmp_path_factory.mktemp("data48"), 48_000)


def _write_data(folder: Path, rate: int) -> Path:
    random = np.random.default_rng(0)
    for split, count in {"train": 2, "val": 1}.items():
        for number in range(count):
            for harmonics, patch in enumerate(INSTRUMENTS, 1):
                audio, roll = make_take(random, harmonics, rate)
                write_excerpt(folder / split / f"{number:04d}-{patch}.npz", audio, roll, patch)
    write_manifest(folder, INSTRUMENTS, rate)
    return folder


@pytest.fixture
def plan(data: Path, tmp_path: Path) -> Callable[..., TrainingPlan]:
    """plan(network, run name, iterations, ...) of a tiny network on the tiny data set."""

    def make(network: str, run: str, iterations: int, **more: Any) -> TrainingPlan:
        stated = {
            "data": data,
            "run": tmp_path / run,
            "batch": 3,
            "iterations": iterations,
            "frames": FRAMES[network],
            "halve_every": HALVE_EVERY[network],
            "device": "cpu",
        }
        return TrainingPlan(**stated | more)

    return make
