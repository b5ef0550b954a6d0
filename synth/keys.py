"""Keys as they are struck and held: what a score alone says of each, frame by frame.

A key has a few drives, the ways in which a tone may swell and fall: it sounds; it was struck so
long ago. Drives are causal recursions, so they stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

KEYS = 88
LOWEST_KEY = 21
DRIVES = (
    (np.inf, 0.0),
    (np.inf, 0.12),
    (2.0, 0.12),
    (0.4, 0.12),
    (0.1, 0.1),
    (0.4, 0.4),
    (2.0, 2.0),
)
"""(fall while the key sounds, fall after it), seconds: time constants of each key's drives.

Held tones without and with a release, struck tones that a damper stops, a knock, and tones
that ring on whatever the key does.
"""
STRUCK = 4
"""The drive that tells how long ago a key was struck."""
AUDIBLE = 1e-6
"""A drive below this is as good as silent and is skipped."""


@dataclass(slots=True)
class KeyState:
    """velocity (batch, 88) of each key's last onset; drives (batch, 88, len(DRIVES))."""

    velocity: Tensor
    drives: Tensor


def initial_keys(batch: int) -> KeyState:
    """The state of a keyboard that nobody has touched."""
    return KeyState(torch.zeros(batch, KEYS), torch.zeros(batch, KEYS, len(DRIVES)))


def play_keys(roll: Tensor, keys: KeyState, frame_rate: float) -> tuple[Tensor, Tensor, KeyState]:
    """Velocities and drives of every frame of a roll.

    roll (batch, frames, 176). Returns velocity (batch, frames, 88) in 0..1, drives
    (batch, frames, 88, len(DRIVES)) in 0..1, and the state after it.
    """
    batch, frames, _ = roll.shape
    velocity = np.empty((batch, frames, KEYS), np.float32)
    drives = np.empty((batch, frames, KEYS, len(DRIVES)), np.float32)
    after = KeyState(keys.velocity.clone(), keys.drives.clone())
    play(
        roll.numpy(),
        after.velocity.numpy(),
        after.drives.numpy(),
        falls(frame_rate),
        velocity,
        drives,
    )
    return torch.from_numpy(velocity), torch.from_numpy(drives), after


def frames_since_onset(drives: Tensor, frame_rate: float) -> Tensor:
    """How long ago each key was struck, in whole frames, many if never or long ago.

    drives (..., 88, len(DRIVES)) of `play_keys`; returns (..., 88) int64.
    """
    # This drive falls alike whether its key is held or not.
    struck = drives[..., STRUCK].clamp(min=AUDIBLE)
    return (-struck.log() * DRIVES[STRUCK][0] * frame_rate).round().long()


def falls(frame_rate: float) -> np.ndarray:
    """Factor for each frame of each drive, while a key sounds and after: (drives, 2)."""
    seconds = np.array(DRIVES)
    with np.errstate(divide="ignore"):
        return np.exp(-1 / (frame_rate * seconds)).astype(np.float32)


@numba.njit(cache=True, nogil=True)
def play(roll, last, drives_now, falls, velocity, drives):
    """`play_keys` on arrays: last and drives_now, a `KeyState`'s, are moved on, velocity and
    drives filled."""
    batch, frames, _ = roll.shape
    for b in range(batch):
        for t in range(frames):
            for k in range(88):
                onset = roll[b, t, 88 + k]
                sounding = roll[b, t, k] > 0
                if onset > 0:
                    last[b, k] = onset
                for j in range(falls.shape[0]):
                    if onset > 0:
                        drives_now[b, k, j] = 1
                    else:
                        drives_now[b, k, j] *= falls[j, 0] if sounding else falls[j, 1]
                    if drives_now[b, k, j] < AUDIBLE:
                        drives_now[b, k, j] = 0
                    drives[b, t, k, j] = drives_now[b, k, j]
                velocity[b, t, k] = last[b, k]
