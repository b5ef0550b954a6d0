"""The one interface of every vocoder: frames in, samples out, the moment passed along.

A vocoder's state is a dataclass of arrays, each with the parts as its first dimension, and of
lists with a thing for each part, so that parts can join and leave a running batch by selecting
rows (`select_rows`).
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor


class Vocoder(Protocol):
    """Turns log spectra into sound, frame by frame, for a batch of parts.

    head: which spectrum it listens to, "mel" (mel bands) or "fine" (all bins).
    hop: samples for each frame. lookahead: how many frames behind its input its sound
    runs. draws_per_frame: uniform random numbers it takes for each frame and part.
    """

    head: str
    hop: int
    lookahead: int
    draws_per_frame: int

    def initial_state(self, batch: int) -> Any:
        """The state of `batch` silent parts."""

    def step(self, frames: Tensor, state: Any, draws: Tensor) -> tuple[Tensor, Any]:
        """Sound for the next frames.

        frames (batch, n, bands) natural-log magnitudes; draws (batch, n, draws_per_frame)
        in [0, 1). Returns samples (batch, n * hop), about -1..1, that belong to the
        frames `lookahead` before these, and the new state; the old one may be
        overwritten. The sound of a frame does not depend on n or on other rows.
        """


def select_rows(state: Any, fresh: Any, rows: list[int | None]) -> Any:
    """A state whose row i is `state`'s row rows[i], or for None the next of `fresh`'s rows.

    Arrays are copied, what is in lists is handed on: the old states must not be used any more.
    """

    def pick(name: str) -> Tensor | list[Any]:
        old, new = getattr(state, name), getattr(fresh, name)
        waiting = iter(new)
        picked = [next(waiting) if r is None else old[r] for r in rows]
        return picked if isinstance(old, list) else torch.stack(picked)

    return replace(state, **{f.name: pick(f.name) for f in fields(state)})
