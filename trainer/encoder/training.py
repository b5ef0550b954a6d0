"""Teaches the encoder: a bank plays scores at random points, and it says which points they are.

No recording is needed, and no two lessons are the same. What a bank predicts is smoother than what
a microphone hears, so each lesson gets what recordings have: levels that waver, noise, a slope over
frequency, and sometimes nothing above some frequency.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from synth.bank.bank import Bank, load_bank
from synth.mel2mel.keys import KeyTracks
from synth.mel2mel.network import Mel2Mel
from trainer.data.dataset import DataSet, Shard
from trainer.encoder.levels import DB, levels_of
from trainer.encoder.network import Encoder, EncoderConfig
from trainer.encoder.settings import EncoderSettings
from trainer.mel2mel.between import draw_mixtures, points_of
from trainer.run.loop import Run
from trainer.run.machine import Machine, at_work
from trainer.run.objective import NothingKept
from trainer.run.plan import TrainingPlan

ANYWHERE = 0.5
"""Share of the points that may lie anywhere in the span; the others lie between instruments."""
WAVER_DB, SLOPE_DB = 3.0, 6.0
"""Standard deviation of levels from frame to frame, and the slope from the lowest band to the
highest, at most."""
NOISE_DB = (-70.0, -30.0)
"""Of the loudest band: the noise's level in each."""
LIMITED = 0.3
"""Share of the lessons without anything above some band."""
LEAST_BANDS = 0.4
"""Share of the bands that even those have."""
LONGEST_ERROR = 0.1
"""Share of the span up to which errors count by their squares."""
VALIDATION_BATCHES = 6
WEIGHTS = "mel2mel.safetensors"


@dataclass(frozen=True, slots=True)
class Lessons:
    """Of each lesson: roll (batch, frames, 176), velocity, age and rest as `KeyTracks` has them;
    points (batch, 1, inputs) of the bank's network; waver, slope, noise (batch, frames or 1, mels):
    natural logs of magnitudes that are added, the noise's relative to the loudest."""

    roll: Tensor
    velocity: Tensor
    age: Tensor
    rest: Tensor
    points: Tensor
    waver: Tensor
    slope: Tensor
    noise: Tensor


