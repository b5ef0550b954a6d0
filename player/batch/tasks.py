"""Which scores with which patches, and what each file is called.

A name says the score, the patch and the seed, and ends with a key of everything that decides the
sound (settings.py): the same task has the same name on every machine, another one another. So a
file that is there is finished, and need not be made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from common.files import read_file
from daw_bridge.midi.file import MOST_BYTES
from daw_bridge.midi.folder import find_files
from player.batch.settings import Settings
from synth.bank.bank import Bank

OWN_PROGRAMS = "own programs"
"""Stands for a patch where a file's own programs decide."""
MOST_STEM_BYTES = 80
"""Of a score's name in that of a file: most systems take 255 in all, patch and key included."""


@dataclass(frozen=True, slots=True)
class Task:
    """A score to be rendered with a patch, None for its own programs. name: of its files, without
    part and suffix; content: the score, only while the task is under way; size: its bytes."""

    score: Path
    score_sha256: str
    patch: str | None
    name: str
    size: int
    content: bytes = b""


def find_scores(asked: Sequence[Path]) -> list[Path]:
    """The files that are asked for, those of folders included, each once. ValueError for none, and
    for a folder without any."""
    if not asked:
        raise ValueError("SCORES: expected MIDI files or folders, got none")
    found: dict[Path, None] = {}
    for path in asked:
        inside = [path / name for name in find_files(path)] if path.is_dir() else [path]
        found |= dict.fromkeys(inside)
    return list(found)


def list_tasks(
    scores: Iterable[Path], patches: Sequence[str], settings: Settings, bank: Bank
) -> tuple[list[Task], dict[Path, str]]:
    """All tasks, score after score; and the scores that cannot be read, with the reason.

    patches: none for each file's own programs. Scores of the same name and content are one.
    """
    tasks: dict[str, Task] = {}
    faults: dict[Path, str] = {}
    for score in scores:
        try:
            content = read_score(score)
        except ValueError as error:
            faults[score] = str(error)
            continue
        sha256 = hashlib.sha256(content).hexdigest()
        for patch in patches or (None,):
            key = settings.key(bank, patch, sha256)
            played = patch if patch is not None else OWN_PROGRAMS
            name = f"{_short(score.stem)}--{played}--seed{settings.seed}--{key}"
            tasks.setdefault(name, Task(score, sha256, patch, name, len(content)))
    return list(tasks.values()), faults


def with_content(tasks: Iterable[Task]) -> Iterator[Task]:
    """The same tasks with their scores, read when they are asked for: memory is that of those under
    way. One that cannot be read any more, or has changed, stays empty."""
    for task in tasks:
        content = b""
        with suppress(ValueError):
            content = read_score(task.score)
        same = hashlib.sha256(content).hexdigest() == task.score_sha256
        yield replace(task, content=content if same else b"")


def read_score(path: Path) -> bytes:
    """What a file holds. ValueError, naming it, if it cannot be read."""
    try:
        return read_file(path, MOST_BYTES)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None


def _short(stem: str) -> str:
    """A score's name, not too long for a file's, and none that hides it."""
    cut = stem.encode("utf-8", "replace")[:MOST_STEM_BYTES].decode("utf-8", "ignore")
    return cut.lstrip(".") or "score"
