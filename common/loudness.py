"""How loud: levels in dB of full scale, and loudness as ITU-R BS.1770-4 hears it."""

from __future__ import annotations

import numpy as np

SILENCE_DB = -120.0
SHELF_HZ, SHELF_Q, SHELF_DB, SHELF_MIDDLE = 1681.9745, 0.70718, 3.99984, 0.49967
PASS_HZ, PASS_Q = 38.13547, 0.50033
"""The two filters that BS.1770 states as coefficients at 48 kHz, as analogue ones: a shelf for
the head, a high-pass for the ear. At any rate the bilinear transform gives them back."""
BLOCK_S, STEP_S = 0.4, 0.1
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
OFFSET = -0.691
"""So that a sine of 997 Hz at full scale is at -3.01."""


def decibels(ratio: float | np.ndarray) -> float | np.ndarray:
    """20 log10 of an amplitude ratio, -120 at least.

    >>> round(float(decibels(0.5)), 2), float(decibels(0.0))
    (-6.02, -120.0)
    """
    return 20 * np.log10(np.maximum(ratio, 10 ** (SILENCE_DB / 20)))


def level_db(audio: np.ndarray) -> float:
    """RMS of audio (samples,), in dB of full scale; -120 for silence or no samples."""
    if not len(audio):
        return SILENCE_DB
    return float(decibels(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))))


def loudness(audio: np.ndarray, rate: int) -> float:
    """Integrated loudness of mono audio (samples,) in LUFS, gated; -120 for silence.

    Audio shorter than 400 ms is one block.
    """
    heard = k_weighted(audio, rate)
    block, step = round(BLOCK_S * rate), round(STEP_S * rate)
    starts = range(0, max(len(heard) - block, 0) + 1, step)
    powers = np.array([np.mean(heard[at : at + block] ** 2) for at in starts])
    for gate in (ABSOLUTE_GATE, RELATIVE_GATE):
        least = gate if gate == ABSOLUTE_GATE else _lufs(powers.mean()) + gate
        powers = powers[[_lufs(p) > least for p in powers]]
        if not len(powers):
            return SILENCE_DB
    return _lufs(powers.mean())


def k_weighted(audio: np.ndarray, rate: int) -> np.ndarray:
    """Audio (samples,) as the ear weighs it: through BS.1770's two filters, float64."""
    # Room for the high-pass to ring out: without it the end would come back at the start.
    size = len(audio) + rate // 4
    response = _k_response(np.fft.rfftfreq(size), rate)
    spectrum = np.fft.rfft(audio.astype(np.float64), size)
    return np.fft.irfft(spectrum * response, size)[: len(audio)]


def k_gains(hertz: np.ndarray, rate: int) -> np.ndarray:
    """By what factor BS.1770's two filters raise sines of so many hertz, 0 to half the rate."""
    return np.abs(_k_response(hertz / rate, rate))


def _k_response(cycles: np.ndarray, rate: int) -> np.ndarray:
    """Both filters at frequencies in cycles a sample, 0 to 0.5: complex."""
    # The frequency axis of a bilinear transform, in units of tan.
    warped = 1j * np.tan(np.pi * np.minimum(cycles, 0.4999))
    s = warped / np.tan(np.pi * SHELF_HZ / rate)
    high = 10 ** (SHELF_DB / 20)
    shelf = high * s**2 + high**SHELF_MIDDLE * s / SHELF_Q + 1
    shelf /= s**2 + s / SHELF_Q + 1
    s = warped / np.tan(np.pi * PASS_HZ / rate)
    passed = s**2 / (s**2 + s / PASS_Q + 1)
    # The standard's high-pass does not divide by its leading term.
    k = np.tan(np.pi * PASS_HZ / rate)
    return shelf * passed * (1 + k / PASS_Q + k**2)


def _lufs(power: float) -> float:
    return OFFSET + 10 * float(np.log10(max(power, 1e-12)))
