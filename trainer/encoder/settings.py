"""Sizes of the encoder and whom it listens to: flags of its command. No torch: help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from common.flags import Count

BANK = Path(__file__).resolve().parents[2] / "patches" / "gm10-48k"
"""The bank that `run_server.py` plays by default."""


@dataclass(frozen=True, slots=True)
class EncoderSizes:
    """Sizes of the network: fields of its config."""

    channels: Count = 64
    """Width of the network."""
    layers: Count = 4
    """Layers, each of which halves the number of frames."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """All that is the encoder's own in a training run."""

    sizes: EncoderSizes = EncoderSizes()
    """How large the network is."""
    bank: Annotated[Path, arg(metavar="FOLDER")] = BANK
    """Bank whose points are to be guessed."""
    lessons: Count = 6_000
    """Pieces of scores that the bank plays to learn from."""
