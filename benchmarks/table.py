"""Tables on screen and as JSON, the same rows in both."""

from __future__ import annotations

import json
from pathlib import Path

Row = dict[str, str | int | float | bool]


def show(rows: list[Row]) -> None:
    """Print rows as aligned columns; all rows have the first one's keys."""
    columns = list(rows[0])
    cells = [columns, *([_text(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def keep(rows: list[Row], path: Path | None) -> None:
    """Write rows as a JSON list, if a path was asked for."""
    if path:
        path.write_text(json.dumps(rows, indent=1) + "\n")


def _text(value: str | int | float | bool) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
