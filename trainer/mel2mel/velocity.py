"""How loud velocities sound, measured beside the renderer, and given to a network.

Music holds few notes at the ends of the scale of velocities, so a network may learn a curve that is
too steep or too flat there. Its templates have one number of each timbre for that, the power of the
velocity. Here single notes of all velocities are rendered and predicted, and the power is moved by
the difference of slopes, level against the logarithm of velocity. At `SAME` nothing changes.
Nothing is trained, so it can be done to a trained network.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path

import torch
from torch import Tensor

from common.loudness import k_gains
from synth.mel import FLOOR, Analysis, band_centres, band_widths
from synth.mel2mel.network import Mel2Mel
from trainer.data.dataset import analysis_of
from trainer.data.manifest import Manifest
from trainer.mel2mel.settle import instruments_and_mixtures, shares_in_functions
from trainer.mel2mel.struck import predicted, rendered

VELOCITIES = (20, 40, 60, 80, 100, 120, 127)
SAME = 80
STRUCK = (40, 52, 64, 76)
"""MIDI keys, those of them that a program sounds."""
STEPS = 2
"""Corrections one after the other: what the network adds to its templates heeds velocities, too."""
MOST = 1.0
"""By which a power is corrected at most."""


def rendered_curves(soundfont: Path, manifest: Manifest) -> Tensor:
    """Levels of notes as a data set's renderer plays them: (instruments, velocities), dB, the mean
    of several keys, weighted as the ear hears.

    Raises ValueError when the SoundFont is not the data set's.
    """
    analysis = analysis_of(manifest)
    notes = rendered(soundfont, manifest, STRUCK, VELOCITIES)
    return torch.stack([_levels(powers, analysis) for powers in notes])


@torch.no_grad()
def with_velocities(
    network: Mel2Mel, wanted: Tensor, manifest: Manifest
) -> tuple[Mel2Mel, list[float]]:
    """The same network, whose notes grow louder with velocity as wanted (instruments, velocities),
    dB, and by how much each instrument's power was moved.

    Raises ValueError for a network whose templates have no levels.
    """
    if network.templates is None or network.templates.level is None:
        raise ValueError("--soundfont: velocities can be measured only of a network that blends")
    corrected = copy.deepcopy(network)
    templates = corrected.templates
    louder = 20 * (torch.tensor(VELOCITIES) / SAME).log10()
    places, shares = instruments_and_mixtures(corrected.instruments.weight)
    _, solution = shares_in_functions(corrected, places, shares)
    moved = torch.zeros(len(wanted))
    for _ in range(STEPS):
        missing = wanted - predicted_curves(corrected, manifest)
        missing = missing - missing[:, [VELOCITIES.index(SAME)]]
        before = moved
        moved = (moved + missing @ louder / louder.square().sum()).clamp(-MOST, MOST)
        step = solution @ (moved - before)
        templates.power.bias += step[0]
        templates.power.weight += step[1:]
        # A power moves every velocity but 127: levels take that back at `SAME`.
        level = -step * math.log(SAME / 127)
        templates.level.bias += level[0]
        templates.level.weight += level[1:]
    return corrected, moved.tolist()


def predicted_curves(network: Mel2Mel, manifest: Manifest) -> Tensor:
    """Levels as `rendered_curves` has them, as a network predicts them while playing live."""
    notes = predicted(network, manifest, STRUCK, VELOCITIES)
    return torch.stack([_levels(powers, network.config.analysis) for powers in notes])


def _levels(powers: Tensor, analysis: Analysis) -> Tensor:
    """Levels (velocities,), dB, as the ear weighs them, of powers (keys, velocities, bands)."""
    gains = torch.from_numpy(k_gains(band_centres(analysis, "fine"), analysis.rate))
    weights = gains.square().float() * band_widths(analysis)
    return (10 * (powers @ weights).clamp(min=FLOOR**2).log10()).mean(0)
