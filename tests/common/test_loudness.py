"""Loudness of sound as a whole, and of sound that comes in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from common.loudness import SILENCE_DB, Meter, loudness

RATE = 16_000


def metered(sound: np.ndarray, block: int, rate: int = RATE) -> float:
    meter = Meter(rate, sound.shape[1])
    for start in range(0, len(sound), block):
        meter.add(sound[start : start + block])
    return meter.lufs()


@pytest.mark.parametrize("block", [100, 7_777, 10**6])
def test_sound_in_blocks_is_as_loud_as_the_whole(block):
    """Half a minute of noise that swells, so that both gates leave something out."""
    random = np.random.default_rng(3)
    sound = random.normal(size=(31 * RATE + 77, 1))
    sound *= np.geomspace(1e-5, 0.3, len(sound))[:, None]
    assert metered(sound, block) == pytest.approx(loudness(sound[:, 0], RATE), abs=1e-6)


def test_a_sine_at_full_scale_on_both_sides_has_the_standards_loudness():
    """BS.1770: 0 LUFS in stereo at 997 Hz, 3.01 less on one side."""
    rate = 48_000
    sine = np.sin(2 * np.pi * 997 / rate * np.arange(5 * rate))
    both = metered(np.stack([sine, sine], axis=1), 1_000, rate)
    left = metered(np.stack([sine, 0 * sine], axis=1), 1_000, rate)
    assert both == pytest.approx(0, abs=0.002) and left == pytest.approx(-3.01, abs=0.002)


@pytest.mark.parametrize("samples", [1, 1_500, 4_000])
def test_sound_shorter_than_a_block_is_one(samples):
    sound = np.random.default_rng(1).normal(size=(samples, 1))
    assert metered(sound, 900) == pytest.approx(loudness(sound[:, 0], RATE), abs=1e-6)


def test_silence_and_nothing_have_no_loudness():
    assert metered(np.zeros((3 * RATE, 2)), 1_000) == SILENCE_DB
    assert Meter(RATE, 2).lufs() == SILENCE_DB
