"""Coordinates that raise bands: brightness, body and air as every instrument has them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from player.flags import DEFAULT_BANK
from synth.bank.bank import load_bank
from synth.mel import band_centres
from synth.mel2mel.curves import DB_PER_OCTAVE, PIVOT_HZ, air, body
from synth.mel2mel.knobs import with_knobs
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from synth.mel2mel.step import Mel2MelStep
from tests.synth.rolls import make_roll

DB = 20 / math.log(10)


def lively(**sizes: int | bool) -> Mel2Mel:
    """Heads with something to say, and room for a shift that tilts both."""
    torch.manual_seed(3)
    net = Mel2Mel(Mel2MelConfig(instruments=3, hidden=400, **sizes)).eval().requires_grad_(False)
    for head in (net.mel, net.fine):
        if head is not None:
            head.weight.normal_(std=0.05)
    return net


def spectra(net: Mel2Mel, more: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Decibels of each head (frames, bands)."""
    embedding = torch.tensor([[[0.4, -0.3, *more]]])
    made = net(make_roll(1, 30), embedding, 2)
    return {
        h: DB * getattr(made, h)[0].numpy() for h in ("mel", "fine") if getattr(made, h) is not None
    }


@pytest.mark.parametrize("sizes", [{"timbre_features": 4}, {"timbre_features": 0}])
def test_it_tilts_both_heads_and_changes_nothing_at_0(sizes):
    net = lively(**sizes)
    straight, rest = spectra(net, ()), spectra(with_knobs(net, 1), (0.0,))
    tilted = spectra(with_knobs(net, 1), (0.5,))
    for head in straight:
        np.testing.assert_allclose(rest[head], straight[head], atol=1e-3)
        hz = band_centres(net.config.analysis, head)
        heard = (hz > 100) & (hz < 7_000)
        rise = (tilted[head] - straight[head])[:, heard].mean(axis=0)
        wanted = 0.5 * DB_PER_OCTAVE * np.log2(hz[heard] / PIVOT_HZ)
        assert np.abs(rise - wanted).max() < 1


def test_a_stream_is_tilted_as_a_whole_piece_is():
    net = with_knobs(lively(timbre_features=4), 1)
    roll, embedding = make_roll(1, 20), torch.tensor([[[0.1, 0.2, -0.8]]]).expand(1, 20, 3)
    live = Mel2MelStep(net, 0)
    heard = live.step(roll, embedding.contiguous(), live.initial_state(1)).fine
    torch.testing.assert_close(heard, net(roll, embedding[:, :1], 0).fine, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("curve", "place"), [(body, 4), (air, 5)])
def test_body_and_air_raise_their_bands_and_no_others(curve, place):
    net = lively(timbre_features=4, decay_bands=5, blend=1)
    turned = (0.0,) * place + (-0.5,) + (0.0,) * (5 - place)
    straight, raised = spectra(net, ()), spectra(with_knobs(net, 6), turned)
    hz = band_centres(net.config.analysis, "fine")
    rise = (raised["fine"] - straight["fine"]).mean(axis=0)
    assert np.abs(rise + 0.5 * curve(hz)).max() < 1


def test_every_patch_grows_brighter_with_its_knob():
    bank = load_bank(DEFAULT_BANK)
    net, direction = bank.mel2mel(), np.array(bank.knobs["brightness"])
    size = len(direction)
    roll = torch.zeros(1, 40, 176)
    roll[:, 5:, 60 - 21] = roll[:, 5, 88 + 60 - 21] = 0.7
    hz = torch.from_numpy(band_centres(bank.analysis, "fine")).float()
    for name in bank.names:
        points = [bank.point(name)[:size] + (v - 0.5) * direction for v in (0, 0.25, 0.5, 0.75, 1)]
        embedding = torch.tensor(np.array(points), dtype=torch.float32)[:, None]
        levels = net(roll.expand(5, -1, -1), embedding, 0).fine[:, 10:].exp().mean(1)
        centroid = (levels * hz).sum(1) / levels.sum(1)
        assert (centroid.diff() > 0.02 * centroid[:-1]).all(), (name, centroid)
