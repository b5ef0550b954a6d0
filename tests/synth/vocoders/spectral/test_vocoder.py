"""The spectral vocoder: in tune, in time, in level, and the same however it is called."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from synth.mel import FLOOR, Analysis, log_magnitudes, magnitudes
from synth.vocoders.spectral.vocoder import SpectralVocoder

DEFAULT = Analysis()
WIDE = Analysis(rate=48_000, hop=384, window=3_072)
BANDED = Analysis(rate=48_000, hop=384, window=3_072, wide_bands=48)


def notes(analysis: Analysis, seconds: float, seed: int) -> Tensor:
    """A polyphonic take (samples,): struck, decaying harmonic notes, four a second."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * analysis.rate)) / analysis.rate
    audio = np.zeros_like(time)
    for onset in np.arange(0.1, seconds, 0.25):
        pitch = 440 * 2 ** ((random.integers(40, 84) - 69) / 12)
        since = np.maximum(time - onset, 0)
        strike = (1 - np.exp(-since / 0.004)) * np.exp(-since / 0.5)
        for harmonic in range(1, 9):
            if harmonic * pitch < analysis.rate / 2:
                phase = 2 * np.pi * (harmonic * pitch * since + random.random())
                audio += 0.1 / harmonic * strike * np.sin(phase)
    return torch.from_numpy(audio).float()


def sine(analysis: Analysis, pitch: float, seconds: float, level: float) -> Tensor:
    """A steady sine (samples,) of amplitude `level`."""
    time = torch.arange(round(seconds * analysis.rate), dtype=torch.float64) / analysis.rate
    return (level * torch.sin(2 * math.pi * pitch * time)).float()


def resynthesise(vocoder: SpectralVocoder, frames: Tensor) -> Tensor:
    """Samples (n * hop,) of frames (n, bins), moved to where the frames heard them."""
    silence = torch.full((vocoder.lookahead, frames.shape[1]), math.log(FLOOR))
    padded = torch.cat([frames, silence])[None]
    draws = torch.empty(1, padded.shape[1], 0)
    samples, _ = vocoder.step(padded, vocoder.initial_state(1), draws)
    return samples[0, vocoder.lookahead * vocoder.hop :]


def frequency_and_level(audio: Tensor, rate: int) -> tuple[float, float]:
    """Hz and amplitude of the loudest sine in audio (samples,), by a parabola on its peak."""
    # A Gaussian window makes the peak's logarithm an exact parabola.
    n = len(audio)
    window = np.exp(-0.5 * ((np.arange(n) - n / 2) / (n / 8)) ** 2)
    spectrum = np.log(np.abs(np.fft.rfft(audio.double().numpy() * window)) + 1e-12)
    peak = int(spectrum.argmax())
    low, top, high = spectrum[peak - 1 : peak + 2]
    offset = 0.5 * (low - high) / (low - 2 * top + high)
    level = np.exp(top - 0.25 * (low - high) * offset) * 2 / window.sum()
    return (peak + offset) * rate / n, float(level)


