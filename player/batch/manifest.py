"""manifest.jsonl: a JSON object in each line, for each task whose files are there.

A line is added when a task is done, so it can be followed while the batch runs. At the end the
lines are put in order of the files' names. A line that was cut short, or is missing because the
batch was killed, is written again from the files themselves; what cannot be known any more, such as
how long it took, is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import soundfile

from common.files import write_whole
from player.batch.settings import Settings, file_sha256
from player.batch.sound_files import file_names
from player.batch.tasks import Task
from player.batch.worker import Made

FILE = "manifest.jsonl"

Line = Mapping[str, Any]


class Manifest:
    """The manifest of a folder, which must exist. OSError where it cannot be written."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder, self._settings = folder, settings
        self._lines = _read(folder / FILE)
        self._file: TextIO | None = None

    def recover(self, tasks: Iterable[Task]) -> None:
        """State tasks whose files are there but that have no line."""
        for task in tasks:
            if self._mix(task) not in self._lines:
                self._lines[self._mix(task)] = self._recovered(task)

    def add(self, task: Task, made: Made) -> None:
        """State a task that was done just now."""
        line = self._line(task, made.files, made.seconds) | {
            "peak_db": round(made.peak_db, 2),
            "gain_db": round(made.level.gain_db, 2) if made.level else None,
            "lufs": round(made.level.lufs, 2) if made.level else None,
            "left_out": made.notes,
            "took_s": round(made.took_s, 3),
            "at": made.at,
            "host": made.host,
        }
        self._lines[self._mix(task)] = line
        if self._file is None:
            self._file = (self._folder / FILE).open("a", encoding="utf-8")
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Put the lines in order; those of files that are gone, are left out."""
        if self._file is not None:
            self._file.close()
            self._file = None
        # What another batch has added meanwhile is kept.
        lines = _read(self._folder / FILE) | self._lines
        there = {path.name for path in self._folder.iterdir()}
        kept = [lines[name] for name in sorted(lines) if name in there]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
        write_whole(self._folder / FILE, text)

    def _mix(self, task: Task) -> str:
        return file_names(task.name, self._settings.format, ())[0]

    def _recovered(self, task: Task) -> Line:
        mix = self._folder / self._mix(task)
        parts = sorted(self._folder.glob(f"{_escaped(task.name)}.part-*.{self._settings.format}"))
        files = {path.name: file_sha256(path) for path in [mix, *parts]}
        unknown = ("peak_db", "gain_db", "lufs", "left_out", "took_s", "at", "host")
        info = soundfile.info(mix)
        return self._line(task, files, info.frames / info.samplerate) | dict.fromkeys(unknown)

    def _line(self, task: Task, files: Mapping[str, str], seconds: float) -> dict[str, Any]:
        settings, (mix, *parts) = self._settings, files
        return {
            "file": mix,
            "sha256": files[mix],
            "parts": {part: files[part] for part in parts},
            "seconds": round(seconds, 3),
            "score": str(task.score),
            "score_sha256": task.score_sha256,
            "patch": task.patch,
            "seed": settings.seed,
            "bank": settings.bank.name,
            "bank_sha256": settings.bank_sha256,
            "vocoder": settings.vocoder,
            "lookahead": settings.lookahead,
        }


def _read(path: Path) -> dict[str, Line]:
    """Lines by file. What is no line of ours, is passed over."""
    lines: dict[str, Line] = {}
    if path.is_file():
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
                lines[line["file"]] = line
            except (ValueError, LookupError, TypeError):
                continue
    return lines


def _escaped(name: str) -> str:
    """A name for `glob`, which takes brackets and stars for something else."""
    return "".join(f"[{c}]" if c in "[*?" else c for c in name)
