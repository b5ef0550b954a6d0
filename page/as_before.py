"""What a song changes on the desk, so that the desk stands as before when the song has ended.

A song sets programs, gains and controllers. What the player sets meanwhile stays: a group of values
goes back only where it still is as the song left it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from daw_bridge.desk.desk import Desk
from daw_bridge.desk.settings import Settings
from daw_bridge.desk.zones import LOWER, UPPER

SOUND = ("patch", "towards", "embedding", "knobs", "home", "home_knobs", "morph", "wheel", "deep")
"""Of `Settings`: they make one sound together."""
GROUPS = (
    SOUND,
    ("gain_db",),
    ("pan",),
    ("volume",),
    ("expression",),
    ("bend", "way", "bend_range", "zone_bend"),
    ("cents", "semitones"),
    ("parameter",),
    ("muted",),
    ("soloed",),
)
Group = tuple[str, ...]
Place = tuple[int, Group]
"""A part, and which of its values."""


class Changes:
    """What one song has changed. One thread uses it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._before: dict[Place, tuple[Any, ...]] = {}
        self._left: dict[Place, tuple[Any, ...]] = {}
        """How the song left it."""
        self._zones_before: tuple[int, int] | None = None
        self._zones_left = (0, 0)

    def around(self, act: Callable[[], None]) -> None:
        """Let a message of the song act, and take in what it changes."""
        was, zones = self._desk.parts(), self._zones()
        act()
        for part, now in self._desk.parts().items():
            if now is was[part]:
                continue
            for group in GROUPS:
                before, left = _values(was[part], group), _values(now, group)
                if before == left:
                    continue
                # Else the song itself had set it.
                if self._left.get((part, group)) != before:
                    self._before[part, group] = before
                self._left[part, group] = left
        if self._zones() != zones:
            self._zones_before = self._zones_before or zones
            self._zones_left = self._zones()

    def take_back(self, time: int) -> None:
        """Let the desk stand as before the song, but for what others have changed since."""
        back: dict[int, dict[str, Any]] = {}
        chosen = set()
        for (part, group), before in self._before.items():
            now = _values(self._desk.settings(part), group)
            if now == self._left[part, group] != before:
                back.setdefault(part, {}).update(zip(group, before, strict=True))
                if group is SOUND:
                    chosen.add(part)
        if self._zones_before and self._zones() == self._zones_left:
            for manager, count in zip((LOWER, UPPER), self._zones_before, strict=True):
                self._desk.open_zone(manager, count, time)
        for part, values in back.items():
            # Notes that still ring keep the song's sound.
            change = _changed(values, int(part in chosen))
            self._desk.turn(part, time, change, post_all=True, alone=True)
        # A patch from before the song may have been deleted or renamed meanwhile.
        self._desk.settle()
        self._before.clear()
        self._zones_before = None

    def _zones(self) -> tuple[int, int]:
        """How many members both zones have."""
        zones = self._desk.zones
        return len(zones.members(LOWER)), len(zones.members(UPPER))


def _values(settings: Settings, group: Group) -> tuple[Any, ...]:
    return tuple(getattr(settings, name) for name in group)


def _changed(values: Mapping[str, Any], chosen: int) -> Callable[[Settings], Settings]:
    return lambda settings: replace(settings, **values, chosen=settings.chosen + chosen)
