"""Single notes, as a data set's renderer plays them and as a network predicts them.

Corrections of trained networks (velocity.py, treble.py) are the difference of the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from common.window import KEYS, LOWEST_KEY
from daw_bridge.events import NoteOff, NoteOn
from synth.mel import fold
from synth.mel2mel.network import Mel2Mel
from trainer.data.dataset import analysis_of, framed_magnitudes
from trainer.data.fluidsynth import FluidSynth
from trainer.data.manifest import Manifest
from trainer.data.plan import RENDER_RATE
from trainer.data.programs import KEYS as ALL_KEYS

LEAD_FRAMES, HELD_FRAMES, FRAMES = 25, 100, 125
"""Silence before a note, how long it is held, and all that is listened to: one second."""


def rendered(
    soundfont: Path, manifest: Manifest, keys: Sequence[int], velocities: Sequence[int]
) -> Iterator[Tensor]:
    """Mean powers of notes, for each instrument (keys, velocities, fine bands); MIDI keys that it
    does not sound are left out, or replaced by its middle one if it sounds none of them.

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
    analysis = analysis_of(manifest)
    hop, half, seconds = analysis.hop, analysis.window // 2, FRAMES / analysis.frame_rate
    for patch, program in manifest.programs.items():
        gain = 10 ** ((manifest.gains_db or {}).get(patch, 0.0) / 20)
        powers = []
        for key in sounded(manifest, patch, keys):
            for velocity in velocities:
                onset, release = LEAD_FRAMES * hop, (LEAD_FRAMES + HELD_FRAMES) * hop
                notes = [NoteOn(onset, 1, key, velocity), NoteOff(release, 1, key)]
                audio = torch.from_numpy(gain * synth.render(notes, program, rate, seconds)).float()
                linear = framed_magnitudes(pad(audio, (half, half))[None], analysis)
                powers.append(fold(linear, analysis)[0].square().mean(0))
        yield torch.stack(powers).view(-1, len(velocities), analysis.bands)


@torch.no_grad()
def predicted(
    network: Mel2Mel, manifest: Manifest, keys: Sequence[int], velocities: Sequence[int]
) -> Iterator[Tensor]:
    """What `rendered` yields, as a network predicts it while playing live."""
    for point, patch in zip(network.instruments.weight, manifest.programs, strict=True):
        powers = []
        for key in sounded(manifest, patch, keys):
            roll = torch.zeros(len(velocities), FRAMES, 2 * KEYS)
            loud = torch.tensor(velocities)[:, None] / 127
            roll[:, LEAD_FRAMES : LEAD_FRAMES + HELD_FRAMES, key - LOWEST_KEY] = loud
            roll[:, LEAD_FRAMES, KEYS + key - LOWEST_KEY] = loud[:, 0]
            spectra = network(roll, point.expand(len(roll), 1, -1), 0)
            powers.append(spectra.fine.mul(2).exp().mean(1))
        yield torch.stack(powers)


def sounded(manifest: Manifest, patch: str, keys: Sequence[int]) -> list[int]:
    """Those keys that a patch is measured by."""
    low, high = (manifest.keys or {}).get(patch, ALL_KEYS)
    return [key for key in keys if low <= key <= high] or [(low + high) // 2]
