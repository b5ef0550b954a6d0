"""What the render thread shows to pages: each block's sound and what was played, as it is made.

The render thread only keeps references, and only while a page watches; everything else is done in
the page's own thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.window import Window
from page.trail import Trail

KEPT = 256
"""Blocks that are kept, two seconds: a page that is further behind has lost them."""


@dataclass(frozen=True, slots=True)
class Instant:
    """One block. start: its first sample; sound (samples, 2) float32, as it was played; windows:
    what the parts played; stems: part -> its own sound (samples, 2), before the limiter."""

    start: int
    sound: np.ndarray
    windows: Sequence[Window]
    stems: Mapping[int, Sequence[np.ndarray]]


class Tap:
    """Where the render thread puts blocks. watchers: pages that look at them now; scarce: whether
    the processor has too much to do, so that pages should be told less."""

    def __init__(self) -> None:
        self.watchers = 0
        self.scarce = False
        self.trail = Trail[Instant](KEPT)

    def put(
        self,
        start: int,
        sound: np.ndarray,
        windows: Sequence[Window],
        stems: Mapping[int, Sequence[np.ndarray]],
    ) -> None:
        """Keep a block if a page watches. Its arrays must not change afterwards."""
        if self.watchers:
            self.trail.add(Instant(start, sound, windows, stems))
