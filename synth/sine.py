"""Cosine and sine in single precision, for loops that the compiler vectorises, as exponential.py
has the exponential function."""

from __future__ import annotations

import math

import numba
import numpy as np

from synth.exponential import f32

QUARTERS = 2 / math.pi
QUARTER = math.pi / 2
# sin x = x + x^3 (S0 + ...), cos x = 1 - x^2 / 2 + x^4 (C0 + ...) for |x| <= pi / 4 (Cephes).
S0, S1, S2 = f32(-1.6666654611e-1), f32(8.3321608736e-3), f32(-1.9515295891e-4)
C0, C1, C2 = f32(4.166664568298827e-2), f32(-1.388731625493765e-3), f32(2.443315711809948e-5)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nnan", "nsz"})
def cos_sin(angle: float) -> tuple[np.float32, np.float32]:
    """Both of an angle, float64 radians of a few turns at most, right to 2e-7."""
    quarters = np.floor(angle * QUARTERS + 0.5)
    x = f32(angle - quarters * QUARTER)
    which = np.int32(quarters)
    xx = x * x
    sine = x + x * xx * (S0 + xx * (S1 + xx * S2))
    cosine = f32(1) - f32(0.5) * xx + xx * xx * (C0 + xx * (C1 + xx * C2))
    odd = which & 1
    along, across = (sine, cosine) if odd else (cosine, sine)
    return (-along if (which + 1) & 2 else along), (-across if which & 2 else across)
