"""Tasks on Ray: on all cores of this machine, or of all machines of a cluster.

They are Ray's plain tasks, not actors: what was under way on a worker or a machine that dies is
done again by another one, and machines that join later are used. A process keeps the worker that it
has made, so only its first task loads anything.

We try again ourselves, not Ray: it ends this process when a task is cancelled that it has begun
again ("Tried to complete task that was not pending", Ray 2.60).
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any
from uuid import uuid4

from common.tasks.outcome import Outcome, Result, Task, tried

AHEAD = 2
"""Tasks under way for each core: one that runs, and one that need not be waited for."""
LOOK_S = 2.0
"""How often it is looked how many cores the cluster has by now."""
TRIES = 4
"""A task that ends its process so often is given up: it may need more memory than there is."""
STORE_BYTES = 100 * 2**20
"""Of a local Ray's shared memory, of which small tasks and results need next to none."""
CONNECT_S = 5.0
CANCEL_S = 20.0
"""How long what is under way may take to end when it is interrupted."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}
"""Ray does not report its use, nor warn of what does not matter here, and its processes are as nice
as this one: by default they yield to every other."""


def has_ray() -> bool:
    """Whether Ray is installed."""
    return importlib.util.find_spec("ray") is not None


@contextmanager
def ray_cluster(address: str | None, workers: int) -> Iterator[None]:
    """Be joined to a cluster meanwhile, or to a local one that ends with the block.

    address: "auto" for the one that runs on this machine, HOST:PORT, or None for a local one with
    so many workers. ValueError for an address where there is none.
    """
    if address is not None and address != "auto":
        _check_reachable(address)
    settings = dict(QUIET)
    if address is None and "ray" not in sys.modules:  # which has read them by then
        # A local Ray's ports are open to the network. With a token only we may use them.
        settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    handlers = {int(n): signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    import ray

    _put_back(handlers)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    # Ray leaves its logs behind; its sockets' paths must be short.
    folder = tempfile.mkdtemp(prefix="ms-ray-", dir="/tmp" if os.path.isdir("/tmp") else None)
    try:
        if address is None:
            quiet |= {"object_store_memory": STORE_BYTES, "_temp_dir": folder}
            ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
        else:
            try:
                ray.init(address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                reason = " ".join(str(error).split())
                raise ValueError(f"--address {address}: no Ray cluster there ({reason})") from None
        _put_back(handlers)
        yield
    finally:
        with suppress(Exception):
            ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _put_back(handlers: Mapping[int, Any]) -> None:
    """Handle signals as before: Ray puts in handlers of its own."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _check_reachable(address: str) -> None:
    """ValueError unless something answers there. Ray itself would try for ten minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"--address: expected HOST:PORT or auto, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f"--address {address}: no Ray cluster there ({error})") from None


def on_ray(
    make: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task]
) -> Generator[Outcome[Task, Result], None, None]:
    """The outcome of each task, as they are done, within `ray_cluster`.

    make: makes a worker, in each process that needs one; it and tasks and results are pickled. What
    it raises is told as the fault of every task. When the iterator is closed, or this process is
    interrupted, what is under way is ended first.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    remote = ray.remote(num_cpus=1, max_retries=0)(_do)
    made, key = ray.put(make), uuid4().hex
    waiting, under_way = iter(tasks), dict[Any, tuple[Task, int]]()
    again = deque[tuple[Task, int]]()
    """What a worker has died with, and how often it was tried."""
    most = looked = 0.0
    try:
        while True:
            if time.monotonic() - looked > LOOK_S:
                most = max(AHEAD * ray.cluster_resources().get("CPU", 1), AHEAD)
                looked = time.monotonic()
            room = max(round(most) - len(under_way), 0)
            begun = [again.popleft() for _ in range(min(room, len(again)))]
            begun += ((task, 0) for task in islice(waiting, room - len(begun)))
            for task, tried_before in begun:
                under_way[remote.remote(key, made, task)] = task, tried_before + 1
            if not under_way:
                return
            refs = list(under_way)
            done, _ = ray.wait(refs, timeout=LOOK_S)
            if done:  # and all others that are: with thousands under way each look is costly
                done, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
            for ref in done:
                task, tries = under_way.pop(ref)
                try:
                    outcome = Outcome(task, *ray.get(ref))
                except RayTaskError as error:
                    outcome = Outcome(task, None, told(error, 0))
                except RayError as error:
                    if tries < TRIES:
                        again.append((task, tries))
                        continue
                    outcome = Outcome(task, None, told(error, tries))
                yield outcome
    finally:
        _end(under_way)


_kept: dict[str, Callable[[Any], Any]] = {}
"""The worker that this process has made last, by the run's key."""


def _do(key: str, make: Callable[[], Callable[[Any], Any]], task: Any) -> tuple[Any, str]:
    """One task, in a process of Ray's."""
    if key not in _kept:
        _kept.clear()
        try:
            _kept[key] = make()
        except (ValueError, OSError) as error:
            return None, f"{socket.gethostname()}: {error}"
    return tried(_kept[key], task)


def told(error: Exception, ended: int) -> str:
    """Why Ray could not have a task done, in one line. ended: how often a process died of it."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    reason = f"{type(error).__name__}: {first}"
    return f"its process was ended {ended} times; out of memory? ({reason})" if ended else reason


def _end(under_way: Iterable[Any]) -> None:
    """Interrupt what is under way, so that nothing half done is left, and wait for it."""
    import ray

    refs = list(under_way)
    if not refs or not ray.is_initialized():
        return
    with suppress(Exception):
        # The last first, one by one: were those that run ended before those that wait, Ray would
        # begin one of these while it is cancelled, which can end this process.
        until = time.monotonic() + CANCEL_S
        for ref in reversed(refs):
            ray.cancel(ref)
            ray.wait([ref], timeout=max(until - time.monotonic(), 0))
