"""Brightness and loudness over the embedding space, on a toy bank."""

from __future__ import annotations

import argparse
import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.measures import embedding
from benchmarks.measures.embedding import centroid_and_energy, hear, measure, phrase
from synth.bank.bank import load_bank
from synth.mel import log_magnitudes
from synth.mel2mel.network import Mel2Mel
from tests.toy_bank import ANALYSIS, MEL2MEL, make_mel2mel


def _options(bank: Path) -> argparse.Namespace:
    return argparse.Namespace(bank=bank)


def test_every_two_patches_have_a_row_and_the_summary_follows(toy_bank):
    rows = measure(_options(toy_bank))
    names = [(row["from"], row["to"]) for row in rows]
    assert names[:3] == [("piano", "organ"), ("piano", "bright-lead"), ("organ", "bright-lead")]
    assert names[3:] == [("all", "mean"), ("all", "min"), ("all", "pooled")]
    for column in ("centroid_monotone", "energy_monotone"):
        each = [row[column] for row in rows[:3]]
        assert all(0 <= x <= 1 for x in each)
        assert rows[3][column] == pytest.approx(np.mean(each))
        assert rows[4][column] == min(each)
        # A mean of the same shares, weighted by their variations.
        assert min(each) <= rows[5][column] <= max(each)


def test_a_full_scale_sine_is_at_0_db_and_its_own_frequency():
    time = torch.arange(ANALYSIS.rate, dtype=torch.float64) / ANALYSIS.rate
    spectra = log_magnitudes(torch.sin(2 * math.pi * 1000 * time), ANALYSIS)[None, 10:-10]
    hertz = torch.linspace(0, ANALYSIS.rate / 2, ANALYSIS.bins, dtype=torch.float64)
    centroid, energy = centroid_and_energy(spectra, hertz)
    # The floor of -100 dB in every bin pulls a little towards the middle.
    assert centroid.item() == pytest.approx(1000, rel=0.01)
    assert energy.item() == pytest.approx(0, abs=0.01)


def test_a_point_sounds_the_same_in_any_company():
    points = np.random.default_rng(0).normal(size=(embedding.BATCH + 1, 2))
    together, alone = hear(make_mel2mel(), points, "test"), hear(make_mel2mel(), points[-1:], "x")
    for many, one in zip(together, alone, strict=True):
        assert many.shape == (embedding.BATCH + 1,)
        assert many[-1] == pytest.approx(one[0], rel=1e-4)


def test_a_bank_without_a_fine_head_is_heard_by_its_mel_bands():
    torch.manual_seed(0)
    plain = Mel2Mel(dataclasses.replace(MEL2MEL, fine=False, timbre_features=0)).eval()
    centroid, energy = hear(plain, np.zeros((1, 2)), "test")
    assert 0 < centroid[0] < ANALYSIS.rate / 2
    assert np.isfinite(energy[0])


def test_the_phrase_is_a_note_and_then_a_chord():
    roll = phrase(ANALYSIS)
    struck = roll[:, 88:].any(1).nonzero()[0]
    assert [roll[t, 88:].nonzero()[0].tolist() for t in struck] == [[39], [39, 43, 46]]
    assert not roll[-1].any()


def test_a_patch_plays_where_its_knobs_put_it(toy_bank):
    # brightness 1.0: half of the knob's travel (0.5, -0.25) beyond (-0.3, -1.1).
    place = embedding.embedding(load_bank(toy_bank), "bright-lead")
    assert place == pytest.approx((-0.05, -1.225))


def test_a_single_patch_has_no_morph(toy_bank, tmp_path):
    bank = shutil.copytree(toy_bank, tmp_path / "bank")
    for name in ("organ", "bright-lead"):
        (bank / f"{name}.yaml").unlink()
    with pytest.raises(ValueError, match="single patch"):
        measure(_options(bank))
