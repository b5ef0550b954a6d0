"""From the engine's rate to the device's, as a stream (libsoxr).

libsoxr's fixed-rate engine collects whole FFT blocks: from 16 kHz at quality HQ its output comes
in bursts, 36 ms late at 48 kHz and 58 ms at 44.1 kHz. Its variable-rate engine, kept at one
ratio, filters sample by sample: evenly, 240 samples (15 ms) late at every higher rate, with
errors below -107 dB and flat up to 7 kHz. So that one is used.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_PROBE = 16
"""Samples fed at a time when the latency is measured: how finely it is known."""


class Resampler:
    """Turns a stream at rate_in into one at rate_out, both in Hz.

    latency: how many samples of rate_in its output runs behind its input at most; 0 when
    the rates are equal and the sound passes untouched. Sample n of the output belongs to
    the time n / rate_out of the input, give or take two samples: it only comes later.

    The state is libsoxr's own and cannot be copied: a reset is a new Resampler. Raises
    ValueError for a rate that is not positive.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int = 2) -> None:
        if rate_in <= 0 or rate_out <= 0:
            raise ValueError(f"resampler: rates {rate_in} and {rate_out} Hz must be positive")
        self.rate_in = rate_in
        self.rate_out = rate_out
        self.channels = channels
        self.latency = 0
        self._stream = None
        if rate_in != rate_out:
            self.latency = self._measure_latency()
            self._stream = self._open()

    @property
    def latency_ms(self) -> float:
        """`latency` in milliseconds."""
        return 1000 * self.latency / self.rate_in

    def step(self, block: Samples) -> Samples:
        """The next output (m, channels) for the next block (n, channels), float32.

        m is about n * rate_out / rate_in and may be 0. How the input is cut into blocks
        does not change the stream. With equal rates it returns `block` itself.
        """
        if self._stream is None:
            return block
        return self._stream.resample_chunk(np.ascontiguousarray(block, np.float32))

    def _open(self) -> soxr.ResampleStream:
        return soxr.ResampleStream(
            self.rate_in, self.rate_out, self.channels, dtype="float32", quality="HQ", vr=True
        )

    def _measure_latency(self) -> int:
        """The most by which output has lagged input over a fifth of a second of silence."""
        stream, silence = self._open(), np.zeros((_PROBE, self.channels), np.float32)
        worst, given = 0.0, 0
        for fed in range(_PROBE, self.rate_in // 5 + _PROBE, _PROBE):
            given += len(stream.resample_chunk(silence))
            worst = max(worst, fed - given * self.rate_in / self.rate_out)
        return round(worst)
