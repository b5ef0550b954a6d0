"""The compiled half of step.py, all of it: some streams' frames of a block, one after the other.

To hand its arrays to a compiled function takes Python 10 to 30 us. With a function for each step
that was two fifths of a stream's frame; so here is one for them all.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from synth.copying import copy
from synth.mel2mel.kernel import hear, hold_back, speak
from synth.mel2mel.keys import follow, play
from synth.mel2mel.template_mix import mix_rows


class Score(NamedTuple):
    """What streams are given: roll (batch, n, 176), lateness (batch, n, 88), embedding (batch, n,
    size and the amounts of deep patches), all float32."""

    roll: np.ndarray
    lateness: np.ndarray
    embedding: np.ndarray


class Streams(NamedTuple):
    """Their moment, as in `Mel2MelState`, moved on; caches (batch, 3): where each row's
    `TemplateCache` lies."""

    age: np.ndarray
    roll: np.ndarray
    late: np.ndarray
    embedding: np.ndarray
    gates_forward: np.ndarray
    gates_backward: np.ndarray
    h: np.ndarray
    c: np.ndarray
    velocity: np.ndarray
    key_age: np.ndarray
    rest: np.ndarray
    struck: np.ndarray
    lag: np.ndarray
    hidden: np.ndarray
    caches: np.ndarray


class Said(NamedTuple):
    """What is filled: mel (batch, n, mels), fine (batch, n, bands), spread (batch, n, bands, or no
    bands), features (batch, n, features) of the timbre, movement (batch, n): how far that knob is
    turned."""

    mel: np.ndarray
    fine: np.ndarray
    spread: np.ndarray
    features: np.ndarray
    movement: np.ndarray


@numba.njit(cache=True, nogil=True, error_model="numpy")
def say_block(hearing, templates, heads, knobs, score, streams, said):
    """Play a block. templates: None for a network without; knobs (3,): which coordinates turn the
    attack, the decay and the movement, -1 for none."""
    s, (count, n, channels) = streams, score.roll.shape
    keys, queue, size = score.lateness.shape[2], s.roll.shape[1], hearing.film_in.shape[1]
    features = np.empty((count, said.features.shape[2]), np.float32)
    deep = score.embedding.shape[2] - size
    timbre = np.empty((count, features.shape[1] + deep), np.float32)
    hidden = np.empty((count, s.hidden.shape[1]), np.float32)
    due = np.empty((count, 1, channels), np.float32)
    due_late, lag = np.empty((count, 1, keys), np.float32), np.empty((count, 1), np.float32)
    turns, begins = np.zeros((count, 2), np.float32), np.empty(count, np.bool_)
    mel = np.empty((count, said.mel.shape[2]), np.float32)
    fine = np.empty((count, said.fine.shape[2]), np.float32)
    spread = np.empty((count, said.spread.shape[2]), np.float32)
    start = np.empty((count, 0 if templates is None else fine.shape[1]), np.float32)
    late_by = np.empty(count, np.float32)
    # After a frame the keyboard is what its tracks say; those of one frame only take room.
    tracks = np.empty((count, 1, keys), np.float32), np.empty((count, 1, keys), np.int16)
    now = s.velocity, s.key_age, s.rest, s.struck
    before = (
        *(np.empty((count, keys), np.float32), np.empty((count, keys), np.int16)),
        *(np.empty((count, keys), np.int16), np.empty((count, keys), np.float32)),
    )
    for t in range(n):
        hear(
            *(hearing, score.roll, score.lateness, score.embedding, t, s.age, s.roll, s.late),
            *(s.embedding, s.gates_forward, s.gates_backward, s.h, s.c),
            *(due, due_late, hidden, features),
        )
        if templates is not None:
            for b in range(count):
                copy(s.velocity[b], before[0][b])
                copy(s.key_age[b], before[1][b])
                copy(s.rest[b], before[2][b])
                copy(s.struck[b], before[3][b])
            play(due, due_late, *now, tracks[0], tracks[1], tracks[1], tracks[0])
            follow(due, due_late, s.lag, lag)
            for b in range(count):
                begins[b], late_by[b] = s.age[b] == queue, lag[b, 0]
            hold_back(hidden, s.hidden, late_by, begins)
            for b in range(count):
                point = s.embedding[b, s.age[b] % queue]
                turns[b, 0], turns[b, 1] = _turned(point, knobs[0]), _turned(point, knobs[1])
                said.movement[b, t] = _turned(point, knobs[2])
                copy(features[b], timbre[b])
                for i in range(deep):
                    timbre[b, features.shape[1] + i] = min(max(point[size + i], 0), 1)
            mix_rows(templates, now, before, timbre, turns, s.caches, start, spread)
        speak(heads, hidden, start, s.age, queue - 1, mel, fine)
        for b in range(count):
            copy(mel[b], said.mel[b, t])
            copy(fine[b], said.fine[b, t])
            copy(spread[b], said.spread[b, t])
            copy(features[b], said.features[b, t])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _turned(point, place):
    """How far the knob of that coordinate is turned, as `knobs.turned` says it."""
    return np.float32(0) if place < 0 else min(max(point[place], np.float32(-1)), np.float32(1))
