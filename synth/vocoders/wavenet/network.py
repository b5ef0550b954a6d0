"""WaveNet: mel frames to mu-law samples, one by one, each conditioned on all before it.

The Deep Voice variant that nv-wavenet made fast: class embedding, gated dilated layers of
kernel 2 with residual and skip paths, relu, linear, relu, linear to 256 classes. The mel is
upsampled by two transposed convolutions (window 16 stride 8, then window 32 stride 16).

A network with a guide is told more: the mu-law classes of another vocoder's sound of the same
frames, one embedded and its neighbours as numbers. It plays with levels of its own (levels.py).

`forward` is teacher-forced: all samples at once, as batched matrix products over (sample,
channel) rows. Samplers (samplers/) take `weights()` and the conditioning, and draw samples in
turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from synth.vocoders.wavenet.mulaw import CLASSES, SILENCE

STRIDES = (8, 16)
"""Upsampling factors; each transposed convolution's window is twice its stride."""
GUIDE_CHANNELS = 32
"""Of the embedding of a guide's class."""


@dataclass(frozen=True, slots=True)
class WaveNetConfig:
    """Sizes. dilations repeat 1, 2, 4 .. up to cycle layers; hop must be 8 * 16.

    guide: how many samples of a guide are heard on either side of each sample, 0 for no guide.
    sharpness: what logits are multiplied by before a class is drawn. emphasis: the share of the
    sample before that is taken from each sample before it becomes a class, 0 to below 1; a
    network without a guide has none.
    """

    mels: int = 80
    layers: int = 20
    cycle: int = 10
    residual: int = 64
    skip: int = 256
    guide: int = 0
    sharpness: float = 1.0
    emphasis: float = 0.0

    @property
    def conditioning(self) -> int:
        """Channels that the layers are given for each sample."""
        return self.mels + (GUIDE_CHANNELS + 2 * self.guide if self.guide else 0)

    @property
    def dilations(self) -> tuple[int, ...]:
        """Of each layer, in samples."""
        return tuple(2 ** (layer % self.cycle) for layer in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """Past samples that one sample depends on."""
        return sum(self.dilations) + 1

    @property
    def hop(self) -> int:
        """Samples for each frame."""
        return STRIDES[0] * STRIDES[1]


@dataclass(frozen=True, slots=True)
class WaveNetWeights:
    """What samplers read, float32. R residual, S skip, L layers.

    mels: how many channels of the conditioning are the mel's, which come first. embedding
    (256, R); past, now (L, 2R, R): taps at t - dilation and t, tanh half first; conditioning
    (L, 2R, channels): what the conditioning adds to them; gate_bias (L, 2R); residual (L, R, R),
    residual_bias (L, R); skip (L, S, R), skip_bias (S,), already summed over layers; out (S, S),
    out_bias (S,); end (256, S), end_bias (256,).
    """

    dilations: tuple[int, ...]
    mels: int
    embedding: Tensor
    past: Tensor
    now: Tensor
    conditioning: Tensor
    gate_bias: Tensor
    residual: Tensor
    residual_bias: Tensor
    skip: Tensor
    skip_bias: Tensor
    out: Tensor
    out_bias: Tensor
    end: Tensor
    end_bias: Tensor


class Upsampling(nn.Module):
    """A causal transposed convolution of window 2 * stride.

    Output step j of frame n sees frames n - 1 and n, so it is one linear map of the pair.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.linear = nn.Linear(2 * channels, stride * channels)

    def forward(self, frames: Tensor, before: Tensor) -> Tensor:
        """frames (batch, n, channels), before (batch, 1, channels): the frame ahead of them.

        Returns (batch, n * stride, channels).
        """
        return upsample(frames, before, self.linear)


def upsample(frames: Tensor, before: Tensor, mapped: Callable[[Tensor], Tensor]) -> Tensor:
    """`Upsampling.forward` with a linear map (batch, n, 2 * channels) -> (batch, n, stride *
    channels) of the caller's own."""
    previous = torch.cat([before, frames[:, :-1]], 1)
    pairs = torch.cat([previous, frames], -1)
    return mapped(pairs).view(len(frames), -1, frames.shape[-1])


class Layer(nn.Module):
    """One gated dilated layer; its skip and conditioning products are done for all at once."""

    def __init__(self, residual: int, conditioning: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.gate = nn.Linear(2 * residual + conditioning, 2 * residual)
        self.residual = nn.Linear(residual, residual)

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """x (batch, samples, R), told (batch, samples, conditioning) -> the next x, and the
        gated z."""
        past = nn.functional.pad(x, (0, 0, self.dilation, 0))[:, : x.shape[1]]
        tanh, sigmoid = self.gate(torch.cat([past, x, told], -1)).chunk(2, -1)
        z = tanh.tanh() * sigmoid.sigmoid()
        return x + self.residual(z), z


class WaveNet(nn.Module):
    """See the module's docstring."""

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        residual, skip = config.residual, config.skip
        self.upsample = nn.ModuleList(Upsampling(config.mels, stride) for stride in STRIDES)
        self.embedding = nn.Embedding(CLASSES, residual)
        channels = config.conditioning
        self.layers = nn.ModuleList(Layer(residual, channels, d) for d in config.dilations)
        self.skip = nn.Linear(config.layers * residual, skip)
        self.out = nn.Linear(skip, skip)
        self.end = nn.Linear(skip, CLASSES)
        self.guide = nn.Embedding(CLASSES, GUIDE_CHANNELS) if config.guide else None
        for upsampling in self.upsamplings:
            _start_as_interpolation(upsampling, config.mels)
        if self.guide is not None:
            _start_as_waves(self.guide)

    @property
    def upsamplings(self) -> list[Upsampling]:
        """The modules of `upsample`: coarse and fine."""
        return cast(list[Upsampling], list(self.upsample))

    @property
    def gated_layers(self) -> list[Layer]:
        """The modules of `layers`."""
        return cast(list[Layer], list(self.layers))

    def forward(self, mel: Tensor, classes: Tensor, guide: Tensor | None = None) -> Tensor:
        """Logits of every sample given the true ones before it.

        mel (batch, frames, mels) natural-log; classes (batch, frames * hop) int64; guide as in
        `condition`. Returns (batch, frames * hop, 256), before they are sharpened. What came
        before the first sample counts as silence.
        """
        return self.logits(self.condition(mel, guide), classes)

    def logits(self, told: Tensor, classes: Tensor) -> Tensor:
        """`forward` from the conditioning, (batch, samples, channels)."""
        heard = nn.functional.pad(classes, (1, 0), value=SILENCE)[:, :-1]
        # Under mixed precision the conditioning is in half precision by now; follow it.
        x, gated = self.embedding(heard).to(told.dtype), []
        for layer in self.gated_layers:
            x, z = layer(x, told)
            gated.append(z)
        skip = self.skip(torch.cat(gated, -1))
        return self.end(self.out(skip.relu()).relu())

    def condition(self, mel: Tensor, guide: Tensor | None = None) -> Tensor:
        """What the layers are given: (batch, frames * hop, conditioning).

        mel (batch, frames, mels): the first frame also counts as the one before it, and the first
        step of the coarse upsampling likewise. guide (batch, frames * hop + 2 * config.guide)
        int64: classes, config.guide of them before the first sample and after the last; None for
        a network without a guide.
        """
        mel = self.upsampled(mel)
        if self.guide is None:
            return mel
        assert guide is not None, "a network with a guide was given none"
        return torch.cat([mel, self.hear(guide).to(mel.dtype)], -1)

    def upsampled(self, mel: Tensor) -> Tensor:
        """The mel's share of the conditioning: (batch, frames * hop, mels)."""
        for upsampling in self.upsamplings:
            mel = upsampling(mel, mel[:, :1])
        return mel

    def hear(self, guide: Tensor) -> Tensor:
        """The guide's share of the conditioning, see `hear`."""
        assert self.guide is not None
        return hear(guide, self.guide.weight, self.config.guide)

    def weights(self) -> WaveNetWeights:
        """The samplers' view of the network, detached; its logits come out sharpened."""
        config, r, layers = self.config, self.config.residual, self.gated_layers
        gates = torch.stack([layer.gate.weight for layer in layers])
        skip = self.skip.weight.view(config.skip, config.layers, r).permute(1, 0, 2)
        tensors = (
            self.embedding.weight,
            gates[:, :, :r],
            gates[:, :, r : 2 * r],
            gates[:, :, 2 * r :],
            torch.stack([layer.gate.bias for layer in layers]),
            torch.stack([layer.residual.weight for layer in layers]),
            torch.stack([layer.residual.bias for layer in layers]),
            skip,
            self.skip.bias,
            self.out.weight,
            self.out.bias,
            self.end.weight * config.sharpness,
            self.end.bias * config.sharpness,
        )
        plain = (t.detach().float().contiguous() for t in tensors)
        return WaveNetWeights(config.dilations, config.mels, *plain)


def hear(guide: Tensor, embedding: Tensor, reach: int) -> Tensor:
    """A guide's share of the conditioning: (batch, n, 32 + 2 * reach) float32.

    guide (batch, n + 2 * reach) int64 classes; embedding (256, 32): the first 32 channels, for each
    sample's class. The others are the classes from reach before the sample to reach - 1 after it,
    as numbers in -1..1.
    """
    around = as_numbers(guide).unfold(1, 2 * reach, 1)[:, :-1]
    embedded = nn.functional.embedding(guide[:, reach:-reach], embedding)
    return torch.cat([embedded.float(), around], -1)


def as_numbers(classes: Tensor) -> Tensor:
    """Classes as float32 in -1..1, evenly spread."""
    return classes.float() * (2 / (CLASSES - 1)) - 1


def _start_as_interpolation(upsampling: Upsampling, channels: int) -> None:
    """Begin as linear interpolation from the frame before to this one."""
    stride = upsampling.stride
    share = (torch.arange(stride) + 1) / stride
    eye = torch.eye(channels)
    pair = [torch.cat([(1 - s) * eye, s * eye], -1) for s in share]
    with torch.no_grad():
        upsampling.linear.weight.copy_(torch.cat(pair))
        upsampling.linear.bias.zero_()


def _start_as_waves(embedding: nn.Embedding) -> None:
    """Begin with slow and fast waves over the classes: near classes are alike."""
    place = torch.linspace(-1, 1, CLASSES)[:, None] * (torch.pi / 2)
    turns = torch.arange(1, GUIDE_CHANNELS + 1)
    waves = place * turns
    with torch.no_grad():
        embedding.weight.copy_(torch.where(turns % 2 == 1, waves.sin(), waves.cos()))
