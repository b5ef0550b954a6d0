"""Keys as they are struck and held: drives that stream, and how long ago a key was struck."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from synth.keys import DRIVES, KEYS, frames_since_onset, initial_keys, play_keys
from synth.mel2mel import ROLL_CHANNELS
from tests.synth.rolls import make_roll

RATE = 125.0


def one_note(start: int, end: int, frames: int, level: float = 0.5) -> Tensor:
    roll = torch.zeros(1, frames, ROLL_CHANNELS)
    roll[0, start:end, 40] = level
    roll[0, start, KEYS + 40] = level
    return roll


def test_drives_fall_as_their_time_constants_say():
    velocity, drives, _ = play_keys(one_note(5, 15, 40), initial_keys(1), RATE)
    assert (velocity[0, 5:, 40] == 0.5).all() and velocity[0, :5].max() == 0
    assert drives[0, :5].max() == 0 and drives[0, :, :40].max() == 0
    for j, (held, released) in enumerate(DRIVES):
        at_end = math.exp(-9 / (RATE * held))
        assert drives[0, 5, 40, j] == 1
        assert float(drives[0, 14, 40, j]) == pytest.approx(at_end, rel=1e-5)
        later = at_end * (math.exp(-10 / (RATE * released)) if released else 0)
        assert float(drives[0, 24, 40, j]) == pytest.approx(later, rel=1e-4)


def test_drives_end_in_exact_silence():
    _, drives, _ = play_keys(one_note(0, 5, 4_000), initial_keys(1), RATE)
    assert (drives[0, 3_900, 40, [d != math.inf for d, _ in DRIVES]] == 0).all()
    assert drives[0, 3_900].max() == 0


def test_a_key_struck_again_starts_its_drives_again():
    roll = one_note(0, 20, 20)
    roll[0, 10:, 40] = roll[0, 10, KEYS + 40] = 0.25
    velocity, drives, _ = play_keys(roll, initial_keys(1), RATE)
    assert torch.equal(drives[0, 10:], drives[0, :10])
    assert velocity[0, 9, 40] == 0.5 and velocity[0, 10, 40] == 0.25


@pytest.mark.parametrize("block", [1, 3, 16])
def test_drives_stream(block):
    roll = make_roll(2, 50)
    velocity, drives, _ = play_keys(roll, initial_keys(2), RATE)
    state, made = initial_keys(2), []
    for piece in roll.split(block, 1):
        v, d, state = play_keys(piece, state, RATE)
        made.append((v, d))
    assert torch.equal(torch.cat([v for v, _ in made], 1), velocity)
    assert torch.equal(torch.cat([d for _, d in made], 1), drives)


def test_playing_keys_leaves_the_old_state_alone():
    state = initial_keys(1)
    play_keys(one_note(0, 5, 10), state, RATE)
    assert state.velocity.abs().max() == 0 and state.drives.abs().max() == 0


@pytest.mark.parametrize("end", [1, 30])
def test_a_key_knows_when_it_was_struck_held_or_not(end):
    _, drives, _ = play_keys(one_note(5, 5 + end, 60), initial_keys(1), RATE)
    since = frames_since_onset(drives, RATE)[0]
    assert since[5:, 40].tolist() == list(range(55))
    assert since[:5, 40].min() > 100 and since[:, :40].min() > 100
