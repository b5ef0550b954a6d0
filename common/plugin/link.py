"""The bond with an LV2 plug-in: takes one that plays, and another when it has gone."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from common.plugin.memory import FOLDER, SLOTS, PluginMemory


class PluginLink:
    """Has at most one plug-in. memory: its own, None while there is none.

    folder: where plug-ins put their files. OSError on a system without such a folder.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        if not folder.is_dir():
            raise OSError("plug-ins need Linux: there is no /dev/shm here")
        self.memory: PluginMemory | None = None
        self._folder = folder
        self._looking = threading.Lock()
        self._cycles: dict[Path, int] = {}
        """Of plug-ins that were seen: a host that is at rest does not call them."""

    def take(self) -> PluginMemory:
        """A plug-in whose host has called it since the last look. OSError if there is none."""
        with self._looking:
            self._drop()
            why = "no plug-in is there"
            for slot in range(1, SLOTS + 1):
                path = self._folder / f"melstream-plugin-{os.getuid()}-{slot}"
                if not path.exists():
                    self._cycles.pop(path, None)
                    continue
                try:
                    memory = PluginMemory(path)
                except OSError as error:
                    why = str(error)
                    continue
                before, self._cycles[path] = self._cycles.get(path), memory.cycles
                if before is not None and memory.cycles != before:
                    self.memory = memory
                    return memory
                memory.close()
                why = f"the host of {path.name} does not play"
            raise OSError(why)

    def close(self) -> None:
        """Give the plug-in back."""
        with self._looking:
            self._drop()

    def _drop(self) -> None:
        memory, self.memory = self.memory, None
        if memory is not None:
            with suppress(OSError):
                memory.close()
