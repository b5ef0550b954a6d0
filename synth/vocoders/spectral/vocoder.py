"""The vocoder that needs no training: phases from the magnitudes, then overlap-add.

Frames of fine log magnitudes come in; each is given a phase (`phase.py`), turned into a
windowed piece of sound and added to the pieces before it. One hop of samples goes out for
every frame that came in.

A frame gets its phase when the next has arrived, for the slope across frames is best read
from both sides. What would then come too late is faded out of its piece: the synthesis
window is the Hann window with its first part cut off by a short ramp, and the sum of
analysis times synthesis window is divided out. So the lookahead is a choice: a full window
would need half a window (4 hops by default) and one frame more.

Partials of low keys share bins; where they are is read from the keys (`partials.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from common.threads import MOST_CORES, Helpers
from common.window import KEYS
from synth.copying import copy
from synth.exponential import exp, f32
from synth.mel import FLOOR, Analysis, Head
from synth.sine import cos_sin
from synth.vocoders.contract import Pitches
from synth.vocoders.spectral.partials import KEY_HERTZ, lay_partials
from synth.vocoders.spectral.phase import RANKS, bending, integrate, turning
from synth.vocoders.spectral.spread import Spread
from synth.vocoders.transform import inverse_fft, roots_of, split_size

QUIET = math.log(FLOOR)
SILENCE = QUIET + 1e-4
"""Levels up to here are silence, not sound at -100 dB (float32 rounds the floor's log)."""

CEILING = 3.0
"""Loudest level taken, natural log (+26 dB): beyond it a frame is a fault, not music."""

MOST_BEND = 48.0
"""Semitones, up or down, that a key can be bent: beyond it a bend is a fault, not music."""


@dataclass(frozen=True, slots=True)
class SpectralState:
    """The moment of `batch` parts.

    last, before (batch, bins) float32: log magnitudes of the newest frame and the one before
    it. phase, turn (batch, bins) float64: radians, and radians a hop, of the frame before.
    tail (batch, samples) float64: sound begun and not yet complete. held (batch, 88) bool, bend
    (batch,) float64: `Pitches` of the newest frame. turns, strength (batch, 88) float64: low
    keys that sound, see `lay_partials`.
    """

    last: Tensor
    before: Tensor
    phase: Tensor
    turn: Tensor
    tail: Tensor
    held: Tensor
    bend: Tensor
    turns: Tensor
    strength: Tensor


class SpectralVocoder:
    """Phase gradient heap integration behind the `Vocoder` interface.

    lookahead: frames from 1 to half a window's hops; by default one hop less than half a
    window, which sounds as good as the whole. It takes no random draws.

    Raises ValueError for an analysis or a lookahead that cannot be played.
    """

    head: Head = "fine"
    draws_per_frame = 0

    def __init__(self, analysis: Analysis, lookahead: int | None = None) -> None:
        most = analysis.window // 2 // analysis.hop
        half = analysis.window // 2
        if analysis.window % 2 or half < 2 or split_size(half)[1] != 1:
            raise ValueError(
                "window: expected an even number whose half is a product of twos and threes, "
                f"such as 1024 or 3072, got {analysis.window}"
            )
        if most < 2:
            raise ValueError(
                f"hop: expected at most a quarter of the window of {analysis.window}, "
                f"got {analysis.hop}"
            )
        if lookahead is None:
            lookahead = most - 1
        if not 1 <= lookahead <= most:
            raise ValueError(f"lookahead: expected 1 to {most} frames, got {lookahead}")
        self.analysis = analysis
        self.hop = analysis.hop
        self.lookahead = lookahead
        self._spread = Spread(analysis) if analysis.wide_bands else None
        self._plan = _plan(analysis, lookahead)
        self._tail = analysis.window - self._plan.first
        self._helpers = Helpers(MOST_CORES)

    def initial_state(self, batch: int) -> SpectralState:
        """The state of `batch` silent parts."""
        bins = self.analysis.bins
        silent = torch.full((batch, bins), QUIET, dtype=torch.float32)
        still = torch.zeros(batch, bins, dtype=torch.float64)
        tail = torch.zeros(batch, self._tail, dtype=torch.float64)
        held = torch.zeros(batch, KEYS, dtype=torch.bool)
        bend = torch.zeros(batch, dtype=torch.float64)
        keys = torch.zeros(batch, KEYS, dtype=torch.float64)
        return SpectralState(
            silent, silent.clone(), still, still.clone(), tail, held, bend, keys, keys.clone()
        )

    def step(
        self,
        frames: Tensor,
        state: SpectralState,
        draws: Tensor,
        pitches: Pitches | None = None,
    ) -> tuple[Tensor, SpectralState]:
        """Sound for the next frames; see `Vocoder.step`. Overwrites the state.

        frames (batch, n, bands); NaN counts as silence, and levels are clipped to the floor and
        `CEILING`. draws (batch, n, 0) is not read. pitches: bends are clipped to `MOST_BEND`;
        without any, no key is held, and the lowest keys lose some of their partials. Returns
        samples (batch, n * hop) float32. Raises ValueError for frames or pitches of another shape.
        """
        batch, bands = len(state.last), self.analysis.bands
        if frames.ndim != 3 or frames.shape[0] != batch or frames.shape[2] != bands:
            raise ValueError(
                f"frames: expected shape ({batch}, any number, {bands}), as (batch, frames, "
                f"bands), got {tuple(frames.shape)}"
            )
        return self.play(playable(frames), state, pitches), state

    def play(self, frames: Tensor, state: SpectralState, pitches: Pitches | None = None) -> Tensor:
        """`step` of frames that `playable` has returned, of the right shape."""
        batch, n, _ = frames.shape
        held, bend = _keys(pitches, batch, n)
        out = np.empty((batch, n * self.hop), np.float32)
        levels = frames.numpy()
        moments = [getattr(state, name).numpy() for name in _Moments._fields]

        def play_rows(rows: slice) -> None:
            bins = self._spread(levels[rows]) if self._spread else levels[rows]
            mine = _Moments(*(array[rows] for array in moments))
            _play_all(bins, held[rows], bend[rows], mine, self._plan, out[rows])

        self._helpers.share_rows(batch, play_rows)
        return torch.from_numpy(out)


def playable(frames: Tensor) -> Tensor:
    """Frames as the vocoders play them: contiguous, on the CPU, float32, NaN as silence and levels
    clipped to the floor and `CEILING`."""
    heard = frames.detach().to("cpu", torch.float32).nan_to_num(nan=QUIET)
    return heard.clamp(QUIET, CEILING).contiguous()


def _keys(pitches: Pitches | None, batch: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """held (batch, frames, 88) bool and bend (batch, frames) float64 of pitches."""
    if pitches is None:
        return np.zeros((batch, frames, KEYS), np.bool_), np.zeros((batch, frames))
    for name, tensor, shape in (
        ("held", pitches.held, (batch, frames, KEYS)),
        ("bend", pitches.bend, (batch, frames)),
    ):
        if tuple(tensor.shape) != shape:
            raise ValueError(f"pitches.{name}: expected shape {shape}, got {tuple(tensor.shape)}")
    held = pitches.held.to("cpu", torch.bool).contiguous()
    bend = pitches.bend.to("cpu", torch.float64).nan_to_num(nan=0).clamp(-MOST_BEND, MOST_BEND)
    return held.numpy(), bend.contiguous().numpy()


class _Moments(NamedTuple):
    """A `SpectralState`, as arrays that are views of it."""

    last: np.ndarray
    before: np.ndarray
    phase: np.ndarray
    turn: np.ndarray
    tail: np.ndarray
    held: np.ndarray
    bend: np.ndarray
    turns: np.ndarray
    strength: np.ndarray


class _Plan(NamedTuple):
    """Tables for `_play`. first: where in its window a piece of sound begins, samples.

    fade (window - first,): synthesis window times the scale of the magnitudes; gain (hop,):
    evens out the overlapping windows; radices, roots (window,): for `inverse_fft`; places (88,):
    bins, where the keys' fundamentals lie.
    """

    hop: int
    first: int
    fade: np.ndarray
    gain: np.ndarray
    radices: np.ndarray
    roots: np.ndarray
    places: np.ndarray


def _plan(analysis: Analysis, lookahead: int) -> _Plan:
    window, hop = analysis.window, analysis.hop
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    # A frame is given its phase one frame late, when sound before this is already out.
    first = window // 2 - (lookahead - 1) * hop
    fade = hann[first:].copy()
    fade[:hop] *= np.sin(np.pi / 2 * (np.arange(hop) + 0.5) / hop) ** 2
    overlap = fade * hann[first:]
    total = np.array([overlap[i::hop].sum() for i in range(hop)])
    roots = roots_of(window)
    radices, _ = split_size(window // 2)
    places = KEY_HERTZ * window / analysis.rate
    return _Plan(hop, first, fade * (hann.sum() / 2), 1 / total, np.array(radices), roots, places)


@njit(nogil=True, cache=True, error_model="numpy")
def _play_all(frames, held, bend, moments, plan, out):
    """Play each part, as `_play` does: all with the parts as their first dimension."""
    last, before, phase, turn, tail, last_held, last_bend, turns, strength = moments
    for row in range(frames.shape[0]):
        moment = (
            *(last[row], before[row], phase[row], turn[row], tail[row], last_held[row]),
            *(last_bend[row : row + 1], turns[row], strength[row]),
        )
        _play(frames[row], held[row], bend[row], moment, plan, out[row])


@njit(nogil=True, cache=True, error_model="numpy")
def _play(frames, held, bend, moment, plan, out):
    """Play one part: frames (n, bins) float32, held (n, 88) bool and bend (n,) float64 in, out
    (n * hop,) filled, the moment moved on."""
    last, before, phase, turn, tail, last_held, last_bend, turns, strength = moment
    hop, first, fade, gain, radices, roots, places = plan
    bins = last.size
    half = bins - 1
    now_turn, slope = np.empty(bins), np.empty(bins)
    ranked, following = np.empty(RANKS, np.int64), np.empty(2 * bins, np.int64)
    done = np.empty(bins, np.bool_)
    spectrum = np.empty(bins, np.complex128)
    packed, spare = np.empty(half, np.complex128), np.empty(half, np.complex128)
    for n in range(frames.shape[0]):
        if last.max() > SILENCE:
            turning(last, hop, now_turn)
            bending(before, frames[n], hop, slope)
            for m in range(bins):
                turn[m] = 0.5 * (turn[m] + now_turn[m])
            integrate(last, before, turn, slope, phase, ranked, following, done)
            copy(now_turn, turn)
            for m in range(bins):
                level = exp(last[m]) if last[m] > SILENCE else f32(0)
                along, across = cos_sin(phase[m])
                spectrum[m] = complex(level * along, level * across)
            one = hop / (2 * half)
            lay_partials(
                last, places, last_held, last_bend[0], one, turns, strength, spectrum, phase
            )
            piece = inverse_fft(spectrum, packed, spare, radices, roots)
            # Time zero is the window's centre, so its first half stands behind its second.
            samples = piece.view(np.float64)
            for i in range(half - first):
                tail[i] += fade[i] * samples[first + half + i]
            for i in range(half - first, fade.size):
                tail[i] += fade[i] * samples[i - half + first]
        else:
            strength[:] = 0
        for i in range(hop):
            out[n * hop + i] = tail[i] * gain[i]
        copy(tail[hop:], tail)
        tail[-hop:] = 0
        copy(last, before)
        copy(frames[n], last)
        copy(held[n], last_held)
        last_bend[0] = bend[n]
