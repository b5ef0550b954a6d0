from __future__ import annotations

import numpy as np
import pytest

from synth.limiter import KNEE, limit


def test_quiet_sound_passes_bit_for_bit():
    block = np.linspace(-KNEE, KNEE, 1001, dtype=np.float32).reshape(-1, 7)
    expected = block.copy()
    assert limit(block) is block
    np.testing.assert_array_equal(block, expected)


def test_loud_sound_stays_in_range_in_order_and_odd():
    loud = np.geomspace(KNEE, 1e30, 5_000, dtype=np.float32)
    out = limit(loud.copy())
    assert out.max() <= 1
    assert (np.diff(out) >= 0).all()
    np.testing.assert_array_equal(limit(-loud), -out)


def test_value_and_slope_join_at_the_knee():
    step = 1e-3
    below, at, above = limit(np.array([KNEE - step, KNEE, KNEE + step], np.float32))
    assert (above - at) / (at - below) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("neighbour", [0.25, 3.0])
def test_broken_samples_become_silence_and_harm_no_other(value, neighbour):
    out = limit(np.array([[neighbour, value], [neighbour, -neighbour]], np.float32))
    alone = limit(np.array([[neighbour, 0], [neighbour, -neighbour]], np.float32))
    np.testing.assert_array_equal(out, alone)
    assert out[0, 1] == 0
