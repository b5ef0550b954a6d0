"""Teaches the encoder: a bank plays scores at random points, and it says which points they are.

No recording is needed. What a bank predicts is smoother than what a microphone hears, so each time
a lesson is heard it gets what recordings have: levels that waver, noise, a slope over frequency,
and sometimes nothing above some frequency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from synth.bank.bank import Bank, load_bank
from trainer.data.dataset import Shard
from trainer.encoder.lessons import Lessons, make_lessons, weights_digest
from trainer.encoder.levels import DB, levels_of
from trainer.encoder.network import Encoder, EncoderConfig
from trainer.encoder.settings import EncoderSettings
from trainer.run.loop import Run
from trainer.run.machine import Machine, at_work
from trainer.run.objective import NothingKept
from trainer.run.plan import TrainingPlan

WAVER_DB, SLOPE_DB = 3.0, 6.0
"""Standard deviation of levels from frame to frame, and the slope from the lowest band to the
highest, at most."""
NOISE_DB = (-70.0, -30.0)
"""Of the loudest band: the noise's level in each."""
LIMITED = 0.3
"""Share of the batch without anything above some band."""
LEAST_BANDS = 0.4
"""Share of the bands that even those have."""
HELD_OUT = 12
"""There are so many times fewer lessons to be judged by."""
LONGEST_ERROR = 0.1
"""Share of the span up to which errors count by their squares."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Lessons as recordings. mel (batch, frames, mels), points (batch, size); waver, slope, noise
    (batch, frames or 1, mels): natural logs of magnitudes that are added, the noise's relative to
    the loudest."""

    mel: Tensor
    points: Tensor
    waver: Tensor
    slope: Tensor
    noise: Tensor

    def heard(self) -> Tensor:
        """Log mel bands (batch, frames, mels) as a recording might have them."""
        mel = self.mel + self.waver + self.slope
        return torch.logaddexp(mel, self.noise + mel.amax((1, 2), keepdim=True))


class EncoderObjective(NothingKept, nn.Module):
    """See `run.objective.Objective`."""

    unit = "frame"
    taught: Mapping[str, Any] = {"loss": "error of the point, as a share of the span"}
    session: Mapping[str, Any] = {}

    def __init__(
        self, network: Encoder, lessons: Lessons, held_out: Lessons, batch: int, machine: Machine
    ) -> None:
        super().__init__()
        self.network = network
        self.seen = batch * lessons.mel.shape[1]
        self._lessons, self._held_out, self._batch = lessons, held_out, batch
        self._machine = machine

    def draw(self, random: torch.Generator) -> Recorded:
        shard = Shard(self._machine.rank, self._machine.ranks)
        total = self._batch * shard.ranks
        chosen = torch.randint(len(self._lessons.mel), (total,), generator=random)
        return recorded(self._lessons, chosen, random, shard)

    def forward(self, batch: Recorded) -> Tensor:
        span = self.network.high - self.network.low
        wrong = (self.network(levels_of(batch.heard())) - batch.points) / span
        return smooth_l1_loss(wrong, torch.zeros_like(wrong), beta=LONGEST_ERROR)

    def validate(self) -> float:
        """Mean distance from the right point, as a share of the space's diameter."""
        random = torch.Generator().manual_seed(1)
        batch = recorded(self._held_out, torch.arange(len(self._held_out.mel)), random, Shard())
        batch = self._machine.place(batch)
        away = (self.network(levels_of(batch.heard())) - batch.points).norm(dim=-1)
        return float(away.mean()) / self.network.diameter


def recorded(lessons: Lessons, chosen: Tensor, random: torch.Generator, shard: Shard) -> Recorded:
    """The chosen lessons, each with flaws of its own; of them a process's share."""
    total, (_, frames, bands) = len(chosen), lessons.mel.shape

    def draw(*sizes: int) -> Tensor:
        return torch.rand(total, *sizes, generator=random)

    slope = SLOPE_DB / DB * (2 * draw(1, 1) - 1) * torch.linspace(-0.5, 0.5, bands)
    top = LEAST_BANDS + (1 - LEAST_BANDS) * draw(1, 1)
    gone = (draw(1, 1) < LIMITED) & (torch.arange(bands) >= top * bands)
    noise = (NOISE_DB[0] + (NOISE_DB[1] - NOISE_DB[0]) * draw(1, 1)) / DB
    noise = noise.expand(-1, 1, bands).masked_fill(gone, -torch.inf)
    waver = WAVER_DB / DB * draw(1, 1) * torch.randn(total, frames, bands, generator=random)
    own = slice(shard.rank, None, shard.ranks)
    return Recorded(
        *(lessons.mel[chosen[own]].float(), lessons.points[chosen[own]]),
        *(waver[own], slope.masked_fill(gone, -torch.inf)[own], noise[own]),
    )


def train(plan: TrainingPlan, settings: EncoderSettings) -> None:
    """Train, or go on training, in plan.run. Raises ValueError for bad data or checkpoints."""
    bank = load_bank(settings.bank)
    with at_work(plan.device, plan.threads) as machine:
        torch.manual_seed(plan.seed)
        network = Encoder(_config(bank, settings))
        lessons, held_out = (
            make_lessons(bank, plan.data, split, count, plan.frames, plan.seed)
            for split, count in (
                ("train", settings.lessons),
                ("val", max(settings.lessons // HELD_OUT, 1)),
            )
        )
        objective = EncoderObjective(network, lessons, held_out, plan.batch, machine)
        objective.to(machine.device)
        weights = [{"params": list(network.parameters()), "lr": plan.learning_rate}]
        Run(plan, objective, weights, machine).go()


def _config(bank: Bank, settings: EncoderSettings) -> EncoderConfig:
    low, high = zip(*bank.span, strict=True)
    sizes = asdict(settings.sizes)
    return EncoderConfig(bank.analysis.mels, low, high, weights_digest(bank), **sizes)
