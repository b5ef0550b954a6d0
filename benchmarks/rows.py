"""Rows of figures: shown as a table, kept in a file with date, commit and machine, read again.

A file of rows is a JSON list with one row on each line. Numbers are rounded: to four decimals
below 10, to four digits above.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from common.files import write_whole

Value = str | int | float | bool | None
Row = Mapping[str, Value]
"""Column -> value; None where a column does not apply."""


def show(rows: Sequence[Row]) -> None:
    """Print rows as aligned columns; all rows have the first one's keys."""
    columns = list(rows[0])
    cells = [columns, *([_text(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def keep(rows: Sequence[Row], path: Path) -> None:
    """Write rows to a file, each with date, commit and machine. OSError when it cannot be."""
    about = stated()
    lines = (
        json.dumps({k: rounded(v) for k, v in row.items()} | about, ensure_ascii=False)
        for row in rows
    )
    write_whole(path, "[\n" + ",\n".join(lines) + "\n]\n")


def read_rows(path: Path) -> list[Row]:
    """The rows of a file that `keep` wrote. ValueError names the file, the row and the column."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path}: expected a list of one or more rows")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}: row {number}: expected columns and values, got {row!r}")
        for column, value in row.items():
            if not isinstance(value, str | int | float | None):
                raise ValueError(
                    f"{path}: row {number}: {column}: expected text or a number, got {value!r}"
                )
    return rows


def rounded(value: Value) -> Value:
    """A value as it is kept; no number (NaN or infinite) becomes None.

    >>> [rounded(v) for v in (0.123456, 27.7103, 48670.1, 12345, True, float("nan"), "full")]
    [0.1235, 27.71, 48670.0, 12345, True, None, 'full']
    """
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return round(value, 4 if abs(value) < 10 else max(3 - int(math.log10(abs(value))), 0))


def stated() -> dict[str, str]:
    """What every kept row says of itself: date, commit and machine."""
    return {"date": date.today().isoformat(), "commit": _commit(), "machine": machine()}


def machine() -> str:
    """Processor, how many cores, and a GPU if there is one, such as "Intel Xeon, 2 cores"."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    # Here, so that reading rows does not load it.
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}"


def _commit() -> str:
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    answer = subprocess.run(asked, capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def _text(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
