"""Many renderings: how fast on more cores, what Ray costs, and what is lost when one is killed.

speed    `run_server.py batch` of the same scores in one process, on a local Ray with one and two
         workers, and on a cluster of two nodes with a core each, both on this machine
tasks    tasks that do nothing, through Ray: what each costs, and the driver's memory
kills    a batch whose worker, driver or node is killed when a quarter of the files are there;
         after a second run where one is needed, the folder must equal an undisturbed one

took_s             by the clock, with the start; start_s: until the first task began
real_time          seconds of sound in a second, without the start; ratio: to one process
core_s_per_hour    seconds of a core for an hour of sound, as the workers counted them
ms_per_task        of took_s, without the start
driver_mb          memory of the driver at its highest, less what it had before
same               whether all files are those of the undisturbed batch, byte for byte
again              files that were finished when it was killed, but were made again
load               of the machine when it began (processes that want a core)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.flags import above, add_bank_flag, whole
from benchmarks.measures.batch import kills, speed, tasks
from benchmarks.rows import Row

SUMMARY = "how fast are many renderings on more cores, and what is lost when one is killed?"
SECTIONS = {"speed": speed.rows, "tasks": tasks.rows, "kills": kills.rows}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which sections, of which bank, of how many scores."""
    add_bank_flag(parser)
    add = parser.add_argument
    add("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    add("--scores", type=whole(4), default=12, help="scores of the section speed")
    add("--seconds", type=above(0), default=20.0, help="length of each of these")
    add("--tasks", type=whole(1), default=10_000, help="tasks of the section tasks")
    add("--renders", type=whole(8), default=200, help="scores of a second of the section kills")


def measure(options: argparse.Namespace) -> list[Row]:
    """Rows of each section. OSError if a batch ends that should not."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="batch-") as folder:
        for section in options.sections:
            rows += SECTIONS[section](options, Path(folder) / section)
    return rows
