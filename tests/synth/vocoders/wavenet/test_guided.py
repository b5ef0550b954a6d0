"""The WaveNet that is led by the spectral vocoder's sound."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from synth.mel import FLOOR, Analysis, log_magnitudes, mel_filters, mel_from_magnitudes
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.guided import FRESH, GuidedVocoder
from synth.vocoders.wavenet.levels import HEADROOM, QUIETEST
from synth.vocoders.wavenet.mulaw import SILENCE, decode, encode
from synth.vocoders.wavenet.network import GUIDE_CHANNELS
from synth.vocoders.wavenet.samplers.contract import draw_class
from synth.vocoders.wavenet.vocoder import WaveNetVocoder, wavenet_vocoder
from synth.vocoders.wavenet.wide import WideVocoder
from tests.synth.lively_wavenet import FULL_GUIDED, GUIDED, SMALL, lively

ANALYSIS = Analysis(window=512, mels=GUIDED.mels)
WIDE = Analysis(48_000, 384, 1_536, mels=GUIDED.mels)
HOP = ANALYSIS.hop
QUIET = math.log(FLOOR)


def tones(batch: int, n: int, analysis: Analysis = ANALYSIS) -> Tensor:
    """Frames of decaying chords that begin after three silent frames."""
    hop = analysis.hop
    time = torch.arange(n * hop) / analysis.rate - 3 * hop / analysis.rate
    sound = torch.zeros(batch, n * hop)
    for row in range(batch):
        for hz in (220.0 * (row + 1), 660.0, 1760.0):
            sound[row] += 0.1 * (2 * torch.pi * hz * time).sin() * (-8 * time).exp()
    return log_magnitudes(sound * (time >= 0), analysis)


def played(vocoder: GuidedVocoder, frames: Tensor, draws: Tensor, block: int) -> Tensor:
    state, heard = vocoder.initial_state(len(frames)), []
    for part, drawn in zip(frames.split(block, 1), draws.split(block, 1), strict=True):
        sound, state = vocoder.step(part, state, drawn)
        heard.append(sound)
    return torch.cat(heard, 1)


def drawn(vocoder: GuidedVocoder, frames: Tensor, draws: Tensor, block: int) -> Tensor:
    """What the WaveNet draws, before it is kept within its guide."""
    state, heard = vocoder.initial_state(len(frames)), []
    for part, some in zip(frames.split(block, 1), draws.split(block, 1), strict=True):
        heard.append(vocoder.draw(part, state, some, None)[0])
    return torch.cat(heard, 1)


def described(frames: Tensor, emphasis: float) -> tuple[Tensor, Tensor]:
    """Mel bands and levels of frames (batch, n, bins), as the network learnt them."""
    heard = torch.where(frames > QUIET + 1e-4, frames.double().exp(), 0)
    mel = mel_from_magnitudes(heard, mel_filters(ANALYSIS).double())
    turn = torch.linspace(0, math.pi, ANALYSIS.bins, dtype=torch.float64)
    gain = (1 - emphasis * torch.exp(-1j * turn)).abs()
    level = HEADROOM * ((gain * heard).square().sum(-1) / 3).sqrt()
    return mel.float(), level.clamp(min=QUIETEST)


def scaled(sound: Tensor, levels: Tensor, emphasis: float) -> Tensor:
    """Sound (batch, n * hop) after emphasis, over its level; levels (batch, n + 1)."""
    share = (torch.arange(HOP) / HOP).double()
    level = levels[:, :-1, None] * (1 - share) + levels[:, 1:, None] * share
    before = torch.nn.functional.pad(sound, (1, 0))[:, :-1]
    return ((sound.double() - emphasis * before.double()) / level.flatten(1)).float()


def test_says_what_it_takes():
    vocoder = GuidedVocoder(lively(GUIDED), "reference", ANALYSIS)
    assert (vocoder.head, vocoder.hop, vocoder.draws_per_frame) == ("fine", 128, 128)
    assert vocoder.drawn_behind == SpectralVocoder(ANALYSIS).lookahead + 1
    assert vocoder.lookahead == vocoder.drawn_behind + 2
    vocoder = GuidedVocoder(lively(FULL_GUIDED), "reference", Analysis())
    assert (vocoder.lookahead, vocoder.sampler) == (6, "reference")


@pytest.mark.parametrize("sampler", ["reference", "cpu"])
def test_a_live_take_is_what_forward_would_draw(sampler):
    """Hop k hears frames up to k + 1, and the guide of that time to a few samples beyond."""
    net, frames, emphasis = lively(GUIDED), tones(2, 9), GUIDED.emphasis
    vocoder = GuidedVocoder(net, sampler, ANALYSIS)
    draws = torch.rand(2, 9, HOP, generator=torch.Generator().manual_seed(3))
    heard = drawn(vocoder, frames, draws, 2)
    # The first hop that is heard is `behind` frames before the first frame.
    behind = vocoder.drawn_behind
    silent = torch.full((2, behind, ANALYSIS.bands), QUIET)
    mel, levels = described(torch.cat([silent, frames], 1), emphasis)
    spectral = SpectralVocoder(ANALYSIS)
    guide, _ = spectral.step(frames, spectral.initial_state(2), torch.empty(2, 9, 0))
    guide = encode(scaled(guide, levels[:, 1:11], emphasis))
    before = torch.full((2, HOP + GUIDED.guide), SILENCE)
    guide = torch.cat([before, guide], 1)[:, : 9 * HOP + 2 * GUIDED.guide]
    classes = encode(scaled(heard, levels[:, :10], emphasis))
    waves = decode(classes)
    torch.testing.assert_close(scaled(heard, levels[:, :10], emphasis), waves, rtol=0, atol=1e-4)
    logits = net(mel[:, 1:10], classes, guide) * GUIDED.sharpness
    wanted = draw_class(logits.flatten(0, 1), draws.flatten()).view_as(classes)
    same = float((wanted == classes).float().mean())
    # Rounded to a neighbouring class here and there.
    assert same > (0.99 if sampler == "reference" else 0.92)


def test_a_network_that_follows_its_guide_plays_it_one_frame_later(monkeypatch):
    vocoder = GuidedVocoder(lively(FULL_GUIDED), "cpu", Analysis())
    frames = tones(2, 60, Analysis())
    now = FULL_GUIDED.mels + GUIDE_CHANNELS + FULL_GUIDED.guide

    def follow(conditioning: Tensor, state: object, draws: Tensor) -> Tensor:
        return ((conditioning[:, :, now] + 1) * 127.5).round().long()

    monkeypatch.setattr(vocoder.drawing, "draw", follow)
    heard = drawn(vocoder, frames, torch.zeros(2, 60, HOP), 7)
    spectral = SpectralVocoder(Analysis())
    guide, _ = spectral.step(frames, spectral.initial_state(2), torch.empty(2, 60, 0))
    wanted, heard = guide[:, :-HOP], heard[:, HOP:]
    error = (heard - wanted).square().mean() / wanted.square().mean()
    assert 10 * error.log10() < -25
    assert not wanted[:, :HOP].any() and heard[:, :HOP].abs().max() < 1e-6


def test_what_is_no_number_is_silence():
    vocoder = GuidedVocoder(lively(GUIDED), "cpu", ANALYSIS)
    draws = torch.rand(1, 6, HOP, generator=torch.Generator().manual_seed(3))
    frames = torch.full((1, 6, ANALYSIS.bands), QUIET)
    wanted = played(vocoder, frames, draws, 6)
    assert torch.equal(played(vocoder, frames * math.nan, draws, 6), wanted)
    assert played(vocoder, frames + math.inf, draws, 6).isfinite().all()


def test_plays_in_inference_mode_with_a_state_from_before():
    vocoder, frames = GuidedVocoder(lively(GUIDED), "cpu", ANALYSIS), tones(1, 8)
    draws = torch.rand(1, 8, HOP, generator=torch.Generator().manual_seed(3))
    wanted, state = played(vocoder, frames, draws, 8), vocoder.initial_state(1)
    first, state = vocoder.step(frames[:, :3], state, draws[:, :3])
    with torch.inference_mode():
        rest, _ = vocoder.step(frames[:, 3:], state, draws[:, 3:])
    assert torch.equal(torch.cat([first, rest], 1), wanted)


def test_a_network_gets_the_vocoder_that_it_needs():
    assert isinstance(wavenet_vocoder(lively(GUIDED), "cpu", ANALYSIS), GuidedVocoder)
    assert isinstance(wavenet_vocoder(lively(SMALL), "cpu", ANALYSIS), WaveNetVocoder)
    with pytest.raises(ValueError, match="guide: expected a WaveNet without one"):
        WaveNetVocoder(lively(GUIDED), "cpu")
    with pytest.raises(ValueError, match="guide: expected a WaveNet with one"):
        GuidedVocoder(lively(SMALL), "cpu", ANALYSIS)


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        (Analysis(48_000, 128, 512, mels=6, wide_bands=4), "wide_bands: expected 0"),
        (Analysis(hop=64, window=512, mels=6), "hop: expected 128"),
        (Analysis(window=512), "mels: expected 6 for this WaveNet, got 80"),
    ],
)
def test_refuses_an_analysis_that_does_not_fit(analysis, told):
    with pytest.raises(ValueError, match=told):
        GuidedVocoder(lively(GUIDED), "cpu", analysis)


@pytest.mark.parametrize(("bands", "draws"), [(6, HOP), (ANALYSIS.bands, HOP - 1)])
def test_refuses_frames_and_draws_of_another_shape(bands, draws):
    vocoder = GuidedVocoder(lively(GUIDED), "cpu", ANALYSIS)
    for step in (vocoder.step, vocoder.step_spared):
        state = vocoder.initial_state(1)
        with pytest.raises(ValueError, match="expected shape \\(1, 3, "):
            step(torch.zeros(1, 3, bands), state, torch.rand(1, 3, draws))
        # Nothing has moved on.
        assert state.drawn.item() == FRESH


@pytest.mark.parametrize("kind", [GuidedVocoder, WideVocoder])
def test_the_guide_may_take_its_turn_and_give_it_back(kind):
    analysis = ANALYSIS if kind is GuidedVocoder else WIDE
    vocoder = kind(lively(GUIDED), "reference", analysis)
    n, turns = 44, (16, 28)
    frames = tones(2, 11, analysis).repeat(1, 4, 1)
    drawn = torch.rand(2, n, HOP, generator=torch.Generator().manual_seed(1))

    def take(spared: range) -> Tensor:
        state, heard = vocoder.initial_state(2), []
        for t in range(n):
            step = vocoder.step_spared if t in spared else vocoder.step
            sound, state = step(frames[:, t : t + 1], state, drawn[:, t : t + 1])
            heard.append(sound)
        return torch.cat(heard, 1)

    whole, guided, both = take(range(0)), take(range(n)), take(range(*turns))
    assert not torch.equal(whole, guided)
    hop = vocoder.hop
    assert torch.equal(both[:, : turns[0] * hop], whole[:, : turns[0] * hop])
    # In between only the guide is heard, as soon as the windows hold nothing else.
    alone = slice((turns[0] + 8) * hop, turns[1] * hop)
    torch.testing.assert_close(both[:, alone], guided[:, alone], atol=1e-6, rtol=0)
    # Neither turn is a click: no step is larger than those of the two sounds.
    largest = max(float(x.diff(dim=1).abs().max()) for x in (whole, guided))
    assert float(both.diff(dim=1).abs().max()) < 1.2 * largest
    after = both[:, (turns[1] + 12) * hop :]
    assert not torch.equal(after, guided[:, (turns[1] + 12) * hop :])


def test_without_the_network_nothing_is_drawn(monkeypatch):
    vocoder = GuidedVocoder(lively(GUIDED), "reference", ANALYSIS)
    monkeypatch.setattr(vocoder.drawing, "draw", None)
    monkeypatch.setattr(vocoder.drawing, "condition", None)
    frames = tones(1, 8)
    sound, _ = vocoder.step_spared(frames, vocoder.initial_state(1), torch.zeros(1, 8, HOP))
    assert sound.any()
