"""How points of a timbre space sound, measured with the bank's own network: the map's colours.

Each point plays C4 alone for half a second. Brightness is the centroid of its mel spectrum in Hz,
loudness its level in dB; both of its magnitudes, squared and added over bands and time.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from common.window import KEYS, LOWEST_KEY, ROLL_CHANNELS
from synth.mel import band_centres
from synth.mel2mel.network import Mel2Mel

MOST_POINTS = 512
KEY, VELOCITY = 60, 100
SECONDS = 0.5
AT_ONCE = 16
"""Points in one step: short ones, so that other threads have their turn between them."""
NICE = 10
LARGEST = 1e30
"""What a single-precision number holds; coordinates beyond a thousand are all the same."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of each point: brightness, Hz; loudness, dB."""

    brightness: list[float]
    loudness: list[float]


class Gauge:
    """Measures points of a bank's timbre space. Any thread may ask; one is served at a time.

    net: the bank's network, for playing; more: how many numbers it takes behind an embedding.
    """

    def __init__(self, net: Mel2Mel, more: int) -> None:
        self._net, self._more = net, more
        self._size = net.config.embedding - more
        self._measuring = threading.Lock()

    def measure(self, points: object) -> Measured:
        """Measure points: a list of lists, each as long as an embedding.

        ValueError, in one line, if they are something else.
        """
        checked = self._checked(points)
        steps = [checked[at : at + AT_ONCE] for at in range(0, len(checked), AT_ONCE)]
        with self._measuring, torch.inference_mode():
            found = [self._step(step) for step in steps]
        brightness, loudness = np.concatenate(found, axis=1)
        return Measured(brightness.tolist(), loudness.tolist())

    def _checked(self, points: object) -> np.ndarray:
        size = self._size
        if not isinstance(points, list) or not 1 <= len(points) <= MOST_POINTS:
            raise ValueError(f"points: expected a list of 1 to {MOST_POINTS}")
        for point in points:
            if not isinstance(point, list) or len(point) != size:
                raise ValueError(f"points: expected lists of {size} numbers")
            # Compared, for an integer may be too large to be a float at all.
            if not all(isinstance(x, int | float) and abs(x) < LARGEST for x in point):
                raise ValueError("points: expected numbers that are finite")
        return np.clip(np.array(points, np.float32), -1e3, 1e3)

    def _step(self, points: np.ndarray) -> np.ndarray:
        """Brightness and loudness of some points: (2, count)."""
        _go_behind_others()
        analysis = self._net.config.analysis
        frames = round(SECONDS * analysis.frame_rate)
        roll = torch.zeros(len(points), frames, ROLL_CHANNELS)
        key = KEY - LOWEST_KEY
        roll[:, :, key] = roll[:, 0, KEYS + key] = VELOCITY / 127
        timbre = torch.zeros(len(points), 1, self._size + self._more)
        timbre[:, 0, : self._size] = torch.from_numpy(points)
        power = self._net(roll, timbre, None).mel.double().mul(2).exp().sum(1).numpy()
        total = power.sum(1)
        return np.stack([power @ band_centres(analysis, "mel") / total, 10 * np.log10(total)])


def _go_behind_others() -> None:
    """Let this thread compute when no other wants to, where the system can."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
