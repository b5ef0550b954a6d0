"""The mixer: gains go with their frames' sound, and what ends does not click."""

from __future__ import annotations

import numpy as np

from synth.limiter import KNEE, Limiter
from synth.mixer import Mixer

HOP, DELAY = 8, 2
RAMP = np.arange(HOP)[:, None] / HOP


def gains(*left: float) -> np.ndarray:
    """A gain for each frame, on the right half of that on the left."""
    return np.array([(gain, gain / 2) for gain in left], np.float32)


def mixed(mixer: Mixer, sound: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """One part's frames as a block of their own."""
    mixer.open(len(levels))
    mixer.add(1, sound, levels, 0)
    return mixer.close()


def test_a_gain_is_heard_when_its_frame_sounds_and_is_reached_in_a_ramp():
    mixer = Mixer(HOP, DELAY, Limiter())
    mixer.begin(1)
    block = mixed(mixer, np.ones(5 * HOP, np.float32), gains(0.1, 0.1, 0.5, 0.5, 0.5))
    frames = block.reshape(5, HOP, 2)
    np.testing.assert_allclose(frames[:4], np.broadcast_to((0.1, 0.05), (4, HOP, 2)), atol=1e-7)
    np.testing.assert_allclose(frames[4], (0.1 + 0.4 * RAMP) * (1, 0.5), atol=1e-7)


def test_a_part_that_begins_anew_takes_its_gain_at_once():
    mixer, sound = Mixer(HOP, DELAY, Limiter()), np.ones(HOP, np.float32)
    mixer.begin(1)
    mixed(mixer, sound, gains(0.1))
    mixer.begin(1)
    block = mixed(mixer, sound, gains(0.5))
    np.testing.assert_array_equal(block, np.broadcast_to(gains(0.5), (HOP, 2)))


def test_a_sound_that_ends_fades_once_from_its_last_sample():
    mixer = Mixer(HOP, DELAY, Limiter())
    mixer.begin(1)
    last = mixed(mixer, np.full(HOP, 0.5, np.float32), gains(1))[-1]
    mixer.open(2)
    mixer.fade_out(1, frame=1)
    mixer.fade_out(1, frame=1)
    mixer.fade_out(2, frame=0)  # never heard
    block = mixer.close()
    assert not block[:HOP].any()
    np.testing.assert_array_equal(block[HOP], last)
    assert (np.diff(block[HOP:], axis=0) < 0).all() and not block[-1].any()


def test_parts_add_up_and_are_limited():
    mixer = Mixer(HOP, 0, Limiter())
    for level, least, most in ((0.3, 0.6, 0.6), (0.9, KNEE, 1.0)):
        mixer.open(1)
        for part in (1, 2):
            mixer.begin(part)
            mixer.add(part, np.full(HOP, level, np.float32), gains(1), 0)
        left = mixer.close()[:, 0]
        assert (left >= np.float32(least)).all() and (left <= np.float32(most)).all()
