"""How single keys move while they are held, measured, and given to a network that stands still.

A held tone wavers: voices of an ensemble beat, a bow is never steady. Of each key's sound,
what is left of its levels less a slow trend is taken for chance, with a standard deviation in each
decay band and a memory for each instrument, the time in which its autocorrelation falls to 1 / e.
Both are measured on the power of as many neighbouring bands as move together when it is
played (`synth/movement.py`): a vibrato, which carries power from one band to the next and back, is
no chance, and counts little there. Nothing is trained, so it can be done to a trained network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from synth.mel import FLOOR
from synth.mel2mel.keys import KEYS
from synth.mel2mel.network import Mel2Mel
from synth.mel2mel.templates import LARGEST_SPREAD, MEMORIES, KeyTemplates
from synth.movement import TOGETHER
from trainer.mel2mel.keys_alone import DEAD, held_keys, nearest_keys
from trainer.mel2mel.settle import instruments_and_mixtures, set_linear, shares_in_functions

TREND_S = 1.0
"""Width of the Hann window whose moving average is the trend: what is slower, the templates say."""
FROM_S, UNTIL_S = 0.75, 6.0
"""Seconds after the onset between which a key is listened to, as long as it is alive."""
SHORTEST_S = 1.0
"""A key that dies sooner after `FROM_S` stands still."""
AUDIBLE = 5.8
"""Nepers, 50 dB: a band that lies so far below the loudest does not count."""
ALIVE = 10 * DEAD
"""Magnitude that the loudest band of a key must have, if it is to be listened to."""
FARTHEST_S = 0.5
"""Up to here the autocorrelation is looked at."""


@dataclass(frozen=True, slots=True)
class KeyMovement:
    """spread (instruments, 88, decay bands): standard deviations, natural log; memory_s
    (instruments,)."""

    spread: Tensor
    memory_s: Tensor


def measure_movement(folder: Path, patches: list[str], network: Mel2Mel) -> KeyMovement:
    """Of all single keys of a data set; a key that an instrument lacks takes after the next one.

    Raises ValueError when an instrument has none.
    """
    templates = network.templates
    spread = torch.zeros(len(patches), KEYS, len(templates.decay_edges) - 1)
    farthest = round(FARTHEST_S / templates.frame_s)
    alike = torch.zeros(len(patches), farthest)
    heard: list[set[int]] = [set() for _ in patches]
    for held in held_keys(folder, patches, network.config.analysis):
        heard[held.instrument].add(held.key)
        moved = _moved(held.linear, templates)
        if moved is None:
            continue
        rest, power = moved
        spread[held.instrument, held.key] = _spreads(rest, power, templates)
        alike[held.instrument] += _autocorrelation(rest, power, farthest)
    for i, nearest in enumerate(nearest_keys(folder, patches, heard)):
        spread[i] = spread[i, nearest]
    memory_s = torch.tensor([_memory(each) for each in alike]) * templates.frame_s
    return KeyMovement(spread.clamp(max=LARGEST_SPREAD), memory_s)


def with_movement(network: Mel2Mel, measured: KeyMovement) -> Mel2Mel:
    """The same network, whose bands move as measured."""
    moving = Mel2Mel(replace(network.config, movement=1))
    moving.load_state_dict(network.state_dict(), strict=False)
    places, shares = instruments_and_mixtures(moving.instruments.weight.detach())
    with torch.no_grad():
        _, solution = shares_in_functions(moving, places, shares)
        memory = (1000 * measured.memory_s).log().clamp(*MEMORIES)
        templates = moving.templates
        set_linear(templates.spread, solution @ measured.spread.flatten(1))
        set_linear(templates.memory, solution @ memory[:, None])
    return moving


def _moved(linear: Tensor, templates: KeyTemplates) -> tuple[Tensor, Tensor] | None:
    """Of a held key (frames, bands): its levels less their trend (n, bands), natural log, and mean
    powers (bands,), 0 where they do not count; None when it is too short."""
    rate = 1 / templates.frame_s
    window = torch.hann_window(round(TREND_S * rate) // 2 * 2 + 3, periodic=False)[1:-1]
    side = len(window) // 2
    first, last = round(FROM_S * rate) - side, round(UNTIL_S * rate) + side
    alive = (linear[:, : templates.single].amax(1) > ALIVE).nonzero()
    last = min(last, len(linear), int(alive[-1]) + 1 if len(alive) else 0)
    if last - first < 2 * side + SHORTEST_S * rate:
        return None
    power = linear[first:last].square()
    level = nn.functional.avg_pool1d(power, TOGETHER, 1, TOGETHER // 2, count_include_pad=False)
    level = level.clamp(min=FLOOR**2).log() / 2
    trend = nn.functional.conv1d(level.T[:, None], (window / window.sum())[None, None])[:, 0].T
    rest = level[side : len(level) - side] - trend
    mean = trend.mean(0)
    mean[templates.single :] = -np.inf
    counts = (mean > mean.max() - AUDIBLE) & (trend.amin(0) > np.log(DEAD))
    return rest, power.mean(0) * counts


def _spreads(rest: Tensor, power: Tensor, templates: KeyTemplates) -> Tensor:
    """Standard deviations (decay bands,), the louder bands counting more."""
    deviation, weight = rest.std(0), power.sqrt()
    return torch.stack(
        [
            (deviation[low:high] @ weight[low:high]) / weight[low:high].sum().clamp(min=1e-12)
            for low, high in pairwise(templates.decay_edges)
        ]
    )


def _autocorrelation(rest: Tensor, power: Tensor, farthest: int) -> Tensor:
    """(farthest,) from no delay on; keys that move more count more."""
    weight = power.sqrt() / power.sqrt().sum().clamp(min=1e-12)
    count = len(rest)
    return torch.stack(
        [(rest[: count - k] * rest[k:]).mean(0) @ weight for k in range(min(farthest, count))]
    )


def _memory(alike: Tensor) -> float:
    """After how many frames an autocorrelation has fallen to 1 / e; 1 where nothing moves."""
    if not alike[0] > 0:
        return 1.0
    share = alike / alike[0]
    below = (share < 1 / np.e).nonzero()
    if not len(below):
        return float(len(share))
    at = int(below[0])
    before, after = float(share[at - 1]), float(share[at])
    return at - 1 + (before - 1 / np.e) / (before - after)
