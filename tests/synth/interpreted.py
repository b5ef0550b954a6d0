"""Run as a program under TRITON_INTERPRET=1: the triton sampler beside the reference, on the CPU.

Prints one JSON object of what was compared; test_triton.py judges it.
"""

from __future__ import annotations

import json

import torch

from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.samplers import reference as sampler_reference
from synth.vocoders.wavenet.samplers import triton as sampler_triton
from synth.vocoders.wavenet.samplers.contract import SamplerState, initial_state
from tests.synth.interpreter import fault, round_rows_alike
from tests.synth.streaming import Stage, check_blocks, check_rows, check_snapshot

CONFIG = WaveNetConfig(mels=6, layers=5, cycle=4, residual=16, skip=32, guide=4, sharpness=2.0)
ROWS, SAMPLES, CONTRACT_SAMPLES = 3, 30, 14


def main() -> None:
    round_rows_alike()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = WaveNet(CONFIG).half().float().requires_grad_(False)
    weights = net.weights()
    mel = torch.randn(ROWS, SAMPLES, CONFIG.conditioning)
    draws = torch.rand(ROWS, SAMPLES)
    classes = torch.randint(256, (ROWS, SAMPLES))
    triton_packed, packed = sampler_triton.pack(weights), sampler_reference.pack(weights)
    state, wanted_state = fresh(ROWS), fresh(ROWS)
    logits, drawn, _ = sampler_triton.follow(triton_packed, mel, state, draws, classes)
    wanted, wanted_drawn, _ = sampler_reference.follow(packed, mel, wanted_state, draws, classes)
    whole, end = sampler_triton.sample(triton_packed, mel, fresh(ROWS), draws)
    free, _ = sampler_reference.sample(packed, mel, fresh(ROWS), draws)
    stage = Stage(
        fresh,
        lambda inputs, state: sampler_triton.sample(triton_packed, inputs[0], state, inputs[1]),
        (mel[:, :CONTRACT_SAMPLES], draws[:, :CONTRACT_SAMPLES]),
        blocks=(7,),
    )
    print(
        json.dumps(
            {
                "logits": float((logits - wanted).abs().max()),
                "forced_agree": float((drawn == wanted_drawn).float().mean()),
                "history": float((state.history - wanted_state.history).abs().max()),
                "free_agree": float((whole == free).float().mean()),
                "end": torch.equal(end.last, whole[:, -1])
                and end.position.tolist() == [SAMPLES] * ROWS,
                "blocks": fault(check_blocks, stage),
                "snapshot": fault(check_snapshot, stage),
                "rows": fault(check_rows, stage),
            }
        )
    )


def fresh(rows: int) -> SamplerState:
    return initial_state(CONFIG.dilations, CONFIG.residual, rows)


if __name__ == "__main__":
    main()
