"""How much there is above 8 kHz, measured beside the renderer, and given to a network.

Up there a network states the level of wide bands. It learns that of most moments, which is less
than the mean power: bright sounds are short, and loud ones rare. So single notes are rendered and
predicted, and for each instrument and wide band the templates are raised or lowered by what is
missing. Nothing is trained, so it can be done to a trained network.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv1d

from synth.mel import FLOOR, band_widths
from synth.mel2mel.network import Mel2Mel
from trainer.data.manifest import Manifest
from trainer.mel2mel.settle import instruments_and_mixtures, shares_in_functions
from trainer.mel2mel.struck import predicted

VELOCITIES = (50, 70, 90, 110, 127)
STRUCK = tuple(range(38, 87, 6))
"""MIDI keys, those of them that a program sounds. Higher ones have far more treble."""
SILENT_DB = -75.0
"""Below a whole note: what a note has less of in a band counts as that."""
SILENCE = (2 * FLOOR) ** 2
"""Power that networks and recordings have where nothing sounds."""
ALIKE = 7
"""So many neighbouring bands are looked at together."""
DOUBT = 2.0
"""A band that is heard of hard blows alone is moved little, for it would be heard of all others
then. So much nothing-is-missing counts beside what is measured: 20 dB over silence is 2."""
MOST_DB = 12.0
"""By which a band is moved at most."""


def with_treble(network: Mel2Mel, wanted: Sequence[Tensor], manifest: Manifest) -> Mel2Mel:
    """The same network, with the powers above 8 kHz that single notes should have.

    wanted: of each instrument (keys, velocities, fine bands), as `rendered` yields them of `STRUCK`
    and `VELOCITIES`. A network without wide bands is given back as it is. ValueError for one
    whose spectra have a basis.
    """
    analysis = network.config.analysis
    if analysis.single == analysis.bands or network.templates is None:
        return network
    if network.config.basis:
        raise ValueError("--soundfont: what is above 8 kHz cannot be mended with a basis")
    corrected = copy.deepcopy(network).requires_grad_(False)
    templates, widths = corrected.templates, band_widths(analysis)
    places, shares = instruments_and_mixtures(corrected.instruments.weight)
    _, solution = shares_in_functions(corrected, places, shares)
    heard = predicted(corrected, manifest, STRUCK, VELOCITIES)
    missing = [missing_db(a, b, widths) for a, b in zip(heard, wanted, strict=True)]
    moved = solution @ torch.stack(missing) * (math.log(10) / 20)
    moved[:, : analysis.single] = 0
    templates.base += moved[0]
    templates.by_timbre += moved[1:, None, None]
    return corrected


def missing_db(ours: Tensor, theirs: Tensor, widths: Tensor) -> Tensor:
    """What notes lack in each band: (bands,), dB, 0 where nobody hears them.

    ours, theirs: powers (keys, velocities, bands); widths (bands,), of bands in bins.
    """
    sounds = [(power - SILENCE).clamp(min=0) * widths for power in (ours, theirs)]
    whole = sounds[1].sum(-1, keepdim=True).clamp(min=1e-20)
    least = 10 ** (SILENT_DB / 10) / len(widths)
    near = torch.ones(1, 1, ALIKE)
    # Each note counts alike, however loud it is.
    a, b = (
        conv1d((sound / whole).clamp(min=least).mean(0)[:, None], near, padding=ALIKE // 2)[:, 0]
        for sound in sounds
    )
    # A velocity counts as much as there is to hear of it; the padding has less than silence.
    counts = (b / (1.5 * least * ALIKE)).log10().clamp(min=0)
    missing = (10 * (b / a).log10() * counts).sum(0) / (counts.sum(0) + DOUBT)
    return missing.clamp(-MOST_DB, MOST_DB)
