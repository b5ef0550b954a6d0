"""Mu-law: 256 classes that come back as they went, finest near silence."""

from __future__ import annotations

import math

import pytest
import torch

from synth.vocoders.wavenet.mulaw import CLASSES, SILENCE, decode, encode


def test_every_class_comes_back():
    classes = torch.arange(CLASSES)
    assert torch.equal(encode(decode(classes)), classes)
    assert decode(classes).dtype == torch.float32


def test_classes_rise_with_the_sample_and_mirror_around_zero():
    samples = decode(torch.arange(CLASSES))
    assert (samples.diff() > 0).all()
    assert torch.allclose(samples, -samples.flip(0))
    assert samples[0] == -1 and samples[-1] == 1


def test_silence_is_the_class_of_zero_and_as_good_as_silent():
    assert encode(torch.zeros(3)).tolist() == [SILENCE] * 3
    assert abs(decode(torch.tensor(SILENCE))) < 1e-4


def test_a_sample_goes_to_its_nearest_class_on_the_curve():
    samples = torch.linspace(-1, 1, 20_001, dtype=torch.float64)
    position = 127.5 + 127.5 * samples.sign() * (255 * samples.abs()).log1p() / math.log(256)
    assert (encode(samples) - position).abs().max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("level", "most"), [(1.0, 0.022), (0.1, 0.0023), (0.001, 0.00011)])
def test_errors_shrink_with_the_level(level, most):
    """Half a class is ln 256 / 255 of a sample's level, and of 1/255 more."""
    samples = torch.linspace(-level, level, 10_001)
    assert (decode(encode(samples)) - samples).abs().max() < most


def test_what_is_too_loud_is_clipped():
    assert encode(torch.tensor([-7.0, -1.0, 1.0, 1e9, math.inf])).tolist() == [0, 0, 255, 255, 255]
