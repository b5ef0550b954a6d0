"""Keeps what a WaveNet draws within the spectrum of its guide.

Each drawn sample brings a little noise with it. Where the sound is loud nobody hears it, but
between the partials, and after the notes, a guide is silent and a WaveNet is not. So both are seen
through the same window, every hop, and what the WaveNet adds to each bin counts by how small it is
beside the guide there, as in a Wiener filter: all of it where the two are close, next to nothing
where one is noise or has fallen silent. No bin is over 1.4 dB louder than the guide's, nor 1.6 dB
softer. Below `LOW_HZ`, where a window holds few periods and noise comes out strongest (the
pre-emphasis undone), the bins are the guide's.

The synthesis window is the second half of the analysis window, with a ramp at its beginning, so
that the sound runs only two hops behind: the spectral vocoder's own way.

The sound may come out at a higher rate: a spectrum with silence above it is that of the same piece
of sound, at more points of time. That costs no delay, as a filter would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from synth.copying import copy
from synth.vocoders.transform import inverse_fft, roots_of, split_size, turned

WINDOW_HOPS = 6
"""Longer windows part close partials better and sound later; found by trial."""
LOW_HZ = 400
"""Found by trial, 0 to 800."""
DOUBT = 4.0
"""A difference d times as large as the guide counts by 1 / (1 + DOUBT d^2)^2: by a quarter where
its power is 1 / DOUBT of the guide's. 0.5 to 8 were tried. Without the outer square r is the same,
but where the network falls silent the guide would lose 2 dB, not 0.4."""


@dataclass(slots=True)
class WithinState:
    """heard (batch, 2, 5 hops) float64: the guide's last samples, and the drawn ones; tail (batch,
    2 hops at the rate that is played) float64: sound begun and not yet complete."""

    heard: Tensor
    tail: Tensor


class Within:
    """For streams of so many samples a hop and a second, played at `upsampling` times that rate.
    lookahead: hops that it runs behind. ValueError for a hop that is no product of twos and
    threes."""

    lookahead = WINDOW_HOPS // 2 - 1

    def __init__(self, hop: int, rate: int, upsampling: int = 1) -> None:
        if split_size(hop * upsampling)[1] != 1:
            raise ValueError(
                f"hop: expected a product of twos and threes, got {hop} times {upsampling}"
            )
        self.upsampling = upsampling
        self._plan = _plan(hop, rate, upsampling)

    def initial_state(self, batch: int) -> WithinState:
        """The state of `batch` silent parts."""
        plan = self._plan
        heard = torch.zeros(batch, 2, plan.hann.size - plan.hop, dtype=torch.float64)
        tail = torch.zeros(batch, plan.fade.size - plan.played_hop, dtype=torch.float64)
        return WithinState(heard, tail)

    def step(self, guide: Tensor, drawn: Tensor, state: WithinState) -> Tensor:
        """guide, drawn (batch, n * hop): the same hops. Returns (batch, n * hop * upsampling)
        float32, two hops before them. Overwrites the state."""
        out = torch.empty(len(drawn), drawn.shape[1] * self.upsampling)
        sides = guide.contiguous(), drawn.contiguous()
        arrays = (x.numpy() for x in (*sides, state.heard, state.tail, out))
        _play(self._plan, *arrays)
        return out


class _Plan(NamedTuple):
    """Tables for `_play`. hann (window,); fade (half a window as it is played,): the synthesis
    window, with what evens out overlapping pieces. low: bins that are the guide's. radices, roots:
    for the transforms of a window, and back."""

    hop: int
    played_hop: int
    low: int
    hann: np.ndarray
    fade: np.ndarray
    radices: np.ndarray
    roots: np.ndarray
    back_radices: np.ndarray
    back_roots: np.ndarray


def _plan(hop: int, rate: int, upsampling: int) -> _Plan:
    window, played_hop = WINDOW_HOPS * hop, hop * upsampling
    played = window * upsampling
    falling = _hann(played)[played // 2 :]
    ramp = (np.arange(played_hop) / upsampling + 0.5) / hop
    fade = falling.copy()
    fade[:played_hop] *= np.sin(np.pi / 2 * ramp) ** 2
    overlap = (fade * falling).reshape(-1, played_hop).sum(0)
    fade *= upsampling / np.tile(overlap, WINDOW_HOPS // 2)
    low = round(LOW_HZ * window / rate)
    radices, back = (np.array(split_size(size)[0]) for size in (window, played // 2))
    return _Plan(
        hop,
        played_hop,
        low,
        _hann(window),
        fade,
        radices,
        roots_of(window),
        back,
        roots_of(played),
    )


def _hann(size: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


@njit(nogil=True, cache=True, error_model="numpy")
def _play(plan, guide, drawn, heard, tail, out):
    """guide, drawn (rows, n * hop) in, out (rows, n * hop * upsampling) filled, heard and tail
    moved on."""
    hop, played_hop, low, hann, fade, radices, roots, back_radices, back_roots = plan
    window, played = hann.size, back_roots.size
    both, spare = np.empty(window, np.complex128), np.empty(window, np.complex128)
    packed, room = np.empty(played // 2, np.complex128), np.empty(played // 2, np.complex128)
    kept = np.zeros(played // 2 + 1, np.complex128)
    before = heard.shape[2]
    sides = np.empty((2, before + guide.shape[1]))
    for row in range(out.shape[0]):
        for side, new in enumerate((guide[row], drawn[row])):
            copy(heard[row, side], sides[side])
            copy(new, sides[side, before:])
            copy(sides[side, guide.shape[1] :], heard[row, side])
        for n in range(out.shape[1] // played_hop):
            # Two real signals are one complex one, whose spectrum has both in it.
            for i in range(window):
                at = n * hop + i
                both[i] = complex(sides[0, at] * hann[i], -sides[1, at] * hann[i])
            sums = turned(both, spare, radices, roots)
            for m in range(window // 2 + 1):
                one, other = np.conj(sums[m]), sums[(window - m) % window]
                kept[m] = followed = 0.5 * (one + other)
                if m >= low:
                    side = 0.5 * (one - other)
                    away = complex(side.imag, -side.real) - followed
                    power = followed.real**2 + followed.imag**2 + 1e-24
                    doubted = DOUBT * (away.real**2 + away.imag**2)
                    share = power / (power + doubted)
                    kept[m] += away * (share * share)
            if played > window:
                # What stood for both a frequency and its mirror becomes two bins.
                kept[window // 2] = 0.5 * kept[window // 2].real
            piece = inverse_fft(kept, packed, room, back_radices, back_roots)
            start = n * played_hop
            for i in range(fade.size):
                pair = piece[(played // 2 + i) >> 1]
                value = (pair.imag if (played // 2 + i) & 1 else pair.real) * fade[i]
                if i < tail.shape[1]:
                    value += tail[row, i]
                if i < played_hop:
                    out[row, start + i] = value
                else:
                    tail[row, i - played_hop] = value
