"""Coordinates behind the embedding: each turns one thing, for every timbre."""

from __future__ import annotations

import pytest
import torch

from synth.mel2mel.knobs import with_knobs
from synth.mel2mel.network import KNOBS, Mel2Mel, Spectra
from synth.mel2mel.step import Mel2MelStep
from tests.synth.rolls import make_roll
from tests.toy_bank import make_moving_mel2mel

POINT = (0.4, -0.3)
HELD = 400


def played(net: Mel2Mel, roll: torch.Tensor, **turns: float) -> Spectra:
    """A roll at one point with knobs turned."""
    point = [*POINT, *(turns.get(name, 0.0) for name in KNOBS)]
    return with_knobs(net, len(KNOBS))(roll, torch.tensor([[point]]), 2)


def levels(net: Mel2Mel, **turns: float) -> torch.Tensor:
    """Decibels (frames,) of a key held from frame 5 on."""
    roll = torch.zeros(1, HELD, 176)
    roll[:, 5:, 40] = roll[:, 5, 88 + 40] = 0.7
    power = played(net, roll, **turns).fine[0].exp().square().sum(-1)
    return 10 * power.log10()[5:]


def tuned() -> Mel2Mel:
    """A network whose tones build up over 0.2 s and then fade; its heads add nothing."""
    net = make_moving_mel2mel()
    for head in (net.mel, net.fine):
        head.weight.zero_()
        head.bias.zero_()
    templates = net.templates
    templates.fill.bias.zero_()
    templates.floor.bias.fill_(-14)
    slow = torch.tensor([-3.0, -3.0, -3.0, -2.5, -1.5, -1.0, -1.2, -1.6, -2.2, -3.0, -4.0])
    templates.level.bias.view(88, -1).copy_(slow)
    for layer in (templates.level, templates.fill, templates.decay):
        layer.weight.zero_()
    return net


@pytest.mark.parametrize(
    ("coordinate", "amount"),
    [(-1.0, 0.0), (-0.5, 0.5), (0.0, 1.0), (1.0, 2.0), (-9.0, 0), (9.0, 2)],
)
def test_movement_makes_spreads_grow_and_nothing_else(coordinate, amount):
    net, roll = make_moving_mel2mel(), make_roll(1, 30)
    before = net(roll, torch.tensor([[POINT]]), 2)
    after = played(net, roll, movement=coordinate)
    assert before.spread.any()
    torch.testing.assert_close(after.spread, amount * before.spread, atol=1e-3, rtol=0)
    torch.testing.assert_close(after.fine, before.fine, atol=1e-3, rtol=0)
    torch.testing.assert_close(after.memory, before.memory, atol=1e-3, rtol=0)


def test_a_slow_attack_reaches_the_same_level_later():
    net = tuned()
    usual, slow = levels(net), levels(net, attack=1.0)
    assert (slow <= usual + 1e-3).all()
    # 1 - exp(-t / 0.25 s): 10 dB less after 0.1 s, 1 dB after 0.5 s.
    assert float(usual[12] - slow[12]) == pytest.approx(9.5, abs=1)
    assert float(usual[200] - slow[200]) < 0.1


def test_a_quick_attack_is_there_at_once_and_never_louder_than_the_loudest():
    net = tuned()
    usual, quick = levels(net), levels(net, attack=-1.0)
    assert float(quick[0] - usual[0]) > 10
    assert float(quick.max() - usual.max()) < 0.1
    loudest = int(usual.argmax())
    assert float((quick[:loudest] - usual.max()).abs().max()) < 1
    torch.testing.assert_close(quick[50:], usual[50:], atol=0.01, rtol=0)


@pytest.mark.parametrize(("coordinate", "times"), [(1.0, 3), (-1.0, 1 / 3)])
def test_decays_take_three_times_as_long_or_a_third(coordinate, times):
    net = tuned()
    usual, other = levels(net), levels(net, decay=coordinate)
    torch.testing.assert_close(other[:12], usual[:12], atol=0.01, rtol=0)
    for frame in (60, 100):
        later = round(12.5 + (frame - 12.5) * times)
        assert float(other[later]) == pytest.approx(float(usual[frame]), abs=0.3)


def test_in_a_stream_all_act_on_their_own_frame():
    net, lookahead = with_knobs(make_moving_mel2mel(), len(KNOBS)), 3
    roll = torch.cat([make_roll(2, 30), torch.zeros(2, lookahead, 176)], 1)
    size = 2 + len(KNOBS)
    points = torch.randn(2, 30 + lookahead, size, generator=torch.Generator().manual_seed(0))
    live = Mel2MelStep(net, lookahead)
    heard = live.step(roll, points, live.initial_state(2))
    wanted = net(roll[:, :30], points[:, :30], lookahead)
    for name in ("fine", "spread"):
        streamed = getattr(heard, name)[:, lookahead:]
        torch.testing.assert_close(streamed, getattr(wanted, name), atol=1e-3, rtol=0)


@pytest.mark.parametrize("turns", [{}, {"attack": 0.6, "decay": -0.4}, {"attack": -0.7}])
def test_a_stream_is_played_as_a_whole_piece_is(turns):
    net, roll = with_knobs(make_moving_mel2mel(), len(KNOBS)), make_roll(1, 60)
    point = torch.tensor([[[*POINT, *(turns.get(name, 0.0) for name in KNOBS)]]])
    live = Mel2MelStep(net, 0)
    heard = live.step(roll, point.expand(1, 60, -1).contiguous(), live.initial_state(1))
    wanted = net(roll, point, 0)
    torch.testing.assert_close(heard.fine, wanted.fine, atol=2e-2, rtol=0)
    torch.testing.assert_close(heard.spread, wanted.spread, atol=2e-2, rtol=0)
