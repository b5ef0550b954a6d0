"""Real-time priorities: granted or not, and handed on to threads that are started later."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from common.threads import DEVICE, LISTENER, RENDERER, go_before_others, step_back

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setscheduler"), reason="this system has no such priorities"
)


def told_by_a_thread(ask: Callable[[], Any]) -> Any:
    """What `ask` returns in a thread of its own, whose priority is nobody else's."""
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(ask()))
    thread.start()
    thread.join()
    return told[0]


def now() -> tuple[int, int]:
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority


def test_a_device_goes_before_the_renderer_and_that_before_listeners():
    assert 0 < LISTENER < RENDERER < DEVICE


def test_what_is_granted_holds_and_is_handed_on():
    before = now()

    def ask() -> tuple:
        granted = go_before_others(RENDERER)
        return granted, now(), told_by_a_thread(now)

    granted, then, inherited = told_by_a_thread(ask)
    assert then == inherited == ((os.SCHED_RR, RENDERER) if granted else before)
    assert now() == before


def test_a_thread_steps_back_but_never_forward():
    def ask() -> tuple:
        granted = go_before_others(DEVICE)
        step_back(LISTENER)
        behind = now()
        step_back(RENDERER)
        return granted, behind, now()

    granted, behind, then = told_by_a_thread(ask)
    assert then == behind == ((os.SCHED_RR, LISTENER) if granted else now())


def test_an_ordinary_thread_stays_one():
    before = now()

    def ask() -> tuple[int, int]:
        step_back(LISTENER)
        return now()

    assert told_by_a_thread(ask) == before
