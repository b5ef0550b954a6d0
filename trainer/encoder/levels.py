"""How loud bands are beside the loudest: what the encoder hears, whatever the gain."""

from __future__ import annotations

import math

from torch import Tensor

DB = 20 / math.log(10)
"""Decibels of natural log magnitudes."""
BELOW_DB = 50.0
"""Below the loudest band: what is softer than that hardly counts."""


def levels_of(mel: Tensor) -> Tensor:
    """Levels of log mel bands (..., frames, mels): 1 is the loudest of all, 0 what lies `BELOW_DB`
    and more below it."""
    loudest = mel.amax((-2, -1), keepdim=True)
    return (1 + (mel - loudest) * (DB / BELOW_DB)).clamp(0, 1)
