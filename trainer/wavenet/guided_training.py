"""Teaches a WaveNet to follow a guide: cross-entropy of each sample, given the guide's sound.

Most sequences are heard as the network itself draws them (own_takes.py), the others as the original
has them; what it should say next is the original's class in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.files import whole_file
from synth.mel import log_mel
from synth.output.wav import WavWriter
from synth.vocoders.wavenet.levels import to_samples
from synth.vocoders.wavenet.mulaw import CLASSES, decode
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from trainer.data.dataset import Shard
from trainer.run.loop import Run
from trainer.run.machine import Machine, at_work
from trainer.run.plan import TrainingPlan
from trainer.wavenet.guided_data import GuidedData
from trainer.wavenet.own_takes import OwnTakes, own_take
from trainer.wavenet.settings import WaveNetSettings
from trainer.wavenet.sketch import draw_spectrograms
from trainer.wavenet.teacher_forcing import TeacherForcing

LOSS = "cross-entropy of the next class beside a guide, in nats a sample"
"""The loss in words, for a bank's provenance."""
REACH = 16
"""Samples of the guide that are heard on either side of a sample."""
EACH_VALIDATED = 2
"""Sequences of each patch that a validation plays."""
USES = 2
"""How often a take is learnt from, on average."""


@dataclass(frozen=True, slots=True)
class GuidedBatch:
    """starts (n,): first hops of sequences heard as the original has them; picks (m,): which of
    the own takes are heard."""

    starts: Tensor
    picks: Tensor


