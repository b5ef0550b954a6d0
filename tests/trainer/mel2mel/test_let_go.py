"""Releases measured in short notes: what is left is what the note has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synth.mel import Analysis
from synth.mel2mel.templates import RELEASES_S
from tests.trainer.tiny_data import HOP, RATE, write_excerpt
from trainer.mel2mel.let_go import measure_releases

KEY, SHORT_S, HELD_S, AFTER_S = 48, 0.4, 3.0, 1.5
FALLS = {"dry": 0.06, "ringing": 0.6}
"""Patch -> the time constant of its release."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two instruments, of each one key, held and let go; the tone itself fades, too."""
    for patch, fall in FALLS.items():
        for split, held in (("keys", HELD_S), ("let-go", SHORT_S)):
            time = np.arange(round((0.2 + held + AFTER_S) * RATE)) / RATE
            tone = 0.3 * np.sin(2 * np.pi * 261.6 * time) * (time >= 0.2) * np.exp(-0.5 * time)
            left = np.exp(-np.maximum(time - 0.2 - held, 0) / fall)
            roll = np.zeros((len(time) // HOP, 176), np.uint8)
            roll[25 : 25 + round(held * 125), KEY], roll[25, 88 + KEY] = 80, 80
            audio = np.rint(tone * left * 32767).astype(np.int16)
            write_excerpt(tmp_path / split / f"069-{patch}.npz", audio, roll, patch)
    return tmp_path


def test_what_is_left_of_a_tone_falls_as_it_was_played(folder):
    logits = measure_releases(folder, list(FALLS), Analysis())
    assert logits.shape == (2, 88, len(RELEASES_S))
    shares = logits.softmax(-1)
    # Of one key all others take after it.
    assert torch.equal(shares[:, 0], shares[:, KEY])
    for own, fall in zip(shares[:, KEY], FALLS.values(), strict=True):
        for seconds in (fall / 2, fall, 2 * fall):
            left = float(own @ (-seconds / torch.tensor(RELEASES_S)).exp())
            assert left == pytest.approx(np.exp(-seconds / fall), rel=0.3), (fall, seconds)


def test_a_data_set_without_short_notes_tells_nothing(tmp_path):
    assert measure_releases(tmp_path, ["dry"], Analysis()) is None
