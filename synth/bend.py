"""Pitch bend: spectra are shifted along the frequency axis, frame by frame.

The networks know only whole keys, so bends are applied to their spectra, before the vocoder. Each
peak is moved without changing its shape, together with its surroundings down to the next minimum.
If it were stretched with the axis, partials would become wider than the window makes them; the
spectral vocoder, which derives phases from their slopes, would be about 10 cents out of tune
instead of 1 to 3 (more for low keys, whose partials share bins).
"""

from __future__ import annotations

import math

import numpy as np

from synth.mel import FLOOR

LOWEST = math.log(FLOOR)
SANE = -60.0, 30.0
"""Levels, far beyond those of any sound, within which nothing overflows."""


class PitchBend:
    """Bends natural-log magnitudes of bands; centres (bands,): Hz of each, rising."""

    def __init__(self, centres: np.ndarray) -> None:
        self._centres = centres
        self._places = np.arange(len(centres))

    def __call__(self, frames: np.ndarray, semitones: np.ndarray) -> None:
        """Bend frames (n, bands), float32, in place, each by its semitones (n,)."""
        for frame, bend in zip(frames, semitones, strict=True):
            if bend:
                # What a network in fault says is no sound, but must not stop the others' sound.
                np.nan_to_num(frame, copy=False, nan=LOWEST)
                np.clip(frame, *SANE, out=frame)
                from_hz = self._origins(frame, 2 ** (float(bend) / 12))
                frame[:] = self._levels(frame, from_hz)

    def _origins(self, frame: np.ndarray, ratio: float) -> np.ndarray:
        """The frequency from which each band is to take its level, (bands,), Hz."""
        rises = frame[1:] > frame[:-1]
        tops = 1 + np.flatnonzero(rises[:-1] & ~rises[1:])
        if not len(tops):
            return self._centres / ratio
        # The top of the parabola through a peak's three highest bands.
        a, b, c = (frame[tops + k] for k in (-1, 0, 1))
        aside = 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9)
        peaks = np.interp(tops + aside.clip(-0.5, 0.5), self._places, self._centres)
        # There is one minimum between two peaks; it goes as far as they do on average.
        lows = 1 + np.flatnonzero(~rises[:-1] & rises[1:])
        lows = self._centres[lows[(lows > tops[0]) & (lows < tops[-1])]]
        edges = np.maximum.accumulate(lows + (ratio - 1) * (peaks[:-1] + peaks[1:]) / 2)
        own = np.searchsorted(edges, self._centres)
        ends = np.concatenate([[-np.inf], lows, [np.inf]])
        # Where peaks move apart, the minimum between them fills the gap.
        return (self._centres - (ratio - 1) * peaks[own]).clip(ends[own], ends[own + 1])

    def _levels(self, frame: np.ndarray, hz: np.ndarray) -> np.ndarray:
        """The level at each frequency: above the highest band, silence."""
        at = np.interp(hz, self._centres, self._places)
        left = at.astype(np.int64)
        t = at - left
        # Lagrange's cubic through the four bands around it, of the roots of the magnitudes: of
        # their logarithms, the low ones to both sides of a peak would bend it.
        roots, last = np.exp(0.5 * frame), len(frame) - 1
        a, b, c, d = (roots[np.clip(left + k, 0, last)] for k in (-1, 0, 1, 2))
        outer = t * (t - 1) / 6 * ((t + 1) * d - (t - 2) * a)
        inner = (t + 1) * (t - 2) / 2 * ((t - 1) * b - t * c)
        levels = 2 * np.log(np.maximum(outer + inner, math.exp(0.5 * LOWEST)))
        levels[hz > self._centres[-1]] = LOWEST
        return levels
