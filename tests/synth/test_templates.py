"""Key templates: training's way and playing's way agree, and harder is louder and brighter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from synth.keys import DRIVES, KEYS, LOWEST_KEY, initial_keys, play_keys
from synth.mel import Analysis
from synth.template_mix import initial_cache, mix_frame, pack_templates
from synth.templates import FILL_FRAMES, KeyTemplates
from tests.synth.rolls import make_roll

RATE = 125.0
KEY = 40
ANALYSIS = Analysis(window=256)


@pytest.fixture
def templates() -> KeyTemplates:
    """Of three features, each of which changes all there is."""
    torch.manual_seed(0)
    made = KeyTemplates(ANALYSIS, 3).requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def struck(velocity: float, frames: int = 40) -> tuple[Tensor, Tensor]:
    """Velocities and drives of one key that is struck at once and held."""
    roll = torch.zeros(1, frames, 2 * KEYS)
    roll[0, :, KEY] = velocity
    roll[0, 0, KEYS + KEY] = velocity
    return play_keys(roll, initial_keys(1), RATE)[:2]


def test_dense_and_frame_by_frame_agree(templates):
    """Training's way with one timbre throughout, and playing's way with a cache."""
    velocity, drives, _ = play_keys(make_roll(2, 30), initial_keys(2), RATE)
    weights = pack_templates(templates)
    cache = initial_cache(2, weights)
    for features in (torch.randn(2, 3), torch.zeros(2, 3)):
        dense = templates(velocity, drives, features)
        for t in range(30):
            now = (x[:, t].contiguous().numpy() for x in (velocity, drives))
            mixed = torch.from_numpy(mix_frame(weights, *now, features.numpy(), cache))
            torch.testing.assert_close(mixed, dense[:, t], atol=1e-6, rtol=1e-5)


def test_every_parameter_learns(templates):
    templates.requires_grad_(True)
    velocity, drives, _ = play_keys(make_roll(2, 30), initial_keys(2), RATE)
    templates(velocity, drives, torch.randn(2, 3)).log().mean().backward()
    for name, parameter in templates.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_nothing_sounds_but_the_floor_until_a_key_is_struck(templates):
    features = torch.randn(1, 3)
    silent = templates(torch.zeros(1, 2, KEYS), torch.zeros(1, 2, KEYS, len(DRIVES)), features)
    assert torch.equal(silent[0, 1], templates.noise(features)[0].sqrt())


def test_an_untaught_strength_is_a_power_of_the_velocity():
    untaught = KeyTemplates(ANALYSIS, 2)
    velocity = torch.tensor([[[0.0, 0.25, 0.5, 1.0]]])
    plain, hard = untaught.strengths(velocity, torch.zeros(1, 1, 4, 7), torch.zeros(1, 2))
    torch.testing.assert_close(plain, velocity**1.8)
    torch.testing.assert_close(hard, velocity**3.3)


def test_a_tilt_makes_the_harder_the_brighter():
    templates = KeyTemplates(ANALYSIS, 2).requires_grad_(False)
    half = ANALYSIS.bins // 2
    templates.tilt[:, half:] = 2.0
    brightness = []
    for level in (0.2, 0.9):
        heard = templates(*struck(level), torch.zeros(1, 2))[0, 20]
        brightness.append(float(heard[half:].sum() / heard[:half].sum()))
    assert brightness[1] > 2 * brightness[0]


def test_a_fill_holds_back_the_first_frames_of_every_onset():
    templates = KeyTemplates(ANALYSIS, 2).requires_grad_(False)
    templates.floor.bias.fill_(-30.0)
    whole = templates(*struck(0.5), torch.zeros(1, 2))[0]
    templates.fill.bias.fill_(-1.0)
    held_back = templates(*struck(0.5), torch.zeros(1, 2))[0]
    loud = whole[FILL_FRAMES] > 0.01
    share = (held_back / whole)[:, loud].mean(-1)
    early, late = share.split([FILL_FRAMES, 40 - FILL_FRAMES])
    torch.testing.assert_close(early, torch.full_like(early, 0.3679), atol=1e-3, rtol=0)
    torch.testing.assert_close(late, torch.ones_like(late))


def test_keys_add_up_in_power():
    templates = KeyTemplates(ANALYSIS, 2).requires_grad_(False)
    templates.tilt.fill_(-30.0)
    velocity, drives = struck(0.5)
    one = templates(velocity, drives, torch.zeros(1, 2))[0, 20]
    # The same spectrum on another key, so that the two meet in every bin.
    templates.base[KEY + 1] = templates.base[KEY]
    both = velocity + velocity.roll(1, -1), drives + drives.roll(1, -2)
    two = templates(*both, torch.zeros(1, 2))[0, 20]
    loud = one > 0.01
    torch.testing.assert_close(
        (two / one)[loud], torch.full_like(one[loud], 2**0.5), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("key", [33, 57, 69, 100])
def test_an_untrained_template_is_in_tune(key):
    analysis = Analysis()
    templates = KeyTemplates(analysis, 3)
    spectrum = templates.base[key - LOWEST_KEY, 0]
    pitch = 440 * 2 ** ((key - 69) / 12)
    spacing = analysis.rate / analysis.window
    peak = int(spectrum[: int(1.5 * pitch / spacing)].argmax()) * spacing
    assert abs(peak - pitch) <= spacing / 2 + 1e-6
