"""How two sounds differ: the figures of the fidelity table.

All pieces of one instrument are pooled, as if they were one long piece:

    r            Pearson's correlation in each of 84 semitone bins C1..B7: constant-Q transform
                 (librosa), hop 512, linear magnitudes. A bin is silent, and left out, if the
                 original never comes within 80 dB of its loudest bin there.
    mean_r       mean of r over the bins that sound
    stft         multi-resolution STFT distance: spectral convergence |S - S'| / |S| plus mean
                 |log S - log S'| (natural log, clipped at -100 dB), mean over Hann windows of
                 512, 1024 and 2048 with hops of a quarter
    log_mel_l1   mean difference of log mel bands (natural log, `synth.mel`)
    onset_ms     timing error of note onsets: the median of absolute values. Around each onset
                 of the score (100 ms or more after the last) the spectral flux of both sounds
                 is compared in steps of 1 ms, 50 ms to each side; the error is the shift, up to
                 30 ms, at which ours correlates best. An unrelated sound would score about 15.
                 Notes act on whole frames, which alone makes it 2 for a frame of 8 ms.
    onset_bias_ms  the median with its sign: above 0, ours is late
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
import torch

from synth.mel import FLOOR, Analysis, log_mel, magnitudes

BINS, CQT_HOP = 84, 512
AUDIBLE = 1e-4
"""A bin sounds if it comes within 80 dB of the loudest."""
WINDOWS = (512, 1024, 2048)
FLUX_WINDOW_S, FLUX_HOP_S = 0.016, 0.001
FLUX_LEVEL = 1e-3
"""-60 dB: a rise in level far below it hardly counts as an onset."""
APART_S, AROUND_S, MOST_S = 0.1, 0.05, 0.03
"""Between onsets; to each side of one; the largest shift tried."""
HERTZ = 440 * 2 ** ((np.arange(BINS) - 45) / 12)
"""Centres of the bins (84,): C1 to B7."""


def bin_of(hertz: float) -> int:
    """The bin nearest to a frequency.

    >>> [bin_of(hertz) for hertz in (32.7, 440, 3520)]
    [0, 45, 81]
    """
    return int(np.abs(np.log(HERTZ / hertz)).argmin())


@dataclass(frozen=True, slots=True)
class PiecePair:
    """One piece twice. ours, original (samples,) float32; onsets: where notes begin, samples."""

    ours: np.ndarray
    original: np.ndarray
    onsets: np.ndarray


@dataclass(frozen=True, slots=True)
class Figures:
    """As the module's docstring defines them; None where there was nothing to measure.

    r has one number for each bin.
    """

    mean_r: float | None
    stft: float
    log_mel_l1: float
    onset_ms: float | None
    onset_bias_ms: float | None
    r: tuple[float | None, ...]


def compare(pairs: Sequence[PiecePair], analysis: Analysis) -> Figures:
    """All figures of one instrument's pieces, one or more."""
    spectra = [[_cqt(x, analysis.rate) for x in (p.ours, p.original)] for p in pairs]
    ours, original = (np.concatenate(s, axis=1) for s in zip(*spectra, strict=True))
    r = correlation(ours, original)
    lags = np.concatenate([onset_lags(p, analysis.rate) for p in pairs])
    return Figures(
        None if np.isnan(r).all() else float(np.nanmean(r)),
        stft_distance(pairs, analysis.rate),
        log_mel_distance(pairs, analysis),
        float(np.median(np.abs(lags))) * 1000 if len(lags) else None,
        float(np.median(lags)) * 1000 if len(lags) else None,
        tuple(None if np.isnan(x) else float(x) for x in r),
    )


def correlation(ours: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Pearson's r of each bin (bins, time) -> (bins,); NaN where the original is silent.

    0 where ours never changes.
    """
    a = ours - ours.mean(axis=1, keepdims=True, dtype=np.float64)
    b = original - original.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    r = (a * b).sum(axis=1) / np.maximum(spread, 1e-20)
    sounds = original.max(axis=1) > AUDIBLE * original.max()
    return np.where(sounds, r, np.nan)


def stft_distance(pairs: Sequence[PiecePair], rate: int) -> float:
    """The multi-resolution STFT distance."""
    total = 0.0
    for window in WINDOWS:
        sizes = Analysis(rate, window // 4, window)
        missed = energy = logs = count = 0.0
        for pair in pairs:
            ours, original = (_tensor_magnitudes(x, sizes) for x in (pair.ours, pair.original))
            missed += float((ours - original).square().sum())
            energy += float(original.square().sum())
            logs += float((ours.clamp(min=FLOOR) / original.clamp(min=FLOOR)).log().abs().sum())
            count += original.numel()
        total += (missed / max(energy, 1e-20)) ** 0.5 + logs / count
    return total / len(WINDOWS)


def log_mel_distance(pairs: Sequence[PiecePair], analysis: Analysis) -> float:
    """Mean absolute difference of log mel bands, natural log."""
    difference = count = 0.0
    for pair in pairs:
        ours, original = (
            log_mel(torch.from_numpy(x), analysis) for x in (pair.ours, pair.original)
        )
        difference += float((ours - original).abs().sum())
        count += original.numel()
    return difference / count


def onset_lags(pair: PiecePair, rate: int) -> np.ndarray:
    """By how many seconds ours is late, at each onset that both sounds have: (onsets,)."""
    ours, original = flux(pair.ours, rate), flux(pair.original, rate)
    around, most = round(AROUND_S / FLUX_HOP_S), round(MOST_S / FLUX_HOP_S)
    lags, last = [], -np.inf
    for onset in np.sort(pair.onsets) / rate:
        at = round(onset / FLUX_HOP_S)
        if onset - last < APART_S or not around + most <= at < len(original) - around - most:
            continue
        last = onset
        wanted = _standard(original[at - around : at + around + 1])
        near = ours[at - around - most : at + around + most + 1]
        tried = _standard(np.lib.stride_tricks.sliding_window_view(near, len(wanted)))
        fit = tried @ wanted
        if wanted.any() and tried.any():
            lags.append((int(fit.argmax()) - most) * FLUX_HOP_S)
    return np.array(lags)


def flux(audio: np.ndarray, rate: int) -> np.ndarray:
    """By how much the bands grow louder, summed over bands: (steps,), one per millisecond."""
    sizes = Analysis(rate, round(FLUX_HOP_S * rate), round(FLUX_WINDOW_S * rate))
    level = (_tensor_magnitudes(audio, sizes) / FLUX_LEVEL).log1p()
    return level.diff(dim=0, prepend=level[:1]).clamp(min=0).sum(dim=1).numpy()


def _standard(x: np.ndarray) -> np.ndarray:
    """x less its mean and of length one along its last axis; zeros where it is constant."""
    x = x - x.mean(axis=-1, keepdims=True)
    size = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.where(size > 1e-6, x / np.maximum(size, 1e-6), 0)


def _cqt(audio: np.ndarray, rate: int) -> np.ndarray:
    return np.abs(librosa.cqt(audio, sr=rate, hop_length=CQT_HOP, fmin=HERTZ[0], n_bins=BINS))


def _tensor_magnitudes(audio: np.ndarray, sizes: Analysis) -> torch.Tensor:
    return magnitudes(torch.from_numpy(audio), sizes)
