from __future__ import annotations

import numpy as np
import pytest

from synth.limiter import KNEE, Limiter


def limited(*rows: object) -> np.ndarray:
    return Limiter().limit(np.array(rows, np.float32).reshape(len(rows), -1))


def test_quiet_sound_passes_bit_for_bit():
    block = np.linspace(-KNEE, KNEE, 1001, dtype=np.float32).reshape(-1, 7)
    expected, limiter = block.copy(), Limiter()
    assert limiter.limit(block) is block
    np.testing.assert_array_equal(block, expected)
    assert (limiter.samples, limiter.limited, limiter.most_db) == (143, 0, 0.0)
    assert limiter.peak == KNEE


def test_loud_sound_stays_in_range_in_order_and_odd():
    loud = np.geomspace(KNEE, 1e30, 5_000, dtype=np.float32)
    out = limited(*loud)
    assert out.max() <= 1
    assert (np.diff(out, axis=0) >= 0).all()
    np.testing.assert_array_equal(limited(*-loud), -out)


def test_value_and_slope_join_at_the_knee():
    step = 1e-3
    below, at, above = limited(KNEE - step, KNEE, KNEE + step).ravel()
    assert (above - at) / (at - below) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("neighbour", [0.25, 3.0])
@pytest.mark.parametrize("squeezes", [True, False])
def test_broken_samples_become_silence_and_harm_no_other(value, neighbour, squeezes):
    limiter, other = Limiter(squeezes=squeezes), Limiter(squeezes=squeezes)
    out = limiter.limit(np.array([[neighbour, value], [neighbour, -neighbour]], np.float32))
    alone = other.limit(np.array([[neighbour, 0], [neighbour, -neighbour]], np.float32))
    np.testing.assert_array_equal(out, alone)
    assert out[0, 1] == 0 and limiter.peak == other.peak == neighbour


def test_what_it_turns_down_is_counted_over_all_blocks():
    limiter = Limiter()
    limiter.limit(np.full((10, 2), 0.5, np.float32))
    assert limiter.most_db == 0
    block = np.zeros((10, 2), np.float32)
    block[2], block[3, 1], block[5, 0] = 0.9, -2.0, 1.5
    out = limiter.limit(block)
    assert (limiter.samples, limiter.limited, limiter.peak) == (20, 3, 2.0)
    assert limiter.most_db == pytest.approx(20 * np.log10(-2.0 / out[3, 1]))


def test_a_gain_comes_before_the_limit():
    limiter = Limiter(gain_db=20.0)
    out = limiter.limit(np.array([[0.01, -0.3]], np.float32))
    assert out[0, 0] == pytest.approx(0.1) and -1 < out[0, 1] < -0.9
    assert limiter.peak == pytest.approx(3.0) and limiter.limited == 1


def test_without_squeezing_loud_sound_passes_and_its_peak_is_known():
    limiter = Limiter(squeezes=False)
    block = np.array([[0.9, -3.0]], np.float32)
    assert limiter.limit(block.copy()).tolist() == block.tolist()
    assert (limiter.peak, limiter.limited, limiter.most_db) == (3.0, 0, 0.0)
