"""Fourier transforms for compiled loops: the same arithmetic for every frame, in any company.

Sizes are products of twos and threes. Stockham's order: no bit reversal.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


def split_size(size: int) -> tuple[list[int], int]:
    """The fours, twos and threes in a size, and what is left of it."""
    radices = []
    for radix in (4, 2, 3):
        while size % radix == 0:
            radices.append(radix)
            size //= radix
    return radices, size


def roots_of(size: int) -> np.ndarray:
    """exp(2 pi i k / size), k < size: (size,) complex128."""
    return np.exp(2j * np.pi * np.arange(size) / size)


@njit(nogil=True, cache=True, error_model="numpy")
def inverse_fft(spectrum, packed, spare, radices, roots):
    """Real signal of a half spectrum (half + 1,), by a complex transform of half the size.

    Even samples come as real parts, odd ones as imaginary parts of the (half,) result, which
    is `packed` or `spare`. radices: of half; roots (2 half,): `roots_of`. Overwrites the ends of
    the spectrum.
    """
    half = packed.size
    spectrum[0] = spectrum[0].real
    spectrum[half] = spectrum[half].real
    for k in range(half):
        mirror = np.conj(spectrum[half - k])
        odd = (spectrum[k] - mirror) * roots[k]
        packed[k] = (spectrum[k] + mirror + complex(-odd.imag, odd.real)) / (2 * half)
    return turned(packed, spare, radices, roots)


@njit(nogil=True, cache=True, error_model="numpy")
def turned(source, target, radices, roots):
    """Sums over n of source[n] exp(2 pi i k n / size): the (size,) result, which is `source` or
    `target`.

    radices: of size; roots: `roots_of` a multiple of it.
    """
    groups, stride, every = source.size, 1, roots.size // source.size
    for radix in radices:
        groups //= radix
        for g in range(groups):
            twist = roots[every * stride * g]
            for k in range(stride):
                a = source[k + stride * g]
                b = source[k + stride * (g + groups)]
                to = k + stride * radix * g
                if radix == 2:
                    target[to] = a + b
                    target[to + stride] = twist * (a - b)
                elif radix == 4:
                    c = source[k + stride * (g + 2 * groups)]
                    d = source[k + stride * (g + 3 * groups)]
                    side, twice = b - d, twist * twist
                    quarter = complex(-side.imag, side.real)
                    target[to] = (a + c) + (b + d)
                    target[to + stride] = twist * ((a - c) + quarter)
                    target[to + 2 * stride] = twice * ((a + c) - (b + d))
                    target[to + 3 * stride] = twist * twice * ((a - c) - quarter)
                else:
                    c = source[k + stride * (g + 2 * groups)]
                    side = (b - c) * (0.5 * math.sqrt(3.0))
                    quarter = complex(-side.imag, side.real)
                    rest = a - 0.5 * (b + c)
                    target[to] = a + b + c
                    target[to + stride] = twist * (rest + quarter)
                    target[to + 2 * stride] = twist * twist * (rest - quarter)
        stride *= radix
        source, target = target, source
    return source
