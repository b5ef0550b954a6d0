"""Fourier transforms for compiled loops, against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from synth.vocoders.transform import inverse_fft, roots_of, split_size, turned


@pytest.mark.parametrize("size", [2, 3, 4, 6, 8, 9, 12, 24, 27, 32, 64, 96, 512, 1536])
def test_sums_and_real_signals_are_numpy_s(size: int) -> None:
    radices, rest = split_size(size)
    assert rest == 1 and np.prod(radices) == size
    noise = np.random.default_rng(size)
    source = noise.normal(size=size) + 1j * noise.normal(size=size)
    wanted = size * np.fft.ifft(source)
    sums = turned(source.copy(), np.empty_like(source), np.array(radices), roots_of(size))
    np.testing.assert_allclose(sums, wanted, atol=1e-10)
    signal = noise.normal(size=2 * size)
    spectrum = np.fft.rfft(signal)
    room = np.empty(size, np.complex128), np.empty(size, np.complex128)
    piece = inverse_fft(spectrum, *room, np.array(radices), roots_of(2 * size))
    np.testing.assert_allclose(piece.view(np.float64), signal, atol=1e-12)


def test_what_is_left_of_other_sizes_is_told() -> None:
    assert split_size(20) == ([4], 5)
    assert split_size(1)[1] == 1
