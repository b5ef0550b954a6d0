"""What every training run is asked to do: where, how long, on what, and in which steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval
from tyro.conf import arg

from common.flags import Count, Minutes, Positive, Seed


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """One training run, in a folder of its own."""

    data: Annotated[Path, arg(metavar="FOLDER")] = Path("runs/data")
    """The data set."""
    run: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of the run: its checkpoints are kept and found again here."""
    init: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint="(default: random weights)")
    ] = None
    """Weights (.safetensors) that a new run starts from."""
    batch: Count
    """Sequences in a step, for each process."""
    frames: Count
    """Length of a sequence in frames of 8 ms."""
    iterations: Count = 1_000_000
    """Steps until the run is done, all sessions counted."""
    learning_rate: Annotated[Positive, arg(metavar="RATE")] = 1e-3
    """Learning rate of Adam."""
    halve_every: Count
    """Steps after which the learning rate is halved."""
    max_minutes: Annotated[
        float,
        Interval(ge=0),
        arg(metavar="MINUTES", help_behavior_hint="(default: no limit)"),
    ] = math.inf
    """Stop this session after so long, with a checkpoint."""
    checkpoint_minutes: Minutes = 3.0
    """Time between checkpoints."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What to train on; auto takes a GPU if there is one."""
    threads: Count = 1
    """Processor cores to use, for each process."""
    shards: bool = False
    """Under torchrun: each process reads its own share of the training data, not all of it. That
    takes less memory, and other sequences are drawn than by one process."""
    seed: Seed = 0
    """Random seed of a new run's first weights and of the sequences it draws."""
    tensorboard: bool = False
    """Also write the losses for TensorBoard into the run's folder, not only to log.jsonl."""
