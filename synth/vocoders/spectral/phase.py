"""Phase for a spectrum of which only the magnitudes are known, one frame at a time.

The phase of a short-time spectrum is written in the slopes of its log magnitude: the slope
across bins tells how fast a bin's phase turns, the slope across frames how the phase bends
from bin to bin. Each frame is filled from its loudest bins outwards, either forwards in time
from the frame before or sideways from a neighbour already filled, so that errors collect
where they cannot be heard.

Prusa and Sondergaard, "Real-time spectrogram inversion using phase gradient heap
integration", DAFx 2016. The turning speed is not the paper's Gaussian estimate but the exact
one for a sine seen through a Hann window. Phases belong to frames centred on time zero.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

TOLERANCE = math.log(1e-4)
"""Bins this far (log) below the loudest carry their phase on without being integrated."""

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
    for m in range(bins):
        below = levels[m - 1] if m > 0 else levels[1]
        above = levels[m + 1] if m < bins - 1 else levels[bins - 2]
        t = math.tanh(0.5 * (above - below))
        out[m] = turn * (m + 4 * t / (3 + math.sqrt(9 - 8 * t * t)))


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
    heap: np.ndarray,
    owner: np.ndarray,
    done: np.ndarray,
) -> None:
    """Fill one frame's phase, radians in [0, 2 pi), in place of the last frame's.

    levels, last_levels (bins,) log magnitudes of this frame and the last; step (bins,)
    radians from the last frame to this; bend (bins,) radians a bin, see `bending`; phase
    (bins,) float64, the last frame's in, this one's out. heap (2 bins,) float64, owner
    (2 bins,) int64 and done (bins,) bool are room to work in, their content of no matter.
    """
    bins = levels.size
    loudest = -np.inf
    for m in range(bins):
        loudest = max(loudest, levels[m], last_levels[m])
        phase[m] += step[m]
    left = 0
    size = 0
    for m in range(bins):
        done[m] = levels[m] <= loudest + TOLERANCE
        if not done[m]:
            left += 1
            if last_levels[m] > loudest + TOLERANCE:
                size = _push(heap, owner, size, last_levels[m], bins + m)
    while left > 0:
        if size == 0:  # nothing sounding leads here: the loudest bin left starts afresh
            start = -1
            for m in range(bins):
                if not done[m] and (start < 0 or levels[m] > levels[start]):
                    start = m
            heap[0], owner[0], size = levels[start], bins + start, 1
        top = owner[0]
        size = _pop(heap, owner, size)
        if top >= bins:  # a bin of the last frame: on in time, where phase already stands
            m = top - bins
            if not done[m]:
                done[m] = True
                left -= 1
                size = _push(heap, owner, size, levels[m], m)
            continue
        for m in (top + 1, top - 1):
            if 0 <= m < bins and not done[m]:
                phase[m] = phase[top] + (m - top) * 0.5 * (bend[top] + bend[m])
                done[m] = True
                left -= 1
                size = _push(heap, owner, size, levels[m], m)
    for m in range(bins):
        phase[m] %= 2 * math.pi  # stays exact however long the stream


@njit(nogil=True, cache=True, error_model="numpy")
def _push(heap: np.ndarray, owner: np.ndarray, size: int, value: float, item: int) -> int:
    """Add to a heap with its greatest value first; returns the new size."""
    slot = size
    while slot > 0:
        parent = (slot - 1) >> 1
        if heap[parent] >= value:
            break
        heap[slot], owner[slot] = heap[parent], owner[parent]
        slot = parent
    heap[slot], owner[slot] = value, item
    return size + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _pop(heap: np.ndarray, owner: np.ndarray, size: int) -> int:
    """Drop the greatest value; returns the new size."""
    size -= 1
    value, item, slot = heap[size], owner[size], 0
    while 2 * slot + 1 < size:
        child = 2 * slot + 1
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[slot], owner[slot] = heap[child], owner[child]
        slot = child
    heap[slot], owner[slot] = value, item
    return size
