"""How often did the machine itself stand still? What no program on it can make up for.

A process that does nothing but sleep a millisecond at a time, at a priority before all others,
writes down when it was woken late: then its core was taken away, by the system or from under it,
as on a virtual machine whose host is busy. Without the right to such a priority (Linux, root or
an rtprio limit) it waits for other programs too, and nothing can be said.
"""

from __future__ import annotations

import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType

from common.threads import end_with_parent, go_before_others

STEP_S = 0.001
SHORTEST_MS = 1.0
"""Of what counts as a stall: an undisturbed sleep is late by a tenth of it."""
FIRST = 50
"""Its real-time priority, of 99: far before any thread of ours."""


class StallWatch:
    """A context in which stalls of the cores that this process may use now are counted.

    stalls: each one's end, in seconds of `time.perf_counter`, and its length in ms, once it is
    over; None where it cannot be told. process: the one that watches. EOFError when that one
    was ended from outside.
    """

    def __init__(self) -> None:
        spawn = get_context("spawn")
        self.stalls: list[tuple[float, float]] | None = None
        self._ours, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_watch, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self._ours.recv()  # it is awake

    def __enter__(self) -> StallWatch:
        """Returns once it watches."""
        self._ours.send("begin")
        self._ours.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._ours.send("over")
            self.stalls = self._ours.recv()
        else:
            self.process.kill()
        self.process.join()


def _watch(told: Connection) -> None:
    end_with_parent()
    first = go_before_others(FIRST)
    told.send("awake")
    told.recv()
    stalls, last = [], time.perf_counter()
    told.send("begun")
    while not told.poll():
        time.sleep(STEP_S)
        now = time.perf_counter()
        late_ms = 1000 * (now - last - STEP_S)
        if late_ms > SHORTEST_MS:
            stalls.append((now, late_ms))
        last = now
    told.send(stalls if first else None)


def most_stalled_ms(stalls: list[tuple[float, float]], within_s: float) -> float:
    """The most that stalls, as `StallWatch` tells them, took from any stretch of so many seconds.

    >>> most_stalled_ms([(1.0, 5.0), (1.5, 4.0), (1.55, 3.0)], 0.1)
    7.0
    """
    return max(
        (sum(ms for at, ms in stalls if end - within_s < at <= end) for end, _ in stalls),
        default=0.0,
    )
