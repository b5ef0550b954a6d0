"""A run's log: log.jsonl, and TensorBoard if it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.run.machine import Machine


class Journal:
    """Appends to a run's log.jsonl.

    Raises ValueError when tensorboard is asked for and not installed.
    """

    def __init__(self, run: Path, tensorboard: bool) -> None:
        self._path, self._board = run / "log.jsonl", None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise ValueError("--tensorboard: needs `pip install tensorboard`") from None
            self._board = SummaryWriter(str(run / "tensorboard"))

    def write(
        self,
        counters: Mapping[str, float],
        values: Mapping[str, float],
        notes: Mapping[str, Any],
    ) -> None:
        """Add one line. counters: where the run stands, `iteration` among them; values: for
        TensorBoard, too; notes: for the log only."""
        with self._path.open("a") as file:
            file.write(json.dumps({**counters, **values, **notes}) + "\n")
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, counters["iteration"])
            self._board.flush()

    def close(self) -> None:
        """No more lines."""
        if self._board:
            self._board.close()


class Recent:
    """Losses since the last report, read together, because reading one waits for the GPU."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._losses: list[Tensor] = []
        self._fresh: list[tuple[int, Tensor, Tensor]] = []

    def add(self, iteration: int, loss: Tensor, norm: Tensor) -> None:
        self._losses.append(loss)
        self._fresh.append((iteration, loss, norm))
        if loss.device.type == "cpu":
            self.check()

    def mean(self, machine: Machine) -> float:
        """Of all losses since the last call, over all processes."""
        self.check()
        losses, self._losses = torch.stack(self._losses), []
        return float(machine.mean(losses.mean()))

    def check(self) -> None:
        """Raises ValueError if a loss or a gradient since the last call was not finite."""
        fresh, self._fresh = self._fresh, []
        if not fresh or torch.stack([loss + norm for _, loss, norm in fresh]).isfinite().all():
            return
        for iteration, loss, norm in fresh:
            if not (loss + norm).isfinite():
                raise ValueError(
                    f"{self._run}: diverged at iteration {iteration} (loss {float(loss):g}, "
                    f"gradient {float(norm):g}); its last checkpoint is untouched"
                )
