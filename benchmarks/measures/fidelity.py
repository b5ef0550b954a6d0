"""How close to the original? The published reconstruction experiment, on held-out test pieces.

Each condition (`conditions.py`) remakes the renderer's sound; the figures (`comparison.py`) say
how far it is from the original: mean_r is Pearson's correlation over librosa's constant-Q
transform, 84 bins C1..B7, hop 512, linear magnitudes, pooled over the concatenated pieces of
an instrument, bins in which the original is silent left out, then averaged over bins. r_440 is
the bin at 440 Hz. Instrument "all" is the mean over instruments. published is the paper's
mean r, from notes always through its WaveNet. seconds: how much of each instrument was heard;
each piece from its first note on.

--quick takes a few minutes, --full many hours, mostly the WaveNet's. Each row is kept in the
work file as soon as it is done and not measured again while the weights, the pieces and the
code in synth/ and here that decide it are the same; so an ended run can be resumed.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import synth
from benchmarks.measures import comparison, conditions, takes
from benchmarks.measures.comparison import Pair, compare
from benchmarks.measures.conditions import CONDITIONS, LEARNT, NOTES, check_lookahead, make_remake
from benchmarks.measures.published import HERTZ, published
from benchmarks.measures.takes import instruments, load_takes, take_paths
from benchmarks.measures.work_file import WorkFile, digest
from common.threads import end_with_parent
from player.flags import DEFAULT_BANK, MOST_LOOKAHEAD
from synth.bank.bank import Bank, load_bank

SUMMARY = "how close is the sound to the original, bin by bin?"
DEFAULT_LOSS = "tanh-log-abs"
"""What Mel2Mel was trained with, if a bank does not name its loss."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How much is heard: pieces and seconds of each, and at most so much of the WaveNet."""

    lookaheads: tuple[str, ...]
    pieces: int
    seconds: float
    wavenet_pieces: int
    wavenet_seconds: float


QUICK = Mode(("0", "full"), 3, 10.0, 3, 6.0)
FULL = Mode(("0", "2", "4", "8", "16", "full"), 14, 60.0, 14, 60.0)


@dataclass(frozen=True, slots=True)
class Task:
    """One row to measure. lookahead: "-" where there is none."""

    condition: str
    bank: Path
    lookahead: str
    instrument: str
    paths: tuple[Path, ...]
    seconds: float


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What is compared, and how much of it is heard."""
    add = parser.add_argument
    add("--bank", type=Path, action="append", help="folder of a bank; may be repeated")
    add("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS, metavar="NAME")
    add("--lookahead", nargs="+", metavar="FRAMES", help=f"0..{MOST_LOOKAHEAD} or full")
    add("--data", type=Path, default=Path("runs/data"), help="data set folder")
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--quick", dest="mode", action="store_const", const=QUICK, default=QUICK)
    much.add_argument("--full", dest="mode", action="store_const", const=FULL)
    add("--pieces", type=int, help="test pieces of each instrument, instead of the mode's")
    add("--seconds", type=float, help="of each piece, instead of the mode's")
    add("--work", type=Path, default=Path("runs/bench/fidelity.jsonl"), help="keeps done rows")
    add("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes")
    add("--plots", type=Path, metavar="FOLDER", help="draw the paper's two figures there")


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each condition, lookahead and instrument, then one for each of their means.

    Raises ValueError for a bad flag or bank, or a data set without test pieces.
    """
    banks = _banks(options.bank or [DEFAULT_BANK])
    tasks = list(_tasks(banks, options))
    work = WorkFile(options.work)
    code = _code()
    results = {task: work.get(_settings(task, banks, code)) for task in tasks}
    todo = [task for task in tasks if results[task] is None]
    with tqdm(total=len(tasks), initial=len(tasks) - len(todo), unit="row") as progress:
        for task, result in _results(todo, options.workers):
            work.add(_settings(task, banks, code), result)
            results[task] = result
            progress.update()
    rows = [_row(task, banks, task.instrument, results[task]) for task in tasks]
    groups: dict[tuple[Path, str, str], list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.bank, task.condition, task.lookahead), []).append(task)
    means = {group[0]: mean_of([results[task] for task in group]) for group in groups.values()}
    overall = [_row(task, banks, "all", mean) for task, mean in means.items()]
    if options.plots:
        # Only here: matplotlib need not be there.
        from benchmarks.report import plots

        options.plots.mkdir(parents=True, exist_ok=True)
        curves = [mean["r"] for mean in means.values()]
        plots.by_frequency(options.plots / "fidelity-by-frequency.png", overall, curves)
        plots.by_instrument(options.plots / "fidelity-by-instrument.png", [*rows, *overall])
    return [*rows, *overall]


