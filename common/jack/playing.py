"""Out of a ring into a device's buffer, without a click: compiled, for audio callbacks.

Neither blocks, raises nor allocates, and needs no interpreter: JACK's callback is compiled whole,
PortAudio's calls it from Python. All that it works on is arrays.
"""

from __future__ import annotations

import numpy as np
from numba import njit

WRITTEN, READ = 0, 1
"""Places in a ring's counts: samples ever written, and ever read."""
RING_COUNTS = 2

RESERVE, MUTED, ASKED, LARGEST, UNDERRUNS, FLOWING, RISEN, FALLEN, TAKEN = range(9)
"""Places in a playout's counts: what `synth.output.playout.Playout` says of each. TAKEN: how many
buffers were taken; buffer n's time and first sample stand at TIMES + 2 (n % 2)."""
TIMES = 9
PLAYOUT_COUNTS = 13


@njit(nogil=True, cache=True, error_model="numpy")
def fill(ring_counts, ring, counts, fall, held, last, now, out):
    """Fill out (samples, channels) with sound, or with a faded edge and silence.

    ring_counts (2,) int64; ring (capacity, channels) float32; counts (13,) int64; fall (n,)
    float32, from 1 to 0: the shape of a fade; held, last (channels,) float32: the sample that a
    fade began with, and the latest one; now: ns. out is float32.
    """
    samples, first = out.shape[0], ring_counts[READ]
    filled = ring_counts[WRITTEN] - first
    counts[ASKED] += samples
    counts[LARGEST] = max(counts[LARGEST], samples)
    if counts[MUTED]:
        _stop_flow(counts, held, last)
    elif not counts[FLOWING]:
        # The writer learns of a larger buffer only from LARGEST, after this.
        enough = min(max(counts[RESERVE], samples), ring.shape[0])
        counts[FLOWING] = filled >= enough
    flows = counts[FLOWING] != 0
    count = min(samples, filled) if flows else 0
    for i in range(count):
        at = (first + i) % ring.shape[0]
        for c in range(out.shape[1]):
            out[i, c] = ring[at, c]
    ring_counts[READ] = first + count
    out[count:] = 0
    _fade_in(counts, fall, out[:count])
    if flows and count < samples:
        _add_fall(counts, fall, held, out[:count])
        if count:
            last[:] = out[count - 1]
        counts[UNDERRUNS] += 1
        _stop_flow(counts, held, last)
        _add_fall(counts, fall, held, out[count:])
    else:
        _add_fall(counts, fall, held, out)
    if samples:
        last[:] = out[samples - 1]
    slot = TIMES + 2 * ((counts[TAKEN] + 1) % 2)
    counts[slot] = now
    counts[slot + 1] = first if counts[FLOWING] else -1
    counts[TAKEN] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _stop_flow(counts, held, last):
    """Let the last sample fall to zero; a fall still under way is part of it."""
    if counts[FLOWING]:
        counts[FLOWING] = counts[RISEN] = counts[FALLEN] = 0
        held[:] = last


@njit(nogil=True, cache=True, error_model="numpy")
def _fade_in(counts, fall, sound):
    count = min(sound.shape[0], fall.size - counts[RISEN])
    for i in range(count):
        rise = np.float32(1) - fall[counts[RISEN] + i]
        for c in range(sound.shape[1]):
            sound[i, c] *= rise
    counts[RISEN] += max(count, 0)


@njit(nogil=True, cache=True, error_model="numpy")
def _add_fall(counts, fall, held, out):
    """Add what is left of the last sample's fall to out, from its start."""
    count = min(out.shape[0], fall.size - counts[FALLEN])
    for i in range(count):
        for c in range(out.shape[1]):
            out[i, c] += fall[counts[FALLEN] + i] * held[c]
    counts[FALLEN] += max(count, 0)
