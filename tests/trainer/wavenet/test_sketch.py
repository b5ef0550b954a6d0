"""Sketches: what a WaveNet can do by now, to hear and to see; and the map of a bank."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile
import torch

from synth.mel import Analysis
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from trainer.data.dataset import DataSet
from trainer.wavenet.sketch import sketch_clip

PNG = b"\x89PNG"


@pytest.fixture
def network() -> WaveNet:
    torch.manual_seed(0)
    return WaveNet(WaveNetConfig(layers=4, cycle=2, residual=8, skip=8))


def test_a_sketch_is_two_seconds_of_sound_and_a_picture(network, data, tmp_path):
    held_out = DataSet(data, "val", 24)
    path = sketch_clip(network, held_out.excerpts[0], held_out.analysis, tmp_path / "s", 1234)
    assert path == tmp_path / "s" / "0001234.wav"
    samples, rate = soundfile.read(path)
    assert rate == 16_000 and samples.shape == (32_000,) and samples.std() > 0
    pytest.importorskip("matplotlib")
    assert path.with_suffix(".png").read_bytes().startswith(PNG)
    # The same network plays the same again.
    again = sketch_clip(network, held_out.excerpts[0], held_out.analysis, tmp_path, 1)
    assert np.array_equal(soundfile.read(again)[0], samples)


def test_without_matplotlib_there_is_no_picture(network, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    held_out = DataSet(data, "val", 24)
    path = sketch_clip(network, held_out.excerpts[0], Analysis(), tmp_path, 1)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
