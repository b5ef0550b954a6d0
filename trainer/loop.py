"""What every training run shares: its plan, its clock, its averages and its checkpoints.

A run is a folder: last.pt (all that a run needs to go on exactly: weights, average, optimiser,
counters, random state), weights.safetensors (the averaged weights, half precision, what a
bank is made of) and log.jsonl (one line for each report).
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from trainer.weights import load_weights, one_line, read_config, replace_with

DEVICE = "cpu"
"""Where training runs."""
CHECKPOINT_S = 180.0
REPORT_EVERY = 50
EMA_SPAN = 1000
"""Iterations that the weight average looks back over, once a run is that old."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked of a training run.

    init: weights of a new run, or None; max_minutes: of this session; frames: length of a
    sequence, halve_every: iterations after which the learning rate is halved, each None for
    the method's; sizes: fields of the network's config that differ
    from the method's.
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


@dataclass(slots=True)
class Progress:
    """Counters that make a bank's provenance: all sum over resumed sessions."""

    iteration: int = 0
    seen: int = 0
    seconds: float = 0.0
    validation: float = float("nan")


class Run:
    """One training run: `go` trains until the plan's end, a signal, or its time is up.

    network: what is trained, its `config` a dataclass; groups: Adam's parameter groups;
    halve_every: the plan's, unless it states one; unit: what `seen` counts
    ("frame" or "sample"). Raises ValueError for a checkpoint or weights that do not fit.
    """

    def __init__(
        self, plan: Plan, network: nn.Module, groups: list[dict], halve_every: int, unit: str
    ) -> None:
        torch.set_num_threads(plan.threads)
        self.plan, self.network, self.unit = plan, network, unit
        self.optimiser = torch.optim.Adam(groups, fused=True)
        halve_every = plan.halve_every or halve_every
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
                self._check_config(plan.init)
            self.average = {k: v.detach().clone() for k, v in network.state_dict().items()}

    def go(
        self,
        step: Callable[[torch.Generator], tuple[Tensor, int]],
        validate: Callable[[], float],
    ) -> Progress:
        """Train. step(random) returns a loss to descend and how much it has seen.

        validate() returns the held-out loss of the averaged weights, which it finds in the
        network. A checkpoint is the last thing done, on SIGINT and SIGTERM too. Raises
        ValueError when the training diverges; the checkpoint before it is left as it was.
        """
        progress, plan = self.progress, self.plan
        saved = time.monotonic()
        limit = saved + plan.max_minutes * 60
        recent: list[float] = []
        with _noted_signals() as stop:
            with tqdm(
                total=plan.iterations, initial=progress.iteration, unit="it", smoothing=0.02
            ) as bar:
                while progress.iteration < plan.iterations and not stop:
                    started = time.monotonic()
                    if started >= limit:
                        break
                    loss, seen = step(self.random)
                    self._descend(loss)
                    recent.append(loss.item())
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
            self._checkpoint(validate)
        return progress

    def _descend(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if not norm.isfinite():
            raise ValueError(
                f"{self.plan.run}: diverged at iteration {self.progress.iteration} (loss "
                f"{loss.item():g}, gradient {norm.item():g}); its last checkpoint is untouched"
            )
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
        told = {"config": json.dumps(asdict(self.network.config))}
        weights = self.plan.run / "weights.safetensors"
        replace_with(weights, lambda path: save_file(half, path, told))
        # Logged once it is on disk: the log's last validation belongs to these weights.
        self._log(validation=round(self.progress.validation, 5))

    def _resume(self) -> None:
        path, weights = self.plan.run / "last.pt", self.plan.run / "weights.safetensors"
        try:
            whole = torch.load(path, map_location=DEVICE, weights_only=True)
            network, average = whole["network"], whole["average"]
            progress = Progress(*whole["progress"])
            self.random.set_state(whole["random"])
        except (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, TypeError) as error:
            raise ValueError(f"{path}: not a whole checkpoint ({one_line(error)})") from None
        try:
            self.network.load_state_dict(network)
            self.optimiser.load_state_dict(whole["optimiser"])
            self.schedule.load_state_dict(whole["schedule"])
        except (RuntimeError, ValueError, LookupError) as error:
            another = f"{path}: a checkpoint of another configuration"
            raise ValueError(f"{another} ({one_line(error)})") from None
        if weights.exists():
            self._check_config(weights)
        for group in self.optimiser.param_groups:
            group["fused"] = True  # whatever the session before used
        self.average, self.progress = average, progress

    def _check_config(self, weights: Path) -> None:
        """Not every size shows in a tensor's shape: dilations do not."""
        own = json.loads(json.dumps(asdict(self.network.config)))
        for name, value in read_config(weights).items():
            if own.get(name) != value:
                raise ValueError(
                    f"{weights}: of another configuration ({name} is {value} there, "
                    f"{own.get(name)} here)"
                )

    def _log(self, **values: float) -> None:
        line = {"iteration": self.progress.iteration, f"{self.unit}s": self.progress.seen}
        line |= {"hours": round(self.progress.seconds / 3600, 3)} | values
        with (self.plan.run / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


def mixed_precision() -> torch.autocast:
    """bfloat16 matrix products where the processor has units for them, else float32."""
    return torch.autocast(DEVICE, torch.bfloat16, enabled=torch.cpu._is_amx_tile_supported())


@contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """SIGTERM and SIGINT go onto a list instead of ending the process, however often."""
    noted: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: noted.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield noted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
