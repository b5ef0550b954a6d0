"""Keeps what a WaveNet draws within the spectrum of its guide.

Each drawn sample brings a little noise with it. Where the sound is loud nobody hears it, but
between the partials, and after the notes, a guide is silent and a WaveNet is not. So both are seen
through the same window, every hop, and each bin of what was drawn is at most as loud as the
guide's: phases stay the WaveNet's, and so does the level wherever it is the lower one. Below
`LOW_HZ`, where a window holds few periods and noise comes out strongest (the pre-emphasis undone),
the bins are the guide's.

The synthesis window is the second half of the analysis window, with a ramp at its beginning, so
that the sound runs only two hops behind: the spectral vocoder's own way.

The sound may come out at a higher rate: a spectrum with silence above it is that of the same piece
of sound, at more points of time. That costs no delay, as a filter would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WINDOW_HOPS = 6
"""Longer windows part close partials better and sound later; found by trial."""
LOW_HZ = 200


@dataclass(slots=True)
class WithinState:
    """heard (batch, 2, 5 hops) float64: the guide's last samples, and the drawn ones; tail (batch,
    2 hops at the rate that is played) float64: sound begun and not yet complete."""

    heard: Tensor
    tail: Tensor


class Within:
    """For streams of so many samples a hop and a second, played at `upsampling` times that rate.
    lookahead: hops that it runs behind."""

    lookahead = WINDOW_HOPS // 2 - 1

    def __init__(self, hop: int, rate: int, upsampling: int = 1) -> None:
        self.hop, self.upsampling = hop, upsampling
        self._hann = _hann(WINDOW_HOPS * hop)
        played = WINDOW_HOPS * hop * upsampling
        self._half, self._played_hop = played // 2, hop * upsampling
        falling = _hann(played)[self._half :]
        ramp = (np.arange(self._played_hop) / upsampling + 0.5) / hop
        fade = falling.copy()
        fade[: self._played_hop] *= np.sin(np.pi / 2 * ramp) ** 2
        overlap = (fade * falling).reshape(-1, self._played_hop).sum(0)
        self._fade = fade / np.tile(overlap, WINDOW_HOPS // 2) * upsampling
        self._low = round(LOW_HZ * self._hann.size / rate)

    def initial_state(self, batch: int) -> WithinState:
        """The state of `batch` silent parts."""
        heard = torch.zeros(batch, 2, (WINDOW_HOPS - 1) * self.hop, dtype=torch.float64)
        tail = torch.zeros(batch, self._half - self._played_hop, dtype=torch.float64)
        return WithinState(heard, tail)

    def step(self, guide: Tensor, drawn: Tensor, state: WithinState) -> tuple[Tensor, WithinState]:
        """guide, drawn (batch, n * hop): the same hops. Returns (batch, n * hop * upsampling)
        float32, two hops before them, and the new state; the old one stays as it was."""
        heard = torch.cat([state.heard, torch.stack([guide, drawn], 1)], 2)
        tail = state.tail.clone()
        out = torch.empty(len(drawn), drawn.shape[1] * self.upsampling)
        for both, rest, sound in zip(heard.numpy(), tail.numpy(), out.numpy(), strict=True):
            self._play(both, rest, sound)
        return out, WithinState(heard[:, :, drawn.shape[1] :].clone(), tail)

    def _play(self, heard: np.ndarray, tail: np.ndarray, out: np.ndarray) -> None:
        """One part: heard (2, 5 hops + n) in, out (n * upsampling,) filled, its tail moved on in
        place."""
        hop, window = self._played_hop, self._hann.size
        for n in range(len(out) // hop):
            # One transform at a time: a library may round many at once in another way.
            guide, drawn = (
                np.fft.rfft(row[n * self.hop : n * self.hop + window] * self._hann) for row in heard
            )
            most, size = np.abs(guide), np.abs(drawn)
            kept = drawn * (np.minimum(most, size) / np.maximum(size, 1e-12))
            kept[: self._low] = guide[: self._low]
            if self.upsampling > 1:
                # What stood for both a frequency and its mirror becomes two bins.
                kept[-1] /= 2
            piece = np.fft.irfft(kept, 2 * self._half)[self._half :] * self._fade
            piece[: tail.size] += tail
            out[n * hop : (n + 1) * hop] = piece[:hop]
            tail[:] = piece[hop:]


def _hann(size: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
