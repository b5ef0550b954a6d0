"""How far are a sampler's choices from those of the float32 network?

One test piece of each instrument is followed sample by sample: the sampler is given the piece's
own frames, with a guide made of them if there is one, and its true classes so far. Before every
sample, the sampler's distribution over the 256 mu-law classes (its logits) is compared with that
of the network in float32, with the bank's own weights, which are in half precision already.

    kl_unats       Kullback-Leibler divergence from the float32 distribution, in millionths of a
                   nat, mean over samples
    kl_most_unats  the same for the worst sample
    same_class     share of samples where both draw the same class with the same random number
    loss_nats      cross-entropy of the true class by the sampler; loss_float32: by the network
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from benchmarks.flags import WAVENET_BANK, above, add_bank_flag, add_data_flag
from benchmarks.measures.takes import Take, instruments, load_takes, take_paths
from benchmarks.rows import Row
from common.names import SAMPLERS
from common.window import KEYS
from synth.bank.bank import load_bank
from synth.mel import Analysis, log_magnitudes, log_mel
from synth.vocoders.contract import Pitches
from synth.vocoders.wavenet.guided import GuidedVocoder
from synth.vocoders.wavenet.levels import to_classes
from synth.vocoders.wavenet.mulaw import encode
from synth.vocoders.wavenet.network import WaveNet
from synth.vocoders.wavenet.samplers.choice import load_sampler
from synth.vocoders.wavenet.samplers.contract import draw_class
from synth.vocoders.wavenet.vocoder import WaveNetVocoder, wavenet_vocoder
from synth.vocoders.wavenet.wide import WAVENET_RATE

SUMMARY = "how far are a sampler's choices from the float32 network's?"
CHUNK_FRAMES = 64
"""Frames that go through the networks at once."""

Compared = dict[str, Tensor]
"""Of each sample: (samples,) by name."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which sampler, and on what."""
    add_bank_flag(parser, WAVENET_BANK)
    add_data_flag(parser)
    parser.add_argument("--sampler", choices=SAMPLERS, default="cpu")
    parser.add_argument(
        "--seconds", type=above(0), default=60.0, help="of all instruments together"
    )


def measure(options: argparse.Namespace) -> list[Row]:
    """One row for each instrument, and one for all. ValueError for what cannot be compared."""
    bank = load_bank(options.bank)
    if bank.wavenet_config is None:
        raise ValueError(f"{bank.path}: this bank has no WaveNet")
    if bank.wavenet_config.hop != bank.analysis.hop:
        raise ValueError(
            f"{bank.path}: expected a bank at the rate of its WaveNet, {WAVENET_RATE} Hz, "
            f"got {bank.analysis.rate}"
        )
    patches = instruments(bank, options.data)
    seconds = options.seconds / len(patches)
    wavenet = bank.wavenet()
    vocoder = wavenet_vocoder(wavenet, options.sampler, bank.analysis)
    # The guide of the last few frames is never heard.
    least = 1 + (vocoder.drawn_behind if isinstance(vocoder, GuidedVocoder) else 0)
    if seconds * bank.analysis.frame_rate < least - 1e-6:
        raise ValueError(
            f"--seconds {options.seconds}: expected at least "
            f"{least * len(patches) / bank.analysis.frame_rate:g}, {least} frames or more for each "
            f"of {len(patches)} instruments"
        )
    found: dict[str, Compared] = {}
    for patch in tqdm(patches, desc=f"divergence, {options.sampler}", unit="take"):
        paths = take_paths(options.data, patch, 1)
        (take,) = load_takes(bank, paths, patch, seconds)
        found[patch] = compare(wavenet, vocoder, take, bank.analysis)
    everything = {
        name: torch.cat([compared[name] for compared in found.values()])
        for name in next(iter(found.values()))
    }
    rate = bank.analysis.rate
    return [
        _row(options.sampler, patch, compared, rate)
        for patch, compared in (found | {"all": everything}).items()
    ]


