"""Low keys, whose partials lie closer than the window can part them.

Such partials share bins, and no slope of a magnitude says how their sum turns: read from slopes,
every other partial of the lowest keys is lost. But keys tell where the partials are. So a bin gets
the phase of the sum

    S[m] = sum over partials p of  a_p W(m - p f) exp(2 pi i (p t + o_p))

where f is the key's fundamental in bins, a_p the level of the bin nearest to the partial, W the
main lobe of the Hann window, t the turns of the fundamental so far and o_p = p p / 32, so that the
crests of the partials do not meet. Its magnitude is the bin's own times |S| / sqrt(sum (a_p W)^2):
partials that share a bin beat, as those of one window do.

Exact multiples are near enough: the recordings that were measured stray by up to 14 cents.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from common.window import KEYS, LOWEST_KEY

CLOSE = 5.4
"""Bins from partial to partial up to which a key is low: 84 Hz for a window of 64 ms."""
HIGHEST = 38
"""Bins up to which partials count: 600 Hz for a window of 64 ms."""
LOBE = 2
"""Bins from the peak of the main lobe to its end."""
TAKEN = 1
"""Bins around a higher key's partial that stay as they are."""
RUNG_OUT = 1e-3
"""A key that is released rings on until it is 60 dB below what it was."""
KEY_HERTZ = 440 * 2 ** ((np.arange(LOWEST_KEY, LOWEST_KEY + KEYS) - 69) / 12)


@njit(nogil=True, cache=True, error_model="numpy")
def lay_partials(
    levels: np.ndarray,
    places: np.ndarray,
    held: np.ndarray,
    bend: float,
    turn: float,
    turns: np.ndarray,
    strength: np.ndarray,
    spectrum: np.ndarray,
    phase: np.ndarray,
) -> None:
    """Give the bins that low keys rule their phase, in spectrum and phase; move the keys on.

    levels (bins,): log magnitudes of the frame, above the floor. places (88,): bins, where each
    key's fundamental lies. held (88,) bool; bend: semitones. turn: turns of a whole bin in one
    hop. turns, strength (88,) float64: of each low key, how far its fundamental has turned, in
    0..1, and the loudest of its partials when it was held last, 0 where it is silent.
    spectrum (bins,) complex128; phase (bins,) radians.
    """
    top = min(int(HIGHEST + CLOSE / 2) + 1, levels.size)
    ratio = 2.0 ** (bend / 12.0)
    sounding = False
    for k in range(held.size):
        if places[k] * ratio >= CLOSE:
            strength[k] = 0.0
        elif held[k] or strength[k] > 0.0:
            sounding = True
    if not sounding:
        return
    near = np.zeros(top, np.int8)
    for k in range(held.size):
        if held[k]:
            _mark(near, places[k] * ratio)
    total, power = np.zeros(top, np.complex128), np.zeros(top)
    for k in range(held.size):
        place = places[k] * ratio
        if place >= CLOSE or not (held[k] or strength[k] > 0.0):
            continue
        loudest = _loudest(levels[:top], place, near, held[k])
        if held[k]:
            turns[k] = (turns[k] + place * turn) % 1.0 if strength[k] > 0.0 else 0.0
            strength[k] = loudest
        elif loudest > RUNG_OUT * strength[k]:
            turns[k] = (turns[k] + place * turn) % 1.0
        else:
            strength[k] = 0.0
            continue
        _add(levels, place, turns[k], near, held[k], total, power)
    for m in range(top):
        if power[m] > 0.0:
            spectrum[m] = abs(spectrum[m]) * total[m] / math.sqrt(power[m])
            phase[m] = math.atan2(total[m].imag, total[m].real) % (2 * math.pi)


@njit(nogil=True, cache=True, error_model="numpy")
def _mark(near, place):
    """Mark bins near the partials of a held key: 1, or 2 where they belong to a higher one."""
    p = 1
    while p * place < near.size + LOBE:
        for m in range(_first(p * place), _last(p * place, near.size) + 1):
            taken = place >= CLOSE and abs(m - p * place) <= TAKEN
            near[m] = max(near[m], 2 if taken else 1)
        p += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _loudest(levels, place, near, held):
    """The magnitude of a key's loudest partial; of one that is released, alone in its bin."""
    loudest, p = 0.0, 1
    while True:
        m = round(p * place)
        if m >= levels.size:
            return loudest
        if held or near[m] == 0:
            loudest = max(loudest, math.exp(levels[m]))
        p += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _add(levels, place, turned, near, held, total, power):
    """Add a key's partials to the sum, where no other key is before it."""
    # Half way to the first partial that does not count.
    edge = (math.floor(HIGHEST / place) + 0.5) * place
    p = 1
    while p * place < edge + LOBE:
        centre = p * place
        magnitude = math.exp(levels[min(round(centre), levels.size - 1)])
        angle = 2 * math.pi * (p * turned + p * p / 32)
        way = complex(math.cos(angle), math.sin(angle))
        for m in range(_first(centre), _last(centre, total.size) + 1):
            if m < edge and near[m] < (2 if held else 1):
                part = magnitude * _lobe(m - centre)
                total[m] += part * way
                power[m] += part * part
        p += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _first(centre):
    return max(int(math.ceil(centre - LOBE)), 0)


@njit(nogil=True, cache=True, error_model="numpy")
def _last(centre, bins):
    return min(int(math.floor(centre + LOBE)), bins - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def _lobe(d):
    """The main lobe of a Hann window, 1 at its peak: d in -2..2 bins."""
    d = abs(d)
    if d < 1e-6:
        return 1.0
    if abs(d - 1.0) < 1e-6:
        return 0.5
    return math.sin(math.pi * d) / (math.pi * d * (1.0 - d * d))
