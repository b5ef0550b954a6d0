"""The latest items of one thread, for readers in others. No lock: the writer never waits."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Trail(Generic[T]):
    """Keeps the last `size` items; one thread writes, any thread reads. count: items so far.

    >>> trail = Trail[str](2)
    >>> for item in "abc":
    ...     trail.add(item)
    >>> trail.since(0)
    (['b', 'c'], 1)
    >>> trail.since(3)
    ([], 0)
    """

    def __init__(self, size: int) -> None:
        self.count = 0
        self._slots: list[tuple[int, T] | None] = [None] * size

    def add(self, item: T) -> None:
        """Keep an item, in place of the oldest if the trail is full."""
        self._slots[self.count % len(self._slots)] = (self.count, item)
        # Last, so that a reader never looks for an item that is not there yet.
        self.count += 1

    def since(self, seen: int) -> tuple[list[T], int]:
        """The items after the first `seen`, oldest first, and how many of them were lost."""
        count = self.count
        kept = []
        for number in range(max(seen, count - len(self._slots)), count):
            slot = self._slots[number % len(self._slots)]
            # The writer may have gone once round meanwhile.
            if slot is not None and slot[0] == number:
                kept.append(slot[1])
        return kept, count - seen - len(kept)
