"""Where instruments lie in the timbre space, by what is heard of them.

In two dimensions: brighter ones to the right, louder ones higher up, evenly spread. So a line
between two of them leads from one brightness and level to the other without a detour, and both axes
have a meaning.

In more, those that sound alike are neighbours. What middle keys sound like in mel bands from moment
to moment, and how fast they fade, is reduced to its principal components. All lie on a sphere,
where those too near each other are pushed apart, so that each keeps a place of its own. A straight
line between two of them then seldom comes near a third one, as it would if some lay inside.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from common.window import LOWEST_KEY
from synth.mel import band_filters
from synth.mel2mel.network import Mel2Mel
from trainer.mel2mel.grow import SPREAD
from trainer.mel2mel.keys_alone import KeySounds

HEARD_KEYS = (36, 48, 60, 72, 84)
"""MIDI keys that are compared."""
DEPTH = 60 * math.log(10) / 20
"""Nepers below an instrument's loudest band: what is softer is as soft as that."""
FADE_WEIGHT = 4.0
"""Of a neper a second, beside a neper in a mel band."""
FLATTER = 0.3
"""Power of the components' lengths: 1 leaves distances as they are, 0 makes all axes as long."""
APART = 0.8
"""Least distance between two instruments on a sphere of radius 1: 47 degrees."""
PUSHES = 400
SHARPNESS = 5.5
"""How far below its own place's logit that of the nearest other one lies at an instrument."""


def placed(sounds: KeySounds, network: Mel2Mel) -> Tensor:
    """Points of the instruments (instruments, size)."""
    size = network.config.embedding
    if size != 2:
        return _by_likeness(sounds, network)
    ranks = [values.argsort().argsort() for values in (sounds.centroid, sounds.level)]
    return torch.stack(ranks, 1) * 2 / max(len(sounds.level) - 1, 1) - 1


def spread_of(points: Tensor) -> float:
    """The squared distance at which a function's share has fallen to 1 / e."""
    if points.shape[1] <= 2 or len(points) < 2:
        return SPREAD
    nearest = torch.cdist(points, points).fill_diagonal_(math.inf).min()
    return float(nearest.square() / SHARPNESS)


def _by_likeness(sounds: KeySounds, network: Mel2Mel) -> Tensor:
    size, count = network.config.embedding, len(sounds.level)
    told = described(sounds, network)
    told = told - told.mean(0)
    left, lengths, _ = torch.linalg.svd(told.double(), full_matrices=False)
    points = torch.zeros(count, size, dtype=torch.float64)
    # What rounding leaves of a direction in which they do not differ is none.
    kept = min(size, int((lengths > 1e-4 * lengths[0]).sum()))
    points[:, :kept] = left[:, :kept] * lengths[:kept] ** FLATTER
    # Both directions of an axis say the same: brighter is up.
    brightness = (sounds.centroid - sounds.centroid.mean()).double()
    points = points * torch.where(brightness @ points < 0, -1.0, 1.0)
    return pushed_apart(points).float()


def described(sounds: KeySounds, network: Mel2Mel) -> Tensor:
    """What is compared of instruments: (instruments, numbers), nepers."""
    keys = [key - LOWEST_KEY for key in HEARD_KEYS]
    mel = (sounds.spectra[:, keys].exp() @ band_filters(network.config.analysis)).log()
    mel = (mel - mel.amax((1, 2, 3), keepdim=True)).clamp(min=-DEPTH)
    return torch.cat([mel.flatten(1), FADE_WEIGHT * sounds.decay[:, keys].flatten(1)], 1)


def pushed_apart(points: Tensor) -> Tensor:
    """Points (n, size) brought to the unit sphere, where those that lie near each other are moved
    away from each other, until they lie `APART` if they can."""
    points = nn.functional.normalize(points, dim=1)
    for _ in range(PUSHES):
        away = points[:, None] - points
        distance = away.norm(dim=-1)
        near = ((APART - distance).clamp(min=0) / 2).fill_diagonal_(0)
        moved = points + (near / distance.clamp(min=1e-6))[..., None].mul(away).sum(1) / 2
        points = nn.functional.normalize(moved, dim=1)
    return points
