"""Results of long runs, kept as they come, so that an ended run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


class WorkFile:
    """A file of JSON lines, {"key", "settings", "result"}, one for each result; only grows.

    A line cut short by a crash is passed over, and so is what no key asks for any more.
    Raises OSError when the file cannot be read or written.
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
        """What was kept for these settings, all of them the same, or None."""
        return self._results.get(_key(settings))

    def add(self, settings: dict[str, Any], result: dict[str, Any]) -> None:
        """Keep a result, on disk before this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": _key(settings), "settings": settings, "result": result})
        with self.path.open("a+b") as file:
            # A line cut short must not swallow this one.
            if file.tell():
                file.seek(-1, 2)
                line = line if file.read() == b"\n" else "\n" + line
            file.write(line.encode() + b"\n")
        self._results[_key(settings)] = result


def digest(*paths: Path) -> str:
    """What files hold, names aside, as 16 hexadecimal digits. OSError when one is missing."""
    together = hashlib.sha256()
    for path in paths:
        together.update(hashlib.sha256(path.read_bytes()).digest())
    return together.hexdigest()[:16]


def _key(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
