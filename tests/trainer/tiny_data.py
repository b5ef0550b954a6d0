"""What the tiny data set is made of, and sizes of networks that learn from it in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from trainer.mel2mel.settings import Mel2MelSizes
from trainer.wavenet.settings import WaveNetSizes

HOP, RATE = 128, 16_000
FRAME_S = HOP / RATE
INSTRUMENTS = {"reed": 20, "bell": 14, "string": 48}
SIZES: dict[str, Any] = {
    "mel2mel": Mel2MelSizes(hidden=8, timbre_features=2),
    "wavenet": WaveNetSizes(layers=4, cycle=2, residual=8, skip=8),
}
FRAMES = {"mel2mel": 24, "wavenet": 4}
"""Of a sequence; `SIZES` and `FRAMES` by network."""
HALVE_EVERY = {"mel2mel": 40_000, "wavenet": 100_000}


def make_take(
    random: np.random.Generator, harmonics: int, rate: int = RATE
) -> tuple[np.ndarray, np.ndarray]:
    """audio (4 * rate,) int16 of short notes with some harmonics, its roll (500, 176) uint8."""
    frames = 500
    time = np.arange(4 * rate) / rate
    audio, roll = np.zeros(4 * rate), np.zeros((frames, 176), np.uint8)
    for start in range(10, frames - 60, 60):
        at = int(random.integers(20, 60))
        roll[start : start + 40, at] = roll[start, 88 + at] = 90
        sounding = (time >= start * FRAME_S) & (time < (start + 40) * FRAME_S)
        for number in range(1, harmonics + 1):
            pitch = number * 440 * 2 ** ((at + 21 - 69) / 12)
            audio += sounding * 0.3 / number * np.sin(2 * np.pi * pitch * time)
    return np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16), roll


def write_excerpt(path: Path, audio: np.ndarray, roll: np.ndarray, patch: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, audio=audio, roll=roll, patch=patch)


def write_manifest(folder: Path, programs: dict[str, int], rate: int = RATE) -> None:
    hop = round(rate * FRAME_S)
    content = {"programs": programs, "rate": rate, "hop": hop, "train_minutes": 0.1}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
