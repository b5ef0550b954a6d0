"""Waiting for what other threads, processes and browsers do, which on a busy machine comes late.

An effect that another thread has may come later than any other effect of it: each one that a test
looks at is awaited by itself.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

PATIENCE_S = 120.0
"""How long anything may take. Only a fault takes so long."""
PROCESS_S = 300.0
"""How long a process may take from its start to its end. The first start on a machine compiles."""
LOOK_S = 0.02

T = TypeVar("T")


def wait_until(
    true: Callable[[], T],
    stands: Callable[[], object] | None = None,
    patience_s: float = PATIENCE_S,
) -> T:
    """Return what `true` says as soon as that is true; the test fails if it is not within two
    minutes.

    stands: says how things stand, for the message of the failure. patience_s: instead of them.
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + patience_s
    while not (said := true()):
        if time.monotonic() > deadline:
            how = "" if stands is None else f"; now: {stands()}"
            pytest.fail(f"not true within {patience_s:.0f} s: {_source(true)}{how}")
        time.sleep(LOOK_S)
    return said


def wait_until_equal(ask: Callable[[], object], expected: object) -> None:
    """Return as soon as `ask` says what is expected; what it says instead fails the test, after two
    minutes."""
    __tracebackhide__ = True
    deadline = time.monotonic() + PATIENCE_S
    while (said := ask()) != expected and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    assert said == expected


def _source(function: Callable) -> str:
    """The lines in which a function is written, which say what was awaited."""
    try:
        return " ".join(line.strip() for line in inspect.getsourcelines(function)[0])
    except (OSError, TypeError):
        return repr(function)
