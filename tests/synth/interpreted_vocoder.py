"""Run as a program under TRITON_INTERPRET=1: the WaveNet vocoder with its triton kernels.

Prints one JSON object of what was compared; test_sampler_triton.py judges it.
"""

from __future__ import annotations

import json

import numpy as np
import torch

from common.window import Window
from synth.engine import Engine
from synth.mel import band_centres
from synth.predictor import Streaming
from synth.rows import select_rows
from synth.vocoders.wavenet.conditioning import cpu_conditioning
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.vocoder import WaveNetVocoder
from tests.synth.lively_wavenet import lively
from tests.toy_bank import ANALYSIS, make_mel2mel, make_wavenet

CONFIG = WaveNetConfig(mels=6, layers=2, cycle=2, residual=16, skip=16)
WIDE = WaveNetConfig(layers=1)
"""The method's own mel bands and channels."""


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(json.dumps(conditioning() | vocoder() | {"engine": engine()}))


def conditioning() -> dict[str, bool | float]:
    """The kernels' conditioning beside the CPU's, whole, in blocks, and alone."""
    net = lively(WIDE)
    twin, ours = cpu_conditioning(net), WaveNetVocoder(net, "triton")
    frames = torch.randn(2, 3, WIDE.mels)
    states = [ours.initial_state(2) for _ in range(3)]
    wanted, whole = twin(frames, states[0]), ours.condition(frames, states[1])
    blocks = [ours.condition(part, states[2]) for part in frames.split(2, 1)]
    alone = ours.condition(frames[1:2], ours.initial_state(1))
    return {
        "loudest": float(wanted.abs().max()),
        "conditioning": float((whole - wanted).abs().max()),
        "carried": float((states[1].substep - states[0].substep).abs().max()),
        "conditioning blocks": torch.equal(torch.cat(blocks, 1), whole),
        "conditioning alone": torch.equal(alone[0], whole[1]),
    }


def vocoder() -> dict[str, bool | float]:
    """Two frames of three parts at once; then one by one, where one leaves and one joins."""
    ours, generator = WaveNetVocoder(lively(CONFIG), "triton"), torch.Generator().manual_seed(1)
    frames = torch.randn(3, 2, CONFIG.mels, generator=generator)
    draws = torch.rand(3, 2, 128, generator=generator)
    whole, _ = ours.step(frames, ours.initial_state(3), draws)
    one, state = ours.step(frames[:2, :1], ours.initial_state(2), draws[:2, :1])
    state = select_rows(state, ours.initial_state(1), [1, None])
    frames_then = torch.stack([frames[1, 1:], frames[2, :1]])
    draws_then = torch.stack([draws[1, 1:], draws[2, :1]])
    then, _ = ours.step(frames_then, state, draws_then)
    # A lively net would make a whole take differ after one draw on a knife's edge.
    calm, heard = WaveNet(CONFIG).half().float().requires_grad_(False), []
    for sampler in ("triton", "reference"):
        other = WaveNetVocoder(calm, sampler)
        heard.append(other.step(frames[:1, :1], other.initial_state(1), draws[:1, :1])[0])
    return {
        "agree": float((heard[0] == heard[1]).float().mean()),
        "blocks": torch.equal(one, whole[:2, :128]),
        "stayed": torch.equal(then[0], whole[1, 128:]),
        "joined": torch.equal(then[1], whole[2, :128]),
    }


def engine() -> float:
    """The share of samples that are as on the CPU: two frames, a second part joins in the
    second."""
    heard = []
    for sampler in ("triton", "reference"):
        vocoder = WaveNetVocoder(make_wavenet(), sampler)
        predictor, centres = Streaming(make_mel2mel(), "mel", 0), band_centres(ANALYSIS, "mel")
        engine = Engine(predictor, vocoder, ring_out=9, seed=3, centres=centres)
        blocks = [engine.render(windows(t), 1) for t in range(2)]
        heard.append(np.concatenate(blocks))
    assert np.abs(heard[1]).max() > 0.01
    return float((heard[0] == heard[1]).all(1).mean())


def windows(t: int) -> list[Window]:
    """Frame t of two parts, each holding a key; the second begins at frame 1."""
    made = []
    for part, key in ((1, 40), (2, 47)):
        roll = np.zeros((1, 176), np.float32)
        if t >= part - 1:
            roll[0, key] = 0.8
            roll[0, 88 + key] = 0.8 * (t == part - 1)
        embedding, gain = np.full((1, 2), 0.3, np.float32), np.full((1, 2), 0.4, np.float32)
        made.append(Window(part, roll, embedding, gain, np.zeros(1), np.zeros(1, bool)))
    return made


if __name__ == "__main__":
    main()
