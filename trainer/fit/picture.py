"""The mel spectra of a recording and of the patch fitted to it, side by side."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from common.files import write_whole
from synth.mel import Analysis, band_centres, log_mel
from trainer.fit.distance import BELOW_DB, DB

DOTS, SIZE = 110, (12.0, 4.5)
"""Pixels per inch; inches."""
SECONDS = 10.0
"""Shown of each, from the beginning: more would be too fine to see."""
LABELLED_HZ = (100, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000)


def write_picture(
    path: Path, titles: list[str], takes: list[np.ndarray], analysis: Analysis
) -> None:
    """Draw takes (samples,) under their titles into a PNG. OSError if it cannot be written."""
    most = round(SECONDS * analysis.rate)
    levels = [DB * log_mel(torch.from_numpy(take[:most]), analysis).numpy().T for take in takes]
    top = max(float(level.max()) for level in levels)
    centres = band_centres(analysis, "mel")
    marks = [hz for hz in LABELLED_HZ if centres[0] < hz < centres[-1]]
    figure = Figure(SIZE, layout="constrained")
    rows = figure.subplots(1, len(takes), sharey=True)
    for axes, title, level in zip(rows, titles, levels, strict=True):
        seconds = level.shape[1] / analysis.frame_rate
        shown = axes.imshow(
            level,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, len(level)),
            vmin=top - BELOW_DB,
            vmax=top,
            cmap="magma",
        )
        axes.set(title=title, xlabel="seconds")
        places = np.interp(marks, centres, np.arange(len(centres)) + 0.5)
        axes.set_yticks(places, [f"{hz:,}" for hz in marks])
    rows[0].set_ylabel("Hz")
    figure.colorbar(shown, ax=rows, label="dB")
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, drawn.getvalue())
