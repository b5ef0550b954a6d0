"""The WaveNet behind the vocoder interface: mel frames in, mu-law samples out, frame by frame.

A frame becomes what its 128 samples add to the gates of every layer; a sampler then draws
those samples in turn. The frame itself and the one before it are all that it takes, so the
sound runs no frames behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from synth import sampler_cpu, sampler_reference
from synth.mulaw import decode
from synth.sampler import Sampler, SamplerState, initial_state
from synth.wavenet import WaveNet

SAMPLERS: dict[str, Sampler] = {"cpu": sampler_cpu, "reference": sampler_reference}
"""By the name that --sampler takes."""


@dataclass(slots=True)
class WaveNetState(SamplerState):
    """The sampler's moment, and the conditioning's.

    frame, substep (rows, 1, mels): the mel frame before, and the last substep of the first
    upsampling before; started (rows,) bool: whether there was any.
    """

    frame: Tensor
    substep: Tensor
    started: Tensor


class WaveNetVocoder:
    """A trained WaveNet, on the CPU, that plays with the sampler of the given name.

    Its weights are taken as they are now, rounded to half precision as in a bank. Raises
    ValueError for a name that no sampler has.
    """

    head = "mel"
    lookahead = 0

    def __init__(self, wavenet: WaveNet, sampler: str) -> None:
        if sampler not in SAMPLERS:
            allowed = ", ".join(sorted(SAMPLERS))
            raise ValueError(f"sampler {sampler!r} is not allowed: it must be one of {allowed}")
        self.sampler = sampler
        self.config = wavenet.config
        self.hop = self.draws_per_frame = wavenet.config.hop
        self._upsample = wavenet.upsample
        start = 2 * wavenet.config.residual
        with torch.no_grad():
            weights = [layer.gate.weight[:, start:] for layer in wavenet.layers]
            self._gate_weight = torch.cat(weights).T.contiguous()
            self._gate_bias = torch.cat([layer.gate.bias for layer in wavenet.layers])
        self._sampler = SAMPLERS[sampler]
        self._packed: Any = self._sampler.pack(wavenet.weights())

    def initial_state(self, batch: int) -> WaveNetState:
        """The state of `batch` silent parts."""
        moment = initial_state(self.config.dilations, self.config.residual, batch)
        frame = torch.zeros(batch, 1, self.config.mels)
        started = torch.zeros(batch, dtype=torch.bool)
        return WaveNetState(
            moment.history, moment.position, moment.last, frame, frame.clone(), started
        )

    @torch.no_grad()
    def step(
        self, frames: Tensor, state: WaveNetState, draws: Tensor
    ) -> tuple[Tensor, WaveNetState]:
        """Sound for the next frames; see `Vocoder.step`. Overwrites the state.

        frames (batch, n, mels); draws (batch, n, hop) float32. Returns samples
        (batch, n * hop) float32. Raises ValueError for other shapes.
        """
        batch, n = len(state.started), frames.shape[1]
        for name, tensor, shape in (
            ("frames", frames, (batch, n, self.config.mels)),
            ("draws", draws, (batch, n, self.hop)),
        ):
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}; must be {shape}")
        samples = torch.empty(batch, n * self.hop)
        for t in range(n):
            added = self.condition(frames[:, t : t + 1], state)
            classes, _ = self._sampler.sample(self._packed, added, state, draws[:, t])
            samples[:, t * self.hop : (t + 1) * self.hop] = decode(classes)
        return samples, state

    @torch.no_grad()
    def condition(self, mel: Tensor, state: WaveNetState) -> Tensor:
        """What one frame (batch, 1, mels) adds to every gate: (batch, hop, layers, 2R).

        As in `WaveNet.forward`, a stream's first frame is also the one before it. Each row is
        mapped by itself, since a matrix library may round it differently beside others.
        """
        config = self.config
        added = torch.empty(len(mel), self.hop, config.layers, 2 * config.residual)
        coarse, fine = self._upsample
        for row in range(len(mel)):
            own = slice(row, row + 1)
            if not state.started[row]:
                state.frame[own] = mel[own]
                state.substep[own] = coarse(mel[own], mel[own])[:, :1]
                state.started[row] = True
            steps = coarse(mel[own], state.frame[own])
            heard = fine(steps, state.substep[own])[0]
            torch.addmm(self._gate_bias, heard, self._gate_weight, out=added[row].flatten(1))
            state.frame[own] = mel[own]
            state.substep[own] = steps[:, -1:]
        return added
