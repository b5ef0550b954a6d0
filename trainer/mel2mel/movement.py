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
from trainer.mel2mel.keys_alone import DEAD, MIDDLE, held_keys, nearest_keys
from trainer.mel2mel.settle import instruments_and_mixtures, set_linear, shares_in_functions

TREND_S = 1.0
"""Width of the Hann window whose moving average is the trend: what is slower, the templates say."""
FROM_S, UNTIL_S = 0.75, 5.0
"""Seconds after the onset between which a key is listened to."""
SHORTEST_S = 1.0
"""So long a band must sound from `FROM_S` on, else it tells nothing."""
AUDIBLE = 5.8
"""Nepers, 50 dB: a band that lies so far below the loudest does not count, and no band does where
the loudest lies so far below that of the onset."""
FARTHEST = 60
"""Frames up to which the autocorrelation is looked at."""
FIRST_MEMORY_S = 0.05
"""Of an instrument that does not move."""
ALIKE = 3
"""A key's spread is the median of its own and of so many keys on either side."""


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
    spread = torch.full((len(patches), KEYS, len(templates.decay_edges) - 1), torch.nan)
    memory_s: list[list[float]] = [[] for _ in patches]
    heard: list[set[int]] = [set() for _ in patches]
    longest_s = UNTIL_S + TREND_S
    for held in held_keys(folder, patches, network.config.analysis, longest_s):
        heard[held.instrument].add(held.key)
        told = _measure(held.linear, templates)
        if told is not None:
            spread[held.instrument, held.key], memory = told
            if held.key in MIDDLE:
                memory_s[held.instrument].append(memory)
    for i, nearest in enumerate(nearest_keys(folder, patches, heard)):
        spread[i] = _smoothed(spread[i])[nearest]
    medians = torch.tensor([float(np.median(each or [FIRST_MEMORY_S])) for each in memory_s])
    return KeyMovement(spread.nan_to_num(0.0).clamp(max=LARGEST_SPREAD), medians)


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


def _measure(linear: Tensor, templates: KeyTemplates) -> tuple[Tensor, float] | None:
    """Of a held key (frames, bands): spread (decay bands,), natural log, NaN where nothing tells,
    and memory, s; None when nothing tells at all."""
    rest, weight = _rest(linear, templates)
    if not weight.any():
        return None
    heard = rest.square().sum(0) / (rest != 0).sum(0).clamp(min=1)
    told = [
        (heard[low:high].sqrt() @ weight[low:high]) / weight[low:high].sum()
        for low, high in pairwise(templates.decay_edges)
    ]
    return torch.stack(told), _memory(rest, weight) * templates.frame_s


def _rest(linear: Tensor, templates: KeyTemplates) -> tuple[Tensor, Tensor]:
    """What is left of levels less their trend: (n, bands), natural log, 0 where it does not count,
    and how much bands count (bands,): the root of their power, or 0."""
    rate = 1 / templates.frame_s
    window = torch.hann_window(round(TREND_S * rate) // 2 * 2 + 3, periodic=False)[1:-1]
    side = len(window) // 2
    power = linear[round(FROM_S * rate) - side : round(UNTIL_S * rate) + side].square()
    if len(power) < 2 * side + SHORTEST_S * rate:
        return linear.new_zeros(1, linear.shape[1]), linear.new_zeros(linear.shape[1])
    level = nn.functional.avg_pool1d(power, TOGETHER, 1, TOGETHER // 2, count_include_pad=False)
    level = level.clamp(min=FLOOR**2).log() / 2
    trend = nn.functional.conv1d(level.T[:, None], (window / window.sum())[None, None])[:, 0].T
    alive = (trend > np.log(DEAD)).cumprod(0)
    counts = alive.sum(0) >= SHORTEST_S * rate
    counts[templates.single :] = False
    mean = (trend * alive).sum(0) / alive.sum(0).clamp(min=1)
    loudest = torch.where(counts, mean, -np.inf).max()
    counts &= (mean > loudest - AUDIBLE) & (loudest > linear.max().log() - AUDIBLE)
    rest = (level[side : len(level) - side] - trend) * alive * counts
    return rest, mean.exp() * counts


def _memory(rest: Tensor, weight: Tensor) -> float:
    """After how many frames the autocorrelation has fallen to 1 / e."""
    last = 1.0
    together = (rest.square().sum(0) @ weight).clamp(min=1e-12)
    for delay in range(1, FARTHEST):
        alike = float((rest[:-delay] * rest[delay:]).sum(0) @ weight / together)
        if alike < 1 / np.e:
            return delay - 1 + (last - 1 / np.e) / (last - alike)
        last = alike
    return float(FARTHEST)


def _smoothed(spread: Tensor) -> Tensor:
    """(88, decay bands), each the median of what is told by it and the keys about it."""
    side = torch.full((ALIKE, spread.shape[1]), torch.nan)
    return torch.cat([side, spread, side]).unfold(0, 2 * ALIKE + 1, 1).nanmedian(-1).values
