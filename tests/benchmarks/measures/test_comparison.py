"""The fidelity figures, on sounds whose figures are known."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest

from benchmarks.measures.comparison import (
    BINS,
    HERTZ,
    PiecePair,
    compare,
    correlation,
    flux,
    log_mel_distance,
    onset_lags,
    stft_distance,
)
from synth.mel import Analysis

ANALYSIS = Analysis()
RATE = ANALYSIS.rate
ONSETS = np.arange(1, 9) * 4_000


def noise(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """White noise at a level that changes all the time."""
    random = np.random.default_rng(seed)
    level = np.repeat(random.uniform(0.05, 0.3, 40), round(seconds * RATE / 40))
    return (level * random.standard_normal(len(level))).astype(np.float32)


def plucks(shift: int = 0, keys: tuple[int, ...] = (60, 67, 72)) -> np.ndarray:
    """A decaying note at each of ONSETS, so many samples later; 2.5 s."""
    audio = np.zeros(40_000)
    for i, start in enumerate(ONSETS):
        pitch = 440 * 2 ** ((keys[i % len(keys)] - 69) / 12)
        time = np.arange(len(audio) - start - shift) / RATE
        tone = sum(np.sin(2 * np.pi * n * pitch * time) / n for n in (1, 2, 3))
        audio[start + shift :] += 0.2 * np.exp(-time * 12) * tone
    return audio.astype(np.float32)


def pair(ours: np.ndarray, original: np.ndarray) -> PiecePair:
    return PiecePair(ours, original, ONSETS)


def test_bins_are_librosas_from_c1_to_b7():
    wanted = librosa.cqt_frequencies(BINS, fmin=librosa.note_to_hz("C1"))
    np.testing.assert_allclose(HERTZ, wanted)
    assert (librosa.hz_to_note(HERTZ[0]), librosa.hz_to_note(HERTZ[-1])) == ("C1", "B7")


def test_a_sound_is_like_itself():
    figures = compare([pair(plucks(), plucks())], ANALYSIS)
    assert figures.mean_r == pytest.approx(1)
    assert [x for x in figures.r if x is not None] == pytest.approx([1] * BINS)
    assert (figures.stft, figures.log_mel_l1, figures.onset_ms, figures.onset_bias_ms) == (0,) * 4


def test_correlation_knows_no_level_but_a_loudness_of_its_own_in_each_piece_lowers_it():
    loud, other = noise(), noise(seed=1)
    alike = compare([pair(loud / 4, loud), pair(other / 4, other)], ANALYSIS)
    assert alike.mean_r == pytest.approx(1)
    apart = compare([pair(loud / 10, loud), pair(other, other)], ANALYSIS)
    assert 0.2 < apart.mean_r < 0.9


def test_unrelated_sounds_do_not_correlate():
    figures = compare([pair(noise(4.0), noise(4.0, seed=1)[::-1].copy())], ANALYSIS)
    assert abs(figures.mean_r) < 0.3
    assert figures.stft > 1 and figures.log_mel_l1 > 0.2


def test_bins_in_which_the_original_is_silent_are_left_out():
    original = np.array([[0.0, 1, 0, 1], [2e-5, 0, 5e-5, 0], [1, 2, 1, 2], [3, 1, 3, 1]])
    ours = np.array([[0.0, 2, 0, 2], [1, 0, 1, 0], [5, 5, 5, 5], [1, 3, 1, 3]])
    np.testing.assert_allclose(correlation(ours, original), [1, np.nan, 0, -1])


def test_a_silent_original_has_no_correlation_nor_onsets():
    silence = np.zeros(RATE, np.float32)
    figures = compare([pair(noise(1.0), silence)], ANALYSIS)
    assert figures.mean_r is figures.onset_ms is figures.onset_bias_ms is None
    assert figures.r == (None,) * BINS


def test_twice_the_level_is_known_in_every_spectral_distance():
    pairs = [pair(2 * noise(), noise()), pair(2 * noise(seed=1), noise(seed=1))]
    assert stft_distance(pairs, RATE) == pytest.approx(1 + math.log(2), rel=1e-4)
    assert log_mel_distance(pairs, ANALYSIS) == pytest.approx(math.log(2), rel=1e-4)


@pytest.mark.parametrize("shift_ms", [-12, 0, 7, 29])
def test_a_shifted_sound_is_found_to_the_millisecond(shift_ms):
    lags = onset_lags(pair(plucks(shift_ms * RATE // 1000), plucks()), RATE)
    np.testing.assert_allclose(lags, shift_ms / 1000, atol=1e-3)
    assert len(lags) == len(ONSETS)


def test_onsets_closer_than_100_ms_count_once_and_those_without_a_margin_not_at_all():
    close = PiecePair(plucks(), plucks(), np.array([0, 4_000, 4_100, 5_500, 8_000, 39_900]))
    assert len(onset_lags(close, RATE)) == 2


def test_flux_peaks_where_a_note_begins():
    steps = flux(plucks(), RATE)
    for onset in ONSETS:
        at = onset * 1000 // RATE
        assert abs(int(steps[at - 20 : at + 20].argmax()) - 20) <= 8
