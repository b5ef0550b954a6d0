"""The WaveNet behind the vocoder interface: mel frames in, mu-law samples out, frame by frame.

A frame is upsampled to its 128 samples, which a sampler then draws in turn. The frame itself
and the one before it are all that it takes, so the sound runs no frames behind.

With the triton sampler all of this is queued on the GPU, a block of all parts at once; the
state stays there, and the only wait is for the block's finished samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from synth.mel import Head
from synth.vocoders.wavenet.conditioning import Conditioning, WaveNetState, cpu_conditioning
from synth.vocoders.wavenet.mulaw import CLASSES, decode
from synth.vocoders.wavenet.network import WaveNet, WaveNetWeights
from synth.vocoders.wavenet.samplers.choice import load_sampler
from synth.vocoders.wavenet.samplers.contract import (
    Packed,
    Sampler,
    SamplerState,
    initial_state,
)


class WaveNetVocoder:
    """A trained WaveNet, on the CPU, that plays with the sampler of the given name.

    Its weights are taken as they are now, rounded to half precision as in a bank. device is
    where its states live; `condition(frames, state)`, with both there, upsamples frames (see
    conditioning.py). Raises ValueError for a name that no sampler has, or for what this
    machine lacks for it.
    """

    head: Head = "mel"
    lookahead = 0

    def __init__(self, wavenet: WaveNet, sampler: str) -> None:
        drawing, self.device = load_sampler(sampler)
        self.sampler = sampler
        self.config = wavenet.config
        self.hop = self.draws_per_frame = wavenet.config.hop
        self.condition = _conditioning(wavenet, sampler, self.device)
        self._draw = _drawer(drawing, wavenet.weights())
        self._waves = decode(torch.arange(CLASSES)).to(self.device)

    def initial_state(self, batch: int) -> WaveNetState:
        """The state of `batch` silent parts."""
        config, device = self.config, self.device
        moment = initial_state(config.dilations, config.residual, batch, device)
        frame = torch.zeros(batch, 1, config.mels, device=device)
        started = torch.zeros(batch, dtype=torch.bool, device=device)
        return WaveNetState(
            moment.history, moment.position, moment.last, frame, frame.clone(), started
        )

    @torch.no_grad()
    def step(
        self, frames: Tensor, state: WaveNetState, draws: Tensor
    ) -> tuple[Tensor, WaveNetState]:
        """Sound for the next frames; see `Vocoder.step`. Overwrites the state.

        frames (batch, n, mels); draws (batch, n, hop) float32. Returns samples
        (batch, n * hop) float32, on the CPU. Raises ValueError for other shapes.
        """
        batch, n = len(state.started), frames.shape[1]
        for name, tensor, shape in (
            ("frames", frames, (batch, n, self.config.mels)),
            ("draws", draws, (batch, n, self.hop)),
        ):
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")
        frames, draws = _send(frames, self.device), _send(draws, self.device)
        conditioning = self.condition(frames, state)
        classes, _ = self._draw(conditioning, state, draws.flatten(1))
        return _fetch(self._waves[classes]), state


Draw = Callable[[Tensor, SamplerState, Tensor], tuple[Tensor, SamplerState]]
"""`Sampler.sample` of a network: conditioning, state and draws in, classes and state out."""


def _drawer(sampler: Sampler[Packed], weights: WaveNetWeights) -> Draw:
    """A sampler with a network's weights packed for it."""
    packed = sampler.pack(weights)
    return lambda conditioning, state, draws: sampler.sample(packed, conditioning, state, draws)


def _conditioning(wavenet: WaveNet, sampler: str, device: torch.device) -> Conditioning:
    """The Conditioning that goes with a sampler."""
    if sampler != "triton":
        return cpu_conditioning(wavenet)
    from synth.vocoders.wavenet.conditioning_triton import triton_conditioning

    return triton_conditioning(wavenet, device)


def _send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device, without waiting for it to arrive."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def _fetch(tensor: Tensor) -> Tensor:
    """A tensor on the CPU, waiting once until all that was queued before has been done."""
    if not tensor.is_cuda:
        return tensor
    here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    here.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream().synchronize()
    return here
