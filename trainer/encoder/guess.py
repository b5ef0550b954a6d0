"""What a bank's encoder says of a sound: a point, without knowing the notes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from synth.bank.bank import Bank
from synth.mel2mel.network import QUIET
from trainer.encoder.lessons import weights_digest
from trainer.encoder.levels import levels_of
from trainer.encoder.network import Encoder, EncoderConfig
from trainer.run.weights import load_weights, one_line, read_config

FILE = "encoder.safetensors"
"""Beside a bank's other weights."""
FRAMES, EVERY = 128, 64
"""Of a piece that is listened to at once, and from one piece to the next."""
LOUD_DB = 20.0
"""Below the loudest piece: softer ones say nothing."""


def load_encoder(bank: Bank) -> Encoder | None:
    """The encoder of a bank, None where it has none. ValueError for one that is broken, or was
    taught by another network."""
    path = bank.path / FILE
    if not path.is_file():
        return None
    try:
        stated = read_config(path)
        config = EncoderConfig(**stated | {n: tuple(stated[n]) for n in ("low", "high")})
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path}: states sizes that no encoder has ({one_line(error)})") from None
    if (config.mels, len(config.low), config.bank) != (
        *(bank.analysis.mels, bank.embedding_size),
        weights_digest(bank),
    ):
        raise ValueError(
            f"{path}: was taught by another bank's mel2mel; train it anew, or remove it"
        )
    network = Encoder(config)
    load_weights(network, path)
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def guess_of(encoder: Encoder, mel: Tensor) -> Tensor:
    """The point (size,) that log mel bands (frames, mels) sound like: the median of what is said of
    the louder pieces."""
    missing = max(FRAMES - len(mel), 0)
    pieces = pad(mel, (0, 0, 0, missing), value=QUIET).unfold(0, FRAMES, EVERY).transpose(1, 2)
    power = (2 * pieces).exp().sum((1, 2))
    loud = power >= power.max() * 10 ** (-LOUD_DB / 10)
    return encoder(levels_of(pieces[loud])).median(0).values