def mean_of(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each figure over instruments, without those that have none.

    >>> mean_of([{"mean_r": 0.5, "r": [1.0, None]}, {"mean_r": 1.0, "r": [0.5, None]}])
    {'mean_r': 0.75, 'r': [0.75, None]}
    """
    mean: dict[str, Any] = {}
    for name in results[0]:
        if name == "r":
            mean[name] = [_mean(list(x)) for x in zip(*(r[name] for r in results), strict=True)]
        else:
            mean[name] = _mean([r[name] for r in results])
    return mean


def measure_task(task: Task) -> dict[str, Any]:
    """`Figures` as a dictionary, and the seconds that were heard."""
    bank = load_bank(task.bank)
    remake = make_remake(task.condition, bank, task.lookahead)
    heard = load_takes(bank, list(task.paths), task.instrument, task.seconds)
    hop = bank.analysis.hop
    pairs = [Pair(remake(take), take.original, take.onsets * hop) for take in heard]
    seconds = sum(len(take.original) for take in heard) / bank.analysis.rate
    return asdict(compare(pairs, bank.analysis)) | {"seconds": seconds}


def _banks(paths: list[Path]) -> dict[Path, Bank]:
    banks = {path: load_bank(path) for path in paths}
    names = [bank.path.resolve().name for bank in banks.values()]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"--bank: two are called {name!r}; the table could not tell them apart"
            )
    return banks


def _tasks(banks: dict[Path, Bank], options: argparse.Namespace) -> Iterator[Task]:
    """What is to be measured, in the table's order."""
    mode: Mode = options.mode
    lookaheads = options.lookahead or mode.lookaheads
    for text in lookaheads:
        check_lookahead(text)
    most, seconds = options.pieces or mode.pieces, options.seconds or mode.seconds
    if most < 1 or seconds < 1 or options.workers < 1:
        raise ValueError("--pieces, --seconds and --workers must be 1 or more")
    for condition in (c for c in CONDITIONS if c in options.conditions):
        for number, (path, bank) in enumerate(banks.items()):
            if not LEARNT[condition] and number:
                continue  # It would be the same again.
            if "wavenet" in LEARNT[condition]:
                if bank.wavenet_config is None:
                    continue
                pieces, length = min(most, mode.wavenet_pieces), min(seconds, mode.wavenet_seconds)
            else:
                pieces, length = most, seconds
            for lookahead in lookaheads if condition.startswith(NOTES) else ("-",):
                for instrument in instruments(bank, options.data):
                    paths = take_paths(options.data, instrument, pieces)
                    yield Task(condition, path, lookahead, instrument, tuple(paths), length)


def _settings(task: Task, banks: dict[Path, Bank], code: str) -> dict[str, Any]:
    """All that decides a task's result, to know it again by."""
    bank, settings = banks[task.bank], asdict(task) | {"code": code}
    settings["paths"] = digest(*task.paths)
    settings["bank"] = asdict(bank.analysis)
    for name in LEARNT[task.condition]:
        config = asdict(getattr(bank, f"{name}_config"))
        settings["bank"] |= {name: [digest(bank.path / f"{name}.safetensors"), config]}
    if task.condition.startswith(NOTES):
        settings["bank"] |= {"embedding": list(bank.patch(task.instrument).embedding)}
    return settings


def _code() -> str:
    """What the code that makes and compares sound holds."""
    here = [Path(module.__file__) for module in (conditions, comparison, takes)]
    return digest(*sorted(Path(synth.__file__).parent.rglob("*.py")), *here)


def _results(tasks: list[Task], workers: int) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Each task and what it measured, as they are done; the longest begin first."""
    tasks = sorted(tasks, key=lambda task: "wavenet" not in LEARNT[task.condition])
    if workers == 1 or len(tasks) < 2:
        yield from ((task, measure_task(task)) for task in tasks)
        return
    # Not forked: libraries' threads do not survive that.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker)
    try:
        futures = {pool.submit(measure_task, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise ValueError(
            "a worker was ended from outside (out of memory?); run it again, with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    torch.set_num_threads(1)
    end_with_parent()
    # Ctrl-C ends it at once: as an exception it would only end one row and begin the next.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _row(
    task: Task, banks: dict[Path, Bank], instrument: str, result: dict[str, Any]
) -> dict[str, Any]:
    bank = banks[task.bank]
    told = bank.about.get("mel2mel")
    loss = told.get("loss_name", DEFAULT_LOSS) if isinstance(told, dict) else DEFAULT_LOSS
    learnt = LEARNT[task.condition]
    loss = str(loss) if "mel2mel" in learnt else "-"
    bins = {f"r_{hertz}": result["r"][comparison.bin_of(hertz)] for hertz in HERTZ}
    rest = ("stft", "log_mel_l1", "onset_ms", "onset_bias_ms", "seconds")
    return {
        "condition": task.condition,
        "bank": bank.path.resolve().name if learnt else "-",
        "loss": loss,
        "lookahead": task.lookahead,
        "instrument": instrument,
        "mean_r": result["mean_r"],
        "published": published(task.condition, loss, instrument),
        **bins,
        **{name: result[name] for name in rest},
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
