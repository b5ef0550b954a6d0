"""Teaches the WaveNet, teacher-forced, to follow true mel frames: cross-entropy of each sample."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synth.mel import Analysis, mel_filters, mel_from_magnitudes
from synth.mulaw import encode
from synth.wavenet import WaveNet, WaveNetConfig
from trainer.dataset import DataSet, framed_magnitudes
from trainer.loop import Plan, Run, mixed_precision

FRAMES = 64
"""Length of a sequence, unless the plan says otherwise."""
LOSS = "cross-entropy of the next mu-law class, in nats a sample"
"""The loss in words, for a bank's provenance."""
LEARNING_RATE = 1e-3
HALVE_EVERY = 100_000
VALIDATION_BATCHES = 4


def train(plan: Plan) -> None:
    """Train, or go on training, in plan.run. Raises ValueError for bad data or checkpoints."""
    torch.manual_seed(plan.seed)
    frames = plan.frames or FRAMES
    data, held_out = DataSet(plan.data, "train", frames), DataSet(plan.data, "val", frames)
    analysis = Analysis(rate=data.rate, hop=data.hop)
    config = WaveNetConfig(mels=analysis.mels, **plan.sizes)
    if data.hop != config.hop:
        raise ValueError(f"{plan.data}: its hop is {data.hop}, but a wavenet needs {config.hop}")
    network = WaveNet(config)
    groups = [{"params": list(network.parameters()), "lr": LEARNING_RATE}]
    run = Run(plan, network, groups, HALVE_EVERY, "sample")
    filters = mel_filters(analysis)

    def loss(source: DataSet, batch: int, random: torch.Generator) -> Tensor:
        audio = source.draw(batch, analysis.window, random).audio
        mel = mel_from_magnitudes(framed_magnitudes(audio, analysis), filters)
        half = analysis.window // 2
        classes = encode(audio[:, half:-half])
        with mixed_precision():
            logits = network(mel, classes)
        return nn.functional.cross_entropy(logits.flatten(0, 1).float(), classes.flatten())

    def step(random: torch.Generator) -> tuple[Tensor, int]:
        return loss(data, plan.batch, random), plan.batch * frames * data.hop

    def validate() -> float:
        random = torch.Generator().manual_seed(1)
        count = len(data.patches)
        return sum(float(loss(held_out, count, random)) for _ in range(VALIDATION_BATCHES)) / (
            VALIDATION_BATCHES
        )

    run.go(step, validate)
