"""The coordinate that says how much bands move."""

from __future__ import annotations

import pytest
import torch

from synth.mel2mel.step import Mel2MelStep
from synth.mel2mel.wider import with_amount
from tests.synth.rolls import make_roll
from tests.toy_bank import make_moving_mel2mel


@pytest.mark.parametrize(
    ("coordinate", "amount"),
    [(-1.0, 0.0), (-0.5, 0.5), (0.0, 1.0), (1.0, 2.0), (-9.0, 0), (9.0, 2)],
)
def test_spreads_grow_with_it_and_nothing_else_changes(coordinate, amount):
    net, roll = make_moving_mel2mel(), make_roll(1, 30)
    before = net(roll, torch.tensor([[[0.4, -0.3]]]), 2)
    after = with_amount(net)(roll, torch.tensor([[[0.4, -0.3, coordinate]]]), 2)
    assert before.spread.any()
    torch.testing.assert_close(after.spread, amount * before.spread, atol=1e-3, rtol=0)
    torch.testing.assert_close(after.fine, before.fine, atol=1e-3, rtol=0)
    torch.testing.assert_close(after.memory, before.memory, atol=1e-3, rtol=0)


def test_in_a_stream_it_acts_on_its_own_frame():
    net, lookahead = with_amount(make_moving_mel2mel()), 3
    roll = torch.cat([make_roll(2, 30), torch.zeros(2, lookahead, 176)], 1)
    points = torch.randn(2, 30 + lookahead, 3, generator=torch.Generator().manual_seed(0))
    live = Mel2MelStep(net, lookahead)
    heard = live.step(roll, points, live.initial_state(2)).spread[:, lookahead:]
    wanted = net(roll[:, :30], points[:, :30], lookahead).spread
    torch.testing.assert_close(heard, wanted, atol=1e-5, rtol=0)
