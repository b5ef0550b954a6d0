"""Copies for compiled loops.

Where shapes are checked as the code runs, as in `target[:] = source`, numba compiles what words the
complaint, strings and all: a fifth of the first start's time.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def copy(source, target):
    """Copy source (n,) into target, which is at least as long."""
    for i in range(source.size):
        target[i] = source[i]
