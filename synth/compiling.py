"""Shows what Numba compiles, function by function: a first start takes its time for that.

What was compiled before comes from the cache on disk, at once, and shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event
from tqdm import tqdm


@contextmanager
def compiling_shown() -> Iterator[None]:
    """A progress bar on stderr, from the first function that is compiled in this block on."""
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
            self._bar = tqdm(desc="compiling, this once", bar_format=shape, mininterval=0)
        self._bar.set_postfix_str(event.data["dispatcher"].py_func.__name__.strip("_"))

    def on_end(self, event: Any) -> None:
        if self._bar is not None:
            self._bar.update()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str("done")
            self._bar.close()
