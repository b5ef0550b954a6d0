"""A row of the measure `batch`: every section fills in what it has."""

from __future__ import annotations

import os

from benchmarks.rows import Row, Value

COLUMNS = (
    "section",
    "case",
    "tasks",
    "took_s",
    "start_s",
    "real_time",
    "ratio",
    "core_s_per_hour",
    "ms_per_task",
    "driver_mb",
    "same",
    "again",
    "load",
)


def load() -> float:
    """How many processes want a core, mean of the last minute."""
    return os.getloadavg()[0]


def row(**values: Value) -> Row:
    """A row with these values."""
    assert values.keys() <= set(COLUMNS), values
    return {column: values.get(column) for column in COLUMNS}
