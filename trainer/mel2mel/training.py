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
from trainer.data.dataset import ALL, DataSet, Sequences, Shard, framed_magnitudes
from trainer.mel2mel.between import Mixtures, draw_mixtures, points_of, wanted_between
from trainer.mel2mel.grow import grow
from trainer.mel2mel.keys_alone import has_keys, measure_keys
from trainer.mel2mel.let_go import measure_releases
from trainer.mel2mel.losses import SpectralLoss
from trainer.mel2mel.settings import Mel2MelSettings
from trainer.mel2mel.settle import settle
from trainer.run.checkpoint import LAST
from trainer.run.loop import Run
from trainer.run.machine import Machine, at_work
from trainer.run.objective import NothingKept
from trainer.run.plan import TrainingPlan
from trainer.run.weights import read_config

LOOKAHEADS = (0, 1, 2, 4, 8, None)
LOOKAHEAD_SHARES = (0.2, 0.1, 0.15, 0.25, 0.1, 0.2)
TEMPLATE_RATE, MEASURED_RATE = 3e-2, 3e-3
"""Of key templates that begin with nothing, and of those that begin as measured."""
MEASURED_BETAS = (0.9, 0.9)
"""Adam's for the latter. With its usual memory of a thousand steps, what is heard once in a
hundred steps, such as the late moments of low keys, moves by thirty times the rate at once."""
STRETCHES, STRETCH_SHARES = (1, 4, 8), (0.65, 0.2, 0.15)
"""So many times longer, and fewer, are the sequences of a batch: in two seconds nobody learns what
becomes of a key that is held for ten."""
BETWEEN_SHARE = 0.3
"""Share of the sequences that are played between the instruments."""
CORRECTION_WEIGHT = 0.003
"""Of the correction's mean square: templates and correction could otherwise drift apart for ever,
each undoing what the other says."""
LEAST_FRAMES = 3
"""Of a sequence: slopes are errors' differences over two frames."""
VALIDATION_BATCHES = 8
VALIDATION_LOOKAHEAD = 4


@dataclass(frozen=True, slots=True)
class Mel2MelBatch:
    """Sequences, of each its lookahead in frames, None for all there are, and mixtures
    that the last of the sequences are played with; their sound does not count."""

    sequences: Sequences
    lookaheads: tuple[int | None, ...]
    mixtures: Mixtures


