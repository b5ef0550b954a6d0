"""How often did the machine itself stand still? No program on it can make up for that.

A process sleeps one millisecond at a time, at a higher priority than all others, and notes when
it was woken late. Then its core was taken away: by the system, or, on a virtual machine, by a
busy host. Where the system does not grant such a priority (Linux does, to root and to users with
an rtprio limit) the process waits for other programs too, and its result means nothing.
"""

from __future__ import annotations

import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType

from common.threads import end_with_parent, go_before_others

STEP_S = 0.001
SHORTEST_MS = 1.0
"""The shortest stall that counts. An undisturbed sleep is late by a tenth of it."""
FIRST = 50
"""Its real-time priority, of 99: far above any thread of ours."""


class StallWatch:
    """A context in which stalls are counted, on the cores that this process may use now.

    stalls: after the context, the end of each, in seconds of `time.perf_counter`, and its length
    in ms; None where it cannot be known. process: the one that watches. Raises EOFError when
    that process was ended from outside.
    """

    def __init__(self) -> None:
        spawn = get_context("spawn")
        self.stalls: list[tuple[float, float]] | None = None
        self._ours, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_watch, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self._ours.recv()  # it is running

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


def _watch(owner: Connection) -> None:
    end_with_parent()
    first = go_before_others(FIRST)
    owner.send("running")
    owner.recv()
    stalls, last = [], time.perf_counter()
    owner.send("begun")
    while not owner.poll():
        time.sleep(STEP_S)
        now = time.perf_counter()
        late_ms = 1000 * (now - last - STEP_S)
        if late_ms > SHORTEST_MS:
            stalls.append((now, late_ms))
        last = now
    owner.send(stalls if first else None)


def most_stalled_ms(stalls: list[tuple[float, float]], within_s: float) -> float:
    """The most time, in ms, that stalls took out of any within_s seconds.

    stalls: as `StallWatch` has them.

    >>> most_stalled_ms([(1.0, 5.0), (1.5, 4.0), (1.55, 3.0)], 0.1)
    7.0
    """
    return max(
        (sum(ms for at, ms in stalls if end - within_s < at <= end) for end, _ in stalls),
        default=0.0,
    )
