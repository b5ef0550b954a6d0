"""Shows how far compiling is: the first start can take most of a minute.

Functions that were compiled before are loaded from the cache on disk, and nothing is shown. On a
terminal it is a line that changes; elsewhere, in a log, a plain line for each quarter.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event
from tqdm import tqdm

FUNCTIONS = 201
"""How many a first start compiles, library functions among them: the default bank's, with the
spectral vocoder. Others differ by a few; then the last step is longer or shorter."""
TYPICAL = "about a minute"
"""What that takes on one core of a 2-core Xeon."""
WORDS = f"preparing once, {TYPICAL}"
STEP = 25
"""Percent from one plain line to the next."""


@contextmanager
def compiling_shown() -> Iterator[None]:
    """Progress on stderr, from the first function that this block compiles to the last."""
    listener = _Bar() if sys.stderr.isatty() else _Lines()
    with event.install_listener("numba:compile", listener):
        try:
            yield
        finally:
            listener.close()


def share(done: int) -> int:
    """Percent that so many functions are of all; 99 at most, for there may be more.

    >>> share(0), share(FUNCTIONS), share(2 * FUNCTIONS)
    (0, 99, 99)
    """
    return min(100 * done // FUNCTIONS, 99)


class _Bar(event.Listener):
    """A line on a terminal."""

    def __init__(self) -> None:
        self._done = 0
        self._bar: tqdm | None = None

    def on_start(self, event: Any) -> None:
        if self._bar is None:
            shape = "{desc}: {n:.0f}% [{elapsed}{postfix}]"
            self._bar = tqdm(desc=WORDS, total=100, bar_format=shape, mininterval=0)
        self._bar.set_postfix_str(event.data["dispatcher"].py_func.__name__.strip("_"))

    def on_end(self, event: Any) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update(share(self._done) - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.update(100 - self._bar.n)
            self._bar.set_postfix_str(f"{self._done} functions")
            self._bar.close()


class _Lines(event.Listener):
    """Lines in a log."""

    def __init__(self) -> None:
        self._done = self._told = 0
        self._began: float | None = None

    def on_start(self, event: Any) -> None:
        if self._began is None:
            self._began = time.perf_counter()
            _say(WORDS)

    def on_end(self, event: Any) -> None:
        self._done += 1
        if share(self._done) >= self._told + STEP:
            self._told = share(self._done) // STEP * STEP
            _say(f"preparing: {self._told}%")

    def close(self) -> None:
        if self._began is not None:
            seconds = time.perf_counter() - self._began
            _say(f"prepared in {seconds:.0f} s ({self._done} functions)")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
