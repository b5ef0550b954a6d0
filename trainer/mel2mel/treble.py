"""How bright hard blows are above 8 kHz, measured beside the renderer, and given to a network.

Music has few loud notes, and a SoundFont's filter opens steeply with velocity: so a network learns
too little treble for hard blows. Single notes of several velocities are rendered and predicted. For
each instrument, the power of the velocity that its templates' tilt rises with is chosen anew, and
for each of its bands a level and a tilt: so that wide bands gain what they lack, and the others
stay as they are. Nothing is trained, so it can be done to a trained network.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synth.mel import FLOOR, band_widths
from synth.mel2mel.network import Mel2Mel
from synth.mel2mel.templates import EXTRA_POWERS
from trainer.data.manifest import Manifest
from trainer.mel2mel.settle import instruments_and_mixtures, shares_in_functions
from trainer.mel2mel.struck import predicted

VELOCITIES = (50, 70, 90, 110, 127)
STRUCK = tuple(range(38, 105, 6))
"""MIDI keys, those of them that a program sounds."""
STEPS = 2
"""Corrections one after the other: the tilt is not the only one that heeds velocities."""
SILENT_DB = -75.0
"""Below a whole note: what a note has less of in a band does not count there."""
SILENCE = (2 * FLOOR) ** 2
"""Power that networks and recordings have where nothing sounds."""
ALIKE = 7
"""So many neighbouring bands are looked at together."""
TILTS = np.linspace(-8.0, 8.0, 81)
"""Natural log of magnitude."""
POWERS = np.linspace(0.5, EXTRA_POWERS[1], 15)
NEPER_DB = 20 / math.log(10)


@dataclass(frozen=True, slots=True)
class Tilted:
    """What one instrument's templates say: level (bands,), natural log, by which they are moved;
    tilt (bands,), natural log; extra: the power of the velocity in it."""

    level: Tensor
    tilt: Tensor
    extra: float


def with_treble(network: Mel2Mel, wanted: Sequence[Tensor], manifest: Manifest) -> Mel2Mel:
    """The same network, with the powers above 8 kHz that single notes should have.

    wanted: of each instrument (keys, velocities, fine bands), as `rendered` yields them of `STRUCK`
    and `VELOCITIES`. A network without wide bands is given back as it is.
    """
    analysis = network.config.analysis
    if analysis.single == analysis.bands or network.templates is None:
        return network
    corrected = copy.deepcopy(network).requires_grad_(False)
    templates, widths = corrected.templates, band_widths(analysis)
    places, shares = instruments_and_mixtures(corrected.instruments.weight)
    _, solution = shares_in_functions(corrected, places, shares)
    own = corrected.timbre(corrected.instruments.weight)
    for _ in range(STEPS):
        extra = templates.extra_power(own)[:, 0].clamp(*EXTRA_POWERS)
        tilt = templates.tilt.mean(0) + own @ templates.tilt_by_timbre
        heard = predicted(corrected, manifest, STRUCK, VELOCITIES)
        fits = []
        for i, (ours, theirs) in enumerate(zip(heard, wanted, strict=True)):
            missing, counts = missing_db(ours, theirs, widths)
            missing[:, : analysis.single] = 0
            fits.append(
                fitted(Tilted(torch.zeros_like(tilt[i]), tilt[i], float(extra[i])), missing, counts)
            )
        level = solution @ torch.stack([fit.level for fit in fits])
        templates.base += level[0]
        templates.by_timbre += level[1:, None, None]
        moved = solution @ (torch.stack([fit.tilt for fit in fits]) - tilt)
        templates.tilt += moved[0]
        templates.tilt_by_timbre += moved[1:]
        powers = solution @ (torch.tensor([[fit.extra] for fit in fits]) - extra[:, None])
        templates.extra_power.bias += powers[0]
        templates.extra_power.weight += powers[1:].T
    return corrected


def missing_db(ours: Tensor, theirs: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
    """What notes lack in each band: (velocities, bands), dB, and how much each figure counts, 0 for
    what nobody hears.

    ours, theirs: powers (keys, velocities, bands); widths (bands,), of bands in bins.
    """
    sounds = [(power - SILENCE).clamp(min=0) * widths for power in (ours, theirs)]
    whole = sounds[1].sum(-1, keepdim=True).clamp(min=1e-20)
    least = 10 ** (SILENT_DB / 10) / len(widths)
    near = torch.ones(1, 1, ALIKE)
    # Each note counts alike, however loud it is.
    a, b = (
        torch.nn.functional.conv1d(
            (sound / whole).clamp(min=least).mean(0)[:, None], near, padding=ALIKE // 2
        )[:, 0]
        for sound in sounds
    )
    return 10 * (b / a).log10(), (b / (1.5 * least * ALIKE)).log10().clamp(min=0)


def fitted(now: Tilted, missing: Tensor, counts: Tensor) -> Tilted:
    """The level and tilt of each band, and the power for all, that add what is missing to what
    they say now.

    missing, counts (velocities, bands) as from `missing_db`.
    """
    wanted = _rise_db(now.tilt, now.extra) + missing
    weights = counts / counts.sum(0).clamp(min=1e-6)
    tilts = torch.from_numpy(TILTS).float()
    best: tuple[float, Tilted] | None = None
    for extra in sorted({now.extra, *POWERS.tolist()}):
        left = wanted - _rise_db(tilts, extra).T[..., None]
        level = (left * weights).sum(1)
        miss = ((left - level[:, None]).square() * weights).sum(1)
        least, which = miss.min(0)
        heard = counts.sum(0)
        whole = float((least * heard).sum())
        if best is None or whole < best[0]:
            level = level.gather(0, which[None])[0] / NEPER_DB * (heard > 0)
            best = whole, Tilted(level, torch.where(heard > 0, tilts[which], now.tilt), extra)
    assert best is not None
    return best[1]


def _rise_db(tilt: Tensor, extra: float) -> Tensor:
    """What tilts (n,) add at each velocity: (velocities, n), dB."""
    hard = torch.tensor(VELOCITIES).div(127).pow(2 * extra)[:, None]
    return 10 * (1 + hard * (2 * tilt).exp()).log10()
