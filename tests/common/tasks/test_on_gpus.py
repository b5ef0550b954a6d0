"""Tasks on a local Ray that is told it has a GPU: several at once in a process, none lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.tasks.on_gpus import on_gpus
from common.tasks.on_ray import QUIET, STORE_BYTES, has_ray

TOGETHER = 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    if not has_ray():
        pytest.skip("Ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        import ray

        sizes = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": STORE_BYTES}
        ray.init("local", include_dashboard=False, log_to_driver=False, **sizes)
        yield
        ray.shutdown()


class MeetsAndDies:
    """Makes workers that wait until there are as many tasks as can be at once. The first process is
    killed by its task 4, every one by its task 7."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> Callable[[int], int]:
        met = threading.Barrier(TOGETHER)

        def work(number: int) -> int:
            died = self.folder / "died"
            if number < TOGETHER and not died.exists():
                met.wait()
            if number == 7 or (number == 4 and not died.exists()):
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 10:
                raise ValueError("10: is even")
            return os.getpid()

        return work


def make_nothing() -> Callable[[int], int]:
    raise ValueError("there is no bank here")


def dies_at_once() -> Callable[[int], int]:
    os.kill(os.getpid(), signal.SIGKILL)
    return abs


def test_a_process_that_dies_costs_what_was_under_way(cluster, tmp_path):
    outcomes = list(on_gpus(MeetsAndDies(tmp_path), range(12), 1.0, TOGETHER))
    assert (tmp_path / "died").exists()
    assert sorted(outcome.task for outcome in outcomes) == list(range(12))
    faults = {outcome.task: outcome.fault for outcome in outcomes if outcome.fault}
    assert faults.pop(10) == "10: is even"
    assert faults.pop(7).startswith("its process was ended 4 times")
    assert not faults


def test_processes_that_cannot_start_are_given_up(cluster):
    with pytest.raises(ValueError, match="its process was ended 4 times"):
        list(on_gpus(dies_at_once, [1], 0.5, TOGETHER))
    (outcome,) = on_gpus(make_nothing, [1], 0.5, TOGETHER)
    assert outcome.fault.endswith(": there is no bank here")
