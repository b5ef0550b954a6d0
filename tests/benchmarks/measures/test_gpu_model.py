"""The performance model agrees with the network's own sizes and the kernel's width."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.measures import gpu_model
from benchmarks.measures.gpu_model import CHIP, quick_s, weight_bytes, wide_s
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig

FULL = WaveNetConfig()


def test_its_bytes_are_those_of_the_weights():
    weights = WaveNet(FULL).weights()
    matrices = ("past", "now", "residual", "skip", "out", "end")
    numbers = sum(getattr(weights, name).numel() for name in matrices)
    layer, outputs = weight_bytes(FULL)
    assert FULL.layers * layer + outputs == gpu_model.HALF * numbers


def test_its_width_is_that_of_the_kernel():
    sampler_triton = pytest.importorskip("synth.vocoders.wavenet.samplers.triton")
    assert gpu_model.STREAMS == sampler_triton.STREAMS


@pytest.mark.parametrize("hidden", [True, False])
def test_what_it_says_of_the_second_kernel(hidden):
    wide = wide_s(FULL, CHIP, 1, hidden)
    in_registers, in_shared_memory = (quick_s(FULL, CHIP, n, hidden) for n in (3, 5))
    assert in_registers > in_shared_memory > wide


def test_streams_cost_nothing_until_they_share_the_cache():
    took = {streams: wide_s(FULL, CHIP, streams, True) for streams in (1, 16, 256, 2048)}
    assert took[1] == took[16] == took[256] < took[2048]
    slower = replace(CHIP, l2=CHIP.l2 / 2)
    assert wide_s(FULL, slower, 2048, True) == pytest.approx(2 * took[2048])
