"""Tasks one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from common.tasks.outcome import Outcome, Result, Task, tried


def in_order(
    make: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task]
) -> Iterator[Outcome[Task, Result]]:
    """The outcome of each task. make: makes the worker; what it raises is raised here."""
    work = make()
    for task in tasks:
        yield Outcome(task, *tried(work, task))
