"""Templates measured from single keys: what is measured is what is played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synth.mel import Analysis
from synth.mel2mel.keys import KEYS, initial_keys, play_keys
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from tests.trainer.tiny_data import HOP, RATE, write_excerpt
from trainer.mel2mel.basis import audibility
from trainer.mel2mel.keys_alone import has_keys, measure_keys
from trainer.mel2mel.settle import settle

SECONDS = 14
FADES = {"still": 0.0, "fading": 0.4}
"""Patch -> nepers a second that its tones lose."""
PLAYED = (40, 52)
"""Counted from the lowest key."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two instruments with two keys each: sines with a few partials."""
    made = tmp_path_factory.mktemp("alone")
    time = np.arange(SECONDS * RATE) / RATE
    for patch, fade in FADES.items():
        for key in PLAYED:
            pitch = 440 * 2 ** ((key + 21 - 69) / 12)
            sounding = (time >= 0.2) & (time < SECONDS - 1)
            loud = 0.3 if patch == "still" else 0.1
            tone = sum(np.sin(2 * np.pi * n * pitch * time) / n**2 for n in (1, 2, 3))
            audio = loud * tone * sounding * np.exp(-fade * (time - 0.2))
            roll = np.zeros((len(time) // HOP, 176), np.uint8)
            roll[25 : (SECONDS - 1) * 125, key], roll[25, 88 + key] = 80, 80
            path = made / "keys" / f"{key}-{patch}.npz"
            write_excerpt(path, np.rint(audio * 32767).astype(np.int16), roll, patch)
    return made


@pytest.fixture(scope="module")
def network(folder) -> Mel2Mel:
    torch.manual_seed(0)
    config = Mel2MelConfig(2, hidden=8, timbre_features=2, decay_bands=6, analysis=Analysis())
    made = Mel2Mel(config).requires_grad_(False)
    told = settle(made, measure_keys(folder, list(FADES), made))
    assert told.startswith("templates of 2 instruments measured from single keys")
    return made


def test_a_data_set_says_whether_it_holds_single_keys(folder, tmp_path):
    assert has_keys(folder) and not has_keys(tmp_path)


@pytest.mark.parametrize("instrument", [0, 1])
def test_a_key_is_played_as_it_was_measured(network, folder, instrument):
    patch = list(FADES)[instrument]
    roll = torch.zeros(1, (SECONDS - 2) * 125, 2 * KEYS)
    roll[0, :, 40], roll[0, 0, KEYS + 40] = 80 / 127, 80 / 127
    fine = network(roll, network.instruments.weight[instrument].view(1, 1, -1), 4).fine[0]
    level = (2 * fine).exp().sum(-1).log() / 2
    loud = np.log(0.3 if patch == "still" else 0.1)
    for seconds in (0.5, 2.0, 5.0, 7.0, 11.0):
        wanted = loud - FADES[patch] * seconds
        at = round(seconds * 125)
        # The sum of a sine's bins is 1.5 times its power.
        mean = float(level[at - 10 : at + 10].mean()) - np.log(1.5) / 2
        assert mean == pytest.approx(wanted, abs=0.6), seconds


def test_a_basis_as_large_as_it_need_be_says_what_was_measured(folder, network, monkeypatch):
    # It is as large as it need be: nothing is left to be filled in, round after round.
    monkeypatch.setattr("trainer.mel2mel.basis.ROUNDS", 4)
    torch.manual_seed(0)
    config = replace(network.config, timbre_features=2, blend=1, basis=4, embedding=3)
    made = Mel2Mel(config).requires_grad_(False)
    sounds = measure_keys(folder, list(FADES), made)
    settle(made, sounds)
    # Two instruments cannot lie in more than one dimension.
    assert not made.instruments.weight[:, 1:].any()
    told = made.templates.spectra(made.timbre(made.instruments.weight)).view(2, KEYS, 11, -1)
    heard = audibility(sounds.spectra[:, 40]) > 0.1
    away = (told - told.amax(-1, keepdim=True)) - (
        sounds.spectra - sounds.spectra.amax(-1, keepdim=True)
    )
    assert away[:, 40][heard].abs().max() < 0.3


def test_a_key_that_was_not_played_takes_after_the_nearest(network):
    assert torch.equal(network.templates.base[30], network.templates.base[40])
    assert torch.equal(network.templates.by_timbre[:, 80], network.templates.by_timbre[:, 52])


def test_nothing_is_corrected_at_first_and_silence_is_silent(network):
    roll = torch.zeros(1, 20, 2 * KEYS)
    keys, _ = play_keys(roll, initial_keys(1))
    heard = network(roll, network.instruments.weight[:1, None], 4, keys)
    assert not heard.correction.any()
    assert float(heard.fine.max()) < np.log(1.01e-5)


def test_instruments_lie_by_brightness_and_level(network):
    x, y = network.instruments.weight.T
    assert y.tolist() == [1, -1] and sorted(x.tolist()) == [-1, 1]


def test_an_instrument_without_keys_is_told(folder, network):
    with pytest.raises(ValueError, match="no key of flute"):
        measure_keys(folder, [*FADES, "flute"], network)
