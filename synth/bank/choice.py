"""Which vocoder plays a bank: the one asked for, or the better one that is fast enough here."""

from __future__ import annotations

import time

import torch

from synth.bank.bank import Bank
from synth.vocoders.contract import Vocoder
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.samplers.choice import best_sampler
from synth.vocoders.wavenet.vocoder import AnyWaveNetVocoder, wavenet_vocoder

REAL_TIME_MARGIN = 1.25
"""How much faster than real time a WaveNet must be for "auto" to trust it."""
TRIED_FRAMES = 10
SOON_FRAMES = 1
"""How far the spectral vocoder runs behind when it is to answer soon: the least it can."""


def choose_vocoder(bank: Bank, asked: str, sampler: str, soon: bool = False) -> tuple[Vocoder, str]:
    """The vocoder, and a line that says which it is and why.

    asked: "auto", or one of `VOCODERS`; sampler: the WaveNet's, by name, or "auto" for the
    machine's best; soon: the one that answers first, whatever it costs in sound. Raises ValueError
    for what the bank or the machine lacks.
    """
    if soon:
        if asked == "wavenet":
            raise ValueError("low latency: only the spectral vocoder has it, not wavenet")
        return SpectralVocoder(
            bank.analysis, SOON_FRAMES
        ), "spectral, one frame behind: low latency"
    if asked == "spectral":
        return SpectralVocoder(bank.analysis), "spectral, as asked"
    if asked == "wavenet":
        vocoder = _wavenet(bank, sampler)
        return vocoder, f"wavenet, sampler {vocoder.sampler}, as asked"
    stated = ", ".join(f"{name} {r:.2f}" for name, r in bank.fidelity.items())
    known = f"the bank states fidelity {stated}" if stated else "the bank states no fidelity"
    fidelity = bank.fidelity.get
    if bank.wavenet_config is None or fidelity("wavenet", -1) <= fidelity("spectral", -1):
        return SpectralVocoder(bank.analysis), f"spectral: {known}"
    vocoder = _wavenet(bank, sampler)
    speed = _speed(vocoder, bank)
    if speed >= REAL_TIME_MARGIN:
        return vocoder, f"wavenet, sampler {vocoder.sampler}: {known}, {speed:.1f}x real time here"
    return SpectralVocoder(bank.analysis), f"spectral: wavenet is {speed:.2f}x real time here"


def _wavenet(bank: Bank, sampler: str) -> AnyWaveNetVocoder:
    wavenet = bank.wavenet()
    name = best_sampler(wavenet.config) if sampler == "auto" else sampler
    return wavenet_vocoder(wavenet, name, bank.analysis)


def _speed(vocoder: Vocoder, bank: Bank) -> float:
    """How many times faster than real time a vocoder plays one part, after warming up."""
    state = vocoder.initial_state(1)
    frames = torch.zeros(1, 1, bank.analysis.count(vocoder.head))
    draws = torch.full((1, 1, vocoder.draws_per_frame), 0.5)
    took = []
    for _ in range(TRIED_FRAMES):
        began = time.perf_counter()
        _, state = vocoder.step(frames, state, draws)
        took.append(time.perf_counter() - began)
    return vocoder.hop / bank.analysis.rate / sorted(took)[len(took) // 2]
