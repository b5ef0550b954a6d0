"""A bank in minutes: renders a data set and trains both networks within a budget of time.

For a machine that is lent for a while, with a fast processor and no network. A pack brings
what it lacks; each stage is a command of this trainer, and whatever stands is written to `out`
as it comes, so that a machine taken away early costs minutes and not all. The same command goes
on where it stopped while the work folder is there, and from `out` where it is not.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import shlex
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainer.flags import number
from trainer.kitchen import NETWORKS, NOTES, Kitchen
from trainer.pack import unpack

NEEDED = ("mido", "numpy", "safetensors", "soundfile", "soxr", "torch", "tqdm")
"""Packages beside PyYAML that rendering and training import."""
RENDER_SHARE = 0.2
"""Of the whole time: at 16 cores a minute makes some six hours of sound."""
FINISH_SHARE = 0.08
FINISH_S = 40.0
"""Kept for the last checkpoints and the bank: that share of the whole, at most so long."""


@dataclass(frozen=True, slots=True)
class Order:
    """pack: None to only lay out what `resume` has; work: on a disk of the machine's own;
    max_minutes: of each network's training; at_once: train both at the same time; resume: an
    `out` of before, or a bank; flags: command -> more flags for it."""

    pack: Path | None
    out: Path
    work: Path
    total_minutes: float
    max_minutes: float
    at_once: bool
    resume: Path | None
    flags: Mapping[str, Sequence[str]]


def follow(order: Order) -> int:
    """Do all of it; 0 when both networks have weights, 2 when not, 130 when interrupted.

    Raises ValueError for a pack or a folder to resume from that cannot be used.
    """
    total_s, begun = order.total_minutes * 60, time.monotonic()
    if order.pack is None and order.resume is None:
        raise ValueError("--pack: is needed, unless there is a --resume to lay out")
    site = order.work / "site"
    kitchen = Kitchen(order.work, order.out, site, order.flags)
    found = unpack(order.pack, order.work) if order.pack else None
    for name in found.refused if found else ():
        kitchen.tell(f"{name}: for another Python or machine, left out")
    if site.is_dir():
        sys.path.insert(0, str(site.resolve()))
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        raise ValueError(f"{order.pack}: lacks wheels of {', '.join(lacking)} for this Python")
    first = _restore(order, kitchen) if order.resume else {}
    if found is None:
        return 0
    shutil.rmtree(order.work / "bank", ignore_errors=True)  # of older weights
    order.out.mkdir(parents=True, exist_ok=True)
    with _interrupts() as stop:
        render = [f"--midi={found.midi}", f"--soundfont={found.soundfont}"]
        render += [f"--out={order.work / 'data'}", "--test-pieces=0"]
        codes = kitchen.cook({"render": render}, begun + total_s * RENDER_SHARE, stop)
        if codes.get("render") not in (None, 0, 130, -signal.SIGINT):
            return 2
        end = begun + total_s - min(total_s * FINISH_SHARE, FINISH_S)
        turns = [NETWORKS] if order.at_once else [(name,) for name in NETWORKS]
        for left, names in zip(range(len(turns), 0, -1), turns, strict=True):
            seconds = max((end - time.monotonic()) / left, 0.0)
            commands = {name: _training(order, name, seconds, first) for name in names}
            kitchen.cook(commands, time.monotonic() + seconds, stop)
        missing = [name for name in NETWORKS if not kitchen.weights(name).is_file()]
        if not stop and not missing:
            kitchen.make_bank(stop)
        kitchen.keep_notes()
    for name in missing:
        kitchen.tell(f"{name}: has no weights yet")
    kitchen.tell(f"done; {order.out} holds {', '.join(sorted(os.listdir(order.out)))}")
    return 130 if stop else 2 if missing else 0


def _restore(order: Order, kitchen: Kitchen) -> dict[str, Path]:
    """Lay out the runs to go on with; network -> weights, for those that begin anew from them."""
    from trainer.parts import unpack_run

    if not order.resume.is_dir():
        raise ValueError(f"{order.resume}: no such folder")
    first = {}
    for name in NETWORKS:
        run = order.work / name
        if (run / "last.pt").exists():
            kitchen.tell(f"{name}: {run} is there already, and gone on with")
            continue
        state = unpack_run(order.resume, name, run)
        kitchen.tell(f"{name}: {state} to go on with in {order.resume}")
        if state == "weights":
            first[name] = order.resume / f"{name}.safetensors"
    if (order.resume / NOTES).is_file():
        _restore_notes(order, first)
    return first


def _restore_notes(order: Order, first: Mapping[str, Path]) -> None:
    """The runs' logs, but of those with new counters; with no pack, the bank and its data too."""
    try:
        with zipfile.ZipFile(order.resume / NOTES) as archive:
            for entry in archive.namelist():
                folder = entry.split("/")[0]
                wanted = folder in NETWORKS and folder not in first
                if (wanted or not order.pack) and not (order.work / entry).exists():
                    archive.extract(entry, order.work)
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{order.resume / NOTES}: cannot be unpacked ({error})") from None
    bank = order.work / "bank"
    if not order.pack and (bank / "bank.yaml").is_file():
        for name in NETWORKS:
            shutil.copy(order.resume / f"{name}.safetensors", bank)


def _training(order: Order, name: str, seconds: float, first: Mapping[str, Path]) -> list[str]:
    """A training command's flags. Its own limit ends it even if nobody tells it to."""
    minutes = min(order.max_minutes, seconds / 60)
    flags = [f"--data={order.work / 'data'}", f"--run={order.work / name}"]
    flags += [f"--max-minutes={minutes:.3f}"]
    return flags + ([f"--init={first[name]}"] if name in first else [])


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """SIGINT and SIGTERM go onto a list, for the stage at work to be ended in order."""
    noted: list[int] = []
    previous = {
        which: signal.signal(which, lambda which, _: noted.append(which))
        for which in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield noted
    finally:
        for which, handler in previous.items():
            signal.signal(which, handler)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Render, train both networks and make a bank, all within some minutes; or go on with it."""
    add, path = parser.add_argument, {"type": Path, "metavar": "PATH"}
    told = "folder of MIDI files (or a .zip), one SoundFont, and wheels; default: only --resume"
    add("--pack", **path, help=told)
    told = "where small files of all that stands are kept; default: %(default)s"
    add("--out", **path, default=Path("runs/recipe-out"), help=told)
    told = "where data set, runs and bank are made, and found again; default: %(default)s"
    add("--work", **path, default=Path("runs/recipe"), help=told)
    told = "for the whole; default: %(default)g"
    add("--total-minutes", type=number(0), metavar="M", default=9.0, help=told)
    told = "of each network's training, at most; default: what is left of the whole"
    add("--max-minutes", type=number(0), metavar="M", default=math.inf, help=told)
    told = "train both networks at the same time; default: Mel2Mel, then the WaveNet"
    add("--at-once", action="store_true", help=told)
    told = "an --out of before to go on with, or a bank to begin from; default: none"
    add("--resume", **path, help=told)
    for command in ("render", *NETWORKS, "bank"):
        told = f"more flags for `{command}`, as one word; default: none"
        add(f"--{command}", type=shlex.split, metavar='"FLAGS"', default=[], help=told)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    flags = {command: getattr(options, command) for command in ("render", *NETWORKS, "bank")}
    return follow(
        Order(
            pack=options.pack,
            out=options.out,
            work=options.work,
            total_minutes=options.total_minutes,
            max_minutes=options.max_minutes,
            at_once=options.at_once,
            resume=options.resume,
            flags=flags,
        )
    )
