"""Movement measured from single keys, and given to a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synth.mel import Analysis
from synth.mel2mel.keys import KEYS
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from tests.trainer.tiny_data import FRAME_S, HOP, RATE, write_excerpt
from trainer.mel2mel.grow import grow
from trainer.mel2mel.movement import SMOOTHED, KeyMovement, measure_movement, with_movement
from trainer.run.checkpoint import save_weights

SECONDS, ONSET_S, KEY = 12, 0.2, 40
PITCH = 440 * 2 ** ((KEY + 21 - 69) / 12)
MEMORY_S, SPREAD = 0.06, 0.4
PATCHES = ["still", "wavering", "short"]
CONFIG = Mel2MelConfig(
    3, hidden=8, timbre_features=3, decay_bands=8, blend=1, analysis=Analysis(window=1_024)
)


def wavering(random: np.random.Generator, seconds: float) -> np.ndarray:
    """A factor that wanders: natural log of deviation `SPREAD`, memory `MEMORY_S`."""
    steps = 1_000
    kept = np.exp(-1 / (MEMORY_S * steps))
    walk = [random.standard_normal()]
    for fresh in random.standard_normal(round(seconds * steps)) * np.sqrt(1 - kept**2):
        walk.append(kept * walk[-1] + fresh)
    place = np.arange(round(seconds * RATE)) / RATE * steps
    return np.exp(SPREAD * np.interp(place, np.arange(len(walk)), walk))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One key of each instrument: six sines, each wavering by itself, or still, or soon over."""
    made, random = tmp_path_factory.mktemp("alone"), np.random.default_rng(0)
    time = np.arange(SECONDS * RATE) / RATE
    for patch in PATCHES:
        audio = np.zeros(len(time))
        for n in range(1, 7):
            partial = 0.05 * np.sin(2 * np.pi * n * PITCH * time)
            audio += partial * (wavering(random, SECONDS) if patch != "still" else 1)
        audio *= (time >= ONSET_S) & (time < (1.0 if patch == "short" else SECONDS - 1))
        roll = np.zeros((len(time) // HOP, 176), np.uint8)
        onset = round(ONSET_S / FRAME_S)
        roll[onset : round((SECONDS - 1) / FRAME_S), KEY] = roll[onset, KEYS + KEY] = 80
        write_excerpt(
            made / "keys" / f"{patch}.npz", np.rint(audio * 32767).astype(np.int16), roll, patch
        )
    return made


@pytest.fixture(scope="module")
def network() -> Mel2Mel:
    torch.manual_seed(0)
    made = Mel2Mel(CONFIG).eval().requires_grad_(False)
    made.instruments.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.2], [0.0, 1.0]]))
    return made


@pytest.fixture(scope="module")
def measured(folder, network) -> KeyMovement:
    return measure_movement(folder, PATCHES, network)


def test_a_wavering_tone_is_measured_as_it_was_made(measured, network):
    edges = network.templates.decay_edges
    bins = PITCH * np.arange(1, 7) / (RATE / 1_024)
    bands = sorted({int(np.searchsorted(edges, b, "right")) - 1 for b in bins})
    heard = measured.spread[1, KEY, bands]
    assert float(heard.mean()) == pytest.approx(SMOOTHED * SPREAD, rel=0.25)
    assert float(measured.memory_s[1]) == pytest.approx(MEMORY_S, rel=0.35)


def test_a_steady_tone_and_one_that_is_soon_over_stand_still(measured):
    assert float(measured.spread[0].max()) < 0.02
    assert not measured.spread[2].any()


def test_a_key_that_was_not_played_takes_after_the_nearest(measured):
    assert torch.equal(measured.spread[1, 3], measured.spread[1, KEY])


def test_an_instrument_without_keys_is_told(folder, network):
    with pytest.raises(ValueError, match="no key of flute"):
        measure_movement(folder, [*PATCHES, "flute"], network)


def test_a_network_moves_as_measured_and_is_the_same_otherwise(measured, network):
    moving = with_movement(network, measured)
    assert moving.config.movement == 1 and network.config.movement == 0
    for name, tensor in network.state_dict().items():
        assert torch.equal(moving.state_dict()[name], tensor)
    features = moving.timbre(moving.instruments.weight)
    told = moving.templates.spread(features).view(3, KEYS, -1)
    torch.testing.assert_close(told, measured.spread, atol=0.1, rtol=0)
    memory_s = moving.templates.memory_frames(features).detach() * FRAME_S
    assert float(memory_s[1]) == pytest.approx(float(measured.memory_s[1]), rel=0.3)


def test_training_that_begins_with_it_begins_without_movement(measured, network, tmp_path):
    moving = with_movement(network, measured)
    path = tmp_path / "weights.safetensors"
    save_weights(path, moving.state_dict(), moving.config, {}, {})
    fresh = Mel2Mel(CONFIG)
    grow(fresh, path)
    assert fresh.state_dict().keys() == network.state_dict().keys()
    assert torch.equal(fresh.templates.base, network.templates.base.half().float())
