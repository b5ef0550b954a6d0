"""Levels: classes of a sound's own loudness, and back; mel bands and levels of fine frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.mel import FLOOR, Analysis, log_magnitudes, mel_filters, mel_from_magnitudes
from synth.vocoders.wavenet.levels import (
    HEADROOM,
    QUIETEST,
    describe,
    frame_tables,
    to_classes,
    to_samples,
)
from synth.vocoders.wavenet.mulaw import CLASSES, SILENCE, decode, encode

WAVES = decode(torch.arange(CLASSES)).numpy()
HOP = 8


def described(frames: torch.Tensor, analysis: Analysis, emphasis: float):
    mel = np.empty((len(frames), analysis.mels), np.float32)
    level = np.empty(len(frames))
    describe(frames.numpy(), frame_tables(analysis, emphasis), mel, level)
    return mel, level


@pytest.mark.parametrize("analysis", [Analysis(), Analysis(window=512, mels=24)])
def test_mel_bands_are_those_of_the_analysis(analysis):
    frames = 3 * torch.randn(7, analysis.bands, generator=torch.Generator().manual_seed(1)) - 8
    frames = frames.clamp(min=float(np.log(np.float32(FLOOR))))
    mel, _ = described(frames, analysis, 0.85)
    heard = torch.where(frames > np.log(FLOOR) + 1e-4, frames.exp(), 0)
    wanted = mel_from_magnitudes(heard, mel_filters(analysis))
    torch.testing.assert_close(torch.from_numpy(mel), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("emphasis", [0.0, 0.85])
@pytest.mark.parametrize("hz", [220.0, 3_000.0])
def test_a_level_is_eight_times_the_root_mean_square_after_emphasis(emphasis, hz):
    analysis = Analysis()
    sine = 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(4_096) / analysis.rate)
    frames = log_magnitudes(sine, analysis)[8:-8]
    _, level = described(frames, analysis, emphasis)
    heard = sine[1:] - emphasis * sine[:-1]
    wanted = HEADROOM * float(heard.square().mean().sqrt())
    np.testing.assert_allclose(level, wanted, rtol=0.02)


def test_silence_has_the_lowest_level():
    frames = torch.full((2, 513), float(np.log(np.float32(FLOOR))))
    mel, level = described(frames, Analysis(), 0.85)
    assert level.tolist() == [QUIETEST] * 2
    np.testing.assert_allclose(mel, np.log(FLOOR), rtol=1e-6)


def test_without_emphasis_at_level_one_classes_are_plain_mu_law():
    samples = torch.linspace(-1.2, 1.2, 5 * HOP)
    classes = np.empty(len(samples), np.uint8)
    to_classes(samples.numpy(), 0.0, np.ones(6), 0.0, classes)
    assert classes.tolist() == encode(samples).tolist()


def test_a_sound_comes_back_as_far_below_it_as_classes_lie_apart():
    random = np.random.default_rng(2)
    levels = np.geomspace(1e-3, 0.5, 41)
    quiet = np.interp(np.arange(40 * HOP) / HOP, np.arange(41), levels) / 8
    sound = (quiet * random.standard_normal(40 * HOP)).astype(np.float32)
    classes, back = np.empty(len(sound), np.uint8), np.empty_like(sound)
    to_classes(sound, 0.0, levels, 0.5, classes)
    last = to_samples(classes, WAVES, 0.0, levels, 0.5, back)
    assert last == pytest.approx(back[-1], rel=1e-6)
    # A class is 2% of a sample; with the emphasis undone, earlier errors ring on.
    assert (np.abs(back - sound) < 0.3 * quiet).all()


def test_parts_of_a_sound_go_on_where_the_last_ended():
    random = np.random.default_rng(3)
    levels, sound = random.uniform(0.1, 1, 5), random.standard_normal(4 * HOP).astype(np.float32)
    whole, heard = np.empty(4 * HOP, np.uint8), np.empty(4 * HOP, np.float32)
    to_classes(sound, 0.0, levels, 0.85, whole)
    to_samples(whole, WAVES, 0.0, levels, 0.85, heard)
    parts, played, before, last = [], [], 0.0, 0.0
    for first, stop in ((0, 1), (1, 3), (3, 4)):
        span, level = slice(first * HOP, stop * HOP), levels[first : stop + 1]
        classes, back = np.empty_like(whole[span]), np.empty_like(heard[span])
        to_classes(sound[span], before, level, 0.85, classes)
        last = to_samples(classes, WAVES, last, level, 0.85, back)
        before = float(sound[span][-1])
        parts.append(classes)
        played.append(back)
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(np.concatenate(played), heard)


def test_silence_is_the_class_of_silence():
    classes = np.empty(HOP, np.uint8)
    to_classes(np.zeros(HOP, np.float32), 0.0, np.full(2, QUIETEST), 0.85, classes)
    assert classes.tolist() == [SILENCE] * HOP
