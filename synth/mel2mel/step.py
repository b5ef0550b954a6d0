"""Mel2Mel for a stream, frame by frame: what `Mel2Mel.forward` says of the whole roll.

A frame is some 1.2 million multiply-adds, each with a weight of its own, so it takes as long as
weights take to arrive. PyTorch needed as long again to find its way through seventy small
operations, and at each let other threads have the interpreter. Here a compiled function does it
that does not hold the interpreter (block.py). Rows share each weight while it is near, and are
divided among the processor's cores; neither they nor the size of a block can change a bit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from common.threads import MOST_CORES, Helpers
from common.window import KEYS, ROLL_CHANNELS
from synth.dense import tiled
from synth.mel2mel.block import Said, Score, Streams, say_block
from synth.mel2mel.kernel import HeadWeights, HearingWeights
from synth.mel2mel.keys import initial_keys
from synth.mel2mel.network import Film, Mel2Mel, Spectra, place_of
from synth.mel2mel.template_mix import (
    Memory,
    TemplateCache,
    TemplateWeights,
    initial_cache,
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


TENSORS = tuple(f.name for f in fields(Mel2MelState) if f.name != "caches")


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
        places = (place_of(net.config, knob) for knob in ("attack", "decay", "movement"))
        self._places = np.array([-1 if place is None else place for place in places], np.int64)
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
        heads, size = self._heads, self._config.embedding
        embeddings = np.zeros((batch, n, size + self._slots), np.float32)
        embeddings[..., : embedding.shape[2]] = embedding.numpy()
        lateness = np.zeros((batch, n, KEYS), np.float32)
        if late is not None:
            lateness[:] = late.numpy()
        score = Score(roll.contiguous().numpy(), lateness, embeddings)
        # As addresses, since compiled code cannot be given a list of arrays without copying it.
        caches = [cache.places for cache in state.caches if cache is not None]
        moment = [getattr(state, name).numpy() for name in TENSORS]
        streams = Streams._make([*moment, np.array(caches, np.int64).reshape(-1, 3)])
        bands = self._config.analysis.bands if self._config.movement else 0
        told = len(heads.mel_bias), len(heads.fine_bias), bands, len(self._hearing.timbre)
        filled = [np.zeros((batch, n, width), np.float32) for width in told]
        said = Said._make([*filled, np.zeros((batch, n), np.float32)])

        def play_rows(rows: slice) -> None:
            """All frames of some of the rows."""
            say_block(
                *(self._hearing, self._templates, heads, self._places),
                Score._make(x[rows] for x in score),
                Streams._make(x[rows] for x in streams),
                Said._make(x[rows] for x in said),
            )

        self._helpers.share_rows(batch, play_rows)
        mel, fine = torch.from_numpy(said.mel), torch.from_numpy(said.fine)
        heard = Spectra(mel, fine if len(heads.fine_bias) else None)
        if self._memory is None:
            return heard
        moved = said.spread * (1 + said.movement[:, :, None])
        memory = self._memory(said.features)
        return replace(heard, spread=torch.from_numpy(moved), memory=torch.from_numpy(memory))


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
