"""The figures on top of the page: fidelity, tuning, latency and speed, from rows as kept.

Rows may lack any column and still be shown further down; here they are then left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from statistics import fmean
from typing import Any

from benchmarks.report.html import Rows, stated

WHOLE = ("mean", "all")
"""What an instrument is called in a row that stands for every one."""
ENDS = (0, "0", "full", None, "", "-")
"""Lookaheads of the headline: playing by hand, the whole piece, and where there is none."""
NOTHING = {None, "", "-"}
"""What stands where a column does not apply."""

Line = tuple[str, str, float | None, float | None]
"""Label, value in words, length of a bar in 0..1 or None, and a published bar's."""


def headline(kind: str, kept: dict[str, Rows]) -> str:
    """A machine's panels as HTML; empty when it measured nothing that belongs here.

    kept: rows by benchmark.
    """
    panels = ""
    for name, title, note, lines in (
        ("fidelity", "How close to the original", "mean r; the notch is the paper's", _fidelity),
        ("tuning", "In tune", "share of scale notes", _tuning),
        ("latency", "Note to sound", "median", _latency),
        (
            "sampler",
            "Speed",
            "times real time, one stream, on a log scale; the notch is real time",
            _speed,
        ),
    ):
        found = list(lines(kept.get(name, [])))
        if found:
            panels += (
                f"<div class=panel><h3>{title}</h3><p class=note>{note}</p>"
                + "".join(map(_line, found))
                + f"<p class=stated>{escape(stated(kept[name]))}</p></div>"
            )
    return f"<h2>{escape(kind)}</h2><div class=panels>{panels}</div>" if panels else ""


def _fidelity(rows: Rows) -> Iterable[Line]:
    # What lies between them is in the table.
    rows = [row for row in rows if row.get("lookahead") in ENDS] or rows
    for label, group in _groups(rows, ("condition", "bank", "loss"), "mean_r"):
        whole = [row for row in group if row.get("instrument") in WHOLE] or group
        # A quick look and a long one may both be kept: the longer listened counts.
        most = max(_number(row.get("seconds")) or 0.0 for row in whole)
        whole = [row for row in whole if (_number(row.get("seconds")) or 0.0) == most]
        r, published = (_mean(whole, column) for column in ("mean_r", "published"))
        words = f"{r:.2f}" + ("" if published is None else f" ({published:.2f})")
        yield label, words, r, published


def _tuning(rows: Rows) -> Iterable[Line]:
    for label, group in _groups(rows, ("vocoder", "bank"), "in_tune"):
        share = _mean(group, "in_tune")
        yield label, f"{share:.0%}", share, None


def _latency(rows: Rows) -> Iterable[Line]:
    for label, group in _groups(rows, ("path", "timing"), "median_ms"):
        yield label, f"{_mean(group, 'median_ms'):.0f} ms", None, None


def _speed(rows: Rows) -> Iterable[Line]:
    alone = ("streams", "block_frames", "cores")
    single = [row for row in rows if all(row.get(name, 1) == 1 for name in alone)]
    found = [
        (label, _mean(group, "real_time_factor"))
        for label, group in _groups(single, ("stage", "sampler"), "real_time_factor")
    ]
    for label, factor in found:
        # From a hundredth of real time to a hundred times it: real time is in the middle.
        length = (math.log10(max(factor, 1e-9)) + 2) / 4
        yield label, f"{factor:.{1 if factor >= 10 else 2}f}×", length, 0.5


def _groups(rows: Rows, columns: tuple[str, ...], figure: str) -> Iterable[tuple[str, Rows]]:
    """Rows that have the figure, by a label of the first column, those others of which there
    are several, and the lookahead."""
    rows = [row for row in rows if _number(row.get(figure)) is not None]
    several = [c for c in columns[1:] if len({row.get(c) for row in rows} - NOTHING) > 1]
    groups: dict[str, Rows] = {}
    for row in rows:
        words = [str(row[c]) for c in (columns[0], *several) if row.get(c) not in NOTHING]
        lookahead = row.get("lookahead")
        if lookahead not in NOTHING:
            words.append("whole piece" if lookahead == "full" else f"lookahead {lookahead}")
        groups.setdefault(", ".join(words) or "all", []).append(row)
    return groups.items()


def _mean(rows: Rows, column: str) -> float | None:
    numbers = [n for row in rows if (n := _number(row.get(column))) is not None]
    return fmean(numbers) if numbers else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _line(line: Line) -> str:
    label, words, length, notch = line
    bar = ""
    if length is not None:
        mark = "" if notch is None else f'<b style="left:{_percent(notch)}"></b>'
        bar = f'<span class=bar><i style="width:{_percent(length)}"></i>{mark}</span>'
    return (
        f"<div class=line><span>{escape(label)}</span><strong>{escape(words)}</strong>{bar}</div>"
    )


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0), 1):.1f}%"
