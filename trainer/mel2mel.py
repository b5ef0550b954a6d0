"""Teaches Mel2Mel: rolls and instruments in, both spectra out, compared with the rendered sound.

The mel head descends the method's tanh-log-abs loss, the mean squared error of
tanh(log S / 4). The fine head descends the same measure as an absolute error, with a tenth of
the absolute error of log S, so that quiet partials count a little and silence hardly at all.
The lookahead is drawn anew for every batch, so that one model serves every setting.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synth.mel import FLOOR, Analysis, mel_filters, mel_from_magnitudes
from synth.mel2mel import Mel2Mel, Mel2MelConfig
from trainer.dataset import DataSet, Sequences, framed_magnitudes
from trainer.loop import Plan, Run, mixed_precision

FRAMES = 256
"""Length of a sequence, unless the plan says otherwise."""
LOOKAHEADS = (0, 1, 2, 4, 8, None)
LOOKAHEAD_SHARES = (0.2, 0.1, 0.15, 0.25, 0.1, 0.2)
LEARNING_RATE = 1e-3
TEMPLATE_RATE = 1e-2
HALVE_EVERY = 40_000
MEL_WEIGHT = 4.0
LOG_WEIGHT = 0.1
VALIDATION_BATCHES = 8
LOSS = (
    f"{MEL_WEIGHT:g} x mean square error of tanh(log mel / 4) + mean absolute error of "
    f"tanh(log bin / 4) + {LOG_WEIGHT:g} x mean absolute error of log bin / 4"
)
"""`_loss` in words, for a bank's provenance."""


def train(plan: Plan) -> None:
    """Train, or go on training, in plan.run. Raises ValueError for bad data or checkpoints."""
    torch.manual_seed(plan.seed)
    frames = plan.frames or FRAMES
    data, held_out = DataSet(plan.data, "train", frames), DataSet(plan.data, "val", frames)
    analysis = Analysis(rate=data.rate, hop=data.hop)
    config = Mel2MelConfig(instruments=len(data.patches), analysis=analysis, **plan.sizes)
    network = Mel2Mel(config)
    _spread(network)
    filters = mel_filters(analysis)
    fast = [p for n, p in network.named_parameters() if n.startswith("templates.")]
    slow = [p for n, p in network.named_parameters() if not n.startswith("templates.")]
    groups = [{"params": slow, "lr": LEARNING_RATE}, {"params": fast, "lr": TEMPLATE_RATE}]
    run = Run(plan, network, groups, HALVE_EVERY, "frame")
    shares = torch.tensor(LOOKAHEAD_SHARES)

    def step(random: torch.Generator) -> tuple[Tensor, int]:
        batch = data.draw(plan.batch, analysis.window, random)
        lookahead = LOOKAHEADS[int(torch.multinomial(shares, 1, generator=random))]
        with mixed_precision():
            return _loss(network, batch, lookahead, filters), plan.batch * frames

    def validate() -> float:
        random = torch.Generator().manual_seed(1)
        size = len(data.patches)
        batches = [held_out.draw(size, analysis.window, random) for _ in range(VALIDATION_BATCHES)]
        return sum(float(_loss(network, b, 4, filters)) for b in batches) / len(batches)

    run.go(step, validate)


def _spread(network: Mel2Mel) -> None:
    """Start the instruments apart, evenly on a circle in the first two dimensions."""
    table = network.instruments.weight
    angle = torch.arange(len(table)) * (2 * torch.pi / len(table))
    with torch.no_grad():
        table.normal_(std=0.05)
        table[:, 0] += angle.cos()
        if table.shape[1] > 1:
            table[:, 1] += angle.sin()


def _loss(network: Mel2Mel, batch: Sequences, lookahead: int | None, filters: Tensor) -> Tensor:
    analysis = network.config.analysis
    linear = framed_magnitudes(batch.audio, analysis)
    embedding = network.instruments(batch.instrument)[:, None]
    heard = network(batch.roll, embedding, lookahead, (batch.velocity, batch.drives))
    mel = mel_from_magnitudes(linear, filters)
    fine = linear.clamp(min=FLOOR).log()
    mel_loss = (_squash(heard.mel) - _squash(mel)).square().mean()
    fine_loss = (_squash(heard.fine) - _squash(fine)).abs().mean()
    log_loss = (heard.fine - fine).abs().mean() / 4
    return MEL_WEIGHT * mel_loss + fine_loss + LOG_WEIGHT * log_loss


def _squash(log: Tensor) -> Tensor:
    return (log / 4).tanh()
