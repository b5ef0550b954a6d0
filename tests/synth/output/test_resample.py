from __future__ import annotations

import numpy as np
import pytest

from synth.output.resample import Resampler

RATES = [(16_000, 48_000), (16_000, 44_100), (16_000, 96_000), (48_000, 44_100), (48_000, 16_000)]


def stream(rate_in: int, rate_out: int, sound: np.ndarray, block: int) -> np.ndarray:
    resampler = Resampler(rate_in, rate_out, sound.shape[1])
    starts = range(0, len(sound), block)
    return np.concatenate([resampler.step(sound[s : s + block]) for s in starts])


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
@pytest.mark.parametrize("pitch", [110.0, 1_000.0, 6_500.0])
def test_a_sine_keeps_its_pitch_level_and_place_and_gains_no_images(rate_in, rate_out, pitch):
    angle = 2 * np.pi * pitch * np.arange(rate_in // 2) / rate_in
    sides = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    left, right = stream(rate_in, rate_out, sides, 128).T
    angle = 2 * np.pi * pitch * np.arange(len(left)) / rate_out
    still = (left + 1j * right) * np.exp(-1j * angle)
    # The sine begins abruptly, which no filter of finite length can follow.
    still = still[len(still) // 2 :]
    # A wrong pitch would turn, and an image would shake, what should stand still: -100 dB.
    assert np.abs(still - still.mean()).max() < 1e-5
    assert abs(still.mean()) == pytest.approx(1, abs=1e-3)
    if pitch < 2_000:
        late = np.angle(still.mean()) / (2 * np.pi * pitch) * rate_out
        assert abs(late) < 2


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_output_is_never_further_behind_than_stated(rate_in, rate_out):
    resampler, given, behind = Resampler(rate_in, rate_out), 0, []
    for fed in range(16, rate_in // 4, 16):
        given += len(resampler.step(np.zeros((16, 2), np.float32)))
        behind.append(fed - given * rate_in / rate_out)
    assert max(behind) == pytest.approx(resampler.latency, abs=1)
    assert resampler.latency_ms == pytest.approx(1000 * resampler.latency / rate_in)
    # Evenly: not the tens of milliseconds at a time of a block transform.
    assert max(behind) - min(behind[len(behind) // 2 :]) <= 16


def test_equal_rates_pass_the_same_array_without_delay():
    resampler, block = Resampler(16_000, 16_000), np.ones((5, 2), np.float32)
    assert resampler.step(block) is block
    assert resampler.latency == 0


@pytest.mark.parametrize("rates", [(0, 48_000), (16_000, -1)])
def test_refuses_rates_that_are_none(rates):
    with pytest.raises(ValueError, match=f"{rates[0]} and {rates[1]} Hz"):
        Resampler(*rates)
