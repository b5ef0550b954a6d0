"""What is drawn stays within the guide's spectrum, and otherwise as it is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synth.vocoders.wavenet.within import LOW_HZ, Within

HOP, RATE = 128, 16_000
HOPS = 40


def tone(hz: float, level: float = 0.1) -> Tensor:
    time = torch.arange(HOPS * HOP, dtype=torch.float64) / RATE
    return (level * (2 * torch.pi * hz * time).sin()).float()[None]


def kept(guide: Tensor, drawn: Tensor, block: int = 3) -> Tensor:
    """Aligned with what was drawn."""
    within = Within(HOP, RATE)
    state, heard = within.initial_state(len(guide)), []
    nothing = torch.zeros(len(guide), within.lookahead * HOP)
    guide, drawn = torch.cat([guide, nothing], 1), torch.cat([drawn, nothing], 1)
    for some, more in zip(guide.split(block * HOP, 1), drawn.split(block * HOP, 1), strict=True):
        heard.append(within.step(some, more, state))
    return torch.cat(heard, 1)[:, within.lookahead * HOP :]


def level_db(sound: Tensor) -> float:
    middle = sound[:, 10 * HOP : -10 * HOP]
    return float(10 * middle.square().mean().log10())


def test_what_lies_within_stays_as_it_is():
    drawn = 0.8 * tone(440) + 0.5 * tone(1234)
    sound = kept(tone(440) + tone(1234), drawn)
    assert level_db(sound - drawn) < level_db(drawn) - 60


def test_noise_beside_the_partials_and_in_silence_is_gone():
    noise = 0.01 * torch.randn(1, HOPS * HOP, generator=torch.Generator().manual_seed(0))
    sound = kept(tone(1000), tone(1000) + noise)
    assert level_db(sound - tone(1000)) < level_db(noise) - 10
    assert level_db(kept(torch.zeros_like(noise), noise)) < -120


def test_phases_are_the_wavenets_and_the_lowest_bins_the_guides():
    turned = torch.roll(tone(1000), 8)
    sound = kept(tone(1000), turned)
    assert level_db(sound - turned) < level_db(turned) - 40
    low = LOW_HZ / 2
    sound = kept(tone(low), 5 * torch.roll(tone(low), 60))
    assert level_db(sound - tone(low)) < level_db(tone(low)) - 40


def test_where_the_network_falls_silent_the_guide_is_heard():
    guide = tone(1000) + 0.3 * tone(2000)
    drawn = guide.clone()
    drawn[:, 20 * HOP :] = 0
    sound = kept(guide, drawn)
    torch.testing.assert_close(sound[:, 26 * HOP :], guide[:, 26 * HOP :], rtol=0, atol=1e-6)
    # On the way there a hop may be softer, by 7 dB here, and none is louder.
    power = sound.square().view(HOPS, HOP).mean(1)[5:-5] / guide.square().mean()
    assert power.min() > 0.15 and power.max() < 1.3
    assert level_db(kept(guide, 0.1 * guide) - guide) < level_db(guide) - 60


def test_blocks_and_neighbours_change_nothing():
    random = torch.Generator().manual_seed(1)
    guide, drawn = torch.randn(2, 3, HOPS * HOP, generator=random)
    once = kept(guide, drawn, 1)
    assert np.array_equal(once, kept(guide, drawn, 7))
    assert np.array_equal(once[1:2], kept(guide[1:2], drawn[1:2], 2))
