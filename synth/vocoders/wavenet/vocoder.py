"""The WaveNet behind the vocoder interface: mel frames in, mu-law samples out, frame by frame.

A frame is upsampled to its 128 samples, which a sampler then draws in turn. The frame itself
and the one before it are all that it takes, so the sound runs no frames behind. A WaveNet with a
guide plays in guided.py, or in wide.py where the bank's rate is higher.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synth.mel import Analysis, Head
from synth.vocoders.contract import Pitches
from synth.vocoders.wavenet.conditioning import WaveNetState
from synth.vocoders.wavenet.drawing import Drawing, check_shapes, fetch, send
from synth.vocoders.wavenet.guided import GuidedVocoder
from synth.vocoders.wavenet.mulaw import CLASSES, decode
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.wide import WAVENET_RATE, WideVocoder


class WaveNetVocoder:
    """A trained WaveNet without a guide, on the CPU, that plays with the sampler of that name.

    Raises ValueError for a network with a guide, a name that no sampler has, or for what this
    machine lacks for it.
    """

    head: Head = "mel"
    lookahead = 0

    def __init__(self, wavenet: WaveNet, sampler: str) -> None:
        if wavenet.config.guide:
            raise ValueError("guide: expected a WaveNet without one, for it hears mel frames alone")
        self.drawing = Drawing(wavenet, sampler)
        self.sampler = sampler
        self.config = wavenet.config
        self.hop = self.draws_per_frame = wavenet.config.hop
        self._waves = decode(torch.arange(CLASSES)).to(self.drawing.device)

    def initial_state(self, batch: int) -> WaveNetState:
        """The state of `batch` silent parts."""
        return self.drawing.initial_state(batch)

    @torch.no_grad()
    def step(
        self,
        frames: Tensor,
        state: WaveNetState,
        draws: Tensor,
        pitches: Pitches | None = None,
    ) -> tuple[Tensor, WaveNetState]:
        """Sound for the next frames; see `Vocoder.step`. Overwrites the state.

        frames (batch, n, mels); draws (batch, n, hop) float32; pitches are not read. Returns
        samples (batch, n * hop) float32, on the CPU. Raises ValueError for other shapes.
        """
        batch, n = len(state.started), frames.shape[1]
        check_shapes(
            ("frames", frames, (batch, n, self.config.mels)),
            ("draws", draws, (batch, n, self.hop)),
        )
        draws = send(draws, self.drawing.device)
        conditioning = self.drawing.condition(frames, state)
        classes = self.drawing.draw(conditioning, state, draws.flatten(1))
        return fetch(self._waves[classes]), state


AnyWaveNetVocoder = WaveNetVocoder | GuidedVocoder | WideVocoder


def wavenet_vocoder(wavenet: WaveNet, sampler: str, analysis: Analysis) -> AnyWaveNetVocoder:
    """The vocoder that a WaveNet needs, for frames of that analysis; ValueError as theirs, and as
    `check_fits`."""
    check_fits(wavenet.config, analysis)
    if not wavenet.config.guide:
        return WaveNetVocoder(wavenet, sampler)
    kind = GuidedVocoder if analysis.rate == WAVENET_RATE else WideVocoder
    return kind(wavenet, sampler, analysis)


def check_fits(config: WaveNetConfig, analysis: Analysis) -> None:
    """Refuse, by ValueError, an analysis whose frames such a WaveNet cannot play."""
    kind, upsampling = "a wavenet", 1
    if config.guide:
        kind, upsampling = "a wavenet with a guide", analysis.rate // WAVENET_RATE
        if not upsampling or analysis.rate % WAVENET_RATE:
            raise ValueError(
                f"rate: expected a multiple of {WAVENET_RATE} for {kind}, got {analysis.rate}"
            )
        if upsampling == 1 and analysis.wide_bands:
            raise ValueError(
                f"wide_bands: expected 0 for {kind} at {WAVENET_RATE} Hz, got {analysis.wide_bands}"
            )
        if analysis.window % (2 * upsampling):
            raise ValueError(
                f"window: expected a multiple of {2 * upsampling} for {kind}, got {analysis.window}"
            )
    if analysis.hop != config.hop * upsampling:
        raise ValueError(f"hop: expected {config.hop * upsampling} for {kind}, got {analysis.hop}")
