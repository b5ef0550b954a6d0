"""The triton sampler and the vocoder around it on a real GPU, at the full size."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from common.window import Window
from synth.engine import Engine
from synth.mel import Analysis, band_centres, log_magnitudes
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from synth.predictor import Streaming
from synth.vocoders.wavenet.conditioning import CpuConditioning
from synth.vocoders.wavenet.guided import GuidedVocoder
from synth.vocoders.wavenet.network import WaveNet
from synth.vocoders.wavenet.samplers import reference as sampler_reference
from synth.vocoders.wavenet.samplers.choice import best_sampler
from synth.vocoders.wavenet.samplers.contract import SamplerState, initial_state
from synth.vocoders.wavenet.vocoder import WaveNetVocoder
from tests.synth.lively_wavenet import FULL, FULL_GUIDED, ODD, lively
from tests.synth.streaming import (
    check_blocks,
    check_nothing,
    check_rows,
    check_snapshot,
    vocoder_stage,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
PARTS = 16


def fresh(batch: int) -> SamplerState:
    return initial_state(FULL.dilations, FULL.residual, batch, "cuda")


def takes(batch: int, n: int) -> tuple[Tensor, Tensor]:
    """Conditioning and draws, on the GPU; every row another."""
    generator = torch.Generator("cuda").manual_seed(batch * n)
    mel = torch.randn(batch, n, FULL.mels, generator=generator, device="cuda")
    return mel, torch.rand(batch, n, generator=generator, device="cuda")


@pytest.fixture(scope="module")
def sampler():
    from synth.vocoders.wavenet.samplers import triton as sampler_triton

    return sampler_triton


@pytest.fixture(scope="module")
def packed(sampler):
    return sampler.pack(lively(FULL).weights())


@pytest.mark.parametrize(("make", "near"), [(lively, 0.05), (WaveNet, 5e-4)])
def test_logits_are_those_of_the_reference(sampler, make, near):
    torch.manual_seed(0)
    weights = make(FULL).half().float().requires_grad_(False).weights()
    batch, n = 17, 200
    mel, draws = takes(batch, n)
    classes = torch.randint(256, (batch, n), device="cuda")
    state, wanted_state = fresh(batch), initial_state(FULL.dilations, FULL.residual, batch)
    logits, drawn, _ = sampler.follow(sampler.pack(weights), mel, state, draws, classes)
    wanted, wanted_drawn, _ = sampler_reference.follow(
        sampler_reference.pack(weights), mel.cpu(), wanted_state, draws.cpu(), classes.cpu()
    )
    torch.testing.assert_close(logits.cpu(), wanted, rtol=0, atol=near)
    assert (drawn.cpu() == wanted_drawn).float().mean() >= 0.99
    torch.testing.assert_close(state.history.cpu(), wanted_state.history, rtol=0, atol=5e-3)
    assert state.position.tolist() == [n] * batch
    assert torch.equal(state.last, classes[:, -1])


def test_every_ring_comes_round(sampler, packed):
    """Long enough for the slowest dilations to be heard, in one launch and in two."""
    mel, draws = takes(2, 1500)
    whole, after = sampler.sample(packed, mel, fresh(2), draws)
    state = fresh(2)
    first, _ = sampler.sample(packed, mel[:, :701], state, draws[:, :701])
    snapshot = copy.deepcopy(state)
    for start in (state, snapshot):
        rest, _ = sampler.sample(packed, mel[:, 701:], start, draws[:, 701:])
        assert torch.equal(torch.cat([first, rest], 1), whole)
        assert torch.equal(start.history, after.history)
    assert len(whole.unique()) > 100


@pytest.mark.parametrize("batch", [1, 15, 16, 17, 300, 2048])
def test_the_batch_changes_no_bit(sampler, packed, batch):
    mel, draws = takes(batch, 64)
    whole, after = sampler.sample(packed, mel, fresh(batch), draws)
    for row in {0, batch // 2, batch - 1}:
        own, state = slice(row, row + 1), fresh(1)
        heard, _ = sampler.sample(packed, mel[own], state, draws[own])
        assert torch.equal(heard, whole[own])
        assert torch.equal(state.history, after.history[own])


def test_a_launch_repeats_itself_bit_for_bit(sampler, packed):
    mel, draws = takes(512, 128)
    whole, _ = sampler.sample(packed, mel, fresh(512), draws)
    for _ in range(5):
        assert torch.equal(sampler.sample(packed, mel, fresh(512), draws)[0], whole)


def test_conditioning_is_that_of_the_cpu():
    net = lively(FULL)
    vocoder, twin = WaveNetVocoder(net, "triton"), CpuConditioning(net)
    frames = torch.randn(5, 4, FULL.mels)
    state, cpu_state = vocoder.initial_state(5), WaveNetVocoder(net, "reference").initial_state(5)
    heard, wanted = vocoder.drawing.condition(frames.cuda(), state).cpu(), twin(frames, cpu_state)
    torch.testing.assert_close(heard, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


def test_the_vocoder_keeps_the_contract_of_all_vocoders():
    vocoder = WaveNetVocoder(lively(FULL), "triton")
    stage = vocoder_stage(vocoder, 2 * torch.randn(3, 35, FULL.mels))
    for check in (check_blocks, check_nothing, check_snapshot, check_rows):
        check(stage)
    state = vocoder.initial_state(2)
    heard, state = vocoder.step(torch.zeros(2, 1, FULL.mels), state, torch.rand(2, 1, 128))
    assert state.history.is_cuda and state.frame.is_cuda
    assert not heard.is_cuda


def music(rows: int, frames: int) -> Tensor:
    """Fine frames (rows, frames, 513) of decaying tones, every row another."""
    time = torch.arange(frames * 128) / 16_000
    pitch = 110.0 * torch.arange(1, rows + 1)[:, None, None] * torch.arange(1, 6)[None, :, None]
    sound = 0.1 * (2 * torch.pi * pitch * time).sin().sum(1) * torch.exp(-(time % 0.1) / 0.08)
    return log_magnitudes(sound, Analysis())


@pytest.mark.parametrize("make", [lively, WaveNet])
def test_a_guided_vocoder_is_told_on_the_gpu_what_it_is_told_on_the_cpu(make):
    torch.manual_seed(0)
    net = make(FULL_GUIDED).half().float().requires_grad_(False)
    frames, told = music(3, 20), []
    for sampler in ("triton", "reference"):
        vocoder = GuidedVocoder(net, sampler, Analysis())
        told.append(vocoder.condition(frames, vocoder.initial_state(3)))
    (heard, levels, _), (wanted, wanted_levels, _) = told
    assert heard.is_cuda and torch.equal(levels, wanted_levels)
    near = 1e-5 * float(wanted.abs().max())
    torch.testing.assert_close(heard.cpu(), wanted, rtol=0, atol=near)
    assert torch.equal(heard[:, :, FULL_GUIDED.mels :].cpu(), wanted[:, :, FULL_GUIDED.mels :])


def test_a_guided_vocoder_plays_on_the_gpu_what_it_plays_on_the_cpu():
    """A draw on a knife's edge may choose its neighbour, and then the takes part."""
    torch.manual_seed(0)
    net = WaveNet(FULL_GUIDED).half().float().requires_grad_(False)
    frames, draws, heard = music(3, 20), torch.rand(3, 20, 128), []
    for sampler in ("triton", "cpu"):
        vocoder = GuidedVocoder(net, sampler, Analysis())
        heard.append(vocoder.step(frames, vocoder.initial_state(3), draws)[0])
    assert heard[1].abs().max() > 0.01
    near = 0.02 * float(heard[1].abs().max())
    assert float(((heard[0] - heard[1]).abs() < near).float().mean()) > 0.9


