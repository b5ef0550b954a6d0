"""Levels of a WaveNet with a guide: sound as classes of its own loudness, and back.

256 classes reach from full scale to 48 dB below it, and a note that fades, or a quiet patch, sinks
into their noise. But how loud the next samples will be is known from their frames. So a sample is
divided by its level, eight times the root mean square that the frames state, before it becomes a
class, and multiplied by it afterwards: the classes' noise stays as far below the sound as the ear
is used to, and silence is silent. Before that a share of the sample before is taken away
(pre-emphasis, as in speech coders), which lays the noise below the sound at high frequencies too.

A hop's samples lie between two frames, and so do their levels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from synth.mel import FLOOR, Analysis, mel_filters
from synth.vocoders.wavenet.mulaw import CLASSES

HEADROOM = 8.0
"""Full scale over root mean square: attacks and square waves fit."""
QUIETEST = 1e-3
"""The lowest level: classes around silence are then 120 dB and more below full scale."""
_SILENCE = math.log(FLOOR) + 1e-4
_MU = CLASSES - 1


class FrameTables(NamedTuple):
    """For `describe`. filters (bins, mels) float64, of which band m reads bins first[m] up to
    stop[m]; weights (bins,) float64: what pre-emphasis makes of a bin's power, as a mean square."""

    filters: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    weights: np.ndarray


def frame_tables(analysis: Analysis, emphasis: float) -> FrameTables:
    """Tables for an analysis whose fine bands are its bins."""
    filters = mel_filters(analysis).numpy().astype(np.float64)
    heard = filters > 0
    first = heard.argmax(0)
    stop = analysis.bins - heard[::-1].argmax(0)
    turn = np.linspace(0, np.pi, analysis.bins)
    # A sine of amplitude 1 has three halves in its bins' squares, and a mean square of a half.
    weights = np.abs(1 - emphasis * np.exp(-1j * turn)) ** 2 / 3
    return FrameTables(filters, first, stop, weights)


@njit(nogil=True, cache=True, error_model="numpy")
def describe(frames, tables, mel, level):
    """What frames of natural-log magnitudes (n, bins) say: log mel bands into mel (n, mels)
    float32, and levels into level (n,) float64."""
    power = np.empty(frames.shape[1])
    for n in range(frames.shape[0]):
        square = 0.0
        for m in range(power.size):
            power[m] = math.exp(frames[n, m]) if frames[n, m] > _SILENCE else 0.0
            square += tables.weights[m] * power[m] * power[m]
        level[n] = max(HEADROOM * math.sqrt(square), QUIETEST)
        for band in range(mel.shape[1]):
            total = 0.0
            for m in range(tables.first[band], tables.stop[band]):
                total += power[m] * tables.filters[m, band]
            mel[n, band] = math.log(max(total, FLOOR))


@njit(nogil=True, cache=True, error_model="numpy")
def to_classes(samples, before, levels, emphasis, out):
    """Classes of samples (n * hop,) into out (n * hop,) integers.

    before: the sample ahead of them. levels (n + 1,): of the frames at which hops begin and end.
    """
    hop = samples.size // max(levels.size - 1, 1)
    scale = 1 / math.log1p(_MU)
    for i in range(samples.size):
        n = i // hop
        level = levels[n] + (levels[n + 1] - levels[n]) * ((i - n * hop) / hop)
        value = (samples[i] - emphasis * before) / level
        before = samples[i]
        size = math.log1p(_MU * min(abs(value), 1.0)) * scale
        out[i] = int(((size if value >= 0 else -size) + 1) / 2 * _MU + 0.5)


@njit(nogil=True, cache=True, error_model="numpy")
def to_samples(classes, waves, before, levels, emphasis, out):
    """Undo `to_classes`: samples into out (n * hop,). waves (256,): what classes stand for.

    before: the sample ahead of the first, unrounded; returns the last one.
    """
    hop = classes.size // max(levels.size - 1, 1)
    for i in range(classes.size):
        n = i // hop
        level = levels[n] + (levels[n + 1] - levels[n]) * ((i - n * hop) / hop)
        before = waves[classes[i]] * level + emphasis * before
        out[i] = before
    return before
