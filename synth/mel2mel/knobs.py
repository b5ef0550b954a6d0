"""Coordinates of timbre that knobs alone reach, behind the embedding: each turns one thing.

    brightness   tilts the spectrum, 4 dB an octave (`curves.py`)
    movement     how far bands move: not at all, as measured, twice as far
    attack       up: a key takes longer to speak; down: what builds up slowly is there at once
    decay        up: what dies away takes up to three times as long; down: a third
    body         raises the lower middle by 6 dB beside the rest, or lowers it
    air          raises what lies above 5 kHz by 8 dB, or lowers it

They reach from -1 to 1, and at 0 the network is as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import nn

from synth.first_values import NoFirstValues
from synth.mel import band_centres
from synth.mel2mel.curves import air, body, shift, tilt
from synth.mel2mel.network import KNOBS, Mel2Mel

CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "brightness": tilt,
    "body": body,
    "air": air,
}
"""Those that raise bands."""


def with_knobs(net: Mel2Mel, count: int) -> Mel2Mel:
    """The same network, for playing, with the first so many of `KNOBS` behind its embedding."""
    size = net.config.embedding
    with NoFirstValues():
        wider = Mel2Mel(replace(net.config, embedding=size + count, knobs=count))
    state, wanted = net.state_dict(), wider.state_dict()
    for name, tensor in state.items():
        more = wanted[name].shape[-1] - tensor.shape[-1]
        state[name] = nn.functional.pad(tensor, (0, more))
    wider.load_state_dict(state)
    hertz = band_centres(net.config.analysis, "mel" if net.fine is None else "fine")
    wider.requires_grad_(False)
    for place, name in enumerate(KNOBS[:count], size):
        if name in CURVES:
            wider.film_out.beta.weight[:, place] = shift(net, CURVES[name](hertz))
    return wider.train(net.training)