def test_the_guided_vocoder_keeps_the_contract_of_all_vocoders():
    vocoder = GuidedVocoder(lively(FULL_GUIDED), "triton", Analysis())
    stage = vocoder_stage(vocoder, music(3, 35))
    for check in (check_blocks, check_nothing, check_snapshot, check_rows):
        check(stage)


def test_a_gpu_is_taken_where_there_is_one():
    assert best_sampler(FULL) == "triton"
    assert best_sampler(ODD) == "cpu"


def test_the_engine_plays_sixteen_parts_the_same_in_any_blocks():
    torch.manual_seed(0)
    mel2mel = Mel2Mel(Mel2MelConfig()).eval().requires_grad_(False)
    vocoder, takes = WaveNetVocoder(lively(FULL), "triton"), []
    for block in (1, 4):
        predictor, centres = Streaming(mel2mel, vocoder.head, 2), band_centres(Analysis(), "mel")
        engine = Engine(predictor, vocoder, ring_out=20, seed=7, centres=centres)
        blocks = [engine.render(_windows(t, block), block) for t in range(0, 24, block)]
        assert engine.awake == PARTS
        takes.append(np.concatenate(blocks))
    assert np.abs(takes[0]).max() > 0.01
    assert np.array_equal(*takes)


def _windows(start: int, count: int) -> list[Window]:
    """Frames of sixteen parts that begin one after the other and hold a key each."""
    made = []
    for part in range(1, PARTS + 1):
        roll = np.zeros((count, 176), np.float32)
        at = np.arange(start, start + count)
        roll[at >= part, 30 + part] = 0.8
        roll[at == part, 88 + 30 + part] = 0.8
        embedding = np.full((count, 2), part / PARTS, np.float32)
        gain = np.full((count, 2), 0.05, np.float32)
        made.append(Window(part, roll, embedding, gain, np.zeros(count), np.zeros(count, bool)))
    return made
