"""What a training run is asked to do: the plan of its user, and an objective to descend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked of a training run.

    init: weights of a new run, or None; batch: sequences of each process in a step;
    max_minutes: of this session; frames: length of a sequence, halve_every: iterations after
    which the learning rate is halved, each None for the method's; sizes: fields of the
    network's config that differ from the method's; device: auto, cpu or cuda;
    checkpoint_minutes: between checkpoints; tensorboard: write for it, too.
    """

    data: Path
    run: Path
    init: Path | None
    batch: int
    iterations: int
    max_minutes: float
    threads: int
    seed: int
    frames: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    halve_every: int | None = None
    device: str = "cpu"
    checkpoint_minutes: float = 3.0
    tensorboard: bool = False


class Objective(Protocol):
    """What a run descends: a module that holds a network and turns batches into losses.

    network: what is trained, its `config` a dataclass; unit: what a run counts, "frame" or
    "sample"; seen: how many of them one process sees in a step; taught: how it is taught, for a
    bank's provenance; session: what else the log shall say of this session's checkpoints.
    """

    network: nn.Module
    unit: str
    seen: int
    taught: Mapping[str, Any]
    session: Mapping[str, Any]

    def draw(self, random: torch.Generator) -> Any:
        """A batch, a dataclass of tensors on the CPU; called from any thread."""

    def __call__(self, batch: Any) -> Tensor:
        """The loss of a batch on the machine's device."""

    def validate(self) -> float:
        """The held-out loss of the weights that are in the network now."""


Sketch = Callable[[Path, int], None]
"""Draws what the network can do by now, into a folder, at an iteration."""
