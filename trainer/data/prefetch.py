"""Batches drawn ahead of time, so that a resumed run still draws what it would have drawn.

Each batch has a seed of its own, taken in turn from the run's generator. So threads may draw
many at once, and a checkpoint keeps the generator as it was when the last batch that was
trained on got its seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor

Batch = TypeVar("Batch")


class Prefetch(Generic[Batch]):
    """draw: makes a batch of a generator, in any thread; workers: threads, 0 for none at all."""

    def __init__(
        self, draw: Callable[[torch.Generator], Batch], random: torch.Generator, workers: int
    ) -> None:
        self.state = random.get_state()
        """The generator's, of the batches handed out so far."""
        self._draw, self._random = draw, torch.Generator()
        self._random.set_state(self.state)
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._waiting: deque[tuple[Future[Batch], Tensor]] = deque()
        self._ahead = 2 * workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def next(self) -> Batch:
        """The next batch; what went wrong while drawing it is raised here."""
        if self._pool is None:
            seed, self.state = self._seed()
            return self._draw(torch.Generator().manual_seed(seed))
        while len(self._waiting) < self._ahead:
            seed, state = self._seed()
            future = self._pool.submit(self._draw, torch.Generator().manual_seed(seed))
            self._waiting.append((future, state))
        future, self.state = self._waiting.popleft()
        return future.result()

    def _seed(self) -> tuple[int, Tensor]:
        seed = int(torch.randint(2**63 - 1, (), generator=self._random))
        return seed, self._random.get_state()
