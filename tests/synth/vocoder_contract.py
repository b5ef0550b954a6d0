"""What every vocoder promises, as one check that each vocoder's tests call."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from synth.rows import select_rows
from synth.vocoders.contract import Vocoder

FRAMES = 35
"""Length of the take: no multiple of the block sizes, so that a short block comes too."""


def check_vocoder(vocoder: Vocoder, make_frames: Callable[[int, int], Tensor]) -> None:
    """Assert that the sound depends on a part's own frames, draws and state, and no more.

    make_frames(batch, n) returns (batch, n, bands) log magnitudes, every row another sound.
    """
    assert vocoder.head in ("mel", "fine")
    assert vocoder.lookahead >= 0
    frames = make_frames(3, FRAMES)
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(3, FRAMES, vocoder.draws_per_frame, generator=generator)
    whole = _play(vocoder, frames, draws, vocoder.initial_state(3), FRAMES)
    assert whole.shape == (3, FRAMES * vocoder.hop)
    assert whole.dtype == torch.float32
    assert whole.isfinite().all()
    assert (whole.abs().amax(dim=1) > 1e-3).all(), "these frames must sound"
    assert not torch.equal(whole[0], whole[1]), "these rows must differ"

    _check_blocks(vocoder, frames, draws, whole)
    _check_batch(vocoder, frames, draws, whole)
    _check_snapshot(vocoder, frames, draws, whole)
    _check_rows(vocoder, frames, draws, whole)


def _check_blocks(vocoder: Vocoder, frames: Tensor, draws: Tensor, whole: Tensor) -> None:
    for block in (1, 3, 16):
        heard = _play(vocoder, frames, draws, vocoder.initial_state(3), block)
        assert torch.equal(heard, whole), f"blocks of {block} frames change the sound"
    nothing, _ = vocoder.step(frames[:, :0], vocoder.initial_state(3), draws[:, :0])
    assert nothing.shape == (3, 0)


def _check_batch(vocoder: Vocoder, frames: Tensor, draws: Tensor, whole: Tensor) -> None:
    for row in range(3):
        own = slice(row, row + 1)
        alone = _play(vocoder, frames[own], draws[own], vocoder.initial_state(1), FRAMES)
        assert torch.equal(alone, whole[own]), f"row {row} sounds different on its own"


def _check_snapshot(vocoder: Vocoder, frames: Tensor, draws: Tensor, whole: Tensor) -> None:
    middle, rest = FRAMES // 2, FRAMES // 2 * vocoder.hop
    _, state = vocoder.step(frames[:, :middle], vocoder.initial_state(3), draws[:, :middle])
    snapshot = copy.deepcopy(state)
    for start in (state, snapshot):
        heard, _ = vocoder.step(frames[:, middle:], start, draws[:, middle:])
        assert torch.equal(heard, whole[:, rest:]), "a snapshot plays on differently"
    again = _play(vocoder, frames, draws, vocoder.initial_state(3), FRAMES)
    assert torch.equal(again, whole), "a new state is not a reset"


def _check_rows(vocoder: Vocoder, frames: Tensor, draws: Tensor, whole: Tensor) -> None:
    """Row 1 leaves, the others change places and a new part joins between them."""
    middle, rest = FRAMES // 2, FRAMES // 2 * vocoder.hop
    _, state = vocoder.step(frames[:, :middle], vocoder.initial_state(3), draws[:, :middle])
    state = select_rows(state, vocoder.initial_state(1), [2, None, 0])
    frames = torch.stack([frames[2, middle:], frames[1, : FRAMES - middle], frames[0, middle:]])
    draws = torch.stack([draws[2, middle:], draws[1, : FRAMES - middle], draws[0, middle:]])
    heard, _ = vocoder.step(frames, state, draws)
    assert torch.equal(heard[0], whole[2, rest:]), "a part that changed rows sounds different"
    assert torch.equal(heard[2], whole[0, rest:]), "a part that changed rows sounds different"
    joined = whole[1, : (FRAMES - middle) * vocoder.hop]
    assert torch.equal(heard[1], joined), "a part that joined does not start afresh"


def _play(vocoder: Vocoder, frames: Tensor, draws: Tensor, state: Any, block: int) -> Tensor:
    """Samples (batch, n * hop), `block` frames at a time."""
    heard = []
    for at in range(0, frames.shape[1], block):
        part = slice(at, at + block)
        samples, state = vocoder.step(frames[:, part], state, draws[:, part])
        heard.append(samples)
    return torch.cat(heard, dim=1)
