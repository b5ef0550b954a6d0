"""The WaveNet's local conditioning as a stream: mel frames upsampled to samples, a guide beside.

The two upsamplings are linear maps of a frame and the one before it (`network.upsample`). Here are
those for samplers on the CPU, in one compiled loop; conditioning_triton.py has the GPU's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numba import njit
from torch import Tensor

from synth.copying import copy
from synth.dense import add_product, tiled
from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.network import Upsampling, WaveNet, as_numbers
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


class Conditioning(Protocol):
    """Upsamples a stream's frames, and hears its guide."""

    def __call__(self, frames: Tensor, state: WaveNetState, guide: Tensor | None = None) -> Tensor:
        """The conditioning (rows, n * hop, channels) of the next n frames; moves the state on.

        frames (rows, n, mels); guide (rows, n * hop + 2 * config.guide) uint8: classes,
        config.guide of them before the first sample and after the last; None for a network without
        a guide. As in `WaveNet.forward`, a stream's first frame is also the one before it, and so
        is its first substep.
        """


class _Map(NamedTuple):
    """An upsampling: tiles of its matrix, and bias (stride * mels,) float32."""

    tiles: np.ndarray
    bias: np.ndarray


class CpuConditioning:
    """A `Conditioning` for samplers on the CPU. A row's numbers depend on nothing else."""

    def __init__(self, wavenet: WaveNet) -> None:
        config = wavenet.config
        coarse, fine = wavenet.upsamplings
        self._hop, self._channels = config.hop, config.conditioning
        self._maps = _map(coarse), _map(fine)
        table = torch.empty(0, 0) if wavenet.guide is None else wavenet.guide.weight.detach()
        self._table = table.float().clone().numpy()
        self._numbers = as_numbers(torch.arange(CLASSES)).numpy()
        self._guided = bool(config.guide)

    def __call__(self, frames: Tensor, state: WaveNetState, guide: Tensor | None = None) -> Tensor:
        """See `Conditioning`."""
        assert self._guided == (guide is not None), "a guide is for a network that has learnt one"
        rows, n, _ = frames.shape
        out = torch.empty(rows, n * self._hop, self._channels)
        heard = out.numpy()
        moment = state.frame.numpy(), state.substep.numpy(), state.started.numpy()
        _upsample(frames.contiguous().numpy(), *moment, *self._maps, heard)
        if guide is not None:
            _hear(guide.numpy(), self._table, self._numbers, heard)
        return out


def _map(upsampling: Upsampling) -> _Map:
    linear = upsampling.linear
    weight, bias = linear.weight.detach().float(), linear.bias.detach().float()
    return _Map(tiled(weight).numpy(), bias.numpy().copy())


@njit(nogil=True, cache=True, error_model="numpy")
def _upsample(frames, frame, substep, started, coarse, fine, out):
    """The mel's share of the conditioning into out; frame, substep and started moved on."""
    rows, n, mels = frames.shape
    if not n:
        return
    steps = n * (coarse.bias.size // mels)
    each = fine.bias.size // mels
    between = np.empty((steps, mels), np.float32)
    samples = np.empty((steps * each, mels), np.float32)
    for row in range(rows):
        if not started[row]:
            copy(frames[row, 0], frame[row, 0])
        _map_pairs(frames[row], frame[row, 0], coarse, between)
        if not started[row]:
            copy(between[0], substep[row, 0])
        _map_pairs(between, substep[row, 0], fine, samples)
        for t in range(steps * each):
            copy(samples[t], out[row, t])
        copy(frames[row, n - 1], frame[row, 0])
        copy(between[steps - 1], substep[row, 0])
        started[row] = True


@njit(nogil=True, cache=True, error_model="numpy")
def _map_pairs(heard, before, upsampling, out):
    """`network.upsample` of heard (n, mels), before (mels,) ahead of it, into out (n * stride,
    mels)."""
    n, mels = heard.shape
    pairs = np.empty((n, 2 * mels), np.float32)
    for i in range(n):
        copy(heard[i - 1] if i else before, pairs[i])
        copy(heard[i], pairs[i, mels:])
    wide = out.reshape(n, upsampling.bias.size)
    for i in range(n):
        copy(upsampling.bias, wide[i])
    add_product(upsampling.tiles, pairs, wide)


@njit(nogil=True, cache=True, error_model="numpy")
def _hear(guide, table, numbers, out):
    """The guide's share, `network.hear`, behind the mel's in out: all of it copied from tables."""
    channels, around = table.shape[1], guide.shape[1] - out.shape[1]
    mels = out.shape[2] - channels - around
    for row in range(out.shape[0]):
        for t in range(out.shape[1]):
            heard = out[row, t]
            copy(table[guide[row, t + around // 2]], heard[mels:])
            for i in range(around):
                heard[mels + channels + i] = numbers[guide[row, t + i]]
