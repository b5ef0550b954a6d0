"""A stereo pair for each part."""

from __future__ import annotations

import numpy as np
import pytest

from synth.limiter import KNEE, Limiter
from synth.output.pairs import CHANNELS, NAMES, PartPairs, folded

HOP = 384


def sound(level: float, samples: int = HOP) -> np.ndarray:
    return np.full((samples, 2), [level, -level], np.float32)


def test_each_part_lies_beside_the_mix_in_a_place_of_its_own():
    block = PartPairs().block(sound(0.5), {1: [sound(0.1)], 16: [sound(0.2)]})
    assert block.shape == (HOP, CHANNELS) and len(NAMES) == CHANNELS
    heard = {name: block[0, n] for n, name in enumerate(NAMES) if block[:, n].any()}
    expected = {"left": 0.5, "part_01_left": 0.1, "part_16_left": 0.2}
    expected |= {name.replace("left", "right"): -level for name, level in expected.items()}
    assert heard == pytest.approx(expected)


def test_a_part_has_the_master_gain_and_its_own_limiter():
    block = PartPairs(gain_db=20 * np.log10(4)).block(sound(0), {2: [sound(0.1)], 3: [sound(1.0)]})
    np.testing.assert_allclose(block[:, 4], 0.4, rtol=1e-6)
    limited = Limiter(20 * np.log10(4)).limit(sound(1.0))
    np.testing.assert_array_equal(block[:, 6:8], limited)
    assert KNEE < block[0, 6] <= 1


def test_voices_of_a_part_add_up_and_a_part_that_is_cut_fades():
    pairs = PartPairs()
    block = pairs.block(sound(0), {1: [sound(0.25), sound(0.25)]})
    assert (block[:, 2] == 0.5).all() and (block[:, 3] == -0.5).all()
    fade = pairs.block(sound(0), {})[:, 2]
    assert fade[0] == 0.5 and np.abs(np.diff(fade)).max() < 0.01 and not fade[-1]
    assert not pairs.block(sound(0), {}).any()


@pytest.mark.parametrize("channels", [4, 8, 32])
def test_a_device_with_fewer_channels_plays_the_rest_on_its_last_pair(channels):
    stems = {part: [sound(part / 100)] for part in range(1, 17)}
    block = folded(PartPairs().block(sound(1), stems), channels)
    own = channels // 2 - 1
    levels = [part / 100 for part in range(1, own + 1)]
    levels.append(min(sum(range(own + 1, 17)) / 100, 1))
    np.testing.assert_allclose(block[0, ::2], levels, rtol=1e-5)
    np.testing.assert_allclose(block[0, 1::2], np.negative(levels), rtol=1e-5)
