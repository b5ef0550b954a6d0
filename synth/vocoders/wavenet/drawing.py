"""A WaveNet with its sampler: frames and a guide become conditioning, and that becomes classes.

With the triton sampler all of this is queued on the GPU, a block of all parts at once; the state
stays there, and the only wait is for what is fetched at the end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synth.vocoders.wavenet.conditioning import Conditioning, CpuConditioning, WaveNetState
from synth.vocoders.wavenet.network import WaveNet, WaveNetWeights
from synth.vocoders.wavenet.samplers.choice import load_sampler
from synth.vocoders.wavenet.samplers.contract import (
    Draw,
    Packed,
    Sampler,
    initial_state,
)
from synth.vocoders.wavenet.together import Together


class Drawing:
    """A trained WaveNet, on the CPU, that plays with the sampler of the given name.

    Its weights are taken as they are now, rounded to half precision as in a bank. device is
    where its states live. Raises ValueError for a name that no sampler has, or for what
    this machine lacks for it.
    """

    def __init__(self, wavenet: WaveNet, sampler: str) -> None:
        drawing, self.device = load_sampler(sampler)
        self.sampler = sampler
        self.config = wavenet.config
        self._condition = _conditioning(wavenet, sampler, self.device)
        self._draw = _drawer(drawing, wavenet.weights())

    def initial_state(self, batch: int) -> WaveNetState:
        """The state of `batch` silent parts."""
        config, device = self.config, self.device
        moment = initial_state(config.dilations, config.residual, batch, device)
        frame = torch.zeros(batch, 1, config.mels, device=device)
        started = torch.zeros(batch, dtype=torch.bool, device=device)
        return WaveNetState(
            moment.history, moment.position, moment.last, frame, frame.clone(), started
        )

    def condition(self, mel: Tensor, state: WaveNetState, guide: Tensor | None = None) -> Tensor:
        """The conditioning (batch, n * hop, channels) of the next n frames, on the device.

        mel (batch, n, mels) float32; guide (batch, n * hop + 2 * config.guide) uint8: classes,
        config.guide of them before the first sample and after the last; None for a network
        without a guide. The state is moved on in place.
        """
        there = None if guide is None else send(guide, self.device)
        return self._condition(send(mel, self.device), state, there)

    def draw_together(self) -> Together:
        """From now on draw for several threads at once, which tell what this returns about it."""
        together = Together(self._draw)
        self._draw = together.draw
        return together

    def draw(self, conditioning: Tensor, state: WaveNetState, draws: Tensor) -> Tensor:
        """The next classes (batch, samples) int64, on the device; draws (batch, samples) in [0, 1).
        The state is moved on in place."""
        return self._draw(conditioning, state, send(draws, self.device))[0]


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device, without waiting for it to arrive."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def fetch(tensor: Tensor) -> Tensor:
    """A tensor on the CPU, waiting once until all that was queued before has been done."""
    if not tensor.is_cuda:
        return tensor
    here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    here.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream().synchronize()
    return here


def check_shapes(*wanted: tuple[str, Tensor, tuple[int, ...]]) -> None:
    """Refuse, by ValueError, a tensor that is not of the shape beside it; each with its name."""
    for name, tensor, shape in wanted:
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")


def _drawer(sampler: Sampler[Packed], weights: WaveNetWeights) -> Draw:
    """A sampler with a network's weights packed for it."""
    packed = sampler.pack(weights)
    return lambda conditioning, state, draws: sampler.sample(packed, conditioning, state, draws)


def _conditioning(wavenet: WaveNet, sampler: str, device: torch.device) -> Conditioning:
    """The Conditioning that goes with a sampler."""
    if sampler != "triton":
        return CpuConditioning(wavenet)
    from synth.vocoders.wavenet.conditioning_triton import TritonConditioning

    return TritonConditioning(wavenet, device)
