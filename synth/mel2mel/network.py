"""Mel2Mel: a piano roll and a point in timbre space in, log spectra out.

The network of "Neural Music Synthesis for Flexible Timbre Control" (Kim et al., 2018): linear
176 -> 256, FiLM by the timbre embedding, BiLSTM of 256 per direction, FiLM over 512, linear
512 -> 80 mel bands. With ten instruments and a 2-D embedding that is 1,141,604 parameters.

Beside the mel head stands a fine head for the spectral vocoder: every fine band (`mel.py`), as
the key templates ask for it, corrected in the log by a linear layer. With templates the mel
head likewise corrects the mel bands of the fine spectrum instead of starting from nothing.

`forward` is the offline truth; step.py is the same for a stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.window import ROLL_CHANNELS
from synth.mel import FLOOR, Analysis, band_filters
from synth.mel2mel.bilstm import BiLSTM, Lookahead
from synth.mel2mel.keys import KeyTracks, initial_keys, lags, play_keys
from synth.mel2mel.template_mix import initial_cache, mix_frame, moment_of, pack_templates
from synth.mel2mel.templates import KeyTemplates

QUIET = float(torch.tensor(FLOOR).log())
KNOBS = ("brightness", "movement", "attack", "decay", "body", "air")
"""What coordinates behind an embedding turn, in their order (`knobs.py`)."""


@dataclass(frozen=True, slots=True)
class Mel2MelConfig:
    """Sizes. fine: has the fine head; timbre_features: how many functions of the embedding
    shape the templates (0: no templates, the paper's plain layers); decay_bands: bands in which
    held keys fade at rates of their own (0: what they are after four seconds holds); blend: 1 where
    the functions are shares of sum 1 and templates have levels, 0 as in older banks; movement: 1
    where templates say how far bands move about their levels, which takes decay bands; knobs: how
    many of the embedding's coordinates, the last ones, are the first of `KNOBS`; basis: how many
    spectra those of each key are mixed of, 0 where each function of the timbre has its own."""

    instruments: int = 10
    embedding: int = 2
    hidden: int = 256
    fine: bool = True
    timbre_features: int = 12
    decay_bands: int = 0
    blend: int = 0
    movement: int = 0
    knobs: int = 0
    basis: int = 0
    analysis: Analysis = field(default_factory=Analysis)

    @property
    def start_floor(self) -> float:
        """Added to the templates' magnitudes. They hold that of silence already, and in older
        banks, without decay bands, twice."""
        return 0.0 if self.decay_bands else FLOOR


@dataclass(frozen=True, slots=True)
class Spectra:
    """Natural-log magnitudes: mel (batch, frames, mels), fine (batch, frames, bands) or None.

    correction (batch, frames, bands): what the network has added to what its templates ask for;
    None without templates, and in streams. spread (batch, frames, bands), natural log, and
    memory (batch, frames), frames: how fine bands move, as `movement.py` takes it; None where
    they stand still.
    """

    mel: Tensor
    fine: Tensor | None
    correction: Tensor | None = None
    spread: Tensor | None = None
    memory: Tensor | None = None


def config_of(stated: Mapping[str, Any]) -> Mel2MelConfig:
    """A config as weights state it beside them."""
    # Some weights state an amount, always 0, which is one of the knobs now.
    told = {name: value for name, value in stated.items() if name != "amount"}
    return Mel2MelConfig(**told | {"analysis": Analysis(**stated["analysis"])})


def place_of(config: Mel2MelConfig, knob: str) -> int | None:
    """Which coordinate says how far a knob is turned; None where there is no such knob."""
    number = KNOBS.index(knob)
    return config.embedding - config.knobs + number if number < config.knobs else None


def turned(config: Mel2MelConfig, embedding: Tensor, knob: str) -> Tensor:
    """How far a knob is turned at points (..., n): -1..1, 0 where there is none."""
    place = place_of(config, knob)
    if place is None:
        return embedding.new_zeros(embedding.shape[:-1])
    return embedding[..., place].clamp(-1, 1)


def turns_of_keys(config: Mel2MelConfig, embedding: Tensor) -> Tensor:
    """How far the knobs are turned that templates heed, at points (..., n): (..., 2),
    attack and decay."""
    return torch.stack([turned(config, embedding, knob) for knob in ("attack", "decay")], -1)


class Film(nn.Module):
    """Feature-wise linear modulation: x * gamma + beta, both linear in the embedding."""

    def __init__(self, embedding: int, features: int) -> None:
        super().__init__()
        self.gamma = nn.Linear(embedding, features)
        self.beta = nn.Linear(embedding, features)
        nn.init.ones_(self.gamma.bias)
        nn.init.zeros_(self.beta.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return x * self.gamma(embedding) + self.beta(embedding)


class TimbreFeatures(nn.Module):
    """Smooth functions of the embedding: ten instruments differ in more ways than two.

    Linear in a 2-D embedding, spectra could span two directions only; tanh(A e + b) gives the
    templates as many as there are features, and stays smooth for morphing. Where timbres blend
    it is the softmax: shares of sum 1, so that what is linear in them stays between what it is at
    the corners, however far away a point lies.
    """

    def __init__(self, embedding: int, features: int, blend: bool) -> None:
        super().__init__()
        self.blend = blend
        self.linear = nn.Linear(embedding, features)
        nn.init.normal_(self.linear.weight, std=2.0)
        nn.init.uniform_(self.linear.bias, -1.0, 1.0)

    def forward(self, embedding: Tensor) -> Tensor:
        told = self.linear(embedding)
        return told.softmax(-1) if self.blend else told.tanh()


class Mel2Mel(nn.Module):
    """See the module's docstring; `instruments` holds the embeddings it was trained with."""

    filters: Tensor

    def __init__(self, config: Mel2MelConfig) -> None:
        super().__init__()
        self.config = config
        analysis, hidden = config.analysis, config.hidden
        self.instruments = nn.Embedding(config.instruments, config.embedding)
        self.entry = nn.Linear(ROLL_CHANNELS, hidden)
        self.film_in = Film(config.embedding, hidden)
        self.lstm = BiLSTM(hidden, hidden)
        self.film_out = Film(config.embedding, 2 * hidden)
        self.mel = nn.Linear(2 * hidden, analysis.mels)
        self.fine = nn.Linear(2 * hidden, analysis.bands) if config.fine else None
        self.templates: KeyTemplates | None = None
        if config.timbre_features:
            if not config.fine:
                raise ValueError("timbre_features: key templates need the fine head")
            blend, features = bool(config.blend), config.timbre_features
            self.timbre = TimbreFeatures(config.embedding, features, blend)
            moving = bool(config.movement)
            self.templates = KeyTemplates(
                analysis, features, config.decay_bands, blend, moving, config.basis
            )
            self.register_buffer("filters", band_filters(analysis), persistent=False)
            for head in (self.mel, self.fine):
                if head is not None:
                    nn.init.zeros_(head.weight)
                    nn.init.zeros_(head.bias)

    def forward(
        self,
        roll: Tensor,
        embedding: Tensor,
        lookahead: Lookahead,
        keys: KeyTracks | None = None,
        late: Tensor | None = None,
    ) -> Spectra:
        """Spectra of whole rolls.

        roll (batch, frames, 176); embedding (batch, 1, n), one timbre for each sequence, or
        (batch, frames, n), which the templates take only without gradients, and behind it, where
        the templates have tables of deep patches, maybe their amounts; lookahead in frames, or
        None for the whole sequence, of all rows or of each; keys: what `play_keys` made of the
        roll, if it is already known; late (batch, frames, 88): of its onsets, as
        `play_keys` takes it.
        """
        embedding, amounts = self._parted(embedding)
        silence = self.film_in(self.entry(torch.zeros_like(roll[:, :1])), embedding[:, -1:])
        x = self.film_in(self.entry(roll), embedding)
        hidden = self.film_out(self.lstm(x, lookahead, silence), embedding)
        if self.templates is None:
            return self._heads(hidden, None)
        if late is not None:
            # What corrects a key's attack is to come with it.
            before = torch.cat([hidden[:, :1], hidden[:, :-1]], 1)
            hidden = torch.lerp(hidden, before, lags(roll, late)[..., None])
        if keys is None:
            keys, _ = play_keys(roll, initial_keys(len(roll)), late)
            # Whole ages are cheaper, and the same.
            keys = keys if late is not None else replace(keys, late=None)
        features = self.timbre(embedding)
        if amounts is not None:
            features = torch.cat([features, amounts], -1)
        spread = None
        if embedding.shape[1] == 1:
            turns = turns_of_keys(self.config, embedding[:, 0])
            start = self.templates(keys, features[:, 0], turns)
            if self.config.movement:
                spread = self.templates.spreads(keys, features[:, 0], turns)
        else:
            turns = turns_of_keys(self.config, embedding).detach()
            start, spread = self._mix_frames(self.templates, keys, features.detach(), turns)
        spectra = self._heads(hidden, start)
        if spread is None:
            return spectra
        amount = 1 + turned(self.config, embedding, "movement")
        memory = self.templates.memory_frames(features).expand(-1, keys.age.shape[1])
        return replace(spectra, spread=spread * amount[..., None], memory=memory)

    def _parted(self, embedding: Tensor) -> tuple[Tensor, Tensor | None]:
        """Points (..., n) and the amounts (..., slots) of deep patches behind them, 0..1; None
        where all are 0."""
        if embedding.shape[-1] == self.config.embedding:
            return embedding, None
        point, amounts = embedding.tensor_split([self.config.embedding], -1)
        if not amounts.any():
            return point.contiguous(), None
        return point.contiguous(), amounts.clamp(0, 1)

    def _mix_frames(
        self, templates: KeyTemplates, keys: KeyTracks, timbre: Tensor, turns: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The templates' magnitudes, and spreads if they move, where the timbre (batch, frames, n)
        and the turns (batch, frames, 2) change from frame to frame."""
        weights = pack_templates(templates)
        # Tables of deep patches, and their amounts where any is not 0.
        slots = len(weights.deep.power)
        missing = templates.features + slots - timbre.shape[-1]
        timbre = nn.functional.pad(timbre, (0, missing))
        caches = [initial_cache(weights) for _ in timbre]
        late = torch.zeros_like(keys.velocity) if keys.late is None else keys.late
        score = (keys.velocity, keys.age, keys.rest, late, timbre, turns)
        bands = self.config.analysis.bands if self.config.movement else 0
        spread = np.zeros((timbre.shape[1], len(timbre), bands), np.float32)
        made: list[np.ndarray] = []
        untouched = initial_keys(len(timbre))
        before = (untouched.velocity, untouched.age, untouched.rest, late[:, 0])
        last = moment_of(*before)
        for t, moved in enumerate(spread):
            *keys_now, features, turn = (x[:, t].contiguous() for x in score)
            now = moment_of(*keys_now)
            made.append(
                mix_frame(weights, now, last, features.numpy(), turn.numpy(), caches, moved)
            )
            last = now
        spreads = torch.from_numpy(spread).transpose(0, 1) if bands else None
        return torch.from_numpy(np.stack(made, 1)), spreads

    def _heads(self, hidden: Tensor, start: Tensor | None) -> Spectra:
        """Both heads; start: linear magnitudes that the templates ask for, if there are any."""
        mel = self.mel(hidden)
        correction = self.fine(hidden) if self.fine is not None else None
        if start is None or correction is None:
            return Spectra(mel, correction)
        bands, fine = self.corrected(start, correction, mel)
        return Spectra(bands, fine, correction)

    def corrected(
        self, start: Tensor, correction: Tensor, mel_correction: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log mel bands (..., mels) and fine bands (..., bands) of what templates ask for, linear,
        and what the heads add to it in the log."""
        fine = (start + self.config.start_floor).log() + correction
        # The exponential of a wild correction would blow the mel bands up: +2 is 17 dB over
        # full scale, more than any part reaches.
        bands = (fine.clamp(max=2.0).exp() @ self.filters + FLOOR).log()
        return bands + mel_correction, fine
