"""Bins from fine bands: what a spectrum looks like above 8 kHz, where only wide bands are known.

The bins of the octave below are laid there once more, and again, each wide band as loud as it
was told to be: so tones stay tones and noise stays noise. Partials are no longer harmonic, but
they keep their distance; ears hear no more of them up there. This is spectral band replication
(Dietz, Liljeryd, Kjorling and Kunz, AES convention 112, 2002) in the vocoder's own bins.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from synth.copying import copy
from synth.mel import FLOOR, Analysis, wide_edges

QUIET = float(np.log(np.float32(FLOOR)))


class Spread:
    """Makes bins of an analysis's fine bands. Raises ValueError for wide bands that cannot be."""

    def __init__(self, analysis: Analysis) -> None:
        self._bins = analysis.bins
        self._edges = wide_edges(analysis)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Log magnitudes (..., bins) float32 of fine bands (..., bands) float32, none of them below
        the floor's; each frame for itself."""
        out = np.full((*frames.shape[:-1], self._bins), QUIET, np.float32)
        flat = frames.reshape(-1, frames.shape[-1])
        _spread(flat, self._edges, QUIET, out.reshape(-1, self._bins))
        return out


@njit(nogil=True, cache=True, error_model="numpy")
def _spread(frames, edges, quiet, out):
    single = edges[0]
    octave = single // 2
    for n in range(frames.shape[0]):
        copy(frames[n, :single], out[n])
        for band in range(edges.size - 1):
            first, stop, level = edges[band], edges[band + 1], frames[n, single + band]
            if level <= quiet + 1e-4:
                continue
            power = 0.0
            for m in range(first, stop):
                # A bin that is silent is at the floor: no band is ever without any power.
                out[n, m] = frames[n, octave + (m - single) % (single - octave)]
                power += np.exp(2 * out[n, m])
            gain = level - 0.5 * np.log(power / (stop - first))
            for m in range(first, stop):
                out[n, m] = max(out[n, m] + gain, quiet)
