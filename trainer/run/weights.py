"""Files of weights: what they hold and what they say of it, with one-line errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from synth.mel2mel.network import Mel2MelConfig, config_of


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network from a .safetensors file; ValueError names the file if it does not fit."""
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path}: not weights of this network ({one_line(error)})") from None


def read_config(weights: Path) -> dict[str, Any]:
    """The network's config as a run's weights.safetensors states it; empty in older files.

    Raises ValueError when it is no such file.
    """
    return _noted(weights, "config")


def read_taught(weights: Path) -> dict[str, Any]:
    """How a run's weights were taught, such as `iteration`, `loss` and for a mel2mel the names of
    its `patches`; empty in older files.

    Raises ValueError when it is no such file.
    """
    return _noted(weights, "taught")


def read_history(weights: Path) -> dict[str, Any]:
    """`iterations`, frames or samples `seen` and `hours` of training, summed over all runs;
    `begun_with` and `seen_before` if they began with other weights; empty in older files.

    Raises ValueError when it is no such file.
    """
    return _noted(weights, "history")


def mel2mel_config(weights: Path) -> Mel2MelConfig:
    """The config that a mel2mel's weights state. ValueError for those that state none, or
    another network's."""
    stated = read_config(weights)
    if "analysis" not in stated and ("instruments" in stated or not stated):
        raise ValueError(f"{weights}: does not say what it is; train it a little further")
    try:
        return config_of(stated)
    except (KeyError, TypeError):
        raise ValueError(f"{weights}: not weights of a mel2mel") from None


def check_patches(weights: Path, patches: Sequence[str]) -> None:
    """ValueError if weights state that they learnt other instruments, or in another order. Older
    ones state none."""
    stated = read_taught(weights).get("patches", patches)
    for number, (there, here) in enumerate(zip_longest(stated, patches), 1):
        if there != here:
            raise ValueError(
                f"{weights}: of other instruments (number {number}: {there} there, {here} here)"
            )


def read_notes(weights: Path) -> dict[str, str]:
    """All that a file of weights says beside them, as it is written there."""
    with safe_open(weights, "pt") as file:
        return file.metadata() or {}


def _noted(weights: Path, name: str) -> dict[str, Any]:
    try:
        return json.loads(read_notes(weights).get(name, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"{weights}: not a run's weights ({one_line(error)})") from None


def one_line(error: Exception) -> str:
    """What an error says, fit for a line of our own."""
    return " ".join(str(error).split())[:200] or type(error).__name__
