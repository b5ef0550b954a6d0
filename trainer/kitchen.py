"""The stages of a recipe: commands of the trainer, watched, ended in time, their work kept.

Whatever stands is written to one folder as it comes, in files small enough for a machine that
gives back no large ones (see `parts`). For POSIX systems: stages end by SIGINT.
"""

from __future__ import annotations

import math
import os
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

NETWORKS = ("mel2mel", "wavenet")
PATIENCE_S = 60.0
"""What a stage that was told to end may still take."""
OUT_BYTES, OUT_FILES = 64 * 2**20, 8
"""What such a machine gives back, in files under 16 MiB."""
NOTES = "notes.zip"
"""Logs, the data set's manifest, and the bank but for its weights."""


class Kitchen:
    """Runs commands of the trainer in `work`, and keeps in `out` what they have made so far.

    site: a folder of packages for them; flags: command -> more flags for it.
    """

    def __init__(
        self, work: Path, out: Path, site: Path, flags: Mapping[str, Sequence[str]]
    ) -> None:
        self.work, self.out, self._flags = work, out, flags
        self._begun = time.monotonic()
        self._kept: dict[str, int] = {}
        repository = str(Path(__file__).parents[1])
        before = os.environ.get("PYTHONPATH")
        path = [str(site.resolve()), repository, *([before] if before else [])]
        self._environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
        if not sys.stderr.isatty():
            self._environment.setdefault("TQDM_MININTERVAL", "10")

    def weights(self, network: str) -> Path:
        """Where a network's weights are, once it has been trained."""
        return self.work / network / "weights.safetensors"

    def tell(self, text: str) -> None:
        """Print a line with the seconds since the beginning."""
        print(f"[{time.monotonic() - self._begun:4.0f} s] {text}", flush=True)

    def cook(
        self, commands: Mapping[str, list[str]], until: float, stop: list[int]
    ) -> dict[str, int]:
        """Exit code of each command; those at work at the time `until`, or when stop is filled,
        are told to end. Checkpoints are kept as they are written. None begins when time is up."""
        started = time.monotonic()
        if stop or started >= until:
            self.tell(f"{', '.join(commands)}: no time left")
            return {}
        running = {}
        for name, flags in commands.items():
            words = [sys.executable, "-m", "trainer", name, *flags]
            words += self._flags.get(name, ())
            self.tell(shlex.join(words[2:]))
            # A group of its own: Ctrl-C reaches it from here alone.
            running[name] = subprocess.Popen(
                words, env=self._environment, process_group=0, stdin=subprocess.DEVNULL
            )
        try:
            told = math.inf
            while any(process.poll() is None for process in running.values()):
                now = time.monotonic()
                if told == math.inf and (stop or now >= until):
                    told = now
                    for process in running.values():
                        process.send_signal(signal.SIGINT)
                elif now > told + PATIENCE_S:
                    break
                self._wait(running)
                for name in commands:
                    self._keep(name)
        finally:
            for process in running.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()
        for name, process in running.items():
            self._keep(name)
            seconds = time.monotonic() - started
            self.tell(f"{name}: exit {process.returncode} after {seconds:.0f} s")
        return {name: process.returncode for name, process in running.items()}

    def make_bank(self, stop: list[int]) -> None:
        """A bank of both networks, in the work folder."""
        runs = [f"--{name}={self.work / name}" for name in NETWORKS]
        flags = [*runs, f"--data={self.work / 'data'}", f"--out={self.work / 'bank'}"]
        self.cook({"bank": flags}, math.inf, stop)

    def keep_notes(self) -> None:
        """Everything small that tells what was done."""
        from trainer.storage import write_whole

        work, notes = self.work, BytesIO()
        paths = [work / name / "log.jsonl" for name in NETWORKS]
        bank = [p for p in sorted((work / "bank").glob("*")) if p.suffix != ".safetensors"]
        paths += [work / "data" / "manifest.yaml", *bank]
        with zipfile.ZipFile(notes, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                if path.is_file():
                    archive.write(path, path.relative_to(work).as_posix())
        write_whole(self.out / NOTES, notes.getvalue())

    def _wait(self, running: Mapping[str, subprocess.Popen]) -> None:
        """A second, or less when a command ends."""
        for process in running.values():
            if process.poll() is None:
                try:
                    process.wait(1.0)
                except subprocess.TimeoutExpired:
                    return

    def _keep(self, name: str) -> None:
        """A network's checkpoint, if there is a newer one, to the folder that comes back."""
        weights = self.weights(name)
        if name not in NETWORKS or not weights.is_file():
            return
        made = weights.stat().st_mtime_ns
        if self._kept.get(name) == made:
            return
        try:
            self._pack(name)
        except OSError as error:
            self.tell(str(error))  # training is worth more than this copy of it
        self._kept[name] = made

    def _pack(self, name: str) -> None:
        from trainer.parts import pack_run

        others = [p for p in self.out.iterdir() if not p.name.startswith(f"{name}.")]
        # Notes are small, but will be there.
        files = OUT_FILES - len([p for p in others if p.name != NOTES]) - 1
        room = OUT_BYTES - sum(p.stat().st_size for p in others) - 2**20
        kept = pack_run(self.work / name, self.out, name, room, files)
        if kept == "weights":
            self.tell(f"{name}: its state is too large to come back; weights alone kept")
        self.keep_notes()
