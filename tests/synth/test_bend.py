"""Pitch bend: partials go where they are asked to, at the level that they had."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from synth.bend import LOWEST, PitchBend
from synth.mel import FLOOR, Analysis, band_centres, log_magnitudes, log_mel
from synth.vocoders.spectral.vocoder import SpectralVocoder

ANALYSIS = Analysis()
WIDE = Analysis(rate=48_000, hop=384, window=3_072, wide_bands=48)
TONE_HZ = 440.0


def tone(hz: float, seconds: float = 0.6) -> np.ndarray:
    """Ten partials, each softer than the one below."""
    time = np.arange(round(seconds * ANALYSIS.rate)) / ANALYSIS.rate
    partials = [np.sin(2 * np.pi * n * hz * time + n) / n for n in range(1, 11)]
    return 0.2 * np.sum(partials, axis=0).astype(np.float32)


def bent(frames: np.ndarray, semitones: float, head: str = "fine") -> np.ndarray:
    moved = frames.copy()
    PitchBend(band_centres(ANALYSIS, head))(moved, np.full(len(moved), semitones))
    return moved


def strongest_hz(sound: np.ndarray) -> float:
    heard = sound[len(sound) // 4 : -len(sound) // 4]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 1 << 18))
    return float(spectrum.argmax()) * ANALYSIS.rate / (1 << 18)


@pytest.mark.parametrize("semitones", [-12.0, -2.0, -0.3, 0.5, 2.0, 7.0, 12.0, 24.0])
def test_a_bent_tone_is_that_of_the_other_pitch(semitones):
    wanted_hz = TONE_HZ * 2 ** (semitones / 12)
    frames = bent(log_magnitudes(torch.from_numpy(tone(TONE_HZ)), ANALYSIS).numpy(), semitones)
    vocoder = SpectralVocoder(ANALYSIS)
    draws = torch.zeros(1, len(frames), 0)
    sound, _ = vocoder.step(torch.from_numpy(frames)[None], vocoder.initial_state(1), draws)
    assert 1200 * abs(math.log2(strongest_hz(sound[0].numpy()) / wanted_hz)) < 5
    other = tone(wanted_hz)[len(sound[0]) // 4 : -len(sound[0]) // 4]
    level = np.std(sound[0].numpy()[len(sound[0]) // 4 : -len(sound[0]) // 4]) / np.std(other)
    assert abs(20 * math.log10(level)) < 1


def test_a_bent_mel_spectrum_is_near_that_of_the_other_pitch():
    here, there = (
        log_mel(torch.from_numpy(tone(hz)), ANALYSIS).numpy()[20:50] for hz in (440, 494)
    )
    far, near = np.abs(here - there).mean(), np.abs(bent(here, 2.0, "mel") - there).mean()
    assert near < far / 2


def test_no_bend_changes_no_bit():
    frames = np.random.default_rng(0).normal(-5, 2, (5, ANALYSIS.bands)).astype(np.float32)
    mixed, bends = frames.copy(), np.array([0, 1, 0, -2, 0.0])
    PitchBend(band_centres(ANALYSIS, "fine"))(mixed, bends)
    assert np.array_equal(mixed[::2], frames[::2]) and not np.array_equal(mixed[1], frames[1])


def test_above_the_highest_band_is_silence():
    loud = np.zeros((1, ANALYSIS.bands), np.float32)
    lower = bent(loud, -12.0)[0]
    half = ANALYSIS.bands // 2
    assert np.allclose(lower[: half + 1], 0) and np.allclose(lower[half + 1 :], math.log(FLOOR))


@pytest.mark.parametrize(("analysis", "bands"), [(ANALYSIS, 513), (WIDE, 560)])
def test_centres_rise_from_0_hz_to_nyquist(analysis, bands):
    fine, mel = (band_centres(analysis, head) for head in ("fine", "mel"))
    assert len(fine) == bands == analysis.bands and len(mel) == analysis.mels
    for centres in (fine, mel):
        assert (np.diff(centres) > 0).all() and 0 <= centres[0] < centres[-1] <= analysis.rate / 2
    assert fine[32] == 32 * analysis.rate / analysis.window


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("level", [np.nan, np.inf, -np.inf, 1e30, -1e30, LOWEST])
@pytest.mark.parametrize("semitones", [-48.0, 0.01, 48.0])
def test_no_level_can_break_it(level, semitones):
    frames = np.random.default_rng(1).normal(-6, 4, (2, ANALYSIS.bins)).astype(np.float32)
    frames[0, ::7] = level
    frames[1] = level
    assert np.isfinite(bent(frames, semitones)).all()
