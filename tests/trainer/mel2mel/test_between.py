"""Mixtures of instruments: what they are asked to sound like lies between their ends."""

from __future__ import annotations

import pytest
import torch

from synth.mel2mel.keys import initial_keys, play_keys
from synth.mel2mel.network import QUIET, Mel2Mel, Mel2MelConfig
from trainer.mel2mel.between import (
    BEYOND,
    Mixtures,
    draw_mixtures,
    mix,
    points_of,
    wanted_between,
)


@pytest.fixture
def network() -> Mel2Mel:
    torch.manual_seed(0)
    made = Mel2Mel(Mel2MelConfig(instruments=4, hidden=8, timbre_features=3, decay_bands=4))
    made.requires_grad_(False)
    with torch.no_grad():
        made.templates.by_timbre.normal_()
    return made


def played(rows: int) -> torch.Tensor:
    roll = torch.zeros(rows, 40, 176)
    roll[:, 5:30, 40] = roll[:, 5, 128] = 0.6
    return roll


def test_mixtures_are_of_different_instruments_and_hardly_reach_beyond_them():
    mixtures = draw_mixtures(500, 4, torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixtures.shares.sum(1), torch.ones(500))
    assert -BEYOND <= mixtures.shares.min() < 0 and 1 < mixtures.shares.max() <= 1 + BEYOND
    assert (mixtures.chosen.sort(1).values.diff() > 0).all()
    assert set(mixtures.chosen.flatten().tolist()) == {0, 1, 2, 3}
    pairs = (mixtures.shares[:, 2] == 0).float().mean()
    assert 0.5 < pairs < 0.7


def test_two_instruments_are_mixed_in_pairs():
    mixtures = draw_mixtures(20, 2, torch.Generator().manual_seed(0))
    assert mixtures.chosen.shape == mixtures.shares.shape == (20, 2)
    torch.testing.assert_close(mixtures.shares.sum(1), torch.ones(20))


def test_a_mixture_of_one_is_that_one(network):
    roll = played(2)
    keys, _ = play_keys(roll, initial_keys(2))
    mixtures = Mixtures(torch.tensor([[1, 2, 3], [0, 2, 1]]), torch.tensor([[1.0, 0, 0]] * 2))
    wanted = wanted_between(network, mixtures, roll, keys, (2, None))
    points = points_of(mixtures, network.instruments.weight)
    assert torch.equal(points[:, 0], network.instruments.weight[[1, 0]])
    heard = network(roll, points, (2, None), keys)
    floored = heard.fine.clamp(min=QUIET)
    torch.testing.assert_close(wanted.fine, floored, atol=1e-4, rtol=0)


def test_the_middle_is_as_loud_as_the_line_between_its_ends(network):
    roll = played(1)
    keys, _ = play_keys(roll, initial_keys(1))

    def level(fine: torch.Tensor) -> float:
        return float((2 * fine).exp().sum(-1).mean().log() / 2)

    ends = [level(network(roll, e[None, None], 2).fine) for e in network.instruments.weight[:2]]
    for share in (0.25, 0.5):
        mixtures = Mixtures(torch.tensor([[0, 1]]), torch.tensor([[share, 1 - share]]))
        wanted = wanted_between(network, mixtures, roll, keys, (2,))
        line = share * ends[0] + (1 - share) * ends[1]
        assert level(wanted.fine) == pytest.approx(line, abs=0.02)


def test_a_tone_that_has_died_at_one_end_still_sounds_in_the_middle():
    logs = torch.tensor([[[-1.0], [QUIET]]])
    (middle,) = mix(logs, torch.tensor([[0.5, 0.5]])).flatten()
    assert -2.5 < middle < -2.0
