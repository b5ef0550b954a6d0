"""Files of a run: weights read with one-line errors, anything written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network from a .safetensors file; ValueError names the file if it does not fit."""
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path}: not weights of this network ({one_line(error)})") from None


def read_config(weights: Path) -> dict[str, Any]:
    """The network's config as a run's weights.safetensors states it; empty in older ones.

    Raises ValueError when it is no such file.
    """
    return _told(weights, "config")


def read_taught(weights: Path) -> dict[str, Any]:
    """How a run's weights came about, such as `iteration` and `loss`; empty in older ones.

    Raises ValueError when it is no such file.
    """
    return _told(weights, "taught")


def read_history(weights: Path) -> dict[str, Any]:
    """`iterations`, frames or samples `seen` and `hours` of training in all, whatever runs they
    were in; `begun_with` and `seen_before` if they began with others; empty in older ones.

    Raises ValueError when it is no such file.
    """
    return _told(weights, "history")


def read_notes(weights: Path) -> dict[str, str]:
    """All that a file of weights tells beside them, as it is written there."""
    with safe_open(weights, "pt") as file:
        return file.metadata() or {}


def _told(weights: Path, name: str) -> dict[str, Any]:
    try:
        return json.loads(read_notes(weights).get(name, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"{weights}: not a run's weights ({one_line(error)})") from None


def replace_with(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside the old one and rename it over it, so that it is never half there.

    Raises OSError when it cannot be written; the old one is then as it was.
    """
    partial = path.with_name(path.name + ".part")
    try:
        write(partial)
        partial.chmod(0o644)
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError, SafetensorError) as error:
        # A full disk must not stay full of halves.
        partial.unlink(missing_ok=True)
        raise OSError(f"{path}: cannot be written ({one_line(error)})") from None


def one_line(error: Exception) -> str:
    """What an error says, fit for a line of our own."""
    return " ".join(str(error).split())[:200] or type(error).__name__
