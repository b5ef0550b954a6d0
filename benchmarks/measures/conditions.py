"""The conditions under which our sound is compared with the original.

From one to the next, less of the original is kept:

mu-law                           its samples, in 256 classes
true mel -> wavenet              its 80 mel bands, through the WaveNet
true mel -> griffin-lim          its 80 mel bands, spread to bins, through Griffin-Lim
true magnitudes -> spectral      its STFT magnitudes, through the spectral vocoder
notes -> mel2mel -> spectral     only its score, through the whole engine
notes -> mel2mel -> wavenet      only its score, through the whole engine
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import librosa
import numpy as np
import torch

from benchmarks.measures.takes import Take
from common.window import Window
from daw_bridge.windows import stereo_gain
from player.bounce import Lookahead
from synth.bank.bank import Bank
from synth.draws import SMALLEST_DRAW
from synth.instrument import Instrument, make_instrument
from synth.mel import FLOOR, Analysis, log_magnitudes, log_mel, mel_filters
from synth.vocoders.contract import Vocoder
from synth.vocoders.wavenet.mulaw import decode, encode

MU_LAW = "mu-law"
MEL_WAVENET = "true mel -> wavenet"
MEL_GRIFFIN_LIM = "true mel -> griffin-lim"
MAGNITUDES_SPECTRAL = "true magnitudes -> spectral"
NOTES = "notes -> mel2mel -> "
NOTES_SPECTRAL, NOTES_WAVENET = NOTES + "spectral", NOTES + "wavenet"
CONDITIONS = (
    MU_LAW,
    MEL_WAVENET,
    MEL_GRIFFIN_LIM,
    MAGNITUDES_SPECTRAL,
    NOTES_SPECTRAL,
    NOTES_WAVENET,
)
NETWORKS: dict[str, tuple[str, ...]] = {
    MU_LAW: (),
    MEL_WAVENET: ("wavenet",),
    MEL_GRIFFIN_LIM: (),
    MAGNITUDES_SPECTRAL: (),
    NOTES_SPECTRAL: ("mel2mel",),
    NOTES_WAVENET: ("mel2mel", "wavenet"),
}
"""Which of a bank's networks each condition uses."""

ROUNDS = 32
"""Of Griffin-Lim: librosa's, with momentum 0.99."""
SPREADS = 50
"""Multiplicative updates that find non-negative magnitudes for mel bands."""
BLOCK_FRAMES = 64
SEED = 0

Remake = Callable[[Take], np.ndarray]
"""A take's sound made anew, aligned with the original: (samples,), float32."""


def make_remake(condition: str, bank: Bank, lookahead: Lookahead) -> Remake:
    """What makes a condition's sound, its networks loaded.

    lookahead: only conditions from notes use it. Raises ValueError when the bank's files do not
    fit.
    """
    if condition == MU_LAW:
        return _mu_law
    if condition == MEL_GRIFFIN_LIM:
        return partial(_griffin_lim, bank.analysis)
    vocoder = "wavenet" if condition.endswith("wavenet") else "spectral"
    instrument = make_instrument(bank, vocoder, "cpu")
    if condition.startswith(NOTES):
        return partial(play, instrument, lookahead)
    return partial(_vocode, bank.analysis, instrument.vocoder)


def play(instrument: Instrument, lookahead: Lookahead, take: Take) -> np.ndarray:
    """A take's score through the engine, as a patch at 0 dB plays it: (samples,)."""
    full, vocoder = lookahead == "full", instrument.vocoder
    ahead = 0 if lookahead == "full" else lookahead
    behind = vocoder.lookahead + ahead
    count = take.frames + behind
    roll = np.pad(take.roll, ((0, max(count - len(take.roll), 0)), (0, 0)))
    embedding = np.tile(take.embedding, (len(roll), 1))
    # Hard left: the only place where one channel has all of a part.
    gain = np.tile(stereo_gain(0.0, -1.0), (len(roll), 1))
    still = np.zeros(len(roll), np.float32)
    window = Window(1, roll, embedding, gain, still, np.zeros(len(roll), bool))
    if full:
        engine = instrument.foreseeing_engine([window], SEED)
    else:
        engine = instrument.engine(ahead, SEED)
    blocks = []
    for start in range(0, count, BLOCK_FRAMES):
        now = min(BLOCK_FRAMES, count - start)
        blocks.append(engine.render([window.span(start, now)], now)[:, 0])
    return np.concatenate(blocks)[behind * vocoder.hop :][: len(take.original)]


def _mu_law(take: Take) -> np.ndarray:
    return decode(encode(torch.from_numpy(take.original))).numpy()


@torch.inference_mode()
def _vocode(analysis: Analysis, vocoder: Vocoder, take: Take) -> np.ndarray:
    """The original's own spectra through a vocoder."""
    listen = log_mel if vocoder.head == "mel" else log_magnitudes
    heard = listen(torch.from_numpy(take.original), analysis)
    after = heard.new_full((vocoder.lookahead, heard.shape[1]), math.log(FLOOR))
    frames = torch.cat([heard, after])[None]
    random = np.random.default_rng(SEED)
    uniform = random.random((1, frames.shape[1], vocoder.draws_per_frame), np.float32)
    # An exact 0 would pick a class however unlikely it is.
    draws = torch.from_numpy(np.maximum(uniform, SMALLEST_DRAW))
    samples, _ = vocoder.step(frames, vocoder.initial_state(1), draws)
    return samples[0, vocoder.lookahead * vocoder.hop :][: len(take.original)].numpy()


def _griffin_lim(analysis: Analysis, take: Take) -> np.ndarray:
    """The original's mel bands, without any network."""
    bands = log_mel(torch.from_numpy(take.original), analysis).exp().numpy().T
    filters = mel_filters(analysis).numpy().T
    # Lee and Seung's updates, from the least squares solution, which may be negative.
    linear = np.maximum(np.linalg.pinv(filters) @ bands, FLOOR)
    squared, wanted = filters.T @ filters, filters.T @ bands
    for _ in range(SPREADS):
        linear *= wanted / np.maximum(squared @ linear, FLOOR**2)
    # Our magnitudes are those of sines; librosa's are sums over a Hann window.
    audio = librosa.griffinlim(
        linear * (analysis.window / 4),
        n_iter=ROUNDS,
        hop_length=analysis.hop,
        n_fft=analysis.window,
        random_state=SEED,
    )
    missing = max(len(take.original) - len(audio), 0)
    return np.pad(audio, (0, missing))[: len(take.original)].astype(np.float32)