class GuidedObjective(nn.Module):
    """See `run.objective.Objective`."""

    unit = "sample"

    def __init__(
        self,
        network: WaveNet,
        data: GuidedData,
        held_out: GuidedData,
        plan: TrainingPlan,
        settings: WaveNetSettings,
        machine: Machine,
    ) -> None:
        super().__init__()
        self.network = network
        self.seen = plan.batch * data.frames * data.hop
        share = settings.own_share
        self.taught: Mapping[str, Any] = {"loss": LOSS, "own_share": share}
        self.session: dict[str, Any] = {"own_share": share}
        self._data, self._held_out, self._batch = data, held_out, plan.batch
        self._own, self._after = round(share * plan.batch), settings.own_after
        self._step = 0
        self._machine, self._seed = machine, plan.seed
        self._forcing = TeacherForcing(network.config)
        self._count = max(self._own * settings.own_every // USES, 1)
        self._takes = OwnTakes(
            network, data, self._count, settings.own_every, plan.seed * machine.ranks + machine.rank
        )

    def draw(self, random: torch.Generator) -> GuidedBatch:
        shard = Shard(self._machine.rank, self._machine.ranks)
        starts = self._data.draw(self._batch, random, shard)
        picks = torch.randint(self._count, (self._own,), generator=random)
        return GuidedBatch(starts, picks)

    def forward(self, batch: GuidedBatch) -> Tensor:
        self._step += 1
        if self._step <= self._after or not self._own:
            return self._loss(self._data, batch.starts, None)
        own, heard = self._takes.next(batch.picks)
        starts = batch.starts[self._own :].to(own.device)
        true = self._data.cut(starts).target
        return self._loss(self._data, torch.cat([own, starts]), torch.cat([heard, true]))

    def validate(self) -> float:
        """On its own takes, if it learns from such. Notes how near they are to the originals."""
        data, random = self._held_out, torch.Generator().manual_seed(1)
        starts = data.draw(EACH_VALIDATED * len(data.told.patches), random)
        heard = own_take(self.network, data, starts, 1).long()
        cut = data.cut(starts)
        guide = cut.guide[:, REACH:-REACH]
        self.session["take_db"] = round(self._nearness(data, starts, heard), 2)
        self.session["guide_db"] = round(self._nearness(data, starts, guide), 2)
        losses = {}
        for name, classes in (("own", heard), ("led", cut.target)):
            parts = zip(starts.split(self._batch), classes.split(self._batch), strict=True)
            total = sum(len(s) * float(self._loss(data, s, h)) for s, h in parts)
            losses[name] = total / len(starts)
        self.session["led"] = round(losses["led"], 4)
        return losses["own" if self._own else "led"]

    def kept(self) -> Mapping[str, Tensor]:
        return {"step": torch.tensor(self._step), **self._takes.kept()}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        if kept:
            self._step = int(kept["step"])
            self._takes.restore(kept)

    def play(self, folder: Path, iteration: int) -> Path:
        """A take of held-out music, the guide and the original, one after the other, as a .wav;
        beside it a .png of their spectrograms, if there is matplotlib."""
        data = self._held_out
        starts = data.draw(len(data.told.patches), torch.Generator().manual_seed(2))[:1]
        cut = data.cut(starts)
        heard = own_take(self.network, data, starts, 2).long()
        parts = {"original": cut.target, "guide": cut.guide[:, REACH:-REACH], "take": heard}
        sounds = {name: self._sound(data, starts, classes)[0] for name, classes in parts.items()}
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{iteration:07d}.wav"
        analysis = data.told.analysis
        with whole_file(path) as file:
            writer = WavWriter(file, analysis.rate, 1)
            writer.write(np.concatenate([*sounds.values()])[:, None])
            writer.renew_header()
        mels = {name: log_mel(torch.from_numpy(x), analysis) for name, x in sounds.items()}
        draw_spectrograms(path.with_suffix(".png"), mels, analysis)
        return path

    def _loss(self, data: GuidedData, starts: Tensor, heard: Tensor | None) -> Tensor:
        cut = data.cut(starts)
        return self._forcing.loss(
            self.network, cut.mel, cut.target, self._machine.precision, cut.guide, heard
        )

    def _nearness(self, data: GuidedData, starts: Tensor, classes: Tensor) -> float:
        """Signal-to-noise ratio of classes against the originals, in dB."""
        true = self._sound(data, starts, data.cut(starts).target)
        away = self._sound(data, starts, classes) - true
        return float(10 * np.log10(np.square(true).sum() / max(np.square(away).sum(), 1e-12)))

    def _sound(self, data: GuidedData, starts: Tensor, classes: Tensor) -> np.ndarray:
        """What classes (batch, samples) sound like: (batch, samples) float32."""
        waves = decode(torch.arange(CLASSES)).double().numpy()
        out = np.empty(classes.shape, np.float32)
        for row, (start, own) in enumerate(zip(starts.tolist(), classes.cpu(), strict=True)):
            levels = data.levels[start : start + data.frames + 1].astype(np.float64)
            to_samples(own.numpy(), waves, 0.0, levels, data.told.emphasis, out[row])
        return out


def train_guided(plan: TrainingPlan, settings: WaveNetSettings) -> None:
    """Train, or go on training, in plan.run. Raises ValueError for bad guides or checkpoints."""
    assert settings.guides is not None
    with at_work(plan.device, plan.threads) as machine:
        torch.manual_seed(plan.seed)
        data, held_out = (
            GuidedData(settings.guides, split, plan.frames, REACH, machine.device)
            for split in ("train", "val")
        )
        config = WaveNetConfig(
            mels=data.told.mels,
            guide=REACH,
            sharpness=settings.sharpness,
            emphasis=data.told.emphasis,
            **asdict(settings.sizes),
        )
        if data.hop != config.hop:
            raise ValueError(
                f"{settings.guides}: its hop is {data.hop}, but a wavenet needs {config.hop}"
            )
        network = WaveNet(config).to(machine.device)
        objective = GuidedObjective(network, data, held_out, plan, settings, machine)
        groups = [{"params": list(network.parameters()), "lr": plan.learning_rate}]
        run = Run(plan, objective, groups, machine)
        if settings.clip_every_minutes is None:
            run.go()
        else:
            run.go(objective.play, settings.clip_every_minutes)
