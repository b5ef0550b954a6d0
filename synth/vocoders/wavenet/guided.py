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

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from synth.mel import FLOOR, Analysis, Head
from synth.rows import select_rows
from synth.vocoders.contract import Pitches
from synth.vocoders.spectral.vocoder import CEILING, SpectralState, SpectralVocoder
from synth.vocoders.wavenet.conditioning import WaveNetState
from synth.vocoders.wavenet.drawing import Drawing, check_shapes, fetch, send
from synth.vocoders.wavenet.levels import (
    QUIETEST,
    describe,
    frame_tables,
    to_classes,
    to_samples,
)
from synth.vocoders.wavenet.mulaw import CLASSES, SILENCE, decode
from synth.vocoders.wavenet.network import WaveNet
from synth.vocoders.wavenet.within import Within, WithinState


@dataclass(slots=True)
class GuidedState:
    """The moment of `batch` parts; what waits until the guide is known far enough, oldest first.

    mels (batch, lookahead - 1, mels) float32 and levels (batch, lookahead) float64: of frames;
    classes (batch, hop + config.guide) uint8 and guide (batch, hop) float32: of the guide, a hop as
    the WaveNet counts it.
    before_guide, before (batch,) float64: the guide's last sample, and the last that was drawn.
    drawn (batch,) float32: how much of the sound is drawn, where the rest is the guide; `FRESH`
    before the first hop.
    """

    wavenet: WaveNetState
    spectral: SpectralState
    mels: Tensor
    levels: Tensor
    classes: Tensor
    guide: Tensor
    before_guide: Tensor
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


class _Heard(NamedTuple):
    """What is known of some hops, whoever plays them: mels (batch, n, mels); classes (batch, n *
    hop + 2 * config.guide): of the guide; levels and guide as in `Told`."""

    mels: Tensor
    levels: Tensor
    classes: Tensor
    guide: Tensor


FRESH = -1.0
FADE_HOPS, BACK_HOPS = 1, 4
"""How long what is drawn takes to fade into its guide, and back: at first it is not of much use."""


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
        self._emphasis = float(config.emphasis)
        self._tables = frame_tables(analysis, self._emphasis)
        self._waves = decode(torch.arange(CLASSES)).numpy()
        self._within = Within(config.hop, analysis.rate, upsampling)
        self.drawn_behind = self._spectral.lookahead + 1
        self.lookahead = self.drawn_behind + self._within.lookahead

    def initial_state(self, batch: int) -> GuidedState:
        """The state of `batch` silent parts."""
        wait, config = self.drawn_behind, self.config
        return GuidedState(
            self.drawing.initial_state(batch),
            self._spectral.initial_state(batch),
            torch.full((batch, wait - 1, config.mels), math.log(FLOOR)),
            torch.full((batch, wait), QUIETEST, dtype=torch.float64),
            torch.full((batch, self.config.hop + config.guide), SILENCE, dtype=torch.uint8),
            torch.zeros(batch, self.config.hop),
            torch.zeros(batch, dtype=torch.float64),
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
        state.drawn[state.drawn == FRESH] = 0.0 if spared else 1.0
        if spared and not state.drawn.any():
            guide = sound = self._listen(frames, state, pitches).guide
        else:
            if not spared:
                self._begin_anew(state)
            sound, guide = self.draw(frames, state, draws, pitches)
            if spared or not (state.drawn == 1).all():
                sound = self._faded(
                    sound, guide, state, -1 / FADE_HOPS if spared else 1 / BACK_HOPS
                )
        played, state.within = self._within.step(guide, sound, state.within)
        return played, state

    def _begin_anew(self, state: GuidedState) -> None:
        """Let the WaveNet forget what it drew before it was left out."""
        rested = state.drawn == 0
        if rested.any():
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
        the other."""
        check_shapes(("draws", draws, (len(state.before), frames.shape[1], self.config.hop)))
        draws = send(draws, self.drawing.device)
        told = self.condition(frames, state, pitches)
        drawn = self.drawing.draw(told.conditioning, state.wavenet, draws.flatten(1))
        return self._sound(fetch(drawn.to(torch.uint8)), told.levels, state), told.guide

    def condition(self, frames: Tensor, state: GuidedState, pitches: Pitches | None = None) -> Told:
        """What is known of the hops to be drawn next. The state is moved on, but for the sampler's
        moment and what is played."""
        heard = self._listen(frames, state, pitches)
        told = self.drawing.condition(heard.mels, state.wavenet, heard.classes)
        return Told(told, heard.levels, heard.guide)

    def _listen(self, frames: Tensor, state: GuidedState, pitches: Pitches | None) -> _Heard:
        """What `condition` is made of. The state is moved on, but for the WaveNet's and what is
        played."""
        analysis, (batch, n) = self._spectral.analysis, (len(state.before), frames.shape[1])
        check_shapes(("frames", frames, (batch, n, analysis.bands)))
        heard = frames.detach().to("cpu", torch.float32)
        heard = heard.nan_to_num(nan=math.log(FLOOR)).clamp(math.log(FLOOR), CEILING).contiguous()
        guide, state.spectral = self._spectral.step(heard, state.spectral, heard[:, :, :0], pitches)
        mels, levels = self._describe(heard)
        mels, levels = torch.cat([state.mels, mels], 1), torch.cat([state.levels, levels], 1)
        # The guide's hops are one later than those to be drawn.
        classes = self._classes(guide, levels[:, 1 : n + 2], state)
        classes = torch.cat([state.classes, classes], 1)
        hops, reach = n * self.config.hop, 2 * self.config.guide
        state.mels, state.levels = mels[:, n:], levels[:, n:]
        state.classes = classes[:, hops:]
        sounds = torch.cat([state.guide, guide], 1)
        state.guide = sounds[:, hops:]
        return _Heard(mels[:, :n], levels[:, : n + 1], classes[:, : hops + reach], sounds[:, :hops])

    def _describe(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Mel bands (batch, n, mels) and levels (batch, n) of frames (batch, n, bins)."""
        mels = torch.empty(*frames.shape[:2], self.config.mels)
        levels = torch.empty(frames.shape[:2], dtype=torch.float64)
        for frame, mel, level in zip(frames, mels, levels, strict=True):
            describe(frame.numpy(), self._tables, mel.numpy(), level.numpy())
        return mels, levels

    def _classes(self, guide: Tensor, levels: Tensor, state: GuidedState) -> Tensor:
        """Of the guide's next samples (batch, n * hop); levels (batch, n + 1)."""
        classes = torch.empty(guide.shape, dtype=torch.uint8)
        before = state.before_guide.numpy()
        for row, (sound, out) in enumerate(zip(guide, classes, strict=True)):
            level = levels[row].numpy()
            to_classes(sound.numpy(), before[row], level, self._emphasis, out.numpy())
        if guide.shape[1]:
            state.before_guide = guide[:, -1].double()
        return classes

    def _sound(self, classes: Tensor, levels: Tensor, state: GuidedState) -> Tensor:
        """Samples (batch, n * hop) of the classes that were drawn; levels (batch, n + 1)."""
        sound = torch.empty(classes.shape)
        before = np.empty(len(classes))
        for row, (drawn, out) in enumerate(zip(classes, sound, strict=True)):
            level, last = levels[row].numpy(), float(state.before[row])
            before[row] = to_samples(
                drawn.numpy(), self._waves, last, level, self._emphasis, out.numpy()
            )
        state.before = torch.from_numpy(before)
        return sound
