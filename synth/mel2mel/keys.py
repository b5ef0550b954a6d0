"""Keys as they are struck and held: what a score alone says of each, frame by frame.

Of a key it is known how hard it was struck last, how long ago, and since when it has been
still. These are counters, so they stream. A counter counts frames from the one that a strike fell
into; how late within it the strike came is known beside it.
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
    `LONG_AGO`. late float32: how many frames after the start of its frame that onset came, 0..1;
    None where all came with it. (What was learnt from has onsets anywhere in their frames, on the
    whole in the middle, so a tone is heard half a frame after this.)
    """

    velocity: Tensor
    age: Tensor
    rest: Tensor
    late: Tensor | None = None

    @property
    def since(self) -> Tensor:
        """Frames since the last onset itself: below 0 where it is still to come in its frame."""
        return self.age if self.late is None else self.age - self.late

    @property
    def before(self) -> KeyTracks:
        """What would be if no key had been struck in its frame: the frame before, grown older.

        For tracks of frames in a row, from the first that a keyboard is touched in.
        """
        untouched = initial_keys(len(self.age))
        late = torch.zeros_like(self.velocity) if self.late is None else self.late
        tracks = (self.velocity, self.age, self.rest, late)
        first = (untouched.velocity, untouched.age, untouched.rest, torch.zeros_like(late[:, 0]))
        velocity, age, rest, late = (
            torch.cat([start[:, None], track[:, :-1]], 1)
            for start, track in zip(first, tracks, strict=True)
        )
        return KeyTracks(velocity, age + 1, torch.where(rest > 0, rest + 1, 0), late)

    def at(self, index: Index | tuple[Index, ...]) -> KeyTracks:
        """The same of some rows, frames or keys: every tensor indexed."""
        late = None if self.late is None else self.late[index]
        return KeyTracks(self.velocity[index], self.age[index], self.rest[index], late)


def initial_keys(batch: int) -> KeyTracks:
    """The moment of a keyboard that nobody has touched."""
    long_ago = torch.full((batch, KEYS), LONG_AGO, dtype=torch.int16)
    return KeyTracks(torch.zeros(batch, KEYS), long_ago, long_ago.clone(), torch.zeros(batch, KEYS))


def play_keys(
    roll: Tensor, keys: KeyTracks, late: Tensor | None = None
) -> tuple[KeyTracks, KeyTracks]:
    """The tracks of every frame of a roll (batch, frames, 176), and the moment after it.

    late (batch, frames, 88), as in `KeyTracks`, of the onsets in each frame; None for 0.
    """
    batch, frames, _ = roll.shape
    if late is None:
        late = torch.zeros(batch, frames, KEYS)
    tracks = tuple(
        np.empty((batch, frames, KEYS), dtype)
        for dtype in (np.float32, np.int16, np.int16, np.float32)
    )
    was_late = torch.zeros_like(keys.velocity) if keys.late is None else keys.late.clone()
    after = KeyTracks(keys.velocity.clone(), keys.age.clone(), keys.rest.clone(), was_late)
    now = (after.velocity.numpy(), after.age.numpy(), after.rest.numpy(), was_late.numpy())
    play(roll.numpy(), late.numpy(), *now, *tracks)
    return KeyTracks(*map(torch.from_numpy, tracks)), after


def lags(roll: Tensor, late: Tensor) -> Tensor:
    """How late the latest onsets of whole rolls came, as `follow` says it: (batch, frames)."""
    batch, frames, _ = roll.shape
    lag = np.empty((batch, frames), np.float32)
    follow(roll.numpy(), late.numpy(), np.zeros(batch, np.float32), lag)
    return torch.from_numpy(lag)


@numba.njit(cache=True, nogil=True)
def follow(roll, late, now, lag):
    """Fill lag (batch, frames) with how late the onsets of the last frame that had any came: their
    mean, weighted by velocity. now (batch,), the same before, is moved on."""
    batch, frames, _ = roll.shape
    for b in range(batch):
        for t in range(frames):
            velocity, total = np.float32(0), np.float32(0)
            for k in range(88):
                velocity += roll[b, t, 88 + k]
                total += roll[b, t, 88 + k] * late[b, t, k]
            if velocity > 0:
                now[b] = total / velocity
            lag[b, t] = now[b]


@numba.njit(cache=True, nogil=True)
def play(roll, lateness, velocity_now, age_now, rest_now, late_now, velocity, age, rest, late):
    """`play_keys` on arrays: the moment is moved on, the other four are filled."""
    batch, frames, _ = roll.shape
    for b in range(batch):
        for t in range(frames):
            for k in range(88):
                onset = roll[b, t, 88 + k]
                if onset > 0:
                    velocity_now[b, k] = onset
                    age_now[b, k] = 0
                    late_now[b, k] = lateness[b, t, k]
                else:
                    age_now[b, k] = min(age_now[b, k] + 1, LONG_AGO)
                if roll[b, t, k] > 0 or onset > 0:
                    rest_now[b, k] = 0
                else:
                    rest_now[b, k] = min(rest_now[b, k] + 1, LONG_AGO)
                velocity[b, t, k] = velocity_now[b, k]
                age[b, t, k] = age_now[b, k]
                rest[b, t, k] = rest_now[b, k]
                late[b, t, k] = late_now[b, k]
