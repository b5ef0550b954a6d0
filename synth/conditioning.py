"""What mel frames add to the WaveNet's gates: upsampled to samples, mapped for every layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synth.sampler import SamplerState
from synth.wavenet import WaveNet


@dataclass(slots=True)
class WaveNetState(SamplerState):
    """The sampler's moment, and the conditioning's.

    frame, substep (rows, 1, mels): the mel frame before, and the last substep of the first
    upsampling before; started (rows,) bool: whether there was any.
    """

    frame: Tensor
    substep: Tensor
    started: Tensor


def gate_map(wavenet: WaveNet) -> tuple[Tensor, Tensor]:
    """The conditioning's share of all gates: weight (mels, layers * 2R), bias (layers * 2R,)."""
    start = 2 * wavenet.config.residual
    weights = [layer.gate.weight[:, start:].detach() for layer in wavenet.layers]
    biases = [layer.gate.bias.detach() for layer in wavenet.layers]
    return torch.cat(weights).T.contiguous(), torch.cat(biases)


class Conditioning:
    """For samplers on the CPU. frames_at_once: how many to ask for, so that they stay cached."""

    frames_at_once = 1

    def __init__(self, wavenet: WaveNet) -> None:
        self._config = wavenet.config
        self._upsample = wavenet.upsample
        self._weight, self._bias = gate_map(wavenet)

    @torch.no_grad()
    def __call__(self, frames: Tensor, state: WaveNetState) -> Tensor:
        """frames (rows, n, mels) -> (rows, n * hop, layers, 2R). Overwrites the state.

        As in `WaveNet.forward`, a stream's first frame is also the one before it. Each row's
        frame is mapped by itself, since a matrix library may round it differently beside
        others.
        """
        config = self._config
        rows, n, hop = len(frames), frames.shape[1], config.hop
        added = torch.empty(rows, n * hop, config.layers, 2 * config.residual)
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
                heard = fine(steps, state.substep[own])[0]
                out = added[row, t * hop : (t + 1) * hop].flatten(1)
                torch.addmm(self._bias, heard, self._weight, out=out)
                state.frame[own] = frame
                state.substep[own] = steps[:, -1:]
        return added
