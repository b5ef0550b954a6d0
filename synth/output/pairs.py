"""A stereo pair for each part, beside the mix: what `--outputs parts` plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from common.window import PARTS
from synth.limiter import Limiter
from synth.mixer import DECLICK_SAMPLES
from synth.output.ring import Samples

SIDES = ("left", "right")
CHANNELS = 2 + 2 * len(PARTS)
"""Of a block with pairs: the mix, then part 1 to 16."""
NAMES = (*SIDES, *(f"part_{part:02d}_{side}" for part in PARTS for side in SIDES))
"""What each channel's port is called."""
LEAST = 4
"""Channels that a device must have for pairs."""


class PartPairs:
    """Puts the sound of each part beside the mix. gain_db: the master gain, as the mix has it.

    Each pair goes through a limiter of its own, so that a device cannot clip.
    """

    def __init__(self, gain_db: float = 0.0) -> None:
        self._limiters = {part: Limiter(gain_db) for part in PARTS}
        self._fall = np.linspace(1, 0, DECLICK_SAMPLES, endpoint=False, dtype=np.float32)[:, None]
        self._last: dict[int, Samples] = {}
        """The latest sample of each part that sounded in the last block."""

    def block(self, mix: Samples, stems: Mapping[int, Sequence[Samples]]) -> Samples:
        """A block (samples, 34), float32.

        mix (samples, 2): one frame; stems: of each part that sounds, one frame of each of its
        voices (samples, 2), as `Engine.stems` tells them.
        """
        block = np.zeros((len(mix), CHANNELS), np.float32)
        block[:, :2] = mix
        last, self._last = self._last, {}
        for part, voices in stems.items():
            sound = self._limiters[part].limit(np.sum(voices, axis=0, dtype=np.float32))
            block[:, 2 * part : 2 * part + 2] = sound
            self._last[part] = sound[-1]
        for part, sample in last.items():
            if part not in stems:  # it was cut: as in the mix, it fades
                count = min(len(mix), len(self._fall))
                block[:count, 2 * part : 2 * part + 2] = sample * self._fall[:count]
        return block


def folded(block: Samples, channels: int) -> Samples:
    """Pairs for a device with fewer channels, and without the mix.

    The first parts have a pair each, the last pair holds all others.

    block (samples, 34); channels: an even number, 4 to 32.
    """
    own = channels - 2
    rest = block[:, 2 + own :].reshape(len(block), -1, 2).sum(axis=1)
    return np.concatenate([block[:, 2 : 2 + own], np.clip(rest, -1, 1)], axis=1)


def only_mix(block: Samples) -> Samples:
    """The mix of a block, which may hold pairs besides."""
    return block[:, :2]
