"""The main figures of a machine: fidelity, tuning, latency and speed, from its kept rows.

Rows may lack any column; they are then left out here and shown only in their own table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.report.tables import stated
from benchmarks.rows import Row, Value

WHOLE = ("mean", "all")
"""What a row that stands for all instruments is called."""
ENDS = (0, "full", None, "", "-")
"""Lookaheads of the headline: playing by hand, the whole piece, and none."""
NOTHING = {None, "", "-"}
"""What stands where a column does not apply."""


@dataclass(frozen=True, slots=True)
class Entry:
    """words: the figure as text; bar, notch: a length and a mark on it, in 0..1, or None."""

    label: str
    words: str
    bar: float | None = None
    notch: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure under several conditions. note: what the numbers are."""

    title: str
    note: str
    lines: list[Entry]
    stated: str


def headline(rows: Mapping[str, Sequence[Row]]) -> list[Panel]:
    """The panels of a machine, from its rows by benchmark; none where nothing fits."""
    panels = []
    for name, title, note, lines in (
        ("fidelity", "How close to the original", "mean r; the mark is the paper's", _fidelity),
        ("tuning", "In tune", "share of scale notes", _tuning),
        ("latency", "Note to sound", "median", _latency),
        (
            "sampler",
            "Speed",
            "times real time, one stream, on a log scale; the mark is real time",
            _speed,
        ),
    ):
        found = list(lines(rows.get(name, [])))
        if found:
            panels.append(Panel(title, note, found, stated(rows[name])))
    return panels


def _fidelity(rows: Sequence[Row]) -> Iterable[Entry]:
    for label, group in _groups(_at_ends(rows), ("condition", "bank", "loss"), "mean_r"):
        whole = [row for row in group if row.get("instrument") in WHOLE] or group
        # A quick run and a long one may both be kept: the longer one counts.
        most = max(_number(row.get("seconds")) or 0.0 for row in whole)
        whole = [row for row in whole if (_number(row.get("seconds")) or 0.0) == most]
        r, published = fmean(_numbers(whole, "mean_r")), _numbers(whole, "published")
        notch = fmean(published) if published else None
        yield Entry(label, f"{r:.2f}" + ("" if notch is None else f" ({notch:.2f})"), r, notch)


def _tuning(rows: Sequence[Row]) -> Iterable[Entry]:
    for label, group in _groups(rows, ("vocoder", "bank"), "in_tune"):
        share = fmean(_numbers(group, "in_tune"))
        yield Entry(label, f"{share:.0%}", share)


def _latency(rows: Sequence[Row]) -> Iterable[Entry]:
    for label, group in _groups(_at_ends(rows), ("path", "timing", "low_latency"), "median_ms"):
        yield Entry(label, f"{fmean(_numbers(group, 'median_ms')):.0f} ms")


def _speed(rows: Sequence[Row]) -> Iterable[Entry]:
    alone = ("streams", "block_frames", "cores")
    single = [row for row in rows if all(row.get(name, 1) == 1 for name in alone)]
    for label, group in _groups(single, ("stage", "sampler"), "real_time_factor"):
        factor = fmean(_numbers(group, "real_time_factor"))
        # From a hundredth of real time to a hundred times it: real time is in the middle.
        length = (math.log10(max(factor, 1e-9)) + 2) / 4
        yield Entry(label, f"{factor:.{1 if factor >= 10 else 2}f}×", length, 0.5)


def _at_ends(rows: Sequence[Row]) -> Sequence[Row]:
    """Without the lookaheads in between, which are in the table."""
    return [row for row in rows if row.get("lookahead") in ENDS] or rows


def _groups(
    rows: Sequence[Row], columns: tuple[str, ...], figure: str
) -> Iterable[tuple[str, list[Row]]]:
    """The rows that have a figure, by label.

    A label is the first column, each other column that has several values, and the lookahead.
    """
    rows = [row for row in rows if _number(row.get(figure)) is not None]
    several = [c for c in columns[1:] if len({row.get(c) for row in rows} - NOTHING) > 1]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        words = [str(row[c]) for c in (columns[0], *several) if row.get(c) not in NOTHING]
        lookahead = row.get("lookahead")
        if lookahead not in NOTHING:
            words.append("whole piece" if lookahead == "full" else f"lookahead {lookahead}")
        groups.setdefault(", ".join(words) or "all", []).append(row)
    return groups.items()


def _numbers(rows: Sequence[Row], column: str) -> list[float]:
    """A column's values that are numbers."""
    return [n for row in rows if (n := _number(row.get(column))) is not None]


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
