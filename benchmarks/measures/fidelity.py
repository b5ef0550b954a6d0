"""How close is the sound to the original? The published reconstruction experiment.

Each condition (conditions.py) remakes the SoundFont renderer's sound of held-out test pieces; the
figures (comparison.py) say how far it is from the original. mean_r is Pearson's correlation over
librosa's constant-Q transform, 84 bins C1..B7, hop 512, linear magnitudes, pooled over the pieces
of an instrument, bins in which the original is silent left out, then averaged over bins. r_440 is
the bin at 440 Hz. Instrument "all" is the mean over instruments. published is the paper's mean r,
from notes always through its WaveNet. seconds: how much of each instrument was heard; each piece
from its first note on.

--quick takes a few minutes; --full many hours, most of them the WaveNet's. Each row is kept in
the work file as soon as it is done, so a stopped run can be resumed. It is measured again when
the weights, the pieces, or the code that makes or compares the sound have changed.

`python -m benchmarks fidelity-plots` draws the paper's two figures from the same work file.
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
from benchmarks.flags import above, add_data_flag, add_lookahead_flag, whole
from benchmarks.measures import comparison, conditions, takes
from benchmarks.measures.comparison import PiecePair, compare
from benchmarks.measures.conditions import CONDITIONS, NETWORKS, NOTES, make_remake
from benchmarks.measures.embedding import embedding
from benchmarks.measures.published import HERTZ, published
from benchmarks.measures.takes import instruments, load_takes, take_paths
from benchmarks.measures.work_file import WorkFile, digest
from benchmarks.rows import Row
from common.threads import end_with_parent
from player.bounce import Lookahead
from player.flags import DEFAULT_BANK
from synth.bank.bank import Bank, load_bank

SUMMARY = "how close is the sound to the original, bin by bin?"
DEFAULT_LOSS = "tanh-log-abs"
"""With which Mel2Mel was trained, if a bank does not name its loss."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How much is heard where no flag says it: pieces, seconds of each; the WaveNet has its own."""

    lookaheads: tuple[Lookahead, ...]
    pieces: int
    seconds: float
    wavenet_pieces: int
    wavenet_seconds: float


QUICK = Mode((0, "full"), 3, 10.0, 3, 6.0)
FULL = Mode((0, 2, 4, 8, 16, "full"), 14, 60.0, 14, 60.0)


@dataclass(frozen=True, slots=True)
class Task:
    """One row to measure. lookahead: None where the condition has none."""

    condition: str
    bank: Path
    lookahead: Lookahead | None
    instrument: str
    paths: tuple[Path, ...]
    seconds: float


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What is compared, and how much of it is heard."""
    add = parser.add_argument
    add("--bank", type=Path, action="append", help="folder of a bank; may be repeated")
    add("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS, metavar="NAME")
    add_lookahead_flag(parser, (), nargs="+")
    add_data_flag(parser)
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--quick", dest="mode", action="store_const", const=QUICK, default=QUICK)
    much.add_argument("--full", dest="mode", action="store_const", const=FULL)
    add("--pieces", type=whole(1), help="test pieces of each instrument, instead of the mode's")
    add("--seconds", type=above(0), help="of each piece, instead of the mode's")
    add("--work", type=Path, default=Path("runs/bench/fidelity.jsonl"), help="keeps finished rows")
    add("--workers", type=whole(1), default=min(2, os.cpu_count() or 1), help="processes")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each condition, lookahead and instrument, then one for each mean over instruments.

    Raises ValueError for a bad bank, or a data set without test pieces.
    """
    table = measured(options)
    return [*table.rows, *table.means]


@dataclass(frozen=True, slots=True)
class FidelityTable:
    """rows: one for each instrument; means: the rows of "all"; curves: for each of means, r of
    every bin."""

    rows: list[Row]
    means: list[Row]
    curves: list[list[float | None]]


