"""What is lost when a worker, the driver or a node of a batch is killed."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measures.batch.row import load, row
from benchmarks.rigs.batches import BatchRun, descendants, raylets, sounds, write_scores
from benchmarks.rows import Row, Value

SECONDS = 0.5
"""Of notes in each score; the bank's ring-out comes on top."""
LINGER_S = 180.0
"""How long the processes of a driver that was killed may take to notice."""
TIMED = ("took_s", "cpu_s", "at", "host", "peak_db", "left_out")
"""What a manifest may state otherwise after a batch was killed."""


def rows(options: argparse.Namespace, folder: Path) -> list[Row]:
    """An undisturbed batch in one process, and three that are killed, on Ray."""
    scores = write_scores(folder / "scores", options.renders, SECONDS)
    given = [str(scores), "--bank", str(options.bank.resolve()), "--vocoder", "spectral"]
    whole, loaded, began = folder / "whole", load(), time.perf_counter()
    with BatchRun(whole, [*given, "--workers", "1"]) as run:
        _must_end_well(run)
    took_s = time.perf_counter() - began
    first = row(
        section="kills", case="none", tasks=options.renders, took_s=took_s, same=True, load=loaded
    )
    local = [*given, "--workers", "2"]
    return [
        first,
        _killed("a worker", whole, folder / "worker", local, options.renders),
        _killed("the driver", whole, folder / "driver", local, options.renders),
        _node_killed(whole, folder / "node", given, options.renders),
    ]


def _killed(case: str, whole: Path, out: Path, flags: Sequence[str], count: int) -> Row:
    """Kill one of a local Ray's workers, or the driver, and run it again."""
    loaded, began = load(), time.perf_counter()
    with BatchRun(out, flags) as run:
        run.wait_for(count // 4)
        if case == "a worker":
            os.kill(run.workers()[0], signal.SIGKILL)
            finished = _times(out)
            _must_end_well(run)
        else:
            left = descendants(run.process.pid)
            run.process.kill()
            finished = _times(out)
            # At once: its workers may be at work still.
            with BatchRun(out, flags) as again:
                _must_end_well(again)
            _wait_until_gone(left)
    return _compared(case, whole, out, finished, count, time.perf_counter() - began, loaded)


def _node_killed(whole: Path, out: Path, given: Sequence[str], count: int) -> Row:
    """Kill one of the two nodes of a cluster: its raylet, and its workers with it."""
    loaded, began = load(), time.perf_counter()
    with raylets(2) as cluster, BatchRun(out, [*given, "--address", cluster.address]) as run:
        run.wait_for(count // 4)
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        finished = _times(out)
        _must_end_well(run)
    return _compared("a node", whole, out, finished, count, time.perf_counter() - began, loaded)


def _compared(
    case: str,
    whole: Path,
    out: Path,
    finished: Mapping[str, int],
    count: int,
    took_s: float,
    loaded: float,
) -> Row:
    now = _times(out)
    values: dict[str, Value] = {
        "same": _folder(out) == _folder(whole),
        "again": sum(now[name] != time for name, time in finished.items()),
    }
    return row(section="kills", case=case, tasks=count, took_s=took_s, load=loaded, **values)


def _folder(out: Path) -> dict[str, object]:
    """All that a folder holds: files with their content, the manifest without times."""
    content: dict[str, object] = {
        path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".jsonl"
    }
    for text in (out / "manifest.jsonl").read_text().splitlines():
        line = json.loads(text)
        content[f"line of {line['file']}"] = {k: v for k, v in line.items() if k not in TIMED}
    return content


def _times(out: Path) -> dict[str, int]:
    return {name: path.stat().st_mtime_ns for name, path in sounds(out).items()}


def _must_end_well(run: BatchRun) -> None:
    said = run.end()
    if run.process.returncode:
        raise OSError(f"batch: {said}")


def _wait_until_gone(processes: Sequence[int]) -> None:
    """Wait for the processes of a driver that was killed. OSError if one stays."""
    deadline = time.monotonic() + LINGER_S
    while left := [pid for pid in processes if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > deadline:
            raise OSError(f"processes {left} of a driver that was killed are still there")
        time.sleep(0.1)
