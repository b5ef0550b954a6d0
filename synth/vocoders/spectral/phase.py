"""Phase for a spectrum of which only the magnitudes are known, one frame at a time.

The phase of a short-time spectrum is written in the slopes of its log magnitude: the slope
across bins tells how fast a bin's phase turns, the slope across frames how the phase bends
from bin to bin. Each frame is filled from its loudest bins outwards, either forwards in time
from the frame before or sideways from a neighbour already filled, so that errors collect
where they cannot be heard.

Prusa and Sondergaard, "Real-time spectrogram inversion using phase gradient heap
integration", DAFx 2016. In place of the heap there are lists by level, in steps of 0.08 dB: bins
are found in constant time, and it sounds the same. The turning speed is not the paper's Gaussian
estimate but the exact one for a sine seen through a Hann window. Phases belong to frames centred on
time zero.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from synth.exponential import exp, f32

TOLERANCE = math.log(1e-4)
"""Bins this far (log) below the loudest carry their phase on without being integrated."""

RANKS = 1024
"""Steps between that and the loudest, 0.08 dB each: louder bins lead, of one step the latest."""

HANN_RATIO = 0.25645
"""Time-frequency ratio of the Gaussian most like a Hann window, over its squared length."""


@njit(nogil=True, cache=True, error_model="numpy")
def turning(levels: np.ndarray, hop: int, out: np.ndarray) -> None:
    """How far each bin's phase turns in one hop, radians: levels (bins,), out (bins,).

    For a sine of frequency m - d bins through a Hann window W, W(d + 1) / W(d - 1) is
    (1 - d)(2 - d) / ((1 + d)(2 + d)): a quadratic in d, solved here for |d| <= 1. Farther
    bins lean by a whole bin towards their peak.
    """
    bins = levels.size
    turn = math.pi * hop / (bins - 1)
    for m in range(1, bins - 1):
        out[m] = turn * (m + _leaning(levels[m + 1] - levels[m - 1]))
    out[0] = 0.0
    out[bins - 1] = turn * (bins - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def _leaning(slope):
    """Bins from a bin to the sine that it sees, of the log level above it less that below it."""
    high = exp(slope)
    t = (high - f32(1)) / (high + f32(1))
    return f32(4) * t / (f32(3) + np.sqrt(f32(9) - f32(8) * t * t))


@njit(nogil=True, cache=True, error_model="numpy")
def bending(before: np.ndarray, after: np.ndarray, hop: int, out: np.ndarray) -> None:
    """How the phase changes from bin to bin, radians: the neighbour frames' levels (bins,)."""
    scale = -HANN_RATIO * 2 * (before.size - 1) / hop / 2
    for m in range(before.size):
        out[m] = scale * (after[m] - before[m])


@njit(nogil=True, cache=True, error_model="numpy")
def integrate(
    levels: np.ndarray,
    last_levels: np.ndarray,
    step: np.ndarray,
    bend: np.ndarray,
    phase: np.ndarray,
    first: np.ndarray,
    following: np.ndarray,
    done: np.ndarray,
) -> None:
    """Fill one frame's phase, radians in [0, 2 pi), in place of the last frame's.

    levels, last_levels (bins,) log magnitudes of this frame and the last; step (bins,)
    radians from the last frame to this; bend (bins,) radians a bin, see `bending`; phase
    (bins,) float64, the last frame's in, this one's out. first (RANKS,) and following (2 bins,)
    int64 and done (bins,) bool are room to work in, their content of no matter.

    Who leads next is looked up by rank: a list for each, its first and the one following each.
    """
    bins = levels.size
    loudest = max(levels.max(), last_levels.max())
    lowest, ranks = loudest + TOLERANCE, RANKS / -TOLERANCE
    first[:] = -1
    top, left = -1, 0
    for m in range(bins):
        phase[m] += step[m]
        done[m] = levels[m] <= lowest
        if not done[m]:
            left += 1
            if last_levels[m] > lowest:
                top = max(top, _enlist(first, following, last_levels[m], lowest, ranks, bins + m))
    while left > 0:
        while top >= 0 and first[top] < 0:
            top -= 1
        if top < 0:  # nothing sounding leads here: the loudest bin left starts afresh
            start = -1
            for m in range(bins):
                if not done[m] and (start < 0 or levels[m] > levels[start]):
                    start = m
            top = _enlist(first, following, levels[start], lowest, ranks, bins + start)
        leader = first[top]
        first[top] = following[leader]
        if leader >= bins:  # a bin of the last frame: on in time, where phase already stands
            m = leader - bins
            if not done[m]:
                done[m] = True
                left -= 1
                top = max(top, _enlist(first, following, levels[m], lowest, ranks, m))
            continue
        for m in (leader + 1, leader - 1):
            if 0 <= m < bins and not done[m]:
                phase[m] = phase[leader] + (m - leader) * 0.5 * (bend[leader] + bend[m])
                done[m] = True
                left -= 1
                top = max(top, _enlist(first, following, levels[m], lowest, ranks, m))
    for m in range(bins):  # stays exact however long the stream
        phase[m] -= 2 * math.pi * math.floor(phase[m] * (0.5 / math.pi))


@njit(nogil=True, cache=True, error_model="numpy")
def _enlist(first, following, level, lowest, ranks, item):
    """Put an item at the head of the list of its level's rank, which is returned."""
    rank = min(int((level - lowest) * ranks), RANKS - 1)
    following[item] = first[rank]
    first[rank] = item
    return rank