@torch.inference_mode()
def compare(
    wavenet: WaveNet, vocoder: WaveNetVocoder | GuidedVocoder, take: Take, analysis: Analysis
) -> Compared:
    """Divergence, agreement and both cross-entropies of every sample of a take."""
    whole = len(take.original) // analysis.hop * analysis.hop
    original = torch.from_numpy(take.original[:whole])
    if isinstance(vocoder, GuidedVocoder):
        told, classes = _hear_guided(vocoder, original, take.roll, analysis)
    else:
        told, classes = _hear_mel(vocoder, original, analysis)
    draws = np.random.default_rng(0).random(classes.shape, np.float32)
    sampler, device = load_sampler(vocoder.sampler)
    packed, state = sampler.pack(wavenet.weights()), vocoder.drawing.initial_state(1)
    parts: list[Compared] = []
    for truth, span in _true_logits(wavenet, told.cpu(), classes):
        led, random = classes[:, span], torch.from_numpy(draws[:, span])
        # The state is overwritten in place.
        logits, _, _ = sampler.follow(
            packed, told[:, span], state, random.to(device), led.to(device)
        )
        parts.append(_compare(truth, logits[0].cpu(), led[0], random[0]))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _hear_mel(
    vocoder: WaveNetVocoder, original: Tensor, analysis: Analysis
) -> tuple[Tensor, Tensor]:
    """Conditioning (1, n, channels) on the sampler's device, and the true classes (1, n)."""
    mel, state = log_mel(original, analysis)[None], vocoder.initial_state(1)
    told = [vocoder.drawing.condition(frame, state) for frame in mel.split(1, 1)]
    return torch.cat(told, 1)[:, : len(original)], encode(original)[None]


def _hear_guided(
    vocoder: GuidedVocoder, original: Tensor, roll: np.ndarray, analysis: Analysis
) -> tuple[Tensor, Tensor]:
    """The same, but for the last few frames, whose guide is never heard."""
    frames, state = log_magnitudes(original, analysis)[None], vocoder.initial_state(1)
    held = torch.from_numpy(roll[: frames.shape[1], :KEYS] > 0)[None]
    pitches = Pitches(held, torch.zeros(held.shape[:2]))
    told = vocoder.condition(frames, state, pitches)
    first, count = vocoder.drawn_behind, frames.shape[1] - vocoder.drawn_behind
    classes = np.empty(count * vocoder.hop, np.int64)
    heard = original[: len(classes)].numpy()
    to_classes(heard, 0.0, told.levels[0, first:].numpy(), vocoder.config.emphasis, classes)
    return told.conditioning[:, first * vocoder.hop :], torch.from_numpy(classes)[None]


def _compare(truth: Tensor, logits: Tensor, classes: Tensor, draws: Tensor) -> Compared:
    """truth, logits (samples, 256); classes, draws (samples,)."""
    # In double precision: the difference of two logarithms would be lost in the last digit.
    truly, ours = (t.double().log_softmax(-1) for t in (truth, logits))
    same = draw_class(truth, draws) == draw_class(logits, draws)
    return {
        "kl_nats": (truly.exp() * (truly - ours)).sum(-1),
        "same_class": same.double(),
        "loss_nats": cross_entropy(ours, classes, reduction="none"),
        "loss_float32": cross_entropy(truly, classes, reduction="none"),
    }


def _true_logits(wavenet: WaveNet, told: Tensor, classes: Tensor) -> Iterator[tuple[Tensor, slice]]:
    """Logits (samples, 256) of the float32 network, chunk by chunk, and the samples of each."""
    config = wavenet.config
    size, samples = CHUNK_FRAMES * config.hop, classes.shape[1]
    for start in range(0, samples, size):
        stop, first = min(start + size, samples), max(start - config.receptive_field, 0)
        logits = wavenet.logits(told[:, first:stop], classes[:, first:stop])[0]
        yield logits[start - first :] * config.sharpness, slice(start, stop)


def _row(sampler: str, patch: str, compared: Compared, rate: int) -> Row:
    means = {name: float(values.mean()) for name, values in compared.items()}
    return {
        "sampler": sampler,
        "instrument": patch,
        "seconds": len(compared["kl_nats"]) / rate,
        "kl_unats": 1e6 * means["kl_nats"],
        "kl_most_unats": 1e6 * float(compared["kl_nats"].max()),
        "same_class": means["same_class"],
        "loss_nats": means["loss_nats"],
        "loss_float32": means["loss_float32"],
    }
