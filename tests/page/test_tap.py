"""Levels are read off the blocks that the render thread puts by, only while somebody looks."""

from __future__ import annotations

import numpy as np
import pytest

from page.tap import KEPT, Tap, TapMeter


def block(*levels: float) -> np.ndarray:
    return np.array([levels, [0.0] * len(levels)], np.float32).T.repeat(2, axis=1)


def test_peaks_since_the_last_look_of_every_part_and_the_mix():
    tap = Tap()
    meter = TapMeter(tap)
    tap.put(0, block(0.9), [], {})
    assert meter.peaks() == {}  # it begins here
    tap.put(1, block(0.25, -0.5), [], {2: [block(0.125), block(-0.75)], 3: []})
    tap.put(2, block(0.25), [], {2: [block(0.5)]})
    assert meter.peaks() == pytest.approx({0: 0.5, 2: 0.75, 3: 0.0})
    assert meter.peaks() == {}
    for i in range(KEPT + 9):  # nobody looked for long
        tap.put(i, block(0.5), [], {})
    assert meter.peaks() == {0: 0.5}
    meter.rest()
    count = tap.trail.count
    tap.put(3, block(0.5), [], {})
    assert tap.trail.count == count and meter.peaks() == {}
