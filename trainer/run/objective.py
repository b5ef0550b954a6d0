"""What a training run descends, as the run sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Objective(Protocol):
    """A module that holds a network and turns batches into losses.

    network: what is trained, its `config` a dataclass; unit: what a run counts, "frame" or
    "sample"; seen: how many of them one process sees in a step; taught: the loss and what else
    belongs into a bank's provenance; session: notes for the log, true of this session only.
    """

    @property
    def network(self) -> nn.Module: ...

    @property
    def unit(self) -> str: ...

    @property
    def seen(self) -> int: ...

    @property
    def taught(self) -> Mapping[str, Any]: ...

    @property
    def session(self) -> Mapping[str, Any]: ...

    def draw(self, random: torch.Generator) -> Any:
        """A batch, a dataclass of tensors on the CPU; called from any thread."""

    def __call__(self, batch: Any) -> Tensor:
        """The loss of a batch on the machine's device."""

    def validate(self) -> float:
        """The held-out loss of the weights that are in the network now."""

    def kept(self) -> Mapping[str, Tensor]:
        """What it needs, beside weights and batches, to go on exactly; nothing, for most."""

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go on with what was kept."""


class NothingKept:
    """An objective whose batches follow from weights and random numbers alone."""

    def kept(self) -> Mapping[str, Tensor]:
        return {}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        pass


Sketch = Callable[[Path, int], object]
"""Draws what the network can do by now, into a folder, at an iteration."""
