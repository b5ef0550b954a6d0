"""Real-time priorities: granted or not, and handed on to threads that are started later."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import pytest

from common.threads import (
    DEVICE,
    LISTENER,
    RENDERER,
    Helpers,
    cores_here,
    go_before_others,
    on_cores,
    step_back,
)
from tests.waiting import PROCESS_S

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


def test_a_thread_keeps_to_its_cores_and_gets_the_others_back():
    def ask() -> tuple[int, int, int]:
        before = cores_here()
        with on_cores({min(os.sched_getaffinity(0))}):
            inside = cores_here()
        return before, inside, cores_here()

    before, inside, after = told_by_a_thread(ask)
    assert inside == 1 and before == after == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("cores", [set(), {100_000}])
def test_cores_that_there_are_not_are_named(cores):
    with pytest.raises(ValueError, match=r"^cores: expected some of \[0"), on_cores(cores):
        pass


def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    code = """
        import multiprocessing, os, time
        from common.threads import end_with_parent

        def work(pipe):
            end_with_parent()
            pipe.send(os.getpid())
            time.sleep(600)

        if __name__ == "__main__":
            ours, theirs = multiprocessing.Pipe()
            multiprocessing.get_context("spawn").Process(target=work, args=(theirs,)).start()
            print(ours.recv(), flush=True)
            os._exit(9)
    """
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(code))
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    # The worker holds the other end of the pipe, so reading ends only when it has ended too.
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PROCESS_S,
    )
    assert done.returncode == 9 and int(done.stdout) > 0, done.stderr


@pytest.mark.parametrize("rows", [0, 1, 5, 6, 16, 17])
def test_helpers_do_each_row_once(rows: int) -> None:
    done: list[int] = []
    Helpers(4).share_rows(rows, lambda share: done.extend(range(rows)[share]))
    assert sorted(done) == list(range(rows))


@pytest.mark.skipif(cores_here() < 2, reason="one core only")
def test_helpers_go_as_the_one_that_asks_goes_at_that_moment() -> None:
    def ask() -> list[set[tuple[int, int]]]:
        helpers, told = Helpers(2), []
        for priority in (None, RENDERER, None):
            if priority is None:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            elif not go_before_others(priority):
                pytest.skip("no real-time priorities here")
            ways: list[tuple[int, int, int]] = []
            helpers.share_rows(8, lambda _, ways=ways: ways.append((threading.get_ident(), *now())))
            assert len({thread for thread, *_ in ways}) == 2
            told.append({(policy, number) for _, policy, number in ways})
        return told

    ordinary, first = {(os.SCHED_OTHER, 0)}, {(os.SCHED_RR, RENDERER)}
    assert told_by_a_thread(ask) == [ordinary, first, ordinary]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system knows no fork")
def test_helpers_work_in_a_process_that_was_forked() -> None:
    script = """
    import os
    from common.threads import Helpers
    helpers, done = Helpers(2), []
    helpers.share_rows(8, lambda rows: done.append(rows))
    child = os.fork()
    helpers.share_rows(8, lambda rows: done.append(rows))
    if child:
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=PROCESS_S)
    assert ended.returncode == 0


def test_what_a_helper_raises_is_raised() -> None:
    def job(rows: slice) -> None:
        if rows.stop == 8:
            raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        Helpers(2).share_rows(8, job)
