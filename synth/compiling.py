"""Shows which functions Numba compiles: the first start can take most of a minute.

Functions that were compiled before are loaded from the cache on disk, and nothing is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event
from tqdm import tqdm


@contextmanager
def compiling_shown() -> Iterator[None]:
    """A progress bar on stderr; it appears when this block compiles its first function."""
    listener = _Listener()
    with event.install_listener("numba:compile", listener):
        try:
            yield
        finally:
            listener.close()


class _Listener(event.Listener):
    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def on_start(self, event: Any) -> None:
        if self._bar is None:
            shape = "{desc}: {n_fmt} functions [{elapsed}{postfix}]"
            self._bar = tqdm(desc="compiling (first start only)", bar_format=shape, mininterval=0)
        self._bar.set_postfix_str(event.data["dispatcher"].py_func.__name__.strip("_"))

    def on_end(self, event: Any) -> None:
        if self._bar is not None:
            self._bar.update()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str("done")
            self._bar.close()
