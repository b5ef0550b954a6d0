"""The exponential function in single precision, for loops that the compiler vectorises.

A call to the C library's function would prevent that and take about ten times as long. Numba's
cache on disk notices a change in this file only if the caller's own file changes too.
"""

from __future__ import annotations

import numba
import numpy as np

f32 = np.float32
LOW, HIGH = f32(-87), f32(88)
"""Where results are normal numbers; arguments beyond are taken to lie there."""
LOG2_E = f32(1.4426950408889634)
# ln 2 in two parts: whole multiples of the first are exact.
LN2, LN2_REST = f32(0.693359375), f32(-2.12194440e-4)
# (exp(x) - 1 - x) / x^2 for |x| <= ln(2) / 2, to a unit in the last place (Cephes' coefficients).
C0, C1, C2 = f32(5.0000001201e-1), f32(1.6666665459e-1), f32(4.1665795894e-2)
C3, C4, C5 = f32(8.3334519073e-3), f32(1.3981999507e-3), f32(1.9875691500e-4)


# Sums may not be regrouped here: that would undo the two parts of ln 2.
@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nnan", "nsz"})
def exp(x: np.float32) -> np.float32:
    """e ** x, right to a few units in the last place."""
    x = min(max(f32(x), LOW), HIGH)
    whole = np.floor(x * LOG2_E + f32(0.5))
    x = (x - whole * LN2) - whole * LN2_REST
    curve = C0 + x * (C1 + x * (C2 + x * (C3 + x * (C4 + x * C5))))
    power = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (f32(1) + x + x * x * curve) * power
