"""How loud: levels in dB of full scale, and loudness as ITU-R BS.1770-4 hears it."""

from __future__ import annotations

import numpy as np

SILENCE_DB = -120.0
SHELF_HZ, SHELF_Q, SHELF_DB, SHELF_MIDDLE = 1681.9745, 0.70718, 3.99984, 0.49967
PASS_HZ, PASS_Q = 38.13547, 0.50033
"""The two filters that BS.1770 states as coefficients at 48 kHz, as analogue ones: a shelf for
the head, a high-pass for the ear. At any rate the bilinear transform gives them back."""
BLOCK_S, STEP_S = 0.4, 0.1
CONTEXT_S = 0.5
"""How much of the sound before a chunk is heard again: by then the filters have forgotten more."""
CHUNK_STEPS = 100
"""Steps that are filtered at once: 10 s."""
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
    return _gated(np.array([np.mean(heard[at : at + block] ** 2) for at in starts]))


class Meter:
    """Integrated loudness of sound of any number of channels that comes block by block.

    What it holds does not grow but by a number for each 100 ms.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._rate, self._step = rate, round(STEP_S * rate)
        self._before = np.zeros((round(CONTEXT_S * rate), channels))
        self._waiting: list[np.ndarray] = []
        self._count = 0
        self._powers: list[np.ndarray] = []
        """Of each 100 ms, the channels together."""

    def add(self, block: np.ndarray) -> None:
        """The next samples (samples, channels)."""
        self._waiting.append(np.array(block))
        self._count += len(block)
        if self._count >= CHUNK_STEPS * self._step:
            self._weigh()

    def lufs(self) -> float:
        """Of all sound so far; -120 for silence. What is shorter than 400 ms is one block."""
        self._weigh()
        powers = np.concatenate(self._powers) if self._powers else np.zeros(0)
        steps = round(BLOCK_S / STEP_S)
        if len(powers) < steps:  # then the context before what waits has all of it
            heard = self._weighted(np.concatenate([self._before, *self._waiting]))
            heard = heard[-max(len(powers) * self._step + self._count, 1) :]
            return _gated(np.array([(heard**2).sum(axis=1).mean()]))
        return _gated(np.convolve(powers, np.full(steps, 1 / steps), "valid"))

    def _weigh(self) -> None:
        """Turn all whole steps that wait into powers."""
        whole = self._count // self._step * self._step
        if not whole:
            return
        sound = np.concatenate(self._waiting)
        self._waiting, self._count = [sound[whole:]], len(sound) - whole
        both = np.concatenate([self._before, sound[:whole]])
        heard = self._weighted(both)[len(self._before) :]
        steps = heard.reshape(whole // self._step, self._step, -1)
        self._powers.append((steps**2).sum(axis=2).mean(axis=1))
        self._before = both[-len(self._before) :]

    def _weighted(self, sound: np.ndarray) -> np.ndarray:
        return np.stack([k_weighted(side, self._rate) for side in sound.T], axis=1)


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


def _gated(powers: np.ndarray) -> float:
    """The loudness of blocks, by their powers, of those that are not far below the others."""
    for gate in (ABSOLUTE_GATE, RELATIVE_GATE):
        least = gate if gate == ABSOLUTE_GATE else _lufs(powers.mean()) + gate
        powers = powers[[_lufs(p) > least for p in powers]]
        if not len(powers):
            return SILENCE_DB
    return _lufs(powers.mean())


def _lufs(power: float) -> float:
    return OFFSET + 10 * float(np.log10(max(power, 1e-12)))
