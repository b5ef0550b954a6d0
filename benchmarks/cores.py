"""Which processor cores a benchmark may keep to (see `common.threads.on_cores`)."""

from __future__ import annotations

import os

from common.threads import cores_here


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(cores_here()))


def last_cores(count: int) -> list[int]:
    """The last so many of them: a system's own work often keeps to the first."""
    return usable_cores()[-count:]
