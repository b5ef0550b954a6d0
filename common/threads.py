"""Before whom a thread goes when both want the same core.

A sound server that must hand over a block every 8 ms cannot wait for a compiler's turn to end,
4 ms each: it asks for real-time scheduling, like every other audio program. Within it the order
is who waits for whom: a device's callback goes before the renderer that fills its buffer, and the
renderer before the listeners, whose notes are for its next block. Listeners go before ordinary
programs too, since the renderer may wait for one that has the interpreter.

All stay far below a sound server's own threads. Linux grants it to root and to users with an
rtprio limit, as set up for JACK or PipeWire, and always keeps a twentieth of a core for others.
"""

from __future__ import annotations

import os

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
