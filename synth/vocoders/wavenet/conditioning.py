"""The WaveNet's local conditioning: mel frames upsampled to samples, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synth.vocoders.wavenet.network import WaveNet
from synth.vocoders.wavenet.samplers.contract import SamplerState


@dataclass(slots=True)
class WaveNetState(SamplerState):
    """The sampler's moment, and the conditioning's.

    frame, substep (rows, 1, mels): the mel frame before, and the last substep of the first
    upsampling before; started (rows,) bool: whether there was any.
    """

    frame: Tensor
    substep: Tensor
    started: Tensor


class Conditioning:
    """For samplers on the CPU."""

    def __init__(self, wavenet: WaveNet) -> None:
        self._hop = wavenet.config.hop
        self._upsample = wavenet.upsample

    @torch.no_grad()
    def __call__(self, frames: Tensor, state: WaveNetState) -> Tensor:
        """frames (rows, n, mels) -> (rows, n * hop, mels). Overwrites the state.

        As in `WaveNet.forward`, a stream's first frame is also the one before it. Each row's
        frame is upsampled by itself, since a matrix library may round it differently beside
        others.
        """
        rows, n, mels = frames.shape
        heard = torch.empty(rows, n * self._hop, mels)
        coarse, fine = self._upsample
        for row in range(rows):
            own = slice(row, row + 1)
            for t in range(n):
                frame = frames[own, t : t + 1]
                if not state.started[row]:
                    state.frame[own] = frame
                    state.substep[own] = coarse(frame, frame)[:, :1]
                    state.started[row] = True
                steps = coarse(frame, state.frame[own])
                heard[own, t * self._hop : (t + 1) * self._hop] = fine(steps, state.substep[own])
                state.frame[own] = frame
                state.substep[own] = steps[:, -1:]
        return heard
