"""Guides to learn from: another vocoder's sound of predicted magnitudes, kept in phase.

In play a guide's phases are integrated from the magnitudes alone, and drift from the original's:
nothing could be learnt from such a pair sample by sample. So here each frame's phases are
integrated, by the same rules, from the original's phases of the frame before. What comes out has a
guide's flaws and the original's place in time: about 9 dB of signal to noise where the magnitudes
are predicted. Partials of the lowest keys, which in play are laid by the keys that are held
(`synth/vocoders/spectral/partials.py`), need no such rule here: the original's phases part them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from synth.mel import FLOOR, Analysis
from synth.vocoders.spectral.phase import RANKS, bending, integrate, turning

_SILENCE = math.log(FLOOR) + 1e-4


def led_sound(frames: np.ndarray, original: np.ndarray, analysis: Analysis) -> np.ndarray:
    """Sound (samples,) float64 of natural-log magnitudes (frames, bins) float32, led by the
    original (samples,) in -1..1; samples: frames * hop."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(analysis.window) / analysis.window)
    half, hop = analysis.window // 2, analysis.hop
    padded = np.pad(original.astype(np.float64), (half, analysis.window))
    framed = np.lib.stride_tricks.sliding_window_view(padded, analysis.window)[::hop]
    # A phase belongs to the frame's centre: every other bin is turned round.
    centred = np.where(np.arange(analysis.bins) % 2, -1, 1)
    true = np.angle(np.fft.rfft(framed[: len(frames)] * hann) * centred)
    phases = np.empty_like(true)
    _lead(frames, true, hop, phases)
    sizes = np.where(frames > _SILENCE, np.exp(frames.astype(np.float64)), 0.0)
    spectra = sizes * np.exp(1j * phases) * centred * (hann.sum() / 2)
    pieces = np.fft.irfft(spectra, analysis.window) * hann
    sound = np.zeros(len(frames) * hop + analysis.window)
    for n, piece in enumerate(pieces):
        sound[n * hop : n * hop + analysis.window] += piece
    # Where windows overlap in full, their squares' sum is the same everywhere.
    evened = sound / (hann**2).reshape(-1, hop).sum(0).mean()
    return evened[half : half + len(original)]


@njit(nogil=True, cache=True, error_model="numpy")
def _lead(levels, true, hop, phases):
    """Phases (frames, bins) of log magnitudes, each from the true ones of the frame before."""
    count, bins = levels.shape
    now, step, bend = np.empty(bins), np.zeros(bins), np.empty(bins)
    ranked, following = np.empty(RANKS, np.int64), np.empty(2 * bins, np.int64)
    done = np.empty(bins, np.bool_)
    silent = np.full(bins, np.float32(math.log(FLOOR)))
    phase = np.zeros(bins)
    for t in range(count):
        before = levels[t - 1] if t > 0 else silent
        after = levels[t + 1] if t + 1 < count else silent
        turning(levels[t], hop, now)
        bending(before, after, hop, bend)
        for m in range(bins):
            step[m] = 0.5 * (step[m] + now[m])
            phase[m] = true[t - 1, m] if t > 0 else 0.0
        integrate(levels[t], before, step, bend, phase, ranked, following, done)
        step[:] = now
        phases[t] = phase
