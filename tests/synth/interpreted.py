"""Run as a program under TRITON_INTERPRET=1: the triton sampler beside the reference, on the CPU.

Prints one JSON object of what was compared; test_sampler_triton.py judges it.
"""

from __future__ import annotations

import json

import torch
from torch import Tensor

from synth.rows import select_rows
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.samplers import reference as sampler_reference
from synth.vocoders.wavenet.samplers import triton as sampler_triton
from synth.vocoders.wavenet.samplers.contract import SamplerState, initial_state

CONFIG = WaveNetConfig(mels=6, layers=5, cycle=4, residual=16, skip=32)
BATCH, SAMPLES = 3, 40


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = WaveNet(CONFIG).half().float().requires_grad_(False)
    weights = net.weights()
    mel = torch.randn(BATCH, SAMPLES, CONFIG.mels)
    draws = torch.rand(BATCH, SAMPLES)
    classes = torch.randint(256, (BATCH, SAMPLES))
    triton_packed, packed = sampler_triton.pack(weights), sampler_reference.pack(weights)
    state, wanted_state = fresh(BATCH), fresh(BATCH)
    logits, drawn, _ = sampler_triton.follow(triton_packed, mel, state, draws, classes)
    wanted, wanted_drawn, _ = sampler_reference.follow(packed, mel, wanted_state, draws, classes)
    whole, end = sampler_triton.sample(triton_packed, mel, fresh(BATCH), draws)
    free, _ = sampler_reference.sample(packed, mel, fresh(BATCH), draws)
    blocks, state_blocks = [], fresh(BATCH)
    for start in range(0, SAMPLES, 7):
        part = slice(start, start + 7)
        heard, state_blocks = sampler_triton.sample(
            triton_packed, mel[:, part], state_blocks, draws[:, part]
        )
        blocks.append(heard)
    alone, _ = sampler_triton.sample(triton_packed, mel[1:2], fresh(1), draws[1:2])
    print(
        json.dumps(
            {
                "logits": float((logits - wanted).abs().max()),
                "forced_agree": float((drawn == wanted_drawn).float().mean()),
                "history": float((state.history - wanted_state.history).abs().max()),
                "free_agree": float((whole == free).float().mean()),
                "blocks": torch.equal(torch.cat(blocks, 1), whole),
                "state": torch.equal(end.history, state_blocks.history)
                and torch.equal(end.last, whole[:, -1])
                and end.position.tolist() == [SAMPLES] * BATCH,
                "alone": torch.equal(alone[0], whole[1]),
                "joined": joined(triton_packed, mel, draws, whole),
            }
        )
    )


def joined(packed: sampler_triton.Packed, mel: Tensor, draws: Tensor, whole: Tensor) -> bool:
    """Whether a row plays on the same beside one that joins half way."""
    half = SAMPLES // 2
    _, state = sampler_triton.sample(packed, mel[:1, :half], fresh(1), draws[:1, :half])
    state = select_rows(state, fresh(1), [None, 0])
    rows, start = [1, 0], (0, half)
    parts = [slice(s, s + half) for s in start]
    both = torch.stack([mel[r, p] for r, p in zip(rows, parts, strict=True)])
    u = torch.stack([draws[r, p] for r, p in zip(rows, parts, strict=True)])
    heard, _ = sampler_triton.sample(packed, both, state, u)
    return torch.equal(heard[0], whole[1, :half]) and torch.equal(heard[1], whole[0, half:])


def fresh(batch: int) -> SamplerState:
    return initial_state(CONFIG.dilations, CONFIG.residual, batch)


if __name__ == "__main__":
    main()
