"""`trainer mel2mel`, `trainer wavenet` and `trainer encoder`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.encoder.settings import EncoderSettings
from trainer.mel2mel.settings import Mel2MelSettings
from trainer.run.plan import TrainingPlan
from trainer.wavenet.settings import WaveNetSettings

MEL2MEL = TrainingPlan(run=Path("runs/mel2mel"), batch=20, frames=256, halve_every=40_000)
WAVENET = TrainingPlan(run=Path("runs/wavenet"), batch=5, frames=64, halve_every=100_000)
ENCODER = TrainingPlan(
    run=Path("runs/encoder"), batch=64, frames=128, iterations=6_000, halve_every=2_000
)


@dataclass(frozen=True, slots=True)
class Mel2MelCommand:
    """Train the network from notes to spectra; go on with a run that was stopped.

    The method's ten instruments in two dimensions need no flags.
    A hundred in ten: render with --programs trainer/gm100.yaml, then train with
    --embedding 10 --timbre-features 100 --basis 40.
    On each of several GPUs or cores: torchrun --nproc-per-node N -m -- trainer mel2mel ...
    """

    training: TrainingPlan = MEL2MEL
    """As for every network."""
    mel2mel: Mel2MelSettings = Mel2MelSettings()
    """For this one."""

    def run(self) -> None:
        """Train until the plan's end, its time limit or a signal."""
        if self.training.init and self.mel2mel.grow:
            raise ValueError("--grow: expected alone, got --init too; a run begins with one")
        from trainer.mel2mel.training import train

        train(self.training, self.mel2mel)


@dataclass(frozen=True, slots=True)
class WaveNetCommand:
    """Train the vocoder network from mel spectra to samples; go on with a stopped run.

    On each of several GPUs or cores: torchrun --nproc-per-node N -m -- trainer wavenet ...
    """

    training: TrainingPlan = WAVENET
    """As for every network."""
    wavenet: WaveNetSettings = WaveNetSettings()
    """For this one."""

    def run(self) -> None:
        """Train until the plan's end, its time limit or a signal."""
        from trainer.wavenet.training import train

        train(self.training, self.wavenet)


@dataclass(frozen=True, slots=True)
class EncoderCommand:
    """Train the network that guesses a patch from a recording; go on with a stopped run.

    Of the data only the scores are used. Copy RUN/best.safetensors to BANK/encoder.safetensors,
    and `fit` begins with its guesses.
    """

    training: TrainingPlan = ENCODER
    """As for every network."""
    encoder: EncoderSettings = EncoderSettings()
    """For this one."""

    def run(self) -> None:
        """Train until the plan's end, its time limit or a signal."""
        from trainer.encoder.training import train

        train(self.training, self.encoder)