@pytest.mark.parametrize("analysis", [DEFAULT, WIDE, BANDED], ids=["16k", "48k", "48k, banded"])
@pytest.mark.parametrize("pitch", [65.41, 440.0, 1_003.7, 6_271.9])
def test_a_sine_keeps_its_frequency_and_level(analysis, pitch):
    audio = sine(analysis, pitch, 2.0, 0.3)
    heard = resynthesise(SpectralVocoder(analysis), log_magnitudes(audio, analysis))
    middle = slice(analysis.rate // 2, analysis.rate * 3 // 2)
    frequency, level = frequency_and_level(heard[middle], analysis.rate)
    assert abs(1_200 * math.log2(frequency / pitch)) < 2
    assert abs(20 * math.log10(level / 0.3)) < 0.5


@pytest.mark.parametrize("lookahead", [1, 2, 3, 4])
@pytest.mark.parametrize("onset", [4_000, 4_067, 5_111])
def test_an_onset_comes_out_where_it_was_heard(lookahead, onset):
    audio = sine(DEFAULT, 880.0, 0.6, 0.5)
    audio[:onset] = 0
    heard = resynthesise(SpectralVocoder(DEFAULT, lookahead), log_magnitudes(audio, DEFAULT))
    # Short-time level over 4 ms; half the steady level marks the onset.
    loud = heard.square().unfold(0, 64, 1).mean(-1).sqrt() > 0.5 * 0.5 / math.sqrt(2)
    found = int(loud.nonzero()[0]) + 32
    assert abs(found - onset) <= 0.005 * DEFAULT.rate


def test_a_click_stays_a_click():
    audio = torch.zeros(8_000)
    audio[4_000] = 0.9
    heard = resynthesise(SpectralVocoder(DEFAULT), log_magnitudes(audio, DEFAULT))
    assert abs(int(heard.abs().argmax()) - 4_000) <= 0.002 * DEFAULT.rate
    near = heard[4_000 - 80 : 4_000 + 80].square().sum()
    assert near > 0.8 * heard.square().sum()


@pytest.mark.parametrize(
    ("analysis", "lookahead", "most"),
    [
        (DEFAULT, 2, 0.12),
        (DEFAULT, None, 0.1),
        (DEFAULT, 4, 0.1),
        (WIDE, None, 0.1),
        (BANDED, None, 0.12),
    ],
)
def test_polyphony_comes_back(analysis, lookahead, most):
    """Spectral convergence: the error of the magnitudes over the magnitudes."""
    audio = notes(analysis, 4.0, seed=1)
    heard = resynthesise(SpectralVocoder(analysis, lookahead), log_magnitudes(audio, analysis))
    wanted, got = magnitudes(audio, analysis), magnitudes(heard[: len(audio)], analysis)
    assert (wanted - got).norm() / wanted.norm() < most


def test_noise_above_8_khz_keeps_its_level_in_every_octave():
    audio = 0.1 * torch.randn(96_000, generator=torch.Generator().manual_seed(0))
    heard = resynthesise(SpectralVocoder(BANDED), log_magnitudes(audio, BANDED))
    wanted, got = (magnitudes(x, BANDED)[20:-20].square().mean(0) for x in (audio, heard))
    for low, high in ((256, 512), (512, 1_024), (1_024, 1_500)):
        ratio = got[low:high].mean() / wanted[low:high].mean()
        assert abs(10 * math.log10(ratio)) < 1.5


def test_silence_is_exact_and_follows_every_sound():
    vocoder = SpectralVocoder(DEFAULT)
    silence = torch.full((1, 40, DEFAULT.bins), math.log(FLOOR))
    draws = torch.empty(1, 40, 0)
    heard, _ = vocoder.step(silence, vocoder.initial_state(1), draws)
    assert heard.abs().max() == 0
    frames = log_magnitudes(notes(DEFAULT, 0.32, 0), DEFAULT)[None]
    _, state = vocoder.step(frames, vocoder.initial_state(1), draws)
    heard, _ = vocoder.step(silence, state, draws)
    assert heard[0, : vocoder.hop].abs().max() > 0
    assert heard[0, -10 * vocoder.hop :].abs().max() == 0


def test_bins_at_the_floor_add_no_hiss():
    audio = sine(DEFAULT, 440.0, 1.0, 0.5)
    frames = log_magnitudes(audio, DEFAULT)
    assert frames[20:100, 400:].max() <= math.log(FLOOR) + 1e-5
    heard = magnitudes(resynthesise(SpectralVocoder(DEFAULT), frames), DEFAULT)
    assert heard[20:100, 400:].max() < 0.2 * FLOOR


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_bad_levels_pass(bad):
    frames = log_magnitudes(sine(DEFAULT, 440.0, 1.5, 0.3), DEFAULT)
    frames[20] = bad
    frames[25, 100:] = bad
    heard = resynthesise(SpectralVocoder(DEFAULT), frames)
    assert heard.isfinite().all()
    frequency, level = frequency_and_level(heard[8_000:20_000], DEFAULT.rate)
    assert abs(1_200 * math.log2(frequency / 440)) < 2
    assert abs(20 * math.log10(level / 0.3)) < 0.5


def test_phases_stay_small_however_long_it_plays():
    vocoder = SpectralVocoder(DEFAULT)
    frames = log_magnitudes(sine(DEFAULT, 3_000.0, 4.0, 0.3), DEFAULT)[None]
    draws = torch.empty(1, frames.shape[1], 0)
    _, state = vocoder.step(frames, vocoder.initial_state(1), draws)
    assert state.phase.min() >= 0
    assert state.phase.max() <= 2 * math.pi


@pytest.mark.parametrize("shape", [(1, 4, 80), (2, 4, 513), (4, 513), (1, 4, 513, 1)])
def test_frames_of_another_shape_are_refused(shape):
    vocoder = SpectralVocoder(DEFAULT)
    with pytest.raises(ValueError, match=r"expected shape \(1, any number, 513\)"):
        vocoder.step(torch.zeros(shape), vocoder.initial_state(1), torch.empty(1, 4, 0))


@pytest.mark.parametrize(
    ("analysis", "lookahead", "message"),
    [
        (DEFAULT, 0, "expected 1 to 4 frames"),
        (DEFAULT, 5, "expected 1 to 4 frames"),
        (Analysis(window=1_000), None, "twos and threes"),
        (Analysis(window=1_023), None, "expected an even number"),
        (Analysis(hop=512), None, "at most a quarter of the window"),
    ],
)
def test_what_cannot_be_played_is_refused(analysis, lookahead, message):
    with pytest.raises(ValueError, match=message):
        SpectralVocoder(analysis, lookahead)
