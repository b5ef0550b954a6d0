"""Where arrays lie in memory: some places are a third slower than others.

A cache of the second level keeps lines in sets by their physical address, which nobody can ask
for. Weights that fill most of it crowd some sets and leave others empty, as the pages happen to
fall, and what is crowded out comes from further away, sample after sample. So a few places are
tried and the fastest is kept, as FFTW tries its plans. Huge pages, where the system has them,
are the likeliest to fall well.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterable

import numpy as np

PLACES = 8
"""Places tried; each holds a copy until the best is known."""
RUNS = 4
"""Of each, the fastest counts: others may have been interrupted."""
HUGE = 1 << 21
"""Bytes of a huge page on x86-64 and on most arm64 systems."""
LINE = 64
"""Bytes of a cache line; arrays begin on one."""

Arrays = list[np.ndarray]


def copy_to_one_place(arrays: Iterable[np.ndarray]) -> Arrays:
    """The same arrays in memory of their own, one after another, from a huge page's edge on."""
    arrays = list(arrays)
    sizes = [-(-a.nbytes // LINE) * LINE for a in arrays]
    flags = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, -(-sum(sizes) // HUGE) * HUGE + HUGE, **flags)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(memory, np.uint8)
    at, copies = -whole.ctypes.data % HUGE, []
    for array, size in zip(arrays, sizes, strict=True):
        copies.append(whole[at : at + array.nbytes].view(array.dtype).reshape(array.shape))
        copies[-1][...] = array
        at += size
    return copies


def fastest_place(arrays: Iterable[np.ndarray], use: Callable[[Arrays], object]) -> Arrays:
    """Copies of the arrays, where `use` reads them fastest; it must not change them."""
    arrays = list(arrays)
    places = [copy_to_one_place(arrays) for _ in range(PLACES)]
    return min(places, key=lambda place: _time(use, place))


def _time(use: Callable[[Arrays], object], arrays: Arrays) -> float:
    took = []
    for _ in range(1 + RUNS):
        began = time.perf_counter()
        use(arrays)
        took.append(time.perf_counter() - began)
    return min(took[1:])
