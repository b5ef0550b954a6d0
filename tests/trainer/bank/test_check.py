"""A bank's check: every patch plays one note, and what is wrong with it is named."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from synth.bank.bank import load_bank
from synth.instrument import Instrument
from synth.vocoders.spectral.vocoder import SpectralVocoder
from trainer.bank.check import HELD_S, KEY, check_bank, fault_of, in_tune, play

RATE = 16_000
PITCH = 440 * 2 ** ((KEY - 69) / 12)


def tone(cents: float = 0.0, level: float = 0.1) -> np.ndarray:
    """Three harmonics, off by some cents, for as long as a note is held."""
    time = np.arange(round(HELD_S * RATE)) / RATE
    pitch = PITCH * 2 ** (cents / 1200)
    return level * sum(np.sin(2 * np.pi * n * pitch * time) / n for n in (1, 2, 3))


def test_every_patch_of_a_good_bank_plays(toy_bank):
    names = load_bank(toy_bank).names
    assert list(check_bank(toy_bank)) == [f"{name}: plays" for name in names]


def test_a_note_sounds_from_its_onset_until_its_key_is_let_go(toy_bank):
    bank = load_bank(toy_bank)
    note = play(Instrument(bank, SpectralVocoder(bank.analysis)), "piano")
    assert note.shape == (round(HELD_S * 125) * 128,)
    assert np.abs(note[: RATE // 10]).max() > 0.01 < np.abs(note[-RATE // 10 :]).max()


@pytest.mark.parametrize(
    ("note", "fault"),
    [
        (tone(), None),
        (tone(cents=30), None),
        (tone(cents=100), "is out of tune"),
        (tone(cents=1200), None),
        (tone(level=1e-5), "is not heard (-102 dB)"),
        (np.zeros(8_000), "is not heard (-200 dB)"),
        (np.full(8_000, np.nan), "is not finite"),
        (np.random.default_rng(0).normal(size=8_000), "is out of tune"),
    ],
)
def test_what_is_wrong_with_a_note_is_told(note, fault):
    assert fault_of(note, RATE) == fault


def test_the_pitch_is_that_of_the_key_asked_for():
    assert in_tune(tone(), KEY, RATE)
    assert in_tune(tone(), KEY + 12, RATE)
    assert not in_tune(tone(), KEY + 1, RATE)


def test_a_bank_of_silence_is_refused_by_its_patches(toy_bank, tmp_path):
    bank = shutil.copytree(toy_bank, tmp_path / "bank")
    weights = load_file(bank / "mel2mel.safetensors")
    weights["templates.base"] = torch.full_like(weights["templates.base"], -60.0)
    weights["fine.weight"] = torch.zeros_like(weights["fine.weight"])
    save_file(weights, bank / "mel2mel.safetensors")
    with pytest.raises(ValueError, match="piano is not heard .*organ is not heard .*bright-lead"):
        list(check_bank(bank))
