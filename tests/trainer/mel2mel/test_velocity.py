"""Loudness by velocity, measured beside FluidSynth and given to a network."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from tests.trainer.tiny_soundfont import PROGRAMS
from trainer.data.manifest import Manifest
from trainer.mel2mel.velocity import (
    SAME,
    VELOCITIES,
    predicted_curves,
    rendered_curves,
    with_velocities,
)

AT_SAME = VELOCITIES.index(SAME)


@pytest.fixture(scope="module")
def manifest(soundfont: Path) -> Manifest:
    sha256 = hashlib.sha256(soundfont.read_bytes()).hexdigest()
    gains = dict.fromkeys(PROGRAMS, 0.0)
    return Manifest(
        programs=PROGRAMS, rate=16_000, hop=128, soundfont_sha256=sha256, gains_db=gains
    )


@pytest.fixture(scope="module")
def rendered(soundfont: Path, manifest: Manifest) -> torch.Tensor:
    return rendered_curves(soundfont, manifest)


def network(blend: int = 1) -> Mel2Mel:
    torch.manual_seed(0)
    config = Mel2MelConfig(2, hidden=8, timbre_features=2, decay_bands=6, blend=blend)
    made = Mel2Mel(config).requires_grad_(False)
    # Neither noise nor brightness may hide the curve.
    made.templates.floor.bias.fill_(-14)
    made.templates.tilt.fill_(-8)
    return made


def test_the_renderer_is_heard_at_every_velocity(rendered):
    relative = rendered - rendered[:, [AT_SAME]]
    # FluidSynth's usual curve: 40 dB for a tenfold velocity.
    wanted = 40 * (torch.tensor(VELOCITIES) / SAME).log10()
    torch.testing.assert_close(relative, wanted.expand(2, -1), atol=0.3, rtol=0)


def test_a_network_grows_louder_with_velocity_as_the_renderer_does(rendered, manifest):
    net = network()
    flat = predicted_curves(net, manifest)
    corrected, moved = with_velocities(net, rendered, manifest)
    heard = predicted_curves(corrected, manifest)
    relative = heard - heard[:, [AT_SAME]] - (rendered - rendered[:, [AT_SAME]])
    assert float(relative.abs().max()) < 0.7
    assert float((flat - flat[:, [AT_SAME]] - rendered + rendered[:, [AT_SAME]]).abs().max()) > 2
    # What was as loud as it should be stays so, and the network it was made from is as before.
    torch.testing.assert_close(heard[:, AT_SAME], flat[:, AT_SAME], atol=0.1, rtol=0)
    assert moved == pytest.approx([0.2, 0.2], abs=0.1)
    assert torch.equal(predicted_curves(net, manifest), flat)


def test_another_soundfont_or_a_network_without_levels_is_refused(soundfont, manifest, rendered):
    other = replace(manifest, soundfont="other.sf2", soundfont_sha256="0" * 64)
    with pytest.raises(
        ValueError, match=r"tiny.sf2: expected .* rendered with \(other.sf2, sha256 0"
    ):
        rendered_curves(soundfont, other)
    with pytest.raises(ValueError, match="only of a network that blends"):
        with_velocities(network(blend=0), rendered, manifest)
