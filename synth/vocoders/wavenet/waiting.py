"""What a WaveNet with a guide is told of a hop, kept until its guide is known far enough.

A frame says its mel bands and its level at once, but the guide's sound of that time comes some
frames later, and the WaveNet hears `config.guide` samples more of it. So all of it waits here, in
one compiled loop for each row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from torch import Tensor

from synth.copying import copy
from synth.mel import FLOOR, Analysis
from synth.vocoders.wavenet.levels import QUIETEST, describe, frame_tables, to_classes
from synth.vocoders.wavenet.mulaw import SILENCE
from synth.vocoders.wavenet.network import WaveNetConfig


@dataclass(slots=True)
class WaitingState:
    """What waits, oldest first.

    mels (batch, behind - 1, mels) float32 and levels (batch, behind) float64: of frames; classes
    (batch, hop + config.guide) uint8 and guide (batch, hop) float32: of the guide, a hop as the
    WaveNet counts it; before (batch,) float64: the guide's last sample.
    """

    mels: Tensor
    levels: Tensor
    classes: Tensor
    guide: Tensor
    before: Tensor


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of some hops, whoever plays them. mels (batch, n, mels) float32; levels
    (batch, n + 1) float64: of the frames where they begin and end; classes (batch, n * hop + 2 *
    config.guide) uint8: of the guide; guide (batch, n * hop) float32: its sound."""

    mels: Tensor
    levels: Tensor
    classes: Tensor
    guide: Tensor


class Waiting:
    """For a network and frames of that analysis; behind: frames by which its hops are later."""

    def __init__(self, config: WaveNetConfig, analysis: Analysis, behind: int) -> None:
        self.config, self.behind = config, behind
        self._emphasis = float(config.emphasis)
        self._tables = frame_tables(analysis, self._emphasis)

    def initial_state(self, batch: int) -> WaitingState:
        """The state of `batch` silent parts."""
        config, behind = self.config, self.behind
        return WaitingState(
            torch.full((batch, behind - 1, config.mels), math.log(FLOOR)),
            torch.full((batch, behind), QUIETEST, dtype=torch.float64),
            torch.full((batch, config.hop + config.guide), SILENCE, dtype=torch.uint8),
            torch.zeros(batch, config.hop),
            torch.zeros(batch, dtype=torch.float64),
        )

    def step(self, frames: Tensor, guide: Tensor, state: WaitingState) -> Heard:
        """What is known of the next n hops. frames (batch, n, bins) float32, contiguous; guide
        (batch, n * hop): what came of it with these frames. The state is moved on in place."""
        (batch, n, _), config = frames.shape, self.config
        hops = n * config.hop
        heard = Heard(
            torch.empty(batch, n, config.mels),
            torch.empty(batch, n + 1, dtype=torch.float64),
            torch.empty(batch, hops + 2 * config.guide, dtype=torch.uint8),
            torch.empty(batch, hops),
        )
        moment = state.mels, state.levels, state.classes, state.guide, state.before
        told = heard.mels, heard.levels, heard.classes, heard.guide
        arrays = [tensor.numpy() for tensor in (frames, guide, *moment, *told)]
        _wait(self._tables, self._emphasis, *arrays)
        return heard


@njit(nogil=True, cache=True, error_model="numpy")
def _wait(
    tables,
    emphasis,
    frames,
    guide,
    mels,
    levels,
    classes,
    sounds,
    before,
    told_mels,
    told_levels,
    told_classes,
    told_guide,
):
    """`Waiting.step`: what waits and what is new stand in one row, of which the front is told."""
    rows, n, _ = frames.shape
    behind, samples = levels.shape[1], guide.shape[1]
    all_mels = np.empty((behind - 1 + n, mels.shape[2]), np.float32)
    all_levels = np.empty(behind + n)
    all_classes = np.empty(classes.shape[1] + samples, np.uint8)
    all_sounds = np.empty(sounds.shape[1] + samples, np.float32)
    for row in range(rows):
        for i in range(behind - 1):
            copy(mels[row, i], all_mels[i])
        copy(levels[row], all_levels)
        copy(classes[row], all_classes)
        copy(sounds[row], all_sounds)
        describe(frames[row], tables, all_mels[behind - 1 :], all_levels[behind:])
        # The guide's hops are one later than those that are told.
        new = all_classes[classes.shape[1] :]
        to_classes(guide[row], before[row], all_levels[1 : n + 2], emphasis, new)
        copy(guide[row], all_sounds[sounds.shape[1] :])
        if n:
            before[row] = guide[row, samples - 1]
        for i in range(n):
            copy(all_mels[i], told_mels[row, i])
        copy(all_levels[: n + 1], told_levels[row])
        copy(all_classes[: told_classes.shape[1]], told_classes[row])
        copy(all_sounds[:samples], told_guide[row])
        for i in range(behind - 1):
            copy(all_mels[n + i], mels[row, i])
        copy(all_levels[n:], levels[row])
        copy(all_classes[samples:], classes[row])
        copy(all_sounds[samples:], sounds[row])
