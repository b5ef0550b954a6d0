"""What every WaveNet sampler shares: the moment it passes along, and how a class is drawn.

A sampler is a module with three functions of one signature (law: same weights, conditioning,
state and draws, same classes, but for draws that fall within a sampler's rounding of the edge
between two): `pack(weights)` once, then `sample` while playing, and
`follow`, the same step led by given classes, for comparing samplers and scoring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from synth.vocoders.wavenet.mulaw import CLASSES, SILENCE
from synth.vocoders.wavenet.network import WaveNetWeights


@dataclass(slots=True)
class SamplerState:
    """Where each row stands; fits `select_rows`.

    history (rows, sum of dilations, R) float32: for each layer in turn a ring of its last
    `dilation` inputs, sample t in slot t % dilation; position (rows,) int64: samples drawn so
    far; last (rows,) int64: the class drawn last.
    """

    history: Tensor
    position: Tensor
    last: Tensor


Draw = Callable[[Tensor, SamplerState, Tensor], tuple[Tensor, SamplerState]]
"""`Sampler.sample` of a network: conditioning, state and draws in, classes and state out."""
Packed = TypeVar("Packed")
"""Weights as one sampler reads them."""


class Sampler(Protocol[Packed]):
    """What the modules reference, cpu and triton offer.

    conditioning is (batch, n, channels) float32, the mel frames upsampled to samples and what is
    told of a guide; draws (batch, n) float32 in [0, 1); classes (batch, n) int64. State is
    overwritten and handed back. Rows are independent, and no block size n changes a bit. What does
    not fit raises ValueError.
    """

    def pack(self, weights: WaveNetWeights) -> Packed:
        """The weights, rounded by `round_weights`, in the order that this sampler reads them."""

    def sample(
        self, packed: Packed, conditioning: Tensor, state: SamplerState, draws: Tensor
    ) -> tuple[Tensor, SamplerState]:
        """Draw the next n classes (batch, n) of each row."""

    def follow(
        self,
        packed: Packed,
        conditioning: Tensor,
        state: SamplerState,
        draws: Tensor,
        classes: Tensor,
    ) -> tuple[Tensor, Tensor, SamplerState]:
        """`sample`, but each sample is taken to be the given class, whatever was drawn.

        Returns logits (batch, n, 256), the classes drawn (batch, n), and the state.
        """


def initial_state(
    dilations: tuple[int, ...], residual: int, batch: int, device: torch.device | str = "cpu"
) -> SamplerState:
    """Rows that have heard nothing: layer inputs of zero, and silence as the last class."""
    return SamplerState(
        torch.zeros(batch, sum(dilations), residual, device=device),
        torch.zeros(batch, dtype=torch.long, device=device),
        torch.full((batch,), SILENCE, device=device),
    )


def round_weights(weights: WaveNetWeights) -> WaveNetWeights:
    """Weights that half precision can hold, as float32; those of a bank stay as they are.

    Banks keep weights in half precision, so every sampler may, and none hears another net.
    """
    values = {f.name: getattr(weights, f.name) for f in fields(weights)}
    rounded: dict[str, Any] = {
        name: t.half().float() for name, t in values.items() if isinstance(t, Tensor)
    }
    return replace(weights, **rounded)


def draw_class(logits: Tensor, u: Tensor) -> Tensor:
    """Pick one class per stream by inverse CDF.

    logits (streams, 256); u (streams,) in [0, 1), drawn by the caller so that two samplers
    can be compared. Returns (streams,) int64.
    """
    cdf = logits.softmax(-1).cumsum(-1)
    return (cdf <= u[:, None]).sum(-1).clamp(max=CLASSES - 1)


def check_inputs(
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    channels: int,
    dilations: tuple[int, ...],
    residual: int,
    classes: Tensor | None = None,
) -> None:
    """Refuse what does not fit the network or each other, by ValueError. channels: of the
    conditioning."""
    if draws.ndim != 2:
        raise ValueError(f"draws: expected 2 dimensions, (batch, n), got {draws.ndim}")
    batch, n = draws.shape
    wanted = {
        "draws": (draws, (batch, n), torch.float32),
        "conditioning": (conditioning, (batch, n, channels), torch.float32),
        "history": (state.history, (batch, sum(dilations), residual), torch.float32),
        "position": (state.position, (batch,), torch.int64),
        "last": (state.last, (batch,), torch.int64),
    }
    if classes is not None:
        wanted["classes"] = (classes, (batch, n), torch.int64)
    for name, (tensor, shape, dtype) in wanted.items():
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            found = f"{tuple(tensor.shape)} {tensor.dtype}"
            raise ValueError(f"{name}: expected {shape} {dtype}, got {found}")
    if not state.history.is_contiguous():
        # A sampler writes into it where it lies.
        raise ValueError("history: expected a contiguous tensor, got one with gaps")
    if classes is not None and classes.numel():
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or high >= CLASSES:
            raise ValueError(f"classes: expected 0 to {CLASSES - 1}, got {low} to {high}")
