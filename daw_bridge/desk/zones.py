"""MPE: a channel for each note, so that every note has a wheel, a pressure and a timbre of its own.

A zone has a manager, channel 1 (the lower zone) or 16 (the upper one), and members: the channels
next to it. What the manager's channel says counts for all members. Each member is a part, and costs
something only while it sounds. (MIDI Polyphonic Expression 1.1, RP-053.)
"""

from __future__ import annotations

from common.window import PARTS

LOWER, UPPER = PARTS[0], PARTS[-1]
"""The managers of the two zones."""

MOST_MEMBERS = 15

MEMBER_BEND, MANAGER_BEND = 48.0, 2.0
"""Semitones that the wheels of a zone bend by until it is told otherwise."""


class Zones:
    """Which parts are members of which zone."""

    def __init__(self) -> None:
        self._counts = {LOWER: 0, UPPER: 0}

    def open(self, manager: int, count: int) -> None:
        """Give a manager so many members, 0 closes its zone; the other zone may become smaller."""
        self._counts[manager] = count
        other = _other(manager)
        # 14 channels are neither manager's while both zones are open.
        self._counts[other] = max(0, min(self._counts[other], MOST_MEMBERS - 1 - count))

    def members(self, part: int) -> range:
        """The members of the zone that a part manages; empty if it manages none."""
        count = self._counts.get(part, 0)
        return range(part + 1, part + 1 + count) if part == LOWER else range(part - count, part)

    def others(self, manager: int) -> range:
        """The members of the other zone."""
        return self.members(_other(manager))

    def manager(self, part: int) -> int | None:
        """The manager of the zone that a part is a member of, None if it is of none."""
        return next((m for m in self._counts if part in self.members(m)), None)


def _other(manager: int) -> int:
    return UPPER if manager == LOWER else LOWER
