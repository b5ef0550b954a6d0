"""Real batches for benchmarks: started, watched, killed; and clusters of several raylets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mido
import numpy as np

from benchmarks.rigs.live import ROOT
from common.tasks.on_ray import QUIET

PATIENCE_S = 600.0
LOOK_S = 0.02
STORE_BYTES = 80 * 2**20


class BatchRun:
    """`run_server.py batch` in a process of its own; as a context it always ends."""

    def __init__(self, out: Path, flags: Sequence[str]) -> None:
        self.out = out
        self.process = subprocess.Popen(
            [sys.executable, "run_server.py", "batch", *flags, "--out", str(out)]
            + ["--midi-map", "none", "--patches", "none"],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, files: int) -> None:
        """Return when so many files are there. OSError if it ends before, with what it said."""
        deadline = time.monotonic() + PATIENCE_S
        while len(sounds(self.out)) < files:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise OSError(f"batch: ended before {files} files were there:\n{self.end()}")
            time.sleep(LOOK_S)

    def workers(self) -> list[int]:
        """The processes of a local Ray that render."""
        return [pid for pid in descendants(self.process.pid) if _title(pid).startswith("ray::_do")]

    def end(self) -> str:
        """Wait for its end; what it said."""
        return self.process.communicate(timeout=PATIENCE_S)[0]

    def __enter__(self) -> BatchRun:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate()


@contextmanager
def raylets(count: int) -> Iterator[Any]:
    """A Ray cluster of so many nodes with a core each, all on this machine: Ray's own object for
    one, with `address` and the nodes."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(**node)
        yield cluster
    finally:
        cluster.shutdown()


def write_scores(folder: Path, count: int, seconds: float, seed: int = 0) -> Path:
    """So many MIDI files of chords of four notes, a new one each half second."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        track = mido.MidiTrack()
        for _ in range(max(round(2 * seconds), 1)):
            keys = random.choice(np.arange(40, 85), 4, replace=False).tolist()
            track += [mido.Message("note_on", note=key, velocity=80) for key in keys]
            released = [mido.Message("note_off", note=key) for key in keys]
            released[0].time = 480
            track += released
        mido.MidiFile(tracks=[track]).save(folder / f"{number:05d}.mid")
    return folder


def sounds(folder: Path) -> dict[str, Path]:
    """The finished files of a batch, by name."""
    found = folder.glob("[!.]*") if folder.is_dir() else []
    return {path.name: path for path in sorted(found) if path.suffix in (".wav", ".flac")}


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs. Linux only."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has ended
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
