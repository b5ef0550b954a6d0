"""Cosine and sine for vectors, against numpy's in double precision."""

from __future__ import annotations

import numpy as np

from synth.sine import cos_sin


def test_both_are_right_all_around_and_a_few_turns_on():
    angles = np.concatenate([np.linspace(-20, 20, 20_001), np.arange(-8, 9) * np.pi / 4])
    made = np.array([cos_sin(angle) for angle in angles], np.float64)
    np.testing.assert_allclose(made[:, 0], np.cos(angles), atol=2e-7)
    np.testing.assert_allclose(made[:, 1], np.sin(angles), atol=2e-7)
