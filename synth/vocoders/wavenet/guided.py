"""A WaveNet with a guide behind the vocoder interface: fine frames in, samples out.

The spectral vocoder plays the frames first, and its sound is the guide. The WaveNet then draws
the hop of which it knows the guide `config.guide` samples ahead: one hop behind the guide, which
itself runs some frames behind. What it draws are classes of a domain of their own (levels.py),
whose levels, like the mel bands, come from the frames. What is played of them stays within the
guide's spectrum (within.py), two hops later.

Hop k lies between frames k and k + 1: its level goes from one's to the other's, and its
conditioning is upsampled from both. Before a stream's first frame all was silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from numba import njit
from torch import Tensor

from synth.mel import Analysis, Head
from synth.rows import select_rows
from synth.vocoders.contract import Pitches
from synth.vocoders.spectral.vocoder import SpectralState, SpectralVocoder, playable
from synth.vocoders.wavenet.conditioning import WaveNetState
from synth.vocoders.wavenet.drawing import Drawing, check_shapes, fetch, send
from synth.vocoders.wavenet.levels import to_samples
from synth.vocoders.wavenet.mulaw import CLASSES, decode
from synth.vocoders.wavenet.network import WaveNet
from synth.vocoders.wavenet.waiting import Heard, Waiting, WaitingState
from synth.vocoders.wavenet.within import Within, WithinState


@dataclass(slots=True)
class GuidedState:
    """The moment of `batch` parts.

    before (batch,) float64: the last sample that was drawn. drawn (batch,) float32: how much of the
    sound is drawn, where the rest is the guide; `FRESH` before the first hop.
    """

    wavenet: WaveNetState
    spectral: SpectralState
    waiting: WaitingState
    before: Tensor
    drawn: Tensor
    within: WithinState


class Told(NamedTuple):
    """What is known of some hops before they are drawn: conditioning (batch, n * hop, channels)
    float32, on the sampler's device; levels (batch, n + 1) float64, of the frames where they begin
    and end; guide (batch, n * hop) float32, the sound to be followed."""

    conditioning: Tensor
    levels: Tensor
    guide: Tensor


FRESH = -1.0
FADE_HOPS, BACK_HOPS = 1, 4
"""Hops in which the WaveNet's sound fades into the guide, and in which it fades in again: slower,
because a WaveNet that starts anew needs a few hops to find the guide."""


class GuidedVocoder:
    """A trained WaveNet with a guide, on the CPU, that plays with the sampler of that name.

    analysis: of the frames, at the rate at which samples are drawn; every bin is a band of its own.
    upsampling: how many samples are played for each that is drawn, the spectrum above left empty.
    Raises ValueError for a network without a guide, a name that no sampler has, for what this
    machine lacks for it, and for an analysis that does not fit.
    """

    head: Head = "fine"

    def __init__(
        self, wavenet: WaveNet, sampler: str, analysis: Analysis, upsampling: int = 1
    ) -> None:
        config = wavenet.config
        if not config.guide:
            raise ValueError("guide: expected a WaveNet with one, got 0")
        for name, got, wanted in (
            ("wide_bands", analysis.wide_bands, 0),
            ("hop", analysis.hop, config.hop),
            ("mels", analysis.mels, config.mels),
        ):
            if got != wanted:
                raise ValueError(f"{name}: expected {wanted} for this WaveNet, got {got}")
        self.drawing = Drawing(wavenet, sampler)
        self.sampler = sampler
        self.config = config
        self.hop, self.draws_per_frame = config.hop * upsampling, config.hop
        self._spectral = SpectralVocoder(analysis)
        self._waves = decode(torch.arange(CLASSES)).numpy()
        self._within = Within(config.hop, analysis.rate, upsampling)
        self.drawn_behind = self._spectral.lookahead + 1
        self._waiting = Waiting(config, analysis, self.drawn_behind)
        self.lookahead = self.drawn_behind + self._within.lookahead

    def initial_state(self, batch: int) -> GuidedState:
        """The state of `batch` silent parts."""
        return GuidedState(
            self.drawing.initial_state(batch),
            self._spectral.initial_state(batch),
            self._waiting.initial_state(batch),
            torch.zeros(batch, dtype=torch.float64),
            torch.full((batch,), FRESH),
            self._within.initial_state(batch),
        )

    @torch.no_grad()
    def step(
        self,
        frames: Tensor,
        state: GuidedState,
        draws: Tensor,
        pitches: Pitches | None = None,
    ) -> tuple[Tensor, GuidedState]:
        """Sound for the next frames; see `Vocoder.step`. Overwrites the state.

        frames (batch, n, bands); NaN counts as silence, and levels are clipped as the spectral
        vocoder clips them. draws (batch, n, draws_per_frame) float32; pitches are for the guide.
        Returns samples (batch, n * hop) float32, on the CPU. Raises ValueError for other shapes.
        """
        return self._step(frames, state, draws, pitches, spared=False)

    @torch.no_grad()
    def step_spared(
        self, frames: Tensor, state: GuidedState, draws: Tensor, pitches: Pitches | None = None
    ) -> tuple[Tensor, GuidedState]:
        """The same without the WaveNet: its guide is heard, which the spectral vocoder plays.

        The two may take turns at any hop: one fades into the other, and what is drawn stays within
        the guide's spectrum meanwhile.
        """
        return self._step(frames, state, draws, pitches, spared=True)

    def _step(
        self,
        frames: Tensor,
        state: GuidedState,
        draws: Tensor,
        pitches: Pitches | None,
        spared: bool,
    ) -> tuple[Tensor, GuidedState]:
        rows, n, bands = len(state.before), frames.shape[1], self._spectral.analysis.bands
        check_shapes(
            ("frames", frames, (rows, n, bands)), ("draws", draws, (rows, n, self.config.hop))
        )
        share = state.drawn.numpy()
        share[share == FRESH] = 0.0 if spared else 1.0
        if spared and not share.any():
            guide = sound = self._listen(frames, state, pitches).guide
        else:
            if not spared and (share == 0).any():
                self._begin_anew(state)
            sound, guide = self.draw(frames, state, draws, pitches)
            if spared or (share != 1).any():
                sound = self._faded(
                    sound, guide, state, -1 / FADE_HOPS if spared else 1 / BACK_HOPS
                )
        return self._within.step(guide, sound, state.within), state

    def _begin_anew(self, state: GuidedState) -> None:
        """Let the WaveNet forget what it drew before it was left out."""
        rested = state.drawn == 0
        count, fresh = len(rested), self.drawing.initial_state(int(rested.sum()))
        kept = [None if rested[row] else row for row in range(count)]
        state.wavenet = select_rows(state.wavenet, fresh, kept)
        state.before[rested] = 0

    def _faded(self, sound: Tensor, guide: Tensor, state: GuidedState, more: float) -> Tensor:
        """What is drawn within what is played; more: by how much of it grows each hop."""
        hops = torch.arange(1, sound.shape[1] + 1) / self.config.hop
        way = (state.drawn[:, None] + more * hops).clamp(0, 1)
        if sound.shape[1]:
            state.drawn = way[:, -1].clone()
        return torch.where(way == 1, sound, guide + way * (sound - guide))

    def draw(
        self, frames: Tensor, state: GuidedState, draws: Tensor, pitches: Pitches | None
    ) -> tuple[Tensor, Tensor]:
        """What the WaveNet draws, `drawn_behind` frames before these, and its guide: (batch,
        n * config.hop) float32 on the CPU. Moves the state on, but for what keeps the one within
        the other. Shapes are those that `step` checks."""
        draws = send(draws, self.drawing.device)
        told = self.condition(frames, state, pitches)
        drawn = self.drawing.draw(told.conditioning, state.wavenet, draws.flatten(1))
        return self._sound(fetch(drawn.to(torch.uint8)), told.levels, state), told.guide

    def condition(self, frames: Tensor, state: GuidedState, pitches: Pitches | None = None) -> Told:
        """What is known of the hops to be drawn next. The state is moved on, but for the sampler's
        moment and what is played. Shapes are those that `step` checks."""
        heard = self._listen(frames, state, pitches)
        told = self.drawing.condition(heard.mels, state.wavenet, heard.classes)
        return Told(told, heard.levels, heard.guide)

    def _listen(self, frames: Tensor, state: GuidedState, pitches: Pitches | None) -> Heard:
        """What `condition` is made of. The state is moved on, but for the WaveNet's and what is
        played."""
        heard = playable(frames)
        guide = self._spectral.play(heard, state.spectral, pitches)
        return self._waiting.step(heard, guide, state.waiting)

    def _sound(self, classes: Tensor, levels: Tensor, state: GuidedState) -> Tensor:
        """Samples (batch, n * hop) of the classes that were drawn; levels (batch, n + 1)."""
        sound, emphasis = torch.empty(classes.shape), float(self.config.emphasis)
        arrays = (x.numpy() for x in (classes, levels, state.before, sound))
        _to_samples(self._waves, emphasis, *arrays)
        return sound


@njit(nogil=True, cache=True, error_model="numpy")
def _to_samples(waves, emphasis, classes, levels, before, sound):
    """`to_samples` row by row; before (rows,) is moved on."""
    for row in range(len(classes)):
        before[row] = to_samples(
            classes[row], waves, before[row], levels[row], emphasis, sound[row]
        )
