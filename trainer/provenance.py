"""What a bank was made of, in words and plain units, for the `about` of its bank.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from synth.mel import Analysis
from trainer.loop import DEVICE

CLEARER = {
    "train_minutes": "train_minutes_per_program",
    "val_minutes": "val_minutes_per_program",
    "seconds": "excerpt_seconds",
}
"""Keys of a data set's manifest that need more words away from it."""


def training(run: Path, unit: str, loss: str, analysis: Analysis) -> dict[str, Any]:
    """What a run's weights have learnt from, by its log up to their checkpoint.

    unit: what the run counted, "frame" or "sample"; loss: what it descended, in words.
    Raises ValueError when there is no log, or none of a checkpoint.
    """
    path = run / "log.jsonl"
    if not path.is_file():
        raise ValueError(f"{path}: no such file; train first")
    checkpoint, losses = None, {}
    for number, text in enumerate(path.read_text().splitlines(), 1):
        try:
            line = json.loads(text)
            iteration, seen, hours = int(line["iteration"]), line[f"{unit}s"], line["hours"]
            if "loss" in line:
                losses[iteration] = line["loss"]
            else:
                checkpoint = (iteration, int(seen), float(hours), float(line["validation"]))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ValueError(f"{path}: line {number} is not of a {unit} run's log") from None
    if checkpoint is None:
        raise ValueError(f"{path}: tells of no checkpoint; train first")
    iterations, seen, hours, validation = checkpoint
    # A session that was killed reported of iterations after the checkpoint: those are lost.
    reported = max((i for i in losses if i <= iterations), default=None)
    samples = seen * (analysis.hop if unit == "frame" else 1)
    return {
        "loss": loss,
        "training_loss": losses.get(reported),
        "validation_loss": validation,
        "iterations": iterations,
        f"{unit}s_seen": seen,
        "hours_of_audio_seen": round(samples / analysis.rate / 3600, 2),
        "hours_of_training": hours,
        "device": DEVICE,
    }


def data_set(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the data set was made of, and how many excerpts there are to train on."""
    told = {CLEARER.get(key, key): value for key, value in manifest.items()}
    return told | {"train_excerpts": len(list((folder / "train").glob("*.npz")))}
