"""What Ray costs for each task, and whether the driver grows with their number."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measures.batch.row import load, row
from benchmarks.rows import Row
from common.tasks.on_ray import on_ray, ray_cluster


def make_idle() -> Callable[[bytes], int]:
    """A worker that looks at the first byte of what it gets."""
    return lambda content: content[0]


def rows(options: argparse.Namespace, folder: Path) -> list[Row]:
    """A tenth of the tasks, and all of them, each with a score's content of 10 kB."""
    found = []
    with ray_cluster(None, os.cpu_count() or 1):
        # So that processes are there and code is loaded.
        list(on_ray(make_idle, [b"0"] * 20))
        for count in (options.tasks // 10, options.tasks):
            loaded, before, began, most = load(), _memory_mb(), time.perf_counter(), 0.0
            contents = (bytes([n % 256]) + bytes(10_000) for n in range(count))
            for number, outcome in enumerate(on_ray(make_idle, contents)):
                assert not outcome.fault, outcome.fault
                if number % 100 == 0:
                    most = max(most, _memory_mb())
            took_s = time.perf_counter() - began
            found.append(
                row(
                    section="tasks",
                    case="that do nothing",
                    tasks=count,
                    took_s=took_s,
                    ms_per_task=1000 * took_s / count,
                    driver_mb=most - before,
                    load=loaded,
                )
            )
    return found


def _memory_mb() -> float:
    """Resident memory of this process. Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
