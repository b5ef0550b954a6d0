"""The WaveNet's local conditioning as a stream: mel frames upsampled to samples.

The two upsamplings are linear maps of a frame and the one before it (`network.upsample`). Who
computes the maps is up to the sampler: here are those for the CPU; conditioning_triton.py has
the GPU's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.vocoders.wavenet.network import STRIDES, Upsampling, WaveNet, upsample
from synth.vocoders.wavenet.samplers.contract import SamplerState

LinearMap = Callable[[Tensor], Tensor]
"""(rows, n, 2 * mels) -> (rows, n, stride * mels); a row's numbers depend on nothing else."""


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
    """Upsamples a stream's frames by a coarse and a fine map."""

    def __init__(self, coarse: LinearMap, fine: LinearMap) -> None:
        self._coarse, self._fine = coarse, fine

    @torch.no_grad()
    def __call__(self, frames: Tensor, state: WaveNetState) -> Tensor:
        """frames (rows, n, mels) -> (rows, n * hop, mels). Overwrites the state.

        As in `WaveNet.forward`, a stream's first frame is also the one before it, and so is its
        first substep.
        """
        if not frames.shape[1]:
            return frames.clone()
        begun = state.started[:, None, None]
        before = torch.where(begun, state.frame, frames[:, :1])
        steps = upsample(frames, before, self._coarse)
        before = torch.where(begun, state.substep, steps[:, :1])
        heard = upsample(steps, before, self._fine)
        state.frame.copy_(frames[:, -1:])
        state.substep.copy_(steps[:, -1:])
        state.started.fill_(True)
        return heard


def cpu_conditioning(wavenet: WaveNet) -> Conditioning:
    """For samplers on the CPU."""
    coarse, fine = wavenet.upsamplings
    return Conditioning(_frame_by_frame(coarse, 1), _frame_by_frame(fine, STRIDES[0]))


def _frame_by_frame(upsampling: Upsampling, steps: int) -> LinearMap:
    """An upsampling's map of each row's frames (of so many steps) by themselves: a matrix
    library may round a row differently beside others."""

    def mapped(pairs: Tensor) -> Tensor:
        frames = pairs.reshape(-1, 1, steps, pairs.shape[-1])
        # Copies lie where memory begins anew: that, too, may decide how a library rounds.
        parts = [upsampling.linear(frame.clone()) for frame in frames]
        return torch.cat(parts).view(*pairs.shape[:2], -1)

    return mapped
