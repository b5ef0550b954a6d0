"""Sketches: what a WaveNet can do by now, to hear and to see; and the map of a bank."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile
import torch

from synth.mel import Analysis
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from trainer.bank.embedding_map import draw_map, flatten
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
    assert not draw_map(tmp_path / "map.png", ["a"], np.zeros((1, 2)))


def test_a_map_is_turned_to_where_patches_differ_most():
    line = np.zeros((5, 4))
    line[:, 3] = np.arange(5)
    flat, kept = flatten(line)
    assert flat.shape == (5, 2) and kept == pytest.approx(1.0)
    assert np.ptp(flat[:, 0]) == pytest.approx(4.0) and np.ptp(flat[:, 1]) == pytest.approx(0.0)
    cloud = np.random.default_rng(0).normal(size=(50, 10))
    assert flatten(cloud)[0].shape == (50, 2) and 0.2 < flatten(cloud)[1] < 0.6


@pytest.mark.parametrize(("count", "size"), [(1, 1), (1, 2), (1, 5), (3, 2), (40, 10)])
def test_any_number_of_patches_in_any_dimension_is_drawn(count, size, tmp_path):
    pytest.importorskip("matplotlib")
    points = np.random.default_rng(0).normal(size=(count, size))
    assert draw_map(tmp_path / "map.png", [f"p{i}" for i in range(count)], points)
    assert (tmp_path / "map.png").read_bytes().startswith(PNG)
