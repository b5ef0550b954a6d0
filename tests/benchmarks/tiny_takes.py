"""A data set of test pieces for the toy bank's patches, small enough to make anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.toy_bank import PATCHES
from tests.trainer.tiny_data import make_take, write_excerpt, write_manifest

PIECES = ("one", "two")


def make_data(folder: Path) -> Path:
    """Two pieces of four seconds for each patch; returns folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, {patch.name: patch.program or 80 for patch in PATCHES})
    for number, piece in enumerate(PIECES):
        for harmonics, patch in enumerate(PATCHES, 2):
            # The same notes by every patch, as in a rendered set.
            audio, roll = make_take(np.random.default_rng(number), harmonics)
            write_excerpt(folder / "test" / f"{piece}-{patch.name}.npz", audio, roll, patch.name)
    return folder
