"""The WaveNet that is led, in a bank of 48 kHz."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from synth.mel import FLOOR, Analysis, log_magnitudes
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.guided import GuidedVocoder
from synth.vocoders.wavenet.network import GUIDE_CHANNELS
from synth.vocoders.wavenet.vocoder import wavenet_vocoder
from synth.vocoders.wavenet.wide import WideVocoder
from tests.synth.lively_wavenet import FULL_GUIDED, GUIDED, SMALL, lively

WIDE = Analysis(48_000, 384, 3_072, wide_bands=48)
EVERY_BIN = replace(WIDE, wide_bands=0)
"""The same with a band for every bin: tones above 8 kHz stay where they are."""
LOW = Analysis()
"""What the WaveNet hears of either."""
N = 90
QUIET = math.log(FLOOR)


def tones(*hertz: float, start: int = 10, analysis: Analysis = WIDE) -> Tensor:
    """Frames of tones, each of amplitude 0.1, that begin at a frame."""
    time = torch.arange(N * analysis.hop, dtype=torch.float64) / analysis.rate
    begun = time >= start * analysis.hop / analysis.rate
    sound = sum((0.1 * (2 * torch.pi * hz * time).sin() for hz in hertz), 0 * time)
    return log_magnitudes((sound * begun).float(), analysis)[None]


def draws(seed: int = 3) -> Tensor:
    return torch.rand(1, N, LOW.hop, generator=torch.Generator().manual_seed(seed))


def played(vocoder: WideVocoder | GuidedVocoder | SpectralVocoder, frames: Tensor) -> Tensor:
    """In place: what a frame sounds like begins at its hop."""
    some = draws()[..., : vocoder.draws_per_frame]
    sound, _ = vocoder.step(frames, vocoder.initial_state(1), some)
    return sound[0, vocoder.lookahead * vocoder.hop :]


def following(monkeypatch: pytest.MonkeyPatch, analysis: Analysis) -> WideVocoder:
    """A vocoder whose network draws what its guide says."""
    vocoder = WideVocoder(lively(FULL_GUIDED), "cpu", analysis)
    now = FULL_GUIDED.mels + GUIDE_CHANNELS + FULL_GUIDED.guide

    def follow(conditioning: Tensor, state: object, draws: Tensor) -> Tensor:
        return ((conditioning[:, :, now] + 1) * 127.5).round().long()

    monkeypatch.setattr(vocoder._low.drawing, "draw", follow)
    return vocoder


def band_db(sound: Tensor, low: float, high: float) -> float:
    """Power of the middle between two frequencies, dB below a full-scale sine."""
    middle = sound[30 * WIDE.hop : 70 * WIDE.hop].double()
    hann = torch.hann_window(len(middle), dtype=torch.float64)
    spectrum = torch.fft.rfft(middle * hann).abs().square() / hann.square().sum()
    hertz = torch.fft.rfftfreq(len(middle), 1 / WIDE.rate)
    heard = spectrum[(hertz >= low) & (hertz < high)].sum() * 4 / len(middle)
    return float(10 * heard.log10())


def test_says_what_it_takes():
    vocoder = wavenet_vocoder(lively(FULL_GUIDED), "reference", WIDE)
    assert isinstance(vocoder, WideVocoder)
    assert (vocoder.head, vocoder.hop, vocoder.draws_per_frame) == ("fine", 384, 128)
    assert (vocoder.lookahead, vocoder.sampler) == (6, "reference")
    assert isinstance(wavenet_vocoder(lively(FULL_GUIDED), "reference", LOW), GuidedVocoder)


def test_tones_on_either_side_of_8_khz_come_out_at_their_levels(monkeypatch):
    vocoder = following(monkeypatch, EVERY_BIN)
    sound = played(vocoder, tones(1_000, 10_000, analysis=EVERY_BIN))
    assert band_db(sound, 900, 1_100) == pytest.approx(-20, abs=0.3)
    assert band_db(sound, 9_900, 10_100) == pytest.approx(-20, abs=0.3)
    # No mirror image of the one or the other.
    assert band_db(sound, 14_900, 17_100) < -90 and band_db(sound, 5_900, 6_100) < -70


def test_wide_bands_are_as_loud_as_the_spectral_vocoder_plays_them(monkeypatch):
    frames = tones(1_000, 10_000)
    sound = played(following(monkeypatch, WIDE), frames)
    wanted = played(SpectralVocoder(WIDE), frames)
    assert band_db(sound, 900, 1_100) == pytest.approx(band_db(wanted, 900, 1_100), abs=0.3)
    above = band_db(wanted, 8_500, 24_000)
    assert above > -30
    assert band_db(sound, 8_500, 24_000) == pytest.approx(above, abs=1)


def test_both_bands_begin_together(monkeypatch):
    vocoder = following(monkeypatch, EVERY_BIN)
    for hz in (1_000.0, 10_000.0):
        sound = played(vocoder, tones(hz, start=40, analysis=EVERY_BIN))
        power = sound.double().square()[: 60 * WIDE.hop].cumsum(0)
        # Of the 20 hops that sound, half the power comes in the second half.
        middle = int((power < power[-1] / 2).sum()) / WIDE.hop
        assert middle == pytest.approx(50, abs=0.6)


def test_sounds_as_in_a_bank_of_16_khz_below():
    """Every third sample is the very same where nothing sounds above 8 kHz."""
    network, frames = lively(FULL_GUIDED), tones(220, 660, 3_000)
    frames[..., LOW.bins - 1 :] = QUIET
    wide = played(WideVocoder(network, "cpu", WIDE), frames)
    low = torch.cat([frames[..., : LOW.bins - 1], torch.full((1, N, 1), QUIET)], -1)
    narrow = played(GuidedVocoder(network, "cpu", LOW), low)
    assert narrow.abs().max() > 0.01
    torch.testing.assert_close(wide[::3], narrow, rtol=0, atol=1e-6)
    # And what lies between them adds nothing above.
    assert band_db(wide, 8_100, 24_000) < band_db(wide, 0, 8_000) - 70


def test_what_is_no_number_is_silence():
    vocoder = WideVocoder(lively(FULL_GUIDED), "cpu", WIDE)
    frames = torch.full((1, N, WIDE.bands), QUIET)
    assert torch.equal(played(vocoder, frames * math.nan), played(vocoder, frames))
    assert played(vocoder, frames + math.inf).isfinite().all()


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        (Analysis(44_100, 384, 3_072, mels=6, wide_bands=4), "rate: expected a multiple of 16000"),
        (Analysis(8_000, 128, 1_024, mels=6), "rate: expected a multiple of 16000"),
        (Analysis(48_000, 256, 3_072, mels=6, wide_bands=4), "hop: expected 384 for a wavenet"),
        (Analysis(48_000, 384, 2_048, mels=6), "window: expected a multiple of 6"),
        (Analysis(16_000, 128, 512, mels=6, wide_bands=1), "wide_bands: expected 0"),
        (Analysis(48_000, 384, 3_072, mels=7), "mels: expected 6 for this WaveNet, got 7"),
    ],
)
def test_refuses_an_analysis_that_does_not_fit(analysis, told):
    with pytest.raises(ValueError, match=told):
        wavenet_vocoder(lively(GUIDED), "cpu", analysis)


def test_a_network_without_a_guide_stays_at_its_own_rate():
    with pytest.raises(ValueError, match="hop: expected 128 for a wavenet, got 384"):
        wavenet_vocoder(lively(SMALL), "cpu", replace(WIDE, mels=SMALL.mels))


@pytest.mark.parametrize(("bands", "count"), [(WIDE.bins, 128), (WIDE.bands, 384)])
def test_refuses_frames_and_draws_of_another_shape(bands, count):
    vocoder = WideVocoder(lively(FULL_GUIDED), "cpu", WIDE)
    with pytest.raises(ValueError, match="expected shape \\(1, 3, "):
        vocoder.step(torch.zeros(1, 3, bands), vocoder.initial_state(1), torch.rand(1, 3, count))
