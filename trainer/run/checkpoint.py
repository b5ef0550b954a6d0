"""Checkpoints: all that a run needs to resume exactly, and weights that a bank is made of.

last.pt holds weights, their average, optimiser, schedule, random state and counters.
weights.safetensors and best.safetensors hold averaged weights in half precision, the latest
and those of the lowest held-out loss, each with the network's config, what it was taught by,
and how much it has seen in all, before this run too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from common.files import write_whole
from synth.mel import Analysis
from trainer.run.weights import check_patches, one_line, read_config, read_history, read_taught

LAST, LATEST, BEST = "last.pt", "weights.safetensors", "best.safetensors"
FREE = {"sharpness"}
"""What a config says of playing alone: weights may go on with another."""


@dataclass(slots=True)
class Progress:
    """Counters for a bank's provenance, summed over all sessions of a run. best: the lowest
    validation so far; begun_with: the file of weights that the run began with, if it did, and
    earlier_...: what they had seen."""

    iteration: int = 0
    seen: int = 0
    seconds: float = 0.0
    validation: float = float("nan")
    best: float = float("inf")
    earlier_iterations: int = 0
    earlier_seen: int = 0
    earlier_seconds: float = 0.0
    begun_with: str = ""

    def begin_with(self, weights: Path) -> None:
        """Count what these weights had seen before as earlier."""
        history = read_history(weights)
        self.begun_with = f"{weights.resolve().parent.name}/{weights.name}"
        self.earlier_iterations = history.get("iterations", 0)
        self.earlier_seen = history.get("seen", 0)
        self.earlier_seconds = 3600 * history.get("hours", 0.0)

    def history(self) -> dict[str, Any]:
        """Iterations, frames or samples seen, and hours, of this run and before."""
        begun = {"begun_with": self.begun_with, "seen_before": self.earlier_seen}
        return (begun if self.begun_with else {}) | {
            "iterations": self.earlier_iterations + self.iteration,
            "seen": self.earlier_seen + self.seen,
            "hours": round((self.earlier_seconds + self.seconds) / 3600, 3),
        }


def save_weights(
    path: Path,
    average: Mapping[str, Tensor],
    config: Any,
    taught: Mapping[str, Any],
    history: Mapping[str, Any],
) -> None:
    """Write averaged weights; taught, history: for the provenance of a bank made of them."""
    half = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in average.items()}
    notes = {"config": asdict(config), "taught": dict(taught), "history": dict(history)}
    write_whole(path, save(half, {name: json.dumps(note) for name, note in notes.items()}))


def load_checkpoint(run: Path) -> dict[str, Any]:
    """What last.pt holds, on the CPU, with a `Progress`. Raises ValueError if it is not whole."""
    path = run / LAST
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
        for part in ("network", "average", "optimiser", "schedule"):
            whole[part].items()
        whole["progress"] = Progress(*whole["progress"])
        torch.Generator().set_state(whole["random"])
    except (
        *(OSError, EOFError, RuntimeError, UnpicklingError),
        *(LookupError, TypeError, AttributeError),
    ) as error:
        raise ValueError(f"{path}: not a whole checkpoint ({one_line(error)})") from None
    return whole


def save_checkpoint(run: Path, whole: Mapping[str, Any], progress: Progress) -> None:
    """Write last.pt."""
    counters = [getattr(progress, name) for name in Progress.__slots__]
    whole = dict(whole) | {"progress": counters}
    file = BytesIO()
    torch.save(whole, file)
    write_whole(run / LAST, file.getvalue())


def check_config(weights: Path, config: Any, taught: Mapping[str, Any]) -> None:
    """Raises ValueError if weights are not of this config, or were taught by another loss or
    other instruments.

    Not every size shows in a tensor's shape: dilations do not.
    """
    own = json.loads(json.dumps(asdict(config)))
    before = read_taught(weights)
    stated = read_config(weights)
    stated.pop("amount", None)  # as in config_of, synth/mel2mel/network.py
    if "analysis" in stated:
        # Older ones do not state what there was no choice of.
        stated["analysis"] = asdict(Analysis(**stated["analysis"]))
    pairs = [(name, value, own.get(name)) for name, value in stated.items() if name not in FREE]
    if "loss_name" in before and "loss_name" in taught:
        pairs.append(("loss_name", before["loss_name"], taught["loss_name"]))
    for name, there, here in pairs:
        if there != here:
            raise ValueError(
                f"{weights}: of another configuration ({name}: {there} there, {here} here)"
            )
    if "patches" in taught:
        check_patches(weights, taught["patches"])


def taught_alike(weights: Path, taught: Mapping[str, Any]) -> bool:
    """Whether these weights exist and were taught in the same way; iterations may differ, and
    older ones do not state their patches."""
    free = {"iteration", "patches"}
    return weights.exists() and {
        name: value for name, value in read_taught(weights).items() if name not in free
    } == {name: value for name, value in taught.items() if name not in free}


class Average:
    """Exponential average of a network's weights.

    span: iterations that it looks back over, once a run is that old; a young run averages
    over its last tenth only, so that its first steps are forgotten.
    """

    def __init__(self, network: nn.Module, span: int) -> None:
        self._own, self._span = dict(network.state_dict()), span
        self.weights = {k: v.detach().clone() for k, v in self._own.items()}

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from an average of before."""
        for name, value in self.weights.items():
            value.copy_(weights[name])

    @torch.no_grad()
    def follow(self, age: int) -> None:
        """Take in the network's weights after iteration `age`."""
        keep = min(1 - 1 / self._span, (age + 1) / (age + 10))
        torch._foreach_lerp_(list(self.weights.values()), list(self._own.values()), 1 - keep)