class Mel2MelObjective(NothingKept, nn.Module):
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
        self.taught: Mapping[str, Any] = {
            "loss_name": loss.name,
            "loss": words,
            "patches": data.patches,
        }
        self._data, self._held_out, self._batch = data, held_out, batch
        self._loss, self._machine = loss, machine

    def draw(self, random: torch.Generator) -> Mel2MelBatch:
        shard = Shard(self._machine.rank, self._machine.ranks)
        window = self.network.config.analysis.window
        stretch = self._stretch(random)
        rows = max(self._batch // stretch, 1)
        frames = self._data.frames * stretch
        sequences = self._data.draw(rows, window, random, shard, frames)
        total = rows * shard.ranks
        own = range(shard.rank, total, shard.ranks)
        lookaheads = draw_lookaheads(total, random)
        instruments = len(self._data.patches)
        # Long sequences are few; mixtures are learnt from the many short ones.
        between = round(BETWEEN_SHARE * total) if stretch == 1 else 0
        if self.network.templates is None or instruments < 2:
            between = 0
        mixtures = draw_mixtures(between, instruments, random)
        # The last rows of all processes together, so that two learn as one with twice the rows.
        mixed = [row - (total - between) for row in own if row >= total - between]
        return Mel2MelBatch(
            sequences,
            tuple(lookaheads[row] for row in own),
            Mixtures(mixtures.chosen[mixed], mixtures.shares[mixed]),
        )

    def _stretch(self, random: torch.Generator) -> int:
        """How many times longer the sequences of a batch are, as far as excerpts reach."""
        drawn = int(torch.multinomial(torch.tensor(STRETCH_SHARES), 1, generator=random))
        most = min(self._data.shortest // self._data.frames, self._batch)
        return max(stretch for stretch in STRETCHES[: drawn + 1] if stretch <= max(most, 1))

    def forward(self, batch: Mel2MelBatch) -> Tensor:
        rows, between = len(batch.lookaheads), len(batch.mixtures.chosen)
        real = rows - between
        precision = self._machine.mixed_precision()
        loss: Tensor | float = 0.0
        if real:
            played = batch.sequences.at(slice(real))
            loss = self._compare(played, batch.lookaheads[:real], precision)
            if not between:
                return loss
        last = batch.sequences.at(slice(real, None))
        score = (last.roll, last.keys, batch.lookaheads[real:])
        with precision:
            wanted = wanted_between(self.network, batch.mixtures, *score)
            points = points_of(batch.mixtures, self.network.instruments.weight.detach())
            heard = self.network(last.roll, points, score[2], last.keys)
        middle = self._loss(heard, wanted.mel, wanted.fine)
        return (loss * real + middle * between) / rows

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
        loss = self._loss(heard, mel, fine)
        if heard.correction is None or not torch.is_grad_enabled():
            return loss
        return loss + CORRECTION_WEIGHT * heard.correction.float().square().mean()


def train(plan: TrainingPlan, settings: Mel2MelSettings) -> None:
    """Train, or go on training, in plan.run. Raises ValueError for bad data or checkpoints."""
    if plan.frames < LEAST_FRAMES:
        raise ValueError(f"--frames: expected at least {LEAST_FRAMES}, got {plan.frames}")
    sizes = settings.sizes.config()
    with at_work(plan.device, plan.threads) as machine:
        torch.manual_seed(plan.seed)
        share = Shard(machine.rank, machine.ranks) if plan.shards else ALL
        data = DataSet(plan.data, "train", plan.frames, share=share)
        # What is drawn must not depend on whose share has the shortest excerpt.
        data.shortest = machine.least(data.shortest)
        held_out = DataSet(plan.data, "val", plan.frames)
        count = len(data.patches)
        config = Mel2MelConfig(instruments=count, analysis=data.analysis, **sizes)
        network = Mel2Mel(config)
        _spread(network)
        placed = network.templates is not None and has_keys(plan.data)
        # Where instruments were placed by what is heard of them, there they stay.
        network.instruments.requires_grad_(not placed)
        loss = SpectralLoss(**asdict(settings.loss))
        objective = Mel2MelObjective(network, data, held_out, plan.batch, loss, machine)
        objective.to(machine.device)
        named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
        fast = [p for n, p in named if n.startswith("templates.")]
        slow = [p for n, p in named if not n.startswith("templates.")]
        template_rate = settings.template_rate
        if template_rate is None:
            template_rate = MEASURED_RATE if placed else TEMPLATE_RATE
        groups = [
            {"params": slow, "lr": plan.learning_rate},
            {"params": fast, "lr": template_rate} | ({"betas": MEASURED_BETAS} if placed else {}),
        ]
        begun = (plan.run / LAST).exists()
        if settings.grow and not begun:
            report = grow(network, settings.grow)
            if machine.first:
                print(report, file=sys.stderr)
        known = read_config(settings.grow) if settings.grow and not begun else {}
        corrected = bool(known.get("blend"))
        same = known.get("instruments") == count
        # What was taught at a higher rate holds as it is: single keys would say less.
        cut = same and corrected and known["analysis"]["rate"] > data.analysis.rate
        if placed and not begun and not plan.init and not cut:
            # Music has taught a network more of releases than single notes tell.
            releases = None
            if not same:
                releases = measure_releases(plan.data, data.patches, data.analysis)
            sounds = measure_keys(plan.data, data.patches, network)
            report = settle(network, sounds, corrected, releases)
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
