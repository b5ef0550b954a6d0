"""Movement: levels waver as asked, whatever the blocks, and the mean power stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from synth.movement import TOGETHER, Movement

BANDS, FRAMES = 301, 4_000
LEVEL = -3.0


def moved(spread: float, memory: float, seed: int = 0, frames: int = FRAMES) -> Tensor:
    """Levels (frames, BANDS) that stood at `LEVEL` before."""
    movement = Movement(BANDS)
    shape = (1, frames, movement.draws_per_frame)
    draws = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).clamp(min=1e-7)
    levels, spreads = (torch.full((1, frames, BANDS), x) for x in (LEVEL, spread))
    state = movement.initial_state(1)
    out, _ = movement.step(levels, spreads, torch.full((1, frames), memory), state, draws)
    assert torch.equal(levels, torch.full_like(levels, LEVEL)), "what was given must stay"
    return out[0]


@pytest.mark.parametrize("spread", [0.1, 0.6])
@pytest.mark.parametrize("memory", [1.0, 6.0])
def test_deviation_and_memory_are_as_asked(spread, memory):
    walk = (moved(spread, memory)[:, ::TOGETHER] - LEVEL + spread**2) / spread
    assert walk.std() == pytest.approx(1, abs=0.05) and walk.mean() == pytest.approx(0, abs=0.05)
    for delay in (1, 3):
        alike = float((walk[:-delay] * walk[delay:]).mean())
        assert alike == pytest.approx(np.exp(-delay / memory), abs=0.05)
    # A normal distribution: two in three within one deviation, one in twenty beyond two.
    assert (walk.abs() < 1).float().mean() == pytest.approx(0.683, abs=0.02)
    assert (walk.abs() > 2).float().mean() == pytest.approx(0.046, abs=0.01)


@pytest.mark.parametrize("spread", [0.1, 0.4, 0.65])
def test_the_mean_power_stays(spread):
    power = (2 * moved(spread, 4.0).double()).exp().mean()
    assert 10 * torch.log10(power / np.exp(2 * LEVEL)) == pytest.approx(0, abs=0.25)


def test_it_moves_as_far_in_the_first_frame_as_later():
    first = torch.stack([moved(0.5, 50.0, seed, 1)[0, ::TOGETHER] for seed in range(30)])
    assert first.std() == pytest.approx(0.5, abs=0.03)


def test_neighbours_move_together_and_others_do_not():
    walk = (moved(0.5, 4.0) - LEVEL).numpy()
    assert np.array_equal(walk[:, 0], walk[:, 1]) and np.array_equal(walk[:, 0], walk[:, 2])
    assert abs(np.corrcoef(walk[:, 2], walk[:, 3])[0, 1]) < 0.15


def test_a_band_without_spread_keeps_its_level_to_the_bit():
    movement = Movement(7)
    levels, spread = torch.randn(1, 5, 7), torch.rand(1, 5, 7)
    spread[..., 2:4] = 0
    draws = torch.rand(1, 5, movement.draws_per_frame).clamp(min=1e-7)
    state = movement.initial_state(1)
    out, _ = movement.step(levels, spread, torch.ones(1, 5), state, draws)
    assert torch.equal(out[..., 2:4], levels[..., 2:4])
    assert (out[..., 4:] != levels[..., 4:]).all()


def test_the_same_draws_make_the_same_movement_and_others_another():
    assert torch.equal(moved(0.5, 4.0, 1), moved(0.5, 4.0, 1))
    assert not torch.equal(moved(0.5, 4.0, 1), moved(0.5, 4.0, 2))
