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
    """Where the render thread puts blocks. watchers: pages that look at them now; metered: whether
    levels are read; scarce: whether the processor has too much to do, so that pages should be told
    less."""

    def __init__(self) -> None:
        self.watchers = 0
        self.metered = False
        self.scarce = False
        self.trail = Trail[Instant](KEPT)

    def put(
        self,
        start: int,
        sound: np.ndarray,
        windows: Sequence[Window],
        stems: Mapping[int, Sequence[np.ndarray]],
    ) -> None:
        """Keep a block if somebody watches. Its arrays must not change afterwards."""
        if self.watchers or self.metered:
            self.trail.add(Instant(start, sound, windows, stems))


class TapMeter:
    """Peak levels of a tap's blocks, as `daw_bridge.osc.notify.Meter`. One thread uses it."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._seen = 0

    def peaks(self) -> dict[int, float]:
        """Part -> its peak since the last call, and 0 -> that of the mix. The first call begins."""
        if not self._tap.metered:
            self._seen, self._tap.metered = self._tap.trail.count, True
        instants, lost = self._tap.trail.since(self._seen)
        self._seen += lost + len(instants)
        peaks: dict[int, float] = {}
        for instant in instants:
            for part, stems in ((0, (instant.sound,)), *instant.stems.items()):
                loudest = max((float(np.abs(stem).max(initial=0)) for stem in stems), default=0.0)
                peaks[part] = max(loudest, peaks.get(part, 0.0))
        return peaks

    def rest(self) -> None:
        """Nobody looks any more."""
        self._tap.metered = False
