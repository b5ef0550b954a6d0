"""Controllers in halves: an upper one of 7 bits, and a lower one that makes it finer.

MIDI pairs controllers 0..31 with 32..63, and 6 with 38 for parameters. Whether a controller of
32..63 is such a lower half or one of its own, only the order tells: a half comes right behind its
upper one.
"""

from __future__ import annotations

UPPERS = range(32)
"""Controllers that may have a lower half, which is 32 further on."""

FULL = 127 / 16_383
"""Turns 14 bits into 0..127."""

Name = int | str
"""A controller, or what else has two halves."""


class Halves:
    """What has come of controllers that may have two halves, on each part."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        """Part -> the controller that came last."""
        self._uppers: dict[tuple[int, Name], float] = {}
        """Part and name -> the upper half that came last."""
        self._fine: set[tuple[int, Name]] = set()
        """Those with a lower half."""

    def upper_of(self, part: int, controller: int) -> int | None:
        """The controller whose lower half this one is; None if it stands for itself.

        To be asked once for each controller that comes.
        """
        upper, before = controller - len(UPPERS), self._last.get(part)
        self._last[part] = controller
        if upper in UPPERS and (before == upper or (part, upper) in self._fine):
            return upper
        return None

    def take(self, part: int, name: Name, value: float, lower: bool) -> float:
        """The value 0..127 that a half makes, with the other one.

        As MIDI says, a lower half is 0 when an upper one comes. Until a lower one has come there
        are only the 127 steps of the upper one.
        """
        key = part, name
        if lower:
            self._fine.add(key)
            return (128 * self._uppers.get(key, 0.0) + value) * FULL
        self._uppers[key] = value
        return 128 * value * FULL if key in self._fine else value
