"""The WaveNet behind the vocoder interface: mel frames in, mu-law samples out, frame by frame.

A frame is upsampled to its 128 samples, which a sampler then draws in turn. The frame itself
and the one before it are all that it takes, so the sound runs no frames behind. A WaveNet with a
guide plays in guided.py.
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
from synth.vocoders.wavenet.network import WaveNet


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


def wavenet_vocoder(
    wavenet: WaveNet, sampler: str, analysis: Analysis
) -> WaveNetVocoder | GuidedVocoder:
    """The vocoder that a WaveNet needs, for frames of that analysis; ValueError as theirs."""
    if wavenet.config.guide:
        return GuidedVocoder(wavenet, sampler, analysis)
    return WaveNetVocoder(wavenet, sampler)
