"""What is drawn stays near the guide's spectrum, and what is near it stays as it is."""

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


def test_what_lies_near_the_guide_stays_as_it_is():
    guide = tone(600) + tone(1234)
    drawn = 0.95 * tone(600) + 1.05 * tone(1234)
    sound = kept(guide, drawn)
    assert level_db(sound - drawn) < level_db(drawn - guide) - 32


def test_a_difference_counts_by_how_small_it_is():
    """By 1 / (1 + 4 d^2) squared, d in shares of the guide."""
    guide = tone(1000)
    for drawn, share in ((1.5 * guide, 1 / 4), (3 * guide, 1 / 289), (-guide, 1 / 289)):
        sound = kept(guide, drawn)
        torch.testing.assert_close(
            level_db(sound - guide), level_db(share * (drawn - guide)), rtol=0, atol=0.2
        )
    # A quarter of a period later, and as loud: neither louder nor softer by much.
    sound = kept(guide, torch.roll(guide, 4))
    assert abs(level_db(sound) - level_db(guide)) < 2


def test_noise_beside_the_partials_and_in_silence_is_gone():
    noise = 0.01 * torch.randn(1, HOPS * HOP, generator=torch.Generator().manual_seed(0))
    sound = kept(tone(1000), tone(1000) + noise)
    assert level_db(sound - tone(1000)) < level_db(noise) - 10
    assert level_db(kept(torch.zeros_like(noise), noise)) < -120


def test_the_lowest_bins_are_the_guides():
    low = tone(LOW_HZ / 2)
    sound = kept(low, 5 * torch.roll(low, 60))
    assert level_db(sound - low) < level_db(low) - 40


def test_where_the_network_falls_silent_the_guide_is_heard():
    guide = tone(1000) + 0.3 * tone(2000)
    drawn = guide.clone()
    drawn[:, 20 * HOP :] = 0
    power = kept(guide, drawn).square().view(HOPS, HOP).mean(1) / guide.square().mean()
    torch.testing.assert_close(power[26:-5], torch.full((9,), 0.96**2), rtol=0.02, atol=0)
    assert power[5:-5].min() > 0.4 and power[5:-5].max() < 1.3


def test_blocks_and_neighbours_change_nothing():
    random = torch.Generator().manual_seed(1)
    guide, drawn = torch.randn(2, 3, HOPS * HOP, generator=random)
    once = kept(guide, drawn, 1)
    assert np.array_equal(once, kept(guide, drawn, 7))
    assert np.array_equal(once[1:2], kept(guide[1:2], drawn[1:2], 2))
