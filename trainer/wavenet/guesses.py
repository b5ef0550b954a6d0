"""What the WaveNet will hear in play: mel frames as a trained Mel2Mel predicts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from synth.bank.bank import load_bank
from synth.mel import Analysis
from synth.mel2mel.network import Mel2Mel
from trainer.data.dataset import Sequences
from trainer.run.weights import check_patches, load_weights, mel2mel_config

CONTEXT = (125, 50)
"""Frames before a sequence, to fill the forward LSTM's state, and after it, which stand for the
rest of the piece when the lookahead is the whole piece."""


def mel2mel_weights(source: Path) -> Path:
    """The file of weights of a bank's or a run's mel2mel. ValueError if the folder is neither."""
    if (source / "bank.yaml").is_file():
        return source / "mel2mel.safetensors"
    weights = source / "weights.safetensors"
    if not weights.is_file():
        raise ValueError(f"{source}: neither a bank nor a run of mel2mel")
    return weights


def load_mel2mel(source: Path, patches: Sequence[str], analysis: Analysis) -> Mel2Mel:
    """The network of a bank's or a run's folder, not to be trained. patches: the instruments'
    names, in their order.

    Raises ValueError if there is none, or it was trained on other instruments or frames.
    """
    weights = mel2mel_weights(source)
    if (source / "bank.yaml").is_file():
        network = load_bank(source).mel2mel()
    else:
        network = Mel2Mel(mel2mel_config(weights))
        load_weights(network, weights)
    own = network.config
    if (own.instruments, own.analysis) != (len(patches), analysis):
        raise ValueError(f"{source}: its mel2mel was not trained on this data set")
    check_patches(weights, patches)
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
