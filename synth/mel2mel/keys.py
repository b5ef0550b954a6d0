"""Keys as they are struck and held: what a score alone says of each, frame by frame.

Of a key it is known how hard it was struck last, how long ago, and since when it has been
still. These are counters, so they stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from common.window import KEYS

LONG_AGO = 30_000
"""Frames, 4 minutes: where the counters stop. It fits 16 bits."""
Index = int | slice | Tensor
"""Of rows, frames or keys."""


@dataclass(slots=True)
class KeyTracks:
    """Of every key; the shape is (batch, frames, 88), or (batch, 88) for one moment.

    velocity float32 in 0..1: of its last onset, 0 before the first. age int16: frames since
    that onset. rest int16: frames since it stopped sounding, 0 while it sounds. Both end at
    `LONG_AGO`.
    """

    velocity: Tensor
    age: Tensor
    rest: Tensor

    def at(self, index: Index | tuple[Index, ...]) -> KeyTracks:
        """The same of some rows, frames or keys: every tensor indexed."""
        return KeyTracks(self.velocity[index], self.age[index], self.rest[index])


def initial_keys(batch: int) -> KeyTracks:
    """The moment of a keyboard that nobody has touched."""
    long_ago = torch.full((batch, KEYS), LONG_AGO, dtype=torch.int16)
    return KeyTracks(torch.zeros(batch, KEYS), long_ago, long_ago.clone())


def play_keys(roll: Tensor, keys: KeyTracks) -> tuple[KeyTracks, KeyTracks]:
    """The tracks of every frame of a roll (batch, frames, 176), and the moment after it."""
    batch, frames, _ = roll.shape
    velocity = np.empty((batch, frames, KEYS), np.float32)
    age, rest = (np.empty((batch, frames, KEYS), np.int16) for _ in range(2))
    after = KeyTracks(keys.velocity.clone(), keys.age.clone(), keys.rest.clone())
    now = (after.velocity.numpy(), after.age.numpy(), after.rest.numpy())
    play(roll.numpy(), *now, velocity, age, rest)
    return KeyTracks(*map(torch.from_numpy, (velocity, age, rest))), after


@numba.njit(cache=True, nogil=True)
def play(roll, velocity_now, age_now, rest_now, velocity, age, rest):
    """`play_keys` on arrays: the moment is moved on, the other three are filled."""
    batch, frames, _ = roll.shape
    for b in range(batch):
        for t in range(frames):
            for k in range(88):
                onset = roll[b, t, 88 + k]
                if onset > 0:
                    velocity_now[b, k] = onset
                    age_now[b, k] = 0
                else:
                    age_now[b, k] = min(age_now[b, k] + 1, LONG_AGO)
                if roll[b, t, k] > 0 or onset > 0:
                    rest_now[b, k] = 0
                else:
                    rest_now[b, k] = min(rest_now[b, k] + 1, LONG_AGO)
                velocity[b, t, k] = velocity_now[b, k]
                age[b, t, k] = age_now[b, k]
                rest[b, t, k] = rest_now[b, k]
