"""A corpus: a folder of MIDI files and manifest.csv, which says what each is for."""

from __future__ import annotations

import csv
import math
from pathlib import Path

COLUMNS = ("path", "seconds", "split")
"""What a corpus's manifest.csv must tell of each piece."""
SPLITS = ("train", "val", "test")


def read_corpus(midi: Path) -> dict[str, list[tuple[str, float]]]:
    """Split name -> (path, seconds of music) of each piece.

    Raises ValueError naming manifest.csv, the line and what is wrong with it.
    """
    manifest = midi / "manifest.csv"
    if not manifest.is_file():
        raise ValueError(f"{manifest}: no such file (it must have columns {', '.join(COLUMNS)})")
    splits: dict[str, list[tuple[str, float]]] = {split: [] for split in SPLITS}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = set(COLUMNS) - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{manifest}: column {min(missing)} is missing")
        for row in rows:
            where = f"{manifest}: line {rows.line_num}"
            path, split = row["path"], row["split"]
            if split not in splits:
                raise ValueError(f"{where}: split is {split!r}, but must be train, val or test")
            if not path or not (midi / path).is_file():
                raise ValueError(f"{where}: {midi / (path or '')} is no file")
            splits[split].append((path, _seconds(where, row["seconds"])))
    return splits


def _seconds(where: str, text: str | None) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"{where}: seconds is {text!r}, but must be a number above 0")
    return seconds
