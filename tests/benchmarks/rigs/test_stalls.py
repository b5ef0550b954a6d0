"""A machine that stands still, told from one that is merely asked to do much."""

from __future__ import annotations

import os
import signal
import time

import pytest

from benchmarks.rigs.stalls import SHORTEST_MS, StallWatch
from common.threads import RENDERER

STILL_S = 0.2


def may_go_first() -> bool:
    """Whether this system grants real-time priorities; asks for none."""
    import resource

    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[1] > RENDERER


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no system to stop a process with")
def test_a_process_that_is_stopped_has_been_stalled():
    with StallWatch() as watch:
        os.kill(watch.process.pid, signal.SIGSTOP)
        begun = time.perf_counter()
        while time.perf_counter() - begun < STILL_S:
            pass
        os.kill(watch.process.pid, signal.SIGCONT)
    if not may_go_first():
        assert watch.stalls is None
        return
    assert all(ms > SHORTEST_MS for _, ms in watch.stalls)
    # A busy machine may stand still besides.
    assert [ms for ended, ms in watch.stalls if ended > begun and ms > 500 * STILL_S]
    assert all(0 < ms < 1e5 and ended < time.perf_counter() for ended, ms in watch.stalls)


def test_a_failure_inside_leaves_no_watcher_behind():
    watch = StallWatch()
    with pytest.raises(OSError, match="the server ended"), watch:
        raise OSError("the server ended")
    assert not watch.process.is_alive()
    assert watch.stalls is None
