"""Threads and processes: who goes first, on which cores, and who ends with whom.

A sound server that must deliver a block every 8 ms cannot wait 4 ms for a compiler's turn to end:
it asks for real-time scheduling, like every other audio program. A device's callback goes before
the renderer that fills its buffer, and the renderer before the listeners, whose notes are for its
next block. Listeners go before ordinary programs, too, because the renderer may wait for one that
holds the interpreter.

All stay far below a sound server's own threads. Linux grants it to root and to users with an
rtprio limit, as set up for JACK or PipeWire, and always keeps a twentieth of a core for others.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise

MOST_CORES = 4
"""That share the parts: with more, handing out takes as long as what is saved."""
LISTENER, RENDERER, DEVICE = 1, 2, 3
"""Real-time priorities, of 99; the device's is for callbacks that ask for none themselves."""


def go_before_others(priority: int) -> bool:
    """Give the calling thread, and those that it starts from now on, a real-time priority.

    Returns whether the system grants it; else, or where there is no such thing, nothing changes.
    """
    if not hasattr(os, "sched_setscheduler"):
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    except OSError:
        return False
    return True


def step_back(priority: int) -> None:
    """Lower the calling thread to a real-time priority, if it has inherited a higher one."""
    if hasattr(os, "sched_setscheduler") and os.sched_getparam(0).sched_priority > priority:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))


def scheduling() -> tuple[int, int]:
    """The calling thread's way of being scheduled and its priority; the same wherever the system
    has none."""
    if not hasattr(os, "sched_getscheduler"):
        return 0, 0
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority


def be_scheduled(way: tuple[int, int]) -> None:
    """Let the calling thread be scheduled as `scheduling` told, if it is not and may be."""
    if way != scheduling():
        with suppress(OSError):
            os.sched_setscheduler(0, way[0], os.sched_param(way[1]))


_most_shared = MOST_CORES


def share_cores(most: int) -> None:
    """Let what is made from now on in this process share its work among so many cores at most.

    1 where as many processes as there are cores are at work.
    """
    global _most_shared
    _most_shared = most


class Helpers:
    """Threads that do shares of one thread's work, scheduled as that thread is at the moment.

    most: cores that share the work, the caller's among them, where there are as many. Threads are
    started when they are first needed. Any thread may ask.
    """

    def __init__(self, most: int) -> None:
        self._cores = min(most, cores_here(), _most_shared)
        self._pool: ThreadPoolExecutor | None = None
        self._started: int | None = None
        """The process that started it."""

    def share_rows(self, rows: int, job: Callable[[slice], object], least: int = 3) -> None:
        """Do a job for each of so many rows; it is told which, at least so many at once."""
        count = max(min(self._cores, rows // least), 1)
        # The caller begins at once, and gets the larger share.
        edges = [-(-rows * share // count) for share in range(count + 1)]
        first, *others = (slice(*ends) for ends in pairwise(edges))
        if others:
            way, pool = scheduling(), self._threads()
            waiting = [pool.submit(_helped, job, share, way) for share in others]
            job(first)
            for one in waiting:
                one.result()
        else:
            job(first)

    def _threads(self) -> ThreadPoolExecutor:
        """The pool; a new one in a process that was forked, which has no threads but one."""
        if self._pool is None or self._started != os.getpid():
            self._pool = ThreadPoolExecutor(self._cores - 1, "helper")
            self._started = os.getpid()
        return self._pool


def _helped(job: Callable[[slice], object], share: slice, way: tuple[int, int]) -> None:
    be_scheduled(way)
    job(share)


def cores_here() -> int:
    """How many processor cores this thread may use now."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Keep the calling thread, and what it starts meanwhile, on these cores, by number.

    Raises ValueError for none, or for one that it may not use; does nothing where the system
    cannot do it.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    if not cores or not set(cores) <= before:
        raise ValueError(f"cores: expected some of {sorted(before)}, got {sorted(cores)}")
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def end_with_parent() -> None:
    """End this worker process when the process that started it is gone.

    A parent that was killed would leave workers that wait for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