class EncoderObjective(NothingKept, nn.Module):
    """See `run.objective.Objective`."""

    unit = "frame"
    taught: Mapping[str, Any] = {"loss": "error of the point, as a share of the span"}
    session: Mapping[str, Any] = {}

    def __init__(
        self,
        network: Encoder,
        teacher: Mel2Mel,
        data: DataSet,
        held_out: DataSet,
        batch: int,
        knobs: int,
        machine: Machine,
    ) -> None:
        """knobs: inputs of the teacher behind the point."""
        super().__init__()
        self.network, self.teacher, self._knobs = network, teacher, knobs
        self.seen = batch * data.frames
        self._data, self._held_out, self._batch = data, held_out, batch
        self._machine = machine

    def draw(self, random: torch.Generator) -> Lessons:
        return self._drawn(self._data, self._batch, random)

    def forward(self, lessons: Lessons) -> Tensor:
        span = self.network.high - self.network.low
        wrong = (self._answers(lessons) - self._asked(lessons)) / span
        return smooth_l1_loss(wrong, torch.zeros_like(wrong), beta=LONGEST_ERROR)

    def validate(self) -> float:
        """Mean distance from the right point, as a share of the space's diameter."""
        random, total = torch.Generator().manual_seed(1), 0.0
        for _ in range(VALIDATION_BATCHES):
            lessons = self._machine.place(self._drawn(self._held_out, self._batch, random))
            away = (self._answers(lessons) - self._asked(lessons)).norm(dim=-1)
            total += float(away.mean()) / self.network.diameter
        return total / VALIDATION_BATCHES

    def _answers(self, lessons: Lessons) -> Tensor:
        keys = KeyTracks(lessons.velocity, lessons.age, lessons.rest)
        with torch.no_grad(), self._machine.mixed_precision():
            mel = self.teacher(lessons.roll, lessons.points, None, keys).mel.float()
        return self.network(levels_of(recorded(mel, lessons)))

    def _asked(self, lessons: Lessons) -> Tensor:
        return lessons.points[:, 0, : len(self.network.config.low)]

    def _drawn(self, data: DataSet, batch: int, random: torch.Generator) -> Lessons:
        shard = Shard(self._machine.rank, self._machine.ranks)
        played = data.draw(batch, 0, random, shard)
        total, own = batch * shard.ranks, slice(shard.rank, None, shard.ranks)
        bands, frames = self.network.config.mels, played.roll.shape[1]
        slope = SLOPE_DB * (2 * torch.rand(total, 1, 1, generator=random) - 1)
        slope = slope * torch.linspace(-0.5, 0.5, bands) / DB
        top = LEAST_BANDS + (1 - LEAST_BANDS) * torch.rand(total, 1, 1, generator=random)
        limited = torch.rand(total, 1, 1, generator=random) < LIMITED
        gone = limited & (torch.arange(bands) >= top * bands)
        noise = torch.rand(total, 1, 1, generator=random)
        noise = (NOISE_DB[0] + (NOISE_DB[1] - NOISE_DB[0]) * noise).expand(-1, 1, bands) / DB
        noise = noise.masked_fill(gone, -torch.inf)
        sizes = WAVER_DB / DB * torch.rand(total, 1, 1, generator=random)
        waver = sizes * torch.randn(total, frames, bands, generator=random)
        points = self._points(total, random)
        return Lessons(
            *(played.roll, played.velocity, played.age, played.rest),
            *(points[own], waver[own], slope.masked_fill(gone, -torch.inf)[own], noise[own]),
        )

    def _points(self, count: int, random: torch.Generator) -> Tensor:
        """Random inputs (count, 1, inputs) of the bank's network, its knobs at rest."""
        config = self.network.config
        low, high = torch.tensor(config.low), torch.tensor(config.high)
        anywhere = low + (high - low) * torch.rand(count, 1, len(low), generator=random)
        table = self.teacher.instruments.weight.detach().cpu()[:, : len(low)]
        between = anywhere
        if len(table) > 1:
            mixtures = draw_mixtures(count, len(table), random)
            between = points_of(mixtures, table).clamp(low, high)
        free = torch.rand(count, 1, 1, generator=random) < ANYWHERE
        points = torch.where(free, anywhere, between)
        return nn.functional.pad(points, (0, self._knobs))


def recorded(mel: Tensor, lessons: Lessons) -> Tensor:
    """Log mel bands (batch, frames, mels) as a recording might have them."""
    mel = mel + lessons.waver + lessons.slope
    return torch.logaddexp(mel, lessons.noise + mel.amax((1, 2), keepdim=True))


def train(plan: TrainingPlan, settings: EncoderSettings) -> None:
    """Train, or go on training, in plan.run. Raises ValueError for bad data or checkpoints."""
    bank = load_bank(settings.bank)
    with at_work(plan.device, plan.threads) as machine:
        torch.manual_seed(plan.seed)
        data, held_out = (DataSet(plan.data, split, plan.frames) for split in ("train", "val"))
        _check_frames(plan.data, data, bank)
        network = Encoder(_config(bank, settings))
        teacher = bank.mel2mel().eval().requires_grad_(False)
        teacher.config = replace(teacher.config, movement=0)  # it says nothing of mean levels
        objective = EncoderObjective(
            *(network, teacher, data, held_out, plan.batch, bank.more, machine)
        )
        objective.to(machine.device)
        weights = [{"params": list(network.parameters()), "lr": plan.learning_rate}]
        Run(plan, objective, weights, machine).go()


def weights_digest(bank: Bank) -> str:
    """Which network a bank has: sha256 of its file."""
    return hashlib.sha256((bank.path / WEIGHTS).read_bytes()).hexdigest()


def _config(bank: Bank, settings: EncoderSettings) -> EncoderConfig:
    low, high = zip(*bank.span, strict=True)
    sizes = asdict(settings.sizes)
    return EncoderConfig(bank.analysis.mels, low, high, weights_digest(bank), **sizes)


def _check_frames(folder: Path, data: DataSet, bank: Bank) -> None:
    """Only scores are taken from the data, so their frames must be as long as the bank's."""
    if data.analysis.frame_rate != bank.analysis.frame_rate:
        raise ValueError(
            f"{folder}: expected {bank.analysis.frame_rate:g} frames a second, as in {bank.path}, "
            f"got {data.analysis.frame_rate:g}"
        )
