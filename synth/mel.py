"""The analysis: log magnitudes of short frames, in fine bands and in mel bands.

Audio in, natural-log magnitudes out; the one definition that training, playing and
benchmarks share. Magnitudes are scaled so that a full-scale sine peaks at 1 (log 0) and
clipped at -100 dB, so values lie in about -11.5..+1. Frame n is centred on sample
n * hop: it sees half a window to each side, with silence beyond the ends.

Fine bands are for the spectral vocoder. Up to 8 kHz each bin is one. Above, listeners notice the
level but hardly the single partials, so an analysis may group the bins into a few wide bands that
get wider towards the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Head = Literal["mel", "fine"]
"""Which bands of a spectrum: mel bands, or fine bands."""
FLOOR = 1e-5
"""Magnitudes up to this one count as silence: 100 dB below a full-scale sine."""
SINGLE_HZ = 8_000
"""Bins below it are fine bands of their own."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Sizes of the analysis; the defaults are the method's own.

    rate: samples per second; hop, window: samples; mels: number of mel bands; wide_bands: fine
    bands above 8 kHz, 0 for every bin its own.
    """

    rate: int = 16_000
    hop: int = 128
    window: int = 1_024
    mels: int = 80
    wide_bands: int = 0

    @property
    def bins(self) -> int:
        """Number of bins of the spectrum, 0 Hz and Nyquist included."""
        return self.window // 2 + 1

    @property
    def single(self) -> int:
        """Number of bins, the lowest, that are fine bands of their own."""
        below = -(-SINGLE_HZ * self.window // self.rate)
        return min(below, self.bins) if self.wide_bands else self.bins

    @property
    def bands(self) -> int:
        """Number of fine bands."""
        return self.single + self.wide_bands

    def count(self, head: Head) -> int:
        """Number of bands of a head."""
        return self.bands if head == "fine" else self.mels

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.rate / self.hop


def magnitudes(audio: Tensor, analysis: Analysis) -> Tensor:
    """Linear magnitudes of audio (..., samples): (..., ceil(samples / hop), bins)."""
    frames = -(-audio.shape[-1] // analysis.hop)
    half = analysis.window // 2
    right = (frames - 1) * analysis.hop + half - audio.shape[-1]
    padded = torch.nn.functional.pad(audio, (half, max(right, 0)))
    return windowed_magnitudes(padded.unfold(-1, analysis.window, analysis.hop)[..., :frames, :])


def windowed_magnitudes(framed: Tensor) -> Tensor:
    """Linear magnitudes (..., bins) of cut-out frames (..., window), Hann-windowed here."""
    window = torch.hann_window(framed.shape[-1], dtype=framed.dtype, device=framed.device)
    return torch.fft.rfft(framed * window).abs() * (2 / window.sum())


def log_magnitudes(audio: Tensor, analysis: Analysis) -> Tensor:
    """Natural log of audio's fine bands (..., frames, bands), clipped at -100 dB."""
    return fold(magnitudes(audio, analysis), analysis).clamp(min=FLOOR).log()


def fold(linear: Tensor, analysis: Analysis) -> Tensor:
    """Fine bands (..., bands) of linear magnitudes (..., bins): a wide one is the root of its
    bins' mean square."""
    if not analysis.wide_bands:
        return linear
    low, high = linear[..., : analysis.single], linear[..., analysis.single :]
    widths = torch.from_numpy(np.diff(wide_edges(analysis)))
    shares = (torch.eye(len(widths), device=widths.device) / widths).repeat_interleave(widths, 1).T
    return torch.cat([low, (high.square() @ shares.to(linear)).sqrt()], -1)


def band_filters(analysis: Analysis) -> Tensor:
    """`mel_filters` of fine bands, (bands, mels): each wide one stands for all its bins."""
    filters = mel_filters(analysis)
    if not analysis.wide_bands:
        return filters
    widths = np.diff(wide_edges(analysis)).tolist()
    wide = [part.sum(0, keepdim=True) for part in filters[analysis.single :].split(widths)]
    return torch.cat([filters[: analysis.single], *wide])


def band_widths(analysis: Analysis) -> Tensor:
    """How many bins each fine band stands for: (bands,), float32."""
    widths = torch.ones(analysis.bands)
    if analysis.wide_bands:
        widths[analysis.single :] = torch.from_numpy(np.diff(wide_edges(analysis))).float()
    return widths


def wide_edges(analysis: Analysis) -> np.ndarray:
    """First bin of each wide band, and the number of bins at last: (wide_bands + 1,) int64.

    Raises ValueError when there are too many bands for the bins above 8 kHz, if any.
    """
    count, bins = analysis.wide_bands, analysis.bins
    edges = np.rint(np.geomspace(analysis.single, bins, count + 1)).astype(np.int64)
    if (np.diff(edges) < 1).any():
        raise ValueError(
            f"wide_bands is {count}, too many for the {bins - analysis.single} bins above "
            f"{SINGLE_HZ} Hz"
        )
    return edges


def mel_from_magnitudes(linear: Tensor, filters: Tensor) -> Tensor:
    """Log mel bands (..., mels) of linear magnitudes (..., bins); filters (bins, mels)."""
    return (linear @ filters).clamp(min=FLOOR).log()


def log_mel(audio: Tensor, analysis: Analysis) -> Tensor:
    """Log mel bands of audio (..., samples): (..., frames, mels)."""
    filters = mel_filters(analysis).to(audio)
    return mel_from_magnitudes(magnitudes(audio, analysis), filters)


def band_centres(analysis: Analysis, head: Head) -> np.ndarray:
    """Where the bands of a head lie, "fine" or "mel": (bands,) or (mels,), Hz, rising."""
    if head == "mel":
        return _mel_edges(analysis)[1:-1]
    hz = np.arange(analysis.bins) * analysis.rate / analysis.window
    if not analysis.wide_bands:
        return hz
    wide = [hz[low:high].mean() for low, high in pairwise(wide_edges(analysis))]
    return np.concatenate([hz[: analysis.single], wide])


def _mel_edges(analysis: Analysis) -> np.ndarray:
    """Where each mel band begins, and two more: the last two's ends. (mels + 2,), Hz."""
    top = 2595 * np.log10(1 + analysis.rate / 2 / 700)
    return 700 * (10 ** (np.linspace(0, top, analysis.mels + 2) / 2595) - 1)


def mel_filters(analysis: Analysis) -> Tensor:
    """Triangles of height one, evenly spread on the mel scale from 0 Hz to Nyquist.

    Returns (bins, mels), float32. Slopes steeper than a bin are cut to one bin, and a band
    that then still lies between two bins takes its nearest, so that none is empty. The scale
    is O'Shaughnessy's, 2595 log10(1 + f / 700).
    """
    nyquist, edges = analysis.rate / 2, _mel_edges(analysis)
    bins = np.linspace(0, nyquist, analysis.bins)[:, None]
    spacing = nyquist / (analysis.bins - 1)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise = (bins - low) / np.maximum(centre - low, spacing)
    fall = (high - bins) / np.maximum(high - centre, spacing)
    filters = np.clip(np.minimum(rise, fall), 0, None)
    deaf = filters.sum(axis=0) == 0
    filters[np.rint(centre[deaf] / spacing).astype(int), np.flatnonzero(deaf)] = 1
    return torch.from_numpy(filters.astype(np.float32))
