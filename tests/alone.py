"""What only one process at a time may have on a machine: a name, a port.

Tests run in several processes, and in several checkouts side by side.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tests.waiting import PROCESS_S, wait_until

try:
    import fcntl
except ImportError:  # Windows, where nothing that needs a lock is tested
    fcntl = None  # type: ignore[assignment]

_locks: dict[str, TextIO] = {}
"""Open files, whose locks the system ends with this process."""
FIRST_PORT, PORTS = 20_000, 10_000
"""Below those that a system gives to whoever asks for any."""


def lock(name: str) -> bool:
    """Whether this process has a name, now and until it ends."""
    if name in _locks or fcntl is None:
        return True
    path = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}.lock"
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    _locks[name] = file
    return True


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Have a name in the block alone; others that want it wait."""
    wait_until(lambda: lock(name), patience_s=2 * PROCESS_S)
    try:
        yield
    finally:
        if name in _locks:
            _locks.pop(name).close()


def own_port() -> int:
    """A port that nobody has, and that nobody is given while a test closes and opens it again."""
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        name = f"melstream-test-port-{port}"
        if name not in _locks and _is_free(port) and lock(name):
            return port
    raise OSError("no port is free")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
