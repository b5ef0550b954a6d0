"""Mel2Mel: a piano roll and a point in timbre space in, log spectra out.

The network of "Neural Music Synthesis for Flexible Timbre Control" (Kim et al., 2018): linear
176 -> 256, FiLM by the timbre embedding, BiLSTM of 256 per direction, FiLM over 512, linear
512 -> 80 mel bands. With ten instruments and a 2-D embedding that is 1,141,604 parameters.

Beside the mel head stands a fine head for the spectral vocoder: every bin of the spectrum, as
the key templates ask for it, corrected in the log by a linear layer. With templates the mel
head likewise corrects the mel bands of the fine spectrum instead of starting from nothing.

`forward` is the offline truth, `step` the same for a stream that may look `lookahead` frames
ahead. step works frame by frame, so that the size of a block cannot change a single bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from synth.bilstm import BiLSTM, Lookahead
from synth.keys import KEYS, KeyTracks, initial_keys, play_keys
from synth.mel import FLOOR, Analysis, mel_filters
from synth.template_mix import TemplateCache, initial_cache, mix_frame
from synth.templates import KeyTemplates

ROLL_CHANNELS = 2 * KEYS
QUIET = float(torch.tensor(FLOOR).log())


@dataclass(frozen=True, slots=True)
class Mel2MelConfig:
    """Sizes. fine: has the fine head; timbre_features: how many functions of the embedding
    shape the templates (0: no templates, the paper's plain layers)."""

    instruments: int = 10
    embedding: int = 2
    hidden: int = 256
    fine: bool = True
    timbre_features: int = 12
    analysis: Analysis = field(default_factory=Analysis)


@dataclass(frozen=True, slots=True)
class Spectra:
    """Natural-log magnitudes: mel (batch, frames, mels), fine (batch, frames, bins) or None."""

    mel: Tensor
    fine: Tensor | None


@dataclass(slots=True)
class Mel2MelState:
    """A stream's moment; batch is every tensor's first dimension.

    age: frames heard; roll, embedding, gates: the last lookahead + 1 frames of each (gates of
    both directions); h, c: the forward LSTM; keys_*: the keyboard; spectra_*: template cache.
    """

    age: Tensor
    roll: Tensor
    embedding: Tensor
    gates_forward: Tensor
    gates_backward: Tensor
    h: Tensor
    c: Tensor
    key_velocity: Tensor
    key_age: Tensor
    key_rest: Tensor
    cached_spectra: Tensor
    cached_for: Tensor


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
    templates as many as there are features, and stays smooth for morphing.
    """

    def __init__(self, embedding: int, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding, features)
        nn.init.normal_(self.linear.weight, std=2.0)
        nn.init.uniform_(self.linear.bias, -1.0, 1.0)

    def forward(self, embedding: Tensor) -> Tensor:
        return self.linear(embedding).tanh()


class Mel2Mel(nn.Module):
    """See the module's docstring; `instruments` holds the embeddings it was trained with."""

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
        self.fine = nn.Linear(2 * hidden, analysis.bins) if config.fine else None
        self.templates: KeyTemplates | None = None
        if config.timbre_features:
            if not config.fine:
                raise ValueError("timbre_features: key templates need the fine head")
            self.timbre = TimbreFeatures(config.embedding, config.timbre_features)
            self.templates = KeyTemplates(analysis, config.timbre_features)
            self.register_buffer("filters", mel_filters(analysis), persistent=False)
            for head in (self.mel, self.fine):
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)

    def forward(
        self,
        roll: Tensor,
        embedding: Tensor,
        lookahead: Lookahead,
        keys: KeyTracks | None = None,
    ) -> Spectra:
        """Spectra of whole rolls.

        roll (batch, frames, 176); embedding (batch, 1, n), one timbre for each sequence, or
        (batch, frames, n), which the templates take only without gradients; lookahead in
        frames, or None for the whole sequence, of all rows or of each; keys: what `play_keys`
        made of the roll, if it is already known.
        """
        silence = self.film_in(self.entry(torch.zeros_like(roll[:, :1])), embedding[:, -1:])
        x = self.film_in(self.entry(roll), embedding)
        hidden = self.film_out(self.lstm(x, lookahead, silence), embedding)
        if self.templates is None:
            return self._heads(hidden, None)
        if keys is None:
            keys, _ = play_keys(roll, initial_keys(len(roll)))
        if embedding.shape[1] == 1:
            start = self.templates(keys, self.timbre(embedding[:, 0]))
        else:
            start = self._mix_frames(keys, embedding)
        return self._heads(hidden, start)

    def initial_state(self, batch: int, lookahead: int) -> Mel2MelState:
        """The state of `batch` streams that have heard nothing; it fixes their lookahead."""
        queue, hidden = lookahead + 1, self.config.hidden
        keys = initial_keys(batch)
        cache = (
            initial_cache(batch, self.templates)
            if self.templates
            else TemplateCache(torch.zeros(batch, 0), torch.zeros(batch, 0))
        )
        return Mel2MelState(
            torch.zeros(batch, dtype=torch.long),
            torch.zeros(batch, queue, ROLL_CHANNELS),
            torch.zeros(batch, queue, self.config.embedding),
            torch.zeros(batch, queue, 4 * hidden),
            torch.zeros(batch, queue, 4 * hidden),
            torch.zeros(batch, hidden),
            torch.zeros(batch, hidden),
            keys.velocity,
            keys.age,
            keys.rest,
            cache.spectra,
            cache.made_for,
        )

    @torch.inference_mode()
    def step(self, roll: Tensor, embedding: Tensor, state: Mel2MelState) -> Spectra:
        """Spectra `lookahead` frames behind the input; `state` is moved on in place.

        roll (batch, n, 176), embedding (batch, n, size). A stream's first `lookahead` frames
        come out as silence: they belong to the time before it began.
        """
        made = [
            self._step_frame(roll[:, t].contiguous(), embedding[:, t].contiguous(), state)
            for t in range(roll.shape[1])
        ]
        fine = None if made[0].fine is None else torch.stack([m.fine for m in made], 1)
        return Spectra(torch.stack([m.mel for m in made], 1), fine)

    def _step_frame(self, roll: Tensor, embedding: Tensor, state: Mel2MelState) -> Spectra:
        x = self.film_in(self.entry(roll), embedding)
        for name, value in (
            ("roll", roll),
            ("embedding", embedding),
            ("gates_forward", self.lstm.gates(x, "forward")),
            ("gates_backward", self.lstm.gates(x, "backward")),
        ):
            queue = getattr(state, name)
            setattr(state, name, torch.cat([queue[:, 1:], value[:, None]], 1))
        lookahead = state.roll.shape[1] - 1
        begun = (state.age >= lookahead)[:, None]
        state.age += 1
        h, c = self.lstm.cell(state.gates_forward[:, 0].contiguous(), state.h, state.c, "forward")
        state.h, state.c = h * begun, c * begun
        back, memory = self.lstm.first_cell(state.gates_backward[:, lookahead].contiguous())
        for ahead in reversed(range(lookahead)):
            gates = state.gates_backward[:, ahead].contiguous()
            back, memory = self.lstm.cell(gates, back, memory, "backward")
        now = state.embedding[:, 0].contiguous()
        hidden = self.film_out(torch.cat([state.h, back], -1), now)
        spectra = self._heads(hidden, self._start_frame(now, state) if self.templates else None)
        quiet = torch.tensor(QUIET)
        fine = None if spectra.fine is None else spectra.fine.where(begun, quiet)
        return Spectra(spectra.mel.where(begun, quiet), fine)

    def _start_frame(self, embedding: Tensor, state: Mel2MelState) -> Tensor:
        """The templates' magnitudes of the frame that leaves the queue: (batch, bins)."""
        keys = KeyTracks(state.key_velocity, state.key_age, state.key_rest)
        now, keys = play_keys(state.roll[:, :1].contiguous(), keys)
        state.key_velocity, state.key_age, state.key_rest = keys.velocity, keys.age, keys.rest
        cache = TemplateCache(state.cached_spectra, state.cached_for)
        return mix_frame(self.templates, now.at((slice(None), 0)), self.timbre(embedding), cache)

    def _mix_frames(self, keys: KeyTracks, embedding: Tensor) -> Tensor:
        """The templates' magnitudes where the timbre moves from frame to frame."""
        features = self.timbre(embedding)
        cache = initial_cache(len(embedding), self.templates)
        frames = range(embedding.shape[1])
        mixed = [
            mix_frame(self.templates, keys.at((slice(None), t)), features[:, t], cache)
            for t in frames
        ]
        return torch.stack(mixed, 1)

    def _heads(self, hidden: Tensor, start: Tensor | None) -> Spectra:
        """Both heads; start: linear magnitudes that the templates ask for, if there are any."""
        mel = self.mel(hidden)
        if start is None:
            return Spectra(mel, self.fine(hidden) if self.fine is not None else None)
        fine = (start + FLOOR).log() + self.fine(hidden)
        # The exponential of a wild correction would blow the mel bands up: +2 is 17 dB over
        # full scale, more than any part reaches.
        bands = (fine.clamp(max=2.0).exp() @ self.filters + FLOOR).log()
        return Spectra(bands + mel, fine)
