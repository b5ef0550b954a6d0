"""What the WaveNet will hear in play: mel frames as a trained Mel2Mel predicts them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from synth.bank.bank import load_bank
from synth.mel import Analysis
from synth.mel2mel.network import Mel2Mel, config_of
from trainer.data.dataset import Sequences
from trainer.run.weights import load_weights, read_config

CONTEXT = (125, 50)
"""Frames before a sequence, to fill the forward LSTM's state, and after it, which stand for the
rest of the piece when the lookahead is the whole piece."""


def load_mel2mel(source: Path, instruments: int, analysis: Analysis) -> Mel2Mel:
    """The network of a bank's or a run's folder, not to be trained.

    Raises ValueError if there is none, or it was trained on other instruments or frames.
    """
    if (source / "bank.yaml").is_file():
        network = load_bank(source).mel2mel()
    else:
        weights = source / "weights.safetensors"
        if not weights.is_file():
            raise ValueError(f"{source}: neither a bank nor a run of mel2mel")
        stated = read_config(weights)
        if "analysis" not in stated:
            raise ValueError(f"{weights}: does not say what it is; train it a little further")
        network = Mel2Mel(config_of(stated))
        load_weights(network, weights)
    own = network.config
    if (own.instruments, own.analysis) != (instruments, analysis):
        raise ValueError(f"{source}: its mel2mel was not trained on this data set")
    return network.eval().requires_grad_(False)


@torch.no_grad()
def guess(
    network: Mel2Mel, batch: Sequences, rows: list[int], lookaheads: tuple[int | None, ...]
) -> Tensor:
    """Mel frames (rows, frames, mels) of some rows of a batch that was drawn with `CONTEXT`.

    lookaheads: of each of the rows.
    """
    before, after = CONTEXT
    embedding = network.instruments(batch.instrument[rows])[:, None]
    heard = network(batch.roll[rows], embedding, lookaheads, batch.keys.at(torch.tensor(rows))).mel
    return heard[:, before : heard.shape[1] - after]
