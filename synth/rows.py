"""States of running batches: how parts join, leave and change places in one.

A stage's state is a dataclass of tensors, each with the rows (one for each part) as its first
dimension, of lists with an item for each row, and of other such states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, fields, is_dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar

import torch


class RowState(Protocol):
    """Any dataclass, as the type checker knows it; see the module for what its fields hold."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


State = TypeVar("State", bound=RowState)


def select_rows(state: State, fresh: State, rows: Sequence[int | None]) -> State:
    """A state whose row i is `state`'s row rows[i], or for None the next of `fresh`'s rows.

    Arrays are copied, items of lists are handed on: the old states must not be used any more.
    """

    def pick(name: str) -> Any:
        old, new = getattr(state, name), getattr(fresh, name)
        if is_dataclass(old):
            return select_rows(old, new, rows)
        waiting = iter(new)
        picked = [next(waiting) if r is None else old[r] for r in rows]
        return picked if isinstance(old, list) else torch.stack(picked)

    return replace(state, **{f.name: pick(f.name) for f in fields(state)})
