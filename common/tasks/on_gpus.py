"""Tasks on a Ray cluster's GPUs: several are under way in each process, each in its own thread.

The processes are Ray's actors, one for each share of a GPU. One that dies is replaced, and what was
under way in it is done again. Which task it died of cannot be known: one that was there every time
gets a process to itself for its last try, so that no other is given up with it.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from common.tasks.on_ray import CANCEL_S, LOOK_S, TRIES, told
from common.tasks.outcome import Outcome, Result, Task, tried


class _Process:
    """What an actor is: a worker that is called in several threads."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._work, self._fault = None, ""
        try:
            self._work = make()
        except (ValueError, OSError) as error:
            self._fault = f"{socket.gethostname()}: {error}"

    def ready(self) -> None:
        """Returns once the worker is made."""

    def do(self, task: Any) -> tuple[Any, str]:
        return tried(self._work, task) if self._work else (None, self._fault)


@dataclass(slots=True, eq=False)
class _Actor:
    """handle: Ray's; room: how many tasks more it can have under way."""

    handle: Any
    room: int


@dataclass(slots=True)
class _Try:
    """A task; died: processes in which it was; fills: how much room it takes."""

    task: Any
    died: int = 0
    fills: int = 1


def on_gpus(
    make: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task], gpu: float, together: int
) -> Generator[Outcome[Task, Result], None, None]:
    """The outcome of each task, as they are done, within `ray_cluster`.

    make: as for `on_ray`, of a worker that so many threads may call `together`. gpu: the share of
    one that each process needs; ValueError where the cluster has none, and where processes end
    before they are ready. When the iterator is closed, or this process is interrupted, what is
    under way is ended first.
    """
    import ray

    if not ray.cluster_resources().get("GPU"):
        raise ValueError("the cluster has no GPU")
    pool = _Pool(make, tasks, gpu, together)
    try:
        while refs := pool.hand_out():
            done, _ = ray.wait(refs, timeout=LOOK_S)
            for ref in done:
                if outcome := pool.take_back(ref):
                    yield outcome
    finally:
        pool.end()


class _Pool:
    """Actors, and the tasks that they have and that wait for them."""

    def __init__(
        self, make: Callable[[], Any], tasks: Iterable[Any], gpu: float, together: int
    ) -> None:
        import ray

        remote: Any = ray.remote
        options = remote(num_cpus=1, num_gpus=gpu, max_concurrency=together)
        self._process, self._make = options(_Process), ray.put(make)
        self._gpu, self._together = gpu, together
        self._waiting, self._next = map(_Try, tasks), deque[_Try]()
        self._starting: dict[Any, _Actor] = {}
        self._working: list[_Actor] = []
        self._under_way: dict[Any, tuple[_Try, _Actor]] = {}
        self._most, self._looked, self._failed = 1, -LOOK_S, 0

    def hand_out(self) -> list[Any]:
        """Give tasks to all that have room, and start what is missing. What is to be waited for;
        nothing once all is done."""
        self._look()
        for actor in self._working:
            while self._have_next(1) and self._next[0].fills <= actor.room:
                one = self._next.popleft()
                actor.room -= one.fills
                self._under_way[actor.handle.do.remote(one.task)] = one, actor
        # No more processes than there are tasks for.
        for _ in range(self._most - len(self._working) - len(self._starting)):
            if self._have_next(len(self._starting) + 1):
                handle = self._process.remote(self._make)
                self._starting[handle.ready.remote()] = _Actor(handle, self._together)
        return [*self._starting, *self._under_way]

    def take_back(self, ref: Any) -> Outcome[Any, Any] | None:
        """What has become of a task, or None: of an actor, or of one that is to be tried again."""
        import ray
        from ray.exceptions import RayActorError, RayError

        if ref in self._starting:
            self._started(ref)
            return None
        one, actor = self._under_way.pop(ref)
        actor.room += one.fills
        try:
            return Outcome(one.task, *ray.get(ref))
        except RayError as error:
            if isinstance(error, RayActorError) and actor in self._working:
                self._working.remove(actor)
                ray.kill(actor.handle)  # it may only be out of reach
            one.died += 1
            if one.died == TRIES:
                return Outcome(one.task, None, told(error, one.died))
        one.fills = self._together if one.died == TRIES - 1 else 1
        self._next.append(one)
        return None

    def end(self) -> None:
        """End all processes, and wait until they are gone."""
        import ray

        with suppress(Exception):
            for actor in [*self._starting.values(), *self._working]:
                ray.kill(actor.handle)
            refs = list(self._under_way)
            ray.wait(refs, num_returns=len(refs), timeout=CANCEL_S)

    def _look(self) -> None:
        """See how many actors there can be by now."""
        import ray

        if time.monotonic() - self._looked > LOOK_S:
            there = ray.cluster_resources()
            self._most = int(min(there.get("GPU", 0) / self._gpu, there.get("CPU", 0))) or 1
            self._looked = time.monotonic()

    def _have_next(self, count: int) -> bool:
        """Whether so many tasks wait that can be looked at."""
        self._next.extend(islice(self._waiting, max(count - len(self._next), 0)))
        return len(self._next) >= count

    def _started(self, ref: Any) -> None:
        import ray
        from ray.exceptions import RayError

        actor = self._starting.pop(ref)
        try:
            ray.get(ref)
            self._working.append(actor)
            self._failed = 0
        except RayError as error:
            self._failed += 1
            if self._failed == TRIES:
                raise ValueError(told(error, TRIES)) from None
