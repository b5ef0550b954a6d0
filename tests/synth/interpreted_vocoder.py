"""Run as a program under TRITON_INTERPRET=1: the WaveNet vocoder with its triton kernels.

Prints one JSON object of what was compared; test_triton.py judges it.
"""

from __future__ import annotations

import json

import numpy as np
import torch

from common.window import Window
from synth.engine import Engine
from synth.mel import Analysis, band_centres
from synth.predictor import Streaming
from synth.vocoders.wavenet.conditioning import CpuConditioning
from synth.vocoders.wavenet.guided import GuidedVocoder
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.vocoder import WaveNetVocoder
from tests.synth.interpreter import fault, round_rows_alike
from tests.synth.lively_wavenet import lively
from tests.synth.streaming import Stage, check_blocks, check_rows, vocoder_stage
from tests.toy_bank import ANALYSIS, make_mel2mel, make_wavenet

CONFIG = WaveNetConfig(mels=6, layers=1, cycle=1, residual=16, skip=16)
GUIDED = WaveNetConfig(
    mels=6, layers=1, cycle=1, residual=16, skip=16, guide=4, sharpness=2.0, emphasis=0.5
)
WIDE = WaveNetConfig(layers=1)
"""The method's own mel bands and channels."""


def main() -> None:
    round_rows_alike()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(json.dumps(conditioning() | vocoder() | guided() | {"engine": engine()}))


def conditioning() -> dict[str, str | float]:
    """The kernels' conditioning beside the CPU's, and by itself."""
    net = lively(WIDE)
    twin, ours = CpuConditioning(net), WaveNetVocoder(net, "triton")
    frames = torch.randn(2, 2, WIDE.mels)
    states = [ours.initial_state(2) for _ in range(2)]
    wanted, heard = twin(frames, states[0]), ours.drawing.condition(frames, states[1])
    stage = Stage(
        ours.initial_state,
        lambda inputs, state: (ours.drawing.condition(inputs[0], state), state),
        (frames,),
        blocks=(1,),
    )
    return {
        "loudest": float(wanted.abs().max()),
        "conditioning": float((heard - wanted).abs().max()),
        "carried": float((states[1].substep - states[0].substep).abs().max()),
        "conditioning blocks": fault(check_blocks, stage),
        "conditioning rows": fault(check_rows, stage),
    }


def vocoder() -> dict[str, float]:
    """A frame of one part. That rows and blocks change nothing is known of all that it is made of:
    of its conditioning, of its sampler (interpreted.py), and of the vocoder around them."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(1, 1, CONFIG.mels, generator=generator)
    # A lively net would make a whole take differ after one draw on a knife's edge.
    calm, heard = WaveNet(CONFIG).half().float().requires_grad_(False), []
    draws = torch.rand(1, 1, 128, generator=generator)
    for sampler in ("triton", "reference"):
        other = WaveNetVocoder(calm, sampler)
        heard.append(other.step(frames, other.initial_state(1), draws)[0])
    return {"agree": float((heard[0] == heard[1]).float().mean())}


def guided() -> dict[str, str | float]:
    """Frames of two parts, with a guide."""
    analysis, generator = Analysis(window=512, mels=6), torch.Generator().manual_seed(1)
    frames = 3 * torch.randn(2, 4, analysis.bands, generator=generator) - 8
    calm = WaveNet(GUIDED).half().float().requires_grad_(False)
    stage = vocoder_stage(GuidedVocoder(calm, "triton", analysis), frames[:, :2], blocks=(1,))
    draws = torch.rand(1, 4, 128, generator=generator)
    heard = []
    for sampler in ("triton", "reference"):
        other = GuidedVocoder(calm, sampler, analysis)
        heard.append(other.step(frames[:1], other.initial_state(1), draws)[0])
    return {
        "guided agree": float((heard[0] - heard[1]).abs().max() / heard[1].abs().max()),
        "guided rows": fault(check_rows, stage),
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
