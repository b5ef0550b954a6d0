"""What every training run shares: its plan, its clock, its averages and its checkpoints.

A run is a folder: last.pt (all that a run needs to go on exactly: weights, average, optimiser,
counters, random state), weights.safetensors (the averaged weights, half precision, what a
bank is made of) and log.jsonl (one line for each report).
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

CHECKPOINT_S = 180.0
REPORT_EVERY = 50
EMA_SPAN = 1000
"""Iterations that the weight average looks back over, once a run is that old."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked of a training run."""

    data: Path
    run: Path
    init: Path | None
    batch: int
    iterations: int
    max_minutes: float
    threads: int
    seed: int


@dataclass(slots=True)
class Progress:
    """Counters that make a bank's provenance: all sum over resumed sessions."""

    iteration: int = 0
    seen: int = 0
    seconds: float = 0.0
    validation: float = float("nan")


class Run:
    """One training run: `go` trains until the plan's end, a signal, or its time is up.

    network: what is trained; groups: Adam's parameter groups; halve_every: iterations after
    which the learning rate is halved; unit: what `seen` counts ("frame" or "sample").
    """

    def __init__(
        self, plan: Plan, network: nn.Module, groups: list[dict], halve_every: int, unit: str
    ) -> None:
        torch.set_num_threads(plan.threads)
        self.plan, self.network, self.unit = plan, network, unit
        self.optimiser = torch.optim.Adam(groups)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda i: min(1.0, (i + 1) / 200) * 0.5 ** (i // halve_every)
        )
        self.random = torch.Generator().manual_seed(plan.seed)
        self.progress = Progress()
        plan.run.mkdir(parents=True, exist_ok=True)
        if (plan.run / "last.pt").exists():
            self.average = {}
            self._resume()
        else:
            if plan.init:
                load_weights(network, plan.init)
            self.average = {k: v.detach().clone() for k, v in network.state_dict().items()}

    def go(
        self,
        step: Callable[[torch.Generator], tuple[Tensor, int]],
        validate: Callable[[], float],
    ) -> Progress:
        """Train. step(random) returns a loss to descend and how much it has seen."""
        stop: list[int] = []
        previous = {
            s: signal.signal(s, lambda number, _: stop.append(number))
            for s in (signal.SIGTERM, signal.SIGINT)
        }
        began = saved = time.monotonic()
        limit = began + self.plan.max_minutes * 60
        recent: list[float] = []
        bar = tqdm(
            total=self.plan.iterations, initial=self.progress.iteration, unit="it", smoothing=0.02
        )
        while self.progress.iteration < self.plan.iterations and not stop:
            now = time.monotonic()
            if now >= limit:
                break
            started = now
            loss, seen = step(self.random)
            self._descend(loss)
            recent.append(loss.item())
            progress = self.progress
            progress.iteration += 1
            progress.seen += seen
            progress.seconds += time.monotonic() - started
            bar.update()
            if progress.iteration % REPORT_EVERY == 0:
                mean = sum(recent) / len(recent)
                recent.clear()
                speed = progress.seen / max(progress.seconds, 1e-9)
                bar.set_postfix_str(f"loss {mean:.4f}, {speed:,.0f} {self.unit}s/s")
                self._log(loss=round(mean, 5), per_second=round(speed))
            if time.monotonic() - saved > CHECKPOINT_S:
                self._checkpoint(validate)
                saved = time.monotonic()
        bar.close()
        self._checkpoint(validate)
        for number, handler in previous.items():
            signal.signal(number, handler)
        return self.progress

    def _descend(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        # A young run averages over its last tenth only, so that its first steps are forgotten.
        age = self.progress.iteration
        keep = min(1 - 1 / EMA_SPAN, (age + 1) / (age + 10))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)

    def _checkpoint(self, validate: Callable[[], float]) -> None:
        own = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        self.network.eval()
        with torch.no_grad():
            self.progress.validation = validate()
        self.network.train()
        self.network.load_state_dict(own)
        self._log(validation=round(self.progress.validation, 5))
        whole = {
            "network": own,
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": self.random.get_state(),
            "progress": [getattr(self.progress, f) for f in Progress.__slots__],
        }
        replace_with(self.plan.run / "last.pt", lambda path: torch.save(whole, path))
        half = {k: v.half().contiguous() for k, v in self.average.items()}
        replace_with(self.plan.run / "weights.safetensors", lambda path: save_file(half, path))

    def _resume(self) -> None:
        path = self.plan.run / "last.pt"
        whole = torch.load(path, weights_only=True)
        try:
            self.network.load_state_dict(whole["network"])
        except RuntimeError:
            raise ValueError(f"{path}: a checkpoint of another configuration") from None
        self.average = whole["average"]
        self.optimiser.load_state_dict(whole["optimiser"])
        self.schedule.load_state_dict(whole["schedule"])
        self.random.set_state(whole["random"])
        self.progress = Progress(*whole["progress"])

    def _log(self, **values: float) -> None:
        line = {"iteration": self.progress.iteration, f"{self.unit}s": self.progress.seen}
        line |= {"hours": round(self.progress.seconds / 3600, 3)} | values
        with (self.plan.run / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


def mixed_precision() -> torch.autocast:
    """bfloat16 matrix products where the processor has units for them, else float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_amx_tile_supported())


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network from a .safetensors file; ValueError names the file if it does not fit."""
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not weights of this network ({reason})") from None


def replace_with(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside the old one and rename it over it, so that it is never half there."""
    partial = path.with_name(path.name + ".part")
    write(partial)
    partial.chmod(0o644)
    os.replace(partial, path)
