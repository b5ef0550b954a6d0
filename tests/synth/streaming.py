"""What every streaming stage promises, as checks that take any stage.

A stage may be cut into blocks of any size; a new state is a reset and a copied one a snapshot;
rows neither hear each other nor care where they stand; and where there is an offline truth, the
stream equals it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from common.window import KEYS
from synth.rows import select_rows
from synth.vocoders.contract import Pitches, Vocoder

State = TypeVar("State")
Inputs = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Stage(Generic[State]):
    """A stage and something for it to play.

    begin(rows) is a new state; step(inputs, state) returns what comes out (rows, m, ...) and the
    state, which it may overwrite. inputs: tensors (rows, n, ...), every row another. forward: the
    offline truth of all inputs, to which a stream is equal within `tolerance`. blocks: sizes that
    it is cut into.
    """

    begin: Callable[[int], State]
    step: Callable[[Inputs, State], tuple[Tensor, State]]
    inputs: Inputs
    forward: Callable[[Inputs], Tensor] | None = None
    tolerance: float = 0.0
    blocks: tuple[int, ...] = (1, 3, 16)

    @property
    def rows(self) -> int:
        return len(self.inputs[0])

    @property
    def count(self) -> int:
        return self.inputs[0].shape[1]


def vocoder_stage(vocoder: Vocoder, frames: Tensor, blocks: tuple[int, ...] = (1, 3, 16)) -> Stage:
    """Any vocoder, with frames (rows, n, bands) to play and draws of its own.

    Every eight frames other keys are held, a few at a time, and they are bent all the time.
    """
    rows, n, _ = frames.shape
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(rows, n, vocoder.draws_per_frame, generator=generator)
    held = torch.rand(rows, -(-n // 8), KEYS, generator=generator) < 0.1
    bend = torch.rand(rows, n, generator=generator)
    return Stage(
        vocoder.initial_state,
        lambda inputs, state: vocoder.step(inputs[0], state, inputs[1], Pitches(*inputs[2:])),
        (frames, draws, held.repeat_interleave(8, 1)[:, :n], bend),
        blocks=blocks,
    )


def check_blocks(stage: Stage) -> None:
    """No block size changes a bit, of what comes out and of the state; a new state is a reset."""
    whole, after = stage.step(stage.inputs, stage.begin(stage.rows))
    assert whole.isfinite().all() and len(whole) == stage.rows
    assert all(row.any() for row in whole), "what is played must be heard"
    for block in stage.blocks:
        heard, state = _play(stage, block)
        assert torch.equal(heard, whole), f"blocks of {block} change what comes out"
        assert _alike(state, after), f"blocks of {block} change the state"


def check_nothing(stage: Stage) -> None:
    """A block of no length changes nothing."""
    state = stage.begin(stage.rows)
    nothing, state = stage.step(tuple(x[:, :0] for x in stage.inputs), state)
    assert nothing.shape[:2] == (stage.rows, 0)
    whole, _ = stage.step(stage.inputs, stage.begin(stage.rows))
    assert torch.equal(stage.step(stage.inputs, state)[0], whole)


def check_snapshot(stage: Stage) -> None:
    """A copied state goes on as the one that it was copied from."""
    whole, after = stage.step(stage.inputs, stage.begin(stage.rows))
    first, rest = _halves(stage)
    begun, state = stage.step(first, stage.begin(stage.rows))
    for start in (copy.deepcopy(state), state):
        heard, end = stage.step(rest, start)
        assert torch.equal(torch.cat([begun, heard], 1), whole)
        assert _alike(end, after)


def check_rows(stage: Stage) -> None:
    """Not a bit of a row depends on where it stands or beside whom.

    Each row alone; then the first leaves, the last goes on in its place, and beside it one joins.
    """
    whole, _ = stage.step(stage.inputs, stage.begin(stage.rows))
    assert not torch.equal(whole[0], whole[-1]), "these rows must differ"
    for row in range(stage.rows):
        alone, _ = stage.step(tuple(x[row : row + 1] for x in stage.inputs), stage.begin(1))
        assert torch.equal(alone[0], whole[row]), f"row {row} is another on its own"
    first, rest = _halves(stage)
    begun, state = stage.step(first, stage.begin(stage.rows))
    state = select_rows(state, stage.begin(1), [stage.rows - 1, None])
    length = rest[0].shape[1]
    both = tuple(
        torch.stack([late[-1], x[0, :length]]) for late, x in zip(rest, stage.inputs, strict=True)
    )
    heard, _ = stage.step(both, state)
    assert torch.equal(heard[0], whole[-1, begun.shape[1] :]), "a row that moved is another"
    assert torch.equal(heard[1], whole[0, : heard.shape[1]]), "a row that joined is another"


def check_forward(stage: Stage) -> None:
    """A stream is what the offline truth says."""
    assert stage.forward is not None
    heard, _ = _play(stage, stage.blocks[0])
    torch.testing.assert_close(heard, stage.forward(stage.inputs), atol=stage.tolerance, rtol=0)


def _play(stage: Stage, block: int) -> tuple[Tensor, object]:
    state, heard = stage.begin(stage.rows), []
    for start in range(0, stage.count, block):
        part = tuple(x[:, start : start + block] for x in stage.inputs)
        out, state = stage.step(part, state)
        heard.append(out)
    return torch.cat(heard, 1), state


def _halves(stage: Stage) -> tuple[Inputs, Inputs]:
    middle = stage.count // 2
    return tuple(x[:, :middle] for x in stage.inputs), tuple(x[:, middle:] for x in stage.inputs)


def _alike(one: object, other: object) -> bool:
    """Whether the tensors of two states are equal, and of states within them."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if not is_dataclass(one) or not is_dataclass(other):
        return True
    return all(_alike(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
