"""Tasks in this process and on a real local Ray: each done, faults told, no process left behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from common.tasks.in_order import in_order
from common.tasks.on_gpus import on_gpus
from common.tasks.on_ray import has_ray, on_ray, ray_cluster
from common.tasks.outcome import Outcome
from common.tasks.side_by_side import side_by_side


def make_halver() -> Callable[[int], int]:
    """A worker that halves even numbers."""

    def halve(number: int) -> int:
        if number == 13:
            return number // 0
        if number % 2:
            raise ValueError(f"{number}: is odd")
        return number // 2

    return halve


class DiesOnce:
    """Makes workers that tell their process, the first of which is killed at its second task."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> Callable[[int], int]:
        done = []

        def work(number: int) -> int:
            done.append(number)
            if len(done) == 2 and not (self.folder / "died").exists():
                (self.folder / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return os.getpid()

        return work


def make_nothing() -> Callable[[int], int]:
    raise ValueError("there is no bank here")


def always_dies(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    if not has_ray():
        pytest.skip("Ray is not installed")
    with ray_cluster(None, 2):
        yield


def test_tasks_are_done_in_order_and_faults_are_told_in_a_line():
    assert list(in_order(make_halver, [4, 3, 13, 8])) == [
        Outcome(4, 2),
        Outcome(3, None, "3: is odd"),
        Outcome(13, None, "ZeroDivisionError: integer division or modulo by zero"),
        Outcome(8, 4),
    ]


def test_tasks_are_taken_when_they_are_needed():
    taken = []
    outcomes = in_order(make_halver, (taken.append(n) or n for n in range(0, 100, 2)))
    next(outcomes)
    assert taken == [0]


@pytest.mark.parametrize(
    "address, told",
    [
        ("127.0.0.1:1", "--address 127.0.0.1:1: no Ray cluster there"),
        ("here", "--address: expected HOST:PORT or auto, got 'here'"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address, told):
    with pytest.raises(ValueError, match=told), ray_cluster(address, 1):
        pass


def test_ray_does_them_all_and_takes_them_when_they_are_needed(cluster):
    taken = []
    with closing(on_ray(make_halver, (taken.append(n) or n for n in range(100)))) as outcomes:
        first = [next(outcomes) for _ in range(3)]
        assert len(taken) < 10
        found = {outcome.task: outcome for outcome in [*first, *outcomes]}
    assert found == {outcome.task: outcome for outcome in in_order(make_halver, list(range(100)))}


def test_a_worker_that_is_killed_costs_what_was_under_way(cluster, tmp_path):
    outcomes = list(on_ray(DiesOnce(tmp_path), range(12)))
    assert (tmp_path / "died").exists()
    assert sorted(outcome.task for outcome in outcomes) == list(range(12))
    assert not any(outcome.fault for outcome in outcomes)
    # Others kept their process, and what it had loaded.
    assert len({outcome.result for outcome in outcomes}) <= 4


def test_a_task_that_kills_every_worker_is_given_up(cluster):
    (outcome,) = on_ray(lambda: always_dies, [1])
    assert outcome.result is None and outcome.fault.startswith("its process was ended 4 times")


def test_a_gpu_is_not_waited_for_where_there_is_none(cluster):
    with pytest.raises(ValueError, match="the cluster has no GPU"):
        next(on_gpus(make_halver, [2], 0.5, 2))


def test_what_no_worker_can_load_is_the_fault_of_each_task(cluster):
    outcomes = list(on_ray(make_nothing, [1, 2]))
    assert all(outcome.fault.endswith(": there is no bank here") for outcome in outcomes)


class Waits:
    """Returns even numbers at once; odd ones wait until `end`, and then raise."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def __call__(self, number: int) -> int:
        if number % 2:
            self.ended.wait()
            raise ValueError("ended")
        return make_halver()(number)

    def end(self) -> None:
        self.ended.set()


def test_some_are_done_side_by_side_and_ended_when_nobody_wants_more():
    taken = []
    tasks = (taken.append(n) or n for n in [1, 2, 3, *range(4, 100, 2)])
    with closing(side_by_side(Waits, tasks, 3)) as outcomes:
        # Two places are taken by what does not end; the others are done all the same.
        assert [next(outcomes) for _ in range(3)] == [Outcome(n, n // 2) for n in (2, 4, 6)]
        assert len(taken) <= 7
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("task")]
