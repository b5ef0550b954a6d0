"""A corpus, a SoundFont and a data set small enough to make anew, and plans to train on them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest
import yaml

from tests.trainer.tiny_soundfont import write_soundfont
from trainer.fluidsynth import FluidSynth
from trainer.loop import Plan

HOP, RATE = 128, 16_000
INSTRUMENTS = {"reed": 20, "bell": 14, "string": 48}


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
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for split, count in {"train": 2, "val": 1}.items():
        for number in range(count):
            for harmonics, patch in enumerate(INSTRUMENTS, 1):
                audio, roll = _take(random, harmonics)
                write_excerpt(folder / split / f"{number:04d}-{patch}.npz", audio, roll, patch)
    write_manifest(folder, INSTRUMENTS)
    return folder


def _take(random: np.random.Generator, harmonics: int) -> tuple[np.ndarray, np.ndarray]:
    frames = 500
    time = np.arange(frames * HOP) / RATE
    audio, roll = np.zeros(frames * HOP), np.zeros((frames, 176), np.uint8)
    for start in range(10, frames - 60, 60):
        at = int(random.integers(20, 60))
        roll[start : start + 40, at] = roll[start, 88 + at] = 90
        sounding = (time >= start * HOP / RATE) & (time < (start + 40) * HOP / RATE)
        for number in range(1, harmonics + 1):
            pitch = number * 440 * 2 ** ((at + 21 - 69) / 12)
            audio += sounding * 0.3 / number * np.sin(2 * np.pi * pitch * time)
    return np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16), roll


def write_excerpt(path: Path, audio: np.ndarray, roll: np.ndarray, patch: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, audio=audio, roll=roll, patch=patch)


def write_manifest(folder: Path, programs: dict[str, int]) -> None:
    content = {"programs": programs, "rate": RATE, "hop": HOP, "train_minutes": 0.1}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


SIZES = {
    "mel2mel": {"hidden": 8, "timbre_features": 2},
    "wavenet": {"layers": 4, "cycle": 2, "residual": 8, "skip": 8},
}
FRAMES = {"mel2mel": 24, "wavenet": 4}


@pytest.fixture
def plan(data: Path, tmp_path: Path) -> Callable[..., Plan]:
    """plan(network, run name, iterations, ...) of a tiny network on the tiny data set."""

    def make(network: str, run: str, iterations: int, **more: object) -> Plan:
        told = {
            "data": data,
            "run": tmp_path / run,
            "init": None,
            "batch": 3,
            "iterations": iterations,
            "max_minutes": float("inf"),
            "threads": 1,
            "seed": 0,
            "frames": FRAMES[network],
            "sizes": SIZES[network],
        }
        return Plan(**told | more)

    return make
