"""Teaches the WaveNet, teacher-forced, to follow mel frames: cross-entropy of each sample.

First it hears true frames; later also frames that Mel2Mel predicts, at random lookaheads, as
it will get them in play.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from synth.mel import mel_filters, mel_from_magnitudes
from synth.mel2mel.network import Mel2Mel
from synth.vocoders.wavenet.mulaw import encode
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from trainer.data.dataset import ALL, DataSet, Sequences, Shard, framed_magnitudes
from trainer.mel2mel.training import draw_lookaheads
from trainer.run.loop import Run
from trainer.run.machine import Machine, at_work, each_tensor
from trainer.run.objective import NothingKept
from trainer.run.plan import TrainingPlan
from trainer.wavenet.guesses import CONTEXT, guess, load_mel2mel
from trainer.wavenet.guided_training import train_guided
from trainer.wavenet.settings import WaveNetSettings
from trainer.wavenet.sketch import sketch_clip
from trainer.wavenet.teacher_forcing import TeacherForcing

LOSS = "cross-entropy of the next mu-law class, in nats a sample"
"""The loss in words, for a bank's provenance."""
VALIDATION_BATCHES = 4


@dataclass(frozen=True, slots=True)
class WaveNetBatch:
    """Sequences, the rows whose mel is predicted, and the lookahead of each of these rows."""

    sequences: Sequences
    predicted: tuple[int, ...] = ()
    lookaheads: tuple[int | None, ...] = ()

    def pieces(self, most: int) -> Iterator[tuple[WaveNetBatch, float]]:
        """Batches of at most so many sequences, each with its share of the whole."""
        count = len(self.sequences.instrument)
        for first in range(0, count, most):
            own = slice(first, first + most)
            inside = [
                (row - first, lookahead)
                for row, lookahead in zip(self.predicted, self.lookaheads, strict=True)
                if first <= row < first + most
            ]
            sequences = each_tensor(self.sequences, itemgetter(own))
            batch = WaveNetBatch(
                sequences, tuple(r for r, _ in inside), tuple(n for _, n in inside)
            )
            yield batch, len(sequences.instrument) / count


class WaveNetObjective(NothingKept, nn.Module):
    """See `run.objective.Objective`. predictor: what predicts mel frames, or None."""

    unit = "sample"

    def __init__(
        self,
        network: WaveNet,
        data: DataSet,
        held_out: DataSet,
        batch: int,
        settings: WaveNetSettings,
        predictor: Mel2Mel | None,
        machine: Machine,
    ) -> None:
        super().__init__()
        self.network = network
        self.filters: Tensor
        self.register_buffer("filters", mel_filters(data.analysis), persistent=False)
        self.seen = batch * data.frames * data.hop
        share = settings.share
        self.session: Mapping[str, Any] = {"predicted_share": share} if share else {}
        self.taught: Mapping[str, Any] = {"loss": LOSS, **self.session}
        self._data, self._held_out, self._batch, self._share = data, held_out, batch, share
        # In tuples, so that they are no part of what is trained.
        self._predictor: tuple[Mel2Mel, ...] = (predictor,) if predictor else ()
        self._compiled = (torch.compile(network),) if settings.compile else ()
        self._machine = machine
        self._forcing = TeacherForcing(network.config)

    def draw(self, random: torch.Generator) -> WaveNetBatch:
        return self._draw(self._data, self._batch, random, self._machine.rank, self._machine.ranks)

    def forward(self, batch: WaveNetBatch) -> Tensor:
        audio, precision = batch.sequences.audio, self._machine.precision
        analysis = self._data.analysis
        half = analysis.window // 2
        classes = encode(audio[:, half:-half])
        mel = mel_from_magnitudes(framed_magnitudes(audio, analysis), self.filters)
        if batch.predicted:
            rows = list(batch.predicted)
            with self._machine.mixed_precision():
                guessed = guess(self._predictor[0], batch.sequences, rows, batch.lookaheads)
            mel[rows] = guessed.to(mel.dtype)
        if not self._compiled:
            return self._forcing.loss(self.network, mel, classes, precision)
        with self._machine.mixed_precision():
            logits = self._compiled[0](mel, classes)
        return nn.functional.cross_entropy(logits.flatten(0, 1).float(), classes.flatten())

    def validate(self) -> float:
        random = torch.Generator().manual_seed(1)
        total = 0.0
        for _ in range(VALIDATION_BATCHES):
            drawn = self._draw(self._held_out, len(self._data.patches), random, 0, 1)
            # In pieces as large as a step's, for which there is memory.
            for piece, share in drawn.pieces(self._batch):
                total += share * float(self(self._machine.place(piece)))
        return total / VALIDATION_BATCHES

    def _draw(
        self, data: DataSet, batch: int, random: torch.Generator, rank: int, ranks: int
    ) -> WaveNetBatch:
        sequences = data.draw(batch, data.analysis.window, random, Shard(rank, ranks))
        if not self._share:
            return WaveNetBatch(sequences)
        guided = torch.rand(batch * ranks, generator=random)[rank::ranks] < self._share
        lookaheads = draw_lookaheads(batch * ranks, random)[rank::ranks]
        rows = tuple(guided.nonzero()[:, 0].tolist())
        return WaveNetBatch(sequences, rows, tuple(lookaheads[row] for row in rows))


def train(plan: TrainingPlan, settings: WaveNetSettings) -> None:
    """Train, or go on training, in plan.run. Raises ValueError for bad data or checkpoints."""
    settings.check()
    if settings.guides is not None and plan.shards:
        raise ValueError("--shards: expected without --guides, which every process reads whole")
    if settings.guides is not None:
        train_guided(plan, settings)
        return
    with at_work(plan.device, plan.threads) as machine:
        torch.manual_seed(plan.seed)
        context = CONTEXT if settings.mel2mel else (0, 0)
        share = Shard(machine.rank, machine.ranks) if plan.shards else ALL
        data = DataSet(plan.data, "train", plan.frames, context, share)
        # What is drawn must not depend on whose share has the shortest excerpt.
        data.shortest = machine.least(data.shortest)
        held_out = DataSet(plan.data, "val", plan.frames, context)
        config = WaveNetConfig(mels=data.analysis.mels, **asdict(settings.sizes))
        if data.hop != config.hop:
            raise ValueError(
                f"{plan.data}: its hop is {data.hop}, but a wavenet needs {config.hop}"
            )
        predictor = None
        if settings.mel2mel is not None:
            predictor = load_mel2mel(settings.mel2mel, data.patches, data.analysis)
            predictor.to(machine.device)
        network = WaveNet(config)
        objective = WaveNetObjective(
            network, data, held_out, plan.batch, settings, predictor, machine
        )
        objective.to(machine.device)
        groups = [{"params": list(network.parameters()), "lr": plan.learning_rate}]
        run = Run(plan, objective, groups, machine)
        if settings.clip_every_minutes is None:
            run.go()
        else:
            clip, analysis = held_out.excerpts[0], data.analysis
            run.go(partial(sketch_clip, network, clip, analysis), settings.clip_every_minutes)
