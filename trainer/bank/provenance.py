"""What a bank was made of, in words and plain units, for the `about` of its bank.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth.mel import Analysis
from trainer.data.manifest import Manifest
from trainer.run.weights import read_history, read_taught

CLEARER = {
    "train_minutes": "train_minutes_per_program",
    "val_minutes": "val_minutes_per_program",
    "seconds": "excerpt_seconds",
}
"""Keys of a data set's manifest that need more words away from it."""


def training(
    run: Path, unit: str, weights: Path, usual: Mapping[str, Any], analysis: Analysis
) -> dict[str, Any]:
    """What a run's weights have learnt from, as their file and the run's log say.

    unit: what the run counted, "frame" or "sample"; usual: how weights were taught whose file
    does not say so. Raises ValueError when there is no log, or it lacks these weights.
    """
    path = run / "log.jsonl"
    taught = {**usual, **read_taught(weights)}
    at = taught.pop("iteration", None)
    taught.pop("patches", None)  # the data set's, which is told of too
    checkpoint, losses, notes = None, {}, []
    for line in _lines(path, unit):
        if "loss" in line:
            losses[line["iteration"]] = line["loss"]
        elif at is None or line["iteration"] <= at:
            checkpoint = line
            notes.append(line)
    if checkpoint is None or at not in (None, checkpoint["iteration"]):
        place = "" if at is None else f" at iteration {at}"
        raise ValueError(f"{path}: has no checkpoint{place}; train first")
    # A session that was killed reported of iterations after the checkpoint: those are lost.
    reported = max((i for i in losses if i <= checkpoint["iteration"]), default=None)
    # What they began with had a history of its own.
    history = read_history(weights)
    iterations = history.get("iterations", checkpoint["iteration"])
    seen = history.get("seen", checkpoint[f"{unit}s"])
    samples = seen * (analysis.hop if unit == "frame" else 1)
    guided = [note["iteration"] for note in notes if note.get("predicted_share")]
    begun = {"predicted_seen_by_iteration": guided[0]} if guided else {}
    if "begun_with" in history:
        begun["begun_with"] = history["begun_with"]
        begun[f"{unit}s_seen_before"] = history["seen_before"]
    return (
        taught
        | {
            "training_loss": losses.get(reported),
            "validation_loss": checkpoint["validation"],
            "iterations": iterations,
            f"{unit}s_seen": seen,
            "hours_of_audio_seen": round(samples / analysis.rate / 3600, 2),
            "hours_of_training": history.get("hours", checkpoint["hours"]),
            "device": " and ".join(sorted({str(note.get("device", "cpu")) for note in notes})),
        }
        | begun
    )


def _lines(path: Path, unit: str) -> list[dict[str, Any]]:
    """A run's log, each line with iteration, hours, frames or samples, and loss or validation."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; train first")
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        try:
            line = json.loads(text)
            whole = {name: int(line[name]) for name in ("iteration", f"{unit}s")}
            kind = "loss" if "loss" in line else "validation"
            lines.append({**line, **whole, kind: float(line[kind]), "hours": float(line["hours"])})
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ValueError(f"{path}: line {number} is not of a {unit} run's log") from None
    return lines


def data_set(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """What the data set was made of, and how many excerpts there are to train on."""
    stated = {CLEARER.get(key, key): value for key, value in manifest.stated().items()}
    return stated | {"train_excerpts": len(list((folder / "train").glob("*.npz")))}
