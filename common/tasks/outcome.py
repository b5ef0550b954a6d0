"""What became of a task."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Task, Result]):
    """A task and its result; None if it failed, and then `fault` says why in one line."""

    task: Task
    result: Result | None
    fault: str = ""


def tried(work: Callable[[Task], Result], task: Task) -> tuple[Result | None, str]:
    """A worker's result and "", or None and why the task cannot be done.

    A mistake of ours is logged with its traceback: it costs one task, not all.
    """
    try:
        return work(task), ""
    except (ValueError, OSError) as error:
        return None, str(error)
    except Exception as error:
        _log.exception("a task failed")
        return None, f"{type(error).__name__}: {error}"
