"""A coordinate of timbre that tilts spectra: the same brightness for every instrument.

Ten instruments in a plane leave no direction in which all of them grow brighter. But the last
FiLM layer adds to its features what is linear in the embedding, and the heads behind it are
linear in those: so there is a shift of the features that raises every octave of the spectrum by
the same number of decibels. It need not be learnt, only solved for, and touches nothing else:
where the coordinate is 0, the network is as it was.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from synth.mel import band_centres
from synth.mel2mel.network import Mel2Mel
from synth.mel2mel.wider import widened

DB_PER_OCTAVE = 4.0
"""What 1 adds, and -1 takes away."""
PIVOT_HZ, LOWEST_HZ, HIGHEST_HZ = 500.0, 62.5, 8_000.0
"""Where the level stays, and between where it is tilted."""
RIDGE = 1e-4
"""Keeps the shift small where the heads hardly heed it."""


def with_tilt(net: Mel2Mel) -> Mel2Mel:
    """The same network with one more coordinate of the embedding, behind the others."""
    wider = widened(net)
    wider.film_out.beta.weight[:, -1] = _shift(net)
    return wider


def _shift(net: Mel2Mel) -> Tensor:
    """The shift of the last features (2 * hidden,) that tilts both heads' spectra."""
    analysis = net.config.analysis
    # With templates, the mel head corrects what the fine one says, tilted already.
    mel = torch.zeros(analysis.mels) if net.templates else _tilt(band_centres(analysis, "mel"))
    weights, wanted = [net.mel.weight], [mel]
    if net.fine is not None:
        weights.append(net.fine.weight)
        wanted.append(_tilt(band_centres(analysis, "fine")))
    a, b = torch.cat(weights).detach().double(), torch.cat(wanted).double()
    return torch.linalg.solve(a.T @ a + RIDGE * torch.eye(a.shape[1]), a.T @ b).float()


def _tilt(hz: np.ndarray) -> Tensor:
    """Natural log of the gain at each frequency."""
    octaves = np.log2(np.clip(hz, LOWEST_HZ, HIGHEST_HZ) / PIVOT_HZ)
    return torch.from_numpy(octaves * DB_PER_OCTAVE * math.log(10) / 20)
