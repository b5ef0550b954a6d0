"""The analysis: in level, in time, and no band deaf."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.mel import (
    FLOOR,
    Analysis,
    band_filters,
    fold,
    log_magnitudes,
    log_mel,
    magnitudes,
    mel_filters,
    mel_from_magnitudes,
    wide_edges,
    windowed_magnitudes,
)

DEFAULT = Analysis()
OTHERS = [
    Analysis(rate=48_000, hop=384, window=3_072),
    Analysis(window=512, mels=24),
    Analysis(window=256, hop=64, mels=100),
]
SIZES = [DEFAULT, *OTHERS]
BANDED = Analysis(rate=48_000, hop=384, window=3_072, wide_bands=48)


def sine(analysis: Analysis, pitch: float, samples: int, level: float = 1.0) -> torch.Tensor:
    time = torch.arange(samples, dtype=torch.float64) / analysis.rate
    return (level * torch.sin(2 * math.pi * pitch * time)).float()


@pytest.mark.parametrize("analysis", SIZES, ids=str)
def test_a_sine_shows_its_amplitude_in_its_bin(analysis):
    bin_number = analysis.bins // 3
    pitch = bin_number * analysis.rate / analysis.window
    frame = magnitudes(sine(analysis, pitch, 4 * analysis.window, level=0.25), analysis)[10]
    assert int(frame.argmax()) == bin_number
    assert frame[bin_number] == pytest.approx(0.25, rel=1e-3)
    assert frame[bin_number + 3 :].max() < 1e-4


@pytest.mark.parametrize("samples", [1, 127, 128, 129, 1_000, 16_384])
def test_one_frame_for_every_hop_begun(samples):
    frames = -(-samples // DEFAULT.hop)
    assert magnitudes(torch.zeros(2, samples), DEFAULT).shape == (2, frames, 513)
    assert log_mel(torch.zeros(samples), DEFAULT).shape == (frames, 80)


def test_frame_n_is_centred_on_sample_n_times_hop():
    click = torch.zeros(4_096)
    click[16 * DEFAULT.hop] = 1
    loudness = magnitudes(click, DEFAULT).sum(-1)
    assert int(loudness.argmax()) == 16
    assert torch.allclose(loudness[16 - 3 : 16], loudness[17 : 17 + 3].flip(0), rtol=1e-3)
    assert loudness[: 16 - 4].max() == loudness[16 + 5 :].max() == 0


def test_the_ends_see_silence_beyond_them():
    audio = torch.rand(1_500) - 0.5
    frames = magnitudes(audio, DEFAULT)
    padded = torch.nn.functional.pad(audio, (512, 1_024))
    for n in range(len(frames)):
        cut = padded[n * 128 : n * 128 + 1_024]
        assert torch.allclose(frames[n], windowed_magnitudes(cut), atol=1e-6)


def test_what_is_heard_later_does_not_change_earlier_frames():
    audio = torch.rand(6_000) - 0.5
    whole, start = magnitudes(audio, DEFAULT), magnitudes(audio[:3_000], DEFAULT)
    settled = (3_000 - 512) // 128
    assert torch.equal(whole[:settled], start[:settled])


def test_levels_stop_at_the_floor():
    silence = torch.zeros(1_000)
    assert torch.equal(log_magnitudes(silence, DEFAULT), torch.full((8, 513), FLOOR).log())
    assert torch.equal(log_mel(silence, DEFAULT), torch.full((8, 80), FLOOR).log())
    loud = log_magnitudes(sine(DEFAULT, 1_000, 2_048), DEFAULT)
    assert loud.max() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("analysis", SIZES, ids=str)
def test_no_band_is_deaf_or_blows_up(analysis):
    filters = mel_filters(analysis)
    assert filters.shape == (analysis.bins, analysis.mels) and filters.dtype == torch.float32
    assert (filters >= 0).all() and filters.max() <= 1
    assert (filters.sum(0) > 0).all()
    centres = filters.argmax(0)
    assert (centres.diff() >= 0).all()


def test_bands_are_spread_evenly_on_the_mel_scale():
    filters = mel_filters(DEFAULT)
    spacing = DEFAULT.rate / DEFAULT.window
    heard = (filters * torch.arange(513)[:, None]).sum(0) / filters.sum(0) * spacing
    mels = 2_595 * torch.log10(1 + heard / 700)
    top = 2_595 * math.log10(1 + 8_000 / 700)
    wanted = torch.arange(1, 81) * top / 81
    # Bins are coarse for the lowest bands: within two thirds of a band.
    assert (mels - wanted).abs().max() < 0.67 * top / 81
    assert (mels[20:] - wanted[20:]).abs().max() < 0.1 * top / 81


def test_neighbouring_triangles_add_up_to_one_between_the_outer_centres():
    filters = mel_filters(DEFAULT)
    heard = filters.sum(1)
    first, last = int(filters[:, 0].argmax()) + 1, int(filters[:, -1].argmax())
    assert torch.allclose(heard[first:last], torch.ones(last - first), atol=1e-5)


@pytest.mark.parametrize("pitch", [110.0, 440.0, 1_760.0, 6_000.0])
def test_a_sine_is_loudest_in_the_band_around_it(pitch):
    spectrum = log_mel(sine(DEFAULT, pitch, 4_096, level=0.5), DEFAULT)[16]
    top = 2_595 * math.log10(1 + 8_000 / 700)
    band = 2_595 * math.log10(1 + pitch / 700) / (top / 81) - 1
    assert abs(int(spectrum.argmax()) - band) <= 1
    assert spectrum.max() == pytest.approx(math.log(0.5), abs=0.8)


def test_log_mel_is_the_bands_of_the_magnitudes():
    audio = torch.rand(3, 2_000) - 0.5
    bands = mel_from_magnitudes(magnitudes(audio, DEFAULT), mel_filters(DEFAULT))
    assert torch.equal(log_mel(audio, DEFAULT), bands)
    assert torch.allclose(log_mel(audio[1], DEFAULT), bands[1], atol=1e-5)


def test_fine_bands_are_bins_up_to_8_khz_and_wide_above():
    edges = wide_edges(BANDED)
    assert BANDED.single == edges[0] == 8_000 * 3_072 // 48_000 and edges[-1] == BANDED.bins
    widths = np.diff(edges)
    assert len(widths) == 48 and (np.diff(widths) >= -1).all() and widths[-1] > 2.5 * widths[0]
    assert BANDED.bands == BANDED.single + 48
    assert DEFAULT.bands == DEFAULT.single == DEFAULT.bins


def test_a_wide_band_is_as_loud_as_its_bins_are_on_the_whole():
    linear = torch.rand(2, 5, BANDED.bins, generator=torch.Generator().manual_seed(0))
    bands, edges = fold(linear, BANDED), wide_edges(BANDED)
    assert torch.equal(bands[..., : BANDED.single], linear[..., : BANDED.single])
    for band, (first, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        power = linear[..., first:stop].square().mean(-1)
        torch.testing.assert_close(bands[..., BANDED.single + band].square(), power)
    assert fold(linear, OTHERS[0]) is linear
    assert log_magnitudes(torch.zeros(1_000), BANDED).shape == (3, BANDED.bands)


def test_mel_bands_of_flat_wide_bands_are_those_of_their_bins():
    bands = torch.rand(BANDED.bands, generator=torch.Generator().manual_seed(0))
    widths = torch.from_numpy(np.diff(wide_edges(BANDED)))
    high = bands[BANDED.single :].repeat_interleave(widths)
    bins = torch.cat([bands[: BANDED.single], high])
    torch.testing.assert_close(bands @ band_filters(BANDED), bins @ mel_filters(BANDED))
    assert torch.equal(band_filters(DEFAULT), mel_filters(DEFAULT))


@pytest.mark.parametrize("analysis", [replace(DEFAULT, wide_bands=2), replace(BANDED, rate=8_000)])
def test_more_wide_bands_than_there_are_bins_for_are_refused(analysis):
    with pytest.raises(ValueError, match="too many for the . bins above 8000 Hz"):
        wide_edges(analysis)
