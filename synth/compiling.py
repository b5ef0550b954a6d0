"""Shows how far compiling is: the first start takes a while.

Functions that were compiled before are loaded from the cache on disk, and nothing is shown. On a
terminal it is a line that changes; elsewhere, in a log, a plain line for each quarter.
"""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event
from tqdm import tqdm

FUNCTIONS = 129
"""How many a first start compiles, library functions among them: the default bank's, with the
spectral vocoder. Others differ by a few; then the last step is longer or shorter."""
TYPICAL = "about half a minute"
"""What that takes on a 2-core Xeon, with the help of its other core (player/warming.py)."""
WORDS = f"preparing once, {TYPICAL}"
STEP = 25
"""Percent from one plain line to the next."""


@contextmanager
def compiling_shown() -> Iterator[Shown]:
    """Progress on stderr, from the first function that this block compiles to the last."""
    listener = _Bar() if sys.stderr.isatty() else _Lines()
    with event.install_listener("numba:compile", listener):
        try:
            yield listener
        finally:
            listener.close()


def share(done: int) -> int:
    """Percent that so many functions are of all; 99 at most, for there may be more.

    >>> share(0), share(FUNCTIONS), share(2 * FUNCTIONS)
    (0, 99, 99)
    """
    return min(100 * done // FUNCTIONS, 99)


class Shown(event.Listener):
    """Shows the progress. `count` takes in a function that another process has compiled."""

    def __init__(self) -> None:
        self._done = 0

    def on_end(self, event: Any) -> None:
        self.count()

    @abstractmethod
    def count(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class _Bar(Shown):
    """A line on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None

    def on_start(self, event: Any) -> None:
        if self._bar is None:
            shape = "{desc}: {n:.0f}% [{elapsed}{postfix}]"
            self._bar = tqdm(desc=WORDS, total=100, bar_format=shape, mininterval=0)
        self._bar.set_postfix_str(event.data["dispatcher"].py_func.__name__.strip("_"))

    def count(self) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update(share(self._done) - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.update(100 - self._bar.n)
            self._bar.set_postfix_str(f"{self._done} functions")
            self._bar.close()


class _Lines(Shown):
    """Lines in a log."""

    def __init__(self) -> None:
        super().__init__()
        self._told = 0
        self._began: float | None = None

    def on_start(self, event: Any) -> None:
        if self._began is None:
            self._began = time.perf_counter()
            _say(WORDS)

    def count(self) -> None:
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
