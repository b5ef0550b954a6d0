"""How loud velocities sound, measured beside the renderer, and given to a network.

Music holds few notes at the ends of the scale of velocities, so a network may learn a curve that is
too steep or too flat there. Its templates have one number of each timbre for that, the power of the
velocity. Here single notes of all velocities are rendered and predicted, and the power is moved by
the difference of slopes, level against the logarithm of velocity. At `SAME` nothing changes.
Nothing is trained, so it can be done to a trained network.
"""

from __future__ import annotations

import copy
import hashlib
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from common.loudness import k_gains
from common.window import KEYS, LOWEST_KEY
from daw_bridge.events import NoteOff, NoteOn
from synth.mel import FLOOR, Analysis, band_centres, band_widths, fold
from synth.mel2mel.network import Mel2Mel
from trainer.data.dataset import analysis_of, framed_magnitudes
from trainer.data.fluidsynth import FluidSynth
from trainer.data.manifest import Manifest
from trainer.data.plan import RENDER_RATE
from trainer.data.programs import KEYS as ALL_KEYS
from trainer.mel2mel.settle import instruments_and_mixtures, shares_in_functions

VELOCITIES = (20, 40, 60, 80, 100, 120, 127)
SAME = 80
STRUCK = (40, 52, 64, 76)
"""MIDI keys, those of them that a program sounds."""
LEAD_FRAMES, HELD_FRAMES, FRAMES = 25, 100, 125
"""Silence before a note, how long it is held, and all that is listened to: one second."""
STEPS = 2
"""Corrections one after the other: what the network adds to its templates heeds velocities, too."""
MOST = 1.0
"""By which a power is corrected at most."""


def rendered_curves(soundfont: Path, manifest: Manifest) -> Tensor:
    """Levels of notes as a data set's renderer plays them: (instruments, velocities), dB, the mean
    of several keys, weighted as the ear hears.

    Raises ValueError when the SoundFont is not the data set's.
    """
    rate = manifest.rate
    synth = FluidSynth(soundfont, manifest.rendered_at or max(rate, RENDER_RATE))
    sha256 = hashlib.sha256(soundfont.read_bytes()).hexdigest()
    if manifest.soundfont_sha256 != sha256:
        raise ValueError(
            f"--soundfont {soundfont}: expected the one that the data set was rendered with "
            f"({manifest.soundfont}, sha256 {manifest.soundfont_sha256}), got sha256 {sha256}"
        )
    analysis, curves = analysis_of(manifest), []
    hop, half, seconds = analysis.hop, analysis.window // 2, FRAMES / analysis.frame_rate
    for patch, program in manifest.programs.items():
        gain = 10 ** ((manifest.gains_db or {}).get(patch, 0.0) / 20)
        levels = []
        for key in _struck(manifest, patch):
            for velocity in VELOCITIES:
                onset, release = LEAD_FRAMES * hop, (LEAD_FRAMES + HELD_FRAMES) * hop
                notes = [NoteOn(onset, 1, key, velocity), NoteOff(release, 1, key)]
                audio = torch.from_numpy(gain * synth.render(notes, program, rate, seconds)).float()
                linear = framed_magnitudes(pad(audio, (half, half))[None], analysis)
                levels.append(_level(fold(linear, analysis), analysis))
        curves.append(torch.cat(levels).view(-1, len(VELOCITIES)).mean(0))
    return torch.stack(curves)


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


@torch.no_grad()
def predicted_curves(network: Mel2Mel, manifest: Manifest) -> Tensor:
    """Levels as `rendered_curves` has them, as a network predicts them while playing live."""
    curves = []
    for point, patch in zip(network.instruments.weight, manifest.programs, strict=True):
        keys = _struck(manifest, patch)
        roll = torch.zeros(len(keys) * len(VELOCITIES), FRAMES, 2 * KEYS)
        for row, note in enumerate(roll):
            key, velocity = divmod(row, len(VELOCITIES))
            key, loud = keys[key] - LOWEST_KEY, VELOCITIES[velocity] / 127
            note[LEAD_FRAMES : LEAD_FRAMES + HELD_FRAMES, key] = loud
            note[LEAD_FRAMES, KEYS + key] = loud
        spectra = network(roll, point.expand(len(roll), 1, -1), 0)
        level = _level(spectra.fine.exp(), network.config.analysis)
        curves.append(level.view(-1, len(VELOCITIES)).mean(0))
    return torch.stack(curves)


def _struck(manifest: Manifest, patch: str) -> list[int]:
    """The keys that a patch is measured by."""
    low, high = (manifest.keys or {}).get(patch, ALL_KEYS)
    return [key for key in STRUCK if low <= key <= high] or [(low + high) // 2]


def _level(linear: Tensor, analysis: Analysis) -> Tensor:
    """Level (rows,), dB, of magnitudes (rows, frames, bands), as the ear weighs them."""
    gains = torch.from_numpy(k_gains(band_centres(analysis, "fine"), analysis.rate))
    weights = gains.square().float() * band_widths(analysis)
    power = (linear.square() @ weights).mean(1)
    return 10 * power.clamp(min=FLOOR**2).log10()
