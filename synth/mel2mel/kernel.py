"""The compiled half of step.py: from a roll's frame to hidden features, and to both heads.

What limits a core is fetching every weight anew for every frame, so each is used for all rows
while it is near. A row's sums are made in the same order whatever stands beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from synth.copying import copy
from synth.dense import add_product
from synth.exponential import exp
from synth.mel import FLOOR
from synth.mel2mel.network import QUIET

f32 = np.float32
LOUDEST = f32(2)
"""Fine bands are clipped to it before they make mel bands, as in `Mel2Mel`."""


class HearingWeights(NamedTuple):
    """What makes of a roll the hidden features. Matrices are as `tiled` lays them, but for entry
    (176, hidden), since few keys sound at once, and those of the embedding: film_*, gamma and beta,
    (2 * outputs, inputs), and timbre (outputs, inputs), which has no rows where there are no
    templates; blend: whether its functions are shares."""

    entry: np.ndarray
    entry_bias: np.ndarray
    film_in: np.ndarray
    film_in_bias: np.ndarray
    forward_in: np.ndarray
    forward_bias: np.ndarray
    forward_state: np.ndarray
    backward_in: np.ndarray
    backward_bias: np.ndarray
    backward_state: np.ndarray
    film_out: np.ndarray
    film_out_bias: np.ndarray
    timbre: np.ndarray
    timbre_bias: np.ndarray
    blend: bool


class HeadWeights(NamedTuple):
    """Both heads, as `tiled` lays them; fine has no outputs where there is none. filters (mels,
    bands), and the first band and the one after the last that each hears: (mels, 2). floor: added
    to what the templates ask for."""

    mel: np.ndarray
    mel_bias: np.ndarray
    fine: np.ndarray
    fine_bias: np.ndarray
    filters: np.ndarray
    spans: np.ndarray
    floor: np.float32


compiled = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nnan", "nsz"}
)


@compiled
def hear(
    w,
    rolls,
    lateness,
    embeddings,
    t,
    age,
    roll,
    late,
    embedding,
    gates_forward,
    gates_backward,
    h,
    c,
    due,
    due_late,
    hidden,
    features,
):
    """Frame t of the block into the rings, and of the frame that is due: due (batch, 1, 176) and
    due_late (batch, 1, 88) of its roll, hidden (batch, 2 * hidden), features (batch, n) of its
    timbre. age counts it."""
    batch, queue, channels = roll.shape
    lookahead, size = queue - 1, h.shape[1]
    x = np.empty((batch, size), np.float32)
    gates = np.empty((batch, 4 * size), np.float32)
    for b in range(batch):
        slot = age[b] % queue
        copy(rolls[b, t], roll[b, slot])
        copy(embeddings[b, t], embedding[b, slot])
        copy(lateness[b, t], late[b, slot])
        copy(w.entry_bias, x[b])
        for channel in range(channels):
            level = rolls[b, t, channel]
            if level != 0:
                for i in range(size):
                    x[b, i] += level * w.entry[channel, i]
        _modulate(w.film_in, w.film_in_bias, embeddings[b, t], x[b])
        copy(w.forward_bias, gates[b])
    add_product(w.forward_in, x, gates)
    for b in range(batch):
        copy(gates[b], gates_forward[b, age[b] % queue])
        copy(w.backward_bias, gates[b])
    add_product(w.backward_in, x, gates)
    for b in range(batch):
        copy(gates[b], gates_backward[b, age[b] % queue])
        age[b] += 1
        copy(gates_forward[b, age[b] % queue], gates[b])
    add_product(w.forward_state, h, gates)
    for b in range(batch):
        # What came before a stream began leaves no trace.
        if age[b] > lookahead:
            _advance(gates[b], h[b], c[b])
    back, memory = np.zeros((batch, size), np.float32), np.zeros((batch, size), np.float32)
    for ahead in range(lookahead, -1, -1):
        for b in range(batch):
            copy(gates_backward[b, (age[b] + ahead) % queue], gates[b])
        if ahead < lookahead:
            add_product(w.backward_state, back, gates)
        for b in range(batch):
            _advance(gates[b], back[b], memory[b])
    for b in range(batch):
        slot = age[b] % queue
        copy(roll[b, slot], due[b, 0])
        copy(late[b, slot], due_late[b, 0])
        copy(h[b], hidden[b])
        copy(back[b], hidden[b, size:])
        _modulate(w.film_out, w.film_out_bias, embedding[b, slot], hidden[b])
        for i in range(features.shape[1]):
            total = w.timbre_bias[i]
            for m in range(w.timbre.shape[1]):
                total += w.timbre[i, m] * embedding[b, slot, m]
            features[b, i] = total if w.blend else np.tanh(total)
        if w.blend:
            _into_shares(features[b])


@compiled
def hold_back(hidden, before, lag, begins):
    """Hidden features (batch, 2 * hidden) as they were a part of a frame ago, in place.

    before: those of the last frame, whose place these take; lag (batch,) in 0..1; begins
    (batch,) bool: there was no last frame.
    """
    for b in range(len(hidden)):
        for i in range(hidden.shape[1]):
            now = hidden[b, i]
            if lag[b] > 0 and not begins[b]:
                hidden[b, i] += lag[b] * (before[b, i] - now)
            before[b, i] = now


@compiled
def speak(w, hidden, start, age, lookahead, mel, fine):
    """Both heads, as `Mel2Mel` has them: mel (batch, mels), fine (batch, bands); start (batch,
    bands): magnitudes that the templates ask for, or no bands."""
    batch, bands = start.shape
    linear = np.empty(bands, np.float32)
    for b in range(batch):
        copy(w.mel_bias, mel[b])
        copy(w.fine_bias, fine[b])
    add_product(w.mel, hidden, mel)
    add_product(w.fine, hidden, fine)
    for b in range(batch):
        for f in range(bands):
            fine[b, f] += np.log(start[b, f] + w.floor)
            linear[f] = exp(min(fine[b, f], LOUDEST))
        if bands:
            for m in range(w.mel_bias.size):
                total = f32(FLOOR)
                for f in range(w.spans[m, 0], w.spans[m, 1]):
                    total += w.filters[m, f] * linear[f]
                mel[b, m] += np.log(total)
        if age[b] <= lookahead:
            mel[b], fine[b] = f32(QUIET), f32(QUIET)


@compiled
def _modulate(film, bias, embedding, x):
    """x = x * gamma + beta, as `Film` has it."""
    size = x.size
    for i in range(size):
        gamma, beta = bias[i], bias[size + i]
        # Behind the embedding may stand what only templates heed.
        for m in range(film.shape[1]):
            gamma += film[i, m] * embedding[m]
            beta += film[size + i, m] * embedding[m]
        x[i] = x[i] * gamma + beta


@compiled
def _into_shares(logits):
    """The softmax of some numbers, in their place."""
    highest, total = logits.max(), f32(0)
    for i in range(logits.size):
        logits[i] = exp(logits[i] - highest)
        total += logits[i]
    for i in range(logits.size):
        logits[i] /= total


@compiled
def _advance(gates, h, c):
    """One frame of an LSTM: gates in, forget, cell, out (4 * size); h and c are moved on."""
    size = h.size
    for i in range(size):
        taken = _sigmoid(gates[i]) * _tanh(gates[2 * size + i])
        c[i] = _sigmoid(gates[size + i]) * c[i] + taken
        h[i] = _sigmoid(gates[3 * size + i]) * _tanh(c[i])


@compiled
def _sigmoid(x):
    return f32(1) / (f32(1) + exp(-x))


@compiled
def _tanh(x):
    return f32(1) - f32(2) / (f32(1) + exp(f32(2) * x))
