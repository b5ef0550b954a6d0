"""Results of long runs, kept one by one, so that a stopped run can go on where it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


class WorkFile:
    """A file of JSON lines, {"key", "settings", "result"}, one for each result; it only grows.

    A line that a crash cut short is ignored. Raises OSError when the file cannot be read or
    written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[str, Any] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    kept = json.loads(line)
                    self._results[kept["key"]] = kept["result"]
                except (ValueError, KeyError, TypeError):
                    continue

    def get(self, settings: dict[str, Any]) -> dict[str, Any] | None:
        """The result that was kept for exactly these settings, or None."""
        return self._results.get(_key(settings))

    def add(self, settings: dict[str, Any], result: dict[str, Any]) -> None:
        """Keep a result; it is on disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": _key(settings), "settings": settings, "result": result})
        with self.path.open("a+b") as file:
            # After a line that was cut short, begin a new one.
            if file.tell():
                file.seek(-1, 2)
                line = line if file.read() == b"\n" else "\n" + line
            file.write(line.encode() + b"\n")
        self._results[_key(settings)] = result


def digest(*paths: Path) -> str:
    """A hash of files' content, without their names: 16 hex digits. OSError if one is missing."""
    together = hashlib.sha256()
    for path in paths:
        together.update(hashlib.sha256(path.read_bytes()).digest())
    return together.hexdigest()[:16]


def _key(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
