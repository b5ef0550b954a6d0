"""What every training run shares: its steps, its clock, its averages and its checkpoints.

A run is a folder: last.pt (all that a run needs to go on exactly), weights.safetensors and
best.safetensors (averaged weights, what a bank is made of) and log.jsonl (one line for each
report). Under torchrun every process takes its own rows of each batch, and the first writes.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from common.files import remove_partials
from trainer.data.prefetch import Prefetch
from trainer.run.checkpoint import (
    BEST,
    LAST,
    LATEST,
    Average,
    Progress,
    check_config,
    load_checkpoint,
    save_checkpoint,
    save_weights,
    taught_alike,
)
from trainer.run.journal import Journal, Recent
from trainer.run.machine import Machine
from trainer.run.objective import Objective, Sketch
from trainer.run.plan import TrainingPlan
from trainer.run.weights import load_weights, one_line

REPORT_EVERY = 50
EMA_SPAN = 1000
"""Iterations that the weight average looks back over, once a run is that old."""
WARM_UP = 200
"""Iterations until the learning rate is at its height."""
LONGEST_GRADIENT = 1.0
"""Longer ones are cut to that."""
DRAWERS = 8
"""Threads that draw batches for a GPU, at most."""


class Run:
    """One training run: `go` trains until the plan's end, a signal, or its time is up.

    groups: Adam's parameter groups, each with its learning rate. Raises ValueError for a
    checkpoint or weights that do not fit.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        objective: Objective,
        groups: list[dict[str, Any]],
        machine: Machine | None = None,
    ) -> None:
        self.plan, self.objective, self.machine = plan, objective, machine or Machine()
        self.network, self.unit = objective.network, objective.unit
        rates = [group["lr"] for group in groups]
        self.optimiser = torch.optim.Adam(groups, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda i: min(1.0, (i + 1) / WARM_UP) * 0.5 ** (i // plan.halve_every)
        )
        self.random = torch.Generator().manual_seed(plan.seed)
        self.progress = Progress()
        plan.run.mkdir(parents=True, exist_ok=True)
        if self.machine.first:
            remove_partials(plan.run)  # of a session that was killed
        if (plan.run / LAST).exists():
            self._resume(rates)
        elif plan.init:
            load_weights(self.network, plan.init)
            check_config(plan.init, self.network.config, {})
            self.progress.begin_with(plan.init)
            self.average = Average(self.network, EMA_SPAN)
        else:
            self.average = Average(self.network, EMA_SPAN)
        self.journal = Journal(plan.run, plan.tensorboard and self.machine.first)

    def go(self, sketch: Sketch | None = None, sketch_minutes: float = 30.0) -> Progress:
        """Train. A checkpoint is the last thing done, on SIGINT and SIGTERM too.

        sketch: called with the averaged weights in the network, so often and when all is done.
        Raises ValueError when the training diverges; the checkpoint before is left as it was.
        """
        progress, plan, machine = self.progress, self.plan, self.machine
        saved = sketched = time.monotonic()
        limit = saved + plan.max_minutes * 60
        machine.agree(self.network)
        recent = Recent(plan.run)
        workers = min(DRAWERS, os.cpu_count() or 1) if machine.device.type == "cuda" else 0

        def draw(random: torch.Generator) -> Any:
            return machine.pin(self.objective.draw(random))

        with (
            _noted_signals() as stop,
            Prefetch(draw, self.random, workers) as batches,
            tqdm(
                total=plan.iterations,
                initial=progress.iteration,
                unit="it",
                smoothing=0.02,
                disable=not machine.first,
            ) as bar,
        ):
            while progress.iteration < plan.iterations:
                started = time.monotonic()
                if machine.any(bool(stop) or started >= limit):
                    break
                recent.add(progress.iteration, *self._descend(batches.next()))
                self.random.set_state(batches.state)
                progress.iteration += 1
                progress.seen += self.objective.seen * machine.ranks
                if progress.iteration % REPORT_EVERY == 0:
                    mean = recent.mean(machine)
                    progress.seconds += time.monotonic() - started
                    speed = progress.seen / max(progress.seconds, 1e-9)
                    bar.set_postfix_str(f"loss {mean:.4f}, {speed:,.0f} {self.unit}s/s")
                    self._log({}, loss=round(mean, 5), per_second=round(speed))
                else:
                    progress.seconds += time.monotonic() - started
                bar.update()
                if time.monotonic() - saved > plan.checkpoint_minutes * 60:
                    due = sketch and time.monotonic() - sketched > sketch_minutes * 60
                    recent.check()
                    self._checkpoint(sketch if due else None)
                    saved = time.monotonic()
                    sketched = saved if due else sketched
            recent.check()
            self._checkpoint(None if stop else sketch)
        self.journal.close()
        return progress

    def _descend(self, batch: Any) -> tuple[Tensor, Tensor]:
        """One step; returns its loss and the length of its gradient."""
        loss = self.objective(self.machine.place(batch))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.machine.share_gradients(self.network)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        self.optimiser.step()
        self.schedule.step()
        self.average.follow(self.progress.iteration)
        return loss.detach(), norm

    def _checkpoint(self, sketch: Sketch | None) -> None:
        if not self.machine.first:
            return
        plan, progress, run = self.plan, self.progress, self.plan.run
        with self._averaged() as own:
            progress.validation = self.objective.validate()
            if sketch:
                sketch(run / "sketches", progress.iteration)
        taught = {"iteration": progress.iteration} | dict(self.objective.taught)
        weights, config = self.average.weights, self.network.config
        if progress.validation < progress.best:
            progress.best = progress.validation
            save_weights(run / BEST, weights, config, taught, progress.history())
        whole = {
            "network": own,
            "average": weights,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": self.random.get_state(),
            "objective": dict(self.objective.kept()),
        }
        save_checkpoint(plan.run, whole, progress)
        save_weights(run / LATEST, weights, config, taught, progress.history())
        # Logged only now: the log's last validation belongs to the weights on the disk.
        session = {"device": self.machine.name} | dict(self.objective.session)
        self._log(session, validation=round(progress.validation, 5))

    @contextmanager
    def _averaged(self) -> Iterator[dict[str, Tensor]]:
        """The network plays with averaged weights meanwhile; yields its own."""
        own = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average.weights)
        self.network.eval()
        try:
            with torch.no_grad():
                yield own
        finally:
            self.network.train()
            self.network.load_state_dict(own)

    def _resume(self, rates: list[float]) -> None:
        run, schedule = self.plan.run, self.schedule
        whole = load_checkpoint(run)
        try:
            self.network.load_state_dict(whole["network"])
            self.optimiser.load_state_dict(whole["optimiser"])
            _check_moments(self.optimiser)
            schedule.load_state_dict(whole["schedule"])
            self.average = Average(self.network, EMA_SPAN)
            self.average.load(whole["average"])
            self.objective.restore(whole.get("objective", {}))
        except (RuntimeError, ValueError, LookupError) as error:
            another = f"{run / LAST}: a checkpoint of another configuration"
            raise ValueError(f"{another} ({one_line(error)})") from None
        if (run / LATEST).exists():
            check_config(run / LATEST, self.network.config, self.objective.taught)
        self.progress = whole["progress"]
        if not taught_alike(run / BEST, self.objective.taught):
            # Losses of different kinds cannot be compared.
            self.progress.best = float("inf")
        # The rates are this session's, whatever the last one used.
        schedule.base_lrs = [*rates]
        for group, rate, factor in zip(
            self.optimiser.param_groups, rates, schedule.lr_lambdas, strict=True
        ):
            group["initial_lr"], group["fused"] = rate, True
            group["lr"] = rate * factor(schedule.last_epoch)
        self.random.set_state(whole["random"])

    def _log(self, notes: Mapping[str, Any], **values: float) -> None:
        if self.machine.first:
            progress = self.progress
            counters = {"iteration": progress.iteration, f"{self.unit}s": progress.seen}
            hours = {"hours": round(progress.seconds / 3600, 3)}
            self.journal.write(counters | hours, values, notes)


def _check_moments(optimiser: torch.optim.Optimizer) -> None:
    """Adam accepts moments of other shapes, and would then write beyond their ends."""
    for group in optimiser.param_groups:
        for weight in group["params"]:
            state = optimiser.state[weight]
            shapes = {tuple(state[name].shape) for name in ("exp_avg", "exp_avg_sq") if state}
            if shapes - {tuple(weight.shape)}:
                raise ValueError(f"moments {shapes} of weights {tuple(weight.shape)}")


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
