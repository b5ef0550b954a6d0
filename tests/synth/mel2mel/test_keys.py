"""Keys as they are struck and held: counters that stream."""

from __future__ import annotations

import torch
from torch import Tensor

from common.window import KEYS, ROLL_CHANNELS
from synth.mel2mel.keys import LONG_AGO, initial_keys, play_keys


def one_note(start: int, end: int, frames: int, level: float = 0.5) -> Tensor:
    roll = torch.zeros(1, frames, ROLL_CHANNELS)
    roll[0, start:end, 40] = level
    roll[0, start, KEYS + 40] = level
    return roll


def test_a_note_is_counted_from_its_onset_and_from_its_end():
    keys, _ = play_keys(one_note(5, 15, 40), initial_keys(1))
    assert (keys.velocity[0, 5:, 40] == 0.5).all() and keys.velocity[0, :5].max() == 0
    assert keys.age[0, 5:, 40].tolist() == list(range(35))
    assert keys.rest[0, 5:, 40].tolist() == [0] * 10 + list(range(1, 26))
    untouched = keys.at((0, slice(None), slice(40)))
    assert untouched.velocity.max() == 0
    assert (untouched.age == LONG_AGO).all() and (untouched.rest == LONG_AGO).all()


def test_an_onset_sounds_even_if_its_key_is_up_again_by_the_next_frame():
    roll = one_note(3, 3, 8)
    keys, _ = play_keys(roll, initial_keys(1))
    assert keys.velocity[0, 3, 40] == 0.5
    assert keys.rest[0, 3:, 40].tolist() == [0, 1, 2, 3, 4]


def test_a_key_struck_again_is_counted_anew():
    roll = one_note(0, 20, 20)
    roll[0, 10:, 40] = roll[0, 10, KEYS + 40] = 0.25
    keys, _ = play_keys(roll, initial_keys(1))
    assert torch.equal(keys.age[0, 10:, 40], keys.age[0, :10, 40])
    assert keys.velocity[0, 9, 40] == 0.5 and keys.velocity[0, 10, 40] == 0.25


def test_counters_stop_long_ago():
    _, keys = play_keys(one_note(0, 5, LONG_AGO + 100), initial_keys(1))
    assert keys.age[0, 40] == keys.rest[0, 40] == LONG_AGO


def test_playing_keys_leaves_the_old_state_alone():
    state = initial_keys(1)
    play_keys(one_note(0, 5, 10), state)
    assert state.velocity.abs().max() == 0
    assert (state.age == LONG_AGO).all() and (state.rest == LONG_AGO).all()
