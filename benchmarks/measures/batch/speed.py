"""How fast a batch is with more workers."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measures.batch.row import load, row
from benchmarks.rigs.batches import BatchRun, raylets, sounds, write_scores
from benchmarks.rows import Row


def rows(options: argparse.Namespace, folder: Path) -> list[Row]:
    """One process, Ray with one worker and with two, two nodes."""
    scores = write_scores(folder / "scores", options.scores, options.seconds)
    given = [str(scores), "--bank", str(options.bank.resolve()), "--vocoder", "spectral"]
    cases = {"one process": ["--workers", "1"], "Ray, 2 workers": ["--workers", "2"]}
    found = [_run(case, folder / case, [*given, *flags]) for case, flags in cases.items()]
    for count in (1, 2):
        with raylets(count) as cluster:
            case = f"Ray, {count} node{'s' * (count > 1)} of a core"
            flags = ["--address", cluster.address]
            found.append(_run(case, folder / case, [*given, *flags]))
    one = found[0]["real_time"]
    return [r | {"ratio": r["real_time"] / one} for r in found]


def _run(case: str, out: Path, flags: Sequence[str]) -> dict:
    loaded, began = load(), time.time()
    with BatchRun(out, flags) as run:
        said = run.end()
        took_s = time.time() - began
        if run.process.returncode:
            raise OSError(f"batch: {case}: {said}")
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    ends = {name: path.stat().st_mtime for name, path in sounds(out).items()}
    first = min(ends[line["file"]] - line["took_s"] for line in lines)
    sound_s = sum(line["seconds"] for line in lines)
    return dict(
        row(
            section="speed",
            case=case,
            tasks=len(lines),
            took_s=took_s,
            start_s=first - began,
            real_time=sound_s / (max(ends.values()) - first),
            core_s_per_hour=3600 * sum(line["cpu_s"] for line in lines) / sound_s,
            load=loaded,
        )
    )
