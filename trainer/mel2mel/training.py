"""Teaches Mel2Mel: rolls and instruments in, both spectra out, compared with the rendered sound.

The lookahead is drawn anew for every sequence, so that one model serves every setting.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from synth.mel import FLOOR, fold, mel_filters, mel_from_magnitudes
from synth.mel2mel.bilstm import Lookahead
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from trainer.data.dataset import DataSet, Sequences, Shard, framed_magnitudes
from trainer.mel2mel.grow import grow
from trainer.mel2mel.losses import SpectralLoss
from trainer.mel2mel.settings import Mel2MelSettings
from trainer.run.checkpoint import LAST
from trainer.run.loop import Run
from trainer.run.machine import Machine, at_work
from trainer.run.plan import TrainingPlan

LOOKAHEADS = (0, 1, 2, 4, 8, None)
LOOKAHEAD_SHARES = (0.2, 0.1, 0.15, 0.25, 0.1, 0.2)
VALIDATION_BATCHES = 8
VALIDATION_LOOKAHEAD = 4


@dataclass(frozen=True, slots=True)
class Mel2MelBatch:
    """Sequences, and the lookahead of each in frames, None for all there are."""

    sequences: Sequences
    lookaheads: tuple[int | None, ...]


class Mel2MelObjective(nn.Module):
    """See `run.objective.Objective`."""

    unit = "frame"
    session: Mapping[str, Any] = {}

    def __init__(
        self,
        network: Mel2Mel,
        data: DataSet,
        held_out: DataSet,
        batch: int,
        loss: SpectralLoss,
        machine: Machine,
    ) -> None:
        super().__init__()
        self.network = network
        self.filters: Tensor
        self.register_buffer("filters", mel_filters(network.config.analysis), persistent=False)
        self.seen = batch * data.frames
        words = loss.in_words(network.config.fine)
        self.taught = {"loss_name": loss.name, "loss": words}
        self._data, self._held_out, self._batch = data, held_out, batch
        self._loss, self._machine = loss, machine

    def draw(self, random: torch.Generator) -> Mel2MelBatch:
        shard = Shard(self._machine.rank, self._machine.ranks)
        window = self.network.config.analysis.window
        sequences = self._data.draw(self._batch, window, random, shard)
        lookaheads = draw_lookaheads(self._batch * shard.ranks, random)
        return Mel2MelBatch(sequences, lookaheads[shard.rank :: shard.ranks])

    def forward(self, batch: Mel2MelBatch) -> Tensor:
        return self._compare(batch.sequences, batch.lookaheads, self._machine.mixed_precision())

    def validate(self) -> float:
        random = torch.Generator().manual_seed(1)
        window = self.network.config.analysis.window
        total = 0.0
        for _ in range(VALIDATION_BATCHES):
            drawn = self._held_out.draw(len(self._data.patches), window, random)
            placed = self._machine.place(drawn)
            total += float(self._compare(placed, VALIDATION_LOOKAHEAD, nullcontext()))
        return total / VALIDATION_BATCHES

    def _compare(
        self, batch: Sequences, lookahead: Lookahead, precision: AbstractContextManager
    ) -> Tensor:
        analysis = self.network.config.analysis
        linear = framed_magnitudes(batch.audio, analysis)
        mel = mel_from_magnitudes(linear, self.filters)
        fine = fold(linear, analysis).clamp(min=FLOOR).log() if self.network.config.fine else None
        with precision:
            embedding = self.network.instruments(batch.instrument)[:, None]
            heard = self.network(batch.roll, embedding, lookahead, batch.keys)
        return self._loss(heard, mel, fine)


def train(plan: TrainingPlan, settings: Mel2MelSettings) -> None:
    """Train, or go on training, in plan.run. Raises ValueError for bad data or checkpoints."""
    sizes = settings.sizes.config()
    with at_work(plan.device, plan.threads) as machine:
        torch.manual_seed(plan.seed)
        data, held_out = (DataSet(plan.data, split, plan.frames) for split in ("train", "val"))
        count = len(data.patches)
        config = Mel2MelConfig(instruments=count, analysis=data.analysis, **sizes)
        network = Mel2Mel(config)
        _spread(network)
        loss = SpectralLoss(**asdict(settings.loss))
        objective = Mel2MelObjective(network, data, held_out, plan.batch, loss, machine)
        objective.to(machine.device)
        named = list(network.named_parameters())
        fast = [p for n, p in named if n.startswith("templates.")]
        slow = [p for n, p in named if not n.startswith("templates.")]
        groups = [
            {"params": slow, "lr": plan.learning_rate},
            {"params": fast, "lr": settings.template_rate},
        ]
        begun = (plan.run / LAST).exists()
        if settings.grow and not begun:
            report = grow(network, settings.grow)
            if machine.first:
                print(report, file=sys.stderr)
        run = Run(plan, objective, groups, machine)
        if settings.grow and not begun:
            run.progress.begin_with(settings.grow)
        run.go()


def draw_lookaheads(count: int, random: torch.Generator) -> tuple[int | None, ...]:
    """As players choose them, by `LOOKAHEAD_SHARES`: in frames, None for the whole sequence.

    The whole is given to none of half the batches, and in the other half to twice as many: a
    pass of the LSTM over a few sequences takes almost as long as over all.
    """
    shares = torch.tensor(LOOKAHEAD_SHARES)
    whole = 2 * shares[-1] if torch.rand((), generator=random) < 0.5 else torch.tensor(0.0)
    shares = torch.cat([shares[:-1] * (1 - whole) / (1 - shares[-1]), whole[None]])
    drawn = torch.multinomial(shares, count, replacement=True, generator=random)
    return tuple(LOOKAHEADS[int(i)] for i in drawn)


def _spread(network: Mel2Mel) -> None:
    """Start the instruments apart: evenly on a circle in two dimensions, and in more of them in
    random directions, all as far from the middle."""
    table = network.instruments.weight
    angle = torch.arange(len(table)) * (2 * torch.pi / len(table))
    with torch.no_grad():
        if table.shape[1] > 2:
            nn.functional.normalize(table.normal_(), out=table)
            return
        table.normal_(std=0.05)
        table[:, 0] += angle.cos()
        if table.shape[1] > 1:
            table[:, 1] += angle.sin()
