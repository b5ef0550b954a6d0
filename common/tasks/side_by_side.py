"""Several tasks at once in this process, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Protocol, TypeVar

from common.tasks.outcome import Outcome, Result, Task, tried

Given = TypeVar("Given", contravariant=True)
Got = TypeVar("Got", covariant=True)


class Endable(Protocol[Given, Got]):
    """A worker that several threads may call at once. end: what is under way shall raise soon."""

    def __call__(self, task: Given, /) -> Got: ...

    def end(self) -> None: ...


def side_by_side(
    make: Callable[[], Endable[Task, Result]], tasks: Iterable[Task], count: int
) -> Generator[Outcome[Task, Result], None, None]:
    """The outcome of each task, as they are done; `count` are under way at once.

    make: makes the worker; what it raises is raised here. When the iterator is closed, or this
    thread is interrupted, what is under way is ended first.
    """
    work, waiting = make(), iter(tasks)
    under_way: dict[Future[tuple[Result | None, str]], Task] = {}
    with ThreadPoolExecutor(count, "task") as pool:
        try:
            while True:
                for task in islice(waiting, count - len(under_way)):
                    under_way[pool.submit(tried, work, task)] = task
                if not under_way:
                    return
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for one in done:
                    yield Outcome(under_way.pop(one), *one.result())
        finally:
            if under_way:
                work.end()
