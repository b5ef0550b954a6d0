"""A latency that hosts are told: steady, because each change makes them arrange everything anew."""

from __future__ import annotations

STEP_S = 0.002
"""So much it must change to be told again: what is measured moves by about 1 ms."""


def steadied(told: int, now: int, rate: int) -> int:
    """The latency to tell, in samples: the new one if it differs enough, or if none was told.

    >>> steadied(0, 100, 48_000), steadied(2_000, 2_096, 48_000), steadied(2_000, 2_097, 48_000)
    (100, 2000, 2097)
    """
    return now if not told or abs(now - told) > STEP_S * rate else told
