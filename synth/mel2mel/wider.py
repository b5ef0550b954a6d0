"""Coordinates of timbre that knobs alone reach: behind the embedding, added for playing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from synth.mel2mel.network import Mel2Mel


def with_amount(net: Mel2Mel) -> Mel2Mel:
    """The same network with a coordinate that says how much more its bands move than measured: -1
    is not at all, 0 as measured, 1 twice as far."""
    return widened(net, amount=1)


def widened(net: Mel2Mel, **changed: Any) -> Mel2Mel:
    """The same network with one more coordinate, which no layer heeds; changed: of its config."""
    config = replace(net.config, embedding=net.config.embedding + 1, **changed)
    wider = Mel2Mel(config)
    state = net.state_dict()
    wanted = wider.state_dict()
    for name, tensor in state.items():
        more = wanted[name].shape[-1] - tensor.shape[-1]
        state[name] = nn.functional.pad(tensor, (0, more))
    wider.load_state_dict(state)
    return wider.train(net.training).requires_grad_(False)