def measured(options: argparse.Namespace) -> FidelityTable:
    """What `measure` measures; as much as possible is taken from the work file."""
    banks = _banks(options.bank or [DEFAULT_BANK])
    tasks = list(tasks_of(banks, options))
    work = WorkFile(options.work)
    code = _code()
    kept = {task: work.get(_settings(task, banks, code)) for task in tasks}
    results = {task: result for task, result in kept.items() if result is not None}
    todo = [task for task in tasks if task not in results]
    with tqdm(total=len(tasks), initial=len(tasks) - len(todo), unit="row") as progress:
        for task, result in _results(todo, options.workers):
            work.add(_settings(task, banks, code), result)
            results[task] = result
            progress.update()
    rows = [_row(task, banks, task.instrument, results[task]) for task in tasks]
    groups: dict[tuple[Path, str, Lookahead | None], list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.bank, task.condition, task.lookahead), []).append(task)
    means = {group[0]: mean_of([results[task] for task in group]) for group in groups.values()}
    overall = [_row(task, banks, "all", mean) for task, mean in means.items()]
    return FidelityTable(rows, overall, [mean["r"] for mean in means.values()])


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
    remake = make_remake(task.condition, bank, task.lookahead or 0)
    heard = load_takes(bank, list(task.paths), task.instrument, task.seconds)
    hop = bank.analysis.hop
    pairs = [PiecePair(remake(take), take.original, take.onsets * hop) for take in heard]
    seconds = sum(len(take.original) for take in heard) / bank.analysis.rate
    return asdict(compare(pairs, bank.analysis)) | {"seconds": seconds}


def _banks(paths: list[Path]) -> dict[Path, Bank]:
    banks = {path: load_bank(path) for path in paths}
    names = [bank.path.resolve().name for bank in banks.values()]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"--bank: two banks are named {name!r}; the table could not tell them apart"
            )
    return banks


def tasks_of(banks: dict[Path, Bank], options: argparse.Namespace) -> Iterator[Task]:
    """What is to be measured, in the table's order."""
    mode: Mode = options.mode
    lookaheads = options.lookahead or mode.lookaheads
    for condition in (c for c in CONDITIONS if c in options.conditions):
        for number, (path, bank) in enumerate(banks.items()):
            if not NETWORKS[condition] and number:
                continue  # It would be the same again.
            if "wavenet" in NETWORKS[condition]:
                if bank.wavenet_config is None:
                    continue
                pieces, length = mode.wavenet_pieces, mode.wavenet_seconds
            else:
                pieces, length = mode.pieces, mode.seconds
            pieces, length = options.pieces or pieces, options.seconds or length
            for lookahead in lookaheads if condition.startswith(NOTES) else (None,):
                for instrument in instruments(bank, options.data):
                    paths = take_paths(options.data, instrument, pieces)
                    yield Task(condition, path, lookahead, instrument, tuple(paths), length)


def _settings(task: Task, banks: dict[Path, Bank], code: str) -> dict[str, Any]:
    """All that decides a task's result."""
    bank, settings = banks[task.bank], asdict(task) | {"code": code}
    settings["paths"] = digest(*task.paths)
    settings["bank"] = asdict(bank.analysis)
    for name in NETWORKS[task.condition]:
        config = asdict(getattr(bank, f"{name}_config"))
        settings["bank"] |= {name: [digest(bank.path / f"{name}.safetensors"), config]}
    if task.condition.startswith(NOTES):
        settings["bank"] |= {"embedding": list(embedding(bank, task.instrument))}
    return settings


def _code() -> str:
    """A hash of the code that makes and compares sound."""
    files = [module.__file__ for module in (synth, conditions, comparison, takes)]
    package, *rooms = (Path(file) for file in files if file)
    return digest(*sorted(package.parent.rglob("*.py")), *rooms)


def _results(tasks: list[Task], workers: int) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Each task and what it measured, as they finish; the longest begin first."""
    tasks = sorted(tasks, key=lambda task: "wavenet" not in NETWORKS[task.condition])
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
            "a worker process was ended from outside (out of memory?); run it again with fewer "
            "--workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    torch.set_num_threads(1)
    end_with_parent()
    # Ctrl-C ends it at once; as an exception it would only end one row and begin the next.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _row(task: Task, banks: dict[Path, Bank], instrument: str, result: dict[str, Any]) -> Row:
    bank = banks[task.bank]
    networks = NETWORKS[task.condition]
    trained = bank.about.get("mel2mel")
    loss = "-"
    if "mel2mel" in networks:
        named = trained.get("loss_name") if isinstance(trained, dict) else None
        loss = str(named or DEFAULT_LOSS)
    bins = {f"r_{hertz}": result["r"][comparison.bin_of(hertz)] for hertz in HERTZ}
    rest = ("stft", "log_mel_l1", "onset_ms", "onset_bias_ms", "seconds")
    return {
        "condition": task.condition,
        "bank": bank.path.resolve().name if networks else "-",
        "loss": loss,
        "lookahead": "-" if task.lookahead is None else task.lookahead,
        "instrument": instrument,
        "mean_r": result["mean_r"],
        "published": published(task.condition, loss, instrument),
        **bins,
        **{name: result[name] for name in rest},
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
