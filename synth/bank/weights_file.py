"""A network's weights from a file that nobody vouches for.

Sizes are compared before anything is read, values before they are used. The network is made
without its first values, which would be thrown away: so a start is quicker, and where bank.yaml
states absurd sizes, memory is asked for but never touched. (The meta device would ask for none, but
it imports torch's compiler, which takes two seconds.)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from common.files import check_file
from synth.first_values import NoFirstValues

Network = TypeVar("Network", bound=nn.Module)
MOST_WEIGHT = 1_000
"""A network that was trained has none beyond 40; sums of much greater ones overflow."""
MOST_BYTES = 2**30
"""Of a file of weights: the largest bank so far has 15 MB."""


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A file's tensors. ValueError where it cannot be read."""
    try:
        check_file(path, MOST_BYTES)
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None


def _shapes(path: Path) -> dict[str, list[int]]:
    """The shapes of a file's tensors, from its header. ValueError where it cannot be read."""
    try:
        check_file(path, MOST_BYTES)
        with safe_open(path, "pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path}: not a safetensors file ({str(error).splitlines()[0]})")


def filled(make: Callable[[], Network], path: Path) -> Network:
    """A network with a file's weights, for playing. ValueError where they do not fit.

    make: makes it. Sizes are compared before anything of these sizes is made or read.
    """
    shapes = _shapes(path)
    try:
        with NoFirstValues():
            network = make()
    except RuntimeError:  # torch has no other error for that
        raise ValueError(f"{path}: bank.yaml's sizes take more memory than there is") from None
    wanted = {name: list(weight.shape) for name, weight in network.state_dict().items()}
    for name in sorted(wanted.keys() | shapes.keys()):
        if name not in shapes:
            raise ValueError(f"{path}: tensor {name} is missing, but bank.yaml's sizes need it")
        if name not in wanted:
            raise ValueError(f"{path}: unknown tensor {name}; bank.yaml's sizes have no such one")
        if wanted[name] != shapes[name]:
            raise ValueError(
                f"{path}: tensor {name} is {shapes[name]}, but bank.yaml says {wanted[name]}"
            )
    weights = read_weights(path)
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise ValueError(f"{path}: tensor {name} has values that are not finite")
        if weight.abs().max() > MOST_WEIGHT:
            raise ValueError(
                f"{path}: tensor {name}: expected values from -{MOST_WEIGHT} to {MOST_WEIGHT}, "
                f"got {weight.abs().max():g}"
            )
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)
