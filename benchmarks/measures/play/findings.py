"""One measured thing beside what was asked, and how a list of them becomes rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.rows import Row

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one patch did. played: the notes; figure: what is measured, and its unit.

    original: None where there is none to compare with; asked: in words, empty where nothing
    is asked. miss: how far ours is from what is asked, 1 where it just fits; None where nothing
    is asked.
    """

    section: str
    patch: str
    played: str
    figure: str
    ours: float
    original: float | None = None
    asked: str = ""
    miss: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether ours is what was asked for."""
        return None if self.miss is None else self.miss <= 1

    def row(self) -> Row:
        """As the table shows it, rounded to what can be told apart."""
        original = None if self.original is None else round(self.original, 2)
        return {
            "section": self.section,
            "patch": self.patch,
            "played": self.played,
            "figure": self.figure,
            "ours": round(self.ours, 2),
            "original": original,
            "asked": self.asked,
            "ok": self.ok,
        }


def summary(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each section: how many of its rows are as asked, and the worst.

    ours counts those that are, original all of them. Where nothing is asked, as of the texture
    distance, ours is the mean of the section's figures.
    """
    told = []
    for section in dict.fromkeys(finding.section for finding in findings):
        own = [f for f in findings if f.section == section]
        asked = [f for f in own if f.miss is not None]
        if not asked:
            mean = float(np.mean([f.ours for f in own]))
            told.append(Finding("summary", section, f"all {len(own)}", "mean", mean))
            continue
        worst = max(asked, key=lambda f: f.miss or 0)
        name = f"worst: {worst.patch}, {worst.played}, {worst.figure}"
        good = sum(f.miss is not None and f.miss <= 1 for f in asked)
        bad = 1.0 if good == len(asked) else 2.0
        told.append(Finding("summary", section, name, "rows ok", good, len(asked), "all", bad))
    return told


def key_name(key: int) -> str:
    """A MIDI key as players write it, middle C as C4.

    >>> [key_name(key) for key in (60, 48, 33, 21)]
    ['C4', 'C3', 'A1', 'A0']
    """
    return f"{NAMES[key % 12]}{key // 12 - 1}"
