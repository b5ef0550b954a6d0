"""Shifts of a network's features that raise some bands: the same curve for every instrument.

Ten instruments in a plane leave no direction in which all of them grow brighter. But the last
FiLM layer adds to its features what is linear in the embedding, and the heads behind it are
linear in those: so there is a shift of the features that raises each band by so many decibels. It
need not be learnt, only solved for, and touches nothing else: without it, the network is as it was.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from synth.mel import band_centres
from synth.mel2mel.network import Mel2Mel

DB_PER_OCTAVE = 4.0
"""Tilt: what 1 adds, and -1 takes away."""
PIVOT_HZ, LOWEST_HZ, HIGHEST_HZ = 500.0, 62.5, 8_000.0
"""Where the level stays, and between where it is tilted."""
BODY_DB, BODY_HZ, BODY_OCTAVES = 6.0, 220.0, 1.5
"""Body: a hill so high, and so far on either side it ends."""
BODY_LOWERED_DB = 2.0
"""What body takes from everything, so that a note stays about as loud."""
AIR_DB, AIR_HZ = 8.0, (3_500.0, 7_000.0)
"""Air: what 1 adds above the second frequency; it adds nothing below the first."""
RIDGE = 1e-4
"""Keeps the shift small where the heads hardly heed it."""


def tilt(hertz: np.ndarray) -> np.ndarray:
    """Decibels at each frequency: as many more with every octave.

    >>> tilt(np.array([250.0, 500.0, 1_000.0])).tolist()
    [-4.0, 0.0, 4.0]
    """
    return DB_PER_OCTAVE * np.log2(np.clip(hertz, LOWEST_HZ, HIGHEST_HZ) / PIVOT_HZ)


def body(hertz: np.ndarray) -> np.ndarray:
    """Decibels at each frequency: a hill about the lower middle.

    >>> body(np.array([0.0, 220.0, 3_000.0])).tolist()
    [-2.0, 4.0, -2.0]
    """
    away = np.abs(np.log2(np.maximum(hertz, 1.0) / BODY_HZ)) / BODY_OCTAVES
    return BODY_DB * (1 + np.cos(np.pi * np.minimum(away, 1))) / 2 - BODY_LOWERED_DB


def air(hertz: np.ndarray) -> np.ndarray:
    """Decibels at each frequency: a shelf above everything else.

    >>> air(np.array([3_000.0, 7_000.0, 16_000.0])).tolist()
    [0.0, 8.0, 8.0]
    """
    low, high = np.log2(AIR_HZ)
    way = np.clip((np.log2(np.maximum(hertz, 1.0)) - low) / (high - low), 0, 1)
    return AIR_DB * (1 - np.cos(np.pi * way)) / 2


def shift(net: Mel2Mel, decibels: np.ndarray) -> Tensor:
    """The shift of the last features (2 * hidden,) that raises the fine bands by decibels (bands,),
    or the mel bands of a network without a fine head."""
    analysis = net.config.analysis
    wanted = torch.from_numpy(decibels * (math.log(10) / 20))
    if net.fine is None:
        heads = [(net.mel.weight, wanted)]
    else:
        # With templates, the mel head corrects what the fine one says, raised already.
        mel = torch.zeros(analysis.mels, dtype=wanted.dtype)
        if net.templates is None:
            at = band_centres(analysis, "mel")
            mel = torch.from_numpy(np.interp(at, band_centres(analysis, "fine"), wanted))
        heads = [(net.mel.weight, mel), (net.fine.weight, wanted)]
    a = torch.cat([weight for weight, _ in heads]).detach().double()
    b = torch.cat([raised for _, raised in heads])
    return torch.linalg.solve(a.T @ a + RIDGE * torch.eye(a.shape[1]), a.T @ b).float()
