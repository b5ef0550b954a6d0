"""Uniform draws: of seed, part and frame alone, whatever was drawn before."""

from __future__ import annotations

import numpy as np
import pytest

from synth.draws import Draws


def drawn(draws: Draws, part: int, frame: int, count: int = 128) -> np.ndarray:
    out = np.empty(count, np.float32)
    draws.fill(part, frame, out)
    return out


def test_frames_come_in_any_order():
    draws = Draws(3)
    first = [drawn(draws, part, frame) for part in (1, 16) for frame in (0, 1, 70_000)]
    again = [drawn(draws, part, frame) for part in (16, 1) for frame in (70_000, 1, 0)]
    assert all(map(np.array_equal, first, reversed(again)))
    assert len({tuple(numbers) for numbers in first}) == 6
    assert not np.array_equal(drawn(Draws(4), 1, 0), first[0])


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_they_are_philoxs_own(seed):
    """As numpy gives them for this key and counter: takes keep sounding as they did."""
    key, counter = np.array([seed, 5], np.uint64), np.array([0, 9, 0, 0], np.uint64)
    numpy = np.random.Generator(np.random.Philox(counter=counter, key=key))
    assert np.array_equal(drawn(Draws(seed), 5, 9, 33), numpy.random(33, np.float32))


def test_they_are_uniform_and_never_exactly_0():
    draws = Draws(1)
    numbers = np.concatenate([drawn(draws, 1, frame) for frame in range(2_000)])
    assert numbers.min() > 0 and numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.002
