"""Rows of figures as tables of text, for the report's page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.rows import Row, Value

STATED = ("date", "commit", "machine")
LONG = 16
"""A table with more rows than this opens on demand."""


@dataclass(frozen=True, slots=True)
class Column:
    """numeric: whether every value is a number, to be aligned at the right."""

    title: str
    numeric: bool


@dataclass(frozen=True, slots=True)
class Table:
    """stated: when, of what and where its rows were measured; rows: the text of each cell."""

    stated: str
    columns: list[Column]
    rows: list[list[str]]

    @property
    def long(self) -> bool:
        return len(self.rows) > LONG


def tables(rows: Sequence[Row]) -> list[Table]:
    """A table for each date, commit and machine."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_provenance(row), []).append(row)
    return [_table(group) for group in groups.values()]


def stated(rows: Sequence[Row]) -> str:
    """When, of what and where rows were measured, in words; if they differ, all of them."""
    ways = dict.fromkeys(_provenance(row) for row in rows)
    return "; ".join(f"{day}, commit {commit}, {machine}" for day, commit, machine in ways)


def value_text(value: Value) -> str:
    """The text of a cell.

    >>> [value_text(v) for v in (0.12345, 1234.5, 12, True, float("nan"), "trumpet", None)]
    ['0.123', '1,234', '12', 'yes', '–', 'trumpet', '']
    """
    match value:
        case bool():
            return "yes" if value else "no"
        case float() if not math.isfinite(value):
            return "–"
        case float():
            return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3}f}"
        case int():
            return f"{value:,}"
        case None:
            return ""
    return str(value)


def _provenance(row: Mapping[str, Value]) -> tuple[str, ...]:
    """A row's date, commit and machine; "unknown" for what it does not say."""
    return tuple(str(row.get(key) or "unknown") for key in STATED)


def _table(rows: Sequence[Row]) -> Table:
    names = [c for c in dict.fromkeys(key for row in rows for key in row) if c not in STATED]
    columns = [
        Column(name.replace("_", " "), all(_is_numeric(row.get(name)) for row in rows))
        for name in names
    ]
    return Table(
        stated(rows), columns, [[value_text(row.get(name)) for name in names] for row in rows]
    )


def _is_numeric(value: Value) -> bool:
    return isinstance(value, int | float | None) and not isinstance(value, bool)
