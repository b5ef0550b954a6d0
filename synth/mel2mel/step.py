"""Mel2Mel for a stream, frame by frame: what `Mel2Mel.forward` says of the whole roll.

A frame is some 1.2 million multiply-adds, each with a weight of its own, so it takes as long as
weights take to arrive. PyTorch needed as long again to find its way through seventy small
operations, and at each let other threads have the interpreter. Here few compiled functions do it,
none of which holds the interpreter. Rows share each weight while it is near, and are divided among
the processor's cores; neither they nor the size of a block can change a bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from common.threads import MOST_CORES, Helpers
from common.window import KEYS, ROLL_CHANNELS
from synth.dense import tiled
from synth.mel2mel.kernel import HeadWeights, HearingWeights, hear, hold_back, speak
from synth.mel2mel.keys import follow, initial_keys, play
from synth.mel2mel.network import Film, Mel2Mel, Spectra, place_of
from synth.mel2mel.template_mix import (
    Memory,
    Moment,
    TemplateCache,
    TemplateWeights,
    initial_cache,
    mix_frame,
    moment_of,
    pack_templates,
)


@dataclass(slots=True)
class Mel2MelState:
    """A stream's moment; batch is every tensor's first dimension.

    age: frames heard; roll, late, embedding, gates_*: rings of the last lookahead + 1 frames, frame
    t in slot t % (lookahead + 1), the gates before the LSTM's own share; h, c: the forward LSTM;
    key_*: the keyboard; lag: how late its latest onsets came; hidden: the features of the frame
    before; caches: each row's templates that stand ready, None without templates.
    """

    age: Tensor
    roll: Tensor
    late: Tensor
    embedding: Tensor
    gates_forward: Tensor
    gates_backward: Tensor
    h: Tensor
    c: Tensor
    key_velocity: Tensor
    key_age: Tensor
    key_rest: Tensor
    key_late: Tensor
    lag: Tensor
    hidden: Tensor
    caches: list[TemplateCache | None]


class Mel2MelStep:
    """A Mel2Mel on the CPU, with its weights as they are now, for streams that look `lookahead`
    frames ahead."""

    def __init__(self, net: Mel2Mel, lookahead: int) -> None:
        self.lookahead = lookahead
        self._config = net.config
        self._hearing = _pack_hearing(net)
        self._heads = _pack_heads(net)
        self._templates: TemplateWeights | None = None
        self._slots = 0
        if net.templates is not None:
            self._templates = pack_templates(net.templates)
            self._slots = len(self._templates.deep.power)
        self._places = [place_of(net.config, knob) for knob in ("attack", "decay", "movement")]
        self._helpers = Helpers(MOST_CORES)
        self._memory = Memory(net.templates) if net.templates and net.config.movement else None

    def initial_state(self, batch: int) -> Mel2MelState:
        """The state of `batch` streams that have heard nothing."""
        queue, hidden = self.lookahead + 1, self._config.hidden
        keys, templates = initial_keys(batch), self._templates
        return Mel2MelState(
            torch.zeros(batch, dtype=torch.long),
            torch.zeros(batch, queue, ROLL_CHANNELS),
            torch.zeros(batch, queue, KEYS),
            torch.zeros(batch, queue, self._config.embedding + self._slots),
            torch.zeros(batch, queue, 4 * hidden),
            torch.zeros(batch, queue, 4 * hidden),
            torch.zeros(batch, hidden),
            torch.zeros(batch, hidden),
            keys.velocity,
            keys.age,
            keys.rest,
            torch.zeros(batch, KEYS),
            torch.zeros(batch),
            torch.zeros(batch, 2 * hidden),
            [initial_cache(templates) if templates else None for _ in range(batch)],
        )

    def step(
        self, roll: Tensor, embedding: Tensor, state: Mel2MelState, late: Tensor | None = None
    ) -> Spectra:
        """Spectra `lookahead` frames behind the input; `state` is moved on in place.

        roll (batch, n, 176), embedding (batch, n, size), behind which the amounts of deep patches
        stand, or nothing where all are 0; late (batch, n, 88) of its onsets as `KeyTracks` has it,
        None for none, float32. A stream's first `lookahead`
        frames come out as silence: they belong to the time before it began.
        """
        batch, n, _ = roll.shape
        config, heads, size = self._config, self._heads, self._config.embedding
        rolls = roll.contiguous().numpy()
        embeddings = np.zeros((batch, n, size + self._slots), np.float32)
        embeddings[..., : embedding.shape[2]] = embedding.numpy()
        mel = np.empty((n, batch, len(heads.mel_bias)), np.float32)
        fine = np.empty((n, batch, len(heads.fine_bias)), np.float32)
        lateness = np.zeros((batch, n, KEYS), np.float32)
        if late is not None:
            lateness[:] = late.numpy()
        age = state.age.numpy()
        rings = (
            *(state.roll.numpy(), state.late.numpy(), state.embedding.numpy()),
            *(state.gates_forward.numpy(), state.gates_backward.numpy()),
        )
        recurrent = state.h.numpy(), state.c.numpy()
        lag_now, held_back = state.lag.numpy(), state.hidden.numpy()
        keyboard = moment_of(state.key_velocity, state.key_age, state.key_rest, state.key_late)
        bands = config.analysis.bands if config.movement else 0
        spread = np.zeros((n, batch, bands), np.float32)
        told = np.empty((n, batch, len(self._hearing.timbre)), np.float32)
        amount = np.ones((n, batch, 1), np.float32)

        def play_rows(rows: slice) -> None:
            """All frames of some of the rows."""
            mine, caches = age[rows], [c for c in state.caches[rows] if c is not None]
            ringing, moment = [r[rows] for r in rings], [x[rows] for x in recurrent]
            (velocity, since, rest, struck), count = (x[rows] for x in keyboard), len(mine)
            keys: Moment = velocity, since, rest, struck
            hidden = np.empty((count, 2 * config.hidden), np.float32)
            features = np.empty((count, told.shape[2]), np.float32)
            timbre = np.empty((count, told.shape[2] + self._slots), np.float32)
            due = np.empty((count, 1, ROLL_CHANNELS), np.float32)
            due_late = np.empty((count, 1, KEYS), np.float32)
            lag = np.empty((count, 1), np.float32)
            now: Moment = velocity.copy(), since.copy(), rest.copy(), struck.copy()
            start, turns = np.empty((count, 0), np.float32), np.zeros((count, 2), np.float32)
            score = rolls[rows], lateness[rows], embeddings[rows]
            for t in range(n):
                arguments = (*score, t, mine, *ringing, *moment, due, due_late, hidden, features)
                hear(self._hearing, *arguments)
                if self._templates is not None:
                    before = velocity.copy(), since.copy(), rest.copy(), struck.copy()
                    play(due, due_late, *keys, *(x[:, None] for x in now))
                    follow(due, due_late, lag_now[rows], lag)
                    hold_back(hidden, held_back[rows], lag[:, 0], mine == self.lookahead + 1)
                    point = ringing[2][np.arange(count), mine % (self.lookahead + 1)]
                    if config.knobs:
                        turns, amount[t, rows, 0] = self._turns(point)
                    timbre[:, : features.shape[1]] = features
                    timbre[:, features.shape[1] :] = point[:, size:].clip(0, 1)
                    moving = spread[t, rows]
                    start = mix_frame(self._templates, now, before, timbre, turns, caches, moving)
                    told[t, rows] = features
                speak(heads, hidden, start, mine, self.lookahead, mel[t, rows], fine[t, rows])

        self._helpers.share_rows(batch, play_rows)
        spectra = [torch.from_numpy(x).transpose(0, 1).contiguous() for x in (mel, fine)]
        heard = Spectra(spectra[0], spectra[1] if len(heads.fine_bias) else None)
        if self._memory is None:
            return heard
        moved = np.ascontiguousarray((spread * amount).swapaxes(0, 1))
        memory = np.ascontiguousarray(self._memory(told).T)
        return replace(heard, spread=torch.from_numpy(moved), memory=torch.from_numpy(memory))

    def _turns(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """At points (batch, n): attack and decay (batch, 2), and the factor of the movement
        (batch,)."""
        attack, decay, movement = (_turned(points, place) for place in self._places)
        return np.stack([attack, decay], 1), 1 + movement


def _turned(points: np.ndarray, place: int | None) -> np.ndarray:
    """How far the knob of that coordinate is turned at points (batch, n), as `turned` says it."""
    return points[:, 0] * np.float32(0) if place is None else points[:, place].clip(-1, 1)


def _pack_hearing(net: Mel2Mel) -> HearingWeights:
    lstm = net.lstm
    timbre = net.timbre.linear if net.templates is not None else None
    nothing = torch.zeros(0, net.config.embedding)
    parts = [
        *_arrays(net.entry.weight.T, net.entry.bias, *_film(net.film_in)),
        *_arrays(tiled(lstm.forward_w_in), lstm.forward_bias, tiled(lstm.forward_w_state)),
        *_arrays(tiled(lstm.backward_w_in), lstm.backward_bias, tiled(lstm.backward_w_state)),
        *_arrays(*_film(net.film_out)),
        *_arrays(*((timbre.weight, timbre.bias) if timbre else (nothing, torch.zeros(0)))),
    ]
    return HearingWeights._make([*parts, bool(net.config.blend)])


def _pack_heads(net: Mel2Mel) -> HeadWeights:
    fine = net.fine
    fine_weight, fine_bias = (
        (fine.weight, fine.bias) if fine else (net.mel.weight[:0], net.mel.bias[:0])
    )
    filters = net.filters.T if net.templates is not None else torch.zeros(net.mel.out_features, 0)
    heard = [torch.cat([row.nonzero()[:, 0], torch.zeros(1)]).long() for row in filters]
    spans = np.array([(int(at[0]), int(at.max()) + 1) for at in heard], np.int64)
    parts = _arrays(tiled(net.mel.weight), net.mel.bias, tiled(fine_weight), fine_bias, filters)
    floor = np.float32(net.config.start_floor)
    return HeadWeights._make([*parts, spans, floor])


def _film(film: Film) -> tuple[Tensor, Tensor]:
    return (
        torch.cat([film.gamma.weight, film.beta.weight]),
        torch.cat([film.gamma.bias, film.beta.bias]),
    )


def _arrays(*weights: Tensor) -> list[np.ndarray]:
    return [
        w.detach().float().clone(memory_format=torch.contiguous_format).numpy() for w in weights
    ]
