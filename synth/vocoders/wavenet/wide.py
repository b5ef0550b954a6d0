"""A WaveNet with a guide in a bank of three times its rate: it plays the band below 8 kHz.

The bank's fine bands below 8 kHz are the very bins that the WaveNet hears at 16 kHz, for both
windows last as long. What it plays of them comes out at the bank's rate with nothing above 8 kHz
(within.py). The band above is played by the spectral vocoder, as it always is there (spread.py),
with silence below. It waits for the WaveNet, which runs further behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synth.mel import SINGLE_HZ, Analysis, Head
from synth.vocoders.contract import Pitches
from synth.vocoders.spectral.spread import Spread
from synth.vocoders.spectral.vocoder import QUIET, SpectralState, SpectralVocoder, playable
from synth.vocoders.wavenet.drawing import check_shapes
from synth.vocoders.wavenet.guided import GuidedState, GuidedVocoder
from synth.vocoders.wavenet.network import WaveNet

WAVENET_RATE = 2 * SINGLE_HZ
"""Samples a second that a WaveNet draws."""


@dataclass(slots=True)
class WideState:
    """The moment of `batch` parts. low: of the band below 8 kHz, high: of the band above, whose
    sound waits in waiting (batch, samples) float32."""

    low: GuidedState
    high: SpectralState
    waiting: Tensor


class WideVocoder:
    """A trained WaveNet with a guide, on the CPU, that plays with the sampler of that name.

    analysis: of the bank's frames; rate, hop and window are the same multiple of those at 16 kHz.
    Raises ValueError as `GuidedVocoder` does.
    """

    head: Head = "fine"

    def __init__(self, wavenet: WaveNet, sampler: str, analysis: Analysis) -> None:
        self.analysis, self.sampler, self.config = analysis, sampler, wavenet.config
        upsampling = analysis.rate // WAVENET_RATE
        low = replace(
            analysis,
            rate=WAVENET_RATE,
            hop=analysis.hop // upsampling,
            window=analysis.window // upsampling,
            wide_bands=0,
        )
        self._low = GuidedVocoder(wavenet, sampler, low, upsampling)
        self._high = SpectralVocoder(replace(analysis, wide_bands=0))
        self._spread = Spread(analysis) if analysis.wide_bands else None
        self._cut = low.bins - 1
        self.drawing = self._low.drawing
        self.hop, self.draws_per_frame = analysis.hop, self._low.draws_per_frame
        self.lookahead = self._low.lookahead
        self._wait = (self._low.lookahead - self._high.lookahead) * self.hop

    def initial_state(self, batch: int) -> WideState:
        """The state of `batch` silent parts."""
        waiting = torch.zeros(batch, self._wait)
        return WideState(self._low.initial_state(batch), self._high.initial_state(batch), waiting)

    @torch.no_grad()
    def step(
        self,
        frames: Tensor,
        state: WideState,
        draws: Tensor,
        pitches: Pitches | None = None,
    ) -> tuple[Tensor, WideState]:
        """Sound for the next frames; see `Vocoder.step`. Overwrites the state.

        frames (batch, n, bands), as `GuidedVocoder` takes them; draws (batch, n, draws_per_frame)
        float32; pitches are for the guide. Returns samples (batch, n * hop) float32, on the CPU.
        Raises ValueError for other shapes.
        """
        return self._step(self._low.step, frames, state, draws, pitches)

    @torch.no_grad()
    def step_spared(
        self, frames: Tensor, state: WideState, draws: Tensor, pitches: Pitches | None = None
    ) -> tuple[Tensor, WideState]:
        """The same without the WaveNet, as `GuidedVocoder.step_spared`."""
        return self._step(self._low.step_spared, frames, state, draws, pitches)

    def _step(
        self,
        step_low: Callable[..., tuple[Tensor, GuidedState]],
        frames: Tensor,
        state: WideState,
        draws: Tensor,
        pitches: Pitches | None,
    ) -> tuple[Tensor, WideState]:
        batch, n = len(state.waiting), frames.shape[1]
        check_shapes(("frames", frames, (batch, n, self.analysis.bands)))
        heard = playable(frames)
        # At 8 kHz itself a bank's bin is half of the band above: silent for the WaveNet.
        below = heard[..., : self._cut + 1].clone()
        below[..., -1] = QUIET
        low, state.low = step_low(below, state.low, draws, pitches)
        high = self._high.play(self._above(heard), state.high)
        high = torch.cat([state.waiting, high], 1)
        state.waiting = high[:, n * self.hop :].clone()
        return low + high[:, : n * self.hop], state

    def _above(self, heard: Tensor) -> Tensor:
        """Bins (batch, n, bins) of fine bands (batch, n, bands), without those below 8 kHz."""
        spread = self._spread
        bins = heard.clone() if spread is None else torch.from_numpy(spread(heard.numpy()))
        bins[..., : self._cut] = QUIET
        return bins
