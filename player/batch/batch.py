"""`run_server.py batch`: every score with every patch, each to a file; none is made twice."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from common.checks import printable
from common.files import remove_partials
from common.tasks.in_order import in_order
from common.tasks.on_gpus import on_gpus
from common.tasks.on_ray import has_ray, on_ray, ray_cluster
from common.tasks.outcome import Outcome
from common.tasks.side_by_side import side_by_side
from common.threads import cores_here
from player.batch.flags import BatchFlags
from player.batch.manifest import Manifest
from player.batch.settings import Settings, read_settings
from player.batch.sound_files import file_names
from player.batch.tasks import Task, find_scores, list_tasks, with_content
from player.batch.worker import Made, MakeWorker
from synth.bank.bank import load_bank
from synth.compiling import compiling_shown

GPU_SHARE = 0.5
"""Of a GPU, for each process: while one computes its pieces' guides, it draws for the other."""
TOGETHER = {"triton": 16}
"""Pieces that a process renders at once, by sampler. A GPU draws for many in the time of one. All
else takes 0.08 of a core for each row at real time: more pieces would only wait for cores. On a CPU
each row costs the same, and one piece after the other needs less memory. Not tried on a GPU."""
INSTALL = "pip install 'melstream[ray]'"


def batch(flags: BatchFlags) -> bool:
    """Render what is not there yet. Whether all went well; the scores that failed are told at the
    end, in a line each. ValueError or OSError for what concerns all of them."""
    _check_way(flags)
    bank = load_bank(flags.bank, flags.patches_path())
    for name in flags.patch:
        bank.patch(name)
    settings, reason = read_settings(flags, bank)
    out = flags.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    tasks, broken = list_tasks(find_scores(flags.scores), flags.patch, settings, bank)
    print(f"vocoder  {reason}")
    remove_partials(out)  # of a batch that was killed
    there, todo = _sorted_out(tasks, settings, out)
    manifest = Manifest(out, settings)
    manifest.recover(there)
    tally = _Tally(list(broken.values()))
    try:
        with (
            _workers(flags, MakeWorker(settings, out, alone=True), todo) as outcomes,
            tqdm(
                total=len(tasks), initial=len(there), unit="file", smoothing=0.05, disable=None
            ) as progress,
        ):
            for outcome in outcomes:
                tally.count(outcome, manifest, out)
                progress.set_postfix_str(f"{tally.speed:.1f}x real time", refresh=False)
                progress.update()
    finally:
        manifest.close()
        remove_partials(out)  # of workers that were killed
    print(f"{tally.made} made, {len(there)} were there, {len(tally.faults)} failed: {tally.told()}")
    for fault in tally.faults:
        print(f"melstream: {printable(fault)}", file=sys.stderr)
    return not tally.faults


def _check_way(flags: BatchFlags) -> None:
    """ValueError for workers or a cluster that cannot be had."""
    if flags.address is not None and flags.workers is not None:
        raise ValueError("--workers: expected alone, got --address too; a cluster has its own")
    if has_ray():
        return
    if flags.address is not None:
        raise ValueError(f"--address {flags.address}: Ray is not installed: {INSTALL}")
    if (flags.workers or 1) > 1:
        raise ValueError(f"--workers {flags.workers}: Ray is not installed: {INSTALL}")


def _sorted_out(
    tasks: Sequence[Task], settings: Settings, out: Path
) -> tuple[list[Task], list[Task]]:
    """The tasks whose files are there, and the others."""
    names = {path.name for path in out.iterdir()}
    there: list[Task] = []
    todo: list[Task] = []
    for task in tasks:
        mix = file_names(task.name, settings.format, ())[0]
        (there if mix in names else todo).append(task)
    return there, todo


class _Tally:
    """What has become of the tasks so far. faults: a line for each that failed."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        self.made, self._sound_s, self._began = 0, 0.0, time.perf_counter()

    def count(self, outcome: Outcome[Task, Made], manifest: Manifest, out: Path) -> None:
        """One more."""
        made, fault = outcome.result, outcome.fault
        if made is not None and not (out / next(iter(made.files))).exists():
            fault = f"{made.host} made it, but it is not here: do they share {out}?"
            made = None
        if made is None:
            self.faults.append(_told(outcome.task, fault))
            return
        manifest.add(outcome.task, made)
        self.made += 1
        self._sound_s += made.seconds

    @property
    def speed(self) -> float:
        """Sound made, in times real time."""
        return self._sound_s / max(time.perf_counter() - self._began, 1e-9)

    def told(self) -> str:
        """How much sound in how long."""
        took_s = time.perf_counter() - self._began
        sound = f"{self._sound_s / 60:.1f} minutes of sound in {took_s / 60:.1f} minutes"
        return f"{sound}, {self.speed:.1f}x real time"


def _told(task: Task, fault: str) -> str:
    """Which task failed, and why, in one line; what is wrong with a score names it itself."""
    if fault.startswith(str(task.score)):
        return fault
    with_patch = f", patch {task.patch}" if task.patch is not None else ""
    return f"{task.score}{with_patch}: {' '.join(fault.split())}"


@contextmanager
def _workers(
    flags: BatchFlags, make: MakeWorker, todo: Sequence[Task]
) -> Iterator[Iterable[Outcome[Task, Made]]]:
    """What becomes of the tasks, on a cluster, on this machine's cores, or in this process."""
    cores = flags.workers or cores_here()
    together = TOGETHER.get(make.settings.sampler, 1)
    several = min(cores, len(todo)) > 1
    if several and not has_ray():
        print(f"one process, since Ray is not installed: {INSTALL}")
        several = False
    if flags.address is None and not several:
        with compiling_shown():
            if together == 1:
                yield in_order(make, with_content(todo))
                return
            make = replace(make, together=True)
            with closing(side_by_side(make, with_content(todo), together)) as outcomes:
                yield outcomes
        return
    make = replace(make, alone=False, together=together > 1)
    # The longest first, so that no core waits for one that began late.
    tasks = with_content(sorted(todo, key=lambda task: -task.size))
    with ray_cluster(flags.address, min(cores, len(todo))):
        gpus = make.settings.sampler == "triton"
        ran = on_gpus(make, tasks, GPU_SHARE, together) if gpus else on_ray(make, tasks)
        with closing(ran) as outcomes:
            yield outcomes
