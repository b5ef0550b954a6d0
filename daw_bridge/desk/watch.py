"""Watches the folder of the user's patches: a file that is dropped in appears by itself."""

from __future__ import annotations

import logging
import threading

from daw_bridge.desk.desk import Desk

LOOK_S = 1.0

_log = logging.getLogger(__name__)


class PatchWatch:
    """Reads a desk's patches again when their files have changed, from construction to `close`.

    Files that cannot be read are logged.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="patches", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_S):
            if self._desk.book.stale:
                for problem in self._desk.reload():
                    _log.warning("%s; this patch is left out", problem)
