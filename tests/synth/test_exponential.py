"""The exponential function for vectors, against numpy's in double precision."""

from __future__ import annotations

import numpy as np

from synth.exponential import HIGH, LOW, exp


def test_it_is_right_to_a_few_units_in_the_last_place():
    x = np.linspace(LOW, HIGH, 20_001).astype(np.float32)
    made = np.array([exp(value) for value in x], np.float64)
    np.testing.assert_allclose(made, np.exp(x.astype(np.float64)), rtol=3e-7)


def test_beyond_its_range_it_stays_at_the_ends():
    for value, end in ((-1e4, LOW), (1e4, HIGH)):
        assert exp(np.float32(value)) == exp(end)
