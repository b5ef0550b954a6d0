"""A part is over when its sound is silence, or noise that falls no more, or after the longest."""

from __future__ import annotations

import numpy as np
import pytest

from synth.ring_out import FALLING, QUIET, SILENT, SPAN, RingOut

DELAY, LONGEST, KEYED = 3, 400, 5


def frames_heard(level: np.ndarray, block: int = 1) -> int:
    """Frames that are heard of a sound that peaks at level (frames,), with a key in the first 5."""
    ring_out, sounding = RingOut(DELAY, LONGEST), np.arange(len(level)) < KEYED
    sound = level[:, None] * np.array([0.1, -1.0, 0.3])
    for start in range(0, len(level), block):
        if not ring_out.goes_on(bool(sounding[start])):
            return start
        span = slice(start, start + block)
        count = ring_out.heard(sounding[span], sound[span])
        if count < len(sounding[span]):
            return start + count
    return len(level)


def levels(*pieces: tuple[int, float, float]) -> np.ndarray:
    """Levels that go from one to another, by equal steps of dB, in so many frames."""
    return np.concatenate([np.geomspace(a, b, n) for n, a, b in pieces])


SOUNDS = {
    "silence": (levels((500, 1e-7, 1e-7)), KEYED + DELAY + SPAN),
    "noise": (levels((500, QUIET / 2, QUIET / 2)), KEYED + DELAY + 2 * SPAN),
    "too loud for noise": (levels((500, QUIET * 1.1, QUIET * 1.1)), KEYED + LONGEST - 1),
    "still falling": (levels((500, 1.0, FALLING ** (501 / SPAN))), KEYED + LONGEST - 1),
    "held": (levels((KEYED, 1e-9, 1e-9)), KEYED),
}


@pytest.mark.parametrize("block", [1, 7, 16, 500])
@pytest.mark.parametrize("name", SOUNDS)
def test_a_part_is_over_when_nothing_more_is_to_be_heard(name, block):
    level, heard = SOUNDS[name]
    assert frames_heard(level, block) == heard


def test_a_sound_that_falls_to_noise_is_heard_until_it_is_noise():
    fall = levels((100, 1.0, QUIET / 2), (300, QUIET / 2, QUIET / 2))
    assert 100 + SPAN <= frames_heard(fall) <= 100 + 2 * SPAN
    silent = levels((100, 1.0, SILENT * 1.01), (300, SILENT / 2, SILENT / 2))
    assert frames_heard(silent) == 100 + SPAN


def test_a_key_starts_the_count_anew():
    ring_out, still = RingOut(DELAY, LONGEST), np.zeros((1, 4))
    for frame in range(200):
        key = frame % (SPAN + DELAY) == 0
        assert ring_out.goes_on(key)
        assert ring_out.heard(np.array([key]), still) == 1
